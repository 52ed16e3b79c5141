//! Sending samples on: what the store takes in goes to other servers by remote write.
//!
//! Nothing waits in memory but what is on its way: samples are read back from the store, from where each series was sent last.
//! The position is on disk, so that a restart goes on where it was; a server that is away for hours gets all of it afterwards.
//! Long because a queue is one path: read, put together, sent until it has arrived, noted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use maru_monitoring::relabel;
use maru_monitoring::scrape::RemoteWrite;
use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Exemplar, Histogram, Labels, Metadata, snappy};
use maru_series::{SelectHints, TimeRange};
use maru_task::Scope;
use maru_telemetry::{Counter, Family, Gauge, Registry};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{HttpClient, Outgoing};
use super::{Collector, Shared};

/// Samples that arrive as late as this are still sent.
const LATE_MS: i64 = 5 * 60_000;
/// A span of time that is read at once when there is much to catch up with.
const SPAN_MS: i64 = 10 * 60_000;
/// After a crash the last moments are sent again: what was still on its way is not lost.
const AGAIN_MS: i64 = 10_000;
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is counted, under the names that Prometheus has for it.
#[derive(Debug, Clone)]
pub(super) struct RemoteTelemetry {
    samples: Arc<Family<Counter>>,
    failed: Arc<Family<Counter>>,
    retried: Arc<Family<Counter>>,
    bytes: Arc<Family<Counter>>,
    pending: Arc<Family<Gauge>>,
    shards: Arc<Family<Gauge>>,
    highest: Arc<Family<Gauge>>,
}

impl RemoteTelemetry {
    pub(super) fn new(registry: &Registry) -> Self {
        const LABELS: &[&str] = &["remote_name", "url"];
        let counter = |name, help| registry.family(name, help, LABELS);
        let gauge = |name, help| registry.family(name, help, LABELS);
        Self {
            samples: counter(
                "prometheus_remote_storage_samples_total",
                "Total number of samples sent to remote storage.",
            ),
            failed: counter(
                "prometheus_remote_storage_samples_failed_total",
                "Samples that the other side refused for good.",
            ),
            retried: counter(
                "prometheus_remote_storage_samples_retried_total",
                "Samples that were sent again after a failure.",
            ),
            bytes: counter("prometheus_remote_storage_bytes_total", "Bytes of samples sent, compressed."),
            pending: gauge("prometheus_remote_storage_samples_pending", "Samples that were read and not sent yet."),
            shards: gauge("prometheus_remote_storage_shards", "Requests at a time."),
            highest: gauge(
                "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
                "Up to when everything was sent, in seconds since 1970.",
            ),
        }
    }
}

impl Collector {
    /// Sends on as each configuration in force says.
    pub(super) fn send_on(&self, telemetry: RemoteTelemetry, directory: PathBuf) {
        let shared = Arc::clone(&self.inner.shared);
        let mut configurations = self.configurations();
        let scope = shared.scope.clone();
        drop(scope.clone().spawn_until_cancelled("remote writes", async move {
            let mut running: Vec<(RemoteWrite, Labels, Scope)> = Vec::new();
            loop {
                let configuration = configurations.borrow_and_update().clone();
                let labels = &configuration.global.external_labels;
                let folder = configuration_folder(&shared);
                let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut running)
                    .into_iter()
                    .partition(|(own, own_labels, _)| configuration.remote_write.contains(own) && own_labels == labels);
                for (.., scope) in ended {
                    scope.cancel();
                }
                running = kept;
                for one in &configuration.remote_write {
                    if running.iter().any(|(own, ..)| own == one) {
                        continue;
                    }
                    let own = scope.child("remote write");
                    let queue = Queue::new(&shared, one, labels, &folder, &directory, telemetry.clone());
                    drop(own.spawn("remote write", queue.run(own.clone())));
                    running.push((one.clone(), labels.clone(), own));
                }
                if configurations.changed().await.is_err() {
                    return;
                }
            }
        }));
    }
}

fn configuration_folder(shared: &Shared) -> PathBuf {
    shared.folder.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// What is known of one series.
#[derive(Debug, Clone)]
struct Known {
    /// The labels as they are sent; `None`: relabeling drops the series.
    labels: Option<Labels>,
    sent_ms: i64,
    exemplar_ms: i64,
}

/// What a span of time brings for one series.
#[derive(Debug)]
struct Row {
    key: Labels,
    labels: Labels,
    samples: Vec<Sample>,
    histograms: Vec<(i64, i64, Arc<Histogram>)>,
    exemplars: Vec<Exemplar>,
    newest_ms: i64,
}

/// A request that is ready.
#[derive(Debug)]
struct Ready {
    body: Bytes,
    samples: u64,
}

/// One server that is sent to.
#[derive(Debug)]
struct Queue {
    shared: Arc<Shared>,
    config: Arc<RemoteWrite>,
    external: Labels,
    client: Arc<HttpClient>,
    file: PathBuf,
    telemetry: RemoteTelemetry,
    names: [String; 2],
    known: HashMap<Labels, Known>,
    /// Everything up to here was sent.
    position_ms: i64,
    /// Nothing before this is sent: it was, or it is from before this server was named.
    floor_ms: i64,
    metadata: HashMap<String, Metadata>,
    metadata_at: Option<Instant>,
}

impl Queue {
    fn new(
        shared: &Arc<Shared>,
        config: &RemoteWrite,
        external: &Labels,
        folder: &std::path::Path,
        directory: &std::path::Path,
        telemetry: RemoteTelemetry,
    ) -> Self {
        let name = if config.name.is_empty() { short_name(&config.url) } else { config.name.clone() };
        let file = directory.join(format!("{}.json", clean(&name)));
        let now_ms = shared.now_ms();
        let position_ms = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str::<Value>(&text).ok()?["position_ms"].as_i64())
            .filter(|position| *position <= now_ms)
            // From when it is named: the first queue may begin a moment later.
            .unwrap_or_else(|| shared.since_ms().min(now_ms));
        Self {
            shared: Arc::clone(shared),
            client: HttpClient::new(&config.client, folder.to_owned()),
            names: [name, config.url.clone()],
            config: Arc::new(config.clone()),
            external: external.clone(),
            file,
            telemetry,
            known: HashMap::new(),
            position_ms,
            floor_ms: position_ms,
            metadata: HashMap::new(),
            metadata_at: None,
        }
    }

    fn labels(&self) -> [&str; 2] {
        [&self.names[0], &self.names[1]]
    }

    async fn run(mut self, scope: Scope) {
        loop {
            let until_ms = self.shared.now_ms().min(self.position_ms.saturating_add(SPAN_MS));
            let is_behind = until_ms < self.shared.now_ms();
            tokio::select! {
                biased;
                () = scope.cancelled() => break,
                done = self.step(until_ms) => match done {
                    Ok(queue) => self = queue,
                    Err(_) => return,
                },
            }
            if !is_behind {
                tokio::select! {
                    biased;
                    () = scope.cancelled() => break,
                    () = tokio::time::sleep(self.config.queue.batch_send_deadline) => {}
                }
            }
        }
        // The last samples get one short try; what does not go through is sent after the next start.
        let position_ms = self.position_ms;
        let file = self.file.clone();
        if self.known.is_empty() {
            // Broken off in the middle.
            self.save(position_ms.saturating_sub(AGAIN_MS));
            return;
        }
        let until_ms = self.shared.now_ms();
        match tokio::time::timeout(Duration::from_secs(2), self.step(until_ms)).await {
            Ok(Ok(queue)) => queue.save(until_ms),
            _ => save(&file, position_ms.saturating_sub(AGAIN_MS)),
        }
    }

    /// Sends what is new up to a moment. The queue is given back when all of it has arrived or was refused for good.
    async fn step(&mut self, until_ms: i64) -> Result<Self, tokio::task::JoinError> {
        let mut own = self.clone_for_work();
        let (mut own, rows) = self
            .shared
            .scope
            .spawn_blocking(move || {
                let rows = own.read(until_ms);
                (own, rows)
            })
            .await?;
        own.refresh_metadata().await;
        let requests = own.requests(&rows);
        own.send_all(requests).await;
        for row in rows {
            if let Some(known) = own.known.get_mut(&row.key) {
                known.sent_ms = known.sent_ms.max(row.newest_ms);
                let newest = row.exemplars.iter().map(|exemplar| exemplar.timestamp_ms).max();
                known.exemplar_ms = known.exemplar_ms.max(newest.unwrap_or(i64::MIN));
            }
        }
        own.position_ms = until_ms;
        own.telemetry.highest.with(&own.labels()).set(until_ms / 1000);
        own.save(until_ms.saturating_sub(AGAIN_MS));
        Ok(own)
    }

    fn clone_for_work(&mut self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            config: Arc::clone(&self.config),
            external: self.external.clone(),
            client: Arc::clone(&self.client),
            file: self.file.clone(),
            telemetry: self.telemetry.clone(),
            names: self.names.clone(),
            // When the work is broken off, what was known is known again from the position.
            known: std::mem::take(&mut self.known),
            position_ms: self.position_ms,
            floor_ms: self.floor_ms,
            metadata: std::mem::take(&mut self.metadata),
            metadata_at: self.metadata_at,
        }
    }

    fn save(&self, position_ms: i64) {
        save(&self.file, position_ms.max(self.floor_ms));
    }

    /// Reads what is new from the store.
    fn read(&mut self, until_ms: i64) -> Vec<Row> {
        let range =
            TimeRange { start_ms: self.position_ms.saturating_sub(LATE_MS).max(self.floor_ms), end_ms: until_ms };
        let found = match self.shared.store.select(&[], range, &SelectHints::default()) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(url = self.config.url, %error, "samples cannot be read to be sent on");
                return Vec::new();
            }
        };
        if self.known.len() > found.len() * 2 + 1000 {
            let oldest = range.start_ms;
            self.known.retain(|_, known| known.sent_ms >= oldest);
        }
        let mut exemplars: HashMap<Labels, Vec<Exemplar>> = HashMap::new();
        if self.config.send_exemplars {
            exemplars.extend(self.shared.store.exemplars(&[Vec::new()], range));
        }
        let age = self.config.queue.sample_age_limit.map(|age| until_ms.saturating_sub(super::scrape::millis(age)));
        let mut rows = Vec::new();
        for series in found {
            let key = series.labels().clone();
            let config = &self.config;
            let external = &self.external;
            let floor_ms = self.floor_ms;
            let known = self.known.entry(key.clone()).or_insert_with(|| Known {
                labels: sent_labels(config, external, &key),
                sent_ms: floor_ms,
                exemplar_ms: floor_ms,
            });
            let Some(labels) = known.labels.clone() else { continue };
            let (mut times, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
            let (mut starts, mut histogram_starts) = (Vec::new(), Vec::new());
            let read =
                series.read_with_starts(&mut times, &mut values, &mut histograms, &mut starts, &mut histogram_starts);
            if read.is_err() {
                continue;
            }
            let first = age.map_or(known.sent_ms, |age| age.max(known.sent_ms));
            let start = |starts: &[i64], place: usize| starts.get(place).copied().unwrap_or_default();
            let samples: Vec<Sample> = times
                .iter()
                .zip(&values)
                .enumerate()
                .filter(|(_, (at, _))| **at > first && **at <= until_ms)
                .map(|(place, (at, value))| Sample {
                    timestamp_ms: *at,
                    value: *value,
                    start_timestamp_ms: start(&starts, place),
                })
                .collect();
            let histograms: Vec<(i64, i64, Arc<Histogram>)> = histograms
                .iter()
                .enumerate()
                .filter(|(_, (at, _))| config.send_native_histograms && *at > first && *at <= until_ms)
                .map(|(place, (at, histogram))| (*at, start(&histogram_starts, place), Arc::clone(histogram)))
                .collect();
            let mut own = exemplars.remove(&key).unwrap_or_default();
            own.retain(|exemplar| exemplar.timestamp_ms > known.exemplar_ms);
            let newest = samples.iter().map(|one| one.timestamp_ms).chain(histograms.iter().map(|one| one.0)).max();
            if newest.is_none() && own.is_empty() {
                continue;
            }
            let newest_ms = newest.unwrap_or(known.sent_ms);
            rows.push(Row { key, labels, samples, histograms, exemplars: own, newest_ms });
        }
        rows
    }

    /// Learns what metrics mean, and tells servers of version 1 all of it, when it is time.
    async fn refresh_metadata(&mut self) {
        let Some(interval) = self.config.metadata_interval else { return };
        if self.metadata_at.is_some_and(|at| at.elapsed() < interval) {
            return;
        }
        self.metadata_at = Some(Instant::now());
        let all = self.shared.store.metadata(None, None);
        self.metadata = all.into_iter().filter_map(|(name, said)| Some((name, said.into_iter().next()?))).collect();
        if self.config.version == Version::V2 || self.metadata.is_empty() {
            return;
        }
        let mut sorted: Vec<(&String, &Metadata)> = self.metadata.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let mut requests = Vec::new();
        for part in sorted.chunks(self.config.metadata_per_send_max.max(1)) {
            let mut writer = RequestWriter::new(Version::V1);
            part.iter().for_each(|(name, metadata)| writer.metadata(name, metadata));
            requests.push(Ready { body: snappy::compress(&writer.finish()).into(), samples: 0 });
        }
        self.send_all(requests).await;
    }

    fn requests(&self, rows: &[Row]) -> Vec<Ready> {
        let most = self.config.queue.samples_per_send_max.max(1);
        let mut requests = Vec::new();
        let (mut writer, mut samples) = (RequestWriter::new(self.config.version), 0);
        for row in rows {
            let histograms: Vec<(i64, i64, &Histogram)> =
                row.histograms.iter().map(|(at, start, one)| (*at, *start, one.as_ref())).collect();
            // A series' samples stay together: requests may overtake each other.
            let parts = SeriesParts {
                samples: &row.samples,
                histograms: &histograms,
                exemplars: &row.exemplars,
                metadata: family(&self.metadata, row.labels.metric_name()),
            };
            writer.series(&row.labels, &parts);
            samples += row.samples.len() + row.histograms.len();
            if samples >= most {
                let full = std::mem::replace(&mut writer, RequestWriter::new(self.config.version));
                requests.push(Ready { body: snappy::compress(&full.finish()).into(), samples: samples as u64 });
                samples = 0;
            }
        }
        if samples > 0 || rows.iter().any(|row| !row.exemplars.is_empty()) {
            requests.push(Ready { body: snappy::compress(&writer.finish()).into(), samples: samples as u64 });
        }
        requests
    }

    /// Sends requests, several at a time, each until it has arrived or was refused for good.
    async fn send_all(&self, requests: Vec<Ready>) {
        let queue = &self.config.queue;
        let shards = requests.len().clamp(queue.shards_min.max(1), queue.shards_max.max(1));
        let pending = self.telemetry.pending.with(&self.labels());
        let total: u64 = requests.iter().map(|one| one.samples).sum();
        pending.set(i64::try_from(total).unwrap_or(i64::MAX));
        self.telemetry.shards.with(&self.labels()).set(i64::try_from(shards).unwrap_or(i64::MAX));
        let sending = futures::stream::iter(requests).map(|request| async {
            let samples = request.samples;
            self.send(request).await;
            pending.add(-i64::try_from(samples).unwrap_or_default());
        });
        sending.buffer_unordered(shards).collect::<Vec<()>>().await;
    }

    async fn send(&self, request: Ready) {
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
                    let after =
                        told.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
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
                    Err((format!("{}: {text}", told.status), after.map(Duration::from_secs)))
                }
            };
            let Err((why, after)): Result<(), _> = outcome else { return };
            session.close();
            if attempt == 0 {
                tracing::warn!(url = self.config.url, error = why, "samples did not arrive; trying again");
            }
            self.telemetry.retried.with(&labels).add(request.samples);
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
        headers.insert(header::USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static(version));
        if attempt > 0 {
            headers.insert("retry-attempt", HeaderValue::from(attempt));
        }
        Ok(Outgoing { method: Method::POST, url, headers, body: request.body.clone() })
    }
}

/// Tells whether an answer says what was written, as version 2 demands.
fn tells_counts(headers: &HeaderMap) -> bool {
    ["samples", "histograms"]
        .iter()
        .any(|kind| headers.contains_key(format!("x-prometheus-remote-write-{kind}-written")))
}

fn sent_labels(config: &RemoteWrite, external: &Labels, own: &Labels) -> Option<Labels> {
    if external.is_empty() && config.relabel.is_empty() {
        return Some(own.clone());
    }
    let mut builder = own.to_builder();
    for (name, value) in external.iter() {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    let keeps = relabel::apply(&mut builder, &config.relabel);
    Some(builder.build()).filter(|labels| keeps && !labels.is_empty())
}

/// Returns what is known about the family that a metric belongs to.
fn family<'m>(metadata: &'m HashMap<String, Metadata>, metric: &str) -> Option<&'m Metadata> {
    let shorter =
        ["_total", "_bucket", "_count", "_sum", "_created", "_info"].iter().filter_map(|end| metric.strip_suffix(end));
    std::iter::once(metric).chain(shorter).find_map(|name| metadata.get(name))
}

fn clean(name: &str) -> String {
    name.chars().map(|one| if one.is_ascii_alphanumeric() || one == '-' { one } else { '_' }).take(100).collect()
}

/// Returns a name for an address: the same at each start.
fn short_name(url: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, url.as_bytes());
    digest.as_ref().iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a position on disk without waiting for the disk.
fn save(file: &std::path::Path, position_ms: i64) {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let next = file.with_extension("new");
        std::fs::write(&next, json!({"position_ms": position_ms}).to_string())?;
        std::fs::rename(next, file)
    };
    if let Err(error) = write() {
        tracing::warn!(file = %file.display(), %error, "how far samples were sent cannot be noted");
    }
}
