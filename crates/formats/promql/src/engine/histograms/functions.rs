//! `histogram_*` over native and classic histograms.

use std::collections::HashMap;

use maru_prom::{EstimateNotice, Histogram, Labels};
use rayon::prelude::*;

use super::super::annotations::{Note, Notes, general};
use super::super::column::{Column, Evaluated, Row, Vector, is_present};
use super::classic::{self, Bucket};
use crate::Span;

/// The label with the upper bound of a classic histogram's bucket.
const BUCKET_LABEL: &str = "le";

/// What surrounds a call of [`evaluate`].
#[derive(Debug)]
pub(crate) struct HistogramCall<'a> {
    /// Where each argument stands in the text.
    pub(crate) arguments: &'a [Span],
    /// The time of each step.
    pub(crate) steps: &'a [i64],
    /// Where notes go.
    pub(crate) notes: &'a mut Notes,
}

/// `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`, `histogram_count`, `histogram_sum`, `histogram_avg`,
/// `histogram_stddev`, `histogram_stdvar`: `None` when `function` is none of them.
///
/// Rows of the answer keep their labels; the caller takes the names away.
pub(crate) fn evaluate(function: &str, arguments: &mut [Evaluated], call: &mut HistogramCall<'_>) -> Option<Vector> {
    let steps = call.steps.len();
    match (function, arguments) {
        ("histogram_count", [Evaluated::Vector(vector)]) => Some(each(vector, |histogram| histogram.count)),
        ("histogram_sum", [Evaluated::Vector(vector)]) => Some(each(vector, |histogram| histogram.sum)),
        ("histogram_avg", [Evaluated::Vector(vector)]) => Some(each(vector, Histogram::mean)),
        ("histogram_stdvar", [Evaluated::Vector(vector)]) => Some(each(vector, Histogram::variance)),
        ("histogram_stddev", [Evaluated::Vector(vector)]) => {
            Some(each(vector, |histogram| histogram.variance().sqrt()))
        }
        ("histogram_quantile", [Evaluated::Scalar(q), Evaluated::Vector(vector)]) => {
            let positions = [*call.arguments.first()?];
            check_quantiles(&[q.as_slice()], &positions, call.notes);
            let question = Question::Quantiles { label: None, quantiles: vec![q.as_slice()] };
            Some(estimate(&question, vector, steps, *call.arguments.get(1)?, call))
        }
        ("histogram_quantiles", [Evaluated::Vector(vector), Evaluated::Text(label), quantiles @ ..]) => {
            let quantiles: Vec<&[f64]> = quantiles
                .iter()
                .filter_map(|quantile| match quantile {
                    Evaluated::Scalar(values) => Some(values.as_slice()),
                    Evaluated::Text(_) | Evaluated::Vector(_) => None,
                })
                .collect();
            check_quantiles(&quantiles, call.arguments.get(2..).unwrap_or_default(), call.notes);
            let question = Question::Quantiles { label: Some(label.as_str()), quantiles };
            Some(estimate(&question, vector, steps, *call.arguments.first()?, call))
        }
        ("histogram_fraction", [Evaluated::Scalar(lower), Evaluated::Scalar(upper), Evaluated::Vector(vector)]) => {
            let question = Question::Fraction { lower: lower.as_slice(), upper: upper.as_slice() };
            Some(estimate(&question, vector, steps, *call.arguments.get(2)?, call))
        }
        _ => None,
    }
}

/// Returns what `number` makes of each histogram; floats go.
fn each(vector: &mut Vector, number: impl Fn(&Histogram) -> f64) -> Vector {
    let rows = std::mem::take(&mut vector.rows).into_iter().filter_map(|row| {
        let histograms = &row.column.histograms;
        if !histograms.iter().any(Option::is_some) {
            return None;
        }
        let mut column = Column::absent(row.column.floats.len());
        for (value, histogram) in column.floats.iter_mut().zip(histograms) {
            if let Some(histogram) = histogram {
                *value = number(histogram);
            }
        }
        Some(Row { column, ..row })
    });
    Vector { rows: rows.collect() }
}

fn check_quantiles(quantiles: &[&[f64]], positions: &[Span], notes: &mut Notes) {
    for (values, position) in quantiles.iter().zip(positions) {
        for value in values.iter().filter(|value| !(0.0..=1.0).contains(*value)) {
            notes.add(Note::InvalidQuantile, &general(*value, None), *position);
        }
    }
}

/// What is asked of each histogram.
enum Question<'a> {
    /// One number per quantile; `label` tells them apart.
    Quantiles { label: Option<&'a str>, quantiles: Vec<&'a [f64]> },
    /// The part between two values.
    Fraction { lower: &'a [f64], upper: &'a [f64] },
}

/// The series of one classic histogram.
struct Classic {
    /// Without the bucket's bound.
    labels: Labels,
    drop_name: bool,
    /// Bounds, rising, and the rows that hold the counts.
    buckets: Vec<(f64, usize)>,
    /// The row with native histograms of the same labels.
    native: Option<usize>,
}

/// Series sorted by what they are.
struct Sorted {
    classics: Vec<Classic>,
    /// Rows with native histograms, and the classic histogram with the same labels.
    natives: Vec<(usize, Option<usize>)>,
}

fn sort(rows: &[Row], position: Span, notes: &mut Notes) -> Sorted {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut classics: Vec<Classic> = Vec::new();
    let mut natives = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if row.column.histograms.iter().any(Option::is_some) {
            natives.push(index);
        }
        if !row.column.floats.iter().any(|value| is_present(*value)) {
            continue;
        }
        let text = row.labels.get(BUCKET_LABEL).unwrap_or_default();
        let Some(bound) = bound(text) else {
            notes.add(Note::BadBucketLabel, &format!("{text}\0{}", row.labels.metric_name()), position);
            continue;
        };
        let labels = row.labels.filtered(|name| name != BUCKET_LABEL);
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            classics.push(Classic { labels, drop_name: row.drop_name, buckets: Vec::new(), native: None });
            classics.len() - 1
        });
        if let Some(classic) = classics.get_mut(place) {
            classic.buckets.push((bound, index));
        }
    }
    for classic in &mut classics {
        classic.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    let natives = natives.into_iter().map(|index| {
        let place = rows.get(index).and_then(|row| places.get(&row.labels)).copied();
        if let Some(classic) = place.and_then(|place| classics.get_mut(place)) {
            classic.native = Some(index);
        }
        (index, place)
    });
    let natives = natives.collect();
    Sorted { classics, natives }
}

/// Reads a bound as the exposition formats write floats.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn estimate(
    question: &Question<'_>,
    vector: &mut Vector,
    steps: usize,
    position: Span,
    call: &mut HistogramCall<'_>,
) -> Vector {
    let rows = std::mem::take(&mut vector.rows);
    let sorted = sort(&rows, position, call.notes);
    let times = call.steps;
    let of_native = sorted.natives.par_iter().map(|(index, classic)| {
        let mut notes = Notes::default();
        let classic = classic.and_then(|place| sorted.classics.get(place));
        let answers = rows.get(*index).map(|row| native(question, row, classic, &rows, steps, position, &mut notes));
        (answers.unwrap_or_default(), notes)
    });
    let of_classic = sorted.classics.par_iter().map(|classic| {
        let mut notes = Notes::default();
        (classical(question, classic, &rows, times, position, &mut notes), notes)
    });
    let answers: Vec<(Vec<Row>, Notes)> = of_native.chain(of_classic).collect();
    let mut all = Vec::new();
    for (rows, notes) in answers {
        all.extend(rows.into_iter().filter(|row| !row.column.is_empty()));
        call.notes.merge(notes);
    }
    Vector { rows: all }
}

/// Tells whether a classic histogram has a bucket at `step`.
fn has_bucket(classic: &Classic, rows: &[Row], step: usize) -> bool {
    classic.buckets.iter().any(|(_, row)| {
        rows.get(*row).and_then(|row| row.column.floats.get(step)).is_some_and(|value| is_present(*value))
    })
}

/// Answers for a series of native histograms.
fn native(
    question: &Question<'_>,
    row: &Row,
    classic: Option<&Classic>,
    rows: &[Row],
    steps: usize,
    position: Span,
    notes: &mut Notes,
) -> Vec<Row> {
    let metric = row.labels.metric_name();
    let mut answers = Answers::new(question, steps);
    for (step, histogram) in row.column.histograms.iter().enumerate() {
        let Some(histogram) = histogram else { continue };
        if classic.is_some_and(|classic| has_bucket(classic, rows, step)) {
            notes.add(Note::MixedClassicNativeHistograms, metric, position);
            continue;
        }
        answers.ask(step, |one| {
            let estimate = match one {
                One::Quantile(q) => histogram.quantile(q),
                One::Fraction(lower, upper) => histogram.fraction(lower, upper),
            };
            let note = estimate.notice.map(|notice| match notice {
                EstimateNotice::SkewedByNan => Note::QuantileNanSkew,
                EstimateNotice::IsNan => Note::QuantileNanResult,
                EstimateNotice::WithoutNan => Note::FractionNan,
            });
            if let Some(note) = note {
                notes.add(note, metric, position);
            }
            estimate.value
        });
    }
    answers.into_rows(&row.labels, row.drop_name)
}

/// Answers for a classic histogram.
fn classical(
    question: &Question<'_>,
    classic: &Classic,
    rows: &[Row],
    times: &[i64],
    position: Span,
    notes: &mut Notes,
) -> Vec<Row> {
    let columns: Vec<(f64, &[f64])> = classic
        .buckets
        .iter()
        .filter_map(|(bound, row)| Some((*bound, rows.get(*row)?.column.floats.as_slice())))
        .collect();
    let native = classic.native.and_then(|native| rows.get(native));
    let mut answers = Answers::new(question, times.len());
    let mut buckets = Vec::with_capacity(columns.len());
    for (step, time) in times.iter().enumerate() {
        buckets.clear();
        for (bound, floats) in &columns {
            match floats.get(step) {
                Some(count) if is_present(*count) => buckets.push(Bucket { bound: *bound, count: *count }),
                _ => {}
            }
        }
        if buckets.is_empty() || native.is_some_and(|native| native.column.histogram(step).is_some()) {
            continue;
        }
        let is_complete = classic::is_complete(&buckets);
        classic::join_equal(&mut buckets);
        let mut is_lifted = false;
        answers.ask(step, |one| match one {
            One::Quantile(q) => {
                // Those that are always infinite do not look at the buckets.
                if !is_lifted && is_complete && (0.0..=1.0).contains(&q) {
                    is_lifted = true;
                    if let Some(lifted) = classic::lift(&mut buckets) {
                        let metric = classic.labels.metric_name();
                        notes.forced_monotonicity(metric, position, *time, lifted.bounds, lifted.difference_max);
                    }
                }
                classic::quantile(q, &buckets)
            }
            One::Fraction(lower, upper) => classic::fraction(lower, upper, &buckets),
        });
    }
    answers.into_rows(&classic.labels, classic.drop_name)
}

/// One question at one step.
#[derive(Debug, Clone, Copy)]
enum One {
    Quantile(f64),
    Fraction(f64, f64),
}

/// What one histogram answers at all steps.
struct Answers<'a> {
    question: &'a Question<'a>,
    /// Rows of answers: the label's value for histogram_quantiles, and the numbers.
    columns: Vec<(Option<String>, Column)>,
    steps: usize,
}

impl<'a> Answers<'a> {
    fn new(question: &'a Question<'a>, steps: usize) -> Self {
        Self { question, columns: Vec::new(), steps }
    }

    fn ask(&mut self, step: usize, mut answer: impl FnMut(One) -> f64) {
        match self.question {
            Question::Fraction { lower, upper } => {
                if let (Some(lower), Some(upper)) = (lower.get(step), upper.get(step)) {
                    let value = answer(One::Fraction(*lower, *upper));
                    self.put(step, None, value);
                }
            }
            Question::Quantiles { label, quantiles } => {
                for q in quantiles.iter().filter_map(|quantile| quantile.get(step)) {
                    let value = answer(One::Quantile(*q));
                    self.put(step, label.map(|_| label_value(*q)), value);
                }
            }
        }
    }

    fn put(&mut self, step: usize, name: Option<String>, value: f64) {
        let place = self
            .columns
            .iter()
            .position(|(own, column)| *own == name && column.floats.get(step).is_some_and(|value| !is_present(*value)));
        let place = place.unwrap_or_else(|| {
            self.columns.push((name, Column::absent(self.steps)));
            self.columns.len() - 1
        });
        if let Some(cell) = self.columns.get_mut(place).and_then(|(_, column)| column.floats.get_mut(step)) {
            *cell = value;
        }
    }

    fn into_rows(self, labels: &Labels, drop_name: bool) -> Vec<Row> {
        let label = match self.question {
            Question::Quantiles { label, .. } => *label,
            Question::Fraction { .. } => None,
        };
        let with_label = |value: Option<String>| match (label, value) {
            (Some(label), Some(value)) => labels.to_builder().set(label, &value).build(),
            _ => labels.clone(),
        };
        let row = |(value, column)| Row { labels: with_label(value), drop_name, column };
        self.columns.into_iter().map(row).collect()
    }
}

/// Writes a quantile as a label's value: always with a dot or an exponent.
fn label_value(quantile: f64) -> String {
    let text = general(quantile, None);
    if quantile.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}
