//! The same query with `@` at all its selectors: evaluated at any time it must answer the same.

use maru_promql::{At, Expression, ParseOptions};

/// Functions that look at the evaluation's time, or at the time of samples that `@` changes.
const TIME_FUNCTIONS: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// Returns the query pinned to `at_ms` and the moments to evaluate it at; none when it looks at the time.
pub(crate) fn pinned(query: &str, at_ms: i64, options: &ParseOptions) -> Result<Option<(String, Vec<i64>)>, String> {
    let mut expression = maru_promql::parse(query, options).map_err(|error| error.to_string())?;
    let mut looks_at_time = false;
    pin(&mut expression, at_ms, &mut looks_at_time);
    if looks_at_time {
        return Ok(None);
    }
    let moments = if at_ms == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at_ms, 0, at_ms / 5, at_ms, 10 * at_ms] };
    Ok(Some((expression.to_string(), moments)))
}

fn pin(expression: &mut Expression, at_ms: i64, looks_at_time: &mut bool) {
    let at = Some(At::Timestamp(at_ms));
    match expression {
        Expression::Number(_) | Expression::String(_) => {}
        Expression::Vector(selector) => selector.at = selector.at.or(at),
        Expression::Matrix(matrix) => matrix.selector.at = matrix.selector.at.or(at),
        // What is inside of a pinned subquery moves with it.
        Expression::Subquery(subquery) => {
            subquery.at = subquery.at.or(at);
        }
        Expression::Call(call) => {
            *looks_at_time |= TIME_FUNCTIONS.contains(&call.function.name);
            for argument in &mut call.arguments {
                pin(argument, at_ms, looks_at_time);
            }
        }
        Expression::Aggregation(aggregation) => {
            if let Some(parameter) = &mut aggregation.parameter {
                pin(parameter, at_ms, looks_at_time);
            }
            pin(&mut aggregation.expression, at_ms, looks_at_time);
        }
        Expression::Binary(binary) => {
            pin(&mut binary.left, at_ms, looks_at_time);
            pin(&mut binary.right, at_ms, looks_at_time);
        }
        Expression::Unary(unary) => pin(&mut unary.expression, at_ms, looks_at_time),
        Expression::Parentheses(parentheses) => pin(&mut parentheses.expression, at_ms, looks_at_time),
    }
}
