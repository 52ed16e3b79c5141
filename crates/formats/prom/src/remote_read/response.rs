//! The answer in one message.

use std::sync::Arc;

use crate::native::{self, RawHistogram};
use crate::remote_read::ReadError;
use crate::wire::{Reader, WireError, Writer};
use crate::{Histogram, Labels};

/// One series of an answer. Timestamps rise strictly.
#[derive(Debug, Clone, Copy)]
pub struct ReadSeries<'a> {
    /// The labels.
    pub labels: &'a Labels,
    /// Timestamps of the floats, in milliseconds since 1970.
    pub timestamps: &'a [i64],
    /// The floats, as many as timestamps.
    pub values: &'a [f64],
    /// Native histograms.
    pub histograms: &'a [(i64, Arc<Histogram>)],
}

/// Writes an answer of all samples.
#[derive(Debug, Default)]
pub struct SamplesResponse {
    finished: Writer,
    query: Writer,
}

/// The series of an answer to one query, read back.
pub type DecodedSeries = (Labels, Vec<(i64, f64)>, Vec<(i64, Histogram)>);

impl SamplesResponse {
    /// Starts an answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a series to the current query's result.
    pub fn series(&mut self, series: &ReadSeries<'_>) {
        self.query.message(1, |writer| {
            write_labels(series.labels, writer);
            for (timestamp, value) in series.timestamps.iter().zip(series.values) {
                writer.message(2, |inner| {
                    inner.double(1, *value);
                    inner.signed(2, *timestamp);
                });
            }
            for (timestamp, histogram) in series.histograms {
                writer.message(4, |inner| native::encode(histogram, *timestamp, 0, inner));
            }
        });
    }

    /// Ends the current query's result; each query of the request needs one, also an empty one.
    pub fn end_query(&mut self) {
        let query = std::mem::take(&mut self.query);
        self.finished.blob(1, &query.bytes);
    }

    /// Returns how many bytes the answer has so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.finished.bytes.len() + self.query.bytes.len()
    }

    /// Returns the message, which snappy has to pack.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finished.bytes
    }

    /// Reads an answer: for each query its series.
    ///
    /// # Errors
    /// When it is malformed. A histogram that contradicts itself is left out.
    pub fn decode(body: &[u8]) -> Result<Vec<Vec<DecodedSeries>>, ReadError> {
        let (mut results, mut reader) = (Vec::new(), Reader::new(body));
        while let Some((number, field)) = reader.field()? {
            if number == 1 {
                let (mut result, mut query) = (Vec::new(), Reader::new(field.bytes("ReadResponse", 1)?));
                while let Some((number, field)) = query.field()? {
                    if number == 1 {
                        result.push(decode_series(field.bytes("QueryResult", 1)?)?);
                    }
                }
                results.push(result);
            }
        }
        Ok(results)
    }
}

fn decode_series(message: &[u8]) -> Result<DecodedSeries, WireError> {
    let (mut pairs, mut floats, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => pairs.push(decode_label(field.bytes("TimeSeries", 1)?)?),
            2 => {
                let (mut value, mut timestamp) = (0.0, 0);
                let mut sample = Reader::new(field.bytes("TimeSeries", 2)?);
                while let Some((number, field)) = sample.field()? {
                    match number {
                        1 => value = field.double("Sample", 1)?,
                        2 => timestamp = field.signed("Sample", 2)?,
                        _ => {}
                    }
                }
                floats.push((timestamp, value));
            }
            4 => {
                let raw = RawHistogram::decode(field.bytes("TimeSeries", 4)?)?;
                let timestamp = raw.timestamp_ms;
                histograms.extend(raw.into_histogram().ok().map(|histogram| (timestamp, histogram)));
            }
            _ => {}
        }
    }
    Ok((Labels::from_pairs(pairs), floats, histograms))
}

pub(super) fn write_labels(labels: &Labels, writer: &mut Writer) {
    for (name, value) in labels.iter() {
        writer.message(1, |inner| {
            inner.blob(1, name.as_bytes());
            inner.blob(2, value.as_bytes());
        });
    }
}

pub(super) fn decode_label(message: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => name = field.text("Label", 1)?,
            2 => value = field.text("Label", 2)?,
            _ => {}
        }
    }
    Ok((name, value))
}
