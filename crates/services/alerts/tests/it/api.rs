//! The API's shapes and errors over real HTTP.

use http::StatusCode;
use maru_testkit::{TempDir, wait_for};
use serde_json::{Value as Json, json};

use crate::{PATIENCE, Running};

const CONFIG: &str = "
route: {receiver: nobody, group_by: [alertname], group_wait: 1h, routes: [{matchers: [team=db], receiver: db}]}
receivers: [{name: nobody}, {name: db}]
inhibit_rules: [{source_matchers: [severity=page], target_matchers: [severity=warn]}]
";

#[tokio::test]
async fn alerts_are_listed_with_their_state() {
    let running = Running::start(CONFIG).await;
    let body = json!([
        {"labels": {"alertname": "a", "severity": "page"}, "annotations": {"summary": "s"}, "generatorURL": "http://g/x",
         "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00+09:00"},
        {"labels": {"alertname": "b", "severity": "warn", "team": "db", "empty": ""}},
        {"labels": {"alertname": "over"}, "endsAt": "2026-01-01T00:00:00Z"},
    ]);
    assert_eq!(running.post("/api/v2/alerts", body.to_string()).await, (200, String::new()));
    let (status, alerts) = running.get("/api/v2/alerts").await;
    assert_eq!(status, 200);
    let named = |name: &str| {
        alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["alertname"] == name).cloned().unwrap()
    };
    let source = named("a");
    assert_eq!(source["status"], json!({"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"}));
    assert_eq!(source["startsAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(source["endsAt"], "2098-12-31T15:00:00.000Z");
    assert_eq!((&source["generatorURL"], &source["receivers"]), (&json!("http://g/x"), &json!([{"name": "nobody"}])));
    let target = named("b");
    assert_eq!(target["status"]["inhibitedBy"], json!([source["fingerprint"]]));
    assert_eq!(target["status"]["state"], "suppressed");
    assert_eq!(target["labels"], json!({"alertname": "b", "severity": "warn", "team": "db"}));
    assert_eq!(alerts.as_array().unwrap().len(), 2, "what is over is not listed");
    let table = [
        ("filter=severity%3D%22page%22", 1),
        ("filter=severity%3D~%22p.*%22&filter=alertname!%3Da", 0),
        ("filter=team%3D%22%22", 1),
        ("inhibited=false", 1),
        ("active=false", 1),
        ("receiver=d.", 1),
        ("receiver=d", 0),
    ];
    for (query, expected) in table {
        let (_, found) = running.get(&format!("/api/v2/alerts?{query}")).await;
        assert_eq!(found.as_array().map(Vec::len), Some(expected), "{query}: {found}");
    }
    let (_, groups) = running.get("/api/v2/alerts/groups").await;
    let shapes: Vec<(&Json, &Json, usize)> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (&group["labels"], &group["receiver"]["name"], group["alerts"].as_array().unwrap().len()))
        .collect();
    assert_eq!(
        shapes,
        [(&json!({"alertname": "a"}), &json!("nobody"), 1), (&json!({"alertname": "b"}), &json!("db"), 1)]
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_forms_of_the_api() {
    let running = Running::start(CONFIG).await;
    let table = [
        ("/api/v2/alerts", "{", 400),
        ("/api/v2/alerts", "[{\"annotations\": {}}]", 422),
        ("/api/v2/alerts", "[{\"labels\": {}}]", 400),
        ("/api/v2/alerts", "[{\"labels\": {\"a\": \"b\"}, \"startsAt\": \"yesterday\"}]", 400),
        (
            "/api/v2/alerts",
            "[{\"labels\": {\"a\": \"b\"}, \"startsAt\": \"2026-01-02T00:00:00Z\", \"endsAt\": \"2026-01-01T00:00:00Z\"}]",
            400,
        ),
        ("/api/v2/silences", "{}", 422),
        (
            "/api/v2/silences",
            "{\"matchers\": [], \"startsAt\": \"2026-01-01T00:00:00Z\", \"endsAt\": \"2099-01-01T00:00:00Z\", \"createdBy\": \"\", \"comment\": \"\"}",
            400,
        ),
        (
            "/api/v2/silences",
            "{\"matchers\": [{\"name\": \"a\", \"value\": \"(\", \"isRegex\": true}], \"startsAt\": \"2026-01-01T00:00:00Z\", \"endsAt\": \"2099-01-01T00:00:00Z\", \"createdBy\": \"\", \"comment\": \"\"}",
            400,
        ),
        (
            "/api/v2/silences",
            "{\"matchers\": [{\"name\": \"a\", \"value\": \"b\", \"isRegex\": false}], \"startsAt\": \"2026-01-01T00:00:00Z\", \"endsAt\": \"2026-01-02T00:00:00Z\", \"createdBy\": \"\", \"comment\": \"\"}",
            400,
        ),
        ("/api/v1/alerts", "[]", 410),
        ("/nowhere", "", 404),
    ];
    for (path, body, expected) in table {
        let (status, answer) = running.post(path, body).await;
        assert_eq!(status, expected, "{path} {body}: {answer}");
    }
    for (path, expected) in [
        ("/api/v2/alerts?filter=%7B", 400),
        ("/api/v2/alerts?active=maybe", 422),
        ("/api/v2/alerts?receiver=(", 400),
        ("/api/v2/silence/1", 422),
        ("/api/v2/silence/6b1b4a4e-0000-4000-8000-000000000000", 404),
        ("/api/v2/alerts/1/trace", 400),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/api/v2/receivers", 200),
    ] {
        assert_eq!(running.get(path).await.0, expected, "{path}");
    }
    // The right ones of a list are taken even when others are wrong.
    let (status, answer) =
        running.post("/api/v2/alerts", "[{\"labels\": {\"a\": \"b\"}}, {\"labels\": {\"x\": \"\"}}]").await;
    assert_eq!((status, answer.trim()), (400, "\"at least one label pair required\""));
    assert_eq!(running.get("/api/v2/alerts").await.1.as_array().unwrap().len(), 1);
    let large = format!("[{{\"labels\": {{\"a\": \"{}\"}}}}]", "x".repeat(17 << 20));
    assert_eq!(running.post("/api/v2/alerts", large).await.0, 413);
    let (_, metrics) = running.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "alertmanager_alerts_received_total{status=\"firing\",version=\"v2\"} 1",
        "alertmanager_alerts_invalid_total{version=\"v2\"} 3",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn silences_live_through_a_restart() {
    let running = Running::start(CONFIG).await;
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "a|b", "isRegex": true}],
        "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2099-01-01T00:00:00.000Z", "createdBy": "me", "comment": "why",
    });
    let (status, answer) = running.post("/api/v2/silences", silence.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let id = serde_json::from_str::<Json>(&answer).unwrap()["silenceID"].as_str().unwrap().to_owned();
    running.fire(&[json!({"alertname": "a"})]).await;
    let folder = running.kill();
    let running = Running::start_in(folder, CONFIG, |_| {}).await;
    let (_, alerts) = running.get("/api/v2/alerts").await;
    assert_eq!(alerts[0]["status"]["silencedBy"], json!([id]));
    let (_, silences) = running.get("/api/v2/silences?filter=alertname%3D%22a%7Cb%22").await;
    assert_eq!(
        silences[0]["matchers"],
        json!([{"isEqual": true, "isRegex": true, "name": "alertname", "value": "a|b"}])
    );
    assert_eq!(silences[0]["status"], json!({"state": "active"}));
    let deleted = running.client.delete(format!("{}/api/v2/silence/{id}", running.url)).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    let (_, silence) = running.get(&format!("/api/v2/silence/{id}")).await;
    assert_eq!(silence["status"]["state"], "expired");
    assert_eq!(running.get("/api/v2/alerts").await.1[0]["status"]["state"], "active");
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_tells_all_its_lines() {
    let running = Running::start(CONFIG).await;
    let path = running.folder.join("alertmanager.yml");
    let wrong = "route:\n  receiver: nobody\n  group_wait: soon\nreceivers:\n- name: nobody\n  pushover_configs: [{}]\n  slack_configs:\n  - api_url: http://x/\n    titel: x\n    text: '{{ nope }}'\n";
    std::fs::write(&path, wrong).unwrap();
    let (status, answer) = running.post("/-/reload", "").await;
    assert_eq!(status, 500);
    for part in [
        "line 3",
        "\"soon\"",
        "line 6",
        "\"pushover_configs\" is not supported",
        "line 9",
        "did you mean \"title\"",
        "line 10",
        "there is no function \"nope\"",
    ] {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
    assert_eq!(running.get("/api/v2/receivers").await.1, json!([{"name": "nobody"}, {"name": "db"}]));
    std::fs::write(&path, "route: {receiver: other}\nreceivers: [{name: other}]\n").unwrap();
    assert_eq!(running.post("/-/reload", "").await.0, 200);
    assert_eq!(running.get("/api/v2/receivers").await.1, json!([{"name": "other"}]));
}

#[tokio::test]
async fn pages_of_other_origins_read_only_what_they_may() {
    let running = Running::start_in(TempDir::new(), CONFIG, |options| {
        options.cors_origins = vec!["https://grafana.example".to_owned()];
    })
    .await;
    for (origin, expected) in [("https://grafana.example", true), ("https://evil.example", false)] {
        let request = running.client.get(format!("{}/api/v2/alerts", running.url)).header("origin", origin);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().contains_key("access-control-allow-origin"), expected, "{origin}");
    }
}

#[tokio::test]
async fn ten_thousand_alerts_at_once() {
    let running = Running::start(CONFIG).await;
    for batch in 0..10 {
        let labels: Vec<Json> = (0..1000)
            .map(|number| json!({"alertname": format!("a{}", number % 100), "instance": format!("{batch}-{number}")}))
            .collect();
        running.fire(&labels).await;
    }
    let count = wait_for(PATIENCE, "all alerts", || async {
        let (_, groups) = running.get("/api/v2/alerts/groups").await;
        let groups = groups.as_array().unwrap().clone();
        let alerts: usize = groups.iter().map(|group| group["alerts"].as_array().unwrap().len()).sum();
        (alerts == 10_000).then_some(groups.len())
    })
    .await;
    assert_eq!(count, 100);
}
