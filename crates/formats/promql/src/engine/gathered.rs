//! What is gathered of one group of series, for all steps.

use super::annotations::{Note, Notes};
use super::column::{ABSENT, Column, is_present};
use super::histograms::{HistogramSum, Summing};
use super::math::{Mean, Sum};
use super::window::Call;
use crate::{Aggregator, Span};

/// What is gathered of one group, for all steps.
enum Gathered {
    Sum {
        sums: Vec<f64>,
        lost: Vec<f64>,
        seen: Vec<bool>,
    },
    /// Sum, what rounding took from it, count.
    Avg {
        sums: Vec<f64>,
        lost: Vec<f64>,
        counts: Vec<f64>,
    },
    /// Means, once a sum would be infinite.
    Means(Vec<Mean>),
    /// Minimum, maximum, group: the value so far.
    Pick(Vec<f64>),
    Count(Vec<f64>),
    /// Count, mean, and sum of squared distances (Welford).
    Variance(Vec<[f64; 3]>),
}

/// One group being aggregated.
pub(crate) struct Accumulator {
    operator: Aggregator,
    gathered: Gathered,
    /// Sums of histograms, one per step; empty while there are none.
    histograms: Vec<Option<Box<HistogramSum>>>,
    position: Span,
}

impl Accumulator {
    pub(crate) fn new(operator: Aggregator, steps: usize, position: Span) -> Self {
        let gathered = match operator {
            Aggregator::Sum => {
                Gathered::Sum { sums: vec![-0.0; steps], lost: vec![0.0; steps], seen: vec![false; steps] }
            }
            Aggregator::Avg => {
                Gathered::Avg { sums: vec![-0.0; steps], lost: vec![0.0; steps], counts: vec![0.0; steps] }
            }
            Aggregator::Count => Gathered::Count(vec![0.0; steps]),
            Aggregator::Stddev | Aggregator::Stdvar => Gathered::Variance(vec![[0.0; 3]; steps]),
            _ => Gathered::Pick(vec![ABSENT; steps]),
        };
        Self { operator, gathered, histograms: Vec::new(), position }
    }

    /// Returns about how much memory one takes.
    pub(crate) fn bytes(operator: Aggregator, steps: usize) -> usize {
        let bytes = match operator {
            Aggregator::Sum => 17,
            Aggregator::Avg => 32,
            Aggregator::Stddev | Aggregator::Stdvar => 24,
            _ => 8,
        };
        steps.saturating_mul(bytes)
    }

    /// Adds a series.
    pub(crate) fn add(&mut self, column: &Column, metric: &str, notes: &mut Notes) {
        self.gathered.before_overflow(&column.floats);
        match &mut self.gathered {
            Gathered::Sum { sums, lost, seen } => {
                let places = sums.iter_mut().zip(lost).zip(seen).zip(&column.floats);
                for (((sum, lost), seen), value) in places {
                    // An absent value adds negative zero, which changes nothing: no branch, so that it runs in lanes.
                    let has = is_present(*value);
                    let value = if has { *value } else { -0.0 };
                    (*sum, *lost) = super::math::add(*sum, *lost, value);
                    *seen |= has;
                }
            }
            Gathered::Avg { sums, lost, counts } => {
                for (((sum, lost), count), value) in sums.iter_mut().zip(lost).zip(counts).zip(&column.floats) {
                    let has = is_present(*value);
                    let value = if has { *value } else { -0.0 };
                    (*sum, *lost) = super::math::add(*sum, *lost, value);
                    *count += if has { 1.0 } else { 0.0 };
                }
            }
            Gathered::Means(means) => {
                for (mean, value) in means.iter_mut().zip(&column.floats) {
                    if is_present(*value) {
                        mean.add(*value);
                    }
                }
            }
            Gathered::Count(counts) => {
                for (count, value) in counts.iter_mut().zip(&column.floats) {
                    *count += f64::from(u8::from(is_present(*value)));
                }
                for (count, histogram) in counts.iter_mut().zip(&column.histograms) {
                    *count += f64::from(u8::from(histogram.is_some()));
                }
            }
            Gathered::Pick(picked) => {
                pick(self.operator, picked, &column.floats);
                if self.operator == Aggregator::Group {
                    for (place, histogram) in picked.iter_mut().zip(&column.histograms) {
                        if histogram.is_some() {
                            *place = 1.0;
                        }
                    }
                }
            }
            Gathered::Variance(states) => {
                for (state, value) in states.iter_mut().zip(&column.floats) {
                    if is_present(*value) {
                        spread(state, *value);
                    }
                }
            }
        }
        if !column.histograms.is_empty() {
            self.add_histograms(column, metric, notes);
        }
    }

    fn add_histograms(&mut self, column: &Column, metric: &str, notes: &mut Notes) {
        match self.operator {
            Aggregator::Sum | Aggregator::Avg => {
                let is_mean = self.operator == Aggregator::Avg;
                self.histograms.resize_with(column.histograms.len(), || None);
                let mut call = Call { metric, position: self.position, notes };
                for (place, histogram) in self.histograms.iter_mut().zip(&column.histograms) {
                    if let Some(histogram) = histogram {
                        let sum =
                            place.get_or_insert_with(|| Box::new(HistogramSum::new(Summing::Aggregation, is_mean)));
                        sum.add(histogram, &mut call);
                    }
                }
            }
            Aggregator::Count | Aggregator::Group => {}
            operator => {
                if column.histograms.iter().any(Option::is_some) {
                    notes.add(Note::HistogramIgnoredInAggregation, operator.name(), self.position);
                }
            }
        }
    }

    /// Adds what was gathered of later series of the group. `false`: the group must be gathered in one go, see
    /// [`HistogramSum::merge`].
    pub(crate) fn merge(&mut self, mut other: Self) -> bool {
        if self.histograms.len() < other.histograms.len() {
            self.histograms.resize_with(other.histograms.len(), || None);
        }
        for (own, theirs) in self.histograms.iter_mut().zip(std::mem::take(&mut other.histograms)) {
            match (own, theirs) {
                (_, None) => {}
                (Some(own), Some(theirs)) => {
                    if !own.merge(*theirs) {
                        return false;
                    }
                }
                (own @ None, theirs) => *own = theirs,
            }
        }
        self.merge_floats(&other);
        true
    }

    fn merge_floats(&mut self, other: &Self) {
        if let Gathered::Avg { sums, .. } = &other.gathered {
            self.gathered.before_overflow(sums);
        }
        if let (Gathered::Avg { .. }, Gathered::Means(_)) = (&self.gathered, &other.gathered) {
            self.gathered.use_means();
        }
        match (&mut self.gathered, &other.gathered) {
            (Gathered::Sum { sums, lost, seen }, Gathered::Sum { sums: more, lost: more_lost, seen: also }) => {
                for step in 0..sums.len() {
                    let (sum, carried) = super::math::add(sums[step], lost[step], more[step]);
                    sums[step] = sum;
                    lost[step] = if sum.is_infinite() { 0.0 } else { carried + more_lost[step] };
                    seen[step] |= also[step];
                }
            }
            (
                Gathered::Avg { sums, lost, counts },
                Gathered::Avg { sums: more, lost: more_lost, counts: more_counts },
            ) => {
                for step in 0..sums.len() {
                    (sums[step], lost[step]) = super::math::add(sums[step], lost[step], more[step]);
                    lost[step] += more_lost[step];
                    counts[step] += more_counts[step];
                }
            }
            (Gathered::Means(means), more) => {
                for (step, mean) in means.iter_mut().enumerate() {
                    mean.merge(&more.mean(step));
                }
            }
            (Gathered::Count(counts), Gathered::Count(more)) => {
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            (Gathered::Pick(picked), Gathered::Pick(more)) => pick(self.operator, picked, more),
            (Gathered::Variance(states), Gathered::Variance(more)) => {
                states.iter_mut().zip(more).for_each(|(state, more)| merge_spread(state, more));
            }
            _ => debug_assert!(false, "accumulators of one group are of one kind"),
        }
    }

    pub(crate) fn finish(self, notes: &mut Notes) -> Column {
        let floats: Vec<f64> = match self.gathered {
            Gathered::Sum { sums, lost, seen } => (0..sums.len())
                .map(|step| if seen[step] { Sum { value: sums[step], lost: lost[step] }.total() } else { ABSENT })
                .collect(),
            Gathered::Avg { ref sums, .. } => (0..sums.len()).map(|step| mean_at(&self.gathered, step)).collect(),
            Gathered::Means(ref means) => (0..means.len()).map(|step| mean_at(&self.gathered, step)).collect(),
            Gathered::Count(counts) => counts.iter().map(|count| if *count > 0.0 { *count } else { ABSENT }).collect(),
            Gathered::Pick(picked) => picked,
            Gathered::Variance(states) => states
                .iter()
                .map(|[count, _, squares]| match self.operator {
                    _ if *count == 0.0 => ABSENT,
                    Aggregator::Stddev => (squares / count).sqrt(),
                    _ => squares / count,
                })
                .collect(),
        };
        let mut column = Column { floats, histograms: Vec::new() };
        for (step, sum) in self.histograms.into_iter().enumerate() {
            let Some(sum) = sum else { continue };
            if is_present(column.floats[step]) {
                notes.add(Note::MixedFloatsHistogramsAggregation, "", self.position);
                column.floats[step] = ABSENT;
            } else if let Some(histogram) = sum.finish(self.position, notes) {
                column.set(step, super::column::Cell::Histogram(std::sync::Arc::new(histogram)));
            }
        }
        column
    }
}

impl Gathered {
    /// Turns sums into means before adding `values` would make one infinite.
    fn before_overflow(&mut self, values: &[f64]) {
        if let Self::Avg { sums, .. } = self
            && sums.iter().zip(values).any(|(sum, value)| (sum + value).is_infinite())
        {
            self.use_means();
        }
    }

    fn use_means(&mut self) {
        if let Self::Avg { sums, .. } = self {
            *self = Self::Means((0..sums.len()).map(|step| self.mean(step)).collect());
        }
    }

    /// Returns the mean at `step` as it stands.
    fn mean(&self, step: usize) -> Mean {
        match self {
            Self::Avg { sums, lost, counts } => {
                Mean { sum: Sum { value: sums[step], lost: lost[step] }, count: counts[step], is_stepwise: false }
            }
            Self::Means(means) => means[step],
            Self::Sum { .. } | Self::Pick(_) | Self::Count(_) | Self::Variance(_) => Mean::NOTHING,
        }
    }
}

fn mean_at(gathered: &Gathered, step: usize) -> f64 {
    let mean = gathered.mean(step);
    if mean.count > 0.0 { mean.mean() } else { ABSENT }
}

fn pick(operator: Aggregator, picked: &mut [f64], values: &[f64]) {
    match operator {
        Aggregator::Min => choose(picked, values, |value, best| value < best),
        Aggregator::Max => choose(picked, values, |value, best| value > best),
        _ => {
            for (place, value) in picked.iter_mut().zip(values) {
                if is_present(*value) {
                    *place = 1.0;
                }
            }
        }
    }
}

/// Any number is better than NaN, which is better than nothing.
fn choose(picked: &mut [f64], values: &[f64], is_better: impl Fn(f64, f64) -> bool) {
    for (best, value) in picked.iter_mut().zip(values) {
        let wins = is_better(*value, *best) || (best.is_nan() && (!is_present(*best) || !value.is_nan()));
        if is_present(*value) && wins {
            *best = *value;
        }
    }
}

/// Adds a value to count, mean and squared distances.
fn spread(state: &mut [f64; 3], value: f64) {
    let [count, mean, squares] = state;
    *count += 1.0;
    if *count == 1.0 {
        (*mean, *squares) = (value, if value.is_finite() { 0.0 } else { f64::NAN });
        return;
    }
    let distance = value - *mean;
    *mean += distance / *count;
    *squares += distance * (value - *mean);
}

fn merge_spread(state: &mut [f64; 3], other: &[f64; 3]) {
    if other[0] == 0.0 {
        return;
    }
    if state[0] == 0.0 {
        *state = *other;
        return;
    }
    let count = state[0] + other[0];
    let distance = other[1] - state[1];
    state[2] += other[2] + distance * distance * (state[0] * other[0] / count);
    state[1] += distance * (other[0] / count);
    state[0] = count;
}
