//! One JSON object a line for each request, written by one thread.

use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maru_task::Scope;
use maru_telemetry::Counter;
use maru_time::{SharedClock, Timestamp};
use tokio::sync::mpsc;

/// Lines that may wait for the disk; further ones are dropped and counted.
const QUEUE_LINES: usize = 8192;

/// Where the log goes.
#[derive(Debug, Clone)]
pub(crate) struct AccessLogOptions {
    pub path: PathBuf,
    pub bytes_max: u64,
}

/// What is logged of one request.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Line {
    /// When the request came, as RFC 3339 with milliseconds; set by the log.
    pub time: String,
    pub client: SocketAddr,
    pub protocol: &'static str,
    pub method: String,
    pub host: String,
    /// Without the query: it often holds secrets.
    pub path: String,
    pub code: u16,
    pub bytes_sent: u64,
    pub duration_ms: f64,
    #[serde(serialize_with = "text")]
    pub route: Arc<str>,
    #[serde(serialize_with = "text")]
    pub service: Arc<str>,
    pub upstream: Option<SocketAddr>,
    pub tries: u32,
    pub trace_id: String,
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

fn text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

enum Message {
    Line(Box<Line>, Duration),
    WorkerDone,
}

/// The log, or none.
pub(crate) struct AccessLog {
    lines: Option<mpsc::Sender<Message>>,
    dropped: Arc<Counter>,
}

impl AccessLog {
    pub(crate) fn start(
        scope: &Scope,
        options: Option<AccessLogOptions>,
        workers: usize,
        dropped: Arc<Counter>,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let Some(options) = options else { return Ok(Self { lines: None, dropped }) };
        let mut file = LogFile::open(options)?;
        let (lines, queue) = mpsc::channel(QUEUE_LINES);
        let failed = Arc::clone(&dropped);
        drop(scope.spawn_blocking(move || write(&mut file, queue, workers, &failed, &clock)));
        Ok(Self { lines: Some(lines), dropped })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Queues a line of a request that took `duration` until now.
    pub(crate) fn write(&self, line: Line, duration: Duration) {
        let Some(lines) = &self.lines else { return };
        if lines.try_send(Message::Line(Box::new(line), duration)).is_err() {
            self.dropped.inc();
        }
    }

    /// Says that a worker sends no more lines; the log ends with the last one.
    pub(crate) async fn worker_done(&self) {
        if let Some(lines) = &self.lines {
            // The writer only ends after this message.
            drop(lines.send(Message::WorkerDone).await);
        }
    }
}

fn write(
    file: &mut LogFile,
    mut queue: mpsc::Receiver<Message>,
    mut workers: usize,
    failed: &Counter,
    clock: &SharedClock,
) {
    while workers > 0 {
        let Some(message) = queue.blocking_recv() else { break };
        match message {
            Message::Line(mut line, duration) => {
                let began = clock.now().saturating_sub(jiff::SignedDuration::try_from(duration).unwrap_or_default());
                line.time = rfc3339_millis(began.unwrap_or(Timestamp::UNIX_EPOCH));
                if let Err(error) = file.write(&line) {
                    failed.inc();
                    tracing::debug!(%error, "an access log line could not be written");
                }
            }
            Message::WorkerDone => workers -= 1,
        }
        if queue.is_empty()
            && let Err(error) = file.writer.flush()
        {
            tracing::debug!(%error, "the access log could not be flushed");
        }
    }
    if let Err(error) = file.writer.flush() {
        tracing::debug!(%error, "the access log could not be flushed");
    }
}

fn rfc3339_millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

struct LogFile {
    options: AccessLogOptions,
    writer: BufWriter<std::fs::File>,
    bytes: u64,
}

impl LogFile {
    fn open(options: AccessLogOptions) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&options.path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { options, writer: BufWriter::with_capacity(64 * 1024, file), bytes })
    }

    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.options.bytes_max {
            self.writer.flush()?;
            let mut old = self.options.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.options.path, old)?;
            *self = Self::open(self.options.clone())?;
        }
        self.bytes += length;
        self.writer.write_all(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            time: String::new(),
            client: ([127, 0, 0, 1], 1).into(),
            protocol: "HTTP/1.1",
            method: "GET".to_owned(),
            host: "shop.example".to_owned(),
            path: "/a\"b".to_owned(),
            code: 200,
            bytes_sent: 5,
            duration_ms: 1.5,
            route: "ingress/a/b".into(),
            service: "a/b:80".into(),
            upstream: None,
            tries: 1,
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
            user_agent: None,
            error: None,
        }
    }

    #[test]
    fn a_full_file_is_begun_anew() {
        let path = std::env::temp_dir().join(format!("maru-gateway-{}.log", maru_ids::random_suffix(8)));
        let mut file = LogFile::open(AccessLogOptions { path: path.clone(), bytes_max: 1000 }).unwrap();
        for _ in 0..5 {
            file.write(&line()).unwrap();
        }
        file.writer.flush().unwrap();
        let old = path.with_extension("log.1");
        let count = |path: &std::path::Path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count()
        };
        assert!(count(&old) >= 2 && count(&path) >= 1);
        for path in [&path, &old] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
