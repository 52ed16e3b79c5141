//! Probes: a target looked at from outside, as blackbox_exporter does, under its names.

mod dns;
mod grpc;
mod http;
mod icmp;
mod line;
mod tcp;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Response, StatusCode, header};
use maru_http::Body;
use maru_monitoring::probe::{BUILT_IN, IpPreference, ProbeModule, Prober, read_modules};
use tokio::time::Instant;

use super::scrape::InProcessTarget;
use super::state::{Exposition, float};
use crate::answer;
use crate::fault::Fault;
use crate::request::{Parameters, unescape};

/// How long a probe takes where nobody says anything.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A probe ends this long before the scrape that waits for it.
const MARGIN: Duration = Duration::from_millis(500);

/// The modules by name.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    all: BTreeMap<String, ProbeModule>,
    folder: PathBuf,
}

/// Returns the target of this process that probes what its address names: `…?module=http_2xx&target=…`.
pub(crate) fn in_process(modules: &Arc<Modules>) -> InProcessTarget {
    let modules = Arc::clone(modules);
    InProcessTarget::new(move |url| {
        let (modules, url) = (Arc::clone(&modules), url.to_owned());
        async move {
            let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let value = |wanted: &str| {
                let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted);
                found.and_then(|(_, value)| unescape(value).ok()).unwrap_or_default()
            };
            modules.probe(&value("module"), &value("target"), None).await
        }
    })
}

/// Answers `/probe`.
pub(crate) async fn answer(
    modules: &Modules,
    parameters: &Parameters,
    patience: &str,
) -> Result<Response<Body>, Fault> {
    let patience = patience.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let (module, target) = (parameters.get("module").unwrap_or_default(), parameters.get("target").unwrap_or_default());
    let text = modules.probe(module, target, patience).await.map_err(Fault::BadData)?;
    let mut response = answer::plain(StatusCode::OK, text);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What a probe writes down.
#[derive(Debug, Default)]
struct Findings {
    out: Exposition,
    /// Why it failed.
    failure: Option<String>,
}

impl Findings {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.out.head(name, "gauge", help);
        self.out.sample(name, &[], value);
    }

    fn phases(&mut self, name: &str, help: &str, phases: &[(&str, Duration)]) {
        self.out.head(name, "gauge", help);
        for (phase, duration) in phases {
            self.out.sample(name, &[("phase", phase)], duration.as_secs_f64());
        }
    }

    fn fail(&mut self, why: impl Into<String>) {
        self.failure.get_or_insert(why.into());
    }
}

impl Modules {
    /// Reads a file of modules; without one there are those that are built in.
    pub(crate) fn load(file: Option<&PathBuf>) -> Result<Self, Vec<String>> {
        let (text, name) = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                (text.map_err(|error| vec![format!("{}: {error}", path.display())])?, path.display().to_string())
            }
            None => (BUILT_IN.to_owned(), "the built-in modules".to_owned()),
        };
        let all = read_modules(&text)
            .map_err(|problems| problems.iter().map(|problem| format!("{name}: {problem}")).collect::<Vec<_>>())?;
        let folder = file.and_then(|file| file.parent()).map(PathBuf::from).unwrap_or_default();
        Ok(Self { all: all.into_iter().collect(), folder })
    }

    /// Probes a target and returns what is to be seen, as a text.
    ///
    /// # Errors
    /// When there is no such module, or no target is named.
    pub(crate) async fn probe(&self, module: &str, target: &str, patience: Option<Duration>) -> Result<String, String> {
        let name = if module.is_empty() { "http_2xx" } else { module };
        let known = || self.all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let module =
            self.all.get(name).ok_or_else(|| format!("there is no module \"{name}\"; use one of {}", known()))?;
        if target.is_empty() {
            return Err("the parameter target is missing".to_owned());
        }
        let patience = patience.map(|patience| patience.saturating_sub(MARGIN)).filter(|patience| !patience.is_zero());
        let timeout = [module.timeout, patience].into_iter().flatten().min().unwrap_or(TIMEOUT);
        let started = Instant::now();
        let mut found = Findings::default();
        let work = async {
            match &module.prober {
                Prober::Http(probe) => http::run(probe, target, &self.folder, &mut found).await,
                Prober::Tcp(probe) => tcp::run(probe, target, &self.folder, &mut found).await,
                Prober::Dns(probe) => dns::run(probe, target, &mut found).await,
                Prober::Grpc(probe) => grpc::run(probe, target, &self.folder, &mut found).await,
                Prober::Icmp(probe) => icmp::run(*probe, target, timeout, &mut found).await,
            }
        };
        let outcome = tokio::time::timeout(timeout, work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("it took longer than {} s", timeout.as_secs_f64())));
        if let Err(why) = outcome {
            found.fail(why);
        }
        let is_success = found.failure.is_none();
        if let Some(error) = &found.failure {
            tracing::debug!(target, module = name, error, "a probe failed");
        }
        found.gauge(
            "probe_duration_seconds",
            "Returns how long the probe took to complete in seconds",
            started.elapsed().as_secs_f64(),
        );
        found.gauge(
            "probe_success",
            "Displays whether or not the probe was a success",
            f64::from(u8::from(is_success)),
        );
        Ok(found.out.finish())
    }
}

/// Finds the address of a host.
async fn resolve(
    host: &str,
    port: u16,
    ip: IpPreference,
    found: &mut Findings,
) -> Result<(SocketAddr, Duration), String> {
    let started = Instant::now();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let looked_up = tokio::net::lookup_host((host, port)).await;
    let all: Vec<SocketAddr> = looked_up.map_err(|error| format!("\"{host}\" cannot be looked up: {error}"))?.collect();
    let elapsed = started.elapsed();
    let wanted = all.iter().find(|address| address.is_ipv6() == ip.prefers_v6);
    let other = all.first().filter(|_| ip.falls_back);
    let address = *wanted.or(other).ok_or_else(|| format!("\"{host}\" has no address of the wanted kind"))?;
    found.gauge(
        "probe_dns_lookup_time_seconds",
        "Returns the time taken for probe dns lookup in seconds",
        elapsed.as_secs_f64(),
    );
    let version = if address.is_ipv6() { 6.0 } else { 4.0 };
    found.gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", version);
    let hash = match address.ip() {
        IpAddr::V4(ip) => fnv(&ip.octets()),
        IpAddr::V6(ip) => fnv(&ip.octets()),
    };
    found.gauge(
        "probe_ip_addr_hash",
        "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
        float(u64::from(hash)),
    );
    Ok((address, elapsed))
}

/// FNV-1a over 32 bits.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Splits `host:port`.
fn host_port(target: &str) -> Result<(&str, u16), String> {
    let (host, port) = target.rsplit_once(':').ok_or_else(|| format!("\"{target}\" has no port; write host:port"))?;
    Ok((host, port.parse().map_err(|_| format!("\"{port}\" is no port"))?))
}
