//! Series of which only counts and sums are wanted: their buckets are left behind, resets are told before that.

use std::sync::Arc;

use maru_prom::{Histogram, Labels, ResetHint};

use crate::BinaryOperator;
use crate::source::{Samples, Series, SourceError};

/// What of histograms an expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// All, unless a function inside wants less.
    #[default]
    Buckets,
    /// Count and sum.
    Totals,
    /// All, whatever the functions inside want.
    AlwaysBuckets,
}

impl Detail {
    /// Returns what is wanted of the arguments of `function`.
    pub(crate) fn inside(self, function: &str) -> Self {
        match (self, function) {
            (Self::AlwaysBuckets, _) | (_, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction") => {
                Self::AlwaysBuckets
            }
            (_, "histogram_count" | "histogram_sum" | "histogram_avg") => Self::Totals,
            (Self::Buckets | Self::Totals, _) => self,
        }
    }

    /// Returns what is wanted of the operands of `operator`.
    pub(crate) fn beside(self, operator: BinaryOperator) -> Self {
        let trims = matches!(operator, BinaryOperator::TrimUpper | BinaryOperator::TrimLower);
        if trims { Self::AlwaysBuckets } else { self }
    }
}

/// A series whose histograms lose their buckets.
pub(crate) struct Totals<'a>(pub(crate) Box<dyn Series + 'a>);

impl Series for Totals<'_> {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), SourceError> {
        self.0.read(into)?;
        let mut before: Option<Arc<Histogram>> = None;
        for (_, histogram) in &mut into.histograms {
            let mut reset_hint = histogram.reset_hint;
            let is_marker = histogram.is_stale_marker();
            // Without buckets it cannot be found out any more.
            if let (ResetHint::Unknown, Some(before), false) = (reset_hint, &before, is_marker) {
                let is_reset = histogram.is_reset_after(before);
                reset_hint = if is_reset { ResetHint::CounterReset } else { ResetHint::NotCounterReset };
            }
            let (schema, count, sum) = (histogram.schema, histogram.count, histogram.sum);
            let totals = Histogram { reset_hint, count, sum, ..Histogram::empty(schema) };
            let full = std::mem::replace(histogram, Arc::new(totals));
            if !is_marker {
                before = Some(full);
            }
        }
        Ok(())
    }
}
