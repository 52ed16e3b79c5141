//! Where work on a blocking thread writes its answer: sent whole when short, piece by piece while it grows when long.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Response, StatusCode, header};
use maru_http::{Body, BoxError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;

/// A piece of a long answer before compression.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait for the client.
const PIECES_WAITING_MAX: usize = 4;
/// How long a client may take none of them.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// Shorter answers are not compressed.
const COMPRESS_BYTES_MIN: usize = 1400;
/// Speed over size: the network is near.
const COMPRESSION: Compression = Compression::new(1);

/// The client is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// The body being written, with the answer's head.
#[derive(Debug)]
pub(crate) struct Sink {
    buffer: Vec<u8>,
    compress: bool,
    encoder: Option<GzEncoder<Vec<u8>>>,
    status: StatusCode,
    kind: HeaderValue,
    /// An encoding that the content has already.
    encoding: Option<HeaderValue>,
    head: Option<oneshot::Sender<Response<Body>>>,
    body: Option<mpsc::Sender<Result<Bytes, BoxError>>>,
    runtime: Handle,
}

/// Returns a sink and what its answer arrives on. The answer begins when the first piece is full or the work ends.
pub(crate) fn answering(compress: bool) -> (Sink, oneshot::Receiver<Response<Body>>) {
    let (head, answer) = oneshot::channel();
    let sink = Sink {
        buffer: Vec::new(),
        compress,
        encoder: None,
        status: StatusCode::OK,
        kind: HeaderValue::from_static("application/json"),
        encoding: None,
        head: Some(head),
        body: None,
        runtime: Handle::current(),
    };
    (sink, answer)
}

impl Sink {
    /// Sets what the answer is; has an effect before the first piece only.
    pub(crate) fn set_kind(&mut self, kind: &'static str) {
        self.kind = HeaderValue::from_static(kind);
    }

    /// Sets what the answer is by a text that is made at run time; passed over when it is no header's value.
    pub(crate) fn set_kind_text(&mut self, kind: &str) {
        if let Ok(kind) = HeaderValue::from_str(kind) {
            self.kind = kind;
        }
    }

    /// Sets the encoding that the content has already; has an effect before the first piece only.
    pub(crate) fn set_encoding(&mut self, encoding: &'static str) {
        self.encoding = Some(HeaderValue::from_static(encoding));
    }

    /// Turns compression off, for formats that do it themselves.
    pub(crate) fn do_not_compress(&mut self) {
        self.compress = false;
    }

    /// Returns where to append.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Passes a full piece on. Call it now and then, such as after each series.
    ///
    /// # Errors
    /// When the client has gone.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Gone> {
        if self.buffer.len() < PIECE_BYTES { Ok(()) } else { self.pass_on() }
    }

    /// Sends what there is, as a piece of its own.
    ///
    /// # Errors
    /// When the client has gone.
    pub(crate) fn pass_on(&mut self) -> Result<(), Gone> {
        if let Some(head) = self.head.take() {
            let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
            if self.compress {
                self.encoder = Some(GzEncoder::new(Vec::new(), COMPRESSION));
            }
            let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
                let piece = receiver.recv().await?;
                Some((piece, receiver))
            });
            let response = self.response(maru_http::stream(pieces), self.compress);
            head.send(response).map_err(|_| Gone)?;
            self.body = Some(sender);
        }
        let piece = match &mut self.encoder {
            None => std::mem::take(&mut self.buffer),
            Some(encoder) => {
                encoder.write_all(&self.buffer).expect("compressing into memory does not fail");
                self.buffer.clear();
                std::mem::take(encoder.get_mut())
            }
        };
        self.send(piece)
    }

    fn send(&mut self, piece: Vec<u8>) -> Result<(), Gone> {
        if piece.is_empty() {
            return Ok(());
        }
        let body = self.body.as_ref().ok_or(Gone)?;
        let sending = tokio::time::timeout(CLIENT_PATIENCE, body.send(Ok(Bytes::from(piece))));
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Ends the answer.
    pub(crate) fn finish(mut self, result: Result<(), Fault>) {
        match (result, self.head.take()) {
            (Ok(()), Some(head)) => {
                let compress = self.compress && self.buffer.len() >= COMPRESS_BYTES_MIN;
                let mut content = std::mem::take(&mut self.buffer);
                if compress {
                    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 4), COMPRESSION);
                    encoder.write_all(&content).expect("compressing into memory does not fail");
                    content = encoder.finish().expect("compressing into memory does not fail");
                }
                let response = self.response(maru_http::full(content), compress);
                // Nobody takes it when the client has gone.
                drop(head.send(response));
            }
            (Err(fault), Some(head)) => drop(head.send(super::error(&fault))),
            (Ok(()), None) => {
                let mut last = std::mem::take(&mut self.buffer);
                if let Some(mut encoder) = self.encoder.take() {
                    encoder.write_all(&last).expect("compressing into memory does not fail");
                    last = encoder.finish().expect("compressing into memory does not fail");
                }
                // The same.
                self.send(last).unwrap_or_default();
            }
            (Err(fault), None) => {
                // The head has been sent: breaking off is all that can be told.
                if let Some(body) = self.body.take() {
                    tracing::warn!(error = %fault, "an answer broke off while it was sent");
                    drop(self.runtime.block_on(tokio::time::timeout(
                        CLIENT_PATIENCE,
                        body.send(Err(BoxError::from(fault.to_string()))),
                    )));
                }
            }
        }
    }

    fn response(&self, body: Body, compressed: bool) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        if compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        } else if let Some(encoding) = &self.encoding {
            headers.insert(header::CONTENT_ENCODING, encoding.clone());
        }
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    async fn bytes_of(response: Response<Body>) -> Result<Bytes, maru_http::BodyError> {
        maru_http::collect_limited(response.into_body(), 100 << 20).await
    }

    #[tokio::test]
    async fn a_long_answer_goes_out_in_pieces_and_reads_the_same_compressed() {
        for compress in [false, true] {
            let (mut sink, answer) = answering(compress);
            let work = tokio::task::spawn_blocking(move || {
                for number in 0..200_000 {
                    writeln!(sink.buffer(), "line {number}").unwrap();
                    sink.checkpoint().unwrap();
                }
                sink.finish(Ok(()));
            });
            let response = answer.await.unwrap();
            assert_eq!(response.headers().contains_key("content-encoding"), compress);
            let body = bytes_of(response).await.unwrap();
            let mut text = String::new();
            if compress {
                flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(body.to_vec()).unwrap();
            }
            assert_eq!(text.lines().count(), 200_000);
            assert!(text.ends_with("line 199999\n"));
            work.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_fault_is_told_before_the_head_and_breaks_off_after_it() {
        let (mut sink, answer) = answering(true);
        sink.buffer().extend_from_slice(b"{");
        tokio::task::spawn_blocking(move || sink.finish(Err(Fault::Execution("no".to_owned())))).await.unwrap();
        assert_eq!(answer.await.unwrap().status(), 422);

        let (mut sink, answer) = answering(false);
        let work = tokio::task::spawn_blocking(move || {
            sink.buffer().extend_from_slice(b"{");
            sink.pass_on().unwrap();
            sink.finish(Err(Fault::Internal("disk".to_owned())));
        });
        assert!(bytes_of(answer.await.unwrap()).await.is_err());
        work.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_left_is_noticed() {
        let (mut sink, answer) = answering(false);
        drop(answer);
        let gone = tokio::task::spawn_blocking(move || {
            sink.buffer().push(b'x');
            sink.pass_on()
        });
        assert_eq!(gone.await.unwrap(), Err(Gone));
    }
}
