//! Binary operators: of a vector and a scalar column by column, of two vectors by matching their series once.

use std::collections::HashMap;

use super::annotations::Notes;
use super::answer::EvaluateError;
use super::column::{ABSENT, Cell, Column, Vector, is_present};
use super::context::{Context, Frame, Worker};
use super::histograms::{self, Operand};
use super::matching::{Matcher, Signatures};
use super::math::{arithmetic, compare};
use super::rows::{Merger, Source};
use crate::{Binary, BinaryOperator, Cardinality, Span, Type, VectorMatching};

/// Tells whether the answer is another quantity than the operands, so that the metric's name goes.
pub(crate) fn makes_new(operator: BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::Power
            | BinaryOperator::Atan2
    )
}

/// Computes one pair of samples: what it makes, and whether a comparison holds. Absent: they do not go together.
pub(crate) fn operate(
    operator: BinaryOperator,
    left: &Cell,
    right: &Cell,
    position: Span,
    notes: &mut Notes,
) -> (Cell, bool) {
    let operand = |cell: &'_ Cell| match cell {
        Cell::Float(value) => Some(*value),
        Cell::Histogram(_) | Cell::Absent => None,
    };
    if let (Some(left), Some(right)) = (operand(left), operand(right))
        && !matches!(operator, BinaryOperator::TrimUpper | BinaryOperator::TrimLower)
    {
        return if operator.is_comparison() {
            (Cell::Float(left), compare(operator, left, right))
        } else {
            (Cell::Float(arithmetic(operator, left, right)), true)
        };
    }
    let (Some(left), Some(right)) = (as_operand(left), as_operand(right)) else { return (Cell::Absent, false) };
    histograms::operate(operator, left, right, position, notes)
}

fn as_operand(cell: &Cell) -> Option<Operand<'_>> {
    match cell {
        Cell::Float(value) => Some(Operand::Float(*value)),
        Cell::Histogram(histogram) => Some(Operand::Histogram(histogram)),
        Cell::Absent => None,
    }
}

impl<'q> Context<'q> {
    pub(crate) fn binary(&self, binary: &'q Binary, frame: &Frame) -> Result<Source<'q>, EvaluateError> {
        let frame = &Frame { detail: frame.detail.beside(binary.operator), ..*frame };
        match (binary.left.value_type(), binary.right.value_type()) {
            (Type::Vector, Type::Vector) => {
                let mark = self.mark();
                let vector =
                    if binary.operator.is_set() { self.set(binary, frame)? } else { self.matched(binary, frame)? };
                let samples = vector.rows.iter().map(|row| row.column.samples()).sum();
                let bytes = vector.rows.iter().map(|row| row.column.bytes()).sum();
                self.settle(mark, samples, bytes)?;
                Ok(Source::Ready(vector))
            }
            (Type::Vector, Type::Scalar) => {
                let source = self.source(&binary.left, frame, "")?;
                let scalar = self.scalar(&binary.right, frame)?;
                self.with_scalar(binary, source, scalar, false, frame)
            }
            _ => {
                let scalar = self.scalar(&binary.left, frame)?;
                let source = self.source(&binary.right, frame, "")?;
                self.with_scalar(binary, source, scalar, true, frame)
            }
        }
    }

    /// A vector and a scalar; `is_swapped`: the scalar is on the left.
    fn with_scalar(
        &self,
        binary: &'q Binary,
        source: Source<'q>,
        scalar: Vec<f64>,
        is_swapped: bool,
        frame: &Frame,
    ) -> Result<Source<'q>, EvaluateError> {
        let (operator, returns_bool, position) = (binary.operator, binary.returns_bool, binary.span);
        let map = move |column: &mut Column, worker: &mut Worker| {
            let is_float_operator = !matches!(operator, BinaryOperator::TrimUpper | BinaryOperator::TrimLower);
            if column.histograms.is_empty() && is_float_operator {
                for (value, scalar) in column.floats.iter_mut().zip(&scalar) {
                    if !is_present(*value) {
                        continue;
                    }
                    let (left, right) = if is_swapped { (*scalar, *value) } else { (*value, *scalar) };
                    if !operator.is_comparison() || returns_bool {
                        *value = arithmetic(operator, left, right);
                    } else if !compare(operator, left, right) {
                        *value = ABSENT;
                    }
                }
                return;
            }
            for (step, scalar) in scalar.iter().enumerate() {
                let own = column.cell(step);
                if own == Cell::Absent {
                    continue;
                }
                let scalar = Cell::Float(*scalar);
                let (left, right) = if is_swapped { (&scalar, &own) } else { (&own, &scalar) };
                let (cell, holds) = operate(operator, left, right, position, &mut worker.notes);
                let cell = match cell {
                    Cell::Absent => Cell::Absent,
                    _ if returns_bool => Cell::Float(f64::from(u8::from(holds))),
                    _ if !holds => Cell::Absent,
                    _ if operator.is_comparison() => own,
                    cell => cell,
                };
                column.set(step, cell);
            }
        };
        if makes_new(operator) || returns_bool {
            return self.renamed(source, frame, map);
        }
        Ok(source.map(self, frame, map))
    }

    /// `and`, `or`, `unless`.
    fn set(&self, binary: &'q Binary, frame: &Frame) -> Result<Vector, EvaluateError> {
        let steps = frame.grid.steps;
        let left = self.vector(&binary.left, frame)?;
        let right = self.vector(&binary.right, frame)?;
        let default = VectorMatching::default();
        let mut signatures = Signatures::new(binary.matching.as_ref().unwrap_or(&default));
        let left_signatures = signatures.all(&left);
        let right_signatures = signatures.all(&right);
        let presence = |vector: &Vector, own: &[usize]| {
            let mut presence = vec![Vec::new(); signatures.places.len()];
            for (row, signature) in vector.rows.iter().zip(own) {
                let present: &mut Vec<bool> = &mut presence[*signature];
                present.resize(steps, false);
                present.iter_mut().enumerate().for_each(|(step, present)| *present |= row.column.has(step));
            }
            presence
        };
        let keep = |vector: Vector, own: &[usize], other: &[Vec<bool>], wanted: bool| {
            let mut rows = vector.rows;
            for (row, signature) in rows.iter_mut().zip(own) {
                mask(&mut row.column, &other[*signature], wanted);
            }
            rows.retain(|row| !row.column.is_empty());
            rows
        };
        self.check()?;
        match binary.operator {
            BinaryOperator::And => {
                let present = presence(&right, &right_signatures);
                Ok(Vector { rows: keep(left, &left_signatures, &present, true) })
            }
            BinaryOperator::Unless => {
                let present = presence(&right, &right_signatures);
                Ok(Vector { rows: keep(left, &left_signatures, &present, false) })
            }
            _ => {
                let present = presence(&left, &left_signatures);
                let mut merger = Merger::default();
                let others = keep(right, &right_signatures, &present, false);
                for row in left.rows.into_iter().chain(others) {
                    merger.add(row)?;
                }
                Ok(merger.finish())
            }
        }
    }

    /// Arithmetic and comparisons of two vectors.
    fn matched(&self, binary: &'q Binary, frame: &Frame) -> Result<Vector, EvaluateError> {
        let default = VectorMatching::default();
        let matching = binary.matching.as_ref().unwrap_or(&default);
        let left = self.vector(&binary.left, frame)?;
        let right = self.vector(&binary.right, frame)?;
        let is_swapped = matching.cardinality == Cardinality::OneToMany;
        // The side that may have many, and the one that has one.
        let (many, one) = if is_swapped { (right, left) } else { (left, right) };
        // As in Prometheus, `fill_left` stands in for the side with many also where that is the right one.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let mut matcher = Matcher {
            context: self,
            binary,
            matching,
            is_swapped,
            fill_many,
            fill_one,
            steps: frame.grid.steps,
            outputs: HashMap::new(),
            rows: Vec::new(),
            notes: Notes::default(),
        };
        matcher.run(&many, &one)?;
        self.notes().merge(std::mem::take(&mut matcher.notes));
        let mut rows = matcher.rows;
        rows.retain(|row| !row.column.is_empty());
        Ok(Vector { rows })
    }
}

/// Makes steps absent where `present` (all false when empty) is not as `wanted`.
fn mask(column: &mut Column, present: &[bool], wanted: bool) {
    if present.is_empty() {
        if wanted {
            column.floats.fill(ABSENT);
            column.histograms.clear();
        }
        return;
    }
    for (step, present) in present.iter().enumerate() {
        if *present != wanted {
            column.floats[step] = ABSENT;
            if let Some(histogram) = column.histograms.get_mut(step) {
                *histogram = None;
            }
        }
    }
}
