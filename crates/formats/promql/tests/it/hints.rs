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
        let hint = histogram.hint_behind(self.last.as_deref());
        self.last = Some(Arc::clone(histogram));
        // It forgets even that a start was told.
        let reset_hint = if hint == ResetHint::CounterReset { ResetHint::Unknown } else { hint };
        Arc::new(Histogram { reset_hint, ..Histogram::clone(histogram) })
    }
}
