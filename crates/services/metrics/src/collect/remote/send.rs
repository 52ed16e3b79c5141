//! Sending requests to one server, each until it has arrived or was refused for good.
//!
//! Source: Prometheus remote write 1.0 and 2.0 specifications, "Retries and backoff".

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use maru_monitoring::scrape::RemoteWrite;
use maru_prom::remote_write::Version;

use super::super::client::{HttpClient, Outgoing};
use super::RemoteTelemetry;

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A request that is ready.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) body: Bytes,
    pub(super) samples: u64,
}

/// A server.
#[derive(Debug)]
pub(super) struct Target {
    config: Arc<RemoteWrite>,
    client: Arc<HttpClient>,
    telemetry: RemoteTelemetry,
    names: [String; 2],
}

impl Target {
    pub(super) fn new(
        config: &Arc<RemoteWrite>,
        name: String,
        folder: &std::path::Path,
        telemetry: RemoteTelemetry,
    ) -> Self {
        Self {
            client: HttpClient::new(&config.client, folder.to_owned()),
            names: [name, config.url.clone()],
            config: Arc::clone(config),
            telemetry,
        }
    }

    fn labels(&self) -> [&str; 2] {
        [&self.names[0], &self.names[1]]
    }

    /// Shows up to when everything was sent.
    pub(super) fn tell_position(&self, position_ms: i64) {
        self.telemetry.highest.with(&self.labels()).set(position_ms.div_euclid(1000));
    }

    /// Sends requests, several at a time, each until it has arrived or was refused for good. `refused` is called whenever the server
    /// takes nothing, `waiting` tells how many samples wait behind these.
    pub(super) async fn send_all(&self, requests: Vec<Ready>, refused: impl Fn(), waiting: impl Fn() -> usize) {
        let queue = &self.config.queue;
        let shards = requests.len().clamp(queue.shards_min.max(1), queue.shards_max.max(1));
        let pending = self.telemetry.pending.with(&self.labels());
        let total: u64 = requests.iter().map(|one| one.samples).sum::<u64>() + waiting() as u64;
        pending.set(i64::try_from(total).unwrap_or(i64::MAX));
        self.telemetry.shards.with(&self.labels()).set(i64::try_from(shards).unwrap_or(i64::MAX));
        let sending = futures::stream::iter(requests).map(|request| async {
            let samples = request.samples;
            self.send(request, &refused).await;
            pending.add(-i64::try_from(samples).unwrap_or_default());
        });
        sending.buffer_unordered(shards).collect::<Vec<()>>().await;
    }

    async fn send(&self, request: Ready, refused: &impl Fn()) {
        let (labels, queue) = (self.labels(), &self.config.queue);
        let mut session = self.client.session();
        let mut pause = queue.backoff_min;
        let mut answer = Vec::new();
        for attempt in 0_u64.. {
            let outgoing = match self.outgoing(&request, attempt) {
                Ok(outgoing) => outgoing,
                Err(why) => {
                    tracing::error!(url = self.config.url, error = why, "samples cannot be sent on");
                    return;
                }
            };
            let sent =
                tokio::time::timeout(self.config.timeout, session.send(&outgoing, &mut answer, ANSWER_BYTES_MAX));
            let outcome = match sent.await {
                Err(_) => Err((format!("no answer within {} s", self.config.timeout.as_secs_f64()), None)),
                Ok(Err(why)) => Err((why, None)),
                Ok(Ok(told)) => {
                    let after = retry_after(&told.headers);
                    let is_retried = told.status.is_server_error()
                        || (told.status == StatusCode::TOO_MANY_REQUESTS && queue.retry_on_429);
                    let text = String::from_utf8_lossy(&answer).trim().to_owned();
                    if told.status.is_success() {
                        self.telemetry.samples.with(&labels).add(request.samples);
                        self.telemetry.bytes.with(&labels).add(request.body.len() as u64);
                        if self.config.version == Version::V2 && request.samples > 0 && !tells_counts(&told.headers) {
                            tracing::warn!(
                                url = self.config.url,
                                "the server does not say what it wrote: it may not speak remote write 2.0"
                            );
                        }
                        return;
                    }
                    if !is_retried {
                        self.telemetry.failed.with(&labels).add(request.samples);
                        tracing::warn!(url = self.config.url, status = %told.status, error = text, "samples were refused for good");
                        return;
                    }
                    Err((format!("{}: {text}", told.status), after))
                }
            };
            let Err((why, after)): Result<(), _> = outcome else { return };
            session.close();
            if attempt == 0 {
                tracing::warn!(url = self.config.url, error = why, "samples did not arrive; trying again");
            }
            self.telemetry.retried.with(&labels).add(request.samples);
            refused();
            tokio::time::sleep(after.unwrap_or(pause)).await;
            pause = (pause * 2).min(queue.backoff_max);
        }
    }

    fn outgoing(&self, request: &Ready, attempt: u64) -> Result<Outgoing, String> {
        let url = self.config.url.parse().map_err(|error| format!("it is no address: {error}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.config.headers {
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal())) else {
                return Err(format!("the header \"{name}\" cannot be sent"));
            };
            headers.insert(name, value);
        }
        let version = match self.config.version {
            Version::V1 => "0.1.0",
            Version::V2 => "2.0.0",
        };
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.config.version.content_type()));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(super::super::USER_AGENT));
        headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static(version));
        if attempt > 0 {
            headers.insert("retry-attempt", HeaderValue::from(attempt));
        }
        Ok(Outgoing { method: Method::POST, url, headers, body: request.body.clone() })
    }
}

/// Returns how long a server asks to wait: seconds, or until a time by its own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
    let now = time(headers.get(header::DATE)?.to_str().ok()?)?;
    Duration::try_from(time(text)?.duration_since(now)).ok()
}

/// Tells whether an answer says what was written, as version 2 demands.
fn tells_counts(headers: &HeaderMap) -> bool {
    ["samples", "histograms"]
        .iter()
        .any(|kind| headers.contains_key(format!("x-prometheus-remote-write-{kind}-written")))
}
