//! Series, labels, metadata, exemplars, federation.

use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Exemplar, Metadata, MetricType, snappy};
use serde_json::json;

use crate::{NOW, Running, labels};

#[tokio::test(flavor = "multi_thread")]
async fn series_labels_and_values_are_sorted_and_limited() {
    let server = Running::start().await;
    server.write_example().await;
    let range = [("start", (NOW - 600).to_string()), ("end", NOW.to_string())];
    let range: Vec<(&str, &str)> = range.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let with = |more: &[(&'static str, &'static str)]| [range.as_slice(), more].concat();
    assert_eq!(
        server.data("/api/v1/series", &with(&[("match[]", "temperature{instance=~\"a|b\"}")])).await,
        json!([
            {"__name__": "temperature", "instance": "a", "job": "api"},
            {"__name__": "temperature", "instance": "b", "job": "api"},
        ])
    );
    // Two selectors that find the same series name it once.
    let both = with(&[("match[]", "temperature"), ("match[]", "{instance=\"a\"}")]);
    assert_eq!(server.data("/api/v1/series", &both).await.as_array().unwrap().len(), 4);
    assert_eq!(server.data("/api/v1/labels", &range).await, json!(["__name__", "instance", "job"]));
    assert_eq!(server.data("/api/v1/label/__name__/values", &range).await, json!(["requests_total", "temperature"]));
    let matching = with(&[("match[]", "{instance=\"c\"}")]);
    assert_eq!(server.data("/api/v1/label/instance/values", &matching).await, json!(["c"]));
    assert_eq!(server.data("/api/v1/label/nothing/values", &range).await, json!([]));
    let (_, answer) = server.ask("/api/v1/label/instance/values", &with(&[("limit", "2")])).await;
    assert_eq!(
        (&answer["data"], &answer["warnings"][0]),
        (&json!(["a", "b"]), &json!("results truncated due to limit"))
    );
    let (_, answer) = server.ask("/api/v1/label/instance/values", &with(&[("limit", "3")])).await;
    assert!(answer.get("warnings").is_none(), "{answer}");
    // Before there was any sample.
    let early = [("start", "1"), ("end", "2")];
    assert_eq!(server.data("/api/v1/labels", &early).await, json!([]));
    // All of time, as Grafana and promtool say it.
    let all = [("start", "-292273086-05-16T16:47:06Z"), ("end", "292277025-08-18T07:12:54.999999999Z")];
    assert_eq!(server.data("/api/v1/labels", &all).await.as_array().unwrap().len(), 3);
    assert_eq!(server.data("/api/v1/labels", &[]).await.as_array().unwrap().len(), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_exemplars_come_back() {
    let server = Running::start().await;
    let series = labels(&[("__name__", "requests_total"), ("job", "api")]);
    let exemplar = Exemplar { labels: labels(&[("trace_id", "abc")]), value: 6.0, timestamp_ms: NOW * 1000 - 521 };
    let metadata = Metadata {
        metric_type: MetricType::Counter,
        unit: "requests".to_owned(),
        help: "All \"requests\".".to_owned(),
    };
    let sample = Sample { timestamp_ms: NOW * 1000, value: 1.0, start_timestamp_ms: 0 };
    for version in [Version::V1, Version::V2] {
        let mut writer = RequestWriter::new(version);
        let parts = SeriesParts {
            samples: &[sample],
            exemplars: std::slice::from_ref(&exemplar),
            metadata: Some(&metadata),
            ..SeriesParts::default()
        };
        writer.series(&series, &parts);
        writer.metadata("requests_total", &metadata);
        let body = snappy::compress(&writer.finish());
        let headers = [("content-type", version.content_type())];
        let (status, _, text) = server.post("/api/v1/write", &headers, body).await;
        assert_eq!(status, 204, "{text}");
    }
    let told = json!({"requests_total": [{"type": "counter", "unit": "requests", "help": "All \"requests\"."}]});
    assert_eq!(server.data("/api/v1/metadata", &[]).await, told);
    assert_eq!(server.data("/api/v1/metadata", &[("metric", "requests_total"), ("limit", "1")]).await, told);
    assert_eq!(server.data("/api/v1/metadata", &[("metric", "other")]).await, json!({}));
    let range = [("start", (NOW - 60).to_string()), ("end", NOW.to_string())];
    let parameters = [("query", "sum(rate(requests_total[1m]))"), ("start", &range[0].1), ("end", &range[1].1)];
    assert_eq!(
        server.data("/api/v1/query_exemplars", &parameters).await,
        json!([{"seriesLabels": {"__name__": "requests_total", "job": "api"}, "exemplars": [
            {"labels": {"trace_id": "abc"}, "value": "6", "timestamp": 1_795_337_999.479}]}])
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn federation_hands_out_the_newest_samples() {
    let server = Running::start().await;
    server.write_example().await;
    let series = labels(&[("__name__", "gone"), ("job", "api")]);
    server.write(&[(series, vec![((NOW - 30) * 1000, 1.0), ((NOW - 15) * 1000, maru_prom::stale_marker())])]).await;
    let (status, text) = server.ask("/federate", &[("match[]", "temperature"), ("match[]", "gone")]).await;
    let at = NOW * 1000;
    assert_eq!(status, 200);
    assert_eq!(
        text.as_str().unwrap(),
        format!(
            "# TYPE temperature untyped\n\
             temperature{{instance=\"a\",job=\"api\"}} 1 {at}\n\
             temperature{{instance=\"b\",job=\"api\"}} 2 {at}\n\
             temperature{{instance=\"c\",job=\"api\"}} 3 {at}\n"
        )
    );
    let (status, _) = server.ask("/federate", &[("match[]", "sum(")]).await;
    assert_eq!(status, 400);
    server.stop().await;
}
