//! Objectives as OpenSLO 1 writes them, and the rules that they compile to.
//!
//! Source: OpenSLO 1.0 specification, kinds `SLO` and `SLI`.

mod compile;
mod query;
mod read;

pub use compile::{Compiled, Names, compile};
pub use query::Counting;
pub use read::{Import, read_documents, read_spec};

/// How good and bad are counted against the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budgeting {
    /// Each event counts.
    Occurrences,
    /// Each slice of time counts as good or bad.
    Timeslices,
    /// Each slice of time counts by its share of good events.
    RatioTimeslices,
}

impl Budgeting {
    /// Returns the word of the specification.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Occurrences => "Occurrences",
            Self::Timeslices => "Timeslices",
            Self::RatioTimeslices => "RatioTimeslices",
        }
    }
}

/// A unit of OpenSLO's durations. Months, quarters and years have no fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `M`
    Month,
    /// `Q`
    Quarter,
    /// `Y`
    Year,
}

/// A length of time: a number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Duration {
    /// Returns the length in seconds; a month is 30 days, a quarter 90, a year 365.
    #[must_use]
    pub fn seconds(self) -> u64 {
        let unit = match self.unit {
            Unit::Minute => 60,
            Unit::Hour => 3600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 30 * 86_400,
            Unit::Quarter => 90 * 86_400,
            Unit::Year => 365 * 86_400,
        };
        u64::from(self.count) * unit
    }
}

impl std::str::FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write a whole number and one of m, h, d, w, M, Q, Y, such as 28d";
        let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or(WRONG)?;
        let (count, unit) = text.split_at(split);
        let unit = match unit {
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "M" => Unit::Month,
            "Q" => Unit::Quarter,
            "Y" => Unit::Year,
            _ => return Err(WRONG),
        };
        let count: u32 = count.parse().map_err(|_| WRONG)?;
        if count == 0 || count > 10_000 {
            return Err("it must be between 1 and 10000 units");
        }
        Ok(Self { count, unit })
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            Unit::Minute => 'm',
            Unit::Hour => 'h',
            Unit::Day => 'd',
            Unit::Week => 'w',
            Unit::Month => 'M',
            Unit::Quarter => 'Q',
            Unit::Year => 'Y',
        };
        write!(formatter, "{}{unit}", self.count)
    }
}

/// The time over which the budget is reckoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeWindow {
    /// Always the last while.
    Rolling(Duration),
    /// From a moment on, again and again: days, weeks, months.
    Calendar {
        /// The length of each.
        duration: Duration,
        /// When the first began, as `2026-01-01 00:00:00`.
        start: String,
        /// The time zone of `start`, as in the zone database: `Asia/Seoul`.
        zone: String,
    },
}

impl TimeWindow {
    /// Returns its length.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match self {
            Self::Rolling(duration) | Self::Calendar { duration, .. } => *duration,
        }
    }
}

/// How a threshold metric is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// At most.
    AtMost,
    /// Less.
    Less,
    /// At least.
    AtLeast,
    /// More.
    More,
}

impl Comparison {
    /// Returns the sign in a query.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::Less => "<",
            Self::AtLeast => ">=",
            Self::More => ">",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Indicator {
    /// Good, or bad, events of all.
    Ratio {
        /// The query of good events.
        good: Option<String>,
        /// The query of bad events; used when there is none of good ones.
        bad: Option<String>,
        /// The query of all events.
        total: String,
        /// Whether the queries give counters; else each sample is a number of events by itself.
        is_counter: bool,
    },
    /// A share, ready made.
    Raw {
        /// Its query.
        query: String,
        /// Whether it is the share of bad events.
        is_failure: bool,
    },
    /// A value that is compared with the target's. A counter of buckets (`…_bucket`) is compared by its bucket.
    Threshold {
        /// Its query.
        query: String,
    },
}

/// One target of an objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name: what people wrote, else its number from 0.
    pub name: String,
    /// The share that must be good, between 0 and 1.
    pub target: f64,
    /// What is measured.
    pub indicator: Indicator,
    /// How a threshold metric is compared, and with what.
    pub threshold: Option<(Comparison, f64)>,
    /// The length of a slice in seconds, where slices count.
    pub slice_seconds: Option<u64>,
    /// The share of a slice that must be good.
    pub slice_target: f64,
    /// Its weight among the targets of a composite.
    pub weight: f64,
}

impl Target {
    /// Returns the selector of buckets that are counted, where a target is about a histogram.
    #[must_use]
    pub fn buckets(&self) -> Option<&str> {
        match &self.indicator {
            Indicator::Threshold { query } if query::is_bucket(query) => Some(query),
            Indicator::Threshold { .. } | Indicator::Ratio { .. } | Indicator::Raw { .. } => None,
        }
    }
}

/// An objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The service.
    pub service: String,
    /// For people.
    pub description: String,
    /// The time over which the budget is reckoned.
    pub window: TimeWindow,
    /// What counts.
    pub budgeting: Budgeting,
    /// All must hold. Several with indicators of their own make a composite.
    pub targets: Vec<Target>,
}
