//! The life of alerts in time that the test moves: nothing here waits for a clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// 2026-11-22T09:00:00Z
const START: i64 = 1_795_338_000;

fn settings() -> RuleSettings {
    RuleSettings {
        evaluation_interval: Duration::from_secs(15),
        external_labels: labels(&[("cluster", "home"), ("team", "nobody")]),
        ..RuleSettings::default()
    }
}

/// Writes `up` every 15 seconds for so long.
async fn feed(service: &Service, clock: &MovedClock, value: f64, seconds: u64) {
    for _ in 0..seconds / 15 {
        service.write(&[(labels(&[("__name__", "up"), ("job", "web")]), clock.now_ms(), value)]);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

const DOWN: &str = r#"
groups:
- name: a
  rules:
  - alert: Down
    expr: up == 0
    for: 1m
    labels: {team: shop}
    annotations: {summary: '{{ $labels.job }} is down'}
  - record: down:count
    expr: count(up == 0)
"#;

#[tokio::test(start_paused = true)]
async fn an_alert_is_sent_when_it_fires_again_and_again_and_when_it_ends() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    service.load(DOWN, settings());
    let begun = Instant::now();
    feed(&service, &clock, 0.0, 300).await;
    feed(&service, &clock, 1.0, 18 * 60).await;
    let told = inbox.all(begun);
    let first = &told[0].1;
    assert_eq!(
        first["labels"],
        serde_json::json!({"alertname": "Down", "job": "web", "team": "shop", "cluster": "home"})
    );
    assert_eq!(first["annotations"]["summary"], "web is down");
    assert_eq!(first["generatorURL"], "http://maru.test/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    let seconds = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap().as_second() - START;
    let starts = seconds(&first["startsAt"]);
    // The first evaluation is within the first 15 s, and fires 60 s later.
    assert!((60..=90).contains(&starts), "{starts}");
    let mut firing = Vec::new();
    let mut resolved = Vec::new();
    for (at, alert) in &told {
        assert_eq!(seconds(&alert["startsAt"]), starts);
        let (at, ends) = (i64::try_from(*at).unwrap(), seconds(&alert["endsAt"]));
        if ends > at { firing.push((at - starts, ends - at)) } else { resolved.push((at - starts, ends - starts)) }
    }
    // Sent again when more than a minute has passed, valid for four minutes.
    let firing_at: Vec<i64> = firing.iter().map(|(at, _)| *at).collect();
    assert_eq!(firing_at, [0, 75, 150, 225]);
    assert!(firing.iter().all(|(_, valid)| (239..=240).contains(valid)), "{firing:?}");
    // Told as resolved at once, and for 15 minutes.
    let (first_resolved, ended) = resolved[0];
    assert_eq!(first_resolved, ended);
    assert!((225..=255).contains(&ended), "{resolved:?}");
    let last = resolved.last().unwrap().0;
    assert!((ended + 13 * 60..=ended + 15 * 60).contains(&last), "{resolved:?}");
    assert!(resolved.iter().all(|(_, end)| *end == ended));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn series_tell_which_alerts_are_pending_and_firing_and_end_with_them() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    service.load(DOWN, settings());
    feed(&service, &clock, 0.0, 240).await;
    let state = service.range("count by (alertstate) (ALERTS)", START, START + 240, 15).await;
    let states: Vec<&str> =
        state.as_array().unwrap().iter().map(|row| row["metric"]["alertstate"].as_str().unwrap()).collect();
    assert_eq!(states, ["firing", "pending"]);
    let since = service.range("ALERTS_FOR_STATE - (time() - time() % 86400)", START + 200, START + 200, 15).await;
    assert_eq!(since[0]["metric"]["team"], "shop");
    let data = service.data("/api/v1/alerts").await;
    assert_eq!((&data["alerts"][0]["state"], &data["alerts"][0]["value"]), (&"firing".into(), &"0e+00".into()));
    feed(&service, &clock, 1.0, 60).await;
    // Without markers they would be there for five more minutes.
    let end = START + 300;
    for query in ["ALERTS", "ALERTS_FOR_STATE", "down:count"] {
        assert_eq!(service.range(query, end, end, 15).await, Value::Array(Vec::new()), "{query}");
    }
    assert_eq!(service.data("/api/v1/alerts").await["alerts"], Value::Array(Vec::new()));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_gone_ends_its_series_and_one_that_changes_keeps_its_alerts() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    service.load(DOWN, settings());
    feed(&service, &clock, 0.0, 45).await;
    let active_at = service.data("/api/v1/alerts").await["alerts"][0]["activeAt"].clone();
    // Another rule comes before it and its own text changes: since when it holds does not.
    service.load(
        &DOWN.replace("  rules:\n", "  rules:\n  - {record: one, expr: '1'}\n").replace("is down", "is gone"),
        settings(),
    );
    feed(&service, &clock, 0.0, 45).await;
    let alert = service.data("/api/v1/alerts").await["alerts"][0].clone();
    assert_eq!((&alert["activeAt"], &alert["annotations"]["summary"]), (&active_at, &"web is gone".into()));
    feed(&service, &clock, 0.0, 60).await;
    service.load("groups: []\n", settings());
    feed(&service, &clock, 0.0, 60).await;
    for query in ["ALERTS", "down:count", "one"] {
        assert_eq!(service.range(query, START + 210, START + 210, 15).await, Value::Array(Vec::new()), "{query}");
    }
    assert_eq!(service.data("/api/v1/rules").await["groups"], Value::Array(Vec::new()));
    service.stop().await;
}

const LONG: &str = r#"
groups:
- name: a
  rules:
  - {alert: Long, expr: up == 0, for: 40m}
"#;

#[tokio::test(start_paused = true)]
async fn how_long_an_alert_holds_survives_a_restart_and_the_outage_does_not_count() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    service.load(LONG, settings());
    feed(&service, &clock, 0.0, 20 * 60).await;
    let folder = service.stop().await;
    // Half an hour without us; the condition goes on.
    tokio::time::sleep(Duration::from_secs(30 * 60)).await;
    let service = Service::in_folder(folder, clock.clone(), room(inbox.handler(|_| 200))).await;
    service.load(LONG, settings());
    let begun = Instant::now();
    feed(&service, &clock, 0.0, 25 * 60).await;
    let first = inbox.all(begun)[0].0;
    // 20 minutes were left.
    assert!((19 * 60..=21 * 60).contains(&first), "{first}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_fires_nor_forgets_alerts() {
    for jump in [6 * 3600, -6 * 3600] {
        let clock = MovedClock::new(START);
        let inbox = Inbox::default();
        let mut options = RuleSettings { evaluation_interval: Duration::from_secs(15), ..RuleSettings::default() };
        options.external_labels = Labels::empty();
        let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
        // A condition that does not need samples: those could not be written into the past.
        service.load("groups:\n- name: a\n  rules:\n  - {alert: Always, expr: vector(1), for: 10m}\n", options);
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs(300)).await;
        clock.jump(jump);
        tokio::time::sleep(Duration::from_secs(240)).await;
        assert!(inbox.all(begun).is_empty(), "{jump}: the alert fires too early");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!inbox.all(begun).is_empty(), "{jump}: the alert does not fire");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_alertmanager_that_is_down_is_told_later_once_and_does_not_hold_up_anything() {
    let clock = MovedClock::new(START);
    let (inbox, slow) = (Inbox::default(), Arc::new(AtomicUsize::new(0)));
    let mut targets = room(inbox.handler(|request| if request < 5 { 503 } else { 200 }));
    let hangs = Arc::clone(&slow);
    targets.active.push(AlertmanagerTarget {
        url: "http://hangs/api/v2/alerts".to_owned(),
        transport: Transport::Room(Handler::new(move |_| {
            hangs.fetch_add(1, Ordering::Relaxed);
            std::future::pending()
        })),
        ..targets.active[0].clone()
    });
    let service = Service::start(clock.clone(), targets).await;
    let rules = "groups:\n- name: a\n  rules:\n  - {alert: Always, expr: vector(1)}\n  - {record: one, expr: '1'}\n";
    service.load(rules, settings());
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told = inbox.all(begun);
    // Tried again after 1, 2, 4, 8 and 16 seconds, then taken; each time the one alert.
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].1["startsAt"] == pair[1].1["startsAt"]));
    assert!(slow.load(Ordering::Relaxed) >= 2);
    let missed = service.range("one", START + 20, START + 55, 15).await;
    assert_eq!(missed[0]["values"].as_array().unwrap().len(), 3);
    let explained = service.data("/api/v1/alerts/explain?rule=Always").await;
    let sends = explained["rules"][0]["alerts"][0]["sends"].clone();
    assert_eq!((&sends[0]["sent"], &sends[0]["status"]), (&true.into(), &200.into()), "{sends}");
    assert_eq!(sends[1]["sent"], false);
    assert!(sends[1]["error"].as_str().unwrap().contains("no answer within 10s"), "{sends}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_alerts_at_once_are_sent_in_batches() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    let series = |number: usize| labels(&[("__name__", "up"), ("instance", &number.to_string())]);
    let samples: Vec<_> = (0..10_000).map(|number| (series(number), clock.now_ms(), 0.0)).collect();
    service.write(&samples);
    service.load("groups:\n- name: a\n  rules:\n  - {alert: Down, expr: up == 0, annotations: {a: 'x {{ $labels.instance }}'}}\n", settings());
    tokio::time::sleep(Duration::from_secs(40)).await;
    let batches: Vec<usize> = inbox.0.lock().unwrap().iter().map(|(_, alerts)| alerts.len()).collect();
    assert_eq!(batches.iter().sum::<usize>(), 10_000);
    assert!(batches.iter().all(|batch| *batch <= 256), "{batches:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_a_rule_is_told_and_stops_no_other() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    let now = clock.now_ms();
    service.write(&[
        (labels(&[("__name__", "m"), ("a", "1")]), now, 1.0),
        (labels(&[("__name__", "m"), ("a", "2")]), now, 2.0),
    ]);
    let rules = r#"
groups:
- name: a
  limit: 1
  rules:
  - {record: same, expr: m, labels: {a: x}}
  - {record: many, expr: m}
  - {alert: Same, expr: m, labels: {a: x}}
  - {alert: Many, expr: m}
  - {record: match, expr: m * on () m}
  - {record: good, expr: sum(m)}
  - {record: reads, expr: good + 1}
- name: b
  rules:
  - alert: Loops
    expr: vector(1)
    annotations:
      endless: '{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}'
      large: '{{ range query "m" }}{{ printf "%9999999d" 1 }}{{ end }}'
      doubles: '{{ define "y" }}x{{ template "y" }}{{ template "y" }}{{ end }}{{ template "y" }}'
      missing: '{{ query "sum(" }}'
      good: 'fine'
"#;
    service.load(rules, settings());
    tokio::time::sleep(Duration::from_secs(40)).await;
    let data = service.data("/api/v1/rules?rule_group[]=a").await;
    let rules = data["groups"][0]["rules"].as_array().unwrap();
    let told: Vec<(&str, &str, String)> = rules
        .iter()
        .map(|rule| {
            let error = rule["lastError"].as_str().unwrap_or_default().to_owned();
            (rule["name"].as_str().unwrap(), rule["health"].as_str().unwrap(), error)
        })
        .collect();
    let error = |index: usize| told[index].2.as_str();
    assert_eq!(error(0), "exceeded limit of 1 with 2 series");
    assert_eq!(error(1), "exceeded limit of 1 with 2 series");
    assert_eq!(error(2), "vector contains metrics with the same labelset after applying alert labels");
    assert_eq!(error(3), "exceeded limit of 1 with 2 alerts");
    assert!(error(4).contains("many-to-many"), "{}", error(4));
    assert!(told[5..].iter().all(|(_, health, _)| *health == "ok"), "{told:?}");
    let read = service.range("reads", START + 35, START + 35, 15).await;
    assert_eq!(read[0]["values"][0][1], "4");
    let alert = service.data("/api/v1/alerts").await["alerts"][0].clone();
    let texts = &alert["annotations"];
    assert_eq!(texts["good"], "fine");
    for name in ["endless", "doubles", "missing"] {
        let text = texts[name].as_str().unwrap();
        assert!(text.starts_with("<error expanding template:") && text.len() < 1000, "{name}: {text}");
    }
    assert!(texts["large"].as_str().unwrap().len() <= 64 << 10);
    let (_, metrics) = service.request(Request::get("/metrics").body(maru_http::empty()).unwrap()).await;
    let metrics = metrics.as_str().unwrap().to_owned();
    let group = format!("rule_group=\"{};a\"", service.folder.join("rules.yml").display());
    let line = |name: &str| {
        let start = format!("{name}{{{group}}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.parse::<f64>().unwrap())
    };
    assert_eq!(line("prometheus_rule_group_rules"), Some(7.0), "{metrics}");
    assert_eq!(line("prometheus_rule_group_interval_seconds"), Some(15.0));
    assert!(line("prometheus_rule_evaluation_failures_total").is_some_and(|count| count >= 10.0));
    assert!(line("prometheus_rule_group_iterations_total").is_some_and(|count| count >= 2.0));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_with_errors_tells_all_of_them_and_the_running_rules_stay() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    service.load(DOWN, settings());
    std::fs::write(
        service.folder.join("rules.yml"),
        "groups:\n- name: a\n  rules:\n  - alert: x\n    expr: |\n      sum(\n        up{\n  - record: b\n    expr: 1 +\n    for: 1m\n",
    )
    .unwrap();
    let patterns = ["*.yml".to_owned(), "absent.yaml".to_owned()];
    let problems = service.metrics.rules().reload(&service.folder.join(""), &patterns, settings()).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.contains("line 7, column 12") && line.contains("does not parse")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("line 9, column 14") && line.contains("does not parse")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("line 10") && line.contains("no such field")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("absent.yaml")), "{told:#?}");
    let data = service.data("/api/v1/rules").await;
    assert_eq!(data["groups"][0]["rules"][0]["name"], "Down");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_list_of_rules_can_be_narrowed_and_turned_in_pages() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    let rules: String = (0..5).map(|number| format!("- name: g{number}\n  rules:\n  - {{alert: A, expr: up, labels: {{n: 'n{number}'}}}}\n  - {{record: r, expr: up}}\n")).collect();
    service.load(&format!("groups:\n{rules}"), settings());
    let names = |data: &Value| -> Vec<String> {
        data["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = service.data("/api/v1/rules?group_limit=2").await;
    assert_eq!(names(&first), ["g0", "g1"]);
    let token = first["groupNextToken"].as_str().unwrap();
    let second = service.data(&format!("/api/v1/rules?group_limit=3&group_next_token={token}")).await;
    assert_eq!((names(&second), second.get("groupNextToken")), (vec!["g2".into(), "g3".into(), "g4".into()], None));
    let narrowed = service.data("/api/v1/rules?type=alert&rule_group[]=g1&rule_group[]=g2").await;
    assert_eq!((names(&narrowed).len(), narrowed["groups"][0]["rules"].as_array().unwrap().len()), (2, 1));
    let matched = service.data(&format!("/api/v1/rules?{}", super::super::encode(&[("match[]", "{n=\"n3\"}")]))).await;
    assert_eq!(names(&matched), ["g3"]);
    let (status, answer) =
        service.request(Request::get("/api/v1/rules?type=other").body(maru_http::empty()).unwrap()).await;
    assert_eq!((status, &answer["errorType"]), (400, &"bad_data".into()));
    let rule = &first["groups"][0]["rules"][0];
    for field in [
        "state",
        "name",
        "query",
        "duration",
        "keepFiringFor",
        "labels",
        "annotations",
        "alerts",
        "health",
        "evaluationTime",
        "lastEvaluation",
        "type",
    ] {
        assert!(rule.get(field).is_some(), "{field}: {rule}");
    }
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_tells_what_fired_in_recorded_time() {
    let clock = MovedClock::new(START);
    let inbox = Inbox::default();
    let service = Service::start(clock.clone(), room(inbox.handler(|_| 200))).await;
    service.load(DOWN, settings());
    let begun = Instant::now();
    // Two outages of five minutes, and one that is too short.
    for (value, seconds) in [(1.0, 300), (0.0, 300), (1.0, 300), (0.0, 30), (1.0, 300), (0.0, 300), (1.0, 120)] {
        feed(&service, &clock, value, seconds).await;
    }
    let live: std::collections::BTreeSet<String> =
        inbox.all(begun).iter().map(|(_, alert)| alert["startsAt"].as_str().unwrap().to_owned()).collect();
    let body = DOWN.replace("expr: up == 0\n    for", "expr: state:down > 0\n    for").replace("count(up == 0)", "1")
        + "- name: z\n  rules:\n  - {record: 'state:down', expr: 'up == bool 0'}\n";
    let path = format!("/api/v1/rules/rehearse?start={START}&end={}", START + 1650);
    let (status, answer) = service.request(Request::post(path).body(full(body)).unwrap()).await;
    assert_eq!(status, 200, "{answer}");
    let data = &answer["data"];
    let alerts = data["alerts"].as_array().unwrap();
    assert_eq!((alerts.len(), live.len()), (2, 2), "{data}");
    let seconds = |text: &str| text.parse::<Timestamp>().unwrap().as_second() - START;
    for (rehearsed, live) in alerts.iter().zip(&live) {
        let difference = seconds(rehearsed["startsAt"].as_str().unwrap()) - seconds(live);
        assert!(difference.abs() <= 15, "{difference}");
        assert_eq!(rehearsed["annotations"]["summary"], "web is down");
    }
    let rule = data["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == "Down").unwrap();
    assert_eq!((&rule["firings"], &rule["pendingOnly"]), (&2.into(), &1.into()), "{data}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn why_an_alert_does_not_fire_is_told_with_its_numbers() {
    let clock = MovedClock::new(START);
    let service = Service::start(clock.clone(), Alertmanagers::default()).await;
    service.load(
        "groups:\n- name: a\n  rules:\n  - {alert: Hot, expr: 'temperature > 30 and on () vector(1) == 1', for: 5m}\n",
        settings(),
    );
    let write =
        |value: f64| service.write(&[(labels(&[("__name__", "temperature"), ("room", "a")]), clock.now_ms(), value)]);
    write(21.5);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let path = format!("/api/v1/alerts/explain?{}", super::super::encode(&[("rule", "Hot"), ("labels", "room=\"a\"")]));
    let cold = service.data(&path).await["rules"][0].clone();
    let condition = &cold["conditions"][0];
    assert_eq!((&condition["threshold"], &condition["operator"]), (&30.0.into(), &">".into()), "{cold}");
    assert_eq!((&condition["series"][0]["value"], &condition["series"][0]["holds"]), (&21.5.into(), &false.into()));
    assert!(cold["reasons"][0]["en"].as_str().unwrap().contains("temperature is 21.5, which is not > 30"), "{cold}");
    assert!(
        cold["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .any(|reason| reason["en"].as_str().unwrap().contains("no Alertmanager"))
    );
    write(35.0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hot = service.data(&path).await["rules"][0].clone();
    let alert = &hot["alerts"][0];
    assert_eq!(alert["state"], "pending", "{hot}");
    let remaining = alert["remainingForSeconds"].as_f64().unwrap();
    assert!((200.0..=270.0).contains(&remaining), "{remaining}");
    assert!(hot["reasons"][0]["ko"].as_str().unwrap().contains("대기 중"), "{hot}");
    let (status, _) =
        service.request(Request::get("/api/v1/alerts/explain?rule=Nothing").body(maru_http::empty()).unwrap()).await;
    assert_eq!(status, 404);
    service.stop().await;
}
