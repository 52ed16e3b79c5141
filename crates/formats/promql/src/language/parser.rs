//! Text to tree: precedence climbing over the lexer's words.
//!
//! A mistake in the grammar ends the reading; mistakes in meaning are collected on the way, so that several are told at once.

use super::ast::{
    Aggregation, Aggregator, Binary, BinaryOperator, Call, Cardinality, Expression, Grouping, NumberLiteral,
    Parentheses, Span, StringLiteral, Unary, UnaryOperator, VectorMatching, VectorSelector,
};
use super::check::check;
use super::duration::parse_duration;
use super::error::{ParseError, ParseErrors};
use super::functions::Function;
use super::hints;
use super::lexer::{lex, unquote};
use super::number::parse_number;
use super::quote::quote;
use super::token::{Keyword, Token, TokenKind};
use maru_prom::Matcher;

/// What the parser accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    /// Experimental functions and aggregations such as `info` and `limitk`.
    pub experimental_functions: bool,
    /// Arithmetic on lengths of time: `[5m * 2]`, `offset step()`.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` selectors.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right` behind binary operators.
    pub fill_modifiers: bool,
    /// The longest text in bytes.
    pub text_bytes_max: usize,
    /// How deep parentheses, calls and signs may nest in the text.
    pub nesting_max: usize,
    /// How high the tree may grow; a chain such as `a + b + c` grows by one with each operator.
    pub height_max: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: false,
            extended_range_selectors: false,
            fill_modifiers: false,
            text_bytes_max: 1 << 20,
            nesting_max: 128,
            height_max: 512,
        }
    }
}

impl ParseOptions {
    /// Returns the options with all that is experimental switched on.
    #[must_use]
    pub fn experimental() -> Self {
        Self {
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
            ..Self::default()
        }
    }
}

/// Reads a query and checks its types.
///
/// # Errors
/// When the text is no query; all that can be told at once.
pub fn parse(text: &str, options: &ParseOptions) -> Result<Expression, ParseErrors> {
    let mut parser = Parser::new(text, options)?;
    let result = parser.query();
    match result {
        Ok(mut expression) => {
            if parser.errors.is_empty() {
                check(&mut expression, &mut parser);
            }
            ParseErrors::none_or(parser.errors, expression)
        }
        Err(Stop(error)) => {
            parser.errors.push(error);
            ParseErrors::none_or(parser.errors, placeholder(Span::default()))
        }
    }
}

/// Reads a selector of series such as `up{job="a"}`, as `match[]` takes it.
///
/// # Errors
/// When the text is no selector of series.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseErrors> {
    let options = ParseOptions::default();
    let mut parser = Parser::new(text, &options)?;
    match parser.only_selector() {
        Ok(selector) => ParseErrors::none_or(parser.errors, selector.matchers),
        Err(Stop(error)) => {
            parser.errors.push(error);
            ParseErrors::none_or(parser.errors, Vec::new())
        }
    }
}

/// Reading cannot go on.
#[derive(Debug)]
pub(super) struct Stop(ParseError);

/// Where a mistake is found, and what could stand there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    pub(super) place: &'static str,
    pub(super) expected: &'static str,
}

const AGGREGATION: Context = Context { place: "aggregation", expected: "" };

const fn grouping(expected: &'static str) -> Context {
    Context { place: "grouping opts", expected }
}

/// An expression and how high its tree is.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) expression: Expression,
    pub(super) height: usize,
}

impl Node {
    pub(super) fn leaf(expression: Expression) -> Self {
        Self { expression, height: 1 }
    }
}

/// Stands where an expression could not be made; never comes out of [`parse`].
pub(super) fn placeholder(span: Span) -> Expression {
    Expression::Number(NumberLiteral { value: f64::NAN, is_duration: false, span })
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) index: usize,
    lexer_error: Option<String>,
    pub(super) options: &'a ParseOptions,
    pub(super) errors: Vec<ParseError>,
    /// The innermost place that has words of its own for a mistake.
    context: Context,
    nesting: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: &'a ParseOptions) -> Result<Self, ParseErrors> {
        let mut parser = Self {
            text,
            tokens: Vec::new(),
            index: 0,
            lexer_error: None,
            options,
            errors: Vec::new(),
            context: Context::default(),
            nesting: 0,
        };
        if text.len() > options.text_bytes_max {
            let message = format!("the query has {} bytes, more than {}", text.len(), options.text_bytes_max);
            parser.error(
                Span::default(),
                message,
                Some("split it, or let a recording rule do a part of it".to_owned()),
            );
            return ParseErrors::none_or(parser.errors.split_off(0), parser);
        }
        let lexed = lex(text);
        parser.tokens = lexed.tokens;
        parser.lexer_error = lexed.error;
        Ok(parser)
    }

    fn query(&mut self) -> Result<Expression, Stop> {
        if self.kind() == TokenKind::End {
            let hint = Some("write a metric's name, such as `up`".to_owned());
            return Err(Stop(self.make_error(Span::default(), "no expression found in input".to_owned(), hint)));
        }
        let node = self.expression(0)?;
        if self.kind() == TokenKind::End { Ok(node.expression) } else { Err(self.unexpected()) }
    }

    fn only_selector(&mut self) -> Result<VectorSelector, Stop> {
        let selector = if self.is_metric_name() { self.named_selector()? } else { self.unnamed_selector()? };
        if self.kind() == TokenKind::End { Ok(selector) } else { Err(self.unexpected()) }
    }

    /// Reads an expression whose operators all bind at least as strongly as `minimum`.
    fn expression(&mut self, minimum: u8) -> Result<Node, Stop> {
        self.deeper(|parser| parser.expression_here(minimum))
    }

    fn expression_here(&mut self, minimum: u8) -> Result<Node, Stop> {
        let mut left = self.prefix()?;
        while let TokenKind::Operator(operator) = self.kind()
            && precedence(operator) >= minimum
        {
            let operator_span = self.advance().span;
            let mut binary = self.modifiers(operator, operator_span)?;
            let own = precedence(operator);
            let right = self.expression(if operator == BinaryOperator::Power { own } else { own + 1 })?;
            let height = self.grown(left.height.max(right.height), operator_span)?;
            binary.span = left.expression.span().to(right.expression.span());
            *binary.left = left.expression;
            *binary.right = right.expression;
            let fills = binary.matching.as_ref().is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
            if fills && !self.options.fill_modifiers {
                let message = "binop fill modifiers are experimental and not enabled".to_owned();
                self.error(binary.span, message, hints::feature("promql-binop-fill-modifiers"));
            }
            left = Node { expression: Expression::Binary(binary), height };
        }
        Ok(left)
    }

    /// Does `read` one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.nesting += 1;
        if self.nesting > self.options.nesting_max {
            let message = format!("the expression nests deeper than {} levels", self.options.nesting_max);
            return Err(Stop(self.make_error(self.peek().span, message, None)));
        }
        let result = read(self);
        self.nesting -= 1;
        result
    }

    /// Returns the height of a tree around one of `height`.
    pub(super) fn grown(&self, height: usize, span: Span) -> Result<usize, Stop> {
        if height < self.options.height_max {
            return Ok(height + 1);
        }
        let message = format!("the expression's tree is higher than {} levels", self.options.height_max);
        Err(Stop(self.make_error(span, message, Some("put parts of the chain in parentheses".to_owned()))))
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
        let span = start.to(operand.expression.span());
        let Expression::Number(mut number) = operand.expression else {
            let height = self.grown(operand.height, start)?;
            let expression = Box::new(operand.expression);
            return Ok(Node { expression: Expression::Unary(Unary { operator, expression, span }), height });
        };
        if operator == UnaryOperator::Minus {
            number.value = -number.value;
        }
        number.span = span;
        Ok(Node::leaf(Expression::Number(number)))
    }

    fn primary(&mut self) -> Result<Node, Stop> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => Ok(Node::leaf(Expression::Number(self.number_literal()))),
            TokenKind::String => {
                self.advance();
                let bytes = unquote(self.text_of(token));
                Ok(Node::leaf(Expression::String(StringLiteral { bytes, span: token.span })))
            }
            TokenKind::LeftParenthesis => {
                self.advance();
                let inner = self.expression(0)?;
                let end = self.expect(TokenKind::RightParenthesis)?;
                let height = self.grown(inner.height, token.span)?;
                let span = token.span.to(end.span);
                let node = Parentheses { expression: Box::new(inner.expression), span };
                Ok(Node { expression: Expression::Parentheses(node), height })
            }
            TokenKind::Aggregator(aggregator) if self.is_aggregation() => self.aggregation(aggregator),
            TokenKind::Identifier | TokenKind::Special(_) if self.kind_behind() == TokenKind::LeftParenthesis => {
                self.call()
            }
            TokenKind::LeftBrace => Ok(Node::leaf(Expression::Vector(self.unnamed_selector()?))),
            _ if self.is_metric_name() => Ok(Node::leaf(Expression::Vector(self.named_selector()?))),
            _ => Err(self.unexpected()),
        }
    }

    /// Reads a number or a length of time, which is here.
    pub(super) fn number_literal(&mut self) -> NumberLiteral {
        let token = self.advance();
        let text = self.text_of(token);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            parse_duration(text).map(super::duration::seconds).map_err(|error| error.to_string())
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
        Ok(Node { expression, height })
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
            arguments.push(argument.expression);
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
        let span = name.span.to(end);
        let height = self.grown(height, name.span)?;
        let text = self.text_of(name);
        let Some(function) = Function::named(text) else {
            let message = format!("unknown function with name {}", quote(text.as_bytes()));
            self.error(name.span, message, hints::function(text));
            return Ok(Node { expression: placeholder(span), height });
        };
        if function.is_experimental && !self.options.experimental_functions {
            let message = format!("function {} is not enabled", quote(text.as_bytes()));
            self.error(name.span, message, hints::feature("promql-experimental-functions"));
        }
        Ok(Node { expression: Expression::Call(Call { function, arguments, span }), height })
    }

    /// Reads what stands between an operator and its right side.
    fn modifiers(&mut self, operator: BinaryOperator, operator_span: Span) -> Result<Binary, Stop> {
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
        let (left, right) = (nothing(), nothing());
        Ok(Binary { operator, left, right, returns_bool, matching: Some(matching), operator_span, span: operator_span })
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

    /// Does `read` with other words for mistakes.
    pub(super) fn in_context<T>(
        &mut self,
        context: Context,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let outer = std::mem::replace(&mut self.context, context);
        let result = read(self);
        self.context = outer;
        result
    }

    pub(super) fn peek(&self) -> Token {
        // The last token is the end or a mistake, and nothing goes on behind it.
        let end = Token { kind: TokenKind::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get(self.index).copied().unwrap_or(end)
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.peek().kind
    }

    pub(super) fn kind_behind(&self) -> TokenKind {
        self.tokens.get(self.index + 1).map_or(TokenKind::End, |token| token.kind)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek();
        self.index += 1;
        token
    }

    pub(super) fn take(&mut self, kind: TokenKind) -> bool {
        let is_there = self.kind() == kind;
        self.index += usize::from(is_there);
        is_there
    }

    pub(super) fn expect(&mut self, kind: TokenKind) -> Result<Token, Stop> {
        if self.kind() == kind { Ok(self.advance()) } else { Err(self.unexpected()) }
    }

    pub(super) fn previous_span(&self) -> Span {
        self.index.checked_sub(1).and_then(|index| self.tokens.get(index)).map(|token| token.span).unwrap_or_default()
    }

    pub(super) fn text_of(&self, token: Token) -> &'a str {
        self.text.get(token.span.start..token.span.end).unwrap_or_default()
    }

    /// Says that the next word does not fit here.
    pub(super) fn unexpected(&self) -> Stop {
        self.unexpected_in(self.context)
    }

    pub(super) fn unexpected_in(&self, context: Context) -> Stop {
        let token = self.peek();
        if let (TokenKind::Error, Some(message)) = (token.kind, &self.lexer_error) {
            let hint = hints::lexer(self, message);
            return Stop(self.make_error(token.span, message.clone(), hint));
        }
        let mut message = format!("unexpected {}", token.describe(self.text_of(token)));
        if !context.place.is_empty() {
            message.push_str(" in ");
            message.push_str(context.place);
        }
        if !context.expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(context.expected);
        }
        let hint = hints::unexpected(self, context);
        Stop(self.make_error(token.span, message, hint))
    }

    pub(super) fn error(&mut self, span: Span, message: String, hint: Option<String>) {
        let error = self.make_error(span, message, hint);
        self.errors.push(error);
    }

    fn make_error(&self, span: Span, message: String, hint: Option<String>) -> ParseError {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let (line, column) = if self.text.is_empty() { (0, 0) } else { (line, before.len() - line_start + 1) };
        ParseError { span, line, column, message, hint }
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
