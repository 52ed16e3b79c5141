//! What the server tells about itself, and the pages for machines.

use serde_json::{Value, json};

use crate::{NOW, Running};

#[tokio::test(flavor = "multi_thread")]
async fn every_status_page_answers() {
    let server = Running::start().await;
    server.write_example().await;
    let build = server.data("/api/v1/status/buildinfo", &[]).await;
    assert!(build["version"].as_str().unwrap().starts_with("3."), "{build}");
    let runtime = server.data("/api/v1/status/runtimeinfo", &[]).await;
    assert_eq!((&runtime["startTime"], &runtime["storageRetention"]), (&json!("2026-11-22T09:00:00Z"), &json!("15d")));
    let yaml = server.data("/api/v1/status/config", &[]).await["yaml"].as_str().unwrap().to_owned();
    assert!(yaml.contains("evaluation_interval: 1m"), "{yaml}");
    assert_eq!(server.data("/api/v1/status/flags", &[]).await["query.lookback-delta"], "5m");
    let tsdb = server.data("/api/v1/status/tsdb", &[]).await;
    assert_eq!(server.ask("/api/v1/status/tsdb", &[("limit", "1")]).await.0, 200);
    for wrong in ["0", "-1", "10001", "x"] {
        let (status, answer) = server.ask("/api/v1/status/tsdb", &[("limit", wrong)]).await;
        assert!(status == 400 && answer["errorType"] == "bad_data", "{wrong}: {status} {answer}");
    }
    assert_eq!(tsdb["headStats"]["numSeries"], 6, "{tsdb}");
    assert_eq!(tsdb["headStats"]["maxTime"], NOW * 1000, "{tsdb}");
    assert_eq!(tsdb["seriesCountByMetricName"][0], json!({"name": "requests_total", "value": 3}), "{tsdb}");
    assert_eq!(server.data("/api/v1/status/walreplay", &[]).await["state"], "done");
    assert!(server.data("/api/v1/status/tsdb/blocks", &[]).await["blocks"].is_array());
    assert_eq!(server.data("/api/v1/features", &[]).await["api"]["remote_write_receiver"], true);
    for (path, answer) in [
        ("/api/v1/targets", json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}})),
        ("/api/v1/targets/metadata", json!([])),
        ("/api/v1/scrape_pools", json!({"scrapePools": []})),
        ("/api/v1/alertmanagers", json!({"activeAlertmanagers": [], "droppedAlertmanagers": []})),
        ("/api/v1/rules", json!({"groups": []})),
        ("/api/v1/alerts", json!({"alerts": []})),
        ("/api/v1/notifications", json!([])),
    ] {
        assert_eq!(server.data(path, &[]).await, answer, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_added_series_is_told_by_scope() {
    let server = Running::start().await;
    let body = crate::request(
        maru_prom::remote_write::Version::V1,
        &[(crate::labels(&[("__name__", "up"), ("pod", "x")]), vec![(NOW * 1000, 1.0)])],
    );
    let (status, _, text) = server.post("/api/v1/write", &[("x-scope-orgid", "shop")], body).await;
    assert_eq!(status, 204, "{text}");
    let told = server.data("/api/v1/status/cardinality", &[("window", "1h")]).await;
    assert_eq!(told["series"], 1, "{told}");
    assert_eq!(told["added"][0]["scope"], json!({"tenant": "shop"}), "{told}");
    assert_eq!(told["added"][0]["metrics"][0], json!({"name": "up", "value": 1}), "{told}");
    assert!(told["seriesMax"].as_u64().unwrap() > 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_ask_whether_it_lives_and_what_it_counts() {
    let server = Running::start().await;
    server.write_example().await;
    for path in ["/-/healthy", "/-/ready", "/"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
        assert_eq!(server.client.head(format!("{}{path}", server.url)).send().await.unwrap().status(), 200, "{path}");
    }
    let (status, _, told) = server.post("/-/reload", &[], Vec::new()).await;
    assert!(status == 500 && told.contains("there is no configuration file"), "{status} {told}");
    let (status, text) = server.get("/metrics").await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 200);
    for line in [
        "maru_series_head_series 6\n",
        "maru_metrics_samples_written_total{protocol=\"remote write 1.0\"} 246\n",
        "maru_metrics_requests_total{path=\"/api/v1/write\",code=\"204\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let (status, document) = server.get("/api/v1/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_is_off_by_default() {
    let server = Running::start().await;
    server.write_example().await;
    let (status, _, text) = server.post("/api/v1/admin/tsdb/delete_series?match[]=temperature", &[], Vec::new()).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("admin APIs disabled"), "{text}");
    assert_eq!(server.query("count(temperature)").await[0]["value"][1], "3");
    server.stop().await;

    let server = Running::with(|options| options.admin_api = true).await;
    server.write_example().await;
    let (status, _, text) =
        server.post("/api/v1/admin/tsdb/delete_series?match[]=temperature{instance=\"a\"}", &[], Vec::new()).await;
    assert_eq!(status, 204, "{text}");
    assert_eq!(server.query("count(temperature)").await[0]["value"][1], "2");
    assert_eq!(server.post("/api/v1/admin/tsdb/delete_series", &[], Vec::new()).await.0, 400);
    assert_eq!(server.post("/api/v1/admin/tsdb/clean_tombstones", &[], Vec::new()).await.0, 204);
    let (status, _, text) = server.post("/api/v1/admin/tsdb/snapshot", &[], Vec::new()).await;
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let name = answer["data"]["name"].as_str().unwrap();
    assert!(server.folder.join("metrics/snapshots").join(name).is_dir(), "{name}");
    server.stop().await;
}
