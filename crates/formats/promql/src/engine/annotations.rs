//! What a query's answer says about itself: warnings and infos, each once.

use std::collections::BTreeMap;

use crate::Span;

/// What can be noted. `detail` is what [`Notes::add`] is given with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Note {
    /// Detail: the value as text.
    InvalidQuantile,
    /// Detail: the value and the one it is capped to: `2, capping to 1`.
    InvalidRatio,
    /// Detail: the label's value; a second part after a zero byte: the metric's name.
    BadBucketLabel,
    /// Detail: the metric's name.
    MixedFloatsHistograms,
    /// No detail.
    MixedFloatsHistogramsAggregation,
    /// Detail: the metric's name, may be empty.
    MixedClassicNativeHistograms,
    /// Detail: the metric's name.
    NativeHistogramNotCounter,
    /// Detail: the metric's name.
    NativeHistogramNotGauge,
    /// Detail: the metric's name.
    MixedExponentialCustomHistograms,
    /// Detail: the operator.
    IncompatibleBucketLayout,
    /// No detail.
    SortInRangeQuery,
    /// Detail: addition, subtraction or aggregation.
    CounterResetCollision,
    /// Detail: the metric's name.
    StartTimeOverlap,
    /// Detail: the metric's name.
    PossibleNonCounter,
    /// Detail: the value of the label `__type__`; a second part after a zero byte: the metric's name.
    PossibleNonCounterLabel,
    /// Detail: the metric's name, may be empty. Comes with numbers, see [`Notes::forced_monotonicity`].
    ForcedMonotonicity,
    /// Detail: the operands' types and the operator: `histogram + float`; before it, ended by a zero byte, the operator.
    IncompatibleTypes,
    /// Detail: the aggregation's name.
    HistogramIgnoredInAggregation,
    /// Detail: the metric's name.
    HistogramIgnoredInMixedRange,
    /// Detail: the metric's name, may be empty.
    QuantileNanResult,
    /// Detail: the metric's name, may be empty.
    QuantileNanSkew,
    /// Detail: the metric's name, may be empty.
    FractionNan,
    /// Detail: addition, subtraction or aggregation.
    MismatchedCustomBuckets,
}

/// Numbers that several notes of one kind are merged into.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Monotonicity {
    first_ms: i64,
    last_ms: i64,
    bucket_min: f64,
    bucket_max: f64,
    difference_max: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    position: Span,
    times: usize,
    monotonicity: Option<Monotonicity>,
}

/// Notes being gathered: one per worker, merged at the end. Equal texts are kept once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Notes {
    entries: BTreeMap<(Note, String), Entry>,
    /// What was added last: a loop says the same again and again.
    last: Option<(Note, String, Span)>,
}

impl Notes {
    /// Adds a note at `position` of the query's text.
    pub(crate) fn add(&mut self, note: Note, detail: &str, position: Span) {
        if matches!(&self.last, Some((own, text, place)) if *own == note && text == detail && *place == position)
            && note != Note::StartTimeOverlap
        {
            return;
        }
        self.last = Some((note, detail.to_owned(), position));
        self.merge_entry(note, detail.to_owned(), Entry { position, times: 1, monotonicity: None });
    }

    /// Notes that the buckets of a classic histogram had to be made monotonic.
    pub(crate) fn forced_monotonicity(
        &mut self,
        metric: &str,
        position: Span,
        timestamp_ms: i64,
        buckets: (f64, f64),
        difference_max: f64,
    ) {
        let monotonicity = Monotonicity {
            first_ms: timestamp_ms,
            last_ms: timestamp_ms,
            bucket_min: buckets.0,
            bucket_max: buckets.1,
            difference_max,
        };
        let entry = Entry { position, times: 1, monotonicity: Some(monotonicity) };
        self.merge_entry(Note::ForcedMonotonicity, metric.to_owned(), entry);
    }

    /// Tells whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes over the notes of another worker.
    pub(crate) fn merge(&mut self, other: Self) {
        for ((note, detail), entry) in other.entries {
            self.merge_entry(note, detail, entry);
        }
    }

    fn merge_entry(&mut self, note: Note, detail: String, entry: Entry) {
        let own = match self.entries.entry((note, detail)) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                return;
            }
            std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
        };
        // Workers meet in any order: the first place in the text is the one that is named.
        if entry.position.start < own.position.start {
            own.position = entry.position;
        }
        own.times += entry.times;
        if let (Some(own), Some(new)) = (&mut own.monotonicity, entry.monotonicity) {
            own.first_ms = own.first_ms.min(new.first_ms);
            own.last_ms = own.last_ms.max(new.last_ms);
            own.bucket_min = own.bucket_min.min(new.bucket_min);
            own.bucket_max = own.bucket_max.max(new.bucket_max);
            own.difference_max = own.difference_max.max(new.difference_max);
        }
    }
}

/// What a query's answer says about itself, each text once: warnings of results that may be wrong or missing, and infos.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotations {
    notes: Notes,
}

impl Annotations {
    pub(crate) fn new(notes: Notes) -> Self {
        Self { notes }
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notes.entries.is_empty()
    }

    /// Returns the warnings, with `PromQL warning: ` in front and their place in `query` behind, such as `(1:7)`.
    #[must_use]
    pub fn warnings(&self, query: &str) -> Vec<String> {
        self.texts(query, true)
    }

    /// Returns the infos, with `PromQL info: ` in front and their place in `query` behind.
    #[must_use]
    pub fn infos(&self, query: &str) -> Vec<String> {
        self.texts(query, false)
    }

    fn texts(&self, query: &str, warnings: bool) -> Vec<String> {
        let entries = self.notes.entries.iter().filter(|((note, _), _)| note.is_warning() == warnings);
        entries.map(|((note, detail), entry)| text(*note, detail, entry, query)).collect()
    }
}

impl Note {
    fn is_warning(self) -> bool {
        match self {
            Self::InvalidQuantile
            | Self::InvalidRatio
            | Self::BadBucketLabel
            | Self::MixedFloatsHistograms
            | Self::MixedFloatsHistogramsAggregation
            | Self::MixedClassicNativeHistograms
            | Self::NativeHistogramNotCounter
            | Self::NativeHistogramNotGauge
            | Self::MixedExponentialCustomHistograms
            | Self::IncompatibleBucketLayout
            | Self::SortInRangeQuery
            | Self::CounterResetCollision
            | Self::StartTimeOverlap => true,
            Self::PossibleNonCounter
            | Self::PossibleNonCounterLabel
            | Self::ForcedMonotonicity
            | Self::IncompatibleTypes
            | Self::HistogramIgnoredInAggregation
            | Self::HistogramIgnoredInMixedRange
            | Self::QuantileNanResult
            | Self::QuantileNanSkew
            | Self::FractionNan
            | Self::MismatchedCustomBuckets => false,
        }
    }
}

/// Returns the text of one annotation.
fn text(note: Note, detail: &str, entry: &Entry, query: &str) -> String {
    let place = place(query, entry.position);
    let about_metric = |text: &str| {
        if detail.is_empty() { text.to_owned() } else { format!("{text} for metric name {detail:?}") }
    };
    let (first, second) = detail.split_once('\0').unwrap_or((detail, ""));
    let body = match note {
        Note::InvalidQuantile => format!("quantile value should be between 0 and 1, got {detail}"),
        Note::InvalidRatio => format!("ratio value should be between -1 and 1, got {detail}"),
        Note::BadBucketLabel => {
            let text = format!("bucket label \"le\" is missing or has a malformed value of {first:?}");
            if second.is_empty() { text } else { format!("{text} for metric name {second:?}") }
        }
        Note::MixedFloatsHistograms => {
            format!("encountered a mix of histograms and floats for metric name {detail:?}")
        }
        Note::MixedFloatsHistogramsAggregation => {
            "encountered a mix of histograms and floats for aggregation".to_owned()
        }
        Note::MixedClassicNativeHistograms => about_metric("vector contains a mix of classic and native histograms"),
        Note::NativeHistogramNotCounter => format!("this native histogram metric is not a counter: {detail:?}"),
        Note::NativeHistogramNotGauge => format!("this native histogram metric is not a gauge: {detail:?}"),
        Note::MixedExponentialCustomHistograms => format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {detail:?}"
        ),
        Note::IncompatibleBucketLayout => {
            format!("incompatible bucket layout encountered for binary operator {detail}")
        }
        Note::SortInRangeQuery => {
            "sort is ineffective for range queries since results are always ordered by labels".to_owned()
        }
        Note::CounterResetCollision => format!("conflicting counter resets during histogram {detail}"),
        Note::StartTimeOverlap => {
            let times = if entry.times > 1 { format!(" ({} occurrences)", entry.times) } else { String::new() };
            format!("sample has start time that overlaps with previous sample timestamp for metric {detail:?}{times}")
        }
        Note::PossibleNonCounter => {
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {detail:?}")
        }
        Note::PossibleNonCounterLabel => format!(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {first:?}: {second:?}"
        ),
        Note::ForcedMonotonicity => forced_monotonicity(&about_metric(FORCED_MONOTONICITY), entry),
        Note::IncompatibleTypes => {
            format!("incompatible sample types encountered for binary operator {first:?}: {second}")
        }
        Note::HistogramIgnoredInAggregation => format!("ignored histogram in {detail} aggregation"),
        Note::HistogramIgnoredInMixedRange => {
            format!("ignored histograms in a range containing both floats and histograms for metric name {detail:?}")
        }
        Note::QuantileNanResult => about_metric("input to histogram_quantile has NaN observations, result is NaN"),
        Note::QuantileNanSkew => {
            about_metric("input to histogram_quantile has NaN observations, result is skewed higher")
        }
        Note::FractionNan => {
            about_metric("input to histogram_fraction has NaN observations, which are excluded from all fractions")
        }
        Note::MismatchedCustomBuckets => format!("mismatched custom buckets were reconciled during {detail}"),
    };
    let severity = if note.is_warning() { "warning" } else { "info" };
    format!("PromQL {severity}: {body} ({place})")
}

const FORCED_MONOTONICITY: &str = "input to histogram_quantile needed to be fixed for monotonicity \
    (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

fn forced_monotonicity(head: &str, entry: &Entry) -> String {
    let Some(numbers) = entry.monotonicity else { return head.to_owned() };
    let (from, to) = (general(numbers.bucket_min, None), general(numbers.bucket_max, None));
    let difference = general(numbers.difference_max, Some(2));
    let (first, last) = (super::dates::rfc3339(numbers.first_ms), super::dates::rfc3339(numbers.last_ms));
    let samples = entry.times;
    format!(
        "{head}, from buckets {from} to {to}, with a max diff of {difference}, over {samples} samples from {first} to {last}"
    )
}

/// Returns the line and the column, both from 1, where `position` begins.
fn place(query: &str, position: Span) -> String {
    if query.is_empty() {
        return "unknown position".to_owned();
    }
    let Some(before) = query.get(..position.start) else { return "invalid position".to_owned() };
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    format!("{}:{}", before.matches('\n').count() + 1, position.start - line_start + 1)
}

/// Writes a number as C's `%g` does, with `digits` significant digits or as few as tell it apart.
pub(crate) fn general(value: f64, digits: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits.saturating_sub(1)),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let limit = digits.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    // As few digits as needed can be more than six: then all of them are written out.
    let trimmed = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let written = i32::try_from(trimmed.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(i32::MAX);
    let limit = if digits.is_none() { limit.max(6) } else { limit.max(written.min(limit)) };
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{trimmed}e{sign}{:02}", exponent.abs());
    }
    let plain: f64 = scientific.parse().unwrap_or(value);
    format!("{plain}")
}
