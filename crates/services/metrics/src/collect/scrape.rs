//! One target's loop: fetch, read, record, again.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use maru_monitoring::scrape::ScrapeConfig;
use maru_prom::exposition::{Format, ScrapeProtocol};
use maru_series::{CommitReport, RefusalReason};
use maru_task::Scope;
use tokio::time::Instant;

use super::Shared;
use super::client::{HttpClient, Outgoing, Session};
use super::ingest::{Counts, Rules, Table};
use super::target::Target;

/// Bytes of an answer where the job sets no limit.
const BODY_BYTES_MAX: usize = 256 << 20;
/// Longer answers are read on a thread of their own.
const INLINE_BYTES_MAX: usize = 128 << 10;
/// Scrapes this close to their moment get that moment's timestamp, so that series compress better.
const ALIGN_MS_MAX: i64 = 2;
/// How often a new target is asked again that does not answer yet, and the time between two tries.
const FIRST_TRIES: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Buffers larger than this are given back.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// What a target in this process answers.
pub(crate) type Answered = Pin<Box<dyn Future<Output = Result<(Bytes, Format), String>> + Send>>;

/// A target in this process: asked, it answers its metrics as a text.
#[derive(Clone)]
pub struct InProcessTarget(pub(crate) Arc<dyn Fn(&str) -> Answered + Send + Sync>);

impl std::fmt::Debug for InProcessTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InProcessTarget")
    }
}

impl InProcessTarget {
    /// Makes a target of a function that takes the address it is asked at and answers a text in Prometheus' format 0.0.4.
    pub fn new<F, R>(function: F) -> Self
    where
        F: Fn(&str) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self(Arc::new(move |url: &str| {
            let answer = function(url);
            Box::pin(async move { answer.await.map(|text| (Bytes::from(text), Format::Text)) })
        }))
    }
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// The last scrape went well.
    Up,
    /// The last scrape failed.
    Down,
}

/// The last scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Last {
    pub(crate) health: Health,
    pub(crate) at_ms: i64,
    pub(crate) duration: Duration,
    pub(crate) error: String,
}

/// What is known of a target while it is scraped.
#[derive(Debug, Default)]
pub(crate) struct TargetState {
    pub(crate) last: Mutex<Last>,
    pub(crate) table: Mutex<Table>,
    /// Why all scrapes of the job fail: it has too many targets.
    pub(crate) forced_error: Mutex<Option<String>>,
}

impl TargetState {
    pub(crate) fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn force(&self, error: Option<String>) {
        *self.forced_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Where a target's metrics come from.
#[derive(Debug)]
enum Source {
    Network { session: Session, outgoing: Box<Outgoing> },
    InProcess(InProcessTarget),
}

/// One target's loop.
#[derive(Debug)]
pub(crate) struct ScrapeLoop {
    shared: Arc<Shared>,
    rules: Arc<Rules>,
    target: Arc<Target>,
    state: Arc<TargetState>,
    source: Source,
    body: Vec<u8>,
    plain: Vec<u8>,
}

/// What was fetched.
struct Fetched {
    format: Format,
    is_compressed: bool,
}

fn headers(config: &ScrapeConfig, timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = ScrapeProtocol::accept_header(&config.protocols, config.escaping);
    if let Ok(value) = HeaderValue::from_str(&accept) {
        headers.insert(header::ACCEPT, value);
    }
    let encoding = if config.enable_compression { "gzip" } else { "identity" };
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
    if let Ok(value) = HeaderValue::from_str(&timeout.as_secs_f64().to_string()) {
        headers.insert("x-prometheus-scrape-timeout-seconds", value);
    }
    headers
}

impl ScrapeLoop {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        client: &Arc<HttpClient>,
        config: &Arc<ScrapeConfig>,
        target: &Arc<Target>,
        state: &Arc<TargetState>,
    ) -> Result<Self, String> {
        let inside = target.url.strip_prefix("in-process://").map(|rest| rest.split('/').next().unwrap_or_default());
        let source = match inside {
            Some(name) => {
                let found = shared.in_process.get(name).cloned();
                Source::InProcess(found.ok_or_else(|| format!("there is no target \"{name}\" in this process"))?)
            }
            None => {
                let url = target.url.parse().map_err(|error| format!("\"{}\" is no address: {error}", target.url))?;
                let headers = headers(config, target.timeout);
                let outgoing = Box::new(Outgoing { method: Method::GET, url, headers, body: Bytes::new() });
                Source::Network { session: client.session(), outgoing }
            }
        };
        Ok(Self {
            shared: Arc::clone(shared),
            rules: Arc::new(Rules { config: Arc::clone(config), target: target.labels.clone() }),
            target: Arc::clone(target),
            state: Arc::clone(state),
            source,
            body: Vec::new(),
            plain: Vec::new(),
        })
    }

    /// Scrapes until the target is gone or the process ends.
    pub(crate) async fn run(mut self, scope: Scope, gone: super::pool::Gone) {
        let interval = self.target.interval;
        let interval_ms = millis(interval).max(1);
        if self.shared.first_at_once {
            // What starts at the same time as we may need a moment.
            for _ in 0..FIRST_TRIES {
                let now_ms = self.shared.now_ms();
                tokio::select! {
                    biased;
                    () = gone.cancelled() => break,
                    () = self.scrape(now_ms) => {}
                }
                if self.state.last().health == Health::Up {
                    break;
                }
                tokio::select! {
                    biased;
                    () = gone.cancelled() => break,
                    () = tokio::time::sleep(FIRST_PAUSE.min(interval)) => {}
                }
            }
        }
        let delay = self.until_turn();
        let (mut next, mut aligned_ms) = (Instant::now() + delay, self.shared.now_ms() + millis(delay));
        loop {
            tokio::select! {
                biased;
                () = gone.cancelled() => break,
                () = tokio::time::sleep_until(next) => {}
            }
            let now_ms = self.shared.now_ms();
            if now_ms - aligned_ms >= interval_ms {
                aligned_ms += (now_ms - aligned_ms).div_euclid(interval_ms) * interval_ms;
            } else if aligned_ms - now_ms >= interval_ms {
                // The clock was set back.
                aligned_ms = now_ms;
            }
            let is_close = (now_ms - aligned_ms).abs() <= ALIGN_MS_MAX.min(interval_ms / 100);
            let timestamp_ms = if is_close { aligned_ms } else { now_ms };
            tokio::select! {
                biased;
                () = gone.cancelled() => break,
                () = self.scrape(timestamp_ms) => {}
            }
            next += interval;
            // Moments that passed meanwhile are left out.
            let now = Instant::now();
            while next < now {
                next += interval;
            }
        }
        self.leave(&scope, &gone).await;
    }

    /// Returns the time until this target's turn in the interval.
    fn until_turn(&self) -> Duration {
        let interval = self.target.interval;
        let now = Duration::from_millis(u64::try_from(self.shared.now_ms()).unwrap_or_default());
        let nanos = interval.as_nanos().max(1);
        let into = now.as_nanos() % nanos;
        let turn = (self.target.offset(interval)).as_nanos();
        let wait = (turn + nanos - into) % nanos;
        Duration::from_nanos(u64::try_from(wait).unwrap_or_default())
    }

    /// Ends the series of a target that is gone for good. Whoever takes over the same target, or its table, keeps them.
    async fn leave(self, scope: &Scope, gone: &super::pool::Gone) {
        if scope.is_cancelled() || gone.is_replaced() {
            return;
        }
        let at_ms = self.shared.now_ms();
        let wait = self.target.interval.mul_f64(2.1);
        tokio::select! {
            () = scope.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        if gone.is_replaced() || self.shared.is_scraped(&self.target.labels) {
            return;
        }
        let mut appender = self.shared.appender();
        let mut table = self.state.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.end_all(&mut appender, at_ms + millis(self.target.interval));
        let names = report_names(&self.rules.config);
        table.report(
            &self.rules,
            &mut appender,
            at_ms + millis(self.target.interval),
            names.into_iter().map(|name| (name, maru_prom::stale_marker())),
        );
        drop(table);
        self.shared.commit(appender);
    }

    async fn scrape(&mut self, timestamp_ms: i64) {
        let started = Instant::now();
        let timeout = self.target.timeout;
        let forced = self.state.forced_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fetched = match forced {
            Some(error) => Err(error),
            None => tokio::time::timeout(timeout, self.fetch()).await.unwrap_or_else(|_| {
                Err(format!("context deadline exceeded: no whole answer within {} s", timeout.as_secs_f64()))
            }),
        };
        if fetched.is_err()
            && let Source::Network { session, .. } = &mut self.source
        {
            session.close();
        }
        let duration = started.elapsed();
        let outcome = self.record(fetched, timestamp_ms, duration).await;
        let mut last = self.state.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = &outcome
            && last.health != Health::Down
        {
            tracing::debug!(url = self.target.url, error, "a scrape failed");
        }
        *last = Last {
            health: if outcome.is_ok() { Health::Up } else { Health::Down },
            at_ms: timestamp_ms,
            duration,
            error: outcome.err().unwrap_or_default(),
        };
    }

    async fn fetch(&mut self) -> Result<Fetched, String> {
        let config = &self.rules.config;
        match &mut self.source {
            Source::InProcess(target) => {
                let (bytes, format) = (target.0)(&self.target.url).await?;
                self.body.clear();
                self.body.extend_from_slice(&bytes);
                Ok(Fetched { format, is_compressed: false })
            }
            Source::Network { session, outgoing } => {
                let limit = config.limits.body_bytes.unwrap_or(BODY_BYTES_MAX);
                let answer = session.send(outgoing, &mut self.body, limit).await?;
                if answer.status != http::StatusCode::OK {
                    return Err(format!("server returned HTTP status {}", answer.status));
                }
                let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
                let kind = text(header::CONTENT_TYPE);
                let format = Format::of_content_type(kind).or(config.fallback_protocol.map(ScrapeProtocol::format));
                let format = format.ok_or_else(|| {
                    if kind.is_empty() {
                        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target".to_owned()
                    } else {
                        format!("received unsupported Content-Type {kind:?} and no fallback_scrape_protocol specified for target")
                    }
                })?;
                let encoding = text(header::CONTENT_ENCODING);
                let is_compressed = encoding.eq_ignore_ascii_case("gzip");
                if !is_compressed && !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
                    return Err(format!("the answer has the encoding {encoding:?}, which was not asked for"));
                }
                Ok(Fetched { format, is_compressed })
            }
        }
    }

    /// Records what came, or that nothing came.
    async fn record(
        &mut self,
        fetched: Result<Fetched, String>,
        timestamp_ms: i64,
        duration: Duration,
    ) -> Result<(), String> {
        let mut work = Record {
            shared: Arc::clone(&self.shared),
            rules: Arc::clone(&self.rules),
            state: Arc::clone(&self.state),
            body: std::mem::take(&mut self.body),
            plain: std::mem::take(&mut self.plain),
            timeout: self.target.timeout,
            timestamp_ms,
            duration,
        };
        let is_small = work.body.len() <= INLINE_BYTES_MAX;
        let (mut work, outcome) = if is_small {
            let outcome = work.run(fetched);
            (work, outcome)
        } else {
            let done = self.shared.scope.spawn_blocking(move || {
                let outcome = work.run(fetched);
                (work, outcome)
            });
            done.await.map_err(|_| "reading the answer broke off".to_owned())?
        };
        for (own, used) in [(&mut self.body, &mut work.body), (&mut self.plain, &mut work.plain)] {
            if used.capacity() <= BUFFER_BYTES_KEPT {
                *own = std::mem::take(used);
                own.clear();
            }
        }
        outcome
    }
}

/// One scrape on its way from bytes to samples.
struct Record {
    shared: Arc<Shared>,
    rules: Arc<Rules>,
    state: Arc<TargetState>,
    body: Vec<u8>,
    plain: Vec<u8>,
    timeout: Duration,
    timestamp_ms: i64,
    duration: Duration,
}

impl Record {
    fn run(&mut self, fetched: Result<Fetched, String>) -> Result<(), String> {
        let mut appender = self.shared.appender();
        let state = Arc::clone(&self.state);
        let mut table = state.table.lock().unwrap_or_else(PoisonError::into_inner);
        let body_bytes = self.body.len();
        let taken =
            fetched.and_then(|fetched| self.unpack(&fetched).map(|()| fetched)).map_err(|why| (Counts::default(), why));
        let taken = taken.and_then(|fetched| {
            let content = if fetched.is_compressed { &self.plain } else { &self.body };
            table.take(&self.rules, &mut appender, content, fetched.format, self.timestamp_ms)
        });
        let (counts, outcome) = match taken {
            Ok(counts) => (counts, Ok(())),
            Err((counts, why)) => {
                appender.rollback();
                table.end_all(&mut appender, self.timestamp_ms);
                (Counts { added: 0, ..counts }, Err(why))
            }
        };
        let values = self.values(counts, outcome.is_ok(), body_bytes);
        let names = report_names(&self.rules.config);
        table.report(&self.rules, &mut appender, self.timestamp_ms, names.into_iter().zip(values));
        drop(table);
        self.shared.commit(appender);
        outcome
    }

    fn unpack(&mut self, fetched: &Fetched) -> Result<(), String> {
        if !fetched.is_compressed {
            return Ok(());
        }
        let limit = self.rules.config.limits.body_bytes.unwrap_or(BODY_BYTES_MAX);
        self.plain.clear();
        let mut reader = flate2::read::MultiGzDecoder::new(self.body.as_slice()).take(limit as u64 + 1);
        reader.read_to_end(&mut self.plain).map_err(|error| format!("the answer is no gzip: {error}"))?;
        if self.plain.len() > limit {
            return Err(format!("body size limit exceeded: it is longer than {limit} bytes"));
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn values(&self, counts: Counts, is_up: bool, body_bytes: usize) -> [f64; 8] {
        [
            f64::from(u8::from(is_up)),
            self.duration.as_secs_f64(),
            counts.scraped as f64,
            counts.kept as f64,
            counts.added as f64,
            self.timeout.as_secs_f64(),
            self.rules.config.limits.samples.unwrap_or_default() as f64,
            if is_up { body_bytes as f64 } else { -1.0 },
        ]
    }
}

/// Returns the names of what is recorded about each scrape.
fn report_names(config: &ScrapeConfig) -> Vec<&'static str> {
    let mut names = vec![
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ];
    if config.extra_metrics {
        names.extend(["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"]);
    }
    names
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns how many samples were refused, by the names that Prometheus has for the reasons.
pub(crate) fn refusals(report: &CommitReport) -> impl Iterator<Item = (&'static str, u64)> {
    report.refused.iter().map(|refusal| {
        let reason = match refusal.reason {
            RefusalReason::OutOfOrder | RefusalReason::TooOld | RefusalReason::ExemplarOutOfOrder => "out_of_order",
            RefusalReason::DuplicateTimestamp => "duplicate_timestamp",
            RefusalReason::TooFarInFuture | RefusalReason::OutOfBounds => "out_of_bounds",
            RefusalReason::SeriesLimit => "series_limit",
            RefusalReason::LabelLimit => "label_limit",
            _ => "malformed",
        };
        (reason, refusal.count)
    })
}
