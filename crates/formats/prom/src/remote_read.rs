//! Remote read: the request, and both forms of the answer.
//!
//! Source: Prometheus remote read API; `prometheus.ReadRequest`, `ReadResponse` and `ChunkedReadResponse`.

mod bits;
mod chunks;
mod histogram_chunk;
mod response;
mod xor;

pub use chunks::{ChunkedFrame, FrameError, chunked_series, decode_frames};
pub use response::{DecodedSeries, ReadSeries, SamplesResponse};

use crate::wire::{Reader, WireError, Writer};
use crate::{Matcher, MatcherError, MatcherOperator};

/// How the receiver of an answer wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with all samples, packed by snappy.
    Samples,
    /// A stream of frames with compressed chunks, series by series.
    StreamedXorChunks,
}

impl ResponseType {
    /// Returns the answer's `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Samples => "application/x-protobuf",
            Self::StreamedXorChunks => "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
        }
    }
}

/// A request for the samples of one or more queries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadRequest {
    /// What is asked for; the answer follows this order.
    pub queries: Vec<ReadQuery>,
    /// The wanted forms, the best first, as numbers: unknown ones are newer than this text.
    pub accepted_response_types: Vec<u64>,
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadQuery {
    /// The first moment, in milliseconds since 1970.
    pub start_ms: i64,
    /// The last moment, in milliseconds since 1970.
    pub end_ms: i64,
    /// All must hold.
    pub matchers: Vec<Matcher>,
    /// What the samples are for.
    pub hints: Option<ReadHints>,
}

/// What the samples of a query are for. A server may ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadHints {
    /// The step between evaluations in milliseconds.
    pub step_ms: i64,
    /// The function or aggregation around the selector.
    pub function: String,
    /// The first moment that is looked at.
    pub start_ms: i64,
    /// The last moment that is looked at.
    pub end_ms: i64,
    /// The labels of the aggregation.
    pub grouping: Vec<String>,
    /// Whether `grouping` names the labels that stay.
    pub by: bool,
    /// The length of a range selector in milliseconds.
    pub range_ms: i64,
}

/// A request that cannot be answered.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no such message.
    #[error("the read request is malformed")]
    Wire(#[from] WireError),
    /// A matcher has a pattern that is none.
    #[error("a matcher of the read request is wrong")]
    Matcher(#[from] MatcherError),
    /// A matcher compares in an unknown way.
    #[error("the read request has a matcher of type {0}: use 0 to 3 for =, !=, =~ and !~")]
    Operator(u64),
    /// None of the wanted forms exists here.
    #[error("no form of answer that the request accepts is known here: {0:?}; use 0 (samples) or 1 (streamed chunks)")]
    ResponseType(Vec<u64>),
}

const OPERATORS: [MatcherOperator; 4] =
    [MatcherOperator::Equal, MatcherOperator::NotEqual, MatcherOperator::Matches, MatcherOperator::NotMatches];

impl ReadRequest {
    /// Reads a request that snappy has unpacked.
    ///
    /// # Errors
    /// When it is malformed or a matcher's pattern is no regular expression.
    pub fn decode(body: &[u8]) -> Result<Self, ReadError> {
        let mut request = Self::default();
        let mut reader = Reader::new(body);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => request.queries.push(decode_query(field.bytes("ReadRequest", 1)?)?),
                2 => crate::wire::push_numbers(field, "ReadRequest", 2, |kind| {
                    request.accepted_response_types.push(kind);
                })?,
                _ => {}
            }
        }
        Ok(request)
    }

    /// Returns the form of the answer: the first accepted one that exists; samples when none is named.
    ///
    /// # Errors
    /// When forms are named and none exists here.
    pub fn response_type(&self) -> Result<ResponseType, ReadError> {
        let known = self.accepted_response_types.iter().find_map(|kind| match kind {
            0 => Some(ResponseType::Samples),
            1 => Some(ResponseType::StreamedXorChunks),
            _ => None,
        });
        match known {
            Some(known) => Ok(known),
            None if self.accepted_response_types.is_empty() => Ok(ResponseType::Samples),
            None => Err(ReadError::ResponseType(self.accepted_response_types.clone())),
        }
    }

    /// Writes the request; snappy has to pack it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        for query in &self.queries {
            writer.message(1, |inner| encode_query(query, inner));
        }
        writer.packed_numbers(2, self.accepted_response_types.iter().copied());
        writer.bytes
    }
}

fn decode_query(message: &[u8]) -> Result<ReadQuery, ReadError> {
    const MESSAGE: &str = "Query";
    let mut query = ReadQuery { start_ms: 0, end_ms: 0, matchers: Vec::new(), hints: None };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => query.start_ms = field.signed(MESSAGE, 1)?,
            2 => query.end_ms = field.signed(MESSAGE, 2)?,
            3 => query.matchers.push(decode_matcher(field.bytes(MESSAGE, 3)?)?),
            4 => query.hints = Some(decode_hints(field.bytes(MESSAGE, 4)?)?),
            _ => {}
        }
    }
    Ok(query)
}

fn decode_matcher(message: &[u8]) -> Result<Matcher, ReadError> {
    const MESSAGE: &str = "LabelMatcher";
    let (mut kind, mut name, mut value) = (0, "", "");
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => kind = field.number(MESSAGE, 1)?,
            2 => name = field.text(MESSAGE, 2)?,
            3 => value = field.text(MESSAGE, 3)?,
            _ => {}
        }
    }
    let operator = usize::try_from(kind).ok().and_then(|kind| OPERATORS.get(kind).copied());
    Ok(Matcher::new(name, operator.ok_or(ReadError::Operator(kind))?, value)?)
}

fn decode_hints(message: &[u8]) -> Result<ReadHints, WireError> {
    const MESSAGE: &str = "ReadHints";
    let mut hints = ReadHints::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => hints.step_ms = field.signed(MESSAGE, 1)?,
            2 => hints.function = field.text(MESSAGE, 2)?.to_owned(),
            3 => hints.start_ms = field.signed(MESSAGE, 3)?,
            4 => hints.end_ms = field.signed(MESSAGE, 4)?,
            5 => hints.grouping.push(field.text(MESSAGE, 5)?.to_owned()),
            6 => hints.by = field.number(MESSAGE, 6)? != 0,
            7 => hints.range_ms = field.signed(MESSAGE, 7)?,
            _ => {}
        }
    }
    Ok(hints)
}

fn encode_query(query: &ReadQuery, writer: &mut Writer) {
    writer.signed(1, query.start_ms);
    writer.signed(2, query.end_ms);
    for matcher in &query.matchers {
        writer.message(3, |inner| {
            let kind = OPERATORS.iter().position(|operator| *operator == matcher.operator()).unwrap_or_default();
            inner.number(1, kind as u64);
            inner.text(2, matcher.name());
            inner.text(3, matcher.value());
        });
    }
    if let Some(hints) = &query.hints {
        writer.message(4, |inner| {
            inner.signed(1, hints.step_ms);
            inner.text(2, &hints.function);
            inner.signed(3, hints.start_ms);
            inner.signed(4, hints.end_ms);
            hints.grouping.iter().for_each(|label| inner.blob(5, label.as_bytes()));
            inner.number(6, hints.by.into());
            inner.signed(7, hints.range_ms);
        });
    }
}

#[cfg(test)]
mod tests;
