//! Text to tree: precedence climbing over the lexer's words.
//!
//! A mistake in the grammar ends the reading; mistakes in meaning are collected on the way, so that several are told at once.

use maru_prom::Matcher;

use super::ast::{Expression, NumberLiteral, Span, VectorSelector};
use super::check::check;
use super::error::{ParseError, ParseErrors};
use super::hints;
use super::lexer::lex;
use super::token::{Token, TokenKind};

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
            parser.errors.push(*error);
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
            parser.errors.push(*error);
            ParseErrors::none_or(parser.errors, Vec::new())
        }
    }
}

/// Reading cannot go on.
#[derive(Debug)]
pub(super) struct Stop(Box<ParseError>);

/// Where a mistake is found, and what could stand there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    pub(super) place: &'static str,
    pub(super) expected: &'static str,
}

/// An expression and how high its tree is.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) expression: Box<Expression>,
    pub(super) height: usize,
}

impl Node {
    pub(super) fn new(expression: Expression, height: usize) -> Self {
        Self { expression: Box::new(expression), height }
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
    pub(super) context: Context,
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
            return Err(self.stop(Span::default(), "no expression found in input".to_owned(), hint));
        }
        let node = self.expression(0)?;
        if self.kind() == TokenKind::End { Ok(*node.expression) } else { Err(self.unexpected()) }
    }

    fn only_selector(&mut self) -> Result<VectorSelector, Stop> {
        let selector = if self.is_metric_name() { self.named_selector()? } else { self.unnamed_selector()? };
        if self.kind() == TokenKind::End { Ok(selector) } else { Err(self.unexpected()) }
    }

    /// Does `read` one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.nesting += 1;
        if self.nesting > self.options.nesting_max {
            return Err(self.too_deep());
        }
        let result = read(self);
        self.nesting -= 1;
        result
    }

    #[cold]
    fn too_deep(&self) -> Stop {
        let message = format!("the expression nests deeper than {} levels", self.options.nesting_max);
        self.stop(self.peek().span, message, None)
    }

    /// Returns the height of a tree around one of `height`.
    pub(super) fn grown(&self, height: usize, span: Span) -> Result<usize, Stop> {
        if height < self.options.height_max { Ok(height + 1) } else { Err(self.too_high(span)) }
    }

    #[cold]
    fn too_high(&self, span: Span) -> Stop {
        let message = format!("the expression's tree is higher than {} levels", self.options.height_max);
        self.stop(span, message, Some("put parts of the chain in parentheses".to_owned()))
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
            return self.stop(token.span, message.clone(), hint);
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
        self.stop(token.span, message, hint)
    }

    pub(super) fn error(&mut self, span: Span, message: String, hint: Option<String>) {
        let error = self.make_error(span, message, hint);
        self.errors.push(error);
    }

    /// Ends the reading with an error.
    #[cold]
    fn stop(&self, span: Span, message: String, hint: Option<String>) -> Stop {
        Stop(Box::new(self.make_error(span, message, hint)))
    }

    fn make_error(&self, span: Span, message: String, hint: Option<String>) -> ParseError {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let (line, column) = if self.text.is_empty() { (0, 0) } else { (line, before.len() - line_start + 1) };
        ParseError { span, line, column, message, hint }
    }
}
