//! Questions to Prometheus' HTTP API.

use std::collections::BTreeMap;
use std::pin::Pin;

use bytes::Bytes;
use http::Request;
use maru_http::{Body, BodyError, Handler, collect_limited};
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

    async fn call(&self, path: &str, query: &str, parameters: &[(&str, String)]) -> Result<Value, AskError> {
        let wrong = |why: String| AskError { query: query.to_owned(), why };
        let mut form = format!("query={}", encode(query));
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", encode(value)));
        }
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(maru_http::full(form))
            .map_err(|error| wrong(error.to_string()))?;
        let response = self.0.call(request).await;
        let body = read(response.into_body()).await.map_err(wrong)?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
        if answer["status"] == "success" {
            return Ok(answer["data"].take());
        }
        Err(wrong(answer["error"].as_str().unwrap_or("no reason was given").to_owned()))
    }
}

/// The compiler sees that the future may be sent only where its type is written down.
async fn read(body: Body) -> Result<Vec<u8>, String> {
    let reading: Pin<Box<dyn Future<Output = Result<Bytes, BodyError>> + Send>> =
        Box::pin(collect_limited(body, ANSWER_BYTES_MAX));
    reading.await.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
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
