//! Writes requests: for senders, and to prove that they are read as they were meant.

use std::collections::HashMap;

use super::{Sample, Version, labels, metric_type_number};
use crate::wire::Writer;
use crate::{Exemplar, Histogram, Labels, Metadata, native};

/// What a request brings for one series.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesParts<'a> {
    /// Float samples in the order of time.
    pub samples: &'a [Sample],
    /// Native histograms: timestamp, start timestamp (0 for none), sample.
    pub histograms: &'a [(i64, i64, &'a Histogram)],
    /// Exemplars.
    pub exemplars: &'a [Exemplar],
    /// What is said about the metric; version 1 says it apart, by [`RequestWriter::metadata`].
    pub metadata: Option<&'a Metadata>,
}

/// Writes one request.
#[derive(Debug)]
pub struct RequestWriter {
    version: Version,
    writer: Writer,
    /// Version 2: the place of each text.
    places: HashMap<String, u64>,
    /// Version 2: the texts in the order of their places.
    symbols: Vec<String>,
}

impl RequestWriter {
    /// Starts a request.
    #[must_use]
    pub fn new(version: Version) -> Self {
        let (places, symbols) = (HashMap::from([(String::new(), 0)]), vec![String::new()]);
        Self { version, writer: Writer::default(), places, symbols }
    }

    /// Adds one series.
    pub fn series(&mut self, series: &Labels, parts: &SeriesParts<'_>) {
        match self.version {
            Version::V1 => self.series_v1(series, parts),
            Version::V2 => self.series_v2(series, parts),
        }
    }

    /// Adds what version 1 says about a metric; version 2 ignores it here.
    pub fn metadata(&mut self, family: &str, metadata: &Metadata) {
        if self.version == Version::V1 {
            self.writer.message(3, |writer| {
                writer.number(1, metric_type_number(metadata.metric_type));
                writer.text(2, family);
                writer.text(4, &metadata.help);
                writer.text(5, &metadata.unit);
            });
        }
    }

    /// Returns the finished message, which snappy has to pack.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.version {
            Version::V1 => self.writer.bytes,
            Version::V2 => {
                let mut head = Writer::default();
                self.symbols.iter().for_each(|symbol| head.blob(4, symbol.as_bytes()));
                head.bytes.extend_from_slice(&self.writer.bytes);
                head.bytes
            }
        }
    }

    fn series_v1(&mut self, series: &Labels, parts: &SeriesParts<'_>) {
        self.writer.message(1, |writer| {
            series.iter().for_each(|(name, value)| labels::write_label(name.as_bytes(), value.as_bytes(), writer));
            for sample in parts.samples {
                // Version 1 has no start timestamps.
                write_sample(&Sample { start_timestamp_ms: 0, ..*sample }, writer);
            }
            for exemplar in parts.exemplars {
                writer.message(3, |inner| {
                    for (name, value) in exemplar.labels.iter() {
                        labels::write_label(name.as_bytes(), value.as_bytes(), inner);
                    }
                    inner.double(2, exemplar.value);
                    inner.signed(3, exemplar.timestamp_ms);
                });
            }
            for (timestamp, _, histogram) in parts.histograms {
                writer.message(4, |inner| native::encode(histogram, *timestamp, 0, inner));
            }
        });
    }

    fn series_v2(&mut self, series: &Labels, parts: &SeriesParts<'_>) {
        let series_refs = self.refs(series);
        let exemplars: Vec<_> =
            parts.exemplars.iter().map(|exemplar| (self.refs(&exemplar.labels), exemplar)).collect();
        let said = parts.metadata.map(|metadata| {
            (metric_type_number(metadata.metric_type), self.place(&metadata.help), self.place(&metadata.unit))
        });
        self.writer.message(5, |writer| {
            writer.packed_numbers(1, series_refs);
            parts.samples.iter().for_each(|sample| write_sample(sample, writer));
            for (timestamp, start, histogram) in parts.histograms {
                writer.message(3, |inner| native::encode(histogram, *timestamp, *start, inner));
            }
            for (refs, exemplar) in exemplars {
                writer.message(4, |inner| {
                    inner.packed_numbers(1, refs);
                    inner.double(2, exemplar.value);
                    inner.signed(3, exemplar.timestamp_ms);
                });
            }
            if let Some((kind, help, unit)) = said {
                writer.message(5, |inner| {
                    inner.number(1, kind);
                    inner.number(3, help);
                    inner.number(4, unit);
                });
            }
        });
    }

    fn refs(&mut self, labels: &Labels) -> Vec<u64> {
        labels.iter().flat_map(|(name, value)| [name, value]).map(|text| self.place(text)).collect()
    }

    fn place(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.symbols.len() as u64;
        self.symbols.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

fn write_sample(sample: &Sample, writer: &mut Writer) {
    writer.message(2, |inner| {
        inner.double(1, sample.value);
        inner.signed(2, sample.timestamp_ms);
        inner.signed(3, sample.start_timestamp_ms);
    });
}
