//! Which streams are open: the server's view of a session (SPDY/3 §2.3).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Frame, GoAwayStatus, Headers, Limits, ResetStatus, StreamId};

/// What a frame of the client means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// The client opened a stream. It is open once a `SYN_REPLY` was sent.
    Opened {
        /// The stream.
        stream: StreamId,
        /// Its headers.
        headers: Headers,
        /// The client sends nothing on it.
        finished: bool,
    },
    /// Content of an open stream.
    Data {
        /// The stream.
        stream: StreamId,
        /// The content.
        data: Bytes,
        /// The client sends nothing more on it.
        finished: bool,
    },
    /// The client wants no more of an open stream.
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        status: ResetStatus,
    },
    /// This has to be sent back.
    Answer(Frame),
    /// The client opens no more streams.
    GoingAway,
    /// Nothing has to be done.
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Open {
    client_finished: bool,
    server_finished: bool,
}

/// The server's view of a session: what is open, what may come. It sends no streams of its own.
#[derive(Debug)]
pub struct Session {
    streams_max: usize,
    last: StreamId,
    open: BTreeMap<StreamId, Open>,
}

impl Session {
    /// Begins a session.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { streams_max: limits.streams_max, last: StreamId::new(0), open: BTreeMap::new() }
    }

    /// Takes a frame of the client.
    pub fn receive(&mut self, frame: Frame) -> Received {
        match frame {
            Frame::SynStream { stream, finished, unidirectional, headers, .. } => {
                self.opened(stream, Open { client_finished: finished, server_finished: unidirectional }, headers)
            }
            Frame::Data { stream, finished, data } => self.data(stream, data, finished),
            Frame::Headers { stream, finished, .. } => {
                if finished {
                    return self.data(stream, Bytes::new(), true);
                }
                Received::Nothing
            }
            Frame::RstStream { stream, status } => match self.open.remove(&stream) {
                Some(_) => Received::Reset { stream, status },
                None => Received::Nothing,
            },
            // Even numbers answer our own pings, of which there are none.
            Frame::Ping { id } if id % 2 == 1 => Received::Answer(Frame::Ping { id }),
            Frame::GoAway { .. } => Received::GoingAway,
            // We open no streams, so nothing is accepted by the client.
            Frame::SynReply { stream, .. } => reset(stream, ResetStatus::InvalidStream),
            Frame::Ping { .. } | Frame::Settings { .. } | Frame::WindowUpdate { .. } => Received::Nothing,
        }
    }

    /// Notes that a frame is sent.
    pub fn sent(&mut self, frame: &Frame) {
        match frame {
            Frame::RstStream { stream, .. } => {
                self.open.remove(stream);
            }
            Frame::Data { stream, finished: true, .. }
            | Frame::SynReply { stream, finished: true, .. }
            | Frame::Headers { stream, finished: true, .. } => self.finish(*stream, |open| open.server_finished = true),
            _ => {}
        }
    }

    /// Returns the frame that ends the session.
    #[must_use]
    pub fn go_away(&self, status: GoAwayStatus) -> Frame {
        Frame::GoAway { last: self.last, status }
    }

    /// Tells whether a stream is open in at least one direction.
    #[must_use]
    pub fn is_open(&self, stream: StreamId) -> bool {
        self.open.contains_key(&stream)
    }

    /// Returns how many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.open.len()
    }

    fn opened(&mut self, stream: StreamId, open: Open, headers: Headers) -> Received {
        // §2.3.2: odd for the client, and always rising.
        if stream.number().is_multiple_of(2) || stream <= self.last {
            return reset(stream, ResetStatus::ProtocolError);
        }
        self.last = stream;
        if self.open.len() >= self.streams_max {
            return reset(stream, ResetStatus::RefusedStream);
        }
        self.open.insert(stream, open);
        self.finish(stream, |_| {});
        Received::Opened { stream, headers, finished: open.client_finished }
    }

    fn data(&mut self, stream: StreamId, data: Bytes, finished: bool) -> Received {
        match self.open.get(&stream) {
            Some(open) if open.client_finished => {
                self.open.remove(&stream);
                reset(stream, ResetStatus::StreamAlreadyClosed)
            }
            Some(_) => {
                if finished {
                    self.finish(stream, |open| open.client_finished = true);
                }
                Received::Data { stream, data, finished }
            }
            // It was closed or reset, and this was on its way already.
            None if stream <= self.last => Received::Nothing,
            None => reset(stream, ResetStatus::InvalidStream),
        }
    }

    fn finish(&mut self, stream: StreamId, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.get_mut(&stream) {
            change(open);
            if open.client_finished && open.server_finished {
                self.open.remove(&stream);
            }
        }
    }
}

fn reset(stream: StreamId, status: ResetStatus) -> Received {
    Received::Answer(Frame::RstStream { stream, status })
}
