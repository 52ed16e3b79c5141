//! OTLP metrics coming in.

use serde_json::{Value, json};

use crate::{NOW, Running};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A point's time, so many seconds before [`NOW`], as OTLP/JSON has it.
fn nanoseconds(seconds_ago: i64) -> String {
    ((NOW - seconds_ago) * 1_000_000_000).to_string()
}

/// A request with these metrics of the service `shop/cart`, instance `i1`.
fn export(metrics: &Value) -> Vec<u8> {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [
        attribute("service.name", "cart"), attribute("service.namespace", "shop"), attribute("service.instance.id", "i1"),
        attribute("host.name", "h1"),
    ]});
    json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})
        .to_string()
        .into_bytes()
}

fn counter(name: &str, points: &[(i64, i64, f64)]) -> Value {
    let points: Vec<Value> = points
        .iter()
        .map(|(start, at, value)| {
            json!({"startTimeUnixNano": nanoseconds(*start), "timeUnixNano": nanoseconds(*at), "asDouble": value})
        })
        .collect();
    json!([{"name": name, "unit": "s", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}}])
}

fn histogram(name: &str, ago: i64) -> Value {
    json!([{"name": name, "histogram": {"aggregationTemporality": 2, "dataPoints": [{
        "startTimeUnixNano": nanoseconds(600), "timeUnixNano": nanoseconds(ago),
        "count": "6", "sum": 9.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.5, 1.0],
    }]}}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_known_by_the_start_time_also_when_the_counter_did_not_fall() {
    let server = Running::with(|options| options.experimental_promql = true).await;
    let body = export(&counter("busy", &[(600, 60, 10.0), (600, 45, 12.0), (30, 20, 15.0), (30, 5, 16.0)]));
    let (status, _, text) = server.post("/api/v1/otlp/v1/metrics", JSON, body).await;
    assert_eq!((status, text.as_str()), (200, "{}"));
    let found = server.query("resets(busy_seconds_total[5m])").await;
    assert_eq!(found[0]["value"][1], "1", "{found}");
    server.stop().await;
    // Without the experiment the start times are kept and not looked at.
    let server = Running::start().await;
    let body = export(&counter("busy", &[(600, 60, 10.0), (30, 20, 15.0)]));
    assert_eq!(server.post("/api/v1/otlp/v1/metrics", JSON, body).await.0, 200);
    assert_eq!(server.query("resets(busy_seconds_total[5m])").await[0]["value"][1], "0");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_say_how_histograms_are_kept() {
    let server = Running::start().await;
    let send = async |address: &str, name: &str| {
        server.post(&format!("/api/v1/otlp/v1/metrics{address}"), JSON, export(&histogram(name, 0))).await
    };
    assert_eq!(send("", "plain").await.0, 200);
    assert_eq!(send("?histograms=native", "native").await.0, 200);
    assert_eq!(server.query("plain_bucket{le=\"1\"}").await[0]["value"][1], "3");
    let native = server.query("native").await;
    assert_eq!((&native[0]["histogram"][1]["count"], &native[0]["histogram"][1]["sum"]), (&json!("6"), &json!("9.5")));
    assert_eq!(server.query("histogram_fraction(0, 1, native)").await[0]["value"][1], "0.5");
    assert_eq!(server.query("native_bucket").await, json!([]));
    let (status, _, text) = send("?histograms=other", "other").await;
    assert!(status == 400 && text.contains("histograms") && text.contains("native"), "{status} {text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_say_what_becomes_of_names_and_resources() {
    let server = Running::with(|options| {
        options.otlp.names = maru_metrics::NameTranslation::NoTranslation;
        options.otlp.promotion = maru_metrics::Promotion::Only(["host.name".to_owned()].into());
        options.otlp.keeps_identifying_attributes = true;
    })
    .await;
    let body = export(&counter("cpu.busy", &[(600, 0, 1.0)]));
    assert_eq!(server.post("/api/v1/otlp/v1/metrics", JSON, body).await.0, 200);
    let found = server.query("{\"cpu.busy\"}").await;
    let expected = json!({"__name__": "cpu.busy", "host.name": "h1", "instance": "i1", "job": "shop/cart"});
    assert_eq!(found[0]["metric"], expected);
    assert_eq!(server.query("target_info").await[0]["metric"]["service.name"], "cart");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_refused_with_what_to_do() {
    let server = Running::start().await;
    let mut metrics = counter("moved", &[(60, 0, 1.0)]);
    metrics[0]["sum"]["aggregationTemporality"] = json!(1);
    let (status, _, text) = server.post("/api/v1/otlp/v1/metrics", JSON, export(&metrics)).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["partialSuccess"]["rejectedDataPoints"]), (200, &json!("1")));
    let message = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("moved") && message.contains("temporality preference to cumulative"), "{message}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_file_says_how_names_and_labels_are_made() {
    let mut file = std::path::PathBuf::new();
    let server = Running::with(|options| {
        file = options.directory.parent().unwrap().join("prometheus.yml");
        options.collect.file = Some(file.clone());
    })
    .await;
    let send = async |text: &str, name: &str| {
        std::fs::write(&file, text).unwrap();
        let (status, _, text) = server.post("/-/reload", &[], Vec::new()).await;
        assert_eq!(status, 200, "{text}");
        let (status, _, text) =
            server.post("/api/v1/otlp/v1/metrics", JSON, export(&counter(name, &[(60, 5, 1.0)]))).await;
        assert_eq!(status, 200, "{text}");
    };
    send("otlp: {translation_strategy: NoTranslation, promote_resource_attributes: [host.name]}\n", "a.b").await;
    assert_eq!(server.query("{\"a.b\"}").await[0]["metric"]["host.name"], "h1");
    // What is taken back no longer holds.
    send("global: {}\n", "c.d").await;
    let found = server.query("c_d_seconds_total").await;
    assert!(found[0]["metric"]["job"] == "shop/cart" && found[0]["metric"]["host_name"].is_null(), "{found}");
    server.stop().await;
}
