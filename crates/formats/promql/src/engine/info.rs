//! `info`: adds the labels of info metrics to the series of the same job and instance.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use maru_prom::{Labels, METRIC_NAME, Matcher, MatcherOperator};

use super::answer::EvaluateError;
use super::calls::argument;
use super::column::{Cell, Column, Row, Vector};
use super::context::{Context, Frame};
use super::durations::Purpose;
use super::rows::{Merger, Rows, Source};
use super::select::Wanted;
use crate::{At, Call, DurationValue, Expression, MatrixSelector, VectorSelector};

/// The labels that a series and its info metric share.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric that is meant when none is named.
const TARGET_INFO: &str = "target_info";

/// More values than this are not put into the pattern that narrows the selection.
const PATTERN_VALUES_MAX: usize = 500;

impl<'q> Context<'q> {
    pub(crate) fn info(&self, call: &'q Call, frame: &Frame) -> Result<Vector, EvaluateError> {
        let expression = argument(call, 0)?;
        let base = self.vector(expression, frame)?;
        let selector = match call.arguments.get(1).map(Expression::inner) {
            Some(Expression::Vector(selector)) => Some(selector),
            _ => None,
        };
        let (names, data) = conditions(selector)?;
        let is_info = |labels: &Labels| names.iter().all(|matcher| matcher.matches(labels.metric_name()));
        let infos = self.info_series(expression, &base, &names, &data, frame, &is_info)?;
        self.combine(base, &infos, &data, frame, &is_info)
    }

    /// Finds the info series of the identifying labels of `base`; their values are when their samples were taken.
    fn info_series(
        &self,
        expression: &Expression,
        base: &Vector,
        names: &[Matcher],
        data: &[Matcher],
        frame: &Frame,
        is_info: &dyn Fn(&Labels) -> bool,
    ) -> Result<Vec<Row>, EvaluateError> {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in base.rows.iter().filter(|row| !is_info(&row.labels)) {
            for label in IDENTIFYING {
                if let Some(value) = row.labels.get(label) {
                    values.entry(label).or_default().insert(value);
                }
            }
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut matchers: Vec<Matcher> = names.iter().chain(data).cloned().collect();
        for (label, values) in values.iter().filter(|(_, values)| values.len() <= PATTERN_VALUES_MAX) {
            let pattern = values.iter().map(|value| regex::escape(value)).collect::<Vec<_>>().join("|");
            matchers.extend(Matcher::new(label, MatcherOperator::Matches, &pattern).ok());
        }
        let (at, offset_ms) = self.info_moment(expression)?;
        let wanted = VectorSelector {
            name: String::new(),
            matchers,
            offset: DurationValue::Fixed(offset_ms),
            at,
            extension: crate::Extension::None,
            span: expression.span(),
        };
        let (heads, producer) = self.instant(&wanted, frame, "info", Wanted::FloatTimestamp)?;
        let rows = Rows { heads, producer: Box::new(producer), frame: *frame };
        let mut rows = self.collect(Source::Lazy(rows))?.rows;
        if let Some(row) = rows.iter().find(|row| !row.column.histograms.is_empty()) {
            return Err(EvaluateError::Execution(format!(
                "this should be an info metric, with float samples: {}",
                super::text_of(&row.labels)
            )));
        }
        rows.retain(|row| {
            values.iter().all(|(label, values)| values.contains(row.labels.get(label).unwrap_or_default()))
        });
        Ok(rows)
    }

    /// Returns `@` and `offset` of the first selector inside, which hold for the info series too.
    fn info_moment(&self, expression: &Expression) -> Result<(Option<At>, i64), EvaluateError> {
        let mut found = None;
        expression.walk(&mut |node, path| {
            let selector = match node {
                Expression::Vector(selector) | Expression::Matrix(MatrixSelector { selector, .. }) => selector,
                _ => return,
            };
            if found.is_none() {
                let outer = path.iter().rev().filter_map(|node| match node {
                    Expression::Subquery(subquery) => Some((subquery.at, &subquery.offset)),
                    _ => None,
                });
                found = Some((selector.at, vec![&selector.offset], outer.collect::<Vec<_>>()));
            }
        });
        let Some((mut at, mut offsets, outer)) = found else { return Ok((None, 0)) };
        for (outer_at, offset) in outer {
            if at.is_none() {
                offsets.push(offset);
                at = outer_at;
            }
        }
        let mut offset_ms = 0_i64;
        for offset in offsets {
            offset_ms = offset_ms.saturating_add(self.milliseconds(offset, Purpose::Offset)?);
        }
        Ok((at, offset_ms))
    }

    fn combine(
        &self,
        base: Vector,
        infos: &[Row],
        data: &[Matcher],
        frame: &Frame,
        is_info: &dyn Fn(&Labels) -> bool,
    ) -> Result<Vector, EvaluateError> {
        let steps = frame.grid.steps;
        // By the identifying labels, then by the metric's name.
        let mut by_identity: HashMap<Labels, BTreeMap<&str, Vec<&Row>>> = HashMap::new();
        for row in infos {
            let identity = row.labels.filtered(|name| IDENTIFYING.contains(&name));
            by_identity.entry(identity).or_default().entry(row.labels.metric_name()).or_default().push(row);
        }
        let keeps_unmatched = data.iter().all(|matcher| matcher.matches(""));
        let mut merger = Merger::default();
        for row in base.rows {
            self.check()?;
            if is_info(&row.labels) {
                merger.add(row)?;
                continue;
            }
            let identity = row.labels.filtered(|name| IDENTIFYING.contains(&name));
            let none = BTreeMap::new();
            let candidates = by_identity.get(&identity).unwrap_or(&none);
            let mut outputs: Vec<(Vec<&Labels>, Column)> = Vec::new();
            for step in 0..steps {
                let cell = row.column.cell(step);
                if cell == Cell::Absent {
                    continue;
                }
                let mut chosen = Vec::new();
                for rows in candidates.values() {
                    chosen.extend(latest(rows, step)?);
                }
                if chosen.is_empty() && !keeps_unmatched {
                    continue;
                }
                let place = match outputs.iter().position(|(own, _)| *own == chosen) {
                    Some(place) => place,
                    None => {
                        outputs.push((chosen, Column::absent(steps)));
                        outputs.len() - 1
                    }
                };
                outputs[place].1.set(step, cell);
            }
            for (chosen, column) in outputs {
                let labels = with_info(&row.labels, &chosen, data)?;
                merger.add(Row { labels, drop_name: row.drop_name, column })?;
            }
        }
        Ok(merger.finish())
    }
}

/// Returns the conditions on the info metric's name, and those on its other labels.
fn conditions(selector: Option<&VectorSelector>) -> Result<(Vec<Matcher>, Vec<Matcher>), EvaluateError> {
    let new = |operator: MatcherOperator, value: &str| {
        Matcher::new(METRIC_NAME, operator, value).map_err(|error| EvaluateError::Internal(error.to_string()))
    };
    let all = selector.map(|selector| selector.matchers.clone()).unwrap_or_default();
    let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
        all.into_iter().partition(|matcher| matcher.name() == METRIC_NAME);
    let is_positive =
        |matcher: &Matcher| matches!(matcher.operator(), MatcherOperator::Equal | MatcherOperator::Matches);
    if names.is_empty() {
        names.push(new(MatcherOperator::Equal, TARGET_INFO)?);
    } else if !names.iter().any(is_positive) {
        names.insert(0, new(MatcherOperator::Matches, ".+_info")?);
    }
    Ok((names, data))
}

/// Returns the labels of the series whose sample at `step` is the latest.
fn latest<'r>(rows: &[&'r Row], step: usize) -> Result<Option<&'r Labels>, EvaluateError> {
    let mut best: Option<(f64, &Labels)> = None;
    for row in rows {
        let taken = match row.column.cell(step) {
            Cell::Absent | Cell::Histogram(_) => continue,
            Cell::Float(taken) => taken,
        };
        #[expect(clippy::float_cmp, reason = "times of the same sample grid")]
        match best {
            Some((own, labels)) if own == taken => {
                let at_ms = taken * 1000.0;
                return Err(EvaluateError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {at_ms:.0}, new {} @ {at_ms:.0}",
                    super::text_of(labels),
                    super::text_of(&row.labels)
                )));
            }
            Some((own, _)) if own > taken => {}
            _ => best = Some((taken, &row.labels)),
        }
    }
    Ok(best.map(|(_, labels)| labels))
}

/// Adds the labels of info series that `data` names (all when it names none).
fn with_info(base: &Labels, infos: &[&Labels], data: &[Matcher]) -> Result<Labels, EvaluateError> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for info in infos {
        for (name, value) in info.iter() {
            let is_wanted = data.is_empty() || data.iter().any(|matcher| matcher.name() == name);
            if name == METRIC_NAME || !is_wanted {
                continue;
            }
            if added.get(name).is_some_and(|own| *own != value) {
                return Err(EvaluateError::Execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut builder = base.to_builder();
    for (name, value) in added {
        builder.set(name, value);
    }
    Ok(builder.build())
}
