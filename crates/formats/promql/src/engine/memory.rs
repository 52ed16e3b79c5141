//! Series in memory, for tests and for small sets.

use std::collections::BTreeMap;

use maru_prom::Labels;

use super::answer::SampleValue;
use crate::source::{Samples, Selection, Series, Source, SourceError};

/// A source that holds its series in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Samples>,
}

impl MemorySource {
    /// Adds a sample. Samples of one series are added in the order of time; one with a moment that is already there
    /// replaces it. `start_ms` is when the counter started; 0: nobody knows.
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: SampleValue, start_ms: i64) {
        let samples = self.series.entry(labels.clone()).or_default();
        match value {
            SampleValue::Float(value) => {
                if samples.timestamps.last() == Some(&timestamp_ms) {
                    samples.timestamps.pop();
                    samples.values.pop();
                    samples.start_timestamps.truncate(samples.timestamps.len());
                }
                samples.timestamps.push(timestamp_ms);
                samples.values.push(value);
                push_start(&mut samples.start_timestamps, samples.timestamps.len(), start_ms);
            }
            SampleValue::Histogram(histogram) => {
                if samples.histograms.last().is_some_and(|(last, _)| *last == timestamp_ms) {
                    samples.histograms.pop();
                    samples.histogram_starts.truncate(samples.histograms.len());
                }
                samples.histograms.push((timestamp_ms, histogram));
                push_start(&mut samples.histogram_starts, samples.histograms.len(), start_ms);
            }
        }
    }

    /// Adds a series with all its samples; one with the same labels is replaced.
    pub fn insert(&mut self, labels: Labels, samples: Samples) {
        self.series.insert(labels, samples);
    }

    /// Returns how many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.series.clear();
    }
}

/// Start timestamps are kept only from the first known one on; those before it are 0.
fn push_start(starts: &mut Vec<i64>, samples: usize, start_ms: i64) {
    if start_ms != 0 || !starts.is_empty() {
        starts.resize(samples - 1, 0);
        starts.push(start_ms);
    }
}

struct MemorySeries<'a> {
    labels: &'a Labels,
    samples: &'a Samples,
    start_ms: i64,
    end_ms: i64,
}

impl Series for MemorySeries<'_> {
    fn labels(&self) -> &Labels {
        self.labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), SourceError> {
        let own = self.samples;
        let first = own.timestamps.partition_point(|at| *at < self.start_ms);
        let end = own.timestamps.partition_point(|at| *at <= self.end_ms).max(first);
        into.timestamps.extend_from_slice(&own.timestamps[first..end]);
        into.values.extend_from_slice(&own.values[first..end]);
        if !own.start_timestamps.is_empty() {
            into.start_timestamps.extend_from_slice(&own.start_timestamps[first..end]);
        }
        let first = own.histograms.partition_point(|(at, _)| *at < self.start_ms);
        let end = own.histograms.partition_point(|(at, _)| *at <= self.end_ms).max(first);
        into.histograms.extend_from_slice(&own.histograms[first..end]);
        if !own.histogram_starts.is_empty() {
            into.histogram_starts.extend_from_slice(&own.histogram_starts[first..end]);
        }
        Ok(())
    }
}

impl Source for MemorySource {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        let fits = |labels: &Labels| {
            let matchers = &mut selection.matchers.iter();
            matchers.all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
        };
        let found = self.series.iter().filter(|(labels, _)| fits(labels));
        Ok(found
            .map(|(labels, samples)| {
                let (start_ms, end_ms) = (selection.range.start_ms, selection.range.end_ms);
                Box::new(MemorySeries { labels, samples, start_ms, end_ms }) as Box<dyn Series + 'a>
            })
            .collect())
    }
}
