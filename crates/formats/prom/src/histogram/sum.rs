//! Adding many histograms without losing what rounding cuts off.

use super::buckets::{Buckets, Layout, bound, exponential_bound, index_in};
use super::{CUSTOM_BUCKETS_SCHEMA, Combined, Histogram, HistogramLayoutError, ResetHint};

/// A sum that remembers what rounding cut off (Neumaier's variant of Kahan's summation).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kahan {
    /// The rounded sum.
    pub sum: f64,
    /// What is to be added at the end.
    pub compensation: f64,
}

impl Kahan {
    /// Returns a sum that begins at `start`.
    #[must_use]
    pub fn new(start: f64) -> Self {
        Self { sum: start, compensation: 0.0 }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// Returns the sum with its compensation.
    #[must_use]
    pub fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// One bucket of the sum.
#[derive(Debug, Clone, Copy)]
struct Cell {
    index: i32,
    value: Kahan,
}

/// How single numbers are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// As the processor adds.
    Plain,
    /// With compensation.
    Compensated,
}

impl Rounding {
    fn add(self, to: &mut Kahan, value: f64) {
        match self {
            Self::Plain => to.sum += value,
            Self::Compensated => to.add(value),
        }
    }
}

/// The sum of several histograms. The coarsest schema, the widest zero bucket and the common custom bounds win.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    rounding: Rounding,
    reset_hint: ResetHint,
    schema: i32,
    zero_threshold: f64,
    zero_count: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Vec<Cell>,
    negative: Vec<Cell>,
    custom_values: Vec<f64>,
    /// No number in the sum is greater than this.
    magnitude: f64,
}

impl HistogramSum {
    /// Starts with one histogram, adding with compensation.
    #[must_use]
    pub fn new(first: &Histogram) -> Self {
        Self::with_rounding(first, Rounding::Compensated)
    }

    /// Starts with one histogram, adding as the processor adds.
    pub(super) fn plain(first: &Histogram) -> Self {
        Self::with_rounding(first, Rounding::Plain)
    }

    fn with_rounding(first: &Histogram, rounding: Rounding) -> Self {
        Self {
            rounding,
            reset_hint: first.reset_hint,
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            zero_count: Kahan::new(first.zero_count),
            count: Kahan::new(first.count),
            sum: Kahan::new(first.sum),
            positive: cells(first.positive()).collect(),
            negative: cells(first.negative()).collect(),
            custom_values: first.custom_values.clone(),
            magnitude: magnitude(first),
        }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    /// When one has custom and the other exponential buckets; nothing is changed then.
    pub fn add(&mut self, other: &Histogram) -> Result<Combined, HistogramLayoutError> {
        self.combine(other, 1.0)
    }

    /// Adds `sign` times a histogram.
    pub(super) fn combine(&mut self, other: &Histogram, sign: f64) -> Result<Combined, HistogramLayoutError> {
        if (self.schema == CUSTOM_BUCKETS_SCHEMA) != other.has_custom_buckets() {
            return Err(HistogramLayoutError::MixedSchemas);
        }
        let collided = self.adjust_reset_hint(other.reset_hint);
        self.magnitude += magnitude(other);
        let rounding = self.rounding;
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            rounding.add(&mut self.count, sign * other.count);
            rounding.add(&mut self.sum, sign * other.sum);
            let reconciled = self.add_custom(other, sign);
            return Ok(Combined { reset_hints_collide: collided, bounds_reconciled: reconciled });
        }
        let other_zero = self.reconcile_zero_bucket(other);
        for part in [other_zero.sum, other_zero.compensation] {
            if part != 0.0 {
                rounding.add(&mut self.zero_count, sign * part);
            }
        }
        rounding.add(&mut self.count, sign * other.count);
        rounding.add(&mut self.sum, sign * other.sum);
        if other.schema < self.schema {
            merge_to(&mut self.positive, self.schema, other.schema, rounding);
            merge_to(&mut self.negative, self.schema, other.schema, rounding);
            self.schema = other.schema;
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        for (mine, theirs) in [(&mut self.positive, other.positive()), (&mut self.negative, other.negative())] {
            // What the zero bucket covers is already in its count.
            let beyond = cells(theirs).skip_while(|cell| exponential_bound(cell.index, other.schema) <= threshold);
            if other.schema > schema {
                let mut joined = beyond.collect();
                merge_to(&mut joined, other.schema, schema, rounding);
                add_cells(mine, joined.into_iter(), sign, rounding);
            } else {
                add_cells(mine, beyond, sign, rounding);
            }
        }
        Ok(Combined { reset_hints_collide: collided, bounds_reconciled: false })
    }

    /// Counts and gauges may meet; what is known of starts becomes what holds for both. Returns whether they contradict.
    fn adjust_reset_hint(&mut self, other: ResetHint) -> bool {
        let (hint, collided) = match (self.reset_hint, other) {
            (mine, other) if mine == other => (mine, false),
            (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => (ResetHint::Gauge, false),
            (ResetHint::Unknown, _) | (_, ResetHint::Unknown) => (ResetHint::Unknown, false),
            (ResetHint::CounterReset | ResetHint::NotCounterReset, _) => (ResetHint::Unknown, true),
        };
        self.reset_hint = hint;
        collided
    }

    /// Widens the zero bucket until it covers both and cuts no filled bucket. Returns the count that the other has in it.
    fn reconcile_zero_bucket(&mut self, other: &Histogram) -> Kahan {
        let mut threshold = other.zero_threshold;
        let mut count = Kahan::new(other.zero_count);
        // No threshold equals one that is no number.
        let mut turns = 0;
        while threshold != self.zero_threshold && turns < 64 {
            turns += 1;
            if self.zero_threshold > threshold {
                let sides: [Vec<Cell>; 2] = [cells(other.positive()).collect(), cells(other.negative()).collect()];
                let own = Kahan::new(other.zero_count);
                (count, threshold) =
                    widened([&sides[0], &sides[1]], other.schema, own, other.zero_threshold, self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                let sides = [self.positive.as_slice(), self.negative.as_slice()];
                (self.zero_count, self.zero_threshold) =
                    widened(sides, self.schema, self.zero_count, self.zero_threshold, threshold);
                if self.rounding == Rounding::Plain {
                    self.zero_count = Kahan::new(self.zero_count.sum);
                }
                for side in [&mut self.positive, &mut self.negative] {
                    side.retain(|cell| {
                        exponential_bound(cell.index.saturating_sub(1), self.schema) >= self.zero_threshold
                    });
                }
            }
        }
        if self.rounding == Rounding::Plain { Kahan::new(count.sum) } else { count }
    }

    /// Adds custom buckets; returns whether only the bounds that both have could be kept.
    fn add_custom(&mut self, other: &Histogram, sign: f64) -> bool {
        if self.custom_values == other.custom_values {
            add_cells(&mut self.positive, cells(other.positive()), sign, self.rounding);
            return false;
        }
        let theirs: Vec<Cell> = cells(other.positive()).collect();
        let common = intersection(&self.custom_values, &other.custom_values);
        let mut buckets = vec![Kahan::default(); common.len() + 1];
        let sides = [(&self.positive, &self.custom_values, 1.0), (&theirs, &other.custom_values, sign)];
        for (cells, bounds, sign) in sides {
            for cell in cells {
                let upper = bound(cell.index, CUSTOM_BUCKETS_SCHEMA, bounds);
                let place = common.partition_point(|bound| *bound < upper);
                if let Some(bucket) = buckets.get_mut(place) {
                    bucket.add(sign * cell.value.sum);
                    if cell.value.compensation != 0.0 {
                        bucket.add(sign * cell.value.compensation);
                    }
                }
            }
        }
        self.positive.clear();
        for (index, mut value) in (0_i32..).zip(buckets) {
            if value != Kahan::default() {
                if self.rounding == Rounding::Plain {
                    value.compensation = 0.0;
                }
                self.positive.push(Cell { index, value });
            }
        }
        self.custom_values = common;
        true
    }

    /// Multiplies all numbers.
    pub fn multiply(&mut self, factor: f64) {
        self.each(|number| *number *= factor);
    }

    /// Divides all numbers.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|number| *number /= divisor);
    }

    fn each(&mut self, change: impl Fn(&mut f64)) {
        let cells = self.positive.iter_mut().chain(&mut self.negative).map(|cell| &mut cell.value);
        for value in cells.chain([&mut self.zero_count, &mut self.count, &mut self.sum]) {
            change(&mut value.sum);
            change(&mut value.compensation);
        }
        change(&mut self.magnitude);
        self.magnitude = self.magnitude.abs();
    }

    /// Tells whether adding `other` could make a number infinite. May say so too early, never too late.
    #[must_use]
    pub fn may_overflow_with(&self, other: &Histogram) -> bool {
        // Leaves room for joining buckets. A comparison with NaN is false.
        let safe = self.magnitude + magnitude(other) < 1e300;
        !safe
    }

    /// Tells whether a number is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let mut cells = self.positive.iter().chain(&self.negative).map(|cell| cell.value);
        [self.zero_count, self.count, self.sum].iter().any(|value| value.sum.is_infinite())
            || cells.any(|value| value.sum.is_infinite())
            || self.custom_values.iter().any(|bound| bound.is_infinite())
    }

    /// Adds another sum, with what rounding cut off from it.
    ///
    /// # Errors
    /// As [`HistogramSum::add`].
    pub fn merge(&mut self, other: &Self) -> Result<Combined, HistogramLayoutError> {
        let combined = self.add(&other.part(|value| value.sum))?;
        let cells = other.positive.iter().chain(&other.negative).map(|cell| cell.value);
        if cells.chain([other.zero_count, other.count, other.sum]).any(|value| value.compensation != 0.0) {
            self.add(&other.part(|value| value.compensation))?;
        }
        Ok(combined)
    }

    /// Returns the sum divided by `divisor`, empty buckets included.
    #[must_use]
    pub fn total(&self, divisor: f64) -> Histogram {
        self.part(|value| value.sum / divisor + value.compensation / divisor)
    }

    /// Returns a histogram of one number of each sum.
    fn part(&self, number: impl Fn(Kahan) -> f64) -> Histogram {
        let layout = |cells: &[Cell]| {
            let mut layout = Layout::default();
            for cell in cells {
                layout.push(cell.index, number(cell.value));
            }
            (layout.spans, layout.counts)
        };
        let (positive_spans, positive_buckets) = layout(&self.positive);
        let (negative_spans, negative_buckets) = layout(&self.negative);
        Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: number(self.zero_count),
            count: number(self.count),
            sum: number(self.sum),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values.clone(),
        }
    }
}

/// Returns the greatest number, NaN and infinity as they are.
fn magnitude(histogram: &Histogram) -> f64 {
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
    buckets
        .chain([&histogram.zero_count, &histogram.count, &histogram.sum])
        .fold(0.0, |greatest: f64, number| if number.is_nan() { greatest } else { greatest.max(number.abs()) })
}

fn cells(mut buckets: Buckets<'_>) -> impl Iterator<Item = Cell> {
    std::iter::from_fn(move || buckets.next_cell()).map(|(index, count)| Cell { index, value: Kahan::new(count) })
}

/// Merges buckets to those of a coarser schema.
fn merge_to(cells: &mut Vec<Cell>, schema: i32, target: i32, rounding: Rounding) {
    for cell in cells.iter_mut() {
        cell.index = index_in(cell.index, schema, target);
    }
    cells.dedup_by(|later, earlier| {
        let same = later.index == earlier.index;
        if same {
            rounding.add(&mut earlier.value, later.value.sum);
            if later.value.compensation != 0.0 {
                rounding.add(&mut earlier.value, later.value.compensation);
            }
        }
        same
    });
}

/// Adds `sign` times `theirs` to `mine`, both in the order of their indexes. Allocates only for buckets that are new.
fn add_cells(mine: &mut Vec<Cell>, theirs: impl Iterator<Item = Cell>, sign: f64, rounding: Rounding) {
    let add = |to: &mut Cell, cell: &Cell| {
        rounding.add(&mut to.value, sign * cell.value.sum);
        if cell.value.compensation != 0.0 {
            rounding.add(&mut to.value, sign * cell.value.compensation);
        }
    };
    let known = mine.len();
    let mut at = 0;
    for cell in theirs {
        while at < known && mine.get(at).is_some_and(|own| own.index < cell.index) {
            at += 1;
        }
        match mine.get_mut(at) {
            Some(own) if at < known && own.index == cell.index => add(own, &cell),
            _ => {
                let mut own = Cell { index: cell.index, value: Kahan::default() };
                add(&mut own, &cell);
                mine.push(own);
            }
        }
    }
    if mine.len() > known {
        mine.sort_by_key(|cell| cell.index);
    }
}

/// Returns the zero count for a threshold of at least `wanted`, and that threshold: the end of a filled bucket which it would cut.
fn widened(sides: [&[Cell]; 2], schema: i32, zero_count: Kahan, threshold: f64, wanted: f64) -> (Kahan, f64) {
    if wanted <= threshold {
        return (zero_count, threshold);
    }
    let mut wanted = wanted;
    'again: loop {
        let mut count = zero_count;
        for cells in sides {
            for cell in cells {
                if exponential_bound(cell.index.saturating_sub(1), schema) >= wanted {
                    break;
                }
                count.add(cell.value.sum);
                if cell.value.compensation != 0.0 {
                    count.add(cell.value.compensation);
                }
                let upper = exponential_bound(cell.index, schema);
                if upper > wanted {
                    if cell.value.sum != 0.0 {
                        wanted = upper;
                        continue 'again;
                    }
                    break;
                }
            }
        }
        return (count, wanted);
    }
}

impl Histogram {
    /// Returns the zero count for a threshold of at least `wanted`, and that threshold.
    pub(super) fn zero_count_for(&self, wanted: f64) -> (f64, f64) {
        if wanted == self.zero_threshold {
            return (self.zero_count, wanted);
        }
        let (positive, negative): (Vec<Cell>, Vec<Cell>) =
            (cells(self.positive()).collect(), cells(self.negative()).collect());
        let zero_count = Kahan::new(self.zero_count);
        let (count, threshold) = widened([&positive, &negative], self.schema, zero_count, self.zero_threshold, wanted);
        (count.sum, threshold)
    }
}

/// Returns the bounds that both have.
pub(super) fn intersection(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().filter(|bound| other.binary_search_by(|other| other.total_cmp(bound)).is_ok()).copied().collect()
}
