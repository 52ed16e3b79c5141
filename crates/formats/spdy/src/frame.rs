//! The frames of a session (SPDY/3 §2.2, §2.6).

use bytes::Bytes;

use crate::Headers;

/// A stream's number: 31 bits, odd for streams that the client opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// Makes a number; the highest bit is not part of it.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number & 0x7fff_ffff)
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why a stream is reset (§2.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetStatus {
    /// A stream error without a more specific one.
    ProtocolError,
    /// A frame for a stream that is not open.
    InvalidStream,
    /// The stream was refused before anything was done.
    RefusedStream,
    /// The session's version is not supported.
    UnsupportedVersion,
    /// The creator does not need it any more.
    Cancel,
    /// The peer failed.
    InternalError,
    /// The peer broke the flow control.
    FlowControlError,
    /// A second reply.
    StreamInUse,
    /// A frame for a half-closed stream.
    StreamAlreadyClosed,
    /// Any other number.
    Other(u32),
}

impl ResetStatus {
    const KNOWN: [(u32, Self); 9] = [
        (1, Self::ProtocolError),
        (2, Self::InvalidStream),
        (3, Self::RefusedStream),
        (4, Self::UnsupportedVersion),
        (5, Self::Cancel),
        (6, Self::InternalError),
        (7, Self::FlowControlError),
        (8, Self::StreamInUse),
        (9, Self::StreamAlreadyClosed),
    ];

    /// Returns the status of a number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let found = Self::KNOWN.iter().find(|(known, _)| *known == number);
        found.map_or(Self::Other(number), |(_, status)| *status)
    }

    /// Returns the number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        if let Self::Other(number) = self {
            return number;
        }
        Self::KNOWN.iter().find(|(_, status)| *status == self).map_or(0, |(number, _)| *number)
    }
}

/// Why a session takes no more streams (§2.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoAwayStatus {
    /// It ends as it should.
    Ok,
    /// The peer broke the protocol.
    ProtocolError,
    /// The sender failed.
    InternalError,
    /// Any other number.
    Other(u32),
}

impl GoAwayStatus {
    /// Returns the status of a number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::ProtocolError,
            2 => Self::InternalError,
            other => Self::Other(other),
        }
    }

    /// Returns the number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::ProtocolError => 1,
            Self::InternalError => 2,
            Self::Other(number) => number,
        }
    }
}

/// One setting of a session (§2.6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// 1: the receiver is asked to keep it; 2: it was kept.
    pub flags: u8,
    /// 24 bits.
    pub id: u32,
    /// The value.
    pub value: u32,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// The new stream.
        stream: StreamId,
        /// The stream that it belongs to, 0 for none.
        associated: StreamId,
        /// 0 is the highest, 7 the lowest.
        priority: u8,
        /// The sender sends nothing more on it.
        finished: bool,
        /// The receiver may not send anything on it.
        unidirectional: bool,
        /// Its headers.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// The stream.
        stream: StreamId,
        /// The sender sends nothing more on it.
        finished: bool,
        /// Headers of the answer.
        headers: Headers,
    },
    /// Ends a stream in both directions.
    RstStream {
        /// The stream.
        stream: StreamId,
        /// Why.
        status: ResetStatus,
    },
    /// Settings of the session.
    Settings {
        /// What was kept before is to be forgotten.
        clear: bool,
        /// The settings.
        settings: Vec<Setting>,
    },
    /// Asks for the same frame back; clients use odd numbers.
    Ping {
        /// Its number.
        id: u32,
    },
    /// No new streams are taken.
    GoAway {
        /// The last stream that was taken.
        last: StreamId,
        /// Why.
        status: GoAwayStatus,
    },
    /// More headers of a stream.
    Headers {
        /// The stream.
        stream: StreamId,
        /// The sender sends nothing more on it.
        finished: bool,
        /// The headers.
        headers: Headers,
    },
    /// Room for more data.
    WindowUpdate {
        /// The stream, 0 for the whole session.
        stream: StreamId,
        /// How many bytes.
        delta: u32,
    },
    /// A stream's content. A long frame is read in pieces: `finished` is on the last.
    Data {
        /// The stream.
        stream: StreamId,
        /// The sender sends nothing more on it.
        finished: bool,
        /// The content.
        data: Bytes,
    },
}

pub(crate) const VERSION: u16 = 3;
pub(crate) const FLAG_FINISHED: u8 = 1;
pub(crate) const FLAG_UNIDIRECTIONAL: u8 = 2;
pub(crate) const FLAG_CLEAR_SETTINGS: u8 = 1;

/// The numbers of control frames.
pub(crate) mod kind {
    pub(crate) const SYN_STREAM: u16 = 1;
    pub(crate) const SYN_REPLY: u16 = 2;
    pub(crate) const RST_STREAM: u16 = 3;
    pub(crate) const SETTINGS: u16 = 4;
    pub(crate) const PING: u16 = 6;
    pub(crate) const GOAWAY: u16 = 7;
    pub(crate) const HEADERS: u16 = 8;
    pub(crate) const WINDOW_UPDATE: u16 = 9;
}
