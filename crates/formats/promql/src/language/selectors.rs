//! Reading selectors: names, conditions, windows, and what modifies them.

use maru_prom::{METRIC_NAME, Matcher, MatcherOperator};

use super::ast::{At, DurationValue, Expression, Extension, MatrixSelector, Span, Subquery, VectorSelector};
use super::duration::{literal_ms, whole_ms};
use super::hints;
use super::lexer::unquote;
use super::operators::BinaryOperator;
use super::parser::{Context, Node, Parser, Stop};
use super::quote::quote;
use super::token::{Keyword, Special, Token, TokenKind};

const AT: Context = Context { place: "@", expected: "timestamp" };
const IN_BRACKETS: Context =
    Context { place: "subquery or range selector", expected: "number, duration, step(), or range()" };
const BEHIND_RANGE: Context = Context { place: "subquery or range", expected: "\":\" or \"]\"" };
const BEHIND_COLON: Context =
    Context { place: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };
const BEHIND_STEP: Context = Context { place: "subquery selector", expected: "\"]\"" };

const fn matching(expected: &'static str) -> Context {
    Context { place: "label matching", expected }
}

/// What offset and `@` may be set on.
struct Modifiable<'a> {
    offset: &'a mut DurationValue,
    at: &'a mut Option<At>,
    span: &'a mut Span,
}

fn modifiable(expression: &mut Expression) -> Option<Modifiable<'_>> {
    match expression {
        Expression::Vector(node) => {
            Some(Modifiable { offset: &mut node.offset, at: &mut node.at, span: &mut node.span })
        }
        Expression::Matrix(node) => {
            Some(Modifiable { offset: &mut node.selector.offset, at: &mut node.selector.at, span: &mut node.span })
        }
        Expression::Subquery(node) => {
            Some(Modifiable { offset: &mut node.offset, at: &mut node.at, span: &mut node.span })
        }
        Expression::Number(_)
        | Expression::String(_)
        | Expression::Call(_)
        | Expression::Aggregation(_)
        | Expression::Binary(_)
        | Expression::Unary(_)
        | Expression::Parentheses(_) => None,
    }
}

impl Parser<'_> {
    /// Tells whether the next word can be a metric's name; most keywords can.
    pub(super) fn is_metric_name(&self) -> bool {
        match self.kind() {
            TokenKind::Identifier | TokenKind::MetricIdentifier | TokenKind::Aggregator(_) | TokenKind::Special(_) => {
                true
            }
            TokenKind::Operator(operator) => operator.is_set(),
            TokenKind::Keyword(keyword) => !matches!(
                keyword,
                Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight
            ),
            _ => false,
        }
    }

    /// Reads `name` or `name{…}`; the name is here.
    pub(super) fn named_selector(&mut self) -> Result<VectorSelector, Stop> {
        let name = self.advance();
        let (mut matchers, mut span) = (Vec::new(), name.span);
        if self.kind() == TokenKind::LeftBrace {
            matchers = self.matchers()?;
            span = span.to(self.previous_span());
        }
        let name = self.text_of(name);
        if let Ok(matcher) = Matcher::new(METRIC_NAME, MatcherOperator::Equal, name) {
            matchers.push(matcher);
        }
        Ok(VectorSelector {
            name: name.to_owned(),
            matchers,
            offset: DurationValue::ZERO,
            at: None,
            extension: Extension::None,
            span,
        })
    }

    /// Reads `{…}`.
    pub(super) fn unnamed_selector(&mut self) -> Result<VectorSelector, Stop> {
        let start = self.peek().span;
        let matchers = self.matchers()?;
        Ok(VectorSelector {
            name: String::new(),
            matchers,
            offset: DurationValue::ZERO,
            at: None,
            extension: Extension::None,
            span: start.to(self.previous_span()),
        })
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, Stop> {
        self.expect(TokenKind::LeftBrace)?;
        let mut matchers = Vec::new();
        while self.kind() != TokenKind::RightBrace {
            let matcher = self.matcher()?;
            matchers.extend(matcher);
            match self.kind() {
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightBrace => {}
                _ => return Err(self.unexpected_in(matching("\",\" or \"}\""))),
            }
        }
        self.advance();
        Ok(matchers)
    }

    /// Reads one condition; `None` when it has a mistake in its meaning.
    fn matcher(&mut self) -> Result<Option<Matcher>, Stop> {
        let label = self.peek();
        if !matches!(label.kind, TokenKind::Identifier | TokenKind::String) {
            return Err(self.unexpected_in(matching("identifier or \"}\"")));
        }
        self.advance();
        let operator = match self.kind() {
            TokenKind::Assign => MatcherOperator::Equal,
            TokenKind::Operator(BinaryOperator::NotEqual) => MatcherOperator::NotEqual,
            TokenKind::Matches => MatcherOperator::Matches,
            TokenKind::NotMatches => MatcherOperator::NotMatches,
            _ if label.kind == TokenKind::String => {
                let Some(name) = self.utf8(label, "metric name") else { return Ok(None) };
                return Ok(Matcher::new(METRIC_NAME, MatcherOperator::Equal, &name).ok());
            }
            _ => return Err(self.unexpected_in(matching("label matching operator"))),
        };
        self.advance();
        let value = self.peek();
        if value.kind != TokenKind::String {
            return Err(self.unexpected_in(matching("string")));
        }
        self.advance();
        let (Some(name), Some(text)) = (self.utf8(label, "label name"), self.utf8(value, "label value")) else {
            return Ok(None);
        };
        match Matcher::new(&name, operator, &text) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                let reason = error.reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let message = format!("error parsing regexp: {reason}: `{text}`");
                self.error(label.span.to(value.span), message, hints::regex(&text));
                Ok(None)
            }
        }
    }

    /// Returns the text of a name or a text in quotes.
    fn utf8(&mut self, token: Token, what: &str) -> Option<String> {
        let text = self.text_of(token);
        if token.kind != TokenKind::String {
            return Some(text.to_owned());
        }
        String::from_utf8(unquote(text))
            .map_err(|error| {
                let message = format!("{what} {} is no UTF-8", quote(error.as_bytes()));
                self.error(token.span, message, None);
            })
            .ok()
    }

    /// Reads what stands behind an expression: windows, `offset`, `@`, `anchored`, `smoothed`.
    pub(super) fn postfix(&mut self, mut node: Node) -> Result<Node, Stop> {
        loop {
            match self.kind() {
                TokenKind::LeftBracket => node = self.brackets(node)?,
                TokenKind::Keyword(Keyword::Offset) => {
                    self.advance();
                    let offset = self.offset()?;
                    self.set_offset(&mut node.expression, offset);
                }
                TokenKind::At => {
                    self.advance();
                    let at = self.in_context(AT, |parser| parser.at_moment(&node.expression))?;
                    self.set_at(&mut node.expression, at);
                }
                TokenKind::Keyword(Keyword::Anchored) => self.set_extension(&mut node.expression, Extension::Anchored),
                TokenKind::Keyword(Keyword::Smoothed) => self.set_extension(&mut node.expression, Extension::Smoothed),
                _ => return Ok(node),
            }
        }
    }

    /// Reads `[5m]` or `[1h:1m]` behind `node`.
    fn brackets(&mut self, node: Node) -> Result<Node, Stop> {
        let open = self.advance().span;
        let range = self.in_context(IN_BRACKETS, Self::length)?;
        match self.kind() {
            TokenKind::RightBracket => {
                let close = self.advance().span;
                return Ok(self.matrix(node, range, open.to(close)));
            }
            TokenKind::Colon => {}
            _ => return Err(self.unexpected_in(BEHIND_RANGE)),
        }
        self.advance();
        let step = if self.kind() == TokenKind::RightBracket {
            None
        } else {
            Some(self.in_context(BEHIND_COLON, Self::length)?)
        };
        if self.kind() != TokenKind::RightBracket {
            return Err(self.unexpected_in(BEHIND_STEP));
        }
        let close = self.advance().span;
        let height = self.grown(node.height, open)?;
        let span = node.expression.span().to(close);
        let expression = node.expression;
        let subquery = Subquery { expression, range, step, offset: DurationValue::ZERO, at: None, span };
        Ok(Node::new(Expression::Subquery(subquery), height))
    }

    fn matrix(&mut self, node: Node, range: DurationValue, brackets: Span) -> Node {
        let Expression::Vector(selector) = *node.expression else {
            let hint = hints::range_of(&node.expression);
            self.error(brackets, "ranges only allowed for vector selectors".to_owned(), hint);
            return node;
        };
        let misplaced = if !selector.offset.is_zero() {
            Some(("offset", "no offset modifiers allowed before range"))
        } else if selector.at.is_some() {
            Some(("@", "no @ modifiers allowed before range"))
        } else {
            None
        };
        if let Some((word, message)) = misplaced {
            self.error(brackets, message.to_owned(), Some(format!("put `{word}` behind the bracket")));
        }
        let span = selector.span.to(brackets);
        Node::new(Expression::Matrix(MatrixSelector { selector, range, span }), node.height)
    }

    fn set_offset(&mut self, expression: &mut Expression, offset: DurationValue) {
        let (span, end) = (expression.span(), self.previous_span().end);
        match modifiable(expression) {
            Some(target) if target.offset.is_zero() => {
                *target.offset = offset;
                target.span.end = end;
            }
            Some(_) => self.error(span, "offset may not be set multiple times".to_owned(), None),
            None => {
                let message = "offset modifier must be preceded by an instant vector selector or range vector \
                               selector or a subquery";
                self.error(span, message.to_owned(), Some(hints::modifier_place("offset 5m")));
            }
        }
    }

    /// Reads the moment behind `@`.
    fn at_moment(&mut self, expression: &Expression) -> Result<At, Stop> {
        if let TokenKind::Special(special @ (Special::Start | Special::End)) = self.kind() {
            self.advance();
            self.expect(TokenKind::LeftParenthesis)?;
            self.expect(TokenKind::RightParenthesis)?;
            return Ok(if special == Special::Start { At::Start } else { At::End });
        }
        let seconds = self.signed_number()?;
        // The bounds are those of whole seconds in 64 bits.
        if !(seconds > -9_223_372_036_854_775_808.0 && seconds < 9_223_372_036_854_775_808.0) {
            let seconds =
                if seconds.is_finite() { format!("{seconds:.6}") } else { super::quote::format_number(seconds) };
            let message = format!("timestamp out of bounds for @ modifier: {seconds}");
            self.error(expression.span(), message, Some("write seconds since 1970".to_owned()));
        }
        Ok(At::Timestamp(whole_ms((seconds * 1000.0).round())))
    }

    fn set_at(&mut self, expression: &mut Expression, at: At) {
        let (span, end) = (expression.span(), self.previous_span().end);
        match modifiable(expression) {
            Some(target) if target.at.is_none() => {
                *target.at = Some(at);
                target.span.end = end;
            }
            Some(_) => self.error(span, "@ <timestamp> may not be set multiple times".to_owned(), None),
            None => {
                let message = "@ modifier must be preceded by an instant vector selector or range vector selector \
                               or a subquery";
                self.error(span, message.to_owned(), Some(hints::modifier_place("@ 1700000000")));
            }
        }
    }

    fn set_extension(&mut self, expression: &mut Expression, extension: Extension) {
        let token = self.advance();
        let word = if extension == Extension::Anchored { "anchored" } else { "smoothed" };
        let span = expression.span();
        if !self.options.extended_range_selectors {
            let message = format!("{word} modifier is experimental and not enabled");
            self.error(span, message, hints::feature("promql-extended-range-selectors"));
            return;
        }
        let (own, own_span) = match expression {
            Expression::Vector(selector) => (&mut selector.extension, &mut selector.span),
            Expression::Matrix(matrix) => (&mut matrix.selector.extension, &mut matrix.span),
            Expression::Subquery(_) => {
                self.error(span, format!("{word} modifier is not supported for subqueries"), None);
                return;
            }
            _ => {
                self.error(span, format!("{word} modifier not implemented"), None);
                return;
            }
        };
        own_span.end = token.span.end;
        if *own != Extension::None && *own != extension {
            let message = "anchored and smoothed modifiers cannot be used together".to_owned();
            self.error(span, message, None);
            return;
        }
        *own = extension;
    }

    /// Returns the fixed length of a number of seconds.
    pub(super) fn fixed(seconds: f64) -> DurationValue {
        DurationValue::Fixed(literal_ms(seconds))
    }
}
