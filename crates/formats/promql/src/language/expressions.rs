//! Reading expressions: operators by how strongly they bind, calls, aggregations.

use super::ast::{
    Aggregation, Binary, Call, Expression, Grouping, NumberLiteral, Parentheses, Span, StringLiteral, Unary,
    VectorMatching,
};
use super::duration::{parse_duration, seconds};
use super::functions::Function;
use super::hints;
use super::lexer::unquote;
use super::number::parse_number;
use super::operators::{Aggregator, BinaryOperator, Cardinality, UnaryOperator};
use super::parser::{Context, Node, Parser, Stop, placeholder};
use super::quote::quote;
use super::token::{Keyword, Token, TokenKind};

const AGGREGATION: Context = Context { place: "aggregation", expected: "" };

const fn grouping(expected: &'static str) -> Context {
    Context { place: "grouping opts", expected }
}

impl Parser<'_> {
    /// Reads an expression whose operators all bind at least as strongly as `minimum`.
    pub(super) fn expression(&mut self, minimum: u8) -> Result<Node, Stop> {
        self.deeper(|parser| parser.expression_here(minimum))
    }

    fn expression_here(&mut self, minimum: u8) -> Result<Node, Stop> {
        let mut left = self.prefix()?;
        while let TokenKind::Operator(operator) = self.kind()
            && precedence(operator) >= minimum
        {
            let modifiers = self.modifiers(operator)?;
            let own = precedence(operator);
            let right = self.expression(if operator == BinaryOperator::Power { own } else { own + 1 })?;
            left = self.joined(left, *modifiers, right)?;
        }
        Ok(left)
    }

    /// Puts two sides into the operation that `modifiers` holds.
    fn joined(&mut self, left: Node, mut modifiers: Binary, right: Node) -> Result<Node, Stop> {
        let height = self.grown(left.height.max(right.height), modifiers.operator_span)?;
        modifiers.span = left.expression.span().to(right.expression.span());
        modifiers.left = left.expression;
        modifiers.right = right.expression;
        let fills = modifiers.matching.as_ref().is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
        if fills && !self.options.fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled".to_owned();
            self.error(modifiers.span, message, hints::feature("promql-binop-fill-modifiers"));
        }
        Ok(Node::new(Expression::Binary(modifiers), height))
    }

    fn prefix(&mut self) -> Result<Node, Stop> {
        let operator = match self.kind() {
            TokenKind::Operator(BinaryOperator::Subtract) => UnaryOperator::Minus,
            TokenKind::Operator(BinaryOperator::Add) => UnaryOperator::Plus,
            _ => {
                let primary = self.primary()?;
                return self.postfix(primary);
            }
        };
        let start = self.advance().span;
        let operand = self.expression(precedence(BinaryOperator::Power))?;
        self.signed_expression(operator, start, operand)
    }

    /// Puts a sign before an expression; that of a number becomes part of it.
    fn signed_expression(&mut self, operator: UnaryOperator, start: Span, mut operand: Node) -> Result<Node, Stop> {
        let span = start.to(operand.expression.span());
        if let Expression::Number(number) = &mut *operand.expression {
            number.value = if operator == UnaryOperator::Minus { -number.value } else { number.value };
            number.span = span;
            return Ok(operand);
        }
        let height = self.grown(operand.height, start)?;
        Ok(Node::new(Expression::Unary(Unary { operator, expression: operand.expression, span }), height))
    }

    fn primary(&mut self) -> Result<Node, Stop> {
        match self.kind() {
            TokenKind::LeftParenthesis => self.parentheses(),
            TokenKind::Aggregator(aggregator) if self.is_aggregation() => self.aggregation(aggregator),
            TokenKind::Identifier | TokenKind::Special(_) if self.kind_behind() == TokenKind::LeftParenthesis => {
                self.call()
            }
            _ => self.leaf(),
        }
    }

    fn parentheses(&mut self) -> Result<Node, Stop> {
        let start = self.advance().span;
        let inner = self.expression(0)?;
        let span = start.to(self.expect(TokenKind::RightParenthesis)?.span);
        let height = self.grown(inner.height, start)?;
        Ok(Node::new(Expression::Parentheses(Parentheses { expression: inner.expression, span }), height))
    }

    /// Reads what holds no other expression.
    fn leaf(&mut self) -> Result<Node, Stop> {
        let token = self.peek();
        let expression = match token.kind {
            TokenKind::Number | TokenKind::Duration => Expression::Number(self.number_literal()),
            TokenKind::String => {
                self.advance();
                let bytes = unquote(self.text_of(token));
                Expression::String(StringLiteral { bytes, span: token.span })
            }
            TokenKind::LeftBrace => Expression::Vector(self.unnamed_selector()?),
            _ if self.is_metric_name() => Expression::Vector(self.named_selector()?),
            _ => return Err(self.unexpected()),
        };
        Ok(Node::new(expression, 1))
    }

    /// Reads a number or a length of time, which is here.
    pub(super) fn number_literal(&mut self) -> NumberLiteral {
        let token = self.advance();
        let text = self.text_of(token);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            parse_duration(text).map(seconds).map_err(|error| error.to_string())
        } else {
            parse_number(text)
        };
        let value = value.unwrap_or_else(|message| {
            let hint = hints::number(text);
            self.error(token.span, message, hint);
            0.0
        });
        NumberLiteral { value, is_duration, span: token.span }
    }

    fn is_aggregation(&self) -> bool {
        matches!(self.kind_behind(), TokenKind::LeftParenthesis | TokenKind::Keyword(Keyword::By | Keyword::Without))
    }

    fn aggregation(&mut self, operator: Aggregator) -> Result<Node, Stop> {
        let start = self.advance().span;
        let outer = std::mem::replace(&mut self.context, AGGREGATION);
        let mut by = self.grouping_modifier()?;
        let (arguments, height, mut end) = self.arguments()?;
        self.context = outer;
        if by.is_none() {
            by = self.grouping_modifier()?;
            if by.is_some() {
                end = self.previous_span();
            }
        }
        let span = start.to(end);
        let height = self.grown(height, start)?;
        let expression = self.new_aggregation(operator, by.unwrap_or(Grouping::By(Vec::new())), arguments, span);
        Ok(Node::new(expression, height))
    }

    fn new_aggregation(
        &mut self,
        operator: Aggregator,
        grouping: Grouping,
        arguments: Vec<Expression>,
        span: Span,
    ) -> Expression {
        if operator.is_experimental() && !self.options.experimental_functions {
            let message = format!(
                "{operator}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
            );
            self.error(span, message, hints::feature("promql-experimental-functions"));
            return placeholder(span);
        }
        let (expected, given) = (1 + usize::from(operator.parameter().is_some()), arguments.len());
        if given != expected {
            let message = if given == 0 {
                "no arguments for aggregate expression provided".to_owned()
            } else {
                format!("wrong number of arguments for aggregate expression provided, expected {expected}, got {given}")
            };
            self.error(span, message, Some(hints::aggregation_form(operator)));
            return placeholder(span);
        }
        let mut arguments = arguments.into_iter();
        let parameter = if expected == 2 { arguments.next().map(Box::new) } else { None };
        let expression = Box::new(arguments.next().unwrap_or_else(|| placeholder(span)));
        Expression::Aggregation(Aggregation { operator, grouping, parameter, expression, span })
    }

    fn grouping_modifier(&mut self) -> Result<Option<Grouping>, Stop> {
        Ok(match self.kind() {
            TokenKind::Keyword(Keyword::By) => {
                self.advance();
                Some(Grouping::By(self.grouping_labels()?))
            }
            TokenKind::Keyword(Keyword::Without) => {
                self.advance();
                Some(Grouping::Without(self.grouping_labels()?))
            }
            _ => None,
        })
    }

    /// Reads `(a, b)`.
    fn grouping_labels(&mut self) -> Result<Vec<String>, Stop> {
        let mut labels = Vec::new();
        if self.kind() != TokenKind::LeftParenthesis {
            return Err(self.unexpected_in(grouping("\"(\"")));
        }
        self.advance();
        while self.kind() != TokenKind::RightParenthesis {
            let token = self.peek();
            let is_name = match token.kind {
                TokenKind::Keyword(keyword) => keyword != Keyword::Without,
                TokenKind::Operator(operator) => operator.is_set() || operator == BinaryOperator::Atan2,
                TokenKind::Identifier
                | TokenKind::MetricIdentifier
                | TokenKind::Aggregator(_)
                | TokenKind::Special(_) => true,
                _ => false,
            };
            let text = self.text_of(token);
            let name = match token.kind {
                TokenKind::String => unquote(text),
                _ if is_name => text.as_bytes().to_vec(),
                _ => return Err(self.unexpected_in(grouping("label"))),
            };
            self.advance();
            match String::from_utf8(name) {
                Ok(name) if !name.is_empty() => labels.push(name),
                Ok(_) => self.error(token.span, "invalid label name for grouping: \"\"".to_owned(), None),
                Err(error) => {
                    let name = quote(error.as_bytes());
                    self.error(token.span, format!("invalid label name for grouping: {name}"), None);
                }
            }
            match self.kind() {
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightParenthesis => {}
                _ => return Err(self.unexpected_in(grouping("\",\" or \")\""))),
            }
        }
        self.advance();
        Ok(labels)
    }

    /// Reads `(a, b)` of a call: the arguments, the height of the highest, where the parenthesis closes.
    fn arguments(&mut self) -> Result<(Vec<Expression>, usize, Span), Stop> {
        self.expect(TokenKind::LeftParenthesis)?;
        let (mut arguments, mut height) = (Vec::new(), 0);
        if self.kind() == TokenKind::RightParenthesis {
            return Ok((arguments, height, self.advance().span));
        }
        loop {
            let argument = self.expression(0)?;
            height = height.max(argument.height);
            arguments.push(*argument.expression);
            let token = self.peek();
            match token.kind {
                TokenKind::RightParenthesis => return Ok((arguments, height, self.advance().span)),
                TokenKind::Comma => drop(self.advance()),
                _ => return Err(self.unexpected()),
            }
            if self.kind() == TokenKind::RightParenthesis {
                let message = "trailing commas not allowed in function call args".to_owned();
                self.error(token.span, message, Some("leave the last comma out".to_owned()));
                return Ok((arguments, height, self.advance().span));
            }
        }
    }

    fn call(&mut self) -> Result<Node, Stop> {
        let name = self.advance();
        let (arguments, height, end) = self.arguments()?;
        let height = self.grown(height, name.span)?;
        Ok(Node::new(self.new_call(name, arguments, end), height))
    }

    fn new_call(&mut self, name: Token, arguments: Vec<Expression>, end: Span) -> Expression {
        let span = name.span.to(end);
        let text = self.text_of(name);
        let Some(function) = Function::named(text) else {
            let message = format!("unknown function with name {}", quote(text.as_bytes()));
            self.error(name.span, message, hints::function(text));
            return placeholder(span);
        };
        if function.is_experimental && !self.options.experimental_functions {
            let message = format!("function {} is not enabled", quote(text.as_bytes()));
            self.error(name.span, message, hints::feature("promql-experimental-functions"));
        }
        Expression::Call(Call { function, arguments, span })
    }

    /// Reads what stands between an operator and its right side.
    fn modifiers(&mut self, operator: BinaryOperator) -> Result<Box<Binary>, Stop> {
        let operator_span = self.advance().span;
        let returns_bool = self.take(TokenKind::Keyword(Keyword::Bool));
        let mut matching = VectorMatching::default();
        let on = match self.kind() {
            TokenKind::Keyword(Keyword::On) => Some(true),
            TokenKind::Keyword(Keyword::Ignoring) => Some(false),
            _ => None,
        };
        if let Some(on) = on {
            self.advance();
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            matching.cardinality = match self.kind() {
                TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.advance();
                if self.kind() == TokenKind::LeftParenthesis {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fills(&mut matching)?;
        let nothing = || Box::new(placeholder(operator_span));
        Ok(Box::new(Binary {
            operator,
            left: nothing(),
            right: nothing(),
            returns_bool,
            matching: Some(matching),
            operator_span,
            span: operator_span,
        }))
    }

    fn fills(&mut self, matching: &mut VectorMatching) -> Result<(), Stop> {
        if self.take(TokenKind::Keyword(Keyword::Fill)) {
            let value = Some(self.fill_value()?);
            (matching.fill_left, matching.fill_right) = (value, value);
            return Ok(());
        }
        for _ in 0..2 {
            if matching.fill_left.is_none() && self.take(TokenKind::Keyword(Keyword::FillLeft)) {
                matching.fill_left = Some(self.fill_value()?);
            } else if matching.fill_right.is_none() && self.take(TokenKind::Keyword(Keyword::FillRight)) {
                matching.fill_right = Some(self.fill_value()?);
            }
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<f64, Stop> {
        self.expect(TokenKind::LeftParenthesis)?;
        let value = self.signed_number()?;
        self.expect(TokenKind::RightParenthesis)?;
        Ok(value)
    }

    /// Reads a number or a length of time with or without a sign.
    pub(super) fn signed_number(&mut self) -> Result<f64, Stop> {
        let is_negative = self.kind() == TokenKind::Operator(BinaryOperator::Subtract);
        if is_negative || self.kind() == TokenKind::Operator(BinaryOperator::Add) {
            self.advance();
        }
        if !matches!(self.kind(), TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected());
        }
        let value = self.number_literal().value;
        Ok(if is_negative { -value } else { value })
    }
}

/// Returns how strongly an operator binds.
fn precedence(operator: BinaryOperator) -> u8 {
    match operator {
        BinaryOperator::Or => 1,
        BinaryOperator::And | BinaryOperator::Unless => 2,
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Less
        | BinaryOperator::LessOrEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterOrEqual
        | BinaryOperator::TrimUpper
        | BinaryOperator::TrimLower => 3,
        BinaryOperator::Add | BinaryOperator::Subtract => 4,
        BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo | BinaryOperator::Atan2 => 5,
        BinaryOperator::Power => 6,
    }
}
