//! Prometheus' own test scripts against `maru metrics`: series come by remote write, answers over the HTTP API.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Histogram, Labels};
use maru_testkit::TempDir;
use serde_json::Value;

#[path = "../../crates/formats/promql/tests/it/promqltest/mod.rs"]
mod promqltest;

use promqltest::api;
use promqltest::judge::Reply;
use promqltest::run::{Breadth, Subject, run_all, scripts};
use promqltest::script::{LoadedSample, LoadedSeries, Point};

/// A running `maru metrics` with an empty store.
struct Server {
    child: Child,
    connection: BufReader<TcpStream>,
    /// Goes last.
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = TempDir::new();
        let data = folder.join("data");
        let mut command = Command::new(maru_tests::binary());
        command.args(["metrics", "--listen", "127.0.0.1:0", "--no-authentication", "--experimental-promql"]);
        command.args(["--retention", "0", "--data"]).arg(&data);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        let address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("no address in {line:?}"));
        let connection = BufReader::new(TcpStream::connect(address).unwrap());
        Self { child, connection, _folder: folder }
    }

    /// Sends a request over the one connection; returns status and body.
    fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: metrics\r\n{headers}content-length: {length}\r\n\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.connection.get_mut().write_all(&request).unwrap();
        let line = |connection: &mut BufReader<TcpStream>| {
            let mut line = String::new();
            connection.read_line(&mut line).unwrap();
            line.trim_end().to_ascii_lowercase()
        };
        let status = line(&mut self.connection);
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let header = line(&mut self.connection);
            if header.is_empty() {
                break;
            }
            is_chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = Vec::new();
        loop {
            if is_chunked {
                length = usize::from_str_radix(&line(&mut self.connection), 16).unwrap();
            }
            let start = body.len();
            body.resize(start + length, 0);
            self.connection.read_exact(&mut body[start..]).unwrap();
            if !is_chunked {
                break;
            }
            line(&mut self.connection);
            if length == 0 {
                break;
            }
        }
        (status, body)
    }

    fn write(&mut self, writer: RequestWriter) -> Result<(), String> {
        let body = maru_prom::snappy::compress(&writer.finish());
        let headers = format!(
            "content-type: {}\r\ncontent-encoding: snappy\r\nx-prometheus-remote-write-version: 2.0.0\r\n",
            Version::V2.content_type()
        );
        let (status, body) = self.post("/api/v1/write", &headers, &body);
        if status / 100 == 2 { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
    }

    fn query(&mut self, path: &str, parameters: &[(&str, String)]) -> Result<Reply, String> {
        let encode = |text: &str| -> String {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(byte).collect()
        };
        let body: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        let (status, body) = self.post(path, headers, body.join("&").as_bytes());
        let body: Value = serde_json::from_slice(&body).map_err(|error| format!("status {status}: {error}"))?;
        api::reply(&body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn write_run(writer: &mut RequestWriter, labels: &Labels, run: &[LoadedSample]) {
    let mut samples = Vec::new();
    let mut histograms: Vec<(i64, i64, &Histogram)> = Vec::new();
    for sample in run {
        let (timestamp_ms, start_timestamp_ms) = (sample.at_ms, sample.start_ms);
        match &sample.point {
            Point::None => {}
            Point::Float(value) => samples.push(Sample { timestamp_ms, start_timestamp_ms, value: *value }),
            Point::Histogram(histogram) => histograms.push((timestamp_ms, start_timestamp_ms, histogram)),
        }
    }
    writer.series(labels, &SeriesParts { samples: &samples, histograms: &histograms, ..SeriesParts::default() });
}

/// The binary as a subject; each `clear` starts another one.
#[derive(Default)]
struct OverHttp {
    server: Option<Server>,
    is_used: bool,
}

impl OverHttp {
    fn server(&mut self) -> &mut Server {
        self.server.get_or_insert_with(Server::start)
    }
}

impl Subject for OverHttp {
    /// The engine is the same as in process; here the way to it is tried.
    fn breadth(&self) -> Breadth {
        Breadth::AsWritten
    }

    fn clear(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.is_used) {
            self.server = None;
        }
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        self.is_used = true;
        // A request says nothing about the order of a series' floats and histograms: each run of one kind goes alone.
        let is_float = |sample: &LoadedSample| matches!(sample.point, Point::Float(_));
        let runs: Vec<Vec<&[LoadedSample]>> =
            series.iter().map(|one| one.samples.chunk_by(|a, b| is_float(a) == is_float(b)).collect()).collect();
        let turns = runs.iter().map(Vec::len).max().unwrap_or_default();
        for turn in 0..turns {
            let mut writer = RequestWriter::new(Version::V2);
            for (one, runs) in series.iter().zip(&runs) {
                let Some(run) = runs.get(turn) else { continue };
                write_run(&mut writer, &one.labels, run);
            }
            self.server().write(writer)?;
        }
        Ok(())
    }

    fn instant(&mut self, query: &str, at_ms: i64) -> Result<Reply, String> {
        let parameters = [("query", query.to_owned()), ("time", seconds(at_ms))];
        self.server().query("/api/v1/query", &parameters)
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Reply, String> {
        let [start, end, step] = [start_ms, end_ms, step_ms].map(seconds);
        let parameters = [("query", query.to_owned()), ("start", start), ("end", end), ("step", step)];
        self.server().query("/api/v1/query_range", &parameters)
    }
}

fn seconds(time_ms: i64) -> String {
    let sign = if time_ms < 0 { "-" } else { "" };
    let time_ms = time_ms.unsigned_abs();
    format!("{sign}{}.{:03}", time_ms / 1000, time_ms % 1000)
}

#[test]
fn scripts_of_prometheus_pass_over_http() {
    let Some(folder) = scripts(env!("CARGO_MANIFEST_DIR")) else {
        println!("skipped: no folder promqltest in MARU_TESTDATA or ../shared/testdata");
        return;
    };
    let report = run_all(&folder, OverHttp::default).unwrap();
    println!("{report}\n{}", report.failures());
    report.judge(&[]).unwrap();
}
