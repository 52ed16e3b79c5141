//! Tree to text over several lines, as `promtool promql format` lays it out.
//!
//! What fits one line stays on one; else an operator, a call or an aggregation puts its parts on lines of their own.

use std::fmt::{self, Write as _};

use super::ast::Expression;
use super::print::{write_aggregation_head, write_operator, write_subquery_suffix};

/// The most bytes that a part keeps on one line.
const LINE_BYTES_MAX: usize = 100;

/// Returns `expression` over as many lines as are good to read.
#[must_use]
pub fn pretty(expression: &Expression) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write_pretty(expression, 0, &mut out).unwrap_or_default();
    out
}

fn write_pretty(expression: &Expression, level: usize, out: &mut String) -> fmt::Result {
    let is_one_line = fits(expression);
    match expression {
        // A subquery's inside is indented by itself.
        Expression::Subquery(node) if !is_one_line => {
            write_pretty(&node.expression, level, out)?;
            write_subquery_suffix(node, out)
        }
        Expression::Subquery(_) => write!(out, "{expression}"),
        Expression::Binary(node) if !is_one_line => {
            write_pretty(&node.left, level + 1, out)?;
            out.push('\n');
            indent(level, out);
            write_operator(node, out)?;
            out.push('\n');
            write_pretty(&node.right, level + 1, out)
        }
        Expression::Unary(node) => {
            indent(level, out);
            out.push_str(node.operator.symbol());
            let mut inner = String::new();
            write_pretty(&node.expression, level, &mut inner)?;
            out.push_str(inner.trim());
            Ok(())
        }
        Expression::Aggregation(node) if !is_one_line => {
            indent(level, out);
            write_aggregation_head(node, out)?;
            out.push_str("(\n");
            if let Some(parameter) = &node.parameter {
                write_pretty(parameter, level + 1, out)?;
                out.push_str(",\n");
            }
            write_pretty(&node.expression, level + 1, out)?;
            close(level, out);
            Ok(())
        }
        Expression::Call(node) if !is_one_line => {
            indent(level, out);
            out.push_str(node.function.name);
            out.push_str("(\n");
            for (index, argument) in node.arguments.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                write_pretty(argument, level + 1, out)?;
            }
            close(level, out);
            Ok(())
        }
        Expression::Parentheses(node) if !is_one_line => {
            indent(level, out);
            out.push_str("(\n");
            write_pretty(&node.expression, level + 1, out)?;
            close(level, out);
            Ok(())
        }
        Expression::Number(_)
        | Expression::String(_)
        | Expression::Vector(_)
        | Expression::Matrix(_)
        | Expression::Binary(_)
        | Expression::Aggregation(_)
        | Expression::Call(_)
        | Expression::Parentheses(_) => {
            indent(level, out);
            write!(out, "{expression}")
        }
    }
}

fn close(level: usize, out: &mut String) {
    out.push('\n');
    indent(level, out);
    out.push(')');
}

fn indent(level: usize, out: &mut String) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// Tells whether an expression is short; stops writing where it is not.
fn fits(expression: &Expression) -> bool {
    write!(Room(LINE_BYTES_MAX), "{expression}").is_ok()
}

/// Bytes that are left on a line.
struct Room(usize);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}
