//! Tells every Alertmanager about alerts, over API v2. Nothing here makes an evaluation wait.
//!
//! Source: Alertmanager's API v2; prometheus/compliance, "Alert generator specification", sending alerts.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use maru_http::{Handler, full};
use maru_monitoring::relabel::{RelabelRule, apply};
use maru_monitoring::scrape::HttpClientConfig;
use maru_prom::Labels;
use maru_task::Scope;
use maru_time::SharedClock;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::alert::Alert;
use super::telemetry::Telemetry;
use crate::collect::client::{self, HttpClient, Session};
use crate::request::{read_body, rfc3339_millis};

/// Alerts that wait for one Alertmanager; the oldest make room.
const QUEUE_MAX: usize = 10_000;
/// Alerts in one request.
const BATCH_MAX: usize = 256;
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// The wait after the first failure; doubled with each further one.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// And at most.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Sends that are remembered for one Alertmanager.
const DELIVERIES_MAX: usize = 20_000;

/// An Alertmanager and the way to it.
#[derive(Debug, Clone)]
pub struct AlertmanagerTarget {
    /// The whole address of `…/api/v2/alerts`. Of a room in the same process any address that names it.
    pub url: String,
    /// What carries requests there.
    pub transport: Transport,
    /// How long one request may take.
    pub timeout: Duration,
    /// Rules for alerts that go to this one.
    pub alert_relabel_configs: Arc<[RelabelRule]>,
}

/// What carries requests to an Alertmanager.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are few, and they are hardly moved")]
pub enum Transport {
    /// A connection.
    Http {
        /// Credentials and TLS.
        config: HttpClientConfig,
        /// Where relative paths of its files start.
        folder: PathBuf,
    },
    /// The room in the same process.
    Room(Handler),
}

impl Transport {
    /// Tells whether two carry requests the same way.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http { config, folder }, Self::Http { config: other, folder: other_folder }) => {
                config == other && folder == other_folder
            }
            // A room is handed over once.
            (Self::Room(_), Self::Room(_)) => true,
            (Self::Http { .. }, Self::Room(_)) | (Self::Room(_), Self::Http { .. }) => false,
        }
    }
}

/// All Alertmanagers that are known at a moment.
#[derive(Debug, Clone, Default)]
pub struct Alertmanagers {
    /// Those that are told.
    pub active: Vec<AlertmanagerTarget>,
    /// Addresses that relabeling dropped.
    pub dropped: Vec<String>,
}

/// What is done to all alerts on their way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) external_labels: Labels,
    pub(crate) relabel: Arc<[RelabelRule]>,
}

/// An alert on its way.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// The labels that the rule gave it.
    origin: Labels,
    /// Those that are sent.
    labels: Labels,
    annotations: BTreeMap<String, String>,
    starts_at_ms: i64,
    ends_at_ms: i64,
    is_resolved: bool,
    generator_url: String,
}

impl Notice {
    pub(crate) fn new(alert: Alert, expression: &str, external_url: &str) -> Self {
        let base = external_url.trim_end_matches('/');
        Self {
            origin: alert.labels.clone(),
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
            ends_at_ms: alert.resolved_at_ms.unwrap_or(alert.valid_until_ms),
            is_resolved: alert.resolved_at_ms.is_some(),
            generator_url: format!("{base}{}", maru_monitoring::rules::table_link(expression)),
        }
    }

    /// As the API takes it.
    fn to_json(&self) -> Value {
        json!({
            "labels": self.labels.iter().collect::<BTreeMap<_, _>>(),
            "annotations": self.annotations,
            "startsAt": rfc3339_millis(self.starts_at_ms),
            "endsAt": rfc3339_millis(self.ends_at_ms),
            "generatorURL": self.generator_url,
        })
    }
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whether the alert was told as resolved.
    pub is_resolved: bool,
    /// The status of the answer; nothing when there was none.
    pub status: Option<u16>,
    /// What was wrong; empty when the alert was taken.
    pub error: String,
}

/// Hands alerts to all Alertmanagers. Clones are the same sender.
#[derive(Debug, Clone)]
pub(crate) struct Sender(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
    outgoing: Mutex<Outgoing>,
    targets: watch::Receiver<Alertmanagers>,
    lines: Mutex<BTreeMap<String, Arc<Line>>>,
}

/// The way to one Alertmanager with what waits for it.
#[derive(Debug)]
struct Line {
    target: AlertmanagerTarget,
    scope: Scope,
    queue: Mutex<Queue>,
    changed: Notify,
    deliveries: Mutex<HashMap<Labels, Delivery>>,
}

/// Alerts that wait, each once: what came last counts.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Labels>,
    notices: HashMap<Labels, Notice>,
}

impl Queue {
    /// Takes a notice; returns how many made room for it.
    fn push(&mut self, notice: Notice) -> u64 {
        if self.notices.insert(notice.labels.clone(), notice.clone()).is_none() {
            self.order.push_back(notice.labels);
        }
        let mut dropped = 0;
        while self.order.len() > QUEUE_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.notices.remove(&oldest);
                dropped += 1;
            }
        }
        dropped
    }

    fn take(&mut self, now_ms: i64) -> Vec<Notice> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(labels) = self.order.pop_front()
        {
            // One that waited until its end would be taken for resolved.
            let notice = self.notices.remove(&labels);
            batch.extend(notice.filter(|notice| notice.is_resolved || notice.ends_at_ms > now_ms));
        }
        batch
    }

    /// Puts a batch back to the front, but for alerts of which something newer came.
    fn put_back(&mut self, batch: Vec<Notice>) {
        for notice in batch.into_iter().rev() {
            if !self.notices.contains_key(&notice.labels) {
                self.order.push_front(notice.labels.clone());
                self.notices.insert(notice.labels.clone(), notice);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender {
    /// Starts a task that follows the list of Alertmanagers, and one for each of them.
    pub(crate) fn start(
        scope: &Scope,
        clock: SharedClock,
        telemetry: Arc<Telemetry>,
        targets: watch::Receiver<Alertmanagers>,
    ) -> Self {
        telemetry.queue_capacity.set(i64::try_from(QUEUE_MAX).unwrap_or(i64::MAX));
        let inner = Inner { clock, telemetry, outgoing: Mutex::default(), targets, lines: Mutex::default() };
        let sender = Self(Arc::new(inner));
        sender.follow(scope);
        let (own, own_scope) = (sender.clone(), scope.clone());
        drop(scope.spawn_until_cancelled("alertmanagers", async move {
            let mut targets = own.0.targets.clone();
            while targets.changed().await.is_ok() {
                own.follow(&own_scope);
            }
            // The list will not change any more.
            std::future::pending::<()>().await;
        }));
        sender
    }

    /// Sets what is done to all alerts.
    pub(crate) fn set_outgoing(&self, outgoing: Outgoing) {
        *lock(&self.0.outgoing) = outgoing;
    }

    /// Brings the lines in accord with the list of Alertmanagers.
    fn follow(&self, scope: &Scope) {
        let wanted = self.0.targets.borrow().clone();
        let mut lines = lock(&self.0.lines);
        let mut kept = BTreeMap::new();
        for target in wanted.active {
            let old = lines.remove(&target.url);
            if let Some(line) = &old
                && line.target.timeout == target.timeout
                && line.target.transport.is(&target.transport)
                && line.target.alert_relabel_configs == target.alert_relabel_configs
            {
                kept.insert(target.url.clone(), Arc::clone(line));
                continue;
            }
            let line = Arc::new(Line {
                scope: scope.child("alertmanager"),
                queue: Mutex::default(),
                changed: Notify::new(),
                deliveries: Mutex::default(),
                target: target.clone(),
            });
            if let Some(old) = old {
                std::mem::swap(&mut *lock(&old.queue), &mut *lock(&line.queue));
                old.scope.cancel();
                line.changed.notify_one();
            }
            drop(line.scope.spawn_until_cancelled("send", send_all(Arc::clone(&self.0), Arc::clone(&line))));
            kept.insert(target.url, line);
        }
        for gone in lines.values() {
            gone.scope.cancel();
        }
        self.0.telemetry.alertmanagers.set(i64::try_from(kept.len()).unwrap_or(i64::MAX));
        *lines = kept;
    }

    /// Puts alerts into the queues of all Alertmanagers. Never waits.
    pub(crate) fn send(&self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        let outgoing = lock(&self.0.outgoing).clone();
        let notices: Vec<Notice> = notices.into_iter().filter_map(|notice| outgoing.apply(notice)).collect();
        let mut length = 0;
        for line in lock(&self.0.lines).values() {
            let mut queue = lock(&line.queue);
            for notice in &notices {
                let Some(labels) = relabeled(&notice.labels, &line.target.alert_relabel_configs) else { continue };
                self.0.telemetry.dropped.add(queue.push(Notice { labels, ..notice.clone() }));
            }
            length += queue.order.len();
            drop(queue);
            line.changed.notify_one();
        }
        self.0.telemetry.queue_length.set(i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// Returns the addresses of Alertmanagers: those that are told, and those that are not.
    pub(crate) fn addresses(&self) -> (Vec<String>, Vec<String>) {
        let targets = self.0.targets.borrow();
        (targets.active.iter().map(|target| target.url.clone()).collect(), targets.dropped.clone())
    }

    /// Returns how the last send of an alert ended, by Alertmanager; nothing for one that was not told.
    pub(crate) fn deliveries(&self, labels: &Labels) -> Vec<(String, Option<Delivery>)> {
        let lines = lock(&self.0.lines);
        lines.iter().map(|(url, line)| (url.clone(), lock(&line.deliveries).get(labels).cloned())).collect()
    }
}

impl Outgoing {
    /// Adds the system's labels where the alert has none of the name, and relabels. Nothing when the alert is dropped.
    fn apply(&self, notice: Notice) -> Option<Notice> {
        let mut builder = notice.labels.to_builder();
        for (name, value) in self.external_labels.iter() {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        let labels = relabeled(&builder.build(), &self.relabel)?;
        Some(Notice { labels, ..notice })
    }
}

fn relabeled(labels: &Labels, rules: &[RelabelRule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    apply(&mut builder, rules).then(|| builder.build())
}

/// Sends what waits for one Alertmanager, for ever.
async fn send_all(sender: Arc<Inner>, line: Arc<Line>) {
    let mut back_off = BACK_OFF_MIN;
    let mut way = Way::new(&line.target.transport);
    loop {
        let now_ms = sender.clock.now().as_millisecond();
        let batch = lock(&line.queue).take(now_ms);
        if batch.is_empty() {
            line.changed.notified().await;
            continue;
        }
        match send_batch(&sender, &line, &mut way, &batch).await {
            Outcome::Taken => back_off = BACK_OFF_MIN,
            Outcome::Refused => sender.telemetry.dropped.add(batch.len() as u64),
            Outcome::Failed => {
                lock(&line.queue).put_back(batch);
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        }
    }
}

/// What became of a batch.
enum Outcome {
    Taken,
    /// It will never be taken.
    Refused,
    /// It may be taken later.
    Failed,
}

async fn send_batch(sender: &Inner, line: &Line, way: &mut Way, batch: &[Notice]) -> Outcome {
    let url = line.target.url.as_str();
    let started = Instant::now();
    let body: Value = batch.iter().map(Notice::to_json).collect();
    let answered = tokio::time::timeout(line.target.timeout, way.post(url, &body)).await;
    sender.telemetry.latency.with(&[url]).observe(started.elapsed());
    let (status, error) = match answered {
        Ok(Ok((status, _))) if status.is_success() => (Some(status), String::new()),
        Ok(Ok((status, text))) => (Some(status), format!("it answered {status}: {text}")),
        Ok(Err(why)) => (None, why),
        Err(_) => {
            way.close();
            (None, format!("no answer within {:?}", line.target.timeout))
        }
    };
    let count = batch.len() as u64;
    sender.telemetry.sent.with(&[url]).add(count);
    if !error.is_empty() {
        sender.telemetry.errors.with(&[url]).add(count);
        tracing::warn!(alertmanager = url, alerts = count, error, "alerts could not be sent");
    }
    let at_ms = sender.clock.now().as_millisecond();
    let mut deliveries = lock(&line.deliveries);
    if deliveries.len() + batch.len() > DELIVERIES_MAX {
        deliveries.clear();
    }
    for notice in batch {
        let status = status.map(|status| status.as_u16());
        let delivery = Delivery { at_ms, is_resolved: notice.is_resolved, status, error: error.clone() };
        deliveries.insert(notice.origin.clone(), delivery);
    }
    match status {
        Some(status) if status.is_success() => Outcome::Taken,
        Some(status) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

/// The way to one Alertmanager, with its connection.
enum Way {
    Http(Box<Session>),
    Room(Handler),
}

impl Way {
    fn new(transport: &Transport) -> Self {
        match transport {
            Transport::Http { config, folder } => {
                Self::Http(Box::new(HttpClient::new(config, folder.clone()).session()))
            }
            Transport::Room(handler) => Self::Room(handler.clone()),
        }
    }

    async fn post(&mut self, url: &str, body: &Value) -> Result<(StatusCode, String), String> {
        let unusable = |error: &dyn std::fmt::Display| format!("the address cannot be used: {error}");
        let json = HeaderValue::from_static("application/json");
        let agent = HeaderValue::from_static(concat!("Maru/", env!("CARGO_PKG_VERSION")));
        let (status, answer) = match self {
            Self::Http(session) => {
                let url = url.parse::<Uri>().map_err(|error| unusable(&error))?;
                let headers = [(header::CONTENT_TYPE, json), (header::USER_AGENT, agent)].into_iter().collect();
                let outgoing = client::Outgoing { method: Method::POST, url, headers, body: body.to_string().into() };
                let mut answer = Vec::new();
                let sent = session.send(&outgoing, &mut answer, ANSWER_BYTES_MAX).await?;
                (sent.status, Bytes::from(answer))
            }
            Self::Room(handler) => {
                let request = Request::post(url).header(header::CONTENT_TYPE, json).header(header::USER_AGENT, agent);
                let request = request.body(full(body.to_string())).map_err(|error| unusable(&error))?;
                let response = handler.call(request).await;
                let status = response.status();
                let body = read_body(response.into_body(), ANSWER_BYTES_MAX).await;
                (status, body.map_err(|error| error.to_string())?)
            }
        };
        Ok((status, String::from_utf8_lossy(&answer).trim().chars().take(300).collect()))
    }

    /// Forgets a connection whose answer was not waited for.
    fn close(&mut self) {
        if let Self::Http(session) = self {
            session.close();
        }
    }
}
