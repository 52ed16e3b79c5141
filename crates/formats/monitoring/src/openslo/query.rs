//! Queries of objectives, turned into counts over a window.

use maru_promql::{DurationValue, Expression, MatrixSelector, ParseOptions, Span, format_duration, parse};

/// What people write where the window's length goes, as generators of rules have it.
const PLACEHOLDERS: &[&str] = &["{{.window}}", "{{ .window }}", "$window", "$__range"];

/// How a target's good events are counted over a window: two queries of one value each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// The query of good events.
    pub good: String,
    /// The query of all events.
    pub total: String,
}

fn parsed(query: &str) -> Result<Expression, String> {
    parse(query, &ParseOptions::default()).map_err(|error| format!("the query does not parse: {error}"))
}

/// Tells what is wrong with a query.
pub(super) fn check(query: &str) -> Result<(), String> {
    let text = PLACEHOLDERS.iter().fold(query.to_owned(), |text, place| text.replace(place, "5m"));
    parsed(&text).map(drop)
}

/// Tells whether a query is a selector of a histogram's buckets.
pub(super) fn is_bucket(query: &str) -> bool {
    matches!(parsed(query), Ok(Expression::Vector(selector)) if selector.name.ends_with("_bucket"))
}

/// Returns the query of how many events there were in a window, as one series without labels.
///
/// A query with a place for the window's length is taken as a rate or an increase that people wrote themselves. In others, each
/// selector of a counter becomes its increase; of numbers that are counts by themselves, their sum.
pub(super) fn events(query: &str, is_counter: bool, window_seconds: u64) -> Result<String, String> {
    let range_ms = i64::try_from(window_seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
    if let Some(place) = PLACEHOLDERS.iter().find(|place| query.contains(**place)) {
        let text = query.replace(place, &format_duration(range_ms));
        parsed(&text)?;
        return Ok(format!("sum({text})"));
    }
    let expression = parsed(query)?;
    let function = if is_counter { "increase" } else { "sum_over_time" };
    let mut places: Vec<(Span, String)> = Vec::new();
    let mut wrong = None;
    expression.walk(&mut |node, _| match node {
        Expression::Vector(selector) => {
            let range = DurationValue::Fixed(range_ms);
            let window = MatrixSelector { selector: selector.clone(), range, span: selector.span };
            places.push((selector.span, format!("{function}({window})")));
        }
        Expression::Aggregation(_) | Expression::Binary(_) | Expression::Parentheses(_) | Expression::Number(_) => {}
        Expression::Call(call) if matches!(call.function.name, "label_replace" | "label_join") => {}
        Expression::String(_) => {}
        Expression::Call(_) | Expression::Matrix(_) | Expression::Subquery(_) | Expression::Unary(_) => {
            wrong = Some(
                "cannot be counted over a window: write a selector or a sum of selectors, or a query with {{.window}} in brackets",
            );
        }
    });
    if let Some(why) = wrong {
        return Err(why.to_owned());
    }
    let mut text = query.to_owned();
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, replacement) in places {
        if text.get(span.start..span.end).is_none() {
            return Err("the query cannot be rewritten".to_owned());
        }
        text.replace_range(span.start..span.end, &replacement);
    }
    parsed(&text)?;
    Ok(format!("sum({text})"))
}

/// Returns the selector of one bucket, and the one of all requests.
pub(super) fn buckets(query: &str, bound: &str) -> Result<(String, String), String> {
    let Expression::Vector(selector) = parsed(query)? else {
        return Err("is no selector of buckets".to_owned());
    };
    let with = |bound: &str| {
        let mut one = selector.clone();
        one.matchers.retain(|matcher| matcher.name() != "le");
        let text = one.to_string();
        match text.strip_suffix('}') {
            Some(open) => format!("{open},le={bound}}}"),
            None => format!("{text}{{le={bound}}}"),
        }
    };
    Ok((with(&format!("\"{bound}\"")), with("\"+Inf\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_increases_where_they_stand() {
        let cases = [
            (r#"http_requests_total{code!~"5.."}"#, r#"sum(increase(http_requests_total{code!~"5.."}[1h]))"#),
            ("sum(a) + sum(b offset 5m)", "sum(sum(increase(a[1h])) + sum(increase(b[1h] offset 5m)))"),
            ("sum(rate(a[{{.window}}]))", "sum(sum(rate(a[1h])))"),
        ];
        for (query, expected) in cases {
            assert_eq!(events(query, true, 3600).unwrap(), expected);
        }
        assert_eq!(events("a", false, 3600).unwrap(), "sum(sum_over_time(a[1h]))");
        assert!(events("rate(a[5m])", true, 3600).unwrap_err().contains("{{.window}}"));
        assert!(events("a{", true, 3600).unwrap_err().contains("does not parse"));
    }

    #[test]
    fn a_bucket_is_chosen_by_its_bound() {
        let (good, total) = buckets(r#"d_bucket{service="a",le="9"}"#, "0.1").unwrap();
        assert_eq!(good, r#"d_bucket{service="a",le="0.1"}"#);
        assert_eq!(total, r#"d_bucket{service="a",le="+Inf"}"#);
        assert_eq!(buckets("d_bucket", "0.1").unwrap().0, r#"d_bucket{le="0.1"}"#);
        assert!(is_bucket("d_bucket{a=\"b\"}") && !is_bucket("sum(d_bucket)"));
    }
}
