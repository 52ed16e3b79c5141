//! A small HTTP server that stands for Maru, and a real Prometheus.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use maru_prom::remote_read::{ReadRequest, ReadSeries, ResponseType, SamplesResponse, chunked_series};
use maru_prom::remote_write::{Entry, Request, Sample, Version};
use maru_prom::{Labels, Metadata, snappy};

/// What the server tells.
pub(crate) struct Answers {
    pub(crate) exposition: Vec<u8>,
    pub(crate) content_type: String,
    pub(crate) remote: (Labels, Vec<i64>, Vec<f64>),
}

/// What was sent to the server.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) samples: Vec<(Labels, Sample)>,
    pub(crate) metadata: Vec<(String, Metadata)>,
}

#[derive(Default)]
pub(crate) struct Received {
    content: Mutex<Content>,
    changed: Condvar,
}

impl Received {
    pub(crate) fn wait_for(&self, limit: Duration, what: &str, holds: impl Fn(&Content) -> bool) {
        let content = self.content.lock().unwrap();
        let (content, result) = self.changed.wait_timeout_while(content, limit, |content| !holds(content)).unwrap();
        assert!(!result.timed_out(), "no {what} among {} samples in {limit:?}", content.samples.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "Prometheus takes samples of now only")]
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Serves on a free port until the test's process ends; returns the address.
pub(crate) fn serve(answers: Answers, received: Arc<Received>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (answers, received) = (Arc::clone(&answers), Arc::clone(&received));
            std::thread::spawn(move || handle(stream, &answers, &received));
        }
    });
    address
}

fn handle(mut stream: TcpStream, answers: &Answers, received: &Received) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((path, body)) = read_request(&mut reader) {
        let (content_type, encoding, answer) = match path.as_str() {
            "/metrics" => (answers.content_type.as_str(), "", answers.exposition.clone()),
            "/write" => {
                take(&body, received);
                ("text/plain", "", Vec::new())
            }
            "/read" => read(&body, answers),
            other => panic!("nobody asks for {other}"),
        };
        let encoding = if encoding.is_empty() { String::new() } else { format!("Content-Encoding: {encoding}\r\n") };
        let length = answer.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{encoding}Content-Length: {length}\r\n\r\n");
        if stream.write_all(&[head.as_bytes(), &answer].concat()).is_err() {
            return;
        }
    }
}

/// Reads one request; `None` when the connection ends.
fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1)?.split('?').next()?.to_owned();
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn take(body: &[u8], received: &Received) {
    let mut buffer = Vec::new();
    let body = snappy::decompress(body, 64 << 20, &mut buffer).unwrap();
    let request = Request::new(Version::V1, body).unwrap();
    let mut content = received.content.lock().unwrap();
    for entry in request.entries() {
        match entry.unwrap() {
            Entry::Series(series) => {
                assert!(series.labels().are_sorted().unwrap());
                let labels = series.labels().to_labels().unwrap();
                content.samples.extend(series.samples().map(|sample| (labels.clone(), sample.unwrap())));
            }
            Entry::Metadata { family, metadata } => content.metadata.push((family, metadata)),
        }
    }
    drop(content);
    received.changed.notify_all();
}

fn read<'a>(body: &[u8], answers: &Answers) -> (&'a str, &'a str, Vec<u8>) {
    let mut buffer = Vec::new();
    let body = snappy::decompress(body, 1 << 20, &mut buffer).unwrap();
    let request = ReadRequest::decode(body).unwrap();
    let (labels, timestamps, values) = &answers.remote;
    let series = ReadSeries { labels, timestamps, values, histograms: &[] };
    let is_asked_for = |query: usize| {
        let matchers = &request.queries[query].matchers;
        matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
    };
    let kind = request.response_type().unwrap();
    let mut stream = Vec::new();
    let mut response = SamplesResponse::new();
    for query in 0..request.queries.len() {
        if is_asked_for(query) {
            chunked_series(query, &series, 1 << 20, &mut stream);
            response.series(&series);
        }
        response.end_query();
    }
    match kind {
        ResponseType::Samples => (kind.content_type(), "snappy", snappy::compress(&response.finish())),
        ResponseType::StreamedXorChunks => (kind.content_type(), "", stream),
    }
}

/// A running Prometheus with its own directory; both end with the value.
pub(crate) struct Prometheus {
    child: Child,
    address: String,
    directory: std::path::PathBuf,
}

impl Prometheus {
    /// Starts one that scrapes, writes to and reads from `peer`.
    pub(crate) fn start(peer: &str) -> Self {
        // The port is free a moment later, too: nobody else takes ports by number here.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let directory = std::env::temp_dir().join(format!("maru-prom-peer-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: ours, static_configs: [{{targets: ['{peer}']}}]}}]\n\
             remote_write: [{{url: 'http://{peer}/write', metadata_config: {{send_interval: 1s}}}}]\n\
             remote_read: [{{url: 'http://{peer}/read', read_recent: true}}]\n"
        );
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, directory }
    }

    /// Asks an instant query.
    pub(crate) fn query(&self, query: &str, time_ms: i64) -> serde_json::Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let query = query.replace('[', "%5B").replace(']', "%5D");
        let (path, host) = (format!("/api/v1/query?query={query}&time={}", time_ms / 1000), &self.address);
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // A process that has ended already is as good as one that ends now.
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}
