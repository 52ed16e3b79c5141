//! Questions to Prometheus' HTTP API.

use std::collections::BTreeMap;

use http::Request;
use maru_http::{Handler, collect_limited};
use maru_time::Timestamp;
use serde_json::Value;

/// How much an answer may hold.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("the metrics API does not answer \"{query}\": {why}")]
pub(crate) struct AskError {
    query: String,
    why: String,
}

/// The metrics API, in process or elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(pub(crate) Handler);

impl Metrics {
    /// Returns the series of an instant query: labels and value.
    pub(crate) async fn query(
        &self,
        query: &str,
        at: Timestamp,
    ) -> Result<Vec<(BTreeMap<String, String>, f64)>, AskError> {
        let time = seconds(at);
        let data = self.call("/api/v1/query", query, &[("time", time)]).await?;
        let series = data["result"].as_array().into_iter().flatten();
        Ok(series
            .filter_map(|one| {
                let labels = one["metric"].as_object()?.iter();
                let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
                Some((labels.collect(), number(&one["value"][1])?))
            })
            .collect())
    }

    /// Returns the values of a query that gives one series, at `start`, `start + step` … `end`; none where there is no value.
    pub(crate) async fn steps(
        &self,
        query: &str,
        start: Timestamp,
        end: Timestamp,
        step_seconds: u64,
    ) -> Result<Vec<Option<f64>>, AskError> {
        let parameters = [("start", seconds(start)), ("end", seconds(end)), ("step", step_seconds.to_string())];
        let data = self.call("/api/v1/query_range", query, &parameters).await?;
        let step_ms = i64::try_from(step_seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000).max(1);
        let count = (end.as_millisecond() - start.as_millisecond()) / step_ms + 1;
        let mut values = vec![None; usize::try_from(count).unwrap_or(0)];
        for point in data["result"][0]["values"].as_array().into_iter().flatten() {
            let Some(at) = point[0].as_f64() else { continue };
            #[expect(clippy::cast_possible_truncation, reason = "times of this millennium fit")]
            let index = ((at * 1000.0).round() as i64 - start.as_millisecond()) / step_ms;
            if let Some(value) = usize::try_from(index).ok().and_then(|index| values.get_mut(index)) {
                *value = number(&point[1]);
            }
        }
        Ok(values)
    }

    /// Returns what rules would have done between two moments, looked at each minute.
    pub(crate) async fn rehearse(&self, rules: &str, from: Timestamp, to: Timestamp) -> Result<Value, AskError> {
        let path = format!("/api/v1/rules/rehearse?start={}&end={}&step=60", seconds(from), seconds(to));
        self.post("a rehearsal", &path, "application/yaml", rules.to_owned()).await
    }

    async fn call(&self, path: &str, query: &str, parameters: &[(&str, String)]) -> Result<Value, AskError> {
        let mut form = format!("query={}", encode(query));
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", encode(value)));
        }
        self.post(query, path, "application/x-www-form-urlencoded", form).await
    }

    async fn post(&self, query: &str, path: &str, kind: &str, body: String) -> Result<Value, AskError> {
        let wrong = |why: String| AskError { query: query.to_owned(), why };
        let request = Request::post(path)
            .header("content-type", kind)
            .body(maru_http::full(body))
            .map_err(|error| wrong(error.to_string()))?;
        let response = self.0.call(request).await;
        let body =
            collect_limited(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| wrong(error.to_string()))?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
        if answer["status"] == "success" {
            return Ok(answer["data"].take());
        }
        Err(wrong(answer["error"].as_str().unwrap_or("no reason was given").to_owned()))
    }
}

fn seconds(at: Timestamp) -> String {
    let ms = at.as_millisecond();
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn number(value: &Value) -> Option<f64> {
    value.as_str().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite())
}
