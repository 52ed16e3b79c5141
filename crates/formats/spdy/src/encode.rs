//! Frames to bytes.

use crate::compression::HeaderDeflater;
use crate::error::EncodeError;
use crate::frame::{FLAG_CLEAR_SETTINGS, FLAG_FINISHED, FLAG_UNIDIRECTIONAL, VERSION, kind};
use crate::{Frame, Headers, StreamId};

const LENGTH_MAX: usize = 0x00ff_ffff;

/// Writes the frames of one direction of a session. Header blocks depend on those before them: frames are to be sent in the
/// order in which they were written.
pub struct Encoder {
    headers: HeaderDeflater,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Encoder")
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Begins a session.
    #[must_use]
    pub fn new() -> Self {
        Self { headers: HeaderDeflater::new() }
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// When it is longer than a frame can be.
    pub fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match frame {
            Frame::SynStream { stream, associated, priority, finished, unidirectional, headers } => {
                let mut body = id(*stream);
                body.extend(id(*associated));
                // The second byte was a slot for a client certificate, which 3.1 does not have any more.
                body.extend([(priority & 7) << 5, 0]);
                self.block(headers, &mut body)?;
                let flags = flag(*finished, FLAG_FINISHED) | flag(*unidirectional, FLAG_UNIDIRECTIONAL);
                control(kind::SYN_STREAM, flags, &body, out)
            }
            Frame::SynReply { stream, finished, headers } => {
                let mut body = id(*stream);
                self.block(headers, &mut body)?;
                control(kind::SYN_REPLY, flag(*finished, FLAG_FINISHED), &body, out)
            }
            Frame::Headers { stream, finished, headers } => {
                let mut body = id(*stream);
                self.block(headers, &mut body)?;
                control(kind::HEADERS, flag(*finished, FLAG_FINISHED), &body, out)
            }
            Frame::RstStream { stream, status } => {
                let mut body = id(*stream);
                body.extend(status.number().to_be_bytes());
                control(kind::RST_STREAM, 0, &body, out)
            }
            Frame::Settings { clear, settings } => {
                let mut body = u32::try_from(settings.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
                for setting in settings {
                    let head = u32::from(setting.flags) << 24 | (setting.id & 0x00ff_ffff);
                    body.extend(head.to_be_bytes());
                    body.extend(setting.value.to_be_bytes());
                }
                control(kind::SETTINGS, flag(*clear, FLAG_CLEAR_SETTINGS), &body, out)
            }
            Frame::Ping { id } => control(kind::PING, 0, &id.to_be_bytes(), out),
            Frame::GoAway { last, status } => {
                let mut body = id(*last);
                body.extend(status.number().to_be_bytes());
                control(kind::GOAWAY, 0, &body, out)
            }
            Frame::WindowUpdate { stream, delta } => {
                let mut body = id(*stream);
                body.extend((delta & 0x7fff_ffff).to_be_bytes());
                control(kind::WINDOW_UPDATE, 0, &body, out)
            }
            Frame::Data { stream, finished, data } => {
                out.reserve(8 + data.len());
                let length = length(flag(*finished, FLAG_FINISHED), data.len())?;
                out.extend(id(*stream));
                out.extend(length);
                out.extend_from_slice(data);
                Ok(())
            }
        }
    }

    fn block(&mut self, headers: &Headers, body: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.headers.deflate(&headers.write(), body)
    }
}

fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

fn id(stream: StreamId) -> Vec<u8> {
    stream.number().to_be_bytes().to_vec()
}

/// Returns the second word of a frame: flags and length.
fn length(flags: u8, bytes: usize) -> Result<[u8; 4], EncodeError> {
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= LENGTH_MAX);
    let length = length.ok_or(EncodeError::TooLong { length: bytes })?;
    Ok((u32::from(flags) << 24 | length).to_be_bytes())
}

fn control(kind: u16, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = length(flags, body.len())?;
    out.extend((0x8000 | VERSION).to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(length);
    out.extend(body);
    Ok(())
}
