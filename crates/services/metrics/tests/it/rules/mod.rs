//! Rules: against promtool, Prometheus and Alertmanager, and in time that a test moves.

mod generator;
mod killed;
mod life;
mod peers;
mod promtool;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use maru_http::{Body, Handler, collect_limited, full};
use maru_metrics::rules::{AlertmanagerTarget, Alertmanagers, RuleSettings, Transport};
use maru_metrics::{Metrics, MetricsOptions};
use maru_prom::Labels;
use maru_series::WriteScope;
use maru_task::Scope;
use maru_testkit::TempDir;
use maru_time::{Clock, SharedClock, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

/// A clock that goes with the runtime's time, which a test stands still and moves; it can be set besides.
#[derive(Debug)]
struct MovedClock {
    start: Mutex<Timestamp>,
    begun: Instant,
}

impl MovedClock {
    fn new(start_second: i64) -> Arc<Self> {
        let start = Timestamp::from_second(start_second).unwrap();
        Arc::new(Self { start: Mutex::new(start), begun: Instant::now() })
    }

    /// Sets the clock forward or back.
    fn jump(&self, seconds: i64) {
        let mut start = self.start.lock().unwrap();
        *start = Timestamp::from_second(start.as_second() + seconds).unwrap();
    }

    fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let ms = self.start.lock().unwrap().as_millisecond();
        Timestamp::from_millisecond(ms + i64::try_from(self.begun.elapsed().as_millis()).unwrap()).unwrap()
    }
}

/// What an Alertmanager in the same process was told.
#[derive(Debug, Clone, Default)]
struct Inbox(Arc<Mutex<Vec<Posted>>>);

/// When a request came, and its alerts.
type Posted = (Instant, Vec<Value>);

impl Inbox {
    /// Answers with a status that a function chooses by the number of the request.
    fn handler(&self, status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Handler {
        let (inbox, status) = (self.clone(), Arc::new(status));
        Handler::new(move |request: Request<Body>| {
            let (inbox, status) = (inbox.clone(), Arc::clone(&status));
            async move {
                assert_eq!(request.uri().path(), "/api/v2/alerts");
                let body = collect_limited(request.into_body(), 64 << 20).await.unwrap();
                let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
                let mut all = inbox.0.lock().unwrap();
                let status = status(all.len());
                all.push((Instant::now(), alerts));
                Response::builder().status(status).body(full("")).unwrap()
            }
        })
    }

    /// Returns all alerts that came, with the seconds since `begun`.
    fn all(&self, begun: Instant) -> Vec<(u64, Value)> {
        let all = self.0.lock().unwrap();
        let one = |(at, alerts): &Posted| {
            let seconds = (*at - begun).as_secs();
            alerts.iter().map(|alert| (seconds, alert.clone())).collect::<Vec<_>>()
        };
        all.iter().flat_map(one).collect()
    }
}

fn room(handler: Handler) -> Alertmanagers {
    let target = AlertmanagerTarget {
        url: "http://alerts/api/v2/alerts".to_owned(),
        transport: Transport::Room(handler),
        timeout: Duration::from_secs(10),
        alert_relabel_configs: Arc::default(),
    };
    Alertmanagers { active: vec![target], dropped: Vec::new() }
}

/// A service without a socket.
struct Service {
    metrics: Metrics,
    scope: Scope,
    folder: TempDir,
}

impl Service {
    async fn start(clock: SharedClock, alertmanagers: Alertmanagers) -> Self {
        Self::in_folder(TempDir::new(), clock, alertmanagers).await
    }

    async fn in_folder(folder: TempDir, clock: SharedClock, alertmanagers: Alertmanagers) -> Self {
        let mut options = MetricsOptions::new(folder.join("metrics"));
        options.clock = clock;
        options.external_url = "http://maru.test".to_owned();
        options.alertmanagers = tokio::sync::watch::channel(alertmanagers).1;
        let scope = Scope::root("test");
        let metrics = Metrics::open(&scope, options).await.unwrap();
        Self { metrics, scope, folder }
    }

    /// Writes rules and loads them.
    fn load(&self, rules: &str, settings: RuleSettings) {
        std::fs::write(self.folder.join("rules.yml"), rules).unwrap();
        let loaded = self.metrics.rules().reload(&self.folder.join(""), &["rules.yml".to_owned()], settings);
        assert_eq!(loaded, Ok(()));
    }

    fn write(&self, samples: &[(Labels, i64, f64)]) {
        let mut appender = self.metrics.store().appender(&WriteScope::everyone());
        for (labels, at_ms, value) in samples {
            let series = appender.series(labels);
            appender.append(series, *at_ms, *value);
        }
        let report = appender.commit().unwrap();
        assert!(report.refused.is_empty(), "{:?}", report.refused);
    }

    async fn request(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.metrics.handler().call(request).await;
        let status = response.status().as_u16();
        let body = collect_limited(response.into_body(), 64 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    async fn data(&self, path: &str) -> Value {
        let (status, answer) = self.request(Request::get(path).body(maru_http::empty()).unwrap()).await;
        assert_eq!((status, &answer["status"]), (200, &Value::from("success")), "{path}: {answer}");
        answer["data"].clone()
    }

    /// Returns the samples of a query over a range as `labels: [(seconds after start, value)]`.
    async fn range(&self, query: &str, start_s: i64, end_s: i64, step_s: i64) -> Value {
        let query = super::encode(&[("query", query)]);
        self.data(&format!("/api/v1/query_range?{query}&start={start_s}&end={end_s}&step={step_s}")).await["result"]
            .clone()
    }

    async fn stop(self) -> TempDir {
        self.scope.shutdown(Duration::from_secs(60)).await.unwrap();
        drop(self.metrics);
        self.folder
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

#[expect(clippy::print_stdout, reason = "the line that a skipped test leaves")]
fn skipped(program: &str) {
    println!("skipped: {program} is not installed");
}

/// Tells whether a program is there.
fn has(program: &str) -> bool {
    let paths = std::env::split_paths("/usr/bin:/usr/local/bin:/bin").collect::<Vec<_>>();
    let found = paths.iter().any(|path| path.join(program).exists());
    if !found {
        skipped(program);
    }
    found
}
