//! What Prometheus' store says about counter resets when it hands back what was stored.
//!
//! Its chunks hold histograms of one layout without a reset between them. The first histogram of a chunk comes back
//! as "unknown", the others as "not reset"; gauges stay gauges. Scripts expect that.

use std::sync::Arc;

use maru_prom::{Histogram, ResetHint};

/// Of the chunk that is open.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    last: Option<Arc<Histogram>>,
}

impl Chunk {
    /// A float came in between: the next histogram begins a chunk.
    pub(crate) fn close(&mut self) {
        self.last = None;
    }

    /// Returns the histogram as it is handed back.
    pub(crate) fn push(&mut self, histogram: &Arc<Histogram>) -> Arc<Histogram> {
        let continues = self.last.as_ref().is_some_and(|last| continues(last, histogram));
        let hint = match histogram.reset_hint {
            ResetHint::Gauge => ResetHint::Gauge,
            _ if continues => ResetHint::NotCounterReset,
            _ => ResetHint::Unknown,
        };
        self.last = Some(Arc::clone(histogram));
        let mut back = Histogram::clone(histogram);
        back.reset_hint = hint;
        Arc::new(back)
    }
}

fn continues(last: &Histogram, next: &Histogram) -> bool {
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if is_gauge(last) != is_gauge(next) || next.reset_hint == ResetHint::CounterReset {
        return false;
    }
    if next.is_stale_marker() {
        return true;
    }
    let same_layout = last.schema == next.schema
        && last.zero_threshold == next.zero_threshold
        && last.custom_values == next.custom_values;
    let mut unmarked = next.clone();
    unmarked.reset_hint = ResetHint::Unknown;
    !last.is_stale_marker() && same_layout && (is_gauge(next) || !unmarked.is_reset_after(last))
}
