//! A sentence into an objective: "99.9 % of a day's API responses within 100 ms", "하루 API 응답의 99.9%가 100ms 이내".

use maru_requirements::{Quantity, find_quantities};
use serde_json::{Value, json};

/// What the sentence does not say: of which service, and where its numbers are.
#[derive(Debug, Clone, Default)]
pub struct SentenceContext {
    /// The service.
    pub service: String,
    /// The selector of the histogram's buckets; none: the gateway's of this service.
    pub buckets: Option<String>,
    /// The selector of good events, and that of all; none: what the gateway answered without a server's error.
    pub events: Option<(String, String)>,
    /// The time zone in which a day begins.
    pub zone: String,
}

/// Why a sentence is no objective.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SentenceError {
    /// It says no share.
    #[error("the sentence \"{0}\" says no share; write for example \"99.9 % of a day's responses within 100 ms\"")]
    NoShare(String),
    /// It says several.
    #[error("the sentence \"{0}\" says {1}; write one objective a sentence")]
    Several(String, &'static str),
    /// It says no time over which it holds.
    #[error(
        "the sentence \"{0}\" does not say over which time; write for example \"of a day's\", \"a month\", \"하루\", \"한 달\""
    )]
    NoWindow(String),
}

/// Words for the time over which it holds, the longer ones first, with OpenSLO's duration.
const WINDOWS: &[(&str, &str)] = &[
    ("quarter", "1Q"),
    ("분기", "1Q"),
    ("month", "1M"),
    ("한 달", "1M"),
    ("한달", "1M"),
    ("매월", "1M"),
    ("매달", "1M"),
    ("월간", "1M"),
    ("week", "1w"),
    ("일주일", "1w"),
    ("한 주", "1w"),
    ("매주", "1w"),
    ("주간", "1w"),
    ("daily", "1d"),
    ("day", "1d"),
    ("하루", "1d"),
    ("매일", "1d"),
    ("일일", "1d"),
    ("hour", "1h"),
    ("한 시간", "1h"),
    ("매시간", "1h"),
    ("year", "1Y"),
    ("연간", "1Y"),
    ("일 년", "1Y"),
];

/// Returns the specification of the objective that a sentence asks for, as OpenSLO writes it.
///
/// # Errors
/// When the sentence lacks a share or a window, or says two of something.
pub fn from_sentence(sentence: &str, context: &SentenceContext) -> Result<Value, SentenceError> {
    let mut shares = Vec::new();
    let mut times = Vec::new();
    let mut window = None;
    for (_, quantity) in find_quantities(sentence) {
        match quantity {
            Quantity::Share(share) => shares.push(share),
            // Lengths of an hour and more say over which time; shorter ones how fast.
            Quantity::Time(time) if time >= 3_600_000_000_000 => window = Some(time / 1_000_000_000),
            Quantity::Time(time) => times.push(time),
            _ => {}
        }
    }
    let target = match shares.as_slice() {
        [] => return Err(SentenceError::NoShare(sentence.to_owned())),
        [one] => decimal(*one),
        _ => return Err(SentenceError::Several(sentence.to_owned(), "several shares")),
    };
    let lower = sentence.to_lowercase();
    let named = WINDOWS.iter().find(|(word, _)| lower.contains(word)).map(|(_, duration)| *duration);
    let time_window = match (window, named) {
        (Some(seconds), _) => json!([{"duration": rolling(seconds), "isRolling": true}]),
        (None, Some(duration)) => {
            let zone = if context.zone.is_empty() { "UTC" } else { &context.zone };
            json!([{"duration": duration, "isRolling": false,
                "calendar": {"startTime": "2026-01-01 00:00:00", "timeZone": zone}}])
        }
        (None, None) => return Err(SentenceError::NoWindow(sentence.to_owned())),
    };
    let source = |query: String| json!({"metricSource": {"type": "Prometheus", "spec": {"query": query}}});
    let gateway = format!("service=~\"(.+/)?{}:.*\"", context.service.replace('.', "[.]"));
    let (indicator, objective) = match times.as_slice() {
        [] => {
            let (good, total) = context.events.clone().unwrap_or_else(|| {
                let all = format!("maru_gateway_requests_total{{{gateway}}}");
                (format!("maru_gateway_requests_total{{{gateway},code!~\"5..\"}}"), all)
            });
            let ratio = json!({"counter": true, "good": source(good), "total": source(total)});
            (json!({"ratioMetric": ratio}), json!({"target": target}))
        }
        [time] => {
            let buckets = context
                .buckets
                .clone()
                .unwrap_or_else(|| format!("maru_gateway_request_duration_seconds_bucket{{{gateway}}}"));
            (
                json!({"thresholdMetric": source(buckets)}),
                json!({"target": target, "op": "lte", "value": decimal(*time)}),
            )
        }
        _ => return Err(SentenceError::Several(sentence.to_owned(), "several times")),
    };
    Ok(json!({
        "description": sentence, "service": context.service, "indicator": {"spec": indicator},
        "timeWindow": time_window, "budgetingMethod": "Occurrences", "objectives": [objective],
    }))
}

/// Writes billionths as a number: what was written comes out, not its nearest binary fraction.
fn decimal(billionths: u128) -> f64 {
    format!("{}.{:09}", billionths / 1_000_000_000, billionths % 1_000_000_000).parse().unwrap_or(0.0)
}

fn rolling(seconds: u128) -> String {
    if seconds.is_multiple_of(86_400) { format!("{}d", seconds / 86_400) } else { format!("{}h", seconds / 3600) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_monitoring::openslo::{Comparison, TimeWindow, read_spec};

    fn context() -> SentenceContext {
        SentenceContext { service: "orders".into(), zone: "Asia/Seoul".into(), ..SentenceContext::default() }
    }

    #[test]
    fn the_lecture_s_own_sentence_runs_as_written_in_both_languages() {
        for sentence in [
            "99.9 % of a day's API responses within 100 ms",
            "하루 API 응답의 99.9%가 100ms 이내",
            "The API shall answer 99.9% of the requests of a day within 0.1 s.",
        ] {
            let spec = from_sentence(sentence, &context()).unwrap();
            let objective = read_spec(&spec).unwrap();
            let target = &objective.targets[0];
            assert!((target.target - 0.999).abs() < 1e-12, "{sentence}");
            assert_eq!(target.threshold, Some((Comparison::AtMost, 0.1)), "{sentence}");
            assert!(
                matches!(&objective.window, TimeWindow::Calendar { zone, .. } if zone == "Asia/Seoul"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn a_sentence_about_success_and_a_rolling_window() {
        let spec = from_sentence("상점은 28일 동안 요청의 99.5%를 성공으로 처리해야 한다", &context()).unwrap();
        assert_eq!(spec["timeWindow"][0]["duration"], "28d");
        assert!(spec["indicator"]["spec"]["ratioMetric"].is_object());
        read_spec(&spec).unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        let wrong = |sentence: &str| from_sentence(sentence, &context()).unwrap_err();
        assert!(matches!(wrong("the API is fast"), SentenceError::NoShare(_)));
        assert!(matches!(wrong("99.9 % within 100 ms"), SentenceError::NoWindow(_)));
        assert!(matches!(wrong("99 % or 99.9 % of a day within 1 s"), SentenceError::Several(..)));
    }
}
