//! Sending samples on: what the store takes in goes to other servers by remote write.
//!
//! Samples go as they come, also those that come late. What does not fit into memory while a server takes nothing, and what was
//! not sent when the process ended, is read from the store. How far sending is, is on disk.
//! Long because a queue is one path: taken up, put together by series, sent.

mod feed;
mod send;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maru_monitoring::relabel;
use maru_monitoring::scrape::RemoteWrite;
use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Exemplar, Histogram, Labels, Metadata, snappy};
use maru_series::{SelectHints, SelectedSeries, SeriesRef, Taken, TakenSample, TimeRange};
use maru_task::Scope;
use maru_telemetry::{Counter, Family, Gauge, Registry};
use tokio::time::Instant;

use self::feed::{Behind, Feed, Moment, Next, Span};
use self::send::{Ready, Target};
use super::{Collector, Shared};

/// A span of time that is read at once when there is much to catch up with.
const SPAN_MS: i64 = 10 * 60_000;
/// Time between two notes on disk.
const NOTE: Duration = Duration::from_secs(1);
/// How long a queue goes on when it has to stop.
const STOP: Duration = Duration::from_secs(2);
/// Series whose labels are remembered.
const KNOWN_MAX: usize = 1_000_000;

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
                // Two queues must not note in one file.
                for (.., scope) in ended {
                    if scope.shutdown(STOP * 2).await.is_err() {
                        tracing::warn!("a remote write that is configured no more has not ended");
                    }
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

/// What a request says about one series.
#[derive(Debug)]
struct Row {
    labels: Labels,
    samples: Vec<Sample>,
    histograms: Vec<(i64, i64, Arc<Histogram>)>,
    exemplars: Vec<Exemplar>,
}

impl Row {
    fn new(labels: Labels) -> Self {
        Self { labels, samples: Vec::new(), histograms: Vec::new(), exemplars: Vec::new() }
    }

    fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.exemplars.is_empty()
    }
}

/// One server that is sent to.
#[derive(Debug)]
struct Queue {
    shared: Arc<Shared>,
    config: Arc<RemoteWrite>,
    external: Labels,
    target: Target,
    feed: Arc<Feed>,
    /// The labels as they are sent; `None`: relabeling drops the series.
    known: HashMap<SeriesRef, Option<Labels>>,
    /// Up to when series were read from the store: the same may wait in so many batches.
    caught: HashMap<Labels, i64>,
    caught_batches: usize,
    metadata: HashMap<String, Metadata>,
    metadata_at: Option<Instant>,
    noted_at: Instant,
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
        let config = Arc::new(config.clone());
        // From when it is named: the first queue may begin a moment later.
        let feed = Feed::open(file, shared.since_ms(), shared.now_ms(), config.queue.samples_per_send_max);
        feed.start(&shared.store);
        Self {
            shared: Arc::clone(shared),
            target: Target::new(&config, name, folder, telemetry),
            config,
            external: external.clone(),
            feed,
            known: HashMap::new(),
            caught: HashMap::new(),
            caught_batches: 0,
            metadata: HashMap::new(),
            metadata_at: None,
            noted_at: Instant::now(),
        }
    }

    async fn run(mut self, scope: Scope) {
        let feed = Arc::clone(&self.feed);
        tokio::select! {
            biased;
            () = self.work(&scope) => {}
            () = async {
                scope.cancelled().await;
                tokio::time::sleep(STOP).await;
            } => {}
        }
        feed.note(Moment::Last);
    }

    /// Samples that are taken up at once, and sent before the next are.
    fn samples_max(&self) -> usize {
        self.config.queue.samples_per_send_max.max(1).saturating_mul(self.config.queue.shards_max.max(1))
    }

    /// Sends what comes, until it is cancelled and nothing waits.
    async fn work(&mut self, scope: &Scope) {
        loop {
            tokio::select! {
                () = scope.cancelled() => {}
                () = self.feed.full.notified() => {}
                () = tokio::time::sleep(self.config.queue.batch_send_deadline) => {}
            }
            loop {
                match self.feed.next(&self.shared.store, self.samples_max()) {
                    Next::Nothing => break,
                    Next::Stored(behind) => self.send_stored(behind).await,
                    Next::Fresh(batches) => {
                        let newest_ms = batches.iter().flat_map(|taken| taken.times().map(|(_, at)| at)).max();
                        let rows = self.fresh_rows(&batches);
                        self.send_rows(&rows).await;
                        self.arrived(newest_ms, None);
                    }
                }
            }
            self.note();
            if scope.is_cancelled() {
                return;
            }
        }
    }

    /// What was on its way has arrived, or was refused for good.
    fn arrived(&mut self, newest_ms: Option<i64>, rest_ms: Option<i64>) {
        self.feed.sent(newest_ms, rest_ms, self.shared.now_ms());
        self.note();
    }

    fn note(&mut self) {
        if self.noted_at.elapsed() >= NOTE {
            self.feed.note(Moment::Between);
            self.target.tell_position(self.feed.position_ms());
            self.noted_at = Instant::now();
        }
    }

    /// Returns how a series is called at the server.
    fn name(&mut self, series: SeriesRef) -> Option<Labels> {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let (config, external, store) = (&self.config, &self.external, &self.shared.store);
        self.known.entry(series).or_insert_with(|| sent_labels(config, external, &store.labels(series))).clone()
    }

    fn oldest_ms(&self) -> i64 {
        let limit = self.config.queue.sample_age_limit;
        limit.map_or(i64::MIN, |age| self.shared.now_ms().saturating_sub(super::scrape::millis(age)))
    }

    /// Tells whether a sample that waited is to be sent: it is not too old, and was not read from the store meanwhile.
    fn is_wanted<T>(&self, sample: &TakenSample<T>, oldest_ms: i64) -> bool {
        let was_caught = || {
            !self.caught.is_empty()
                && !sample.is_late
                && self
                    .caught
                    .get(&self.shared.store.labels(sample.series))
                    .is_some_and(|at| sample.timestamp_ms <= *at)
        };
        sample.timestamp_ms >= oldest_ms && !was_caught()
    }

    /// Puts together what came, by series.
    fn fresh_rows(&mut self, batches: &[Arc<Taken>]) -> Vec<Row> {
        let config = Arc::clone(&self.config);
        let oldest_ms = self.oldest_ms();
        let mut places: HashMap<SeriesRef, Option<usize>> = HashMap::new();
        let mut rows: Vec<Row> = Vec::new();
        for taken in batches {
            for sample in &taken.floats {
                if self.is_wanted(sample, oldest_ms)
                    && let Some(row) = self.row(sample.series, &mut places, &mut rows)
                {
                    let TakenSample { timestamp_ms, value, start_ms, .. } = *sample;
                    row.samples.push(Sample { timestamp_ms, value, start_timestamp_ms: start_ms });
                }
            }
            for sample in taken.histograms.iter().filter(|_| config.send_native_histograms) {
                if self.is_wanted(sample, oldest_ms)
                    && let Some(row) = self.row(sample.series, &mut places, &mut rows)
                {
                    row.histograms.push((sample.timestamp_ms, sample.start_ms, Arc::clone(&sample.value)));
                }
            }
            for (series, exemplar) in taken.exemplars.iter().filter(|_| config.send_exemplars) {
                if let Some(row) = self.row(*series, &mut places, &mut rows) {
                    row.exemplars.push(exemplar.clone());
                }
            }
        }
        self.caught_batches = self.caught_batches.saturating_sub(batches.len());
        if self.caught_batches == 0 {
            self.caught.clear();
        }
        for row in &mut rows {
            // What came late goes where it belongs.
            row.samples.sort_by_key(|sample| sample.timestamp_ms);
            row.histograms.sort_by_key(|sample| sample.0);
        }
        rows.retain(|row| !row.is_empty());
        rows
    }

    /// Returns the row of a series; `None` when relabeling drops it.
    fn row<'r>(
        &mut self,
        series: SeriesRef,
        places: &mut HashMap<SeriesRef, Option<usize>>,
        rows: &'r mut Vec<Row>,
    ) -> Option<&'r mut Row> {
        let place = *places.entry(series).or_insert_with(|| {
            rows.push(Row::new(self.name(series)?));
            Some(rows.len() - 1)
        });
        rows.get_mut(place?)
    }

    /// Sends what the store has, in the order of time.
    async fn send_stored(&mut self, behind: Behind) {
        let Behind { mut all, mut series } = behind;
        self.caught.clear();
        while let Some(first_ms) = all.iter().chain(series.values()).map(|span| span.first_ms).min() {
            let last_ms = first_ms.saturating_add(SPAN_MS - 1);
            let (found, exemplars) = self.select(TimeRange { start_ms: first_ms, end_ms: last_ms }).await;
            let mut exemplars: HashMap<Labels, Vec<Exemplar>> = exemplars.into_iter().collect();
            let (mut rows, mut samples) = (Vec::new(), 0);
            for one in found {
                let Some(span) = joined(all, series.get(one.labels()).copied()) else { continue };
                let mut own = exemplars.remove(one.labels()).unwrap_or_default();
                own.retain(|exemplar| (span.first_ms..=span.last_ms).contains(&exemplar.timestamp_ms));
                if let Some(row) = self.stored_row(&one, span, own) {
                    samples += row.len();
                    rows.push(row);
                }
                if samples >= self.samples_max() {
                    self.send_rows(&rows).await;
                    rows.clear();
                    samples = 0;
                }
            }
            self.send_rows(&rows).await;
            let is_left = |span: &mut Span| {
                span.first_ms = span.first_ms.max(last_ms.saturating_add(1));
                span.first_ms <= span.last_ms
            };
            let ended_ms = all.iter().chain(series.values()).map(|span| span.last_ms.min(last_ms)).max();
            all = all.and_then(|mut span| is_left(&mut span).then_some(span));
            series.retain(|_, span| is_left(span));
            let rest_ms = all.iter().chain(series.values()).map(|span| span.first_ms).min();
            self.caught_batches = self.feed.batches();
            self.arrived(ended_ms, rest_ms);
        }
    }

    /// Returns the series and exemplars that the store has in a part of time.
    async fn select(&self, range: TimeRange) -> (Vec<SelectedSeries>, Vec<(Labels, Vec<Exemplar>)>) {
        let store = self.shared.store.clone();
        let exemplars = if self.config.send_exemplars { store.exemplars(&[Vec::new()], range) } else { Vec::new() };
        let work = self.shared.scope.spawn_blocking(move || store.select(&[], range, &SelectHints::default()));
        let found = match work.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(url = self.config.url, %error, "samples cannot be read to be sent on");
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(url = self.config.url, %error, "samples were not read to be sent on");
                Vec::new()
            }
        };
        (found, exemplars)
    }

    /// Reads what one series has; `None` when nothing of it is sent.
    fn stored_row(&mut self, series: &SelectedSeries, span: Span, exemplars: Vec<Exemplar>) -> Option<Row> {
        let (mut times, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        let (mut starts, mut histogram_starts) = (Vec::new(), Vec::new());
        series
            .read_with_starts(&mut times, &mut values, &mut histograms, &mut starts, &mut histogram_starts)
            .inspect_err(|error| tracing::warn!(%error, "a series cannot be read to be sent on"))
            .ok()?;
        let newest = times.last().copied().max(histograms.last().map(|one| one.0)).map(|at| at.min(span.last_ms));
        if let Some(newest_ms) = newest {
            let caught = self.caught.entry(series.labels().clone()).or_insert(newest_ms);
            *caught = newest_ms.max(*caught);
        }
        let mut row = Row::new(sent_labels(&self.config, &self.external, series.labels())?);
        let first_ms = span.first_ms.max(self.oldest_ms());
        let start = |starts: &[i64], place: usize| starts.get(place).copied().unwrap_or_default();
        let is_inside = |at: i64| (first_ms..=span.last_ms).contains(&at);
        let floats = times.iter().zip(&values).enumerate().filter(|(_, (at, _))| is_inside(**at));
        row.samples.extend(floats.map(|(place, (at, value))| Sample {
            timestamp_ms: *at,
            value: *value,
            start_timestamp_ms: start(&starts, place),
        }));
        if self.config.send_native_histograms {
            let inside = histograms.iter().enumerate().filter(|(_, (at, _))| is_inside(*at));
            row.histograms
                .extend(inside.map(|(place, (at, one))| (*at, start(&histogram_starts, place), Arc::clone(one))));
        }
        row.exemplars = exemplars;
        Some(row).filter(|row| !row.is_empty())
    }

    async fn send_rows(&mut self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.refresh_metadata().await;
        self.send_all(self.requests(rows)).await;
    }

    async fn send_all(&self, requests: Vec<Ready>) {
        self.target.send_all(requests, || self.feed.settle(&self.shared.store), || self.feed.samples()).await;
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
        let (mut writer, mut samples, mut is_begun) = (RequestWriter::new(self.config.version), 0, false);
        let ready = |writer: RequestWriter, samples: usize| Ready {
            body: snappy::compress(&writer.finish()).into(),
            samples: samples as u64,
        };
        for row in rows {
            // A series' samples stay together: requests may overtake each other.
            if samples > 0 && samples + row.len() > most {
                let full = std::mem::replace(&mut writer, RequestWriter::new(self.config.version));
                requests.push(ready(full, samples));
                samples = 0;
            }
            let histograms: Vec<(i64, i64, &Histogram)> =
                row.histograms.iter().map(|(at, start, one)| (*at, *start, one.as_ref())).collect();
            let parts = SeriesParts {
                samples: &row.samples,
                histograms: &histograms,
                exemplars: &row.exemplars,
                metadata: family(&self.metadata, row.labels.metric_name()),
            };
            writer.series(&row.labels, &parts);
            samples += row.len();
            is_begun = true;
        }
        if is_begun {
            requests.push(ready(writer, samples));
        }
        requests
    }
}

/// Returns the part of time in which a series has something to be sent.
fn joined(all: Option<Span>, own: Option<Span>) -> Option<Span> {
    match (all, own) {
        (Some(all), Some(own)) => {
            Some(Span { first_ms: all.first_ms.min(own.first_ms), last_ms: all.last_ms.max(own.last_ms) })
        }
        (all, own) => all.or(own),
    }
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
