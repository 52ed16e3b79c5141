//! Bytes to frames.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::compression::HeaderInflater;
use crate::error::DecodeError;
use crate::frame::{FLAG_CLEAR_SETTINGS, FLAG_FINISHED, FLAG_UNIDIRECTIONAL, VERSION, kind};
use crate::{Frame, GoAwayStatus, Headers, ResetStatus, Setting, StreamId};

const HEAD_BYTES: usize = 8;

/// What a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a control frame.
    pub control_bytes_max: usize,
    /// Bytes of a header block after decompression.
    pub header_bytes_max: usize,
    /// Streams that are open at once.
    pub streams_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { control_bytes_max: 16 * 1024, header_bytes_max: 16 * 1024, streams_max: 256 }
    }
}

/// Reads the frames of one direction of a session.
///
/// It holds at most one control frame beside what was pushed and not read yet; content is given on as it comes, however
/// long its frame is. After an error nothing more is read.
pub struct Decoder {
    limits: Limits,
    buffer: BytesMut,
    headers: HeaderInflater,
    /// A data frame of which not all has come.
    content: Option<Content>,
    has_failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Content {
    stream: StreamId,
    finished: bool,
    rest: usize,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decoder").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Begins a session.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), headers: HeaderInflater::new(), content: None, has_failed: false }
    }

    /// Adds bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.has_failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Returns the next frame, or `None` until more bytes have come. Frames of unknown kinds are skipped (§2.2.1).
    ///
    /// # Errors
    /// When the bytes are not SPDY, or beyond a limit; the session has to end.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if self.has_failed {
            return Err(DecodeError::Ended);
        }
        let result = self.decode();
        if result.is_err() {
            self.has_failed = true;
            self.buffer.clear();
        }
        result
    }

    fn decode(&mut self) -> Result<Option<Frame>, DecodeError> {
        loop {
            if let Some(content) = self.content {
                return Ok(self.piece(content));
            }
            let Some((head, _)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
            let [a, b, c, d, flags, e, f, g] = *head;
            let length = usize::try_from(u32::from_be_bytes([0, e, f, g])).unwrap_or(usize::MAX);
            if a & 0x80 == 0 {
                let stream = StreamId::new(u32::from_be_bytes([a, b, c, d]));
                if stream.number() == 0 {
                    return Err(DecodeError::StreamZero { kind: "data" });
                }
                self.buffer.advance(HEAD_BYTES);
                self.content = Some(Content { stream, finished: flags & FLAG_FINISHED != 0, rest: length });
                if length > 0 {
                    continue;
                }
                self.content = None;
                return Ok(Some(Frame::Data { stream, finished: flags & FLAG_FINISHED != 0, data: Bytes::new() }));
            }
            let version = u16::from_be_bytes([a & 0x7f, b]);
            if version != VERSION {
                return Err(DecodeError::Version { version });
            }
            let limit = self.limits.control_bytes_max;
            if length > limit {
                return Err(DecodeError::FrameTooLong { length, limit });
            }
            if self.buffer.len() < HEAD_BYTES + length {
                return Ok(None);
            }
            self.buffer.advance(HEAD_BYTES);
            let body = self.buffer.split_to(length);
            if let Some(frame) = self.control(u16::from_be_bytes([c, d]), flags, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    /// Returns what has come of a data frame.
    fn piece(&mut self, content: Content) -> Option<Frame> {
        if self.buffer.is_empty() {
            return None;
        }
        let data = self.buffer.split_to(self.buffer.len().min(content.rest)).freeze();
        let rest = content.rest - data.len();
        self.content = (rest > 0).then_some(Content { rest, ..content });
        Some(Frame::Data { stream: content.stream, finished: content.finished && rest == 0, data })
    }

    fn control(&mut self, number: u16, flags: u8, body: &[u8]) -> Result<Option<Frame>, DecodeError> {
        let finished = flags & FLAG_FINISHED != 0;
        let frame = match number {
            kind::SYN_STREAM => {
                let (stream, rest) = stream("SYN_STREAM", body)?;
                let length = DecodeError::Length { kind: "SYN_STREAM", length: body.len() };
                let (&[a, b, c, d, priority, _], block) = rest.split_first_chunk::<6>().ok_or(length)?;
                Frame::SynStream {
                    stream,
                    associated: StreamId::new(u32::from_be_bytes([a, b, c, d])),
                    priority: priority >> 5,
                    finished,
                    unidirectional: flags & FLAG_UNIDIRECTIONAL != 0,
                    headers: self.block(block)?,
                }
            }
            kind::SYN_REPLY => {
                let (stream, block) = stream("SYN_REPLY", body)?;
                Frame::SynReply { stream, finished, headers: self.block(block)? }
            }
            kind::HEADERS => {
                let (stream, block) = stream("HEADERS", body)?;
                Frame::Headers { stream, finished, headers: self.block(block)? }
            }
            kind::RST_STREAM => {
                let (stream, rest) = stream("RST_STREAM", body)?;
                Frame::RstStream { stream, status: ResetStatus::from_number(word("RST_STREAM", rest)?) }
            }
            kind::SETTINGS => {
                Frame::Settings { clear: flags & FLAG_CLEAR_SETTINGS != 0, settings: read_settings(body)? }
            }
            kind::PING => Frame::Ping { id: word("PING", body)? },
            kind::GOAWAY => {
                let (last, rest) = split_word("GOAWAY", body)?;
                let status = GoAwayStatus::from_number(word("GOAWAY", rest)?);
                Frame::GoAway { last: StreamId::new(last), status }
            }
            kind::WINDOW_UPDATE => {
                let (stream, rest) = split_word("WINDOW_UPDATE", body)?;
                let delta = word("WINDOW_UPDATE", rest)? & 0x7fff_ffff;
                Frame::WindowUpdate { stream: StreamId::new(stream), delta }
            }
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    fn block(&mut self, block: &[u8]) -> Result<Headers, DecodeError> {
        Headers::read(&self.headers.inflate(block, self.limits.header_bytes_max)?)
    }
}

fn split_word<'a>(kind: &'static str, body: &'a [u8]) -> Result<(u32, &'a [u8]), DecodeError> {
    let error = DecodeError::Length { kind, length: body.len() };
    let (word, rest) = body.split_first_chunk().ok_or(error)?;
    Ok((u32::from_be_bytes(*word), rest))
}

/// Reads the last word of a frame.
fn word(kind: &'static str, rest: &[u8]) -> Result<u32, DecodeError> {
    match split_word(kind, rest)? {
        (word, []) => Ok(word),
        _ => Err(DecodeError::Length { kind, length: rest.len() }),
    }
}

fn stream<'a>(kind: &'static str, body: &'a [u8]) -> Result<(StreamId, &'a [u8]), DecodeError> {
    let (number, rest) = split_word(kind, body)?;
    let stream = StreamId::new(number);
    if stream.number() == 0 {
        return Err(DecodeError::StreamZero { kind });
    }
    Ok((stream, rest))
}

fn read_settings(body: &[u8]) -> Result<Vec<Setting>, DecodeError> {
    let (count, rest) = split_word("SETTINGS", body)?;
    let (entries, left) = rest.as_chunks::<8>();
    if !left.is_empty() || u32::try_from(entries.len()) != Ok(count) {
        return Err(DecodeError::Length { kind: "SETTINGS", length: body.len() });
    }
    Ok(entries
        .iter()
        .map(|&[flags, a, b, c, d, e, f, g]| Setting {
            flags,
            id: u32::from_be_bytes([0, a, b, c]),
            value: u32::from_be_bytes([d, e, f, g]),
        })
        .collect())
}
