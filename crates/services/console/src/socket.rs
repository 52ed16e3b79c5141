//! Live answers as WebSockets: each line that the API streams becomes a message.
//!
//! A browser opens six HTTP/1.1 connections to a host, and many WebSockets. What is buffered is bounded: the API is
//! read only as fast as the page takes messages, and a page that takes none for a while is closed with a reason, so
//! that it goes on from where it was when it can.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use maru_http::{Answer, Body, Handler};
use maru_task::Scope;
use maru_telemetry::Counter;
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::secrets;

/// How long a page may take no message.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// How long the last message may take.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Without any sign of life for this long the page is gone.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// A piece of a log is sent without its end when it has none for this long.
const LOG_BYTES_MAX: usize = 64 * 1024;
/// More than any object that the API takes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The control frame's limit (RFC 6455 §5.5), less the code.
const REASON_BYTES_MAX: usize = 123;
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The page was too slow.
pub(crate) const CLOSE_SLOW: u16 = 4008;
/// The session has ended.
pub(crate) const CLOSE_SESSION: u16 = 4401;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Tells whether a request wants to become a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let says = |name, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    says(header::UPGRADE, "websocket") && says(header::CONNECTION, "upgrade")
}

/// A request that will become a WebSocket.
pub(crate) struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

impl Upgrade {
    /// Takes the connection of a request; nothing when it cannot become a WebSocket.
    pub(crate) fn take(request: &mut Request<Body>) -> Option<Self> {
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
        // A browser insists on one of the protocols that it offers.
        let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
        let protocol = offered.and_then(|value| HeaderValue::from_str(value.split(',').next()?.trim()).ok());
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        Some(Self { on_upgrade, accept, protocol })
    }

    /// Returns the answer that turns the connection into a WebSocket (RFC 6455 §4.2.2).
    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = Response::new(maru_http::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(protocol) = &self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        response
    }

    /// Returns the bare connection, once the browser has been answered.
    pub(crate) async fn connection(self) -> Option<TokioIo<Upgraded>> {
        match self.on_upgrade.await {
            Ok(upgraded) => Some(TokioIo::new(upgraded)),
            Err(error) => {
                tracing::debug!(%error, "the connection was not upgraded");
                None
            }
        }
    }

    async fn socket(self) -> Option<Socket> {
        // Small: a page has many of them, and a message is sent as soon as it is there.
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(16 * 1024)
            .max_message_size(Some(64 * 1024))
            .max_frame_size(Some(64 * 1024));
        let connection = self.connection().await?;
        Some(WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await)
    }

    /// Turns the connection into a WebSocket only to say why it is closed: browsers tell pages nothing about a refusal.
    pub(crate) fn refuse(self, scope: &Scope, code: u16, reason: &str) -> Response<Body> {
        let response = self.response();
        let reason = reason.to_owned();
        drop(scope.spawn_until_cancelled("refuse", async move {
            if let Some(mut socket) = self.socket().await {
                close(&mut socket, code, &reason).await;
            }
        }));
        response
    }
}

/// What is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Events: one a message, whole.
    Watch {
        /// Whether values are taken out.
        masks: bool,
    },
    /// Text: as many whole lines a message as there are.
    Log,
}

/// Where the lines of a WebSocket come from, and what ends it.
pub(crate) struct Bridge {
    pub(crate) api: Handler,
    pub(crate) request: Request<Body>,
    pub(crate) stream: Stream,
    pub(crate) session: Scope,
    pub(crate) server: Scope,
    pub(crate) slow: Arc<Counter>,
}

/// Why a WebSocket ends.
enum End {
    /// Say why.
    Close(u16, String),
    /// Nobody listens any more.
    Gone,
}

impl End {
    fn close(code: CloseCode, reason: &str) -> Self {
        Self::Close(code.into(), reason.to_owned())
    }
}

impl Bridge {
    /// Carries lines until either side ends.
    pub(crate) async fn run(self, upgrade: Upgrade) {
        let Some(mut socket) = upgrade.socket().await else { return };
        let (session, server, stream) = (self.session.token(), self.server.token(), self.stream);
        let end = {
            let work = carry(&mut socket, self.api.call(self.request), stream).boxed();
            // The server's end is the end of all sessions as well, and says more.
            tokio::select! {
                biased;
                () = server.cancelled_owned() => End::close(CloseCode::Away, "Maru is stopping"),
                () = session.cancelled_owned() => End::Close(CLOSE_SESSION, "the session has ended".to_owned()),
                end = work => end,
            }
        };
        if let End::Close(code, reason) = end {
            if code == CLOSE_SLOW {
                self.slow.inc();
            }
            close(&mut socket, code, &reason).await;
        }
    }
}

async fn carry(socket: &mut Socket, asked: Answer, stream: Stream) -> End {
    let response = asked.await;
    let status = response.status();
    if !status.is_success() {
        return refused(status, response.into_body()).await;
    }
    let mut body = response.into_body().into_data_stream();
    let mut lines = Lines::new(stream);
    let mut pings = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut heard = Instant::now();
    loop {
        let sent = tokio::select! {
            chunk = body.next() => match chunk {
                Some(Ok(chunk)) => {
                    let messages = match lines.push(&chunk) {
                        Ok(messages) => messages,
                        Err(reason) => return End::close(CloseCode::Size, reason),
                    };
                    send(socket, messages).await
                }
                Some(Err(error)) => return End::close(CloseCode::Error, &error.to_string()),
                None => match send(socket, lines.rest()).await {
                    Sent::Well => return End::close(CloseCode::Normal, ""),
                    other => other,
                },
            },
            message = socket.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                Some(Ok(_)) => {
                    heard = Instant::now();
                    Sent::Well
                }
            },
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    return End::Gone;
                }
                send(socket, vec![Message::Ping(Bytes::new())]).await
            }
        };
        match sent {
            Sent::Well => {}
            Sent::Slowly => {
                return End::Close(CLOSE_SLOW, "the page reads too slowly; go on from the last message".to_owned());
            }
            Sent::Not => return End::Gone,
        }
    }
}

/// Turns the API's refusal into the reason for closing.
async fn refused(status: StatusCode, body: Body) -> End {
    let content = maru_http::collect_limited(body, ERROR_BYTES_MAX).await.unwrap_or_default();
    let error: Value = serde_json::from_slice(&content).unwrap_or_default();
    let message = error["message"].as_str().map(str::to_owned);
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(&content).trim().to_owned());
    End::Close(4000 + status.as_u16(), message)
}

enum Sent {
    Well,
    Slowly,
    Not,
}

async fn send(socket: &mut Socket, messages: Vec<Message>) -> Sent {
    if messages.is_empty() {
        return Sent::Well;
    }
    for message in messages {
        match tokio::time::timeout(SLOW_AFTER, socket.feed(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Sent::Not,
            Err(_) => return Sent::Slowly,
        }
    }
    match tokio::time::timeout(SLOW_AFTER, socket.flush()).await {
        Ok(Ok(())) => Sent::Well,
        Ok(Err(_)) => Sent::Not,
        Err(_) => Sent::Slowly,
    }
}

async fn close(socket: &mut Socket, code: u16, reason: &str) {
    let reason = shorten(reason, REASON_BYTES_MAX);
    let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from(reason) };
    let said = async {
        socket.close(Some(frame)).await?;
        // The browser answers, and then the connection ends in good order.
        while let Some(message) = socket.next().await {
            message?;
        }
        Ok::<(), tokio_tungstenite::tungstenite::Error>(())
    };
    match tokio::time::timeout(CLOSE_TIME_MAX, said).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a WebSocket ended early"),
        Err(_) => tracing::debug!("a WebSocket was not closed by the page"),
    }
}

/// Returns the beginning of a text, whole characters alone.
fn shorten(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    const MORE: &str = "…";
    let mut short = String::new();
    for character in text.chars() {
        if short.len() + character.len_utf8() + MORE.len() > bytes_max {
            break;
        }
        short.push(character);
    }
    short + MORE
}

/// Makes messages of what the API streams.
struct Lines {
    stream: Stream,
    pending: BytesMut,
}

impl Lines {
    fn new(stream: Stream) -> Self {
        Self { stream, pending: BytesMut::new() }
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<Message>, &'static str> {
        self.pending.extend_from_slice(chunk);
        let mut messages = Vec::new();
        match self.stream {
            Stream::Watch { masks } => {
                while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                    let line = self.pending.split_to(end);
                    self.pending.advance(1);
                    let line = if masks { secrets::mask_line(&line) } else { line.to_vec() };
                    if !line.is_empty() {
                        messages.push(text(line));
                    }
                }
                if self.pending.len() > LINE_BYTES_MAX {
                    return Err("an event is larger than a page can take");
                }
            }
            Stream::Log => {
                while let Some(end) = self.log_end() {
                    messages.push(text(self.pending.split_to(end).to_vec()));
                }
            }
        }
        // A large event must not hold its memory for as long as the page is open.
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        Ok(messages)
    }

    /// Where the next message of a log ends: after its last whole line, or at the limit between two characters.
    fn log_end(&self) -> Option<usize> {
        let window = self.pending.get(..LOG_BYTES_MAX).unwrap_or(&self.pending);
        if let Some(last) = window.iter().rposition(|byte| *byte == b'\n') {
            return Some(last + 1);
        }
        if window.len() < LOG_BYTES_MAX {
            return None;
        }
        let is_inside = |index: usize| self.pending.get(index).is_some_and(|byte| byte & 0xC0 == 0x80);
        Some((LOG_BYTES_MAX - 3..=LOG_BYTES_MAX).rev().find(|end| !is_inside(*end)).unwrap_or(LOG_BYTES_MAX))
    }

    /// What has no end of line yet.
    fn rest(&mut self) -> Vec<Message> {
        let rest = std::mem::take(&mut self.pending);
        match self.stream {
            _ if rest.is_empty() => Vec::new(),
            Stream::Watch { masks: true } => vec![text(secrets::mask_line(&rest))],
            Stream::Watch { masks: false } | Stream::Log => vec![text(rest.to_vec())],
        }
    }
}

/// A program may log any bytes; a text message holds UTF-8.
fn text(bytes: Vec<u8>) -> Message {
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Message::Text(Utf8Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(messages: Vec<Message>) -> Vec<String> {
        messages.into_iter().map(|message| message.into_text().unwrap().as_str().to_owned()).collect()
    }

    #[test]
    fn each_event_is_a_message_however_it_arrives() {
        let mut lines = Lines::new(Stream::Watch { masks: false });
        assert_eq!(texts(lines.push(b"{\"a\":1}\n{\"b\"").unwrap()), ["{\"a\":1}"]);
        assert_eq!(texts(lines.push(b":2}").unwrap()), [""; 0]);
        assert_eq!(texts(lines.push(b"\n\n{}\n").unwrap()), ["{\"b\":2}", "{}"]);
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn events_about_secrets_lose_their_values() {
        let mut lines = Lines::new(Stream::Watch { masks: true });
        let line = b"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Secret\",\"data\":{\"p\":\"eA==\"}}}\nnot json\n";
        assert_eq!(
            texts(lines.push(line).unwrap()),
            ["{\"object\":{\"data\":{\"p\":null},\"kind\":\"Secret\"},\"type\":\"ADDED\"}"]
        );
    }

    #[test]
    fn a_log_is_cut_between_lines_or_characters() {
        let mut lines = Lines::new(Stream::Log);
        assert_eq!(texts(lines.push(b"one\ntwo\nthr").unwrap()), ["one\ntwo\n"]);
        assert_eq!(texts(lines.push(b"ee\n").unwrap()), ["three\n"]);
        let long = "한".repeat(LOG_BYTES_MAX);
        let mut sent = texts(lines.push(long.as_bytes()).unwrap());
        assert!(sent.iter().all(|one| one.len() <= LOG_BYTES_MAX && one.chars().all(|c| c == '한')));
        sent.extend(texts(lines.rest()));
        assert_eq!(sent.concat(), long);
        assert_eq!(texts(lines.push(b"\xff\n").unwrap()), ["\u{fffd}\n"]);
    }

    #[test]
    fn a_reason_fits_into_its_frame() {
        assert_eq!(shorten("short", REASON_BYTES_MAX), "short");
        let short = shorten(&"글".repeat(100), REASON_BYTES_MAX);
        assert!(short.len() <= REASON_BYTES_MAX && short.ends_with('…'), "{short}");
    }
}
