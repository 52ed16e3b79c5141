//! Reading lengths of time: in brackets and behind `offset`.

use super::ast::{DurationExpression, DurationValue, NumberLiteral, Span};
use super::duration::SECONDS_MAX;
use super::hints;
use super::operators::{BinaryOperator, DurationOperator};
use super::parser::{Context, Parser, Stop};
use super::token::{Special, TokenKind};

const OFFSET: Context = Context { place: "offset", expected: "number, duration, step(), or range()" };

/// How strongly a sign binds: as multiplication does, so that only `^` is stronger.
const SIGN: u8 = 3;

/// Whether an operator behind a length of time may belong to the expression around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Brackets,
    Offset,
}

impl Parser<'_> {
    /// Reads a length of time above zero.
    pub(super) fn length(&mut self) -> Result<DurationValue, Stop> {
        Ok(match self.duration_expression(0, Place::Brackets)? {
            DurationExpression::Number(number) => {
                if number.value <= 0.0 {
                    self.error(number.span, "duration must be greater than 0".to_owned(), None);
                }
                Self::fixed(number.value)
            }
            computed => DurationValue::Computed(Box::new(computed)),
        })
    }

    /// Reads what stands behind `offset`. Arithmetic must be in parentheses: `a offset 5m + 1` adds to `a`.
    pub(super) fn offset(&mut self) -> Result<DurationValue, Stop> {
        let read = self.in_context(OFFSET, |parser| match parser.kind() {
            TokenKind::Operator(BinaryOperator::Add | BinaryOperator::Subtract)
                if !matches!(
                    parser.kind_behind(),
                    TokenKind::Operator(BinaryOperator::Add | BinaryOperator::Subtract)
                ) =>
            {
                let sign = parser.advance();
                let operand = parser.duration_primary()?;
                Ok(parser.signed(sign.kind, sign.span, operand))
            }
            TokenKind::LeftParenthesis | TokenKind::Operator(_) => parser.duration_expression(0, Place::Offset),
            _ => parser.duration_primary(),
        })?;
        Ok(match read {
            DurationExpression::Number(number) => Self::fixed(number.value),
            computed => DurationValue::Computed(Box::new(computed)),
        })
    }

    fn duration_expression(&mut self, minimum: u8, place: Place) -> Result<DurationExpression, Stop> {
        self.deeper(|parser| {
            let (mut left, mut chain) = (parser.duration_prefix()?, 1);
            while let Some((operator, own)) = duration_operator(parser.kind())
                && own >= minimum
                && (place == Place::Brackets || parser.is_duration_behind())
            {
                let span = parser.advance().span;
                let right = parser
                    .duration_expression(if operator == DurationOperator::Power { own } else { own + 1 }, place)?;
                chain = parser.grown(chain, span)?;
                parser.computed(left.span());
                left = parser.combined(operator, span, left, right);
            }
            Ok(left)
        })
    }

    fn combined(
        &mut self,
        operator: DurationOperator,
        operator_span: Span,
        left: DurationExpression,
        right: DurationExpression,
    ) -> DurationExpression {
        let message = match operator {
            DurationOperator::Divide => Some("division by zero"),
            DurationOperator::Modulo => Some("modulo by zero"),
            _ => None,
        };
        if let (Some(message), DurationExpression::Number(NumberLiteral { value: 0.0, .. })) = (message, &right) {
            self.error(operator_span, message.to_owned(), None);
        }
        let span = left.span().to(right.span());
        DurationExpression::Binary(operator, Box::new(left), Box::new(right), span)
    }

    fn duration_prefix(&mut self) -> Result<DurationExpression, Stop> {
        if !matches!(self.kind(), TokenKind::Operator(BinaryOperator::Add | BinaryOperator::Subtract)) {
            return self.duration_primary();
        }
        let sign = self.advance();
        let operand = self.duration_expression(SIGN, Place::Brackets)?;
        Ok(self.signed(sign.kind, sign.span, operand))
    }

    fn signed(&mut self, sign: TokenKind, sign_span: Span, operand: DurationExpression) -> DurationExpression {
        let is_negative = sign == TokenKind::Operator(BinaryOperator::Subtract);
        match operand {
            DurationExpression::Number(mut number) => {
                number.span = sign_span.to(number.span);
                number.value = if is_negative { -number.value } else { number.value };
                DurationExpression::Number(number)
            }
            other if is_negative => {
                let span = sign_span.to(other.span());
                DurationExpression::Negative(Box::new(other), span)
            }
            other => other,
        }
    }

    fn duration_primary(&mut self) -> Result<DurationExpression, Stop> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let mut number = self.number_literal();
                if number.value.is_nan() || number.value.abs() > SECONDS_MAX {
                    self.error(number.span, "duration out of range".to_owned(), None);
                    number.value = 1.0;
                }
                Ok(DurationExpression::Number(number))
            }
            TokenKind::Special(special) if special.is_duration() => self.duration_call(special),
            TokenKind::LeftParenthesis => {
                self.advance();
                let inner = self.duration_expression(0, Place::Brackets)?;
                let span = token.span.to(self.expect(TokenKind::RightParenthesis)?.span);
                self.computed(inner.span());
                Ok(match inner {
                    DurationExpression::Parentheses(inner, _) => DurationExpression::Parentheses(inner, span),
                    inner => DurationExpression::Parentheses(Box::new(inner), span),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn duration_call(&mut self, special: Special) -> Result<DurationExpression, Stop> {
        let start = self.advance().span;
        self.expect(TokenKind::LeftParenthesis)?;
        if matches!(special, Special::Step | Special::Range) {
            let span = start.to(self.expect(TokenKind::RightParenthesis)?.span);
            self.computed(span);
            return Ok(match special {
                Special::Step => DurationExpression::Step(span),
                _ => DurationExpression::Range(span),
            });
        }
        let left = Box::new(self.duration_expression(0, Place::Brackets)?);
        self.expect(TokenKind::Comma)?;
        let right = Box::new(self.duration_expression(0, Place::Brackets)?);
        let span = start.to(self.expect(TokenKind::RightParenthesis)?.span);
        self.computed(span);
        Ok(match special {
            Special::MaxOf => DurationExpression::MaxOf(left, right, span),
            _ => DurationExpression::MinOf(left, right, span),
        })
    }

    /// Refuses a computed length of time unless it is switched on.
    fn computed(&mut self, span: Span) {
        if !self.options.duration_expressions {
            let message = "experimental duration expression is not enabled".to_owned();
            self.error(span, message, hints::feature("promql-duration-expr"));
        }
    }

    /// Tells whether a length of time follows the operator that is here.
    fn is_duration_behind(&self) -> bool {
        let mut behind = self.tokens.iter().skip(self.index + 1).map(|token| token.kind);
        let first = behind.find(|kind| {
            !matches!(
                kind,
                TokenKind::LeftParenthesis | TokenKind::Operator(BinaryOperator::Add | BinaryOperator::Subtract)
            )
        });
        match first {
            Some(TokenKind::Number | TokenKind::Duration) => true,
            Some(TokenKind::Special(special)) => special.is_duration(),
            _ => false,
        }
    }
}

fn duration_operator(kind: TokenKind) -> Option<(DurationOperator, u8)> {
    let TokenKind::Operator(operator) = kind else { return None };
    match operator {
        BinaryOperator::Add => Some((DurationOperator::Add, 1)),
        BinaryOperator::Subtract => Some((DurationOperator::Subtract, 1)),
        BinaryOperator::Multiply => Some((DurationOperator::Multiply, 2)),
        BinaryOperator::Divide => Some((DurationOperator::Divide, 2)),
        BinaryOperator::Modulo => Some((DurationOperator::Modulo, 2)),
        BinaryOperator::Power => Some((DurationOperator::Power, SIGN)),
        _ => None,
    }
}
