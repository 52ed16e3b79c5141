//! Finds partners among the series of two vectors, and computes each pair at all steps.

use std::collections::HashMap;

use maru_prom::{Labels, LabelsBuilder, METRIC_NAME};

use super::annotations::Notes;
use super::answer::EvaluateError;
use super::binary::{makes_new, operate};
use super::column::{Cell, Column, Row, Vector, is_present};
use super::context::Context;
use super::math::{arithmetic, compare};
use super::rows::same_labels;
use crate::{Binary, BinaryOperator, Cardinality, VectorMatching};

/// Numbers the sets of values that matching goes by.
pub(crate) struct Signatures<'m> {
    matching: &'m VectorMatching,
    names: Vec<&'m str>,
    pub(crate) places: HashMap<Labels, usize>,
}

impl<'m> Signatures<'m> {
    pub(crate) fn new(matching: &'m VectorMatching) -> Self {
        let mut names: Vec<&str> = matching.labels.iter().map(String::as_str).collect();
        names.sort_unstable();
        Self { matching, names, places: HashMap::new() }
    }

    /// Returns the labels that `labels` is matched by.
    fn labels(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| {
            let is_named = self.names.binary_search(&name).is_ok();
            if self.matching.on { is_named } else { !is_named && name != METRIC_NAME }
        })
    }

    /// Returns the number of each row.
    pub(crate) fn all(&mut self, vector: &Vector) -> Vec<usize> {
        let mut numbers = Vec::with_capacity(vector.rows.len());
        for row in &vector.rows {
            let next = self.places.len();
            numbers.push(*self.places.entry(self.labels(&row.labels)).or_insert(next));
        }
        numbers
    }
}

/// Matches the series of two vectors and computes each pair.
pub(crate) struct Matcher<'c, 'q> {
    pub(crate) context: &'c Context<'q>,
    pub(crate) binary: &'c Binary,
    pub(crate) matching: &'c VectorMatching,
    /// The right side is the one with many.
    pub(crate) is_swapped: bool,
    pub(crate) fill_many: Option<f64>,
    pub(crate) fill_one: Option<f64>,
    pub(crate) steps: usize,
    /// Places of result rows by their labels.
    pub(crate) outputs: HashMap<Labels, usize>,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Notes,
}

/// Rows of both sides with one signature.
#[derive(Debug, Clone, Default)]
struct Pairing {
    many: Vec<usize>,
    one: Vec<usize>,
}

impl Matcher<'_, '_> {
    pub(crate) fn run(&mut self, many: &Vector, one: &Vector) -> Result<(), EvaluateError> {
        let mut signatures = Signatures::new(self.matching);
        let many_signatures = signatures.all(many);
        let one_signatures = signatures.all(one);
        let mut pairings = vec![Pairing::default(); signatures.places.len()];
        for (row, signature) in many_signatures.iter().enumerate() {
            pairings[*signature].many.push(row);
        }
        for (row, signature) in one_signatures.iter().enumerate() {
            pairings[*signature].one.push(row);
        }
        // The steps at which a side has any sample: without one, duplicates of the other do not matter.
        let any = |vector: &Vector| {
            let mut present = vec![false; self.steps];
            for row in &vector.rows {
                present.iter_mut().enumerate().for_each(|(step, present)| *present |= row.column.has(step));
            }
            present
        };
        let has_fill = self.fill_many.is_some() || self.fill_one.is_some();
        let has_duplicates = pairings.iter().any(|pairing| pairing.one.len() > 1);
        let has_many = if has_duplicates && !has_fill { any(many) } else { vec![true; self.steps] };
        // In the order of the side with many; then what only the other side has.
        let mut is_done = vec![false; pairings.len()];
        for signature in many_signatures.iter().chain(&one_signatures) {
            if !std::mem::replace(&mut is_done[*signature], true) {
                self.context.check()?;
                let pairing = std::mem::take(&mut pairings[*signature]);
                self.pairing(&pairing, many, one, &has_many)?;
            }
        }
        Ok(())
    }

    fn pairing(
        &mut self,
        pairing: &Pairing,
        many: &Vector,
        one: &Vector,
        has_many: &[bool],
    ) -> Result<(), EvaluateError> {
        if pairing.one.len() > 1 {
            self.refuse_duplicates(pairing, one, has_many)?;
        }
        let has_fill = self.fill_many.is_some() || self.fill_one.is_some();
        let may_be_many = pairing.many.len() == 1 || self.matching.cardinality != Cardinality::OneToOne;
        if let ([right], true, false) = (&pairing.one[..], may_be_many, has_fill) {
            return pairing.many.iter().try_for_each(|left| self.pair(&many.rows[*left], &one.rows[*right]));
        }
        let mut is_matched = vec![false; self.steps];
        let fill_labels = if has_fill {
            let row =
                pairing.many.first().map(|row| &many.rows[*row]).or(pairing.one.first().map(|row| &one.rows[*row]));
            row.map(|row| Signatures::new(self.matching).labels(&row.labels)).unwrap_or_default()
        } else {
            Labels::empty()
        };
        for row in &pairing.many {
            let left = &many.rows[*row];
            let mut outputs: Vec<Option<usize>> = vec![None; pairing.one.len() + 1];
            for (step, is_matched) in is_matched.iter_mut().enumerate() {
                let cell = left.column.cell(step);
                if cell == Cell::Absent {
                    continue;
                }
                let found = pairing.one.iter().position(|row| one.rows[*row].column.has(step));
                let (place, other, labels) = match (found, self.fill_one) {
                    (Some(place), _) => {
                        let right = &one.rows[pairing.one[place]];
                        (place, right.column.cell(step), &right.labels)
                    }
                    (None, Some(fill)) => (pairing.one.len(), Cell::Float(fill), &fill_labels),
                    (None, None) => continue,
                };
                let is_first = !std::mem::replace(is_matched, true);
                let output = match outputs[place] {
                    Some(output) => output,
                    None => self.output(&left.labels, left.drop_name, labels),
                };
                outputs[place] = Some(output);
                self.compute(output, step, &cell, &other, is_first)?;
            }
        }
        let Some(fill) = self.fill_many else { return Ok(()) };
        for row in &pairing.one {
            let right = &one.rows[*row];
            let mut output = None;
            for (step, is_matched) in is_matched.iter().enumerate() {
                let cell = right.column.cell(step);
                if cell == Cell::Absent || *is_matched {
                    continue;
                }
                let place = *output.get_or_insert_with(|| self.output(&fill_labels, false, &right.labels));
                self.compute(place, step, &Cell::Float(fill), &cell, true)?;
            }
        }
        Ok(())
    }

    /// The usual case: one series on the side with one, which each series on the other meets alone.
    fn pair(&mut self, left: &Row, right: &Row) -> Result<(), EvaluateError> {
        let operator = self.binary.operator;
        let is_float = left.column.histograms.is_empty()
            && right.column.histograms.is_empty()
            && !matches!(operator, BinaryOperator::TrimUpper | BinaryOperator::TrimLower);
        let output = self.output(&left.labels, left.drop_name, &right.labels);
        if !is_float || !self.rows[output].column.is_empty() {
            for step in 0..self.steps {
                let (cell, other) = (left.column.cell(step), right.column.cell(step));
                if cell != Cell::Absent && other != Cell::Absent {
                    self.compute(output, step, &cell, &other, true)?;
                }
            }
            return Ok(());
        }
        let is_filter = operator.is_comparison() && !self.binary.returns_bool;
        let column = &mut self.rows[output].column;
        for (place, (many, one)) in column.floats.iter_mut().zip(left.column.floats.iter().zip(&right.column.floats)) {
            if !is_present(*many) || !is_present(*one) {
                continue;
            }
            let (left, right) = if self.is_swapped { (*one, *many) } else { (*many, *one) };
            if !is_filter {
                *place = arithmetic(operator, left, right);
            } else if compare(operator, left, right) {
                *place = left;
            }
        }
        Ok(())
    }

    /// Computes one pair at one step. `is_first`: no other one of the group was computed at it.
    fn compute(
        &mut self,
        output: usize,
        step: usize,
        many: &Cell,
        one: &Cell,
        is_first: bool,
    ) -> Result<(), EvaluateError> {
        let (left, right) = if self.is_swapped { (one, many) } else { (many, one) };
        let (cell, holds) = operate(self.binary.operator, left, right, self.binary.span, &mut self.notes);
        if cell == Cell::Absent {
            return Ok(());
        }
        if self.matching.cardinality == Cardinality::OneToOne && !is_first {
            return Err(EvaluateError::Execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    .to_owned(),
            ));
        }
        let cell = match cell {
            _ if self.binary.returns_bool => Cell::Float(f64::from(u8::from(holds))),
            _ if !holds => return Ok(()),
            cell => cell,
        };
        let column = &mut self.rows[output].column;
        if column.has(step) {
            return Err(if self.matching.cardinality == Cardinality::OneToOne {
                same_labels()
            } else {
                EvaluateError::Execution(
                    "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
                )
            });
        }
        column.set(step, cell);
        Ok(())
    }

    /// Returns the place of the result row of two series.
    fn output(&mut self, many: &Labels, drop_name: bool, one: &Labels) -> usize {
        let labels = self.result_labels(many, one);
        if let Some(place) = self.outputs.get(&labels) {
            return *place;
        }
        let place = self.rows.len();
        self.outputs.insert(labels.clone(), place);
        let drop_name = self.binary.returns_bool || (drop_name && labels.get(METRIC_NAME).is_some());
        self.rows.push(Row { labels, drop_name, column: Column::absent(self.steps) });
        place
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let is_delayed = self.context.options.delayed_name_removal;
        let drops_name = makes_new(self.binary.operator) || (self.binary.returns_bool && !is_delayed);
        let is_one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let kept = many.filtered(|name| {
            if drops_name && matches!(name, METRIC_NAME | "__type__" | "__unit__") {
                return false;
            }
            let is_named = || self.matching.labels.iter().any(|label| label == name);
            !is_one_to_one || is_named() == self.matching.on
        });
        if self.matching.include.is_empty() {
            return kept;
        }
        let mut builder: LabelsBuilder = kept.to_builder();
        for name in &self.matching.include {
            builder.set(name, one.get(name).unwrap_or_default());
        }
        builder.build()
    }

    /// Refuses two series of the side with one at the same step.
    fn refuse_duplicates(&self, pairing: &Pairing, one: &Vector, has_many: &[bool]) -> Result<(), EvaluateError> {
        for step in (0..self.steps).filter(|step| has_many[*step]) {
            let mut present = pairing.one.iter().map(|row| &one.rows[*row]).filter(|row| row.column.has(step));
            if let (Some(first), Some(second)) = (present.next(), present.next()) {
                let group = Signatures::new(self.matching).labels(&first.labels);
                let side = if self.is_swapped { "left" } else { "right" };
                let (mut first, mut second) = (super::text_of(&first.labels), super::text_of(&second.labels));
                if first > second {
                    std::mem::swap(&mut first, &mut second);
                }
                return Err(EvaluateError::Execution(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: \
                     [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side",
                    super::text_of(&group)
                )));
            }
        }
        Ok(())
    }
}
