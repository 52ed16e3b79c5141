//! Walks the tree of a query and puts rows together.

use super::answer::EvaluateError;
use super::column::{ABSENT, Column, Row, Vector, is_present};
use super::context::{Context, Frame, Grid, Tally};
use super::durations::Purpose;
use super::histograms;
use super::ranges::{Origin, RangeFunction, Windows};
use super::rows::{Rows, Source, merge_same_labels, refuse_same_labels};
use super::select::{Look, Wanted};
use crate::{Call, Expression, Subquery, Type, Unary, UnaryOperator};

/// Functions that depend on the moment of evaluation, and not on their arguments alone.
const DEPEND_ON_TIME: &[&str] = &[
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// Tells whether `expression` is the same at all steps because `@` fixes all its selectors.
fn is_fixed(expression: &Expression) -> bool {
    match expression.inner() {
        Expression::Number(_) | Expression::String(_) => true,
        Expression::Vector(selector) => selector.at.is_some(),
        Expression::Matrix(matrix) => matrix.selector.at.is_some(),
        Expression::Subquery(subquery) => subquery.at.is_some(),
        Expression::Unary(unary) => is_fixed(&unary.expression),
        Expression::Binary(binary) => is_fixed(&binary.left) && is_fixed(&binary.right),
        Expression::Aggregation(aggregation) => {
            is_fixed(&aggregation.expression) && aggregation.parameter.as_deref().is_none_or(is_fixed)
        }
        Expression::Call(call) => {
            let is_safe = !DEPEND_ON_TIME.contains(&call.function.name)
                || (call.function.name == "timestamp"
                    && call.arguments.iter().all(|argument| matches!(argument.inner(), Expression::Vector(_))));
            is_safe && call.arguments.iter().all(is_fixed)
        }
        Expression::Parentheses(_) => false,
    }
}

impl<'q> Context<'q> {
    /// Evaluates an instant vector and computes all of it.
    pub(crate) fn vector(&self, expression: &'q Expression, frame: &Frame) -> Result<Vector, EvaluateError> {
        let mark = self.mark();
        let source = self.source(expression, frame, "")?;
        let vector = self.collect(source)?;
        let (mut samples, mut bytes) = (0, 0);
        for row in &vector.rows {
            samples += row.column.samples();
            bytes += row.column.bytes();
        }
        self.settle(mark, samples, bytes)?;
        Ok(vector)
    }

    /// Evaluates a scalar: one number per step.
    pub(crate) fn scalar(&self, expression: &'q Expression, frame: &Frame) -> Result<Vec<f64>, EvaluateError> {
        self.check()?;
        let steps = frame.grid.steps;
        let all = |value: f64| vec![value; steps];
        Ok(match expression.inner() {
            Expression::Number(number) => all(number.value),
            Expression::Unary(Unary { operator, expression, .. }) => {
                let mut values = self.scalar(expression, frame)?;
                if *operator == UnaryOperator::Minus {
                    values.iter_mut().for_each(|value| *value = -*value);
                }
                values
            }
            Expression::Binary(binary) => {
                let mut left = self.scalar(&binary.left, frame)?;
                let right = self.scalar(&binary.right, frame)?;
                for (left, right) in left.iter_mut().zip(right) {
                    *left = super::math::arithmetic(binary.operator, *left, right);
                }
                left
            }
            Expression::Call(call) => self.scalar_call(call, frame)?,
            Expression::String(_)
            | Expression::Vector(_)
            | Expression::Matrix(_)
            | Expression::Subquery(_)
            | Expression::Aggregation(_)
            | Expression::Parentheses(_) => return Err(misplaced(expression)),
        })
    }

    /// Evaluates an instant vector as far as needed to know which series there may be.
    ///
    /// `around` is the function or aggregation right around it.
    pub(crate) fn source(
        &self,
        expression: &'q Expression,
        frame: &Frame,
        around: &str,
    ) -> Result<Source<'q>, EvaluateError> {
        self.check()?;
        let expression = expression.inner();
        if frame.grid.steps > 1 && !matches!(expression, Expression::Number(_)) && is_fixed(expression) {
            return self.once(expression, frame, around);
        }
        match expression {
            Expression::Vector(selector) => {
                let (heads, producer) = self.instant(selector, frame, around, Wanted::Value)?;
                Ok(Source::Lazy(Rows { heads, producer: Box::new(producer), frame: *frame }))
            }
            Expression::Call(call) => self.call(call, frame),
            Expression::Unary(unary) => self.unary(unary, frame),
            Expression::Binary(binary) => self.binary(binary, frame),
            Expression::Aggregation(aggregation) => self.aggregation(aggregation, frame).map(Source::Ready),
            Expression::Number(_)
            | Expression::String(_)
            | Expression::Matrix(_)
            | Expression::Subquery(_)
            | Expression::Parentheses(_) => Err(misplaced(expression)),
        }
    }

    /// Evaluates what is the same at all steps once, and repeats it.
    fn once(&self, expression: &'q Expression, frame: &Frame, around: &str) -> Result<Source<'q>, EvaluateError> {
        let tally = if frame.tally == Tally::Steps { Tally::EachStep } else { frame.tally };
        let one = Frame { grid: Grid::one(frame.grid.start_ms), tally, ..*frame };
        let source = self.source(expression, &one, around)?;
        let mut vector = self.collect(source)?;
        let steps = frame.grid.steps;
        for row in &mut vector.rows {
            let histogram = row.column.histogram(0).cloned();
            let float = row.column.floats.first().copied().unwrap_or(ABSENT);
            row.column.floats = vec![float; steps];
            row.column.histograms = if histogram.is_some() { vec![histogram; steps] } else { Vec::new() };
            self.hold(row.column.samples(), row.column.bytes())?;
        }
        Ok(Source::Ready(vector))
    }

    fn unary(&self, unary: &'q Unary, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let source = self.source(&unary.expression, frame, "")?;
        if unary.operator == UnaryOperator::Plus {
            return Ok(source);
        }
        self.renamed(source, frame, |column, _| {
            for value in &mut column.floats {
                if is_present(*value) {
                    *value = -*value;
                }
            }
            for histogram in column.histograms.iter_mut().flatten() {
                *histogram = std::sync::Arc::new(histograms::negate(histogram));
            }
        })
    }

    /// Applies `map` to each column and takes the metrics' names away. When two series become equal by that, they are
    /// merged, or refused when both have a sample at one step.
    pub(crate) fn renamed(
        &self,
        source: Source<'q>,
        frame: &Frame,
        map: impl Fn(&mut Column, &mut super::context::Worker) + Sync + Send + 'q,
    ) -> Result<Source<'q>, EvaluateError> {
        let mut rows = source.map(self, frame, map).into_rows(*frame);
        if self.drop_names(&mut rows.heads) {
            return Ok(Source::Ready(merge_same_labels(self.collect(Source::Lazy(rows))?)?));
        }
        Ok(Source::Lazy(rows))
    }

    /// Evaluates a function over the windows of a selector or subquery.
    pub(crate) fn range_call(
        &self,
        call: &'q Call,
        function: RangeFunction,
        frame: &Frame,
    ) -> Result<Rows<'q>, EvaluateError> {
        let name = call.function.name;
        let mut scalars = Vec::new();
        let mut window = None;
        for argument in &call.arguments {
            match argument.inner() {
                Expression::Matrix(_) | Expression::Subquery(_) => window = Some(argument.inner()),
                other if other.value_type() == Type::Scalar => scalars.push(self.scalar(other, frame)?),
                _ => {}
            }
        }
        let (origin, look, range_ms, extension) = match window {
            Some(Expression::Matrix(matrix)) => {
                let extension = matrix.selector.extension;
                function.check_extension(name, extension)?;
                let look = self.look(matrix.selector.at, &matrix.selector.offset, frame)?;
                let (series, range_ms) = self.range_series(matrix, &look, frame, name)?;
                (Origin::Series(series), look, range_ms, extension)
            }
            Some(Expression::Subquery(subquery)) => {
                let (vector, inner, look, range_ms) = self.subquery(subquery, frame, Tally::Nothing)?;
                (Origin::Subquery(vector, inner), look, range_ms, crate::Extension::None)
            }
            _ => return Err(EvaluateError::Internal(format!("{name} was called without a range vector"))),
        };
        let position = call.arguments.first().map(|argument| argument.inner().span()).unwrap_or_default();
        let heads = origin.heads();
        let windows = Windows {
            function,
            origin,
            look,
            range_ms,
            lookback_ms: self.lookback_ms,
            extension,
            scalars,
            position,
            start_timestamps: self.options.start_timestamps,
            type_and_unit_labels: self.options.type_and_unit_labels,
        };
        Ok(Rows { heads, producer: Box::new(windows), frame: *frame })
    }

    /// Evaluates a function over windows, its answer called as it should be.
    pub(crate) fn range_source(
        &self,
        call: &'q Call,
        function: RangeFunction,
        frame: &Frame,
    ) -> Result<Source<'q>, EvaluateError> {
        let mut rows = self.range_call(call, function, frame)?;
        if !function.keeps_name() && self.drop_names(&mut rows.heads) {
            let vector = self.collect(Source::Lazy(rows))?;
            refuse_same_labels(&vector)?;
            return Ok(Source::Ready(vector));
        }
        Ok(Source::Lazy(rows))
    }

    /// Evaluates the inner expression of a subquery at all moments that any of its windows sees. Returns its answer and
    /// these moments, where the windows are, and how long.
    pub(crate) fn subquery(
        &self,
        subquery: &'q Subquery,
        frame: &Frame,
        tally: Tally,
    ) -> Result<(Vector, Grid, Look, i64), EvaluateError> {
        let look = self.look(subquery.at, &subquery.offset, frame)?;
        let range_ms = self.milliseconds(&subquery.range, Purpose::Length)?;
        let step_ms = match &subquery.step {
            Some(step) => self.milliseconds(step, Purpose::Length)?,
            None => self.options.default_subquery_step_ms,
        }
        .max(1);
        let (first, last) = look.bounds();
        // The first multiple of the step behind the open left end.
        let begin = first.saturating_sub(range_ms);
        let start_ms = begin.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let grid = Grid::new(start_ms, last, step_ms);
        if grid.steps == 0 || frame.grid.steps == 0 {
            return Ok((Vector::default(), grid, look, range_ms));
        }
        self.check_steps(&grid)?;
        // Its answers lie too far apart to tell resets from hints.
        let inner = Frame { grid, tally, detail: histograms::Detail::AlwaysBuckets };
        let expression = subquery.expression.inner();
        let vector = if expression.value_type() == Type::Scalar {
            let floats = self.scalar(expression, &inner)?;
            let column = Column { floats, histograms: Vec::new() };
            Vector { rows: vec![Row { labels: maru_prom::Labels::empty(), drop_name: false, column }] }
        } else {
            self.vector(expression, &inner)?
        };
        Ok((vector, grid, look, range_ms))
    }

    /// Refuses more moments than one column may have.
    pub(crate) fn check_steps(&self, grid: &Grid) -> Result<(), EvaluateError> {
        let bytes = (grid.steps as u64).saturating_mul(8);
        if bytes > self.options.memory_bytes_max || grid.steps as u64 > self.options.samples_max {
            return Err(EvaluateError::Execution(format!(
                "{} steps are more than samples_max ({}) or memory_bytes_max ({}) allow for a single series; \
                 lengthen the step or shorten the time range",
                grid.steps, self.options.samples_max, self.options.memory_bytes_max
            )));
        }
        Ok(())
    }
}

/// The parser lets nothing stand where it does not fit.
pub(crate) fn misplaced(expression: &Expression) -> EvaluateError {
    EvaluateError::Internal(format!("a {} stands where it cannot be evaluated", expression.value_type()))
}
