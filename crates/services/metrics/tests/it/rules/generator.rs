//! What whoever makes alerts has to do, moment by moment, in time that the test moves.
//!
//! Source: prometheus/compliance, "Alert generator specification".

use super::*;

/// 2026-11-22T09:00:00Z
const START: i64 = 1_795_338_000;

fn settings() -> RuleSettings {
    RuleSettings {
        evaluation_interval: Duration::from_secs(15),
        external_labels: labels(&[("cluster", "home"), ("severity", "none")]),
        ..RuleSettings::default()
    }
}

/// Writes `load` of two instances every 15 seconds, one set of values after the other.
async fn feed(service: &Service, clock: &MovedClock, values: impl IntoIterator<Item = [f64; 2]>) {
    for [a, b] in values {
        let series = |instance, value| {
            (labels(&[("__name__", "load"), ("instance", instance), ("job", "web")]), clock.now_ms(), value)
        };
        service.write(&[series("a", a), series("b", b)]);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

fn second(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().as_second() - START
}

#[tokio::test(start_paused = true)]
async fn labels_and_texts_are_made_of_the_series_and_the_value() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    let rules = r#"
groups:
- name: a
  rules:
  - alert: Loaded
    expr: load > 1
    labels:
      severity: '{{ if gt $value 5.0 }}page{{ else }}ticket{{ end }}'
      instance: 'of {{ .Labels.job }}, {{ $labels.instance }}'
      empty: '{{ $labels.absent }}'
      job: ''
    annotations:
      value: '{{ $value }} {{ .Value | humanize }} {{ printf "%.2f" $value }}'
      outside: '{{ $externalLabels.cluster }} {{ .ExternalURL }} {{ externalURL }}'
      absent: 'x{{ $labels.absent }}y'
      queried: '{{ with query "sum(load)" }}{{ . | first | value | humanize }}{{ end }}'
      wrong: '{{ $labels.instance | nonsense }}'
      plain: 'no template'
"#;
    // A function that there is not: nothing of the file is taken, and the line is told.
    std::fs::write(service.folder.join("rules.yml"), rules).unwrap();
    let refused = service.metrics.rules().reload(&service.folder.join(""), &["rules.yml".to_owned()], settings());
    let told: Vec<String> = refused.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("line 17") && told[0].contains("nonsense"), "{told:?}");
    service.load(&rules.replace("$labels.instance | nonsense", "index (query \"absent\") 3"), settings());
    feed(&service, &clock, [[1234.5, 2.0]; 3]).await;
    let mut alerts: Vec<Value> = service.data("/api/v1/alerts").await["alerts"].as_array().unwrap().clone();
    alerts.sort_by_key(|alert| alert["labels"]["instance"].to_string());
    assert_eq!(
        alerts[0]["labels"],
        serde_json::json!({"alertname": "Loaded", "severity": "page", "instance": "of web, a"})
    );
    assert_eq!(alerts[1]["labels"]["severity"], "ticket");
    let texts = &alerts[0]["annotations"];
    assert_eq!(texts["value"], "1234.5 1.234k 1234.50");
    assert_eq!(texts["outside"], "home http://maru.test http://maru.test");
    assert_eq!(texts["absent"], "xy");
    assert_eq!(texts["queried"], "1.236k");
    assert_eq!(texts["plain"], "no template");
    assert!(texts["wrong"].as_str().unwrap().starts_with("<error expanding template:"), "{texts}");
    assert_eq!(alerts[0]["value"], "1.2345e+03");
    // External labels do not replace those of the alert.
    let told = inbox.all(Instant::now() - Duration::from_secs(45));
    let first = told.iter().find(|(_, alert)| alert["labels"]["instance"] == "of web, a").unwrap();
    assert_eq!((&first.1["labels"]["severity"], &first.1["labels"]["cluster"]), (&"page".into(), &"home".into()));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pending_is_not_told_keep_firing_bridges_and_what_comes_back_is_a_new_alert() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    let rules = "groups:\n- name: a\n  rules:\n  - {alert: Short, expr: load > 1, for: 1m}\n  \
                 - {alert: Kept, expr: load > 1, for: 30s, keep_firing_for: 2m}\n";
    service.load(rules, settings());
    let begun = Instant::now();
    let on = [9.0, 0.0];
    let off = [0.0, 0.0];
    // 45 s are too short for one, and not for the other.
    feed(&service, &clock, [[on; 3].as_slice(), &[off; 3]].concat()).await;
    let told = inbox.all(begun);
    assert!(!told.is_empty() && told.iter().all(|(_, alert)| alert["labels"]["alertname"] == "Kept"), "{told:#?}");
    let kept = service.data("/api/v1/rules").await["groups"][0]["rules"][1].clone();
    assert_eq!((&kept["state"], &kept["keepFiringFor"]), (&"firing".into(), &120.into()));
    assert!(kept["alerts"][0]["keepFiringSince"].is_string(), "{kept}");
    // A gap that is shorter than two minutes is none.
    feed(&service, &clock, [[on; 4].as_slice(), &[off; 12]].concat()).await;
    let kept: Vec<(u64, Value)> =
        inbox.all(begun).into_iter().filter(|(_, alert)| alert["labels"]["alertname"] == "Kept").collect();
    assert!(kept.iter().all(|(_, alert)| alert["startsAt"] == kept[0].1["startsAt"]), "{kept:#?}");
    let ended: Vec<i64> = kept
        .iter()
        .filter(|(at, alert)| second(&alert["endsAt"]) <= i64::try_from(*at).unwrap())
        .map(|(_, alert)| second(&alert["endsAt"]))
        .collect();
    // The last sample that held was at 135 s; two minutes from the first evaluation without it.
    assert!((255..=290).contains(&ended[0]), "{ended:?}");
    let short: Vec<Value> = inbox.all(begun).into_iter().map(|(_, alert)| alert).collect();
    assert!(short.iter().all(|alert| alert["labels"]["alertname"] == "Kept" || second(&alert["startsAt"]) >= 150));
    // Back again after its end: another start.
    feed(&service, &clock, [on; 6]).await;
    let starts: std::collections::BTreeSet<i64> = inbox
        .all(begun)
        .iter()
        .filter(|(_, alert)| alert["labels"]["alertname"] == "Kept")
        .map(|(_, alert)| second(&alert["startsAt"]))
        .collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_sees_what_those_before_it_wrote_and_one_that_joins_tells_its_state() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    let rules = "groups:\n- name: a\n  rules:\n  - {record: load:sum, expr: sum(load)}\n  \
                 - {alert: Busy, expr: 'load:sum > 1'}\n  \
                 - {record: firing, expr: 'count(ALERTS{alertname=\"Busy\",alertstate=\"firing\"})'}\n  \
                 - {record: age, expr: 'time() - timestamp(load:sum)'}\n";
    service.load(rules, settings());
    feed(&service, &clock, [[1.0, 1.0]; 5]).await;
    let at = START + 74;
    for (query, value) in [("firing", "1"), ("age", "0")] {
        let found = service.range(query, at, at, 15).await;
        assert_eq!(found[0]["values"][0][1], value, "{query}");
    }
    // Since when it holds is told in seconds.
    let since = service.range("ALERTS_FOR_STATE{alertname=\"Busy\"}", at, at, 15).await;
    let active = service.data("/api/v1/alerts").await["alerts"][0]["activeAt"].clone();
    assert_eq!(since[0]["values"][0][1], (second(&active) + START).to_string());
    // A rule that joins a group that has been running: its series are there, those of the others do not break off.
    service.load(&format!("{rules}  - {{alert: Joined, expr: 'load:sum > 1', for: 1h}}\n"), settings());
    feed(&service, &clock, [[1.0, 1.0]; 4]).await;
    let at = START + 134;
    let states = service.range("ALERTS", at, at, 15).await;
    let mut states: Vec<(String, String)> = states
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["metric"]["alertname"].to_string(), row["metric"]["alertstate"].to_string()))
        .collect();
    states.sort();
    let expected = [("\"Busy\"", "\"firing\""), ("\"Joined\"", "\"pending\"")];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
    service.stop().await;
}
