//! Tree to JSON, as Prometheus' web page gets it from `/api/v1/parse_query`.

use maru_prom::Matcher;
use serde_json::{Value, json};

use super::ast::{
    Aggregation, At, Binary, Call, DurationExpression, DurationValue, Expression, Extension, Grouping, MatrixSelector,
    NumberLiteral, Subquery, VectorMatching, VectorSelector,
};
use super::quote::format_number;

/// Returns the tree as JSON.
#[must_use]
pub fn to_json(expression: &Expression) -> Value {
    // The parts are made first, so that little is kept while going down a deep tree.
    with_parts(expression, expression.children().into_iter().map(to_json).collect())
}

fn with_parts(expression: &Expression, parts: Vec<Value>) -> Value {
    let mut parts = parts.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    match expression {
        Expression::Number(node) => json!({ "type": "numberLiteral", "val": format_number(node.value) }),
        Expression::String(node) => json!({ "type": "stringLiteral", "val": node.text() }),
        Expression::Parentheses(_) => json!({ "type": "parenExpr", "expr": part() }),
        Expression::Unary(node) => json!({ "type": "unaryExpr", "op": node.operator.symbol(), "expr": part() }),
        Expression::Vector(node) => selector(node, "vectorSelector"),
        Expression::Matrix(node) => window(node),
        Expression::Subquery(node) => subquery(node, part()),
        Expression::Call(node) => call(node, parts.collect()),
        Expression::Aggregation(node) => {
            let parameter = if node.parameter.is_some() { part() } else { Value::Null };
            aggregation(node, parameter, part())
        }
        Expression::Binary(node) => {
            let left = part();
            binary(node, left, part())
        }
    }
}

fn window(node: &MatrixSelector) -> Value {
    let mut out = selector(&node.selector, "matrixSelector");
    out["range"] = fixed(&node.range);
    out["rangeExpr"] = computed(&node.range);
    out
}

fn subquery(node: &Subquery, inner: Value) -> Value {
    let step = node.step.as_ref().unwrap_or(&DurationValue::ZERO);
    json!({
        "type": "subquery",
        "expr": inner,
        "range": fixed(&node.range),
        "rangeExpr": computed(&node.range),
        "offset": fixed(&node.offset),
        "offsetExpr": computed(&node.offset),
        "step": fixed(step),
        "stepExpr": computed(step),
        "timestamp": timestamp(node.at),
        "startOrEnd": start_or_end(node.at),
    })
}

fn call(node: &Call, arguments: Vec<Value>) -> Value {
    json!({
        "type": "call",
        "func": {
            "name": node.function.name,
            "argTypes": node.function.arguments.iter().map(|argument| argument.name()).collect::<Vec<_>>(),
            "variadic": node.function.variadic,
            "returnType": node.function.returns.name(),
        },
        "args": arguments,
    })
}

fn aggregation(node: &Aggregation, parameter: Value, inner: Value) -> Value {
    let (labels, without) = match &node.grouping {
        Grouping::By(labels) => (labels, false),
        Grouping::Without(labels) => (labels, true),
    };
    json!({
        "type": "aggregation",
        "op": node.operator.name(),
        "expr": inner,
        "param": parameter,
        "grouping": labels,
        "without": without,
    })
}

fn binary(node: &Binary, left: Value, right: Value) -> Value {
    json!({
        "type": "binaryExpr",
        "op": node.operator.symbol(),
        "lhs": left,
        "rhs": right,
        "matching": node.matching.as_ref().map(matching),
        "bool": node.returns_bool,
    })
}

fn selector(node: &VectorSelector, kind: &str) -> Value {
    json!({
        "type": kind,
        "name": node.name,
        "offset": fixed(&node.offset),
        "offsetExpr": computed(&node.offset),
        "matchers": node.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(node.at),
        "startOrEnd": start_or_end(node.at),
        "anchored": node.extension == Extension::Anchored,
        "smoothed": node.extension == Extension::Smoothed,
    })
}

fn matcher(matcher: &Matcher) -> Value {
    json!({ "name": matcher.name(), "value": matcher.value(), "type": matcher.operator().to_string() })
}

fn matching(matching: &VectorMatching) -> Value {
    json!({
        "card": matching.cardinality.name(),
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn timestamp(at: Option<At>) -> Value {
    match at {
        Some(At::Timestamp(ms)) => json!(ms),
        Some(At::Start | At::End) | None => Value::Null,
    }
}

fn start_or_end(at: Option<At>) -> Value {
    match at {
        Some(At::Start) => json!("start"),
        Some(At::End) => json!("end"),
        Some(At::Timestamp(_)) | None => Value::Null,
    }
}

/// Returns the milliseconds of a fixed length of time; 0 for a computed one.
fn fixed(value: &DurationValue) -> Value {
    match value {
        DurationValue::Fixed(ms) => json!(ms),
        DurationValue::Computed(_) => json!(0),
    }
}

fn computed(value: &DurationValue) -> Value {
    match value {
        DurationValue::Fixed(_) => Value::Null,
        DurationValue::Computed(expression) => duration(expression, false),
    }
}

fn duration(expression: &DurationExpression, wrapped: bool) -> Value {
    let node = |operator: &str, left: Value, right: Value| json!({ "type": "durationExpr", "op": operator, "lhs": left, "rhs": right, "wrapped": wrapped });
    match expression {
        DurationExpression::Number(number) if wrapped => node("+", Value::Null, literal(number)),
        DurationExpression::Number(number) => literal(number),
        DurationExpression::Step(_) => node("step", Value::Null, Value::Null),
        DurationExpression::Range(_) => node("range", Value::Null, Value::Null),
        DurationExpression::Negative(inner, _) => node("-", Value::Null, duration(inner, false)),
        DurationExpression::Parentheses(inner, _) => duration(inner, true),
        DurationExpression::Binary(operator, left, right, _) => {
            node(operator.symbol(), duration(left, false), duration(right, false))
        }
        DurationExpression::MinOf(left, right, _) => node("min_of", duration(left, false), duration(right, false)),
        DurationExpression::MaxOf(left, right, _) => node("max_of", duration(left, false), duration(right, false)),
    }
}

fn literal(number: &NumberLiteral) -> Value {
    json!({ "type": "numberLiteral", "val": format_number(number.value), "duration": number.is_duration })
}
