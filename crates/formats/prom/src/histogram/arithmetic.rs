//! Sums, differences and multiples of histograms; coarser and tighter layouts.

use super::buckets::{Buckets, Layout, index_in};
use super::{Histogram, HistogramSum, ResetHint};

/// Why histograms cannot be combined or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramLayoutError {
    /// One has exponential, the other custom buckets.
    #[error("exponential and custom buckets cannot be mixed")]
    MixedSchemas,
    /// Buckets can only be joined, and only exponential ones.
    #[error("buckets of schema {from} cannot be turned into buckets of schema {to}")]
    Resolution {
        /// What it has.
        from: i32,
        /// What was asked for.
        to: i32,
    },
}

/// What came up while two histograms were combined; the result holds nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combined {
    /// One says that its counter started again, the other that it did not.
    pub reset_hints_collide: bool,
    /// Their custom bounds differ, so only those that both have were kept.
    pub bounds_reconciled: bool,
}

impl Histogram {
    /// Adds another histogram. Empty buckets stay; see [`Self::compact`].
    ///
    /// The coarser schema and the wider zero bucket win; of custom bounds those stay that both have.
    ///
    /// # Errors
    /// When one has custom and the other exponential buckets; nothing is changed then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, HistogramLayoutError> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram, otherwise like [`Self::add`]. Counts may become negative.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn subtract(&mut self, other: &Self) -> Result<Combined, HistogramLayoutError> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, HistogramLayoutError> {
        let same_layout = self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.reset_hint == other.reset_hint
            && self.custom_values == other.custom_values
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans;
        if !same_layout {
            let mut sum = HistogramSum::plain(self);
            let loose = sum.combine(other, sign)?;
            *self = sum.total(1.0);
            return Ok(loose);
        }
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        let positive = self.positive_buckets.iter_mut().zip(&other.positive_buckets);
        let negative = self.negative_buckets.iter_mut().zip(&other.negative_buckets);
        for (mine, theirs) in positive.chain(negative) {
            *mine += sign * theirs;
        }
        Ok(Combined::default())
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.each(|number| *number *= factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge; zero leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|number| *number /= divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Changes the sign of all counts and of the sum, which makes it a gauge.
    pub fn negate(&mut self) {
        self.multiply(-1.0);
    }

    fn each(&mut self, change: impl Fn(&mut f64)) {
        let buckets = self.positive_buckets.iter_mut().chain(&mut self.negative_buckets);
        for number in buckets.chain([&mut self.zero_count, &mut self.count, &mut self.sum]) {
            change(number);
        }
    }

    /// Removes empty buckets and joins spans that touch.
    pub fn compact(&mut self) {
        let is_filled = |counts: &[f64]| counts.iter().all(|count| *count != 0.0);
        let is_tight = |spans: &[super::Span]| {
            spans.iter().all(|span| span.length > 0) && spans.iter().skip(1).all(|span| span.offset > 0)
        };
        if !is_filled(&self.positive_buckets) || !is_tight(&self.positive_spans) {
            (self.positive_spans, self.positive_buckets) = without_empty(self.positive());
        }
        if !is_filled(&self.negative_buckets) || !is_tight(&self.negative_spans) {
            (self.negative_spans, self.negative_buckets) = without_empty(self.negative());
        }
    }

    /// Merges buckets to those of a coarser exponential schema.
    ///
    /// # Errors
    /// When the schema is finer, or one of both is no exponential schema.
    pub fn reduce_to_schema(&mut self, schema: i32) -> Result<(), HistogramLayoutError> {
        if schema == self.schema {
            return Ok(());
        }
        if self.has_custom_buckets() || schema > self.schema || schema < *super::EXPONENTIAL_SCHEMAS.start() {
            return Err(HistogramLayoutError::Resolution { from: self.schema, to: schema });
        }
        (self.positive_spans, self.positive_buckets) = merged(self.positive(), self.schema, schema);
        (self.negative_spans, self.negative_buckets) = merged(self.negative(), self.schema, schema);
        self.schema = schema;
        Ok(())
    }
}

fn without_empty(mut buckets: Buckets<'_>) -> (Vec<super::Span>, Vec<f64>) {
    let mut layout = Layout::default();
    while let Some((index, count)) = buckets.next_cell() {
        if count != 0.0 {
            layout.push(index, count);
        }
    }
    (layout.spans, layout.counts)
}

fn merged(mut buckets: Buckets<'_>, schema: i32, target: i32) -> (Vec<super::Span>, Vec<f64>) {
    let mut layout = Layout::default();
    let mut open: Option<(i32, f64)> = None;
    while let Some((index, count)) = buckets.next_cell() {
        let index = index_in(index, schema, target);
        match &mut open {
            Some((last, sum)) if *last == index => *sum += count,
            _ => {
                if let Some((last, sum)) = open.replace((index, count)) {
                    layout.push(last, sum);
                }
            }
        }
    }
    if let Some((last, sum)) = open {
        layout.push(last, sum);
    }
    (layout.spans, layout.counts)
}
