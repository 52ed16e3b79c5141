//! gRPC's health check.
//!
//! Source: gRPC Health Checking Protocol (`grpc.health.v1.Health/Check`); gRPC over HTTP/2.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use maru_monitoring::probe::GrpcProbe;
use tokio::time::Instant;

use super::line::{self, Talk};
use super::{Findings, host_port, resolve};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub(super) async fn run(probe: &GrpcProbe, target: &str, folder: &Path, found: &mut Findings) -> Result<(), String> {
    let target = target.rsplit("://").next().unwrap_or(target);
    let (host, port) = host_port(target)?;
    let (address, resolved) = resolve(host, port, probe.ip, found).await?;
    let stream = line::connect(address).await?;
    let stream: Box<dyn Talk> = if probe.tls {
        Box::new(line::secure(stream, &probe.tls_config, host, &[b"h2"], folder, found).await?)
    } else {
        Box::new(stream)
    };
    found.gauge("probe_grpc_ssl", "Indicates if SSL was used for the connection", f64::from(u8::from(probe.tls)));
    let started = Instant::now();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| format!("no HTTP/2 with \"{target}\": {error}"))?;
    let request = request(probe, target)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| format!("the server broke off: {error}"))?;
        let (parts, body) = response.into_parts();
        let collected = http_body_util::Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let collected = collected.map_err(|error| format!("the answer broke off: {error}"))?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok::<_, String>((parts, trailers, collected.to_bytes()))
    };
    let mut exchange = std::pin::pin!(exchange);
    let outcome = tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        _ = connection => exchange.await,
    };
    let (parts, trailers, body) = outcome?;
    found.phases(
        "probe_grpc_duration_seconds",
        "Duration of gRPC request by phase",
        &[("resolve", resolved), ("check", started.elapsed())],
    );
    let code = [&trailers, &parts.headers]
        .iter()
        .find_map(|headers| headers.get("grpc-status")?.to_str().ok()?.parse::<u32>().ok());
    let code = code.ok_or_else(|| format!("the answer {} is none of gRPC", parts.status))?;
    found.gauge("probe_grpc_status_code", "Response gRPC status code", f64::from(code));
    let serving = if code == 0 { serving_status(&body) } else { None };
    found.out.head("probe_grpc_healthcheck_response", "gauge", "Response HealthCheck response");
    for (number, name) in [(0, "UNKNOWN"), (1, "SERVING"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")] {
        let is = f64::from(u8::from(serving == Some(number)));
        found.out.sample("probe_grpc_healthcheck_response", &[("serving_status", name)], is);
    }
    match serving {
        Some(1) => Ok(()),
        Some(other) => Err(format!("the service is not serving (status {other})")),
        None => Err(format!("the health check was answered with code {code}")),
    }
}

fn request(probe: &GrpcProbe, target: &str) -> Result<Request<Full<Bytes>>, String> {
    let length = u8::try_from(probe.service.len()).ok().filter(|length| *length < 128);
    let length = length.ok_or("the service's name is too long")?;
    let mut message = Vec::new();
    if length > 0 {
        message.extend_from_slice(&[0x0a, length]);
        message.extend_from_slice(probe.service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    frame.extend_from_slice(&message);
    let scheme = if probe.tls { "https" } else { "http" };
    let mut request = Request::new(Full::new(Bytes::from(frame)));
    *request.method_mut() = Method::POST;
    let url = format!("{scheme}://{target}/grpc.health.v1.Health/Check");
    *request.uri_mut() = url.parse().map_err(|_| format!("\"{target}\" is no host and port"))?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(crate::collect::USER_AGENT));
    Ok(request)
}

/// Reads field 1 of the message behind the frame's head; a message without it says 0.
fn serving_status(body: &[u8]) -> Option<u32> {
    let message = body.get(5..)?;
    match message {
        [] => Some(0),
        [0x08, status, ..] => Some(u32::from(*status)),
        _ => None,
    }
}
