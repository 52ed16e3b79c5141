//! Receivers that are down and processes that are killed, with paused time and without a network.

use std::time::Duration;

use maru_alerts::Transport;
use maru_testkit::TempDir;
use maru_time::{Clock, Timestamp};
use serde_json::json;

use crate::{Ear, Running};

/// A clock that shows the runtime's own time, which tests pause.
#[derive(Debug)]
struct RuntimeClock(Timestamp, tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.0.checked_add(self.1.elapsed()).unwrap()
    }
}

const CONFIG: &str = "
route: {receiver: ops, group_by: [alertname], group_wait: 10s, group_interval: 1m, repeat_interval: 4h}
receivers: [{name: ops, webhook_configs: [{url: 'http://ops/'}]}]
";

async fn start(folder: TempDir, ear: &Ear, clock: &std::sync::Arc<RuntimeClock>) -> Running {
    Running::start_in(folder, CONFIG, |options| {
        options.transport = Transport::Handler(ear.handler());
        options.clock = std::sync::Arc::clone(clock) as _;
    })
    .await
}

/// Asks in the same process: a socket would let paused time run.
async fn fire(running: &Running, name: &str) {
    let body = json!([{"labels": {"alertname": name}, "endsAt": "2099-01-01T00:00:00Z"}]).to_string();
    let request = http::Request::post("/api/v2/alerts").body(maru_http::full(body)).unwrap();
    assert_eq!(running.alerts.handler().call(request).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_down_for_an_hour_hears_everything_once_even_through_a_kill() {
    let clock = std::sync::Arc::new(RuntimeClock("2026-11-22T09:00:00Z".parse().unwrap(), tokio::time::Instant::now()));
    let ear = Ear::default();
    ear.answer(503);
    let running = start(TempDir::new(), &ear, &clock).await;
    fire(&running, "a").await;
    fire(&running, "b").await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let attempts = ear.heard().len();
    // Two groups, backing off up to the flush's end: many attempts, not a flood.
    assert!((60..1000).contains(&attempts), "{attempts} attempts in half an hour");
    // Killed while it retries.
    let folder = running.kill();
    let running = start(folder, &ear, &clock).await;
    fire(&running, "a").await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert!(ear.heard().iter().all(|one| one["_status"] == 503));
    ear.answer(200);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let arrived = |ear: &Ear| {
        let heard = ear.heard();
        let mut names: Vec<String> = heard
            .iter()
            .filter(|one| one["_status"] == 200)
            .map(|one| one["groupLabels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(arrived(&ear), ["a", "b"]);
    // Killed after they arrived: nothing is sent again, also when the sender says the alerts again.
    let folder = running.kill();
    let running = start(folder, &ear, &clock).await;
    fire(&running, "a").await;
    fire(&running, "b").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(arrived(&ear), ["a", "b"]);
    drop(running.kill());
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_that_falls_silent_is_told_and_its_return_too() {
    let clock = std::sync::Arc::new(RuntimeClock("2026-11-22T09:00:00Z".parse().unwrap(), tokio::time::Instant::now()));
    let ear = Ear::default();
    let watch = maru_alerts::WatchConfig::read("watchdogs: [{name: pulse, matchers: [alertname=Watchdog], within: 10m, receiver: ops}]\ndrills: [{receiver: ops, at: '12:00'}]\n").unwrap();
    let quiet =
        CONFIG.replace("receiver: ops,", "receiver: nobody,").replace("receivers: [", "receivers: [{name: nobody}, ");
    let running = Running::start_in(TempDir::new(), &quiet, |options| {
        options.transport = Transport::Handler(ear.handler());
        options.clock = std::sync::Arc::clone(&clock) as _;
        options.watch = watch;
    })
    .await;
    for _ in 0..30 {
        fire(&running, "Watchdog").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(ear.heard().is_empty());
    tokio::time::sleep(Duration::from_secs(1200)).await;
    let heard = ear.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(
        (&heard[0]["commonLabels"]["alertname"], &heard[0]["status"]),
        (&json!("DeadMansSwitch"), &json!("firing"))
    );
    for _ in 0..10 {
        fire(&running, "Watchdog").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(ear.heard()[1]["status"], "resolved");
    // At noon the drill, and its end.
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    let drills: Vec<String> = ear
        .heard()
        .iter()
        .filter(|one| one["commonLabels"]["alertname"] == "FireDrill")
        .map(|one| one["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(drills, ["firing", "resolved"]);
    drop(running.kill());
}
