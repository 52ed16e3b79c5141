//! What can be set for all queries and for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What holds for all queries of an engine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How far back an instant selector looks for a sample.
    pub lookback_ms: i64,
    /// How many samples one query may hold in memory; a histogram counts as its size in floats.
    pub samples_max: u64,
    /// How many bytes the columns of one query may take.
    pub memory_bytes_max: u64,
    /// How long one query may take; needs a [`Stopwatch`].
    pub timeout: Duration,
    /// The step of subqueries that say none: the global evaluation interval.
    pub default_subquery_step_ms: i64,
    /// Takes metrics' names away at the end of the query and not at the function that drops them.
    pub delayed_name_removal: bool,
    /// Treats the labels `__type__` and `__unit__` as part of the metric's name.
    pub type_and_unit_labels: bool,
    /// Lets counters' start timestamps tell of starts.
    pub start_timestamps: bool,
    /// Counts samples for each step of all queries.
    pub per_step_statistics: bool,
    /// How many threads one query may use; 0 means one per core.
    pub threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            samples_max: 50_000_000,
            memory_bytes_max: 1 << 30,
            timeout: Duration::from_secs(120),
            default_subquery_step_ms: 60_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            per_step_statistics: false,
            threads: 0,
        }
    }
}

/// What time of its own a query knows: the engine reads no clock.
pub trait Stopwatch: Send + Sync {
    /// Returns the time since the query began.
    fn elapsed(&self) -> Duration;
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At one moment, in milliseconds since 1970.
    Instant {
        /// The moment.
        at_ms: i64,
    },
    /// At `start_ms`, and each `step_ms` after it up to and with `end_ms`.
    Range {
        /// The first moment.
        start_ms: i64,
        /// Where it ends.
        end_ms: i64,
        /// The time between two moments, above 0.
        step_ms: i64,
    },
}

/// One evaluation of one query.
#[derive(Clone)]
pub struct Evaluation<'a> {
    /// When.
    pub when: When,
    /// Replaces the engine's look-back.
    pub lookback_ms: Option<i64>,
    /// Replaces the engine's timeout when it is shorter.
    pub timeout: Option<Duration>,
    /// Counts samples for each step.
    pub per_step_statistics: bool,
    /// Measures the query; without it there is no timeout and no timing.
    pub stopwatch: Option<&'a dyn Stopwatch>,
    /// Ends the query early.
    pub cancel: Cancel,
}

impl std::fmt::Debug for Evaluation<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Evaluation").field("when", &self.when).finish_non_exhaustive()
    }
}

impl Evaluation<'_> {
    /// Returns an evaluation at one moment.
    #[must_use]
    pub fn instant(at_ms: i64) -> Self {
        Self::new(When::Instant { at_ms })
    }

    /// Returns an evaluation over a range.
    #[must_use]
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        Self::new(When::Range { start_ms, end_ms, step_ms })
    }

    fn new(when: When) -> Self {
        Self {
            when,
            lookback_ms: None,
            timeout: None,
            per_step_statistics: false,
            stopwatch: None,
            cancel: Cancel::default(),
        }
    }
}

/// Ends a query from outside. Clones belong together.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the query soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Tells whether the query shall end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
