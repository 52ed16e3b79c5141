//! Messages as receivers get them.

use maru_alerts::{WatchConfig, drill_alert};
use maru_task::Scope;
use maru_testkit::{TempDir, wait_for, wait_until};
use serde_json::{Value as Json, json};

use crate::{Ear, PATIENCE, Running, serve};

async fn heard(ear: &Ear, count: usize) -> Vec<Json> {
    wait_for(PATIENCE, format!("{count} messages"), || async {
        let heard = ear.heard();
        (heard.len() >= count).then_some(heard)
    })
    .await
}

#[tokio::test]
async fn every_kind_of_receiver_gets_its_own_json() {
    let scope = Scope::root("ear");
    let ear = Ear::default();
    let url = serve(&scope, ear.handler()).await;
    let config = format!(
        "
global: {{telegram_api_url: '{url}/telegram'}}
route: {{receiver: all, group_by: [alertname], group_wait: 0s}}
templates: ['*.tmpl']
receivers:
  - name: all
    webhook_configs:
      - {{url: '{url}/webhook', max_alerts: 1, http_config: {{basic_auth: {{username: u, password: p}}}}}}
      - {{url: '{url}/free', payload: {{title: '{{{{ template \"own.title\" . }}}}', count: '{{{{ len .Alerts }}}}'}}}}
    slack_configs: [{{api_url: '{url}/slack', channel: '#ops', send_resolved: true, fields: [{{title: T, value: '{{{{ .CommonLabels.alertname }}}}'}}]}}]
    mattermost_configs: [{{webhook_url: '{url}/mattermost', channel: town-square}}]
    pagerduty_configs: [{{url: '{url}/pagerduty', routing_key: key, severity: '{{{{ .CommonLabels.severity }}}}'}}]
    telegram_configs: [{{bot_token: 'token', chat_id: -42}}]
    discord_configs: [{{webhook_url: '{url}/discord'}}]
    msteamsv2_configs: [{{webhook_url: '{url}/teams'}}]
"
    );
    let folder = TempDir::new();
    std::fs::write(
        folder.join("own.tmpl"),
        "{{ define \"own.title\" }}{{ .Status }}: {{ range .Alerts }}{{ .Labels.n }}{{ end }}{{ end }}",
    )
    .unwrap();
    let running =
        Running::start_in(folder, &config, |options| options.external_url = "https://maru.example/".to_owned()).await;
    running
        .fire(&[
            json!({"alertname": "Disk <full>", "severity": "critical", "n": "1"}),
            json!({"alertname": "Disk <full>", "severity": "critical", "n": "2"}),
        ])
        .await;
    let heard = heard(&ear, 8).await;
    let at = |path: &str| heard.iter().find(|one| one["_path"] == path).unwrap_or_else(|| panic!("{path}: {heard:?}"));
    let webhook = at("/webhook");
    assert_eq!((&webhook["version"], &webhook["truncatedAlerts"]), (&json!("4"), &json!(1)));
    assert_eq!(webhook["groupKey"], "{}:{alertname=\"Disk <full>\"}");
    assert_eq!(webhook["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(webhook["commonLabels"], json!({"alertname": "Disk <full>", "severity": "critical"}));
    assert_eq!(
        (&webhook["_authorization"], &webhook["externalURL"]),
        (&json!("Basic dTpw"), &json!("https://maru.example"))
    );
    assert_eq!(at("/free")["title"], "firing: 12");
    let slack = at("/slack");
    assert_eq!(slack["channel"], "#ops");
    let attachment = &slack["attachments"][0];
    assert_eq!((&attachment["color"], &attachment["title"]), (&json!("danger"), &json!("[FIRING 2] Disk <full>")));
    assert_eq!(attachment["title_link"], "https://maru.example/#/alerts?receiver=all");
    assert_eq!(attachment["fields"], json!([{"title": "T", "value": "Disk <full>", "short": false}]));
    assert!(at("/mattermost")["text"].as_str().unwrap().starts_with("#### [[FIRING 2] Disk <full>]("));
    let pager = at("/pagerduty");
    assert_eq!((&pager["routing_key"], &pager["event_action"]), (&json!("key"), &json!("trigger")));
    assert_eq!(
        (&pager["payload"]["severity"], &pager["payload"]["custom_details"]["num_firing"]),
        (&json!("critical"), &json!("2"))
    );
    let telegram = at("/telegram/bottoken/sendMessage");
    assert_eq!(telegram["chat_id"], -42);
    assert!(telegram["text"].as_str().unwrap().contains("Disk &lt;full&gt;"), "{telegram}");
    assert_eq!(at("/discord")["embeds"][0]["title"], "[FIRING 2] Disk <full>");
    assert_eq!(at("/teams")["attachments"][0]["content"]["type"], "AdaptiveCard");
    scope.cancel();
}

#[tokio::test]
async fn a_drill_and_a_trace_tell_how_a_message_went() {
    let scope = Scope::root("ear");
    let ear = Ear::default();
    let url = serve(&scope, ear.handler()).await;
    let config = format!(
        "route: {{receiver: nobody, group_wait: 1h}}\nreceivers: [{{name: nobody}}, {{name: ops, webhook_configs: [{{url: '{url}/ops'}}]}}]\n"
    );
    let running = Running::start(&config).await;
    let drill =
        drill_alert(Some("ops"), &[("team".to_owned(), "db".to_owned())], "1", "2026-11-22T09:00:00Z".parse().unwrap());
    let labels: Json = drill
        .labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    // The first answer is an error that passes: the message is sent again.
    ear.answer(503);
    running.fire(std::slice::from_ref(&labels)).await;
    heard(&ear, 1).await;
    ear.answer(200);
    let path = format!("/api/v2/alerts/{}/trace", drill.fingerprint());
    let trace = wait_for(PATIENCE, "the message", || async {
        let (status, trace) = running.get(&path).await;
        (status == 200 && trace["decisions"][0]["integrations"][0]["delivered"] == true).then_some(trace)
    })
    .await;
    let integration = &trace["decisions"][0]["integrations"][0];
    assert_eq!(integration["integration"], "ops/webhook/0");
    assert_eq!(integration["reason"], "first notification of the group");
    let answers: Vec<&str> =
        integration["attempts"].as_array().unwrap().iter().map(|one| one["answer"].as_str().unwrap()).collect();
    assert!(answers.first().unwrap().starts_with("503") && answers.last().unwrap().starts_with("200"), "{answers:?}");
    assert_eq!(trace["routes"][0]["receiver"], "ops");
    assert_eq!(trace["routes"][0]["told"][0]["asFiring"], true);
    // One that is held back tells why.
    running.post("/api/v2/silences", json!({"matchers": [{"name": "alertname", "value": "Quiet", "isRegex": false}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "kim", "comment": "work on the disk"}).to_string()).await;
    running.fire(&[json!({"alertname": "Quiet", "maru_receiver": "ops"})]).await;
    let traces = wait_for(PATIENCE, "a decision", || async {
        let (_, traces) = running.get("/api/v2/alerts/traces?filter=alertname%3DQuiet").await;
        (!traces[0]["decisions"].as_array().unwrap().is_empty()).then_some(traces)
    })
    .await;
    assert_eq!(traces[0]["silencedBy"][0]["comment"], "work on the disk");
    assert_eq!(traces[0]["decisions"][0]["silencedBy"].as_array().unwrap().len(), 1);
    scope.cancel();
}

#[tokio::test]
async fn templates_that_explode_are_a_lasting_failure() {
    let scope = Scope::root("ear");
    let ear = Ear::default();
    let url = serve(&scope, ear.handler()).await;
    let config = format!(
        "route: {{receiver: ops, group_wait: 0s}}\nreceivers: [{{name: ops, discord_configs: [{{webhook_url: '{url}/d', message: '{{{{ define \"x\" }}}}{{{{ template \"x\" . }}}}{{{{ end }}}}{{{{ template \"x\" . }}}}'}}]}}]\n"
    );
    let running = Running::start(&config).await;
    running.fire(&[json!({"alertname": "a"})]).await;
    let traces = wait_for(PATIENCE, "the failure", || async {
        let (_, traces) = running.get("/api/v2/alerts/traces").await;
        (traces[0]["decisions"][0]["integrations"][0]["delivered"] == false).then_some(traces)
    })
    .await;
    let answer = traces[0]["decisions"][0]["integrations"][0]["attempts"][0]["answer"].as_str().unwrap();
    assert!(answer.contains("deeper than"), "{answer}");
    assert!(ear.heard().is_empty());
    scope.cancel();
}

#[tokio::test]
async fn files_of_watchdogs_are_read_whole() {
    let config = WatchConfig::read("watchdogs:\n  - matchers: [alertname=Watchdog]\n    within: 5m\n    receiver: ops\ndrills:\n  - {receiver: ops, at: '09:00', location: Asia/Seoul}\n").unwrap();
    assert_eq!((config.watchdogs.len(), config.drills[0].minute), (1, 540));
    let wrong = WatchConfig::read("watchdogs: [{within: soon}]\ndrills: [{at: '25:00'}]\nother: 1\n").unwrap_err();
    assert_eq!(wrong.len(), 4, "{wrong:?}");
    wait_until(PATIENCE, "nothing", || async { true }).await;
}
