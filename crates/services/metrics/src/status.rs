//! What the server tells about itself.

use std::time::Duration;

use maru_series::{Growth, Statistics};
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::metrics::State;
use crate::request::{Parameters, duration_text, rfc3339_millis};

/// The version of Prometheus whose API this is: clients choose by it what they may ask for.
const PROMETHEUS_VERSION: &str = "3.14.0";

/// How far back `/api/v1/status/cardinality` looks by default.
const CARDINALITY_WINDOW_MS: i64 = 3_600_000;

/// Entries of lists by default.
const ENTRIES: usize = 10;
/// And at most.
const ENTRIES_MAX: usize = 10_000;

fn entries(parameters: &Parameters) -> Result<usize, Fault> {
    let Some(text) = parameters.get("limit") else { return Ok(ENTRIES) };
    let entries = text.parse().ok().filter(|entries| (1..=ENTRIES_MAX).contains(entries));
    entries.ok_or_else(|| Fault::parameter("limit", format_args!("it must be a number from 1 to {ENTRIES_MAX}")))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `/api/v1/status/config`
pub(crate) fn config(state: &State) -> Value {
    let (shown, ..) = state.collector.state();
    if !shown.is_empty() {
        return json!({"yaml": shown});
    }
    let options = &state.engine.options();
    let text = |duration: Duration| duration_text(millis(duration));
    let retention = if state.retention.is_zero() { "0s".to_owned() } else { text(state.retention) };
    let yaml = format!(
        "global:\n  evaluation_interval: {}\nstorage:\n  tsdb:\n    out_of_order_time_window: {}\n    retention:\n      time: {retention}\n      size: {}B\n",
        duration_text(options.default_subquery_step_ms),
        text(state.out_of_order_window),
        state.retention_bytes,
    );
    json!({"yaml": yaml})
}

/// `/api/v1/status/flags`
pub(crate) fn flags(state: &State) -> Value {
    let mut flags: Map<String, Value> =
        state.flags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    // Clients look these up by the names that Prometheus has for them.
    let known = [
        ("query.lookback-delta", duration_text(state.engine.options().lookback_ms)),
        ("query.max-concurrency", state.limits.queries_max.to_string()),
        ("query.max-samples", state.limits.query_samples_max.to_string()),
        ("query.timeout", duration_text(millis(state.limits.query_timeout))),
        ("storage.tsdb.retention.time", duration_text(millis(state.retention))),
        ("web.enable-admin-api", state.admin_api.to_string()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
        ("web.enable-otlp-receiver", "true".to_owned()),
    ];
    for (name, value) in known {
        flags.entry(name).or_insert_with(|| value.into());
    }
    flags.into()
}

/// `/api/v1/status/runtimeinfo`
pub(crate) fn runtime(state: &State) -> Value {
    let (_, loaded_ms, is_good) = state.collector.state();
    let folder = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut retention = duration_text(millis(state.retention));
    if state.retention_bytes > 0 {
        retention.push_str(&format!(" or {}B", state.retention_bytes));
    }
    json!({
        "startTime": rfc3339_millis(state.started.as_millisecond()),
        "CWD": folder,
        "hostname": host.trim(),
        "serverTime": rfc3339_millis(state.now_ms()),
        "reloadConfigSuccess": is_good,
        "lastConfigTime": rfc3339_millis(loaded_ms),
        "corruptionCount": state.set_aside,
        "goroutineCount": 0,
        "GOMAXPROCS": threads,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": retention,
    })
}

/// `/api/v1/status/buildinfo`
pub(crate) fn build(state: &State) -> Value {
    json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("maru-{}", state.version),
        "branch": "maru",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

fn pairs(list: &[(String, u64)]) -> Value {
    list.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// `/api/v1/status/tsdb`
pub(crate) fn tsdb(state: &State, parameters: &Parameters) -> Result<Value, Fault> {
    let statistics = state.store.statistics(entries(parameters)?);
    Ok(json!({
        "headStats": {
            "numSeries": statistics.series,
            "numLabelPairs": statistics.label_pairs,
            "chunkCount": statistics.chunks,
            "minTime": statistics.min_ms.unwrap_or(i64::MAX),
            "maxTime": statistics.max_ms.unwrap_or(i64::MIN),
        },
        "seriesCountByMetricName": pairs(&statistics.series_by_metric),
        "labelValueCountByLabelName": pairs(&statistics.values_by_label),
        "memoryInBytesByLabelName": pairs(&statistics.bytes_by_label),
        "seriesCountByLabelValuePair": pairs(&statistics.series_by_pair),
        "storage": {
            "samplesAppended": statistics.samples_appended,
            "logBytes": statistics.log_bytes,
            "headChunkBytes": statistics.chunk_bytes,
            "blockBytes": statistics.block_bytes,
            "blocks": statistics.blocks,
        },
    }))
}

/// `/api/v1/status/tsdb/blocks`
pub(crate) fn blocks(state: &State) -> Value {
    let blocks: Vec<Value> = state
        .store
        .blocks()
        .iter()
        .map(|block| {
            let sources: Vec<String> = block.replaces.iter().map(|id| format!("{:016x}", id.0)).collect();
            json!({
                "ulid": format!("{:016x}", block.id.0),
                "minTime": block.range.start_ms,
                "maxTime": block.range.end_ms,
                "stats": {"numSamples": block.samples, "numSeries": block.series, "numBytes": block.bytes},
                "compaction": {"level": block.level, "sources": sources},
                "resolution": block.resolution_ms,
                "version": 1,
            })
        })
        .collect();
    json!({"blocks": blocks})
}

/// `/api/v1/status/walreplay`: the log is read before a port is bound.
pub(crate) fn replay() -> Value {
    json!({"min": 0, "max": 0, "current": 0, "state": "done"})
}

/// `/api/v1/status/cardinality`
pub(crate) fn cardinality(state: &State, parameters: &Parameters) -> Result<Value, Fault> {
    let limit = entries(parameters)?;
    let window_ms = parameters.duration("window")?.unwrap_or(CARDINALITY_WINDOW_MS);
    let window_ms = u64::try_from(window_ms).map_err(|_| Fault::parameter("window", "it is negative"))?;
    let statistics = state.store.statistics(limit);
    let added = state.store.who_added(Duration::from_millis(window_ms), limit);
    Ok(cardinality_value(&statistics, &added, state.series_max, window_ms))
}

fn cardinality_value(statistics: &Statistics, added: &[Growth], series_max: u64, window_ms: u64) -> Value {
    let object = |labels: &maru_prom::Labels| -> Value {
        labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
    };
    let scopes: Vec<Value> = statistics
        .scopes
        .iter()
        .map(|scope| {
            json!({
                "scope": object(&scope.scope),
                "series": scope.series,
                "seriesMax": scope.series_max,
                "overflowSamples": scope.overflow_samples,
            })
        })
        .collect();
    let added: Vec<Value> = added
        .iter()
        .map(|growth| {
            let labels: Vec<Value> = growth
                .labels
                .iter()
                .map(|label| json!({"name": label.name, "values": label.values, "examples": pairs(&label.examples)}))
                .collect();
            json!({
                "scope": object(&growth.scope),
                "series": growth.series,
                "metrics": pairs(&growth.metrics),
                "labels": labels,
            })
        })
        .collect();
    json!({
        "series": statistics.series,
        "seriesMax": series_max,
        "scopes": scopes,
        "windowSeconds": window_ms / 1000,
        "added": added,
        "seriesCountByMetricName": pairs(&statistics.series_by_metric),
        "labelValueCountByLabelName": pairs(&statistics.values_by_label),
        "seriesCountByLabelValuePair": pairs(&statistics.series_by_pair),
    })
}

/// `/api/v1/features`
pub(crate) fn features(state: &State) -> Value {
    let functions: Map<String, Value> = maru_promql::FUNCTIONS
        .iter()
        .map(|function| (function.name.to_owned(), (!function.is_experimental || state.experimental_promql).into()))
        .collect();
    let experimental = state.experimental_promql;
    json!({
        "api": {
            "admin": state.admin_api,
            "exclude_alerts": false,
            "label_values_match": true,
            "lifecycle": state.collector.has_file(),
            "otlp_write_receiver": true,
            "query_stats": true,
            "query_warnings": true,
            "remote_read": true,
            "remote_write_receiver": true,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "otlp_receiver": {"enabled": true},
        "promql": {
            "at_modifier": true,
            "negative_offset": true,
            "subqueries": true,
            "duration_expr": experimental,
            "experimental_functions": experimental,
            "anchored": experimental,
            "smoothed": experimental,
            "fill": experimental,
            "native_histograms": true,
        },
        "promql_functions": functions,
        "prometheus": {"agent_mode": false, "stringlabels": true},
        "tsdb": {
            "exemplar_storage": true,
            "native_histograms": true,
            "out_of_order": !state.out_of_order_window.is_zero(),
            "downsampling": true,
        },
        "ui": {"ui_v2": false, "ui_v3": false},
    })
}

/// Sets the gauges of the store to what they are now.
pub(crate) fn refresh_gauges(state: &State) {
    let statistics = state.store.statistics(0);
    let gauges = &state.telemetry.store;
    for (gauge, value) in [
        (&gauges.series, statistics.series),
        (&gauges.chunks, statistics.chunks),
        (&gauges.samples_appended, statistics.samples_appended),
        (&gauges.log_bytes, statistics.log_bytes),
        (&gauges.chunk_bytes, statistics.chunk_bytes),
        (&gauges.block_bytes, statistics.block_bytes),
        (&gauges.blocks, statistics.blocks),
    ] {
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}
