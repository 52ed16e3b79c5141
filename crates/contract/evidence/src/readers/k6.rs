//! The end-of-test summary of k6, as `--summary-export` writes it or `handleSummary` is given it; since k6 1 also the
//! "machine-readable" one, which has neither thresholds nor other percentiles than the 90th and 95th.
//!
//! Source: the summaries of k6 0.50 to 1.8.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maru_api::Window;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::load::Run;
use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, too_many};
use crate::record::EvidenceKind;

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    metrics: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    state: State,
    // Of the machine-readable form:
    #[serde(default)]
    results: Results,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    #[serde(default)]
    test_run_duration_ms: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Results {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    values: Value,
}

#[derive(Default, Deserialize)]
struct Config {
    /// In seconds.
    #[serde(default)]
    duration: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    generated_at: Option<Timestamp>,
    #[serde(default)]
    k6_version: Option<String>,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    if report.trim_ascii_start().starts_with(b"{\"type\":\"Metric\"") {
        let why = "it is the stream of `--out json`; give the summary, as `--summary-export` writes it";
        return Err(malformed(Format::K6, why));
    }
    let mut summary: Summary = from_json(Format::K6, report)?;
    let listed = std::mem::take(&mut summary.results.metrics);
    summary.metrics.extend(listed.into_iter().map(|metric| {
        let fields = Map::from_iter([("values".to_owned(), metric.values)]);
        (metric.name, fields)
    }));
    if summary.metrics.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::K6, "metrics"));
    }
    let count =
        number(&summary, "http_reqs", "count").ok_or_else(|| malformed(Format::K6, "it has no http_reqs.count"))?;
    let answered = whole(count).ok_or_else(|| malformed(Format::K6, "http_reqs.count is no count"))?;
    // `passes` of this rate are the requests of which it is true that they failed.
    let failed = ["passes", "matches"].iter().find_map(|key| number(&summary, "http_req_failed", key));
    let failed = failed.and_then(whole).unwrap_or_default();
    let rate = number(&summary, "http_reqs", "rate").filter(|rate| *rate > 0.0);
    let duration = summary.state.test_run_duration_ms.map(|millis| millis / 1e3).or(summary.config.duration);
    let latency = values(&summary, "http_req_duration");
    let percentiles = latency
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            let share = match key.as_str() {
                "med" => 0.5,
                _ => {
                    let share = key.strip_prefix('p')?;
                    let share = share.strip_prefix('(').and_then(|share| share.strip_suffix(')')).unwrap_or(share);
                    share.parse::<f64>().ok()? / 100.0
                }
            };
            let millis = value.as_f64()?;
            (0.0..=1.0).contains(&share).then_some((share, millis / 1e3))
        })
        .collect();
    let run = Run {
        answered,
        failed: failed.min(answered),
        seconds: duration.or_else(|| rate.map(|rate| count / rate)),
        percentiles,
        slowest: number(&summary, "http_req_duration", "max").map(|millis| millis / 1e3),
        thresholds: thresholds(&summary),
        ..Run::default()
    };
    Ok(Report {
        kind: EvidenceKind::Load,
        tool: "k6".to_owned(),
        version: summary.metadata.k6_version.unwrap_or_default().chars().take(100).collect(),
        window: summary.metadata.generated_at.zip(duration).and_then(|(to, seconds)| {
            let length = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
            Some(Window { from: to.checked_sub(length).ok()?, to })
        }),
        content: Content::Load(run),
    })
}

/// A metric's numbers: under `values` in one form, beside the thresholds in the other.
fn values<'a>(summary: &'a Summary, metric: &str) -> Option<&'a Map<String, Value>> {
    let metric = summary.metrics.get(metric)?;
    metric.get("values").and_then(Value::as_object).or(Some(metric))
}

fn number(summary: &Summary, metric: &str, key: &str) -> Option<f64> {
    values(summary, metric)?.get(key)?.as_f64()
}

fn whole(value: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    let whole = (0.0..9e15).contains(&value).then_some(value as u64);
    whole
}

/// One form says `{"ok": true}`, the other whether it was crossed: `true` is bad there.
fn thresholds(summary: &Summary) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for (metric, fields) in &summary.metrics {
        for (rule, result) in fields.get("thresholds").and_then(Value::as_object).into_iter().flatten() {
            let holds = match result {
                Value::Bool(crossed) => Some(!crossed),
                other => other.get("ok").and_then(Value::as_bool),
            };
            if let Some(holds) = holds {
                all.push((super::note(&format!("{metric} {rule}")), holds));
            }
        }
    }
    all
}
