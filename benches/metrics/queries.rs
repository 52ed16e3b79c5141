//! The queries that all servers answer.

use crate::data::{DataSet, STEP_MS};

/// One query as a path.
pub(crate) struct Query {
    pub(crate) name: String,
    pub(crate) path: String,
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A query that is answered only when all series are there.
pub(crate) fn probe(set: &DataSet) -> String {
    format!("/api/v1/query?query={}&time={}", encode("count(up)"), set.asked_at_seconds())
}

/// Returns all queries over a data set.
pub(crate) fn list(set: &DataSet) -> Vec<Query> {
    let end = set.asked_at_seconds();
    let start = end - set.query_range_seconds;
    let step = STEP_MS / 1000;
    let hour = if set.query_range_seconds > 3600 { "1h" } else { "10m" };
    let instant = [
        ("sum by (job)(rate(5m))", "sum by (job)(rate(http_requests_total[5m]))".to_owned()),
        (
            "histogram_quantile",
            "histogram_quantile(0.95, sum by (job, le)(rate(http_request_duration_seconds_bucket[5m])))".to_owned(),
        ),
        ("topk(10, sum by (instance)(rate))", "topk(10, sum by (instance)(rate(http_requests_total[5m])))".to_owned()),
        (
            "rate * on(instance) group_left app_info",
            "rate(http_requests_total[5m]) * on(instance) group_left(version, pod) app_info".to_owned(),
        ),
        (
            "error ratio",
            format!("sum(rate(http_requests_total{{code=\"500\"}}[{hour}])) / sum(rate(http_requests_total[{hour}]))"),
        ),
        ("max_over_time subquery", format!("max_over_time(sum(rate(http_requests_total[5m]))[{hour}:1m])")),
        ("absent", "absent(nonexistent_metric)".to_owned()),
        ("quantile_over_time", format!("quantile_over_time(0.95, process_open_fds[{hour}])")),
        (
            "sum by (label_replace)",
            "sum by (short)(label_replace(queue_length, \"short\", \"$1\", \"queue\", \"(..).*\"))".to_owned(),
        ),
        ("count of all series", "count({__name__=~\".+\"})".to_owned()),
        ("sum of one metric", "sum(http_request_duration_seconds_bucket)".to_owned()),
        ("one metric whole", "http_requests_total".to_owned()),
    ];
    let range = [
        ("one raw series", "process_open_fds{instance=\"host-0001.example.internal:9100\"}"),
        ("sum by (job)(rate)", "sum by (job)(rate(http_requests_total[5m]))"),
        (
            "histogram_quantile",
            "histogram_quantile(0.95, sum by (job, le)(rate(http_request_duration_seconds_bucket[5m])))",
        ),
        ("avg by (kind)", "avg by (kind)(node_temperature_celsius)"),
        ("sum(rate) of 36 series a target", "sum(rate(http_request_duration_seconds_bucket[5m]))"),
        ("error ratio", "sum(rate(http_requests_total{code=\"500\"}[5m])) / sum(rate(http_requests_total[5m]))"),
    ];
    let mut all = Vec::new();
    for (index, (name, query)) in instant.iter().enumerate() {
        all.push(Query {
            name: format!("{:02} instant {name}", 20 + index),
            path: format!("/api/v1/query?query={}&time={end}", encode(query)),
        });
    }
    for (index, (name, query)) in range.iter().enumerate() {
        all.push(Query {
            name: format!("{:02} range {name}", 40 + index),
            path: format!("/api/v1/query_range?query={}&start={start}&end={end}&step={step}", encode(query)),
        });
    }
    all.push(Query {
        name: "50 label values API".to_owned(),
        path: format!("/api/v1/label/instance/values?start={start}&end={end}"),
    });
    all.push(Query {
        name: "51 series API".to_owned(),
        path: format!("/api/v1/series?match[]={}&start={start}&end={end}", encode("node_temperature_celsius")),
    });
    all
}
