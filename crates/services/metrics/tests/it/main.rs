//! The metrics API over real HTTP with a store in a temporary directory.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says why it cannot run")]

mod access;
mod child;
mod cluster;
mod exchange;
mod faults;
mod lookups;
mod otlp;
mod probes;
mod queries;
mod remote;
mod rules;
mod scrape;
mod sending;
mod status;
mod wires;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use maru_auth::{CertificateAuthority, ClientAuth, ServerNames};
use maru_metrics::{Metrics, MetricsOptions};
use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Labels, snappy};
use maru_task::Scope;
use maru_testkit::TempDir;
use maru_time::{TestClock, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;

/// The time of all tests, in seconds since 1970: 2026-11-22T09:00:00Z.
const NOW: i64 = 1_795_338_000;

/// A server with its own store; everything goes away with it.
struct Running {
    metrics: Metrics,
    url: String,
    client: reqwest::Client,
    scope: Scope,
    folder: TempDir,
}

impl Running {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut MetricsOptions)) -> Self {
        Self::with_tls(change, None).await
    }

    /// With the certificates of an authority the server speaks TLS, and the client trusts that authority alone.
    async fn with_tls(change: impl FnOnce(&mut MetricsOptions), authority: Option<Arc<CertificateAuthority>>) -> Self {
        // Set already when another test was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = TempDir::new();
        let clock = TestClock::new(Timestamp::from_second(NOW).unwrap());
        let mut options = MetricsOptions::new(folder.join("metrics"));
        options.clock = clock;
        change(&mut options);
        let scope = Scope::root("test");
        let metrics = Metrics::open(&scope, options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if authority.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let mut client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy();
        if let Some(authority) = &authority {
            let root = reqwest::Certificate::from_pem(authority.certificate_pem().as_bytes()).unwrap();
            client = client.tls_certs_only([root]);
        }
        let names = ServerNames { dns: vec!["localhost".to_owned()], ips: vec!["127.0.0.1".parse().unwrap()] };
        let tls = authority.map(|authority| authority.server_tls(names, ClientAuth::None).unwrap());
        let server = maru_http::Server {
            name: "metrics",
            listener,
            tls,
            handler: metrics.handler(),
            limits: maru_http::Limits::default(),
        };
        drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
        let client = client.build().unwrap();
        Self { metrics, url, client, scope, folder }
    }

    /// Asks a path and returns status and JSON.
    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    /// Asks with parameters in the address.
    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        self.get(&format!("{path}?{}", encode(parameters))).await
    }

    /// Returns the data of an answer that must be a success.
    async fn data(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let (status, answer) = self.ask(path, parameters).await;
        assert_eq!((status, &answer["status"]), (200, &Value::from("success")), "{path} {parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// Evaluates at [`NOW`] and returns the result.
    async fn query(&self, query: &str) -> Value {
        self.data("/api/v1/query", &[("query", query), ("time", &NOW.to_string())]).await["result"].clone()
    }

    /// Sends a body and returns status, headers and text.
    async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let mut request = self.client.post(format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
    }

    /// Writes by remote write 1.0; all must be accepted.
    async fn write(&self, series: &[(Labels, Vec<(i64, f64)>)]) {
        let (status, _, text) = self.post("/api/v1/write", &[], request(Version::V1, series)).await;
        assert_eq!(status, 204, "{text}");
    }

    /// Writes a small data set: three instances of a counter and a gauge for ten minutes up to [`NOW`], every 15 s.
    async fn write_example(&self) {
        let times = || (0..=40).map(|step| (NOW - 600 + 15 * step) * 1000);
        let mut all = Vec::new();
        for (instance, rate) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
            let values = times().enumerate().map(|(step, at)| (at, rate * 15.0 * small(step))).collect();
            all.push((labels(&[("__name__", "requests_total"), ("instance", instance), ("job", "api")]), values));
            let values = times().map(|at| (at, rate)).collect();
            all.push((labels(&[("__name__", "temperature"), ("instance", instance), ("job", "api")]), values));
        }
        self.write(&all).await;
    }

    async fn stop(self) {
        drop(self.client);
        self.scope.shutdown(Duration::from_secs(60)).await.unwrap();
        drop(self.folder);
    }
}

fn small(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// Encodes parameters for an address or a form.
fn encode(parameters: &[(&str, &str)]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// Returns the body of a remote write.
fn request(version: Version, series: &[(Labels, Vec<(i64, f64)>)]) -> Vec<u8> {
    let mut writer = RequestWriter::new(version);
    for (labels, samples) in series {
        let samples: Vec<Sample> = samples
            .iter()
            .map(|(timestamp_ms, value)| Sample { timestamp_ms: *timestamp_ms, value: *value, start_timestamp_ms: 0 })
            .collect();
        writer.series(labels, &SeriesParts { samples: &samples, ..SeriesParts::default() });
    }
    snappy::compress(&writer.finish())
}
