//! One JSON object a line for each request.
//!
//! Each worker gathers its lines and hands them over together: a wake-up of the writing thread for each request would cost
//! more than a tenth of the request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maru_task::Scope;
use maru_telemetry::Counter;
use maru_time::{SharedClock, Timestamp};
use tokio::sync::{Notify, mpsc};

/// Batches that may wait for the disk; further ones are dropped and their lines counted.
const QUEUE_BATCHES: usize = 128;
/// Bytes of lines that are handed over at once.
const BATCH_BYTES: usize = 32 * 1024;
/// How long a line waits for others.
const BATCH_WAIT: Duration = Duration::from_millis(100);

/// Where the log goes.
#[derive(Debug, Clone)]
pub(crate) struct AccessLogOptions {
    pub path: PathBuf,
    pub bytes_max: u64,
}

/// What is logged of one request.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Line<'a> {
    pub client: SocketAddr,
    pub protocol: &'static str,
    pub method: &'a str,
    pub host: &'a str,
    /// Without the query: it often holds secrets.
    pub path: &'a str,
    pub code: u16,
    pub bytes_sent: u64,
    pub duration_ms: f64,
    pub route: &'a str,
    pub service: &'a str,
    pub upstream: Option<SocketAddr>,
    pub tries: u32,
    pub trace_id: &'a str,
    pub user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// A line with the time that its request came at, as RFC 3339 with milliseconds.
#[derive(serde::Serialize)]
struct Dated<'a> {
    time: &'a str,
    #[serde(flatten)]
    line: &'a Line<'a>,
}

enum Message {
    Batch(Batch),
    WorkerDone,
}

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
}

/// The log, or none.
pub(crate) struct AccessLog {
    batches: Option<mpsc::Sender<Message>>,
    dropped: Arc<Counter>,
    clock: SharedClock,
}

impl AccessLog {
    pub(crate) fn start(
        scope: &Scope,
        options: Option<AccessLogOptions>,
        workers: usize,
        dropped: Arc<Counter>,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let Some(options) = options else { return Ok(Self { batches: None, dropped, clock }) };
        let mut file = LogFile::open(options)?;
        let (batches, queue) = mpsc::channel(QUEUE_BATCHES);
        let failed = Arc::clone(&dropped);
        drop(scope.spawn_blocking(move || write(&mut file, queue, workers, &failed)));
        Ok(Self { batches: Some(batches), dropped, clock })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.batches.is_some()
    }

    fn hand_over(&self, batch: Batch) {
        let Some(batches) = &self.batches else { return };
        if let Err(refused) = batches.try_send(Message::Batch(batch))
            && let Message::Batch(batch) = refused.into_inner()
        {
            self.dropped.add(batch.lines);
        }
    }
}

/// One worker's lines that are not handed over yet.
#[derive(Default)]
pub(crate) struct LogBuffer {
    gathered: Mutex<Gathered>,
    begun: Notify,
}

#[derive(Default)]
struct Gathered {
    batch: Batch,
    /// The second of the last line, and the text of its time.
    second: i64,
    time: String,
}

impl LogBuffer {
    /// Adds a line of a request that took `duration` until now.
    pub(crate) fn write(&self, log: &AccessLog, duration: Duration, line: &Line<'_>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { batch, second, time } = &mut *gathered;
        let began = log.clock.now().saturating_sub(jiff::SignedDuration::try_from(duration).unwrap_or_default());
        set_time(time, second, began.unwrap_or(Timestamp::UNIX_EPOCH));
        let before = batch.text.len();
        if let Err(error) = serde_json::to_writer(&mut batch.text, &Dated { time, line }) {
            batch.text.truncate(before);
            log.dropped.inc();
            tracing::debug!(%error, "an access log line could not be made");
            return;
        }
        batch.text.push(b'\n');
        batch.lines += 1;
        if batch.text.len() >= BATCH_BYTES {
            log.hand_over(std::mem::take(batch));
        } else if batch.lines == 1 {
            self.begun.notify_one();
        }
    }

    /// Hands lines over in time, for as long as the worker lives.
    pub(crate) async fn run(&self, log: &AccessLog) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(BATCH_WAIT).await;
            self.flush(log);
        }
    }

    fn flush(&self, log: &AccessLog) {
        let batch = std::mem::take(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner).batch);
        if batch.lines > 0 {
            log.hand_over(batch);
        }
    }

    /// Says that the worker has no more lines; the log ends with the last worker.
    pub(crate) async fn done(&self, log: &AccessLog) {
        self.flush(log);
        if let Some(batches) = &log.batches {
            // The writer only ends after this message.
            drop(batches.send(Message::WorkerDone).await);
        }
    }
}

/// Writes RFC 3339 with milliseconds; within a second only those change.
fn set_time(text: &mut String, second: &mut i64, at: Timestamp) {
    use std::fmt::Write as _;
    if text.is_empty() || at.as_second() != *second {
        *second = at.as_second();
        *text = at.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
    } else {
        text.truncate(text.len().saturating_sub("000Z".len()));
    }
    write!(text, "{:03}Z", at.subsec_millisecond()).expect("writing to a string does not fail");
}

fn write(file: &mut LogFile, mut queue: mpsc::Receiver<Message>, mut workers: usize, failed: &Counter) {
    while workers > 0 {
        let Some(message) = queue.blocking_recv() else { break };
        match message {
            Message::Batch(batch) => {
                if let Err(error) = file.write(&batch.text) {
                    failed.add(batch.lines);
                    tracing::debug!(%error, "access log lines could not be written");
                }
            }
            Message::WorkerDone => workers -= 1,
        }
    }
}

struct LogFile {
    options: AccessLogOptions,
    file: std::fs::File,
    bytes: u64,
}

impl LogFile {
    fn open(options: AccessLogOptions) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&options.path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { options, file, bytes })
    }

    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.options.bytes_max {
            let mut old = self.options.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.options.path, old)?;
            *self = Self::open(self.options.clone())?;
        }
        self.bytes += length;
        self.file.write_all(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_begun_anew() {
        let path = std::env::temp_dir().join(format!("maru-gateway-{}.log", maru_ids::random_suffix(8)));
        let mut file = LogFile::open(AccessLogOptions { path: path.clone(), bytes_max: 1000 }).unwrap();
        for _ in 0..5 {
            file.write(&[b'x'; 399]).unwrap();
        }
        let old = path.with_extension("log.1");
        let size = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
        assert_eq!((size(&old), size(&path)), (798, 399));
        for path in [&path, &old] {
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn times_are_written_whole_and_by_their_end() {
        let (mut text, mut second) = (String::new(), 0);
        for (millis, expected) in [
            (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (1_700_000_001_000, "2023-11-14T22:13:21.000Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            set_time(&mut text, &mut second, Timestamp::from_millisecond(millis).unwrap());
            assert_eq!(text, expected);
        }
    }
}
