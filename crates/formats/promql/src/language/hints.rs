//! What to write instead, for the mistakes that people make most.

use super::ast::Expression;
use super::functions::{FUNCTIONS, Function};
use super::operators::{Aggregator, BinaryOperator};
use super::parser::{Context, Parser};
use super::token::{Keyword, TokenKind};
use super::types::Type;

/// Names from other languages and from earlier versions.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("average", "avg"),
    ("ceiling", "ceil"),
    ("count_distinct", "count(count by (label) (…))"),
    ("derivative", "deriv"),
    ("distinct", "count by (label) (…)"),
    ("holt_winters", "double_exponential_smoothing"),
    ("if", "a comparison such as `x > 0`, or `and`"),
    ("last", "last_over_time"),
    ("length", "count_over_time or count"),
    ("log", "ln, log2 or log10"),
    ("mean", "avg"),
    ("median", "quantile(0.5, …)"),
    ("now", "time"),
    ("percentile", "quantile, or histogram_quantile for histograms"),
    ("pow", "the operator ^"),
    ("power", "the operator ^"),
    ("sign", "sgn"),
    ("std", "stddev"),
    ("variance", "stdvar"),
];

/// Words of SQL and what stands for them.
const SQL_WORDS: &[(&str, &str)] = &[
    ("between", "compare twice: `x >= 1 and x <= 2`"),
    ("case", "use a comparison, or `and` and `or`"),
    ("from", "write the metric's name inside the function: sum(metric)"),
    ("group", "grouping stands behind the aggregation's name: sum by (label) (…)"),
    ("having", "compare the aggregation: sum by (label) (…) > 10"),
    ("in", "use a regular expression: {label=~\"a|b\"}"),
    ("is", "an absent label has the empty value: {label=\"\"}"),
    ("like", "use a regular expression: {label=~\"a.*\"}"),
    ("limit", "use topk(10, …) or limitk(10, …)"),
    ("not", "use `unless`, or != and !~ in braces"),
    ("order", "use sort(…) or sort_desc(…)"),
    ("select", "a query is an expression: write the metric's name, or sum by (label) (metric)"),
    ("where", "conditions stand in braces: metric{label=\"value\"}"),
];

/// The most bytes of a query that a hint repeats.
const EXAMPLE_BYTES_MAX: usize = 80;

pub(super) fn feature(name: &str) -> Option<String> {
    Some(format!("it is experimental: switch on the feature {name}"))
}

pub(super) fn number(text: &str) -> Option<String> {
    let has_unit = text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.starts_with("0x");
    has_unit.then(|| "units are y, w, d, h, m, s, ms in this order with whole numbers, such as 1h30m".to_owned())
}

pub(super) fn aggregation_form(operator: Aggregator) -> String {
    let parameter = match operator {
        Aggregator::CountValues => "\"label\", ",
        Aggregator::Quantile => "0.9, ",
        Aggregator::LimitRatio => "0.1, ",
        Aggregator::Topk | Aggregator::Bottomk | Aggregator::Limitk => "5, ",
        _ => "",
    };
    format!("it is called as {operator} by (label) ({parameter}metric)")
}

/// Returns what a function that does not exist was meant to be.
pub(super) fn function(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if let Some((_, instead)) = OTHER_NAMES.iter().find(|(other, _)| *other == lower) {
        return Some(format!("use {instead}"));
    }
    let names = FUNCTIONS.iter().map(|function| function.name).chain(Aggregator::ALL.into_iter().map(Aggregator::name));
    let (distance, nearest) = names.map(|known| (distance(&lower, known), known)).min()?;
    (distance <= 1 + lower.len() / 4).then(|| format!("did you mean {nearest}?"))
}

/// Returns how many characters must be put in, taken out or changed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    // A name longer than any function is no slip of the finger.
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.chars().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Returns how a function is called: `rate(range vector)`.
pub(super) fn signature(function: &Function) -> String {
    let mut out = format!("{}(", function.name);
    for (index, argument) in function.arguments.iter().enumerate() {
        let is_last = index + 1 == function.arguments.len();
        out.push_str(if index > 0 { ", " } else { "" });
        match (is_last, function.variadic) {
            (true, 1) => out.push_str(&format!("[{argument}]")),
            (true, variadic) if variadic != 0 => out.push_str(&format!("[{argument}, …]")),
            _ => out.push_str(&argument.to_string()),
        }
    }
    out.push(')');
    out
}

/// Says what to do about an argument of the wrong type.
pub(super) fn argument(
    function: &Function,
    index: usize,
    wanted: Type,
    found: Type,
    given: &Expression,
) -> Option<String> {
    let name = function.name;
    match (wanted, found) {
        (Type::Matrix, Type::Vector) => Some(match given.inner() {
            Expression::Vector(selector) if function.arguments.len() == 1 => {
                format!("give it a window of samples: {name}({}[5m])", example(&Expression::Vector(selector.clone())))
            }
            Expression::Aggregation(node) if function.arguments.len() == 1 => {
                format!("do it the other way round: {} of {name}(metric[5m])", node.operator)
            }
            _ => "give it a window: [5m] behind a selector, or [1h:1m] behind an expression".to_owned(),
        }),
        (Type::Vector, Type::Matrix) => wants_vector(found, given),
        (Type::Vector, Type::Scalar) => Some("make a vector of the number: vector(1)".to_owned()),
        (Type::Scalar, Type::Vector) => Some("make a number of a vector with one series: scalar(…)".to_owned()),
        (Type::String, _) => Some("put the text in quotes".to_owned()),
        _ => Some(format!("argument {} of {} is a {wanted}", index + 1, signature(function))),
    }
}

pub(super) fn wants_vector(found: Type, given: &Expression) -> Option<String> {
    match (found, given.inner()) {
        (Type::Matrix, Expression::Matrix(matrix)) => {
            let matrix = example(&Expression::Matrix(matrix.clone()));
            Some(format!("put a function over the window, such as rate({matrix}) or avg_over_time({matrix})"))
        }
        (Type::Matrix, _) => Some("put a function over the window, such as avg_over_time(…[1h:1m])".to_owned()),
        (Type::Scalar, _) => Some("make a vector of the number: vector(1)".to_owned()),
        _ => None,
    }
}

fn example(expression: &Expression) -> String {
    let written = expression.to_string();
    if written.len() <= EXAMPLE_BYTES_MAX { written } else { "…".to_owned() }
}

pub(super) fn subquery_of(inner: Type) -> Option<String> {
    match inner {
        Type::Matrix => Some("a window cannot have a window: put a function such as rate between the two".to_owned()),
        Type::Scalar => Some("make a vector of the number: vector(1)".to_owned()),
        Type::String | Type::Vector => None,
    }
}

pub(super) fn range_of(expression: &Expression) -> Option<String> {
    match expression.inner() {
        Expression::Matrix(_) => Some("there is a window already".to_owned()),
        Expression::Call(_) | Expression::Aggregation(_) | Expression::Binary(_) | Expression::Vector(_) => {
            Some("a window over an expression is a subquery, with a colon: (…)[5m:]".to_owned())
        }
        _ => None,
    }
}

pub(super) fn modifier_place(modifier: &str) -> String {
    format!("put it right behind the selector: rate(metric[5m] {modifier})")
}

pub(super) fn regex(pattern: &str) -> Option<String> {
    if pattern.starts_with('*') {
        return Some("`.*` matches any text; `*` alone repeats what stands before it".to_owned());
    }
    None
}

/// Says what to do about a word that the lexer does not know.
pub(super) fn lexer(parser: &Parser<'_>, message: &str) -> Option<String> {
    let shown = |character: char| message.contains(&format!("'{character}'"));
    let hint = if message.starts_with("unclosed left parenthesis") {
        return unclosed(parser);
    } else if message.contains("unterminated quoted string") {
        "close the quotes on the same line; a text in backquotes may have several lines"
    } else if shown('&') {
        "use `and`"
    } else if shown('|') {
        "use `or`"
    } else if shown('$') {
        "a variable such as $__rate_interval is of a dashboard, which did not put a value in its place"
    } else if shown('.') {
        "a name with dots stands in quotes and braces: {\"my.metric\"}"
    } else if ['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'].into_iter().any(shown) {
        "use straight quotes: \""
    } else if shown(';') {
        "a query is one expression without a semicolon"
    } else if message.starts_with("unexpected character after '!'") {
        "compare with !=; to leave series out use `unless`"
    } else if message.starts_with("unexpected character after '='") {
        "regular expressions stand in braces: metric{label=~\"a.*\"}"
    } else if message.contains("inside braces: ':'") {
        "conditions are written label=\"value\""
    } else if message.starts_with("bad number or duration") {
        "units are y, w, d, h, m, s, ms, such as 1h30m"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// Names the parenthesis that is not closed.
fn unclosed(parser: &Parser<'_>) -> Option<String> {
    let mut open = Vec::new();
    for token in &parser.tokens {
        match token.kind {
            TokenKind::LeftParenthesis => open.push(token.span.start + 1),
            TokenKind::RightParenthesis => drop(open.pop()),
            _ => {}
        }
    }
    open.last().map(|position| format!("the parenthesis at character {position} is not closed"))
}

/// Says what to do about a word that does not fit.
pub(super) fn unexpected(parser: &Parser<'_>, context: Context) -> Option<String> {
    let token = parser.peek();
    let text = parser.text_of(token);
    let before = parser.index.checked_sub(1).and_then(|index| parser.tokens.get(index)).copied();
    let kind_before = before.map(|token| token.kind);
    let hint = match (context.place, token.kind) {
        ("label matching", TokenKind::Identifier) if context.expected == "string" => {
            return Some(format!("put the value in quotes: \"{text}\""));
        }
        ("label matching", TokenKind::Assign) => "a single = is enough: {label=\"value\"}",
        ("label matching", TokenKind::String) => "put a comma between two conditions",
        ("grouping opts", _) if context.expected == "\"(\"" => {
            return Some(format!("put the labels in parentheses: ({text})"));
        }
        ("grouping opts", TokenKind::Assign | TokenKind::Operator(_)) => {
            "only labels' names stand here; conditions stand in the selector's braces"
        }
        ("subquery or range selector", TokenKind::RightBracket) => "write the window's length: [5m]",
        (_, TokenKind::Assign) => "compare with ==",
        (_, TokenKind::Keyword(Keyword::By | Keyword::Without)) => {
            "by and without stand next to an aggregation's name or behind its parentheses: sum by (label) (…)"
        }
        (_, TokenKind::Keyword(Keyword::On | Keyword::Ignoring)) => "it stands right behind a binary operator",
        (_, TokenKind::Keyword(Keyword::GroupLeft | Keyword::GroupRight)) => "it stands behind on (…) or ignoring (…)",
        (_, TokenKind::Keyword(Keyword::Bool)) => "bool stands right behind a comparison",
        (_, TokenKind::Operator(BinaryOperator::Greater)) if kind_before == less() => "unequal is !=",
        (_, TokenKind::LeftBrace) if kind_before == Some(TokenKind::RightParenthesis) => {
            "conditions stand behind the metric's name, inside the function's parentheses"
        }
        (_, TokenKind::Duration) => "a window stands in brackets: metric[5m]",
        (_, TokenKind::End) => "something is missing at the end",
        (_, TokenKind::Identifier | TokenKind::Aggregator(_)) => {
            return sql(parser, text, before.map(|t| parser.text_of(t)));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn less() -> Option<TokenKind> {
    Some(TokenKind::Operator(BinaryOperator::Less))
}

fn sql(parser: &Parser<'_>, text: &str, before: Option<&str>) -> Option<String> {
    let lookup = |word: &str| {
        let lower = word.to_ascii_lowercase();
        SQL_WORDS.iter().find(|(sql, _)| *sql == lower).map(|(_, instead)| (*instead).to_owned())
    };
    // "select x": the first word passes as a metric's name.
    lookup(text).or_else(|| before.and_then(lookup)).or_else(|| {
        let is_behind_value = before.is_some_and(|before| !before.is_empty()) && parser.index > 0;
        is_behind_value.then(|| "put an operator between the two, or a comma inside a call".to_owned())
    })
}
