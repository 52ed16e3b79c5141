//! amtool, as people use it.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::{Running, has_program};

/// Runs amtool against the server.
async fn amtool(running: &Running, arguments: &[&str]) -> (bool, String) {
    let url = format!("--alertmanager.url={}", running.url);
    let words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        let output = Command::new("amtool").arg(url).args(words).output().unwrap();
        let told = if output.status.success() { &output.stdout } else { &output.stderr };
        let text = String::from_utf8_lossy(told).into_owned();
        (output.status.success(), text)
    });
    run.await.unwrap()
}

async fn works(running: &Running, arguments: &[&str]) -> String {
    let (success, text) = amtool(running, arguments).await;
    assert!(success, "amtool {arguments:?}: {text}");
    text
}

const CONFIG: &str = "
global: {resolve_timeout: 10m, smtp_smarthost: 'mail.example:25', smtp_from: 'a@b.c', smtp_auth_password: hunter2}
route:
  receiver: ops
  group_by: [alertname]
  routes:
    - receiver: db
      matchers: ['team=\"db\"']
      routes: [{receiver: db-pager, matchers: ['severity=~\"page|critical\"']}]
receivers:
  - name: ops
    email_configs: [{to: 'ops@example.org'}]
  - name: db
    webhook_configs: [{url: 'http://127.0.0.1:9/'}]
  - name: db-pager
    slack_configs: [{api_url: 'https://hooks.example/secret', channel: '#db'}]
inhibit_rules:
  - source_matchers: [severity=critical]
    target_matchers: [severity=warning]
    equal: [alertname]
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
";

#[tokio::test]
async fn amtool_adds_queries_and_silences() {
    if !has_program("amtool", "prometheus-alertmanager") {
        return;
    }
    let running = Running::start(CONFIG).await;
    works(&running, &["alert", "add", "alertname=Down", "team=db", "severity=page", "--annotation=summary=it is down"])
        .await;
    works(&running, &["alert", "add", "Other", "--end=2099-01-01T00:00:00Z"]).await;
    let found: Json =
        serde_json::from_str(&works(&running, &["-o", "json", "alert", "query", "team=db"]).await).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["annotations"]["summary"], "it is down");
    assert_eq!(found[0]["receivers"], json!([{"name": "db-pager"}]));
    assert!(works(&running, &["alert", "query"]).await.contains("Other"));
    assert!(works(&running, &["-o", "extended", "alert", "query", "alertname=~D.*"]).await.contains("Down"));
    let id = works(
        &running,
        &["silence", "add", "--author=kim", "--comment=work", "--duration=1h", "alertname=Down", "team=~d.*"],
    )
    .await;
    let id = id.trim();
    let quiet: Json =
        serde_json::from_str(&works(&running, &["-o", "json", "alert", "query", "--silenced"]).await).unwrap();
    assert_eq!(quiet[0]["status"]["silencedBy"], json!([id]));
    assert!(works(&running, &["silence", "query"]).await.contains("kim"));
    let silences: Json =
        serde_json::from_str(&works(&running, &["-o", "json", "silence", "query", "alertname=Down"]).await).unwrap();
    assert_eq!(silences.as_array().unwrap().len(), 1);
    let updated = works(&running, &["silence", "update", "--duration=2h", "--comment=more work", id]).await;
    assert!(updated.contains("more work"), "{updated}");
    let export = works(&running, &["-o", "json", "silence", "query"]).await;
    works(&running, &["silence", "expire", id]).await;
    assert!(!amtool(&running, &["silence", "expire", id]).await.0, "it is over already");
    assert_eq!(works(&running, &["-o", "json", "silence", "query"]).await.trim(), "[]");
    assert!(works(&running, &["silence", "query", "--expired"]).await.contains(id));
    let file = running.folder.join("silences.json");
    let mut imported: Json = serde_json::from_str(&export).unwrap();
    imported[0]["id"] = "".into();
    std::fs::write(&file, imported.to_string()).unwrap();
    works(&running, &["silence", "import", file.to_str().unwrap()]).await;
    let silences: Json = serde_json::from_str(&works(&running, &["-o", "json", "silence", "query"]).await).unwrap();
    assert_eq!(silences[0]["comment"], "more work");
}

#[tokio::test]
async fn amtool_reads_the_configuration_and_its_routes() {
    if !has_program("amtool", "prometheus-alertmanager") {
        return;
    }
    let running = Running::start(CONFIG).await;
    let file = running.folder.join("alertmanager.yml");
    assert!(works(&running, &["check-config", file.to_str().unwrap()]).await.contains("SUCCESS"));
    let shown = works(&running, &["config", "show"]).await;
    assert!(
        shown.contains("db-pager") && !shown.contains("hunter2") && !shown.contains("hooks.example/secret"),
        "{shown}"
    );
    assert!(works(&running, &["config", "routes", "show"]).await.contains("receiver: db-pager"));
    for (labels, receiver) in [("team=db", "db"), ("severity=page", "ops")] {
        assert_eq!(works(&running, &["config", "routes", "test", labels]).await.trim(), receiver);
    }
    let both = works(&running, &["config", "routes", "test", "team=db", "severity=critical"]).await;
    assert_eq!(both.trim(), "db-pager");
    let cluster = works(&running, &["cluster", "show"]).await;
    assert!(cluster.contains("disabled"), "{cluster}");
}
