//! Tree to text on one line.

use std::fmt::{self, Write as _};

use maru_prom::{METRIC_NAME, Matcher, MatcherOperator};

use super::ast::{
    Aggregation, At, Binary, DurationExpression, DurationValue, Expression, Extension, Grouping, MatrixSelector,
    NumberLiteral, Subquery, VectorMatching, VectorSelector,
};
use super::duration::{format_duration, literal_ms};
use super::operators::Cardinality;
use super::quote::{format_number, format_number_short, label_name, quote};

impl fmt::Display for Expression {
    /// Writes the canonical form, which the parser reads back as the same tree.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(node) => node.fmt(out),
            Self::String(node) => out.write_str(&quote(&node.bytes)),
            Self::Vector(node) => node.fmt(out),
            Self::Matrix(node) => node.fmt(out),
            Self::Subquery(node) => {
                node.expression.fmt(out)?;
                write_subquery_suffix(node, out)
            }
            Self::Call(node) => {
                write!(out, "{}(", node.function.name)?;
                for (index, argument) in node.arguments.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    argument.fmt(out)?;
                }
                out.write_char(')')
            }
            Self::Aggregation(node) => {
                write_aggregation_head(node, out)?;
                out.write_char('(')?;
                if let Some(parameter) = &node.parameter {
                    write!(out, "{parameter}, ")?;
                }
                write!(out, "{})", node.expression)
            }
            Self::Binary(node) => {
                write!(out, "{} ", node.left)?;
                write_operator(node, out)?;
                write!(out, " {}", node.right)
            }
            Self::Unary(node) => write!(out, "{}{}", node.operator.symbol(), node.expression),
            Self::Parentheses(node) => write!(out, "({})", node.expression),
        }
    }
}

impl fmt::Display for NumberLiteral {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            out.write_str(&format_duration(literal_ms(self.value)))
        } else {
            out.write_str(&format_number(self.value))
        }
    }
}

impl fmt::Display for VectorSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(self, out)?;
        write_at(self.at, out)?;
        write_extension(self.extension, out)?;
        write_offset(&self.offset, out)
    }
}

impl fmt::Display for MatrixSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(&self.selector, out)?;
        write!(out, "[{}]", self.range)?;
        write_extension(self.selector.extension, out)?;
        write_at(self.selector.at, out)?;
        write_offset(&self.selector.offset, out)
    }
}

impl fmt::Display for DurationValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ms) => out.write_str(&format_duration(*ms)),
            Self::Computed(expression) => expression.fmt(out),
        }
    }
}

impl fmt::Display for DurationExpression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(out),
            Self::Step(_) => out.write_str("step()"),
            Self::Range(_) => out.write_str("range()"),
            Self::Negative(inner, _) => write!(out, "-{inner}"),
            Self::Parentheses(inner, _) => write!(out, "({inner})"),
            Self::Binary(operator, left, right, _) => write!(out, "{left} {} {right}", operator.symbol()),
            Self::MinOf(left, right, _) => write!(out, "min_of({left}, {right})"),
            Self::MaxOf(left, right, _) => write!(out, "max_of({left}, {right})"),
        }
    }
}

/// Returns a condition as it stands in braces.
#[must_use]
pub fn format_matcher(matcher: &Matcher) -> String {
    format!("{}{}{}", label_name(matcher.name()), matcher.operator(), quote(matcher.value().as_bytes()))
}

/// Writes name and conditions without modifiers.
fn write_series(selector: &VectorSelector, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(&selector.name)?;
    let is_name = |matcher: &Matcher| {
        !selector.name.is_empty()
            && matcher.name() == METRIC_NAME
            && matcher.operator() == MatcherOperator::Equal
            && matcher.value() == selector.name
    };
    let mut matchers: Vec<String> =
        selector.matchers.iter().filter(|matcher| !is_name(matcher)).map(format_matcher).collect();
    matchers.sort_unstable();
    if selector.name.is_empty() || !matchers.is_empty() {
        write!(out, "{{{}}}", matchers.join(","))?;
    }
    Ok(())
}

fn write_at(at: Option<At>, out: &mut impl fmt::Write) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Start) => out.write_str(" @ start()"),
        Some(At::End) => out.write_str(" @ end()"),
        Some(At::Timestamp(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            write!(out, " @ {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
        }
    }
}

fn write_extension(extension: Extension, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(match extension {
        Extension::None => "",
        Extension::Anchored => " anchored",
        Extension::Smoothed => " smoothed",
    })
}

fn write_offset(offset: &DurationValue, out: &mut impl fmt::Write) -> fmt::Result {
    if offset.is_zero() { Ok(()) } else { write!(out, " offset {offset}") }
}

/// Writes `[1h:1m] @ 5 offset 1m`.
pub(super) fn write_subquery_suffix(node: &Subquery, out: &mut impl fmt::Write) -> fmt::Result {
    write!(out, "[{}:", node.range)?;
    if let Some(step) = &node.step {
        write!(out, "{step}")?;
    }
    out.write_char(']')?;
    write_at(node.at, out)?;
    write_offset(&node.offset, out)
}

/// Writes `sum by (a, b) `, all before the parenthesis.
pub(super) fn write_aggregation_head(node: &Aggregation, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(node.operator.name())?;
    match &node.grouping {
        Grouping::By(labels) if labels.is_empty() => Ok(()),
        Grouping::By(labels) => write!(out, " by ({}) ", join(labels)),
        Grouping::Without(labels) => write!(out, " without ({}) ", join(labels)),
    }
}

/// Writes `== bool on (a) group_left (b)`.
pub(super) fn write_operator(node: &Binary, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(node.operator.symbol())?;
    if node.returns_bool {
        out.write_str(" bool")?;
    }
    node.matching.as_ref().map_or(Ok(()), |matching| write_matching(matching, out))
}

fn write_matching(matching: &VectorMatching, out: &mut impl fmt::Write) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("group_left"),
        Cardinality::OneToMany => Some("group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        let word = if matching.on { "on" } else { "ignoring" };
        write!(out, " {word} ({})", join(&matching.labels))?;
    }
    if let Some(group) = group {
        write!(out, " {group} ({})", join(&matching.include))?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => write!(out, " fill ({})", format_number_short(left)),
        (left, right) => {
            for (word, value) in [("fill_left", left), ("fill_right", right)] {
                if let Some(value) = value {
                    write!(out, " {word} ({})", format_number_short(value))?;
                }
            }
            Ok(())
        }
    }
}

fn join(labels: &[String]) -> String {
    labels.iter().map(|label| grouping_label(label)).collect::<Vec<_>>().join(", ")
}

/// Returns a label's name as it stands in parentheses, where some words mean something else.
fn grouping_label(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "without" | "inf" | "nan" => quote(name.as_bytes()),
        _ => label_name(name),
    }
}
