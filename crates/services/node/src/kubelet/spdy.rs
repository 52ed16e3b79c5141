//! SPDY/3.1 connections of clients: raw, or inside a WebSocket (`SPDY/3.1+…`), as kubectl 1.31 and newer forward ports.
//!
//! One connection carries many streams. A stream whose reader is slow fills its queue, then holds the connection up: the
//! clients of Kubernetes know no windows, so nothing finer is possible.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use maru_http::Body;
use maru_spdy::{Decoder, Encoder, Frame, GoAwayStatus, Headers, Limits, Received, ResetStatus, Session, StreamId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::Refusal;
use super::websocket::{key, offered, says, switching};

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// What comes before a protocol's name when it is spoken over SPDY inside a WebSocket.
const TUNNEL: &str = "SPDY/3.1+";
/// Bytes that are read at once, and so the longest piece of content.
const BLOCK: usize = 16 * 1024;
/// Bytes of a WebSocket message; one carries one write of the client, which may be a frame's head only.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pieces of content that a stream's reader has not taken yet; with more the connection waits.
const PIECES_MAX: usize = 8;
/// Frames on their way to the client; whoever has more to say waits.
const FRAMES_MAX: usize = 16;
/// How long the client may take to close after the end was told.
const LINGER: Duration = Duration::from_secs(10);

/// A stream that a client has opened.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) headers: Headers,
    pub(super) input: Input,
    pub(super) output: Output,
}

/// What the client sends on a stream.
#[derive(Debug)]
pub(super) struct Input(mpsc::Receiver<Bytes>);

impl Input {
    /// Returns what came next; `None` after the end, or when the client has reset the stream. Cancel safe.
    pub(super) async fn read(&mut self) -> Option<Bytes> {
        self.0.recv().await
    }
}

/// The client takes nothing more on this stream.
#[derive(Debug)]
pub(super) struct Closed;

/// What is sent to the client on a stream.
#[derive(Debug, Clone)]
pub(super) struct Output {
    stream: StreamId,
    frames: mpsc::Sender<Frame>,
    is_reset: watch::Receiver<bool>,
}

impl Output {
    pub(super) async fn write(&self, data: Bytes) -> Result<(), Closed> {
        if *self.is_reset.borrow() {
            return Err(Closed);
        }
        let frame = Frame::Data { stream: self.stream, finished: false, data };
        self.frames.send(frame).await.map_err(|_| Closed)
    }

    /// Tells the client that nothing more comes.
    pub(super) async fn finish(&self) {
        if !*self.is_reset.borrow() {
            let frame = Frame::Data { stream: self.stream, finished: true, data: Bytes::new() };
            // Without a connection there is nobody to tell.
            drop(self.frames.send(frame).await);
        }
    }

    /// Ends the stream in both directions.
    pub(super) async fn reset(&self, status: ResetStatus) {
        drop(self.frames.send(Frame::RstStream { stream: self.stream, status }).await);
    }

    /// Waits until the client has reset the stream, maybe for ever. Cancel safe.
    pub(super) async fn reset_by_client(&self) {
        let mut is_reset = self.is_reset.clone();
        if is_reset.wait_for(|is_reset| *is_reset).await.is_err() {
            // It ended as it should.
            std::future::pending::<()>().await;
        }
    }
}

/// Tells whether a request wants to become a SPDY connection, not inside a WebSocket.
pub(super) fn is_requested(headers: &HeaderMap) -> bool {
    says(headers, &header::UPGRADE, "SPDY/3.1")
}

fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(str::trim))
}

/// A request that will become a SPDY connection.
pub(super) struct Upgrade {
    on_upgrade: OnUpgrade,
    form: Form,
    protocol: &'static str,
}

enum Form {
    Raw,
    Tunnel { accept: String },
}

impl Upgrade {
    /// Accepts a request that offers one of the protocols; those first named here are taken first.
    pub(super) fn accept(mut request: Request<Body>, protocols: &[&'static str]) -> Result<Self, Refusal> {
        let headers = request.headers();
        let (form, offered) = if is_requested(headers) {
            (Form::Raw, words(headers, STREAM_PROTOCOL).map(str::to_owned).collect())
        } else if let Some(key) = key(headers) {
            let offered: Vec<String> = offered(headers);
            let inner = offered.iter().filter_map(|one| one.strip_prefix(TUNNEL)).map(str::to_owned).collect();
            (Form::Tunnel { accept: derive_accept_key(key.as_bytes()) }, inner)
        } else {
            return Err(Refusal::Bad(
                "an upgrade to SPDY/3.1, or to a WebSocket that carries it, is needed".to_owned(),
            ));
        };
        let offered: Vec<String> = offered;
        let protocol = protocols.iter().find(|known| offered.iter().any(|one| one == *known));
        let Some(protocol) = protocol.copied() else {
            return Err(Refusal::Bad(format!("no common protocol: offered {offered:?}, known {protocols:?}")));
        };
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let on_upgrade = on_upgrade.ok_or_else(|| Refusal::Bad("this connection cannot be upgraded".to_owned()))?;
        Ok(Self { on_upgrade, form, protocol })
    }

    pub(super) fn response(&self) -> Response<Body> {
        match &self.form {
            Form::Raw => {
                let mut response = Response::new(maru_http::empty());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                let headers = response.headers_mut();
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
                headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(self.protocol));
                response
            }
            Form::Tunnel { accept } => switching(accept, &format!("{TUNNEL}{}", self.protocol)),
        }
    }

    async fn connection(self) -> Option<(Reader, Writer)> {
        let upgraded = match self.on_upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => {
                tracing::debug!(%error, "the connection was not upgraded");
                return None;
            }
        };
        Some(match self.form {
            Form::Raw => {
                let (reader, writer) = tokio::io::split(upgraded);
                (Reader::Raw { reader, block: vec![0; BLOCK] }, Writer::Raw(writer))
            }
            Form::Tunnel { .. } => {
                let limits = WebSocketConfig::default()
                    .max_message_size(Some(MESSAGE_BYTES_MAX))
                    .max_frame_size(Some(MESSAGE_BYTES_MAX));
                let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(limits)).await;
                let (writer, reader) = socket.split();
                (Reader::Tunnel(reader), Writer::Tunnel(writer))
            }
        })
    }

    /// Does the work with the streams that the client opens, until it is done or the client has gone; then closes the
    /// connection.
    ///
    /// # Cancel safety
    /// The connection breaks when dropped.
    pub(super) async fn serve<F>(self, work: impl FnOnce(mpsc::Receiver<Stream>) -> F)
    where
        F: Future<Output = ()>,
    {
        let Some((reader, writer)) = self.connection().await else { return };
        let limits = Limits::default();
        let session = Mutex::new(Session::new(limits));
        let (frames, queue) = mpsc::channel(FRAMES_MAX);
        let (accept, accepted) = mpsc::channel(limits.streams_max);
        let connection = Connection { session: &session, accept, frames: frames.clone(), entries: BTreeMap::new() };
        let mut send = Box::pin(send(writer, &session, queue));
        let mut receive = Box::pin(connection.receive(reader, Decoder::new(limits)));
        let mut work = Box::pin(work(accepted));
        let is_done = tokio::select! {
            () = &mut work => true,
            () = &mut receive => false,
            () = &mut send => return,
        };
        drop(work);
        if is_done {
            let go_away = lock(&session).go_away(GoAwayStatus::Ok);
            let close = async {
                drop(frames.send(go_away).await);
                // What the client still sends must not meet a closed socket, or the end would be lost on its way.
                receive.as_mut().await;
            };
            tokio::select! {
                closed = tokio::time::timeout(LINGER, close) => drop(closed),
                () = &mut send => return,
            }
        }
        // Without those who fill it, the queue ends when all of it is sent.
        drop((receive, frames));
        drop(tokio::time::timeout(LINGER, send).await);
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Reader {
    Raw { reader: tokio::io::ReadHalf<TokioIo<Upgraded>>, block: Vec<u8> },
    Tunnel(SplitStream<WebSocketStream<TokioIo<Upgraded>>>),
}

impl Reader {
    /// Adds what came next; `false` after the end.
    async fn read(&mut self, decoder: &mut Decoder) -> bool {
        match self {
            Self::Raw { reader, block } => match reader.read(block).await {
                Ok(0) | Err(_) => false,
                Ok(count) => {
                    decoder.push(block.get(..count).unwrap_or_default());
                    true
                }
            },
            Self::Tunnel(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Binary(data))) => {
                        decoder.push(&data);
                        return true;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => return false,
                }
            },
        }
    }
}

enum Writer {
    Raw(tokio::io::WriteHalf<TokioIo<Upgraded>>),
    Tunnel(SplitSink<WebSocketStream<TokioIo<Upgraded>>, Message>),
}

impl Writer {
    async fn write(&mut self, bytes: Vec<u8>) -> bool {
        match self {
            Self::Raw(writer) => writer.write_all(&bytes).await.is_ok() && writer.flush().await.is_ok(),
            Self::Tunnel(socket) => socket.send(Message::Binary(bytes.into())).await.is_ok(),
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Raw(writer) => drop(writer.shutdown().await),
            Self::Tunnel(socket) => drop(socket.close().await),
        }
    }
}

/// Sends frames until nobody has more of them, or the client has gone.
async fn send(mut writer: Writer, session: &Mutex<Session>, mut queue: mpsc::Receiver<Frame>) {
    let mut encoder = Encoder::new();
    let mut frames = Vec::with_capacity(FRAMES_MAX);
    while queue.recv_many(&mut frames, FRAMES_MAX).await > 0 {
        let mut bytes = Vec::new();
        for frame in frames.drain(..) {
            if let Err(error) = encoder.encode(&frame, &mut bytes) {
                tracing::warn!(%error, "a frame for a client could not be written");
                return;
            }
            lock(session).sent(&frame);
        }
        if !writer.write(bytes).await {
            return;
        }
    }
    writer.close().await;
}

/// The reading side of a connection.
struct Connection<'a> {
    session: &'a Mutex<Session>,
    accept: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Frame>,
    entries: BTreeMap<StreamId, Entry>,
}

/// Whom a stream's content goes to.
struct Entry {
    /// `None` after the end.
    data: Option<mpsc::Sender<Bytes>>,
    is_reset: watch::Sender<bool>,
}

impl Connection<'_> {
    /// Takes what the client sends, until it closes the connection or breaks the protocol.
    async fn receive(mut self, mut reader: Reader, mut decoder: Decoder) {
        while reader.read(&mut decoder).await {
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        let received = lock(self.session).receive(frame);
                        self.act(received).await;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a client broke the protocol");
                        let frame = lock(self.session).go_away(GoAwayStatus::ProtocolError);
                        drop(self.frames.send(frame).await);
                        return;
                    }
                }
            }
        }
    }

    async fn act(&mut self, received: Received) {
        match received {
            Received::Opened { stream, headers, finished } => self.open(stream, headers, finished).await,
            Received::Data { stream, data, finished } => {
                let Some(entry) = self.entries.get_mut(&stream) else { return };
                if let Some(sender) = entry.data.as_ref().filter(|_| !data.is_empty()) {
                    // A reader that has gone does not want it; its side tells the client.
                    drop(sender.send(data).await);
                }
                if finished {
                    entry.data = None;
                }
            }
            Received::Reset { stream, .. } => {
                if let Some(entry) = self.entries.remove(&stream) {
                    entry.is_reset.send_replace(true);
                }
            }
            Received::Answer(frame) => drop(self.frames.send(frame).await),
            _ => {}
        }
    }

    async fn open(&mut self, stream: StreamId, headers: Headers, finished: bool) {
        {
            let session = lock(self.session);
            self.entries.retain(|stream, _| session.is_open(*stream));
        }
        let (sender, data) = mpsc::channel(PIECES_MAX);
        let (reset, is_reset) = watch::channel(false);
        self.entries.insert(stream, Entry { data: (!finished).then_some(sender), is_reset: reset });
        let opened =
            Stream { headers, input: Input(data), output: Output { stream, frames: self.frames.clone(), is_reset } };
        let reply = Frame::SynReply { stream, finished: false, headers: Headers::default() };
        let refused = Frame::RstStream { stream, status: ResetStatus::RefusedStream };
        // The work may have all streams that it wants.
        let frame = if self.accept.is_closed() { refused } else { reply };
        drop(self.frames.send(frame).await);
        drop(self.accept.send(opened).await);
    }
}
