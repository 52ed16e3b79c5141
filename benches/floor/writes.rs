//! Durable creates a second with 1 and 16 clients over TLS, beside Debian's etcd over its JSON gateway.
//!
//! The comparison is not fair to etcd, whose native protocol is gRPC; Maru does authentication, RBAC, validation and field
//! ownership in the same request, and etcd does not.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maru_benches::Row;
use maru_testkit::TempDir;
use maru_tests::System;
use serde_json::json;
use tokio::time::Instant;

const MEASURED: Duration = Duration::from_secs(4);

pub(super) fn run() -> Vec<Row> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let system = System::start();
    let kubeconfig = std::fs::read_to_string(system.data().join("admin.kubeconfig")).expect("the server wrote it");
    let field = |name: &str| {
        let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(name)).expect("the kubeconfig has it");
        BASE64.decode(line.trim()).expect("the kubeconfig holds base64")
    };
    let authority = reqwest::Certificate::from_pem(&field("certificate-authority-data:")).expect("a certificate");
    let mut identity = field("client-certificate-data:");
    identity.extend(field("client-key-data:"));
    let identity = reqwest::Identity::from_pem(&identity).expect("a certificate with its key");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([authority])
        .identity(identity)
        .http1_only()
        .build()
        .expect("a client can be made");
    let filling = "x".repeat(1000);
    let create = |number: u64| {
        let name = format!("bench-{number}");
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": filling}});
        ("https://127.0.0.1:6443/api/v1/namespaces/default/configmaps".to_owned(), body)
    };
    let mut first = 0;
    let mut ours = Vec::new();
    for clients in [1, 16] {
        ours.push(system.host().block_on(rate(&client, clients, &mut first, &create)));
    }
    drop(system);
    let peers = etcd();
    [1, 16]
        .into_iter()
        .zip(ours)
        .enumerate()
        .map(|(index, (clients, maru))| Row {
            what: format!("durable creates of 1 KB a second, {clients} clients"),
            maru,
            peer: peers.as_ref().map(|peers| ("etcd".to_owned(), peers[index])),
            budget: "-".to_owned(),
        })
        .collect()
}

/// Returns how many requests a second succeed.
async fn rate(
    client: &reqwest::Client,
    clients: u64,
    first: &mut u64,
    request: &(dyn Fn(u64) -> (String, serde_json::Value) + Sync),
) -> f64 {
    let started = Instant::now();
    let next = std::sync::atomic::AtomicU64::new(*first);
    let one = async || {
        let mut done = 0_u32;
        while started.elapsed() < MEASURED {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (url, body) = request(number);
            let sent = client.post(url).header("content-type", "application/json").body(body.to_string()).send().await;
            let answer = sent.expect("the server answers");
            assert!(answer.status().is_success(), "{}", answer.status());
            drop(answer.bytes().await);
            done += 1;
        }
        done
    };
    let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = u32> + Send>>> = Vec::new();
    for _ in 0..clients {
        tasks.push(Box::pin(one()));
    }
    let done = join_all(tasks).await;
    *first = next.load(std::sync::atomic::Ordering::Relaxed);
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// Polls all tasks to their end and adds up their counts.
async fn join_all(mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = u32> + Send + '_>>>) -> u32 {
    let mut total = 0;
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| match task.as_mut().poll(context) {
            std::task::Poll::Ready(count) => {
                total += count;
                false
            }
            std::task::Poll::Pending => true,
        });
        if tasks.is_empty() { std::task::Poll::Ready(total) } else { std::task::Poll::Pending }
    })
    .await
}

fn etcd() -> Option<Vec<f64>> {
    maru_tests::find_program("etcd")?;
    let folder = TempDir::new();
    let client_url = format!("http://127.0.0.1:{}", maru_testkit::free_port());
    let peer_url = format!("http://127.0.0.1:{}", maru_testkit::free_port());
    let child = Command::new("etcd")
        .args(["--data-dir", &folder.join("etcd").to_string_lossy(), "--log-level", "error"])
        .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
        .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
        .args(["--initial-cluster", &format!("default={peer_url}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd starts");
    let _stopped = Stopped(child);
    let value = BASE64.encode("x".repeat(1000));
    let put = |number: u64| {
        (format!("{client_url}/v3/kv/put"), json!({"key": BASE64.encode(format!("bench-{number}")), "value": value}))
    };
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while client.get(format!("{client_url}/health")).send().await.is_err() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut first = 0;
        let mut rates = Vec::new();
        for clients in [1, 16] {
            rates.push(rate(&client, clients, &mut first, &put).await);
        }
        Some(rates)
    })
}

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
