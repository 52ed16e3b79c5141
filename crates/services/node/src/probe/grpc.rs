//! The gRPC health protocol, version 1: one unary call over HTTP/2 without TLS.
//!
//! The two messages have one field each, so that they are written and read by hand.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::GRPCAction;

use super::{Target, connect};

/// Largest answer that is read.
const ANSWER_MAX: usize = 4096;
/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u64 = 1;

pub(super) async fn health(action: &GRPCAction, target: &Target, timeout: Duration) -> Result<(), String> {
    let port = u16::try_from(action.port).map_err(|_| format!("invalid port number: {}", action.port))?;
    let service = action.service.clone().unwrap_or_default();
    let address = format!("{}:{port}", target.address);
    let call = async {
        let stream = connect(&target.address.to_string(), port, timeout).await?;
        call(stream, &address, &service).await
    };
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(format!(
            "timeout: failed to connect service \"{address}\" within {}s: context deadline exceeded",
            timeout.as_secs()
        )),
    }
}

async fn call(stream: tokio::net::TcpStream, address: &str, service: &str) -> Result<(), String> {
    let words = |error: hyper::Error| format!("error: health rpc failed: {error}");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(words)?;
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
        .header(header::TE, HeaderValue::from_static("trailers"))
        .header(header::USER_AGENT, HeaderValue::from_static("kube-probe/1.36"))
        .body(Full::new(question(service)))
        .map_err(|error| error.to_string())?;
    let mut connection = std::pin::pin!(connection);
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(words)?.into_parts();
        let body = Limited::new(body, ANSWER_MAX)
            .collect()
            .await
            .map_err(|error| format!("error: health rpc failed: {error}"))?;
        let code = body
            .trailers()
            .and_then(|trailers| trailers.get("grpc-status"))
            .or_else(|| head.headers.get("grpc-status"));
        let code = code.and_then(|code| code.to_str().ok()).unwrap_or("2").to_owned();
        judge(head.status.as_u16(), &code, &body.to_bytes())
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(words(error)),
        },
    }
}

/// Frames a `HealthCheckRequest`.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, u64::try_from(service.len()).unwrap_or(u64::MAX));
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or(0));
}

fn judge(http_status: u16, grpc_status: &str, body: &[u8]) -> Result<(), String> {
    match grpc_status {
        "0" if http_status == 200 => {}
        "12" => {
            return Err(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)".to_owned()
            );
        }
        "5" => return Err("error: health rpc failed: the service is not known to the server".to_owned()),
        code => return Err(format!("error: health rpc failed: status {http_status}, grpc-status {code}")),
    }
    let message = body.get(5..).unwrap_or_default();
    match status_of(message) {
        SERVING => Ok(()),
        other => {
            let name = match other {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "a status that is not known",
            };
            Err(format!("service unhealthy (responded with \"{name}\")"))
        }
    }
}

/// Reads field 1 of a `HealthCheckResponse`; absent means 0. Other fields are skipped as far as they are varints.
fn status_of(message: &[u8]) -> u64 {
    let mut rest = message.iter();
    while let Some(tag) = rest.next() {
        let mut value = 0u64;
        let mut shift = 0u32;
        for byte in rest.by_ref() {
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if *tag == 0x08 {
            return value;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::target;
    use maru_http::{Handler, Limits, Server};
    use maru_task::Scope;

    #[test]
    fn messages_have_their_wire_form() {
        assert_eq!(question("").as_ref(), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab").as_ref(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(status_of(&[0x08, 0x01]), 1);
        assert_eq!(status_of(&[0x10, 0x05, 0x08, 0x02]), 2);
        assert_eq!(status_of(&[]), 0);
    }

    #[tokio::test]
    async fn only_serving_is_healthy() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scope = Scope::root("test");
        let handler = Handler::new(|request| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let (status, grpc) = match body.get(7..).unwrap_or_default() {
                b"good" => (1, "0"),
                b"bad" => (2, "0"),
                b"none" => (0, "5"),
                _ => (0, "12"),
            };
            let mut response = http::Response::new(maru_http::full(vec![0, 0, 0, 0, 2, 8, status]));
            response.headers_mut().insert("grpc-status", HeaderValue::from_static(grpc));
            response
        });
        let server = Server { name: "test", listener, tls: None, handler, limits: Limits::default() };
        drop(scope.spawn("serve", maru_http::serve(scope.clone(), server)));
        let target = target("127.0.0.1", serde_json::json!({"name": "c"}));
        for (service, expected) in [
            ("good", None),
            ("bad", Some("service unhealthy (responded with \"NOT_SERVING\")")),
            ("none", Some("error: health rpc failed: the service is not known to the server")),
            ("", Some("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)")),
        ] {
            let action = GRPCAction { port: i32::from(port), service: Some(service.to_owned()) };
            let result = health(&action, &target, Duration::from_secs(5)).await;
            assert_eq!(result.err().as_deref(), expected, "{service}");
        }
        scope.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}
