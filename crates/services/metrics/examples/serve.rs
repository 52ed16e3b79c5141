//! Serves a store to everybody on loopback: for measuring without building the whole binary.
//!
//! Takes the words of `maru metrics --data FOLDER --listen ADDRESS …`; other flags are passed over.

use std::path::PathBuf;

use maru_metrics::{Metrics, MetricsOptions};
use maru_task::Scope;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// As many heaps as the binary has.
const HEAPS_MAX: u8 = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    maru_sys::bound_heaps(HEAPS_MAX);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    maru_telemetry::init_logs("warn", maru_telemetry::LogFormat::Text);
    let words: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let joined = words.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
        let next = || words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1)).map(String::as_str);
        joined.or_else(next).ok_or(format!("{flag} is missing"))
    };
    let mut options = MetricsOptions::new(PathBuf::from(value("--data")?).join("metrics"));
    options.admin_api = true;
    options.experimental_promql = words.iter().any(|word| word == "--experimental-promql");
    options.collect.file = value("--config").ok().map(PathBuf::from);
    let listener = TcpListener::bind(value("--listen")?).await?;
    let scope = Scope::root("metrics");
    let metrics = Metrics::open(&scope, options).await?;
    if metrics.collector().has_file() {
        metrics.reload()?;
    }
    let server = maru_http::Server {
        name: "metrics",
        listener,
        tls: None,
        handler: metrics.handler(),
        limits: maru_http::Limits::default(),
    };
    let http = scope.child("http");
    drop(http.spawn("accept", maru_http::serve(http.clone(), server)));
    signal(SignalKind::terminate())?.recv().await;
    Ok(scope.shutdown(std::time::Duration::from_secs(10)).await.map_err(|still| format!("{still:?}"))?)
}
