//! Functions of instant vectors and scalars.

use std::cmp::Ordering;

use maru_prom::{Labels, METRIC_NAME, MatcherOperator};

use super::annotations::Note;
use super::answer::EvaluateError;
use super::column::{ABSENT, Column, Evaluated, Row, Vector, is_present};
use super::context::{Context, Frame};
use super::dates::{Date, days_in_month};
use super::evaluate::misplaced;
use super::histograms::{self, HistogramCall};
use super::over_time::OverTime;
use super::ranges::RangeFunction;
use super::rows::{Rows, Source, merge_same_labels};
use super::select::Wanted;
use crate::{Call, Expression, Type};

/// Returns the function of one float called `name`.
fn elementwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        "day_of_month" => |value| date(value).day as f64,
        "day_of_week" => |value| date(value).weekday as f64,
        "day_of_year" => |value| date(value).day_of_year as f64,
        "days_in_month" => |value| {
            let date = date(value);
            days_in_month(date.year, date.month) as f64
        },
        "hour" => |value| date(value).hour as f64,
        "minute" => |value| date(value).minute as f64,
        "month" => |value| date(value).month as f64,
        "year" => |value| date(value).year as f64,
        _ => return None,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "years beyond what an i64 of seconds holds are not told apart")]
fn date(seconds: f64) -> Date {
    // The calendar repeats far before the numbers end.
    Date::from_seconds((seconds as i64).clamp(-(1 << 56), 1 << 56))
}

/// Replaces each float by what `map` makes of it and its step; histograms go.
fn floats(column: &mut Column, map: impl Fn(f64, usize) -> f64) {
    for (step, value) in column.floats.iter_mut().enumerate() {
        if is_present(*value) {
            *value = map(*value, step);
        }
    }
    column.histograms.clear();
}

impl<'q> Context<'q> {
    /// Evaluates a call that gives an instant vector.
    pub(crate) fn call(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let name = call.function.name;
        if name == "absent_over_time" {
            return self.absent_over_time(call, frame).map(Source::Ready);
        }
        if let Some(function) = RangeFunction::named(name) {
            return self.range_source(call, function, frame);
        }
        if let Some(function) = elementwise(name) {
            let Some(argument) = call.arguments.first() else {
                // Dates without an argument are those of the evaluation.
                let steps = (0..frame.grid.steps).map(|step| function(frame.grid.at(step).div_euclid(1000) as f64));
                return Ok(Source::Ready(unnamed(steps.collect())));
            };
            let source = self.source(argument, frame, name)?;
            return self.renamed(source, frame, move |column, _| floats(column, |value, _| function(value)));
        }
        match name {
            "clamp" | "clamp_max" | "clamp_min" => self.clamp(call, frame),
            "round" => self.round(call, frame),
            "vector" => Ok(Source::Ready(unnamed(self.scalar(argument(call, 0)?, frame)?))),
            "timestamp" | "start_timestamp" => self.timestamp(call, frame),
            "absent" => self.absent(call, frame).map(Source::Ready),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, frame).map(Source::Ready),
            "label_replace" => self.label_replace(call, frame),
            "label_join" => self.label_join(call, frame),
            "info" => self.info(call, frame).map(Source::Ready),
            _ => self.histogram_call(call, frame),
        }
    }

    /// Evaluates a call that gives a scalar.
    pub(crate) fn scalar_call(&self, call: &'q Call, frame: &Frame) -> Result<Vec<f64>, EvaluateError> {
        let steps = frame.grid.steps;
        let all = |value: f64| vec![value; steps];
        Ok(match call.function.name {
            "time" => (0..steps).map(|step| frame.grid.at(step) as f64 / 1000.0).collect(),
            "pi" => all(std::f64::consts::PI),
            "start" => all(self.grid.start_ms as f64 / 1000.0),
            "end" => all(self.end_ms as f64 / 1000.0),
            "range" => all(self.range_seconds),
            "step" => all(self.step_seconds),
            "scalar" => self.scalar_of(argument(call, 0)?, frame)?,
            "min_of" | "max_of" => {
                let mut left = self.scalar(argument(call, 0)?, frame)?;
                let right = self.scalar(argument(call, 1)?, frame)?;
                let pick = if call.function.name == "min_of" { super::math::min } else { super::math::max };
                left.iter_mut().zip(right).for_each(|(left, right)| *left = pick(*left, right));
                left
            }
            name => return Err(EvaluateError::Internal(format!("the function {name} is not supported"))),
        })
    }

    /// `scalar`: the one float of each step, NaN when there is none or another.
    fn scalar_of(&self, argument: &'q Expression, frame: &Frame) -> Result<Vec<f64>, EvaluateError> {
        let vector = self.vector(argument, frame)?;
        let mut values = vec![ABSENT; frame.grid.steps];
        for row in &vector.rows {
            for (value, own) in values.iter_mut().zip(&row.column.floats) {
                if is_present(*own) {
                    *value = if is_present(*value) { f64::NAN } else { *own };
                }
            }
        }
        values.iter_mut().filter(|value| !is_present(**value)).for_each(|value| *value = f64::NAN);
        Ok(values)
    }

    fn clamp(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let bound = |index: usize| self.scalar(argument(call, index)?, frame);
        let steps = frame.grid.steps;
        let (lower, upper) = match call.function.name {
            "clamp" => (bound(1)?, bound(2)?),
            "clamp_min" => (bound(1)?, vec![f64::INFINITY; steps]),
            _ => (vec![f64::NEG_INFINITY; steps], bound(1)?),
        };
        let source = self.source(argument(call, 0)?, frame, call.function.name)?;
        self.renamed(source, frame, move |column, _| {
            floats(column, |value, step| {
                let (lower, upper) = (lower[step], upper[step]);
                if upper < lower { ABSENT } else { super::math::max(lower, super::math::min(upper, value)) }
            });
        })
    }

    fn round(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let nearest = match call.arguments.get(1) {
            Some(argument) => self.scalar(argument, frame)?,
            None => vec![1.0; frame.grid.steps],
        };
        let source = self.source(argument(call, 0)?, frame, call.function.name)?;
        self.renamed(source, frame, move |column, _| {
            floats(column, |value, step| {
                // The inverse is exact for the decimal fractions that people write; the fraction is not.
                let inverse = 1.0 / nearest[step];
                (value * inverse + 0.5).floor() / inverse
            });
        })
    }

    fn timestamp(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let inner = argument(call, 0)?.inner();
        let is_start = call.function.name == "start_timestamp";
        if let Expression::Vector(selector) = inner {
            let wanted = if is_start { Wanted::StartTimestamp } else { Wanted::Timestamp };
            let (heads, producer) = self.instant(selector, frame, call.function.name, wanted)?;
            let rows = Rows { heads, producer: Box::new(producer), frame: *frame };
            let rows = if is_start && !self.options.start_timestamps {
                rows.map(|column, _| column.reset(column.floats.len()))
            } else {
                rows
            };
            return self.renamed(Source::Lazy(rows), frame, |_, _| {});
        }
        let grid = frame.grid;
        let source = self.source(inner, frame, call.function.name)?;
        self.renamed(source, frame, move |column, _| {
            for step in 0..column.floats.len() {
                if column.has(step) {
                    column.floats[step] = if is_start { ABSENT } else { grid.at(step) as f64 / 1000.0 };
                }
            }
            column.histograms.clear();
        })
    }

    fn absent(&self, call: &'q Call, frame: &Frame) -> Result<Vector, EvaluateError> {
        let argument = argument(call, 0)?.inner();
        let source = self.source(argument, frame, call.function.name)?;
        self.absence(source.into_rows(*frame), argument, frame)
    }

    fn absent_over_time(&self, call: &'q Call, frame: &Frame) -> Result<Vector, EvaluateError> {
        let rows = self.range_call(call, RangeFunction::OverTime(OverTime::Present), frame)?;
        self.absence(rows, argument(call, 0)?.inner(), frame)
    }

    /// Returns 1 for each step at which no series has a sample.
    fn absence(&self, rows: Rows<'q>, argument: &Expression, frame: &Frame) -> Result<Vector, EvaluateError> {
        let steps = frame.grid.steps;
        let parts = self.each_chunk(&rows.frame, rows.heads.len(), super::rows::CHUNK, |range, worker| {
            let mut column = std::mem::take(&mut worker.column);
            let mut present = vec![false; steps];
            for index in range {
                column.reset(steps);
                rows.producer.produce(index, worker, &mut column)?;
                present.iter_mut().enumerate().for_each(|(step, present)| *present |= column.has(step));
            }
            worker.column = column;
            Ok(present)
        })?;
        let is_present = |step: usize| parts.iter().any(|part| part[step]);
        let floats: Vec<f64> = (0..steps).map(|step| if is_present(step) { ABSENT } else { 1.0 }).collect();
        let column = Column { floats, histograms: Vec::new() };
        if column.is_empty() {
            return Ok(Vector::default());
        }
        Ok(Vector { rows: vec![Row { labels: labels_of_absent(argument), drop_name: false, column }] })
    }

    fn sort(&self, call: &'q Call, frame: &Frame) -> Result<Vector, EvaluateError> {
        let name = call.function.name;
        if frame.grid.steps > 1 {
            self.notes().add(Note::SortInRangeQuery, "", call.span);
        }
        let mut vector = self.vector(argument(call, 0)?, frame)?;
        let is_descending = name.ends_with("_desc");
        if name.starts_with("sort_by_label") {
            let labels: Vec<String> = call.arguments.iter().skip(1).map(text).collect::<Result<_, _>>()?;
            vector.rows.sort_by(|left, right| {
                let by_labels = labels.iter().map(|label| {
                    natural(left.labels.get(label).unwrap_or_default(), right.labels.get(label).unwrap_or_default())
                });
                let order =
                    by_labels.fold(Ordering::Equal, Ordering::then).then_with(|| left.labels.cmp(&right.labels));
                if is_descending { order.reverse() } else { order }
            });
            return Ok(vector);
        }
        for row in &mut vector.rows {
            row.column.histograms.clear();
        }
        vector.rows.retain(|row| !row.column.is_empty());
        if frame.grid.steps == 1 {
            let value = |row: &Row| row.column.floats.first().copied().unwrap_or(f64::NAN);
            vector.rows.sort_by(|left, right| {
                let (left, right) = (value(left), value(right));
                // NaN comes last, whichever way.
                match (left.is_nan(), right.is_nan()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => {
                        let order = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
                        if is_descending { order.reverse() } else { order }
                    }
                }
            });
        }
        Ok(vector)
    }

    fn label_replace(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let target = label_name(call, 1, "destination")?;
        let [replacement, source_label, pattern] =
            [text(argument(call, 2)?)?, text(argument(call, 3)?)?, text(argument(call, 4)?)?];
        let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(1 << 20).build();
        let regex = regex.map_err(|_| {
            EvaluateError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        self.relabelled(call, frame, move |labels| {
            let captures = regex.captures(labels.get(&source_label).unwrap_or_default())?;
            let mut value = String::new();
            captures.expand(&replacement, &mut value);
            Some((target.clone(), value))
        })
    }

    fn label_join(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let (target, separator) = (label_name(call, 1, "destination")?, text(argument(call, 2)?)?);
        let sources = (3..call.arguments.len()).map(|index| label_name(call, index, "source"));
        let sources: Vec<String> = sources.collect::<Result<_, _>>()?;
        self.relabelled(call, frame, move |labels| {
            let values: Vec<&str> = sources.iter().map(|source| labels.get(source).unwrap_or_default()).collect();
            Some((target.clone(), values.join(&separator)))
        })
    }

    /// Sets a label of each series; series that become equal are merged or refused.
    fn relabelled(
        &self,
        call: &'q Call,
        frame: &Frame,
        label: impl Fn(&Labels) -> Option<(String, String)>,
    ) -> Result<Source<'q>, EvaluateError> {
        let mut rows = self.source(argument(call, 0)?, frame, call.function.name)?.into_rows(*frame);
        let mut seen = std::collections::HashSet::with_capacity(rows.heads.len());
        let mut is_unique = true;
        for head in &mut rows.heads {
            if let Some((name, value)) = label(&head.labels) {
                head.labels = head.labels.to_builder().set(&name, &value).build();
                if name == METRIC_NAME {
                    head.drop_name = false;
                }
            }
            is_unique &= seen.insert(head.labels.clone());
        }
        if is_unique {
            return Ok(Source::Lazy(rows));
        }
        merge_same_labels(self.collect(Source::Lazy(rows))?).map(Source::Ready)
    }

    /// Evaluates `histogram_*`.
    fn histogram_call(&self, call: &'q Call, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let name = call.function.name;
        let inside = Frame { detail: frame.detail.inside(name), ..*frame };
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(match argument.value_type() {
                Type::Scalar => Evaluated::Scalar(self.scalar(argument, frame)?),
                Type::String => Evaluated::Text(text(argument)?),
                Type::Vector => Evaluated::Vector(self.vector(argument, &inside)?),
                Type::Matrix => return Err(misplaced(argument)),
            });
        }
        let positions: Vec<crate::Span> = call.arguments.iter().map(|argument| argument.inner().span()).collect();
        let steps: Vec<i64> = (0..frame.grid.steps).map(|step| frame.grid.at(step)).collect();
        let mut notes = super::annotations::Notes::default();
        let mut surrounding = HistogramCall { arguments: &positions, steps: &steps, notes: &mut notes };
        let vector = histograms::evaluate(name, &mut arguments, &mut surrounding);
        self.notes().merge(notes);
        let vector = vector.ok_or_else(|| EvaluateError::Internal(format!("the function {name} is not supported")))?;
        // The label of `histogram_quantiles` may take the place of the one that told two series apart.
        let named = self.collect(self.renamed(Source::Ready(vector), frame, |_, _| {})?)?;
        merge_same_labels(named).map(Source::Ready)
    }
}

/// Returns argument `index`, which the parser has checked to be there.
pub(crate) fn argument(call: &Call, index: usize) -> Result<&Expression, EvaluateError> {
    call.arguments.get(index).ok_or_else(|| {
        EvaluateError::Internal(format!("{} was called without argument {}", call.function.name, index + 1))
    })
}

/// Returns the text of a string argument.
fn text(argument: &Expression) -> Result<String, EvaluateError> {
    match argument.inner() {
        Expression::String(literal) => Ok(literal.text().into_owned()),
        other => Err(misplaced(other)),
    }
}

/// Returns a string argument that names a label: some UTF-8.
fn label_name(call: &Call, index: usize, role: &str) -> Result<String, EvaluateError> {
    let argument = argument(call, index)?.inner();
    match argument {
        Expression::String(literal) => {
            literal.utf8().filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(|| {
                let name = call.function.name;
                EvaluateError::Execution(format!("invalid {role} label name in {name}(): {argument}"))
            })
        }
        other => Err(misplaced(other)),
    }
}

/// Returns a vector with one series without labels.
fn unnamed(floats: Vec<f64>) -> Vector {
    let column = Column { floats, histograms: Vec::new() };
    Vector { rows: vec![Row { labels: Labels::empty(), drop_name: false, column }] }
}

/// Returns the labels that a selector's equalities name, each once.
fn labels_of_absent(argument: &Expression) -> Labels {
    let matchers = match argument {
        Expression::Vector(selector) => &selector.matchers,
        Expression::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut builder = maru_prom::LabelsBuilder::default();
    let mut seen = std::collections::HashSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.operator() == MatcherOperator::Equal && seen.insert(matcher.name()) {
            builder.set(matcher.name(), matcher.value());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}

/// Orders texts as people do: runs of digits by their number.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left_runs, mut right_runs) = (runs(left), runs(right));
    loop {
        match (left_runs.next(), right_runs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => {
                let order = match (left.parse::<u64>(), right.parse::<u64>()) {
                    (Ok(left), Ok(right)) => left.cmp(&right),
                    _ => left.cmp(right),
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Cuts a text into runs of digits and of anything else.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|letter: char| letter.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some(run)
    })
}
