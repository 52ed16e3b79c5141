//! Aggregations that must see all values of a group at once: `topk`, `bottomk`, `quantile`, `count_values`, `limitk`,
//! `limit_ratio`.

use std::cmp::Ordering;
use std::collections::HashMap;

use maru_prom::Labels;

use super::aggregate::Groups;
use super::annotations::{Note, general};
use super::answer::EvaluateError;
use super::column::{Cell, Column, Row, Vector, is_present};
use super::context::{Context, Frame};
use super::rows::Head;
use crate::{Aggregation, Aggregator, Expression, Grouping};

impl<'q> Context<'q> {
    pub(crate) fn ranked(&self, aggregation: &'q Aggregation, frame: &Frame) -> Result<Vector, EvaluateError> {
        let parameter = aggregation.parameter.as_deref().ok_or_else(|| {
            EvaluateError::Internal(format!("{} was called without a parameter", aggregation.operator))
        })?;
        if aggregation.operator == Aggregator::CountValues {
            return self.count_values(aggregation, parameter, frame);
        }
        let parameters = self.scalar(parameter, frame)?;
        let source = self.source(&aggregation.expression, frame, aggregation.operator.name())?;
        let vector = self.collect(source)?;
        if frame.grid.steps == 0 || !self.check_parameter(aggregation.operator, parameter, &parameters)? {
            return Ok(Vector::default());
        }
        let heads: Vec<Head> =
            vector.rows.iter().map(|row| Head { labels: row.labels.clone(), drop_name: row.drop_name }).collect();
        let groups = Groups::new(&heads, &aggregation.grouping);
        if aggregation.operator == Aggregator::Quantile {
            return self.quantile(aggregation, &vector, groups, &parameters);
        }
        self.choose(aggregation, vector, &groups, &parameters)
    }

    /// Refuses parameters that make no sense, notes those that make little; tells whether there can be a result.
    fn check_parameter(
        &self,
        operator: Aggregator,
        expression: &Expression,
        values: &[f64],
    ) -> Result<bool, EvaluateError> {
        let has_nan = values.iter().any(|value| value.is_nan());
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let position = expression.inner().span();
        match operator {
            Aggregator::Quantile => {
                let all = [(has_nan, f64::NAN), (max > 1.0, max), (min < 0.0, min)];
                for (_, value) in all.into_iter().filter(|(is_wrong, _)| *is_wrong) {
                    self.notes().add(Note::InvalidQuantile, &general(value, None), position);
                }
                Ok(true)
            }
            Aggregator::LimitRatio => {
                if has_nan {
                    return Err(EvaluateError::Execution("Ratio value is NaN".to_owned()));
                }
                for (is_wrong, value, capped) in [(max > 1.0, max, "1"), (min < -1.0, min, "-1")] {
                    if is_wrong {
                        let detail = format!("{}, capping to {capped}", general(value, None));
                        self.notes().add(Note::InvalidRatio, &detail, position);
                    }
                }
                Ok(max != 0.0 || min != 0.0)
            }
            _ => {
                if max < 1.0 && !has_nan {
                    return Ok(false);
                }
                if has_nan {
                    return Err(EvaluateError::Execution("Parameter value is NaN".to_owned()));
                }
                if min <= INTEGER_MIN {
                    return Err(EvaluateError::Execution(format!(
                        "Scalar value {} underflows int64",
                        general(min, None)
                    )));
                }
                if max >= -INTEGER_MIN {
                    return Err(EvaluateError::Execution(format!(
                        "Scalar value {} overflows int64",
                        general(max, None)
                    )));
                }
                Ok(true)
            }
        }
    }

    fn quantile(
        &self,
        aggregation: &Aggregation,
        vector: &Vector,
        groups: Groups,
        parameters: &[f64],
    ) -> Result<Vector, EvaluateError> {
        let position = aggregation.expression.inner().span();
        let mut result = Vector::default();
        let mut values = Vec::new();
        for group in groups.groups {
            self.check()?;
            let mut column = Column::absent(parameters.len());
            let members = || group.members.iter().map(|index| &vector.rows[*index].column);
            if members().any(|member| member.histograms.iter().any(Option::is_some)) {
                self.notes().add(Note::HistogramIgnoredInAggregation, "quantile", position);
            }
            for (step, parameter) in parameters.iter().enumerate() {
                values.clear();
                values.extend(members().map(|member| member.floats[step]).filter(|value| is_present(*value)));
                if !values.is_empty() {
                    column.floats[step] = super::math::quantile(*parameter, &mut values);
                }
            }
            if !column.is_empty() {
                result.rows.push(Row { labels: group.labels, drop_name: group.drop_name, column });
            }
        }
        Ok(result)
    }

    /// `topk`, `bottomk`, `limitk`, `limit_ratio`: series keep their labels, and have samples only where they are chosen.
    fn choose(
        &self,
        aggregation: &Aggregation,
        mut vector: Vector,
        groups: &Groups,
        parameters: &[f64],
    ) -> Result<Vector, EvaluateError> {
        let operator = aggregation.operator;
        let mut order = Vec::new();
        let shares: Vec<f64> = if operator == Aggregator::LimitRatio {
            vector.rows.iter().map(|row| share(&row.labels)).collect()
        } else {
            Vec::new()
        };
        let mut candidates: Vec<usize> = Vec::new();
        for group in &groups.groups {
            self.check()?;
            for (step, parameter) in parameters.iter().enumerate() {
                candidates.clear();
                candidates.extend(group.members.iter().filter(|index| vector.rows[**index].column.has(step)));
                match operator {
                    Aggregator::LimitRatio => {
                        let ratio = parameter.clamp(-1.0, 1.0);
                        candidates.retain(|index| {
                            let share = shares[*index];
                            (ratio >= 0.0 && share < ratio) || (ratio < 0.0 && share >= 1.0 + ratio)
                        });
                    }
                    Aggregator::Limitk => candidates.truncate(whole(*parameter)),
                    _ => {
                        let before = candidates.len();
                        candidates.retain(|index| is_present(vector.rows[*index].column.floats[step]));
                        if candidates.len() < before && *parameter >= 1.0 {
                            self.notes().add(Note::HistogramIgnoredInAggregation, operator.name(), aggregation.span);
                        }
                        best(operator, &vector, step, whole(*parameter), &mut candidates);
                    }
                }
                let mut chosen = candidates.clone();
                if parameters.len() == 1 {
                    order.extend_from_slice(&candidates);
                }
                chosen.sort_unstable();
                for index in &group.members {
                    if chosen.binary_search(index).is_err() {
                        vector.rows[*index].column.set(step, Cell::Absent);
                    }
                }
            }
        }
        if parameters.len() == 1 {
            let mut rows: Vec<Option<Row>> = vector.rows.into_iter().map(Some).collect();
            return Ok(Vector { rows: order.into_iter().filter_map(|index| rows[index].take()).collect() });
        }
        vector.rows.retain(|row| !row.column.is_empty());
        Ok(vector)
    }

    fn count_values(
        &self,
        aggregation: &'q Aggregation,
        parameter: &'q Expression,
        frame: &Frame,
    ) -> Result<Vector, EvaluateError> {
        let Expression::String(literal) = parameter.inner() else {
            return Err(super::evaluate::misplaced(parameter));
        };
        let label = literal
            .utf8()
            .filter(|label| !label.is_empty())
            .ok_or_else(|| EvaluateError::Execution(format!("invalid label name {}", parameter.inner())))?;
        let grouping = match &aggregation.grouping {
            Grouping::By(names) => Grouping::By(names.iter().cloned().chain([label.to_owned()]).collect()),
            Grouping::Without(names) => Grouping::Without(names.clone()),
        };
        let source = self.source(&aggregation.expression, frame, aggregation.operator.name())?;
        let vector = self.collect(source)?;
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut result = Vector::default();
        for row in &vector.rows {
            self.check()?;
            let mut known: HashMap<String, usize> = HashMap::new();
            for step in 0..frame.grid.steps {
                let value = match row.column.cell(step) {
                    Cell::Absent => continue,
                    Cell::Float(value) => super::math::plain(value),
                    Cell::Histogram(histogram) => histogram.to_string(),
                };
                let place = match known.get(&value) {
                    Some(place) => *place,
                    None => {
                        let labels = row.labels.to_builder().set(label, &value).build();
                        let head = [Head { labels, drop_name: false }];
                        let labels = Groups::new(&head, &grouping).groups.pop().map(|group| group.labels);
                        let labels = labels.unwrap_or_default();
                        let place = *places.entry(labels.clone()).or_insert(result.rows.len());
                        if place == result.rows.len() {
                            self.hold(frame.grid.steps, 8 * frame.grid.steps)?;
                            let column = Column::absent(frame.grid.steps);
                            result.rows.push(Row { labels, drop_name: false, column });
                        }
                        known.insert(value, place);
                        place
                    }
                };
                let count = &mut result.rows[place].column.floats[step];
                *count = if is_present(*count) { *count + 1.0 } else { 1.0 };
            }
        }
        Ok(result)
    }
}

const INTEGER_MIN: f64 = -9_223_372_036_854_775_808.0;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as wanted")]
fn whole(parameter: f64) -> usize {
    parameter as usize
}

/// Leaves the `count` best in `candidates`, the best first; NaN is the worst, and of equals the earlier one is better.
fn best(operator: Aggregator, vector: &Vector, step: usize, count: usize, candidates: &mut Vec<usize>) {
    let value = |index: usize| vector.rows[index].column.floats[step];
    let compare = |left: &usize, right: &usize| {
        let (own, other) = (value(*left), value(*right));
        let order = match (own.is_nan(), other.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if operator == Aggregator::Topk => other.partial_cmp(&own).unwrap_or(Ordering::Equal),
            (false, false) => own.partial_cmp(&other).unwrap_or(Ordering::Equal),
        };
        order.then(left.cmp(right))
    };
    if count == 0 {
        candidates.clear();
        return;
    }
    if candidates.len() > count {
        candidates.select_nth_unstable_by(count - 1, compare);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(compare);
}

/// Returns where a series lies between 0 and 1 when series are sampled: by the hash of its labels, so that it is in a
/// sample of any query or in none. The same series as in Prometheus: XXH64 over its labels, lengths in front.
fn share(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        if text.len() < 255 {
            bytes.push(length[0]);
        } else {
            bytes.push(255);
            bytes.extend_from_slice(&length[..3]);
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    super::hash::xxh64(&bytes) as f64 / u64::MAX as f64
}
