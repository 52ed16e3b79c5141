//! Remote write 1.0 and 2.0: requests walked in place, and written.
//!
//! Nothing is copied or allocated for a series whose labels the receiver knows already: [`Series::key`] is the same bytes for
//! the same labels in every request of both versions, so it can be looked up in a table of the connection.
//! Source: Prometheus remote write 1.0 and 2.0 specifications.

mod encode;
mod labels;

use std::borrow::Cow;

pub use encode::{RequestWriter, SeriesParts};
pub use labels::{LabelError, RawLabels};

use crate::native::RawHistogram;
use crate::wire::{Field, Reader, WireError, push_numbers};
use crate::{Exemplar, Histogram, HistogramError, Metadata, MetricType};

/// The version of a request's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// The media type of both versions.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

impl Version {
    /// Returns the version that a `Content-Type` header names; without a `proto` parameter it is the first.
    #[must_use]
    pub fn of_content_type(header: &str) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(CONTENT_TYPE) {
            return None;
        }
        let proto = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"'))
        });
        match proto {
            None | Some("prometheus.WriteRequest") => Some(Self::V1),
            Some("io.prometheus.write.v2.Request") => Some(Self::V2),
            Some(_) => None,
        }
    }

    /// Returns the `Content-Type` that a sender writes.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V1 => CONTENT_TYPE,
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }
}

/// One request, unpacked but not copied.
#[derive(Debug)]
pub struct Request<'a> {
    version: Version,
    body: &'a [u8],
    /// Version 2 only: the texts that its series name by their place.
    symbols: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Looks at the outermost fields of `body`, which snappy has unpacked.
    ///
    /// # Errors
    /// When they are no protobuf message.
    pub fn new(version: Version, body: &'a [u8]) -> Result<Self, WireError> {
        let mut symbols = Vec::new();
        if version == Version::V2 {
            let mut reader = Reader::new(body);
            while let Some((number, field)) = reader.field()? {
                if number == 4 {
                    symbols.push(field.bytes("Request", 4)?);
                }
            }
        }
        Ok(Self { version, body, symbols })
    }

    /// Returns the version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Goes over the series and metadata in the order of the request. After an error the request must be refused as a whole:
    /// nothing of it may be kept.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, WireError>> {
        let mut reader = Reader::new(self.body);
        let mut has_failed = false;
        std::iter::from_fn(move || {
            if has_failed {
                return None;
            }
            let next = self.next_entry(&mut reader);
            has_failed = next.is_err();
            next.transpose()
        })
    }

    #[inline]
    fn next_entry<'r>(&'r self, reader: &mut Reader<'r>) -> Result<Option<Entry<'r>>, WireError> {
        while let Some((number, field)) = reader.field()? {
            match (self.version, number) {
                (Version::V1, 1) => {
                    return Ok(Some(Entry::Series(Series::of_v1(field.bytes("WriteRequest", 1)?)?)));
                }
                (Version::V1, 3) => {
                    let (family, metadata) = decode_metadata(field.bytes("WriteRequest", 3)?)?;
                    return Ok(Some(Entry::Metadata { family, metadata }));
                }
                (Version::V2, 5) => {
                    let message = field.bytes("Request", 5)?;
                    return Ok(Some(Entry::Series(Series::of_v2(message, &self.symbols)?)));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// One part of a request.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A series with what came for it.
    Series(Series<'a>),
    /// What version 1 says about a whole metric; version 2 says it with each series.
    Metadata {
        /// The metric's name without suffixes such as `_bucket`.
        family: String,
        /// What is said.
        metadata: Metadata,
    },
}

/// One float sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value; [`crate::is_stale_marker`] tells the end of a series.
    pub value: f64,
    /// When the counter started; 0 when nobody said.
    pub start_timestamp_ms: i64,
}

/// One native histogram sample.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// When the counter started; 0 when nobody said.
    pub start_timestamp_ms: i64,
    /// The sample, or why it contradicts itself: that sample alone is to be refused.
    pub histogram: Result<Histogram, HistogramError>,
}

/// How many items a series brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Float samples.
    pub samples: usize,
    /// Native histogram samples.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// One series of a request.
#[derive(Debug)]
pub struct Series<'a> {
    labels: RawLabels<'a>,
    /// The message, for version 1 from the first field that is no label.
    message: &'a [u8],
    /// Field numbers: version 2 has histograms and exemplars the other way round.
    version: Version,
    counts: Counts,
}

impl<'a> Series<'a> {
    #[inline]
    fn of_v1(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut labels_end = 0;
        while reader.rest().first() == Some(&LABEL_TAG) {
            reader.field()?;
            labels_end = message.len() - reader.rest().len();
        }
        let (labels, rest) = message.split_at(labels_end);
        let (mut labels, mut counts) = (Cow::Borrowed(labels), Counts::default());
        let mut reader = Reader::new(rest);
        while let Some((number, field)) = reader.field()? {
            match number {
                // Labels that stand apart are gathered, so that the same set gives the same key.
                1 => {
                    let label = field.bytes("TimeSeries", 1)?;
                    let mut writer = crate::wire::Writer { bytes: labels.into_owned() };
                    writer.blob(1, label);
                    labels = Cow::Owned(writer.bytes);
                }
                2 => counts.samples += 1,
                3 => counts.exemplars += 1,
                4 => counts.histograms += 1,
                _ => {}
            }
        }
        Ok(Self { labels: RawLabels::Wire(labels), message: rest, version: Version::V1, counts })
    }

    fn of_v2(message: &'a [u8], symbols: &'a [&'a [u8]]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let (mut refs, mut counts) = (Cow::Borrowed(&[][..]), Counts::default());
        while let Some((number, field)) = reader.field()? {
            match (number, field) {
                (1, Field::Bytes(packed)) if refs.is_empty() => refs = Cow::Borrowed(packed),
                (1, field) => {
                    let mut writer = crate::wire::Writer { bytes: refs.into_owned() };
                    push_numbers(field, "TimeSeries", 1, |reference| writer.varint(reference))?;
                    refs = Cow::Owned(writer.bytes);
                }
                (2, _) => counts.samples += 1,
                (3, _) => counts.histograms += 1,
                (4, _) => counts.exemplars += 1,
                _ => {}
            }
        }
        Ok(Self { labels: RawLabels::Symbols { refs, symbols }, message, version: Version::V2, counts })
    }

    /// Returns the labels as they came.
    #[must_use]
    pub fn labels(&self) -> &RawLabels<'a> {
        &self.labels
    }

    /// Returns bytes that only this set of labels in this order has, in both versions: a key for a table of known series.
    /// `scratch` is memory to be used again.
    ///
    /// # Errors
    /// When a label of version 2 names a symbol that is not there.
    #[inline]
    pub fn key<'s>(&'s self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], LabelError> {
        self.labels.key(scratch)
    }

    /// Returns how much the series brings.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Goes over the float samples.
    #[inline]
    pub fn samples(&self) -> impl Iterator<Item = Result<Sample, WireError>> {
        self.fields(2, self.counts.samples).map(|message| decode_sample(message?))
    }

    /// Goes over the native histogram samples.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramSample, WireError>> {
        let field = if self.version == Version::V1 { 4 } else { 3 };
        self.fields(field, self.counts.histograms).map(|message| {
            let raw = RawHistogram::decode(message?)?;
            Ok(HistogramSample {
                timestamp_ms: raw.timestamp_ms,
                start_timestamp_ms: raw.start_timestamp_ms,
                histogram: raw.into_histogram(),
            })
        })
    }

    /// Goes over the exemplars; one whose labels cannot be read is an error of its own.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<Result<Exemplar, LabelError>, WireError>> {
        let field = if self.version == Version::V1 { 3 } else { 4 };
        self.fields(field, self.counts.exemplars).map(|message| self.decode_exemplar(message?))
    }

    /// Returns what version 2 says about the series' metric; `None` when it says nothing.
    ///
    /// # Errors
    /// The outer one when the message is malformed, the inner when a symbol is not there.
    pub fn metadata(&self) -> Result<Result<Option<Metadata>, LabelError>, WireError> {
        let RawLabels::Symbols { symbols, .. } = &self.labels else { return Ok(Ok(None)) };
        let Some(message) = self.fields(5, 1).next().transpose()? else { return Ok(Ok(None)) };
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => kind = field.number("Metadata", 1)?,
                3 => help = field.number("Metadata", 3)?,
                4 => unit = field.number("Metadata", 4)?,
                _ => {}
            }
        }
        let texts = (labels::symbol(symbols, help), labels::symbol(symbols, unit));
        Ok(match texts {
            (Ok(help), Ok(unit)) => {
                let metadata =
                    Metadata { metric_type: metric_type(kind), unit: unit.to_owned(), help: help.to_owned() };
                Ok((metadata != Metadata::default()).then_some(metadata))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        })
    }

    /// Goes over `left` contents of the field `wanted`.
    #[inline]
    fn fields(&self, wanted: u32, mut left: usize) -> impl Iterator<Item = Result<&'a [u8], WireError>> {
        let mut reader = Reader::new(self.message);
        std::iter::from_fn(move || {
            while left > 0 {
                match reader.field() {
                    Ok(Some((number, field))) if number == wanted => {
                        left -= 1;
                        return Some(field.bytes("TimeSeries", wanted));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => {
                        left = 0;
                        return Some(Err(error));
                    }
                }
            }
            None
        })
    }

    fn decode_exemplar(&self, message: &'a [u8]) -> Result<Result<Exemplar, LabelError>, WireError> {
        let (mut value, mut timestamp_ms) = (0.0, 0);
        let mut writer = crate::wire::Writer::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.field()? {
            match (number, &self.labels) {
                (1, RawLabels::Wire(_)) => writer.blob(1, field.bytes("Exemplar", 1)?),
                (1, RawLabels::Symbols { .. }) => {
                    push_numbers(field, "Exemplar", 1, |reference| writer.varint(reference))?;
                }
                (2, _) => value = field.double("Exemplar", 2)?,
                (3, _) => timestamp_ms = field.signed("Exemplar", 3)?,
                _ => {}
            }
        }
        let labels = match &self.labels {
            RawLabels::Wire(_) => RawLabels::Wire(Cow::Owned(writer.bytes)),
            RawLabels::Symbols { symbols, .. } => RawLabels::Symbols { refs: Cow::Owned(writer.bytes), symbols },
        };
        Ok(labels.to_exemplar_labels().map(|labels| Exemplar { labels, value, timestamp_ms }))
    }
}

/// Field 1 with a length.
const LABEL_TAG: u8 = 0x0a;

#[inline]
fn decode_sample(message: &[u8]) -> Result<Sample, WireError> {
    let mut sample = Sample { timestamp_ms: 0, value: 0.0, start_timestamp_ms: 0 };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => sample.value = field.double("Sample", 1)?,
            2 => sample.timestamp_ms = field.signed("Sample", 2)?,
            3 => sample.start_timestamp_ms = field.signed("Sample", 3)?,
            _ => {}
        }
    }
    Ok(sample)
}

fn decode_metadata(message: &[u8]) -> Result<(String, Metadata), WireError> {
    const MESSAGE: &str = "MetricMetadata";
    let (mut family, mut metadata) = (String::new(), Metadata::default());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => metadata.metric_type = metric_type(field.number(MESSAGE, 1)?),
            2 => family = field.text(MESSAGE, 2)?.to_owned(),
            4 => metadata.help = field.text(MESSAGE, 4)?.to_owned(),
            5 => metadata.unit = field.text(MESSAGE, 5)?.to_owned(),
            _ => {}
        }
    }
    Ok((family, metadata))
}

/// The numbers of metric types, the same in both versions.
const METRIC_TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn metric_type(number: u64) -> MetricType {
    usize::try_from(number).ok().and_then(|number| METRIC_TYPES.get(number).copied()).unwrap_or_default()
}

fn metric_type_number(metric_type: MetricType) -> u64 {
    METRIC_TYPES.iter().position(|own| *own == metric_type).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests;
