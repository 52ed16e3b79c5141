//! Samples coming in: remote write 1.0 and 2.0, OTLP.
//!
//! Source: Prometheus remote write 1.0 and 2.0 specifications.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use maru_http::Body;
use maru_prom::remote_write::{Entry, Request, Series, Version};
use maru_prom::{MetricType, snappy};
use maru_series::{Appender, CommitError, CommitReport, Refusal, RefusalReason, WriteScope};

use crate::answer;
use crate::fault::Fault;
use crate::metrics::State;
use crate::request::{header_text, read_body, rfc3339_millis};

/// How many refused series a message names.
const EXAMPLES_MAX: usize = 3;

/// What became of one request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What the store says.
    pub(crate) report: CommitReport,
    /// Series that the store never saw, and samples that contradict themselves, by reason.
    pub(crate) malformed: Malformed,
}

/// Items that could not be read, with the first examples.
#[derive(Debug, Default)]
pub(crate) struct Malformed {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

impl Malformed {
    pub(crate) fn add(&mut self, count: usize, example: impl FnOnce() -> String) {
        self.count += u64::try_from(count).unwrap_or(u64::MAX);
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

/// Answers `POST /api/v1/write`.
pub(crate) async fn remote_write(state: &State, parts: &Parts, body: Body, scope: WriteScope) -> Response<Body> {
    let version = match version_of(parts) {
        Ok(version) => version,
        Err(fault) => return refusal(&fault),
    };
    let result = write(state, version, body, scope).await;
    let protocol = match version {
        Version::V1 => "remote write 1.0",
        Version::V2 => "remote write 2.0",
    };
    match result {
        Err(fault) => {
            let mut response = refusal(&fault);
            if version == Version::V2 {
                tell_counts(&mut response, &CommitReport::default());
            }
            response
        }
        Ok(outcome) => {
            count(state, &outcome, protocol);
            let mut response = match complaint(&outcome) {
                None => answer::empty(StatusCode::NO_CONTENT),
                Some(text) => answer::plain(StatusCode::BAD_REQUEST, text),
            };
            if version == Version::V2 {
                tell_counts(&mut response, &outcome.report);
            }
            response
        }
    }
}

/// Faults of writes are plain texts: senders log them as they are.
fn refusal(fault: &Fault) -> Response<Body> {
    let mut response = answer::plain(fault.status(), format!("{fault}\n"));
    if let Some(seconds) = fault.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn version_of(parts: &Parts) -> Result<Version, Fault> {
    let kind = header_text(parts, header::CONTENT_TYPE);
    let version = if kind.is_empty() { Some(Version::V1) } else { Version::of_content_type(kind) };
    let version = version.ok_or_else(|| {
        Fault::UnsupportedMediaType(format!(
            "the content type {kind:?} is not supported; send application/x-protobuf, with proto=prometheus.WriteRequest or \
             proto=io.prometheus.write.v2.Request"
        ))
    })?;
    let encoding = header_text(parts, header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(Fault::UnsupportedMediaType(format!(
            "the content encoding {encoding:?} is not supported; send snappy (block format)"
        )));
    }
    Ok(version)
}

async fn write(state: &State, version: Version, body: Body, scope: WriteScope) -> Result<Outcome, Fault> {
    let body = read_body(body, state.limits.write_bytes_max).await?;
    let store = state.store.clone();
    let bytes_max = state.limits.write_decompressed_bytes_max;
    let buffers = state.buffers.clone();
    let number = state.telemetry.requests_written.fetch_add(1, Ordering::Relaxed);
    let metadata = if number.is_multiple_of(METADATA_PERIOD) { KnownMetadata::Read } else { KnownMetadata::Skip };
    // The thread also waits for the disk: one wait is shared by all that write at the same time.
    let work = move |_: &_| {
        let mut appender = store.appender(&scope);
        let mut buffer = buffers.take();
        let malformed = append(&mut appender, (version, metadata), &body, bytes_max, &mut buffer);
        buffers.put(buffer);
        let malformed = malformed?;
        let report = appender.commit().map_err(commit_fault)?;
        Ok(Outcome { report, malformed })
    };
    state.writes.run(WRITE_PATIENCE, work).await.map_err(busy)
}

/// How long a write waits for its turn.
pub(crate) const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A write that found no turn shall be sent again.
pub(crate) fn busy(fault: Fault) -> Fault {
    match fault {
        Fault::Timeout(message) => Fault::Unavailable { message, retry_after_seconds: 5 },
        other => other,
    }
}

pub(crate) fn commit_fault(error: CommitError) -> Fault {
    let message = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let seconds = error.retry_after().map_or(5, |wait| wait.as_secs().max(1));
    Fault::Unavailable { message, retry_after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
}

/// Buffers for unpacking, used again.
#[derive(Debug, Default, Clone)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Buffers that are kept, and the bytes that one may have to be kept.
const BUFFERS_MAX: usize = 8;
const BUFFER_BYTES_MAX: usize = 4 << 20;

impl Buffers {
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            kept.push(buffer);
        }
    }
}

/// What happens to metadata of series that are known already. Senders of version 2 repeat it with each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownMetadata {
    /// It is read: it may have changed.
    Read,
    /// It is passed over.
    Skip,
}

/// Of so many requests one has the metadata of known series read.
const METADATA_PERIOD: u64 = 64;

/// Unpacks a request and gathers its samples.
fn append(
    appender: &mut Appender,
    (version, metadata): (Version, KnownMetadata),
    body: &Bytes,
    bytes_max: usize,
    buffer: &mut Vec<u8>,
) -> Result<Malformed, Fault> {
    let malformed_body = |error: &dyn std::fmt::Display| Fault::BadData(error.to_string());
    let content = snappy::decompress(body, bytes_max, buffer).map_err(|error| malformed_body(&error))?;
    let request = Request::new(version, content).map_err(|error| malformed_body(&error))?;
    let mut malformed = Malformed::default();
    let mut scratch = Vec::new();
    for entry in request.entries() {
        let result = match entry {
            Err(error) => Err(error),
            Ok(Entry::Metadata { family, metadata }) => {
                appender.metadata(&family, metadata);
                Ok(())
            }
            Ok(Entry::Series(series)) => append_series(appender, &series, metadata, &mut scratch, &mut malformed),
        };
        if let Err(error) = result {
            appender.rollback();
            return Err(malformed_body(&error));
        }
    }
    Ok(malformed)
}

/// Gathers what came for one series. An error means that the whole message is malformed.
fn append_series(
    appender: &mut Appender,
    series: &Series<'_>,
    metadata: KnownMetadata,
    scratch: &mut Vec<u8>,
    malformed: &mut Malformed,
) -> Result<(), maru_prom::WireError> {
    let counts = series.counts();
    let items = (counts.samples + counts.histograms).max(1);
    let mut labels = None;
    let mut is_new = false;
    let looked_up = series.key(scratch).map_err(|error| error.to_string()).and_then(|key| {
        appender.series_by_bytes(key, || {
            is_new = true;
            if !series.labels().are_sorted().map_err(|error| error.to_string())? {
                // Says which name is there twice, if that is what is wrong.
                let sorted = series.labels().to_labels().map_err(|error| error.to_string())?;
                return Err(format!("the labels are not sorted by name: {sorted:?}"));
            }
            let set = labels.insert(series.labels().to_labels().map_err(|error| error.to_string())?);
            Ok(set.iter())
        })
    });
    let reference = match looked_up {
        Ok(reference) => reference,
        Err(why) => {
            malformed.add(items, || why);
            return Ok(());
        }
    };
    for sample in series.samples() {
        let sample = sample?;
        appender.append_with_start(reference, sample.timestamp_ms, sample.value, sample.start_timestamp_ms);
    }
    if counts.histograms > 0 {
        for sample in series.histograms() {
            let sample = sample?;
            match &sample.histogram {
                Ok(histogram) => {
                    let start_ms = sample.start_timestamp_ms;
                    appender.append_histogram_with_start(reference, sample.timestamp_ms, histogram, start_ms);
                }
                Err(why) => malformed.add(1, || format!("{why}, at {}", rfc3339_millis(sample.timestamp_ms))),
            }
        }
    }
    if counts.exemplars > 0 {
        for exemplar in series.exemplars() {
            match exemplar? {
                Ok(exemplar) => appender.append_exemplar(reference, exemplar),
                Err(why) => malformed.add(0, || format!("exemplar: {why}")),
            }
        }
    }
    if is_new || metadata == KnownMetadata::Read {
        append_metadata(appender, series, malformed)?;
    }
    Ok(())
}

/// Gathers what version 2 says about the metric of a series.
fn append_metadata(
    appender: &mut Appender,
    series: &Series<'_>,
    malformed: &mut Malformed,
) -> Result<(), maru_prom::WireError> {
    match series.metadata()? {
        Ok(Some(metadata)) => {
            if let Ok(labels) = series.labels().to_labels() {
                appender.metadata(family(labels.metric_name(), metadata.metric_type), metadata);
            }
        }
        Ok(None) => {}
        Err(why) => malformed.add(0, || format!("metadata: {why}")),
    }
    Ok(())
}

/// Returns the name of the metric that a series belongs to.
fn family(name: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        MetricType::Counter | MetricType::Gauge | MetricType::Info | MetricType::StateSet | MetricType::Unknown => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn tell_counts(response: &mut Response<Body>, report: &CommitReport) {
    for (name, value) in [
        ("x-prometheus-remote-write-samples-written", report.samples),
        ("x-prometheus-remote-write-histograms-written", report.histograms),
        ("x-prometheus-remote-write-exemplars-written", report.exemplars),
    ] {
        response.headers_mut().insert(name, HeaderValue::from(value));
    }
}

/// Counts what a write brought.
pub(crate) fn count(state: &State, outcome: &Outcome, protocol: &str) {
    let written = outcome.report.samples + outcome.report.histograms;
    state.telemetry.samples_written.with(&[protocol]).add(written);
    for refusal in &outcome.report.refused {
        state.telemetry.samples_refused.with(&[reason_text(refusal.reason)]).add(refusal.count);
    }
    if outcome.malformed.count > 0 {
        state.telemetry.samples_refused.with(&["malformed"]).add(outcome.malformed.count);
    }
}

/// Returns what is wrong with a request whose other samples are stored; nothing when all are.
pub(crate) fn complaint(outcome: &Outcome) -> Option<String> {
    let mut by_reason: BTreeMap<RefusalReason, &Refusal> = BTreeMap::new();
    for refusal in &outcome.report.refused {
        // Exemplars come again with the next sample; to send the whole request anew helps nobody.
        if refusal.reason != RefusalReason::ExemplarOutOfOrder {
            by_reason.entry(refusal.reason).or_insert(refusal);
        }
    }
    if by_reason.is_empty() && outcome.malformed.count == 0 {
        return None;
    }
    let accepted = outcome.report.samples + outcome.report.histograms;
    let refused: u64 = by_reason.values().map(|refusal| refusal.count).sum::<u64>() + outcome.malformed.count;
    let mut text = format!("{refused} of {} samples were refused, the others are stored", refused + accepted);
    for refusal in by_reason.values() {
        text.push_str(&format!(
            "\n{}: {}, first {:?} at {}",
            reason_text(refusal.reason),
            refusal.count,
            refusal.example,
            rfc3339_millis(refusal.timestamp_ms)
        ));
    }
    if outcome.malformed.count > 0 {
        let examples = outcome.malformed.examples.join("; ");
        text.push_str(&format!("\ninvalid labels or samples: {}, first: {examples}", outcome.malformed.count));
    }
    text.push('\n');
    Some(text)
}

/// Returns a reason in the words that senders of Prometheus know.
fn reason_text(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::OutOfOrder => "out of order sample",
        RefusalReason::TooOld => "too old sample",
        RefusalReason::TooFarInFuture => "sample too far in the future",
        RefusalReason::OutOfBounds => "out of bounds",
        RefusalReason::DuplicateTimestamp => "duplicate sample for timestamp",
        RefusalReason::SeriesLimit => "limit of series reached",
        RefusalReason::LabelLimit => "too many labels, or a label too long",
        RefusalReason::MalformedHistogram => "invalid histogram",
        RefusalReason::ExemplarOutOfOrder => "out of order exemplar",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use maru_prom::Labels;

    use super::*;

    #[test]
    fn a_complaint_has_counts_and_the_first_example() {
        let refused = |reason, count| Refusal {
            reason,
            count,
            example: Labels::from_pairs([("__name__", "up")]),
            timestamp_ms: 1000,
        };
        let mut outcome = Outcome::default();
        assert_eq!(complaint(&outcome), None);
        outcome.report.refused = vec![refused(RefusalReason::ExemplarOutOfOrder, 1)];
        assert_eq!(complaint(&outcome), None);
        outcome.report.samples = 3;
        outcome.report.refused.push(refused(RefusalReason::OutOfOrder, 2));
        outcome.malformed.add(1, || "the label \"a\" is there twice".to_owned());
        assert_eq!(
            complaint(&outcome).unwrap(),
            "3 of 6 samples were refused, the others are stored\n\
             out of order sample: 2, first {\"__name__\": \"up\"} at 1970-01-01T00:00:01Z\n\
             invalid labels or samples: 1, first: the label \"a\" is there twice\n"
        );
    }

    #[test]
    fn parts_of_a_histogram_belong_to_one_metric() {
        assert_eq!(family("x_bucket", MetricType::Histogram), "x");
        assert_eq!(family("x_bucket", MetricType::Counter), "x_bucket");
        assert_eq!(family("x_sum", MetricType::Summary), "x");
    }
}
