//! The upgrade of a request to a WebSocket whose messages begin with the number of a channel (`v4.channel.k8s.io`,
//! `v5.channel.k8s.io`).

use futures::stream::{SplitSink, SplitStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use maru_http::Body;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Refusal;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;
pub(super) type ToClient = SplitSink<Socket, Message>;
pub(super) type FromClient = SplitStream<Socket>;

/// A request that will become a WebSocket.
pub(super) struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: String,
    protocol: &'static str,
}

impl Upgrade {
    /// Takes the first of `protocols` that the client offers.
    pub(super) fn accept(mut request: Request<Body>, protocols: &[&'static str]) -> Result<Self, Refusal> {
        let headers = request.headers();
        let Some(key) = key(headers) else {
            return Err(Refusal::Bad("an upgrade to a WebSocket or to SPDY/3.1 is needed".to_owned()));
        };
        let accept = derive_accept_key(key.as_bytes());
        let offered = offered(headers);
        let protocol = protocols.iter().find(|known| offered.iter().any(|one| one == *known));
        let Some(protocol) = protocol.copied() else {
            return Err(Refusal::Bad(format!("no common protocol: offered {offered:?}, known {protocols:?}")));
        };
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let on_upgrade = on_upgrade.ok_or_else(|| Refusal::Bad("this connection cannot be upgraded".to_owned()))?;
        Ok(Self { on_upgrade, accept, protocol })
    }

    pub(super) fn response(&self) -> Response<Body> {
        switching(&self.accept, self.protocol)
    }

    pub(super) async fn socket(self) -> Option<Socket> {
        match self.on_upgrade.await {
            Ok(upgraded) => Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await),
            Err(error) => {
                tracing::debug!(%error, "the connection was not upgraded");
                None
            }
        }
    }
}

/// Returns the answer that turns a connection into a WebSocket (RFC 6455 §4.2.2).
pub(super) fn switching(accept: &str, protocol: &str) -> Response<Body> {
    let mut response = Response::new(maru_http::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    for (name, value) in [(header::SEC_WEBSOCKET_PROTOCOL, protocol), (header::SEC_WEBSOCKET_ACCEPT, accept)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Returns the key of a request for a WebSocket; `None` when it asks for something else.
pub(super) fn key(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| says(headers, &header::UPGRADE, "websocket"))
}

/// Tells whether a header lists a word.
pub(super) fn says(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
}

/// Returns the protocols that a client offers, its favourite first.
pub(super) fn offered(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(|part| part.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_protocols_are_read_from_all_headers() {
        let mut headers = HeaderMap::new();
        headers
            .append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v5.channel.k8s.io, v4.channel.k8s.io"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("channel.k8s.io"));
        assert_eq!(offered(&headers), ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"]);
    }
}
