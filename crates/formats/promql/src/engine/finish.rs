//! Makes an answer of what was evaluated.

use super::annotations::Annotations;
use super::answer::{Answer, EvaluateError, Sample, SampleRow, SampleValue, Statistics, Value};
use super::column::{Cell, Vector, is_present};
use super::context::{Context, Frame, Grid, Tally};
use super::options::When;
use super::rate::edges;
use super::rows::{merge_same_labels, without_metadata};
use super::select::{read, strip_markers};
use super::window::Window;
use crate::source::Samples;
use crate::{Expression, Extension, MatrixSelector, Type};

impl<'q> Context<'q> {
    /// Evaluates the whole query.
    pub(crate) fn answer(&self, expression: &'q Expression) -> Result<Answer, EvaluateError> {
        let frame = Frame { grid: self.grid, tally: Tally::Steps, detail: super::histograms::Detail::default() };
        let before = self.elapsed();
        let is_instant = matches!(self.evaluation.when, When::Instant { .. });
        let timestamp_ms = self.grid.start_ms;
        let expression = expression.inner();
        let (value, sort) = match expression.value_type() {
            Type::String => {
                let Expression::String(literal) = expression else {
                    return Err(super::evaluate::misplaced(expression));
                };
                (Value::Text { timestamp_ms, value: literal.text().into_owned() }, std::time::Duration::ZERO)
            }
            Type::Matrix => (self.matrix(expression, &frame)?, std::time::Duration::ZERO),
            Type::Scalar => {
                let values = self.scalar(expression, &frame)?;
                let value = if is_instant {
                    Value::Scalar { timestamp_ms, value: values.first().copied().unwrap_or(f64::NAN) }
                } else {
                    let floats = values.into_iter().enumerate().map(|(step, value)| (self.grid.at(step), value));
                    Value::Matrix(vec![SampleRow { floats: floats.collect(), ..SampleRow::default() }])
                };
                (value, std::time::Duration::ZERO)
            }
            Type::Vector => {
                let vector = self.named(self.vector(expression, &frame)?)?;
                // The answer stands beside the columns while it is made.
                self.hold(0, 16 * vector.rows.iter().map(|row| row.column.floats.len()).sum::<usize>())?;
                let sorting = self.elapsed();
                let value =
                    if is_instant { instant(vector, timestamp_ms) } else { Value::Matrix(range(vector, &self.grid)) };
                (value, self.elapsed().saturating_sub(sorting))
            }
        };
        let (notes, statistics) = self.finish();
        let evaluate = self.elapsed().saturating_sub(before).saturating_sub(statistics.prepare).saturating_sub(sort);
        let statistics = Statistics { evaluate, sort, ..statistics };
        Ok(Answer { value, annotations: Annotations::new(notes), statistics })
    }

    /// Takes the names away that were only marked so far.
    fn named(&self, mut vector: Vector) -> Result<Vector, EvaluateError> {
        if !self.options.delayed_name_removal {
            return Ok(vector);
        }
        let mut is_changed = false;
        for row in vector.rows.iter_mut().filter(|row| row.drop_name) {
            row.labels = without_metadata(&row.labels);
            is_changed = true;
        }
        if is_changed { merge_same_labels(vector) } else { Ok(vector) }
    }

    /// Evaluates a range selector or subquery that is the whole query.
    fn matrix(&self, expression: &'q Expression, frame: &Frame) -> Result<Value, EvaluateError> {
        if frame.grid.steps != 1 {
            return Err(EvaluateError::BadData(
                "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector".to_owned(),
            ));
        }
        match expression {
            Expression::Matrix(matrix) => self.samples_of(matrix, frame),
            Expression::Subquery(subquery) => {
                let (vector, grid, _, _) = self.subquery(subquery, frame, Tally::EachStep)?;
                Ok(Value::Matrix(range(self.named(vector)?, &grid)))
            }
            _ => Err(super::evaluate::misplaced(expression)),
        }
    }

    fn samples_of(&self, matrix: &'q MatrixSelector, frame: &Frame) -> Result<Value, EvaluateError> {
        let look = self.look(matrix.selector.at, &matrix.selector.offset, frame)?;
        let (series, range_ms) = self.range_series(matrix, &look, frame, "")?;
        let extension = matrix.selector.extension;
        let end_ms = look.moment(0);
        let start_ms = end_ms.saturating_sub(range_ms);
        let (behind, ahead) = match extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback_ms, 0),
            Extension::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        let rows = self.each_chunk(frame, series.len(), super::rows::CHUNK, |range, worker| {
            let mut rows = Vec::new();
            for series in &series[range] {
                read(&**series, worker)?;
                strip_markers(&mut worker.samples);
                let samples = std::mem::take(&mut worker.samples);
                let row = inside(&samples, start_ms - behind, end_ms + ahead);
                worker.samples = samples;
                let row = if extension == Extension::None { row } else { extended(&row, extension, start_ms, end_ms)? };
                if row.floats.is_empty() && row.histograms.is_empty() {
                    continue;
                }
                let histograms = row.histograms.iter().map(|(_, histogram)| super::context::histogram_size(histogram));
                let size = row.floats.len() + histograms.sum::<usize>();
                worker.count(0, size);
                self.hold(size, 16 * (row.floats.len() + row.histograms.len()))?;
                rows.push(SampleRow { labels: series.labels().clone(), ..row });
            }
            Ok(rows)
        })?;
        let mut rows: Vec<SampleRow> = rows.into_iter().flatten().collect();
        rows.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(Value::Matrix(rows))
    }
}

/// Returns the samples after `start_ms` and not after `end_ms`.
fn inside(samples: &Samples, start_ms: i64, end_ms: i64) -> SampleRow {
    let is_inside = |at: i64| at > start_ms && at <= end_ms;
    let floats = samples.timestamps.iter().copied().zip(samples.values.iter().copied());
    let histograms = samples.histograms.iter().filter(|(at, _)| is_inside(*at));
    SampleRow {
        floats: floats.filter(|(at, _)| is_inside(*at)).collect(),
        histograms: histograms.cloned().collect(),
        ..SampleRow::default()
    }
}

/// `anchored` and `smoothed`: values at both edges and the samples between.
fn extended(row: &SampleRow, extension: Extension, start_ms: i64, end_ms: i64) -> Result<SampleRow, EvaluateError> {
    let is_smoothed = extension == Extension::Smoothed;
    if !row.histograms.is_empty() {
        let name = if is_smoothed { "smoothed" } else { "anchored" };
        return Err(EvaluateError::Execution(format!("{name} modifier is not supported with histograms")));
    }
    let (timestamps, values): (Vec<i64>, Vec<f64>) = row.floats.iter().copied().unzip();
    let window = Window {
        timestamps: &timestamps,
        values: &values,
        starts: &[],
        histograms: &[],
        histogram_starts: &[],
        start_ms,
        end_ms,
    };
    let Some(edges) = edges(&window, is_smoothed, false) else { return Ok(SampleRow::default()) };
    let between = row.floats.get(edges.inside).unwrap_or_default().iter().copied();
    let floats = [(start_ms, edges.left)].into_iter().chain(between).chain([(end_ms, edges.right)]).collect();
    Ok(SampleRow { floats, ..SampleRow::default() })
}

fn instant(vector: Vector, timestamp_ms: i64) -> Value {
    let samples = vector.rows.into_iter().filter_map(|row| {
        let value = match row.column.cell(0) {
            Cell::Absent => return None,
            Cell::Float(value) => SampleValue::Float(value),
            Cell::Histogram(histogram) => SampleValue::Histogram(histogram),
        };
        Some(Sample { labels: row.labels, timestamp_ms, value })
    });
    Value::Vector(samples.collect())
}

fn range(mut vector: Vector, grid: &Grid) -> Vec<SampleRow> {
    vector.rows.sort_by(|left, right| left.labels.cmp(&right.labels));
    let rows = vector.rows.into_iter().map(|row| {
        let mut floats = Vec::with_capacity(row.column.floats.len());
        let present = row.column.floats.iter().enumerate().filter(|(_, value)| is_present(**value));
        floats.extend(present.map(|(step, value)| (grid.at(step), *value)));
        let histograms = row.column.histograms.into_iter().enumerate();
        let histograms =
            histograms.filter_map(|(step, histogram)| histogram.map(|histogram| (grid.at(step), histogram)));
        SampleRow { labels: row.labels, floats, histograms: histograms.collect() }
    });
    rows.collect()
}
