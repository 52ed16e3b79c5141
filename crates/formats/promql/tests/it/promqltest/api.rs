//! Answers of the HTTP API.

use maru_prom::Labels;
use serde_json::Value;

use super::judge::{Answer, Bucketed, Reply, Seen, SeenRow};

/// Reads the body of `/api/v1/query` or `/api/v1/query_range`; the error of a query that failed is its `error`.
pub(crate) fn reply(body: &Value) -> Result<Reply, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if body["status"] != "success" {
        return Err(text(&body["error"]));
    }
    let result = &body["data"]["result"];
    let answer = match body["data"]["resultType"].as_str() {
        Some("scalar") => Answer::Scalar(float(&result[1])?),
        Some("string") => Answer::Text(text(&result[1])),
        Some("vector") => Answer::Vector(all(result, sample)?),
        Some("matrix") => Answer::Matrix(all(result, row)?),
        other => return Err(format!("the API answered with the type {other:?}")),
    };
    let texts = |key: &str| body[key].as_array().map(|texts| texts.iter().map(text).collect()).unwrap_or_default();
    Ok(Reply { answer, warnings: texts("warnings"), infos: texts("infos") })
}

fn all<T>(values: &Value, read: fn(&Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    values.as_array().ok_or_else(|| format!("expected a list, got {values}"))?.iter().map(read).collect()
}

fn labels(metric: &Value) -> Result<Labels, String> {
    let pairs = metric.as_object().ok_or_else(|| format!("expected labels, got {metric}"))?;
    Ok(Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))))
}

fn sample(value: &Value) -> Result<(Labels, Seen), String> {
    let labels = labels(&value["metric"])?;
    match (value.get("value"), value.get("histogram")) {
        (Some(pair), None) => Ok((labels, Seen::Float(float(&pair[1])?))),
        (None, Some(pair)) => Ok((labels, Seen::Bucketed(bucketed(&pair[1])?))),
        _ => Err(format!("expected a float or a histogram: {value}")),
    }
}

fn row(value: &Value) -> Result<SeenRow, String> {
    let labels = labels(&value["metric"])?;
    let mut points = Vec::new();
    for pair in value["values"].as_array().into_iter().flatten() {
        points.push((timestamp_ms(&pair[0])?, Seen::Float(float(&pair[1])?)));
    }
    for pair in value["histograms"].as_array().into_iter().flatten() {
        points.push((timestamp_ms(&pair[0])?, Seen::Bucketed(bucketed(&pair[1])?)));
    }
    points.sort_by_key(|(at, _)| *at);
    Ok(SeenRow { labels, points })
}

/// Reads seconds, exact to the millisecond.
fn timestamp_ms(value: &Value) -> Result<i64, String> {
    let seconds = value.as_f64().ok_or_else(|| format!("expected seconds, got {value}"))?;
    format!("{:.0}", seconds * 1000.0).parse().map_err(|_| format!("{value} is no time"))
}

fn float(value: &Value) -> Result<f64, String> {
    let text = value.as_str().ok_or_else(|| format!("expected a number as text, got {value}"))?;
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn bucketed(value: &Value) -> Result<Bucketed, String> {
    let mut buckets = Vec::new();
    for bucket in value["buckets"].as_array().into_iter().flatten() {
        let bounds = bucket[0].as_u64().and_then(|bounds| u8::try_from(bounds).ok());
        let bounds = bounds.ok_or_else(|| format!("expected a bucket, got {bucket}"))?;
        buckets.push((bounds, float(&bucket[1])?, float(&bucket[2])?, float(&bucket[3])?));
    }
    Ok(Bucketed { count: float(&value["count"])?, sum: float(&value["sum"])?, buckets })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_all_types_are_read() {
        let of = |data: Value| reply(&json!({"status": "success", "data": data, "infos": ["i"]})).unwrap();
        let scalar = of(json!({"resultType": "scalar", "result": [1.5, "+Inf"]}));
        assert_eq!((scalar.answer, scalar.infos), (Answer::Scalar(f64::INFINITY), vec!["i".to_owned()]));
        let row = json!({"metric": {"a": "b"}, "values": [[1.001, "2"]],
            "histograms": [[0, {"count": "1", "sum": "2", "buckets": [[0, "1", "2", "1"]]}]]});
        let matrix = of(json!({"resultType": "matrix", "result": [row]}));
        let histogram = Bucketed { count: 1.0, sum: 2.0, buckets: vec![(0, 1.0, 2.0, 1.0)] };
        let points = vec![(0, Seen::Bucketed(histogram)), (1001, Seen::Float(2.0))];
        assert_eq!(matrix.answer, Answer::Matrix(vec![SeenRow { labels: Labels::from_pairs([("a", "b")]), points }]));
        assert_eq!(reply(&json!({"status": "error", "error": "no"})), Err("no".to_owned()));
    }
}
