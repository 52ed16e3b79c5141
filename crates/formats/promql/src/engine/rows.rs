//! Rows: the series of an instant vector before they are computed, and how they are computed on several cores.

use std::collections::HashMap;
use std::ops::Range;

use maru_prom::{Labels, METRIC_NAME};
use rayon::prelude::*;

use super::answer::EvaluateError;
use super::column::{ABSENT, Column, Row, Vector, is_present};
use super::context::{Context, Frame, Worker, histogram_size};

/// What a row is called.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
}

/// Computes one series after the other; each once, at all steps.
pub(crate) trait Produce: Sync + Send {
    /// Writes series `index` into `out`, whose steps are all absent.
    fn produce(&self, index: usize, worker: &mut Worker, out: &mut Column) -> Result<(), EvaluateError>;
}

/// Series that are not computed yet.
pub(crate) struct Rows<'q> {
    pub(crate) heads: Vec<Head>,
    pub(crate) producer: Box<dyn Produce + 'q>,
    pub(crate) frame: Frame,
}

/// An instant vector, computed or not.
pub(crate) enum Source<'q> {
    Ready(Vector),
    Lazy(Rows<'q>),
}

/// Series that are computed already, as a producer.
struct Computed(Vec<Column>);

impl Produce for Computed {
    fn produce(&self, index: usize, _: &mut Worker, out: &mut Column) -> Result<(), EvaluateError> {
        if let Some(column) = self.0.get(index) {
            out.floats.clone_from(&column.floats);
            out.histograms.clone_from(&column.histograms);
        }
        Ok(())
    }
}

/// A change of each column.
struct Mapped<'q, F> {
    inner: Box<dyn Produce + 'q>,
    map: F,
}

impl<F: Fn(&mut Column, &mut Worker) + Sync + Send> Produce for Mapped<'_, F> {
    fn produce(&self, index: usize, worker: &mut Worker, out: &mut Column) -> Result<(), EvaluateError> {
        self.inner.produce(index, worker, out)?;
        (self.map)(out, worker);
        Ok(())
    }
}

impl<'q> Rows<'q> {
    /// Applies `map` to each column once it is computed.
    pub(crate) fn map(self, map: impl Fn(&mut Column, &mut Worker) + Sync + Send + 'q) -> Self {
        Self { producer: Box::new(Mapped { inner: self.producer, map }), ..self }
    }
}

impl<'q> Source<'q> {
    /// Applies `map` to each column.
    pub(crate) fn map(
        self,
        context: &Context<'_>,
        frame: &Frame,
        map: impl Fn(&mut Column, &mut Worker) + Sync + Send + 'q,
    ) -> Self {
        match self {
            Self::Lazy(rows) => Self::Lazy(rows.map(map)),
            Self::Ready(mut vector) => {
                let mut worker = context.worker(frame);
                for row in &mut vector.rows {
                    map(&mut row.column, &mut worker);
                }
                vector.rows.retain(|row| !row.column.is_empty());
                context.absorb(&mut worker, frame);
                Self::Ready(vector)
            }
        }
    }

    /// Returns the series as something that can be computed (again).
    pub(crate) fn into_rows(self, frame: Frame) -> Rows<'q> {
        match self {
            Self::Lazy(rows) => rows,
            Self::Ready(vector) => {
                let mut heads = Vec::with_capacity(vector.rows.len());
                let mut columns = Vec::with_capacity(vector.rows.len());
                for row in vector.rows {
                    heads.push(Head { labels: row.labels, drop_name: row.drop_name });
                    columns.push(row.column);
                }
                Rows { heads, producer: Box::new(Computed(columns)), frame }
            }
        }
    }
}

impl Column {
    /// Makes all steps absent.
    pub(crate) fn reset(&mut self, steps: usize) {
        self.floats.clear();
        self.floats.resize(steps, ABSENT);
        self.histograms.clear();
    }

    /// Returns how many samples there are; a histogram counts as its size.
    pub(crate) fn samples(&self) -> usize {
        let floats = self.floats.iter().filter(|value| is_present(**value)).count();
        floats + self.histograms.iter().flatten().map(|histogram| histogram_size(histogram)).sum::<usize>()
    }

    /// Returns how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        8 * self.floats.capacity() + 16 * self.histograms.capacity()
    }
}

/// Series that one thread computes before it looks for more.
pub(crate) const CHUNK: usize = 64;

/// Below this many values (series times steps) a second thread costs more than it gives.
const PARALLEL_VALUES_MIN: usize = 512;

impl Context<'_> {
    /// Calls `work` for `count` items in chunks of at most `chunk`, over the cores; results in the order of the chunks.
    pub(crate) fn each_chunk<T: Send>(
        &self,
        frame: &Frame,
        count: usize,
        chunk: usize,
        work: impl Fn(Range<usize>, &mut Worker) -> Result<T, EvaluateError> + Sync + Send,
    ) -> Result<Vec<T>, EvaluateError> {
        let chunk = chunk.max(1);
        let chunks = count.div_ceil(chunk);
        let one = |worker: &mut Worker, index: usize| {
            self.check()?;
            work(index * chunk..count.min((index + 1) * chunk), worker)
        };
        let sequential = chunks < 2
            || self.options.threads == 1
            || count.saturating_mul(frame.grid.steps.saturating_add(8)) < PARALLEL_VALUES_MIN;
        if sequential {
            let mut worker = self.worker(frame);
            let results = (0..chunks).map(|index| one(&mut worker, index)).collect();
            self.absorb(&mut worker, frame);
            return results;
        }
        let run = || {
            (0..chunks)
                .into_par_iter()
                .map_init(
                    || Absorbing { worker: self.worker(frame), context: self, frame },
                    |absorbing, index| one(&mut absorbing.worker, index),
                )
                .collect()
        };
        match self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
    }

    /// Computes all series; those without samples are left out.
    pub(crate) fn collect(&self, source: Source<'_>) -> Result<Vector, EvaluateError> {
        let rows = match source {
            Source::Ready(vector) => return Ok(vector),
            Source::Lazy(rows) => rows,
        };
        let steps = rows.frame.grid.steps;
        let chunk = if steps > 64 { 8 } else { CHUNK };
        let parts = self.each_chunk(&rows.frame, rows.heads.len(), chunk, |range, worker| {
            let mut part = Vec::with_capacity(range.len());
            let mut column = Column::default();
            for index in range {
                if steps > 64 {
                    self.check()?;
                }
                column.reset(steps);
                rows.producer.produce(index, worker, &mut column)?;
                let samples = column.samples();
                if samples > 0 {
                    self.hold(samples, column.bytes())?;
                    let head = &rows.heads[index];
                    let (labels, drop_name) = (head.labels.clone(), head.drop_name);
                    part.push(Row { labels, drop_name, column: std::mem::take(&mut column) });
                }
            }
            Ok(part)
        })?;
        let mut rows = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        rows.extend(parts.into_iter().flatten());
        Ok(Vector { rows })
    }

    /// Takes away the metrics' names of `heads` (with type and unit), now or, with delayed name removal, at the end.
    /// Tells whether two of them may have become equal by it.
    pub(crate) fn drop_names(&self, heads: &mut [Head]) -> bool {
        if self.options.delayed_name_removal {
            heads.iter_mut().for_each(|head| head.drop_name = true);
            return false;
        }
        let first = heads.first().map(|head| head.labels.metric_name().to_owned()).unwrap_or_default();
        let mut several = false;
        for head in heads {
            several |= head.labels.metric_name() != first || head.labels.iter().any(|(name, _)| is_type_or_unit(name));
            head.labels = without_metadata(&head.labels);
        }
        several
    }
}

/// A worker that hands over what it has gathered when its thread is done with it.
struct Absorbing<'c, 'q> {
    worker: Worker,
    context: &'c Context<'q>,
    frame: &'c Frame,
}

impl Drop for Absorbing<'_, '_> {
    fn drop(&mut self) {
        self.context.absorb(&mut self.worker, self.frame);
    }
}

fn is_type_or_unit(name: &str) -> bool {
    name == "__type__" || name == "__unit__"
}

/// Returns `labels` without the metric's name, type and unit.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.filtered(|name| name != METRIC_NAME && !is_type_or_unit(name))
}

/// The error of two series with the same labels at one moment.
pub(crate) fn same_labels() -> EvaluateError {
    EvaluateError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// Refuses two rows with the same labels.
pub(crate) fn refuse_same_labels(vector: &Vector) -> Result<(), EvaluateError> {
    let mut seen = std::collections::HashSet::with_capacity(vector.rows.len());
    if vector.rows.iter().all(|row| seen.insert(row.labels.key())) { Ok(()) } else { Err(same_labels()) }
}

/// Makes one row of those with the same labels; refuses when two of them have a sample at the same step.
pub(crate) fn merge_same_labels(vector: Vector) -> Result<Vector, EvaluateError> {
    if refuse_same_labels(&vector).is_ok() {
        return Ok(vector);
    }
    let mut merger = Merger::default();
    for row in vector.rows {
        merger.add(row)?;
    }
    Ok(merger.finish())
}

/// Gathers rows by their labels.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    places: HashMap<Labels, usize>,
    rows: Vec<Row>,
}

impl Merger {
    /// Adds a row; what it has beside one with the same labels is merged into that one.
    pub(crate) fn add(&mut self, row: Row) -> Result<(), EvaluateError> {
        let Some(place) = self.places.get(&row.labels) else {
            self.places.insert(row.labels.clone(), self.rows.len());
            self.rows.push(row);
            return Ok(());
        };
        let own = &mut self.rows[*place];
        own.drop_name |= row.drop_name;
        for step in 0..row.column.floats.len() {
            if !row.column.has(step) {
                continue;
            }
            if own.column.has(step) {
                return Err(same_labels());
            }
            own.column.set(step, row.column.cell(step));
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Vector {
        Vector { rows: self.rows }
    }
}
