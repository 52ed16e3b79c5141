//! Computes lengths of time that are written as expressions.

use super::answer::EvaluateError;
use super::context::Context;
use crate::{DurationExpression, DurationOperator, DurationValue, Span};

/// What a length of time is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A range or a step: above zero.
    Length,
    /// An offset: any.
    Offset,
}

impl Context<'_> {
    /// Returns `value` in milliseconds.
    pub(crate) fn milliseconds(&self, value: &DurationValue, purpose: Purpose) -> Result<i64, EvaluateError> {
        let expression = match value {
            DurationValue::Fixed(milliseconds) => return Ok(*milliseconds),
            DurationValue::Computed(expression) => expression,
        };
        let seconds = self.seconds(expression)?;
        let span = expression.span();
        if !seconds.is_finite() {
            return Err(refused(span, "duration is NaN or infinite"));
        }
        if seconds <= 0.0 && purpose == Purpose::Length {
            return Err(refused(span, "duration must be greater than 0"));
        }
        if seconds.abs() > SECONDS_MAX {
            return Err(refused(span, "duration is out of range"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        let milliseconds = (seconds * 1000.0) as i64;
        Ok(milliseconds)
    }

    fn seconds(&self, expression: &DurationExpression) -> Result<f64, EvaluateError> {
        Ok(match expression {
            DurationExpression::Number(number) => number.value,
            DurationExpression::Step(_) => self.step_seconds,
            DurationExpression::Range(_) => self.range_seconds,
            DurationExpression::Negative(inner, _) => -self.seconds(inner)?,
            DurationExpression::Parentheses(inner, _) => self.seconds(inner)?,
            DurationExpression::MinOf(left, right, _) => super::math::min(self.seconds(left)?, self.seconds(right)?),
            DurationExpression::MaxOf(left, right, _) => super::math::max(self.seconds(left)?, self.seconds(right)?),
            DurationExpression::Binary(operator, left, right, span) => {
                let (left, right) = (self.seconds(left)?, self.seconds(right)?);
                match operator {
                    DurationOperator::Add => left + right,
                    DurationOperator::Subtract => left - right,
                    DurationOperator::Multiply => left * right,
                    DurationOperator::Divide if right == 0.0 => return Err(refused(*span, "division by zero")),
                    DurationOperator::Divide => left / right,
                    DurationOperator::Modulo if right == 0.0 => return Err(refused(*span, "modulo by zero")),
                    DurationOperator::Modulo => left % right,
                    DurationOperator::Power => left.powf(right),
                }
            }
        })
    }
}

/// Some 292 years.
const SECONDS_MAX: f64 = 9_223_372_036.0;

fn refused(span: Span, reason: &str) -> EvaluateError {
    EvaluateError::BadData(format!("{}:{}: {reason}", span.start, span.end))
}
