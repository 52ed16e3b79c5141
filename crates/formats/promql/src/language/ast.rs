//! The tree of a query.

use std::borrow::Cow;

use maru_prom::Matcher;

use super::functions::Function;
use super::operators::{Aggregator, BinaryOperator, Cardinality, DurationOperator, UnaryOperator};
use super::types::Type;

/// Where something stands in the query's text: bytes, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Span {
    /// Returns the span from `start` up to `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the span from where `self` starts to where `last` ends.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

/// A query or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// `1.5`, `0x1F`, `Inf`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `metric{label="value"}`
    Vector(VectorSelector),
    /// `metric{label="value"}[5m]`
    Matrix(MatrixSelector),
    /// `(…)[1h:1m]`
    Subquery(Subquery),
    /// `rate(…)`
    Call(Call),
    /// `sum by (job) (…)`
    Aggregation(Aggregation),
    /// `a + b`
    Binary(Binary),
    /// `-a`
    Unary(Unary),
    /// `(a)`
    Parentheses(Parentheses),
}

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberLiteral {
    /// The value; seconds when written as a duration.
    pub value: f64,
    /// Written as a duration such as `5m`, and printed so again.
    pub is_duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// A text. Escapes can make bytes that are no UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringLiteral {
    /// The unquoted text.
    pub bytes: Vec<u8>,
    /// Where it stands.
    pub span: Span,
}

impl StringLiteral {
    /// Returns the text; each byte that is no UTF-8 becomes a replacement character.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.utf8().map_or_else(
            || {
                let chunks = self.bytes.utf8_chunks();
                let replaced = |chunk: std::str::Utf8Chunk<'_>| {
                    let valid = chunk.valid().to_owned();
                    valid + &char::REPLACEMENT_CHARACTER.to_string().repeat(chunk.invalid().len())
                };
                Cow::Owned(chunks.map(replaced).collect())
            },
            Cow::Borrowed,
        )
    }

    /// Returns the text when it is UTF-8.
    #[must_use]
    pub fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// A length of time in brackets or behind `offset`.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationValue {
    /// Written out; milliseconds.
    Fixed(i64),
    /// Computed when the query's step and range are known (experimental).
    Computed(Box<DurationExpression>),
}

impl DurationValue {
    /// No time at all.
    pub const ZERO: Self = Self::Fixed(0);

    /// Tells whether it is written as zero or not written.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Fixed(0))
    }
}

/// Arithmetic on lengths of time, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpression {
    /// `5m`, `300`
    Number(NumberLiteral),
    /// `step()`: the query's step; zero in an instant query.
    Step(Span),
    /// `range()`: the time between a query's start and end; zero in an instant query.
    Range(Span),
    /// `-x`; a plus leaves no trace.
    Negative(Box<DurationExpression>, Span),
    /// `(x)`
    Parentheses(Box<DurationExpression>, Span),
    /// `x * y`
    Binary(DurationOperator, Box<DurationExpression>, Box<DurationExpression>, Span),
    /// `min_of(x, y)`
    MinOf(Box<DurationExpression>, Box<DurationExpression>, Span),
    /// `max_of(x, y)`
    MaxOf(Box<DurationExpression>, Box<DurationExpression>, Span),
}

impl DurationExpression {
    /// Returns where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number(number) => number.span,
            Self::Step(span)
            | Self::Range(span)
            | Self::Negative(_, span)
            | Self::Parentheses(_, span)
            | Self::Binary(_, _, _, span)
            | Self::MinOf(_, _, span)
            | Self::MaxOf(_, _, span) => *span,
        }
    }
}

/// The moment behind `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970.
    Timestamp(i64),
    /// `start()`: the query's first moment.
    Start,
    /// `end()`: the query's last moment.
    End,
}

/// How a selector treats the edges of its window (experimental).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extension {
    /// Samples inside only.
    #[default]
    None,
    /// `anchored`: the sample before the window counts as its edge.
    Anchored,
    /// `smoothed`: values at the edges are interpolated.
    Smoothed,
}

/// Selects series; of each the latest sample.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric's name where it stands before the braces; else empty.
    pub name: String,
    /// All conditions; that of `name` is the last.
    pub matchers: Vec<Matcher>,
    /// How far back; negative: ahead.
    pub offset: DurationValue,
    /// The moment instead of the evaluation's.
    pub at: Option<At>,
    /// How edges are treated.
    pub extension: Extension,
    /// Where it stands, modifiers included; inside a [`MatrixSelector`] only up to the bracket.
    pub span: Span,
}

/// Selects series; of each the samples of a window. Its modifiers are in `selector`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// The series.
    pub selector: VectorSelector,
    /// The window's length.
    pub range: DurationValue,
    /// Where it stands.
    pub span: Span,
}

/// An expression evaluated at many moments of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated: an instant vector.
    pub expression: Box<Expression>,
    /// The window's length.
    pub range: DurationValue,
    /// The time between two evaluations; `None`: the default.
    pub step: Option<DurationValue>,
    /// How far back; negative: ahead.
    pub offset: DurationValue,
    /// The moment instead of the evaluation's.
    pub at: Option<At>,
    /// Where it stands.
    pub span: Span,
}

/// A function's call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments, already checked in number and type.
    pub arguments: Vec<Expression>,
    /// Where it stands.
    pub span: Span,
}

/// Which labels make the groups of an aggregation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// These alone; none: one group.
    By(Vec<String>),
    /// All but these (and but the metric's name).
    Without(Vec<String>),
}

/// One value out of each group of series.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// How.
    pub operator: Aggregator,
    /// The groups.
    pub grouping: Grouping,
    /// `k`, a ratio, a quantile or a label's name.
    pub parameter: Option<Box<Expression>>,
    /// What is aggregated: an instant vector.
    pub expression: Box<Expression>,
    /// Where it stands.
    pub span: Span,
}

/// Two expressions and what joins them.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// What joins.
    pub operator: BinaryOperator,
    /// The left side.
    pub left: Box<Expression>,
    /// The right side.
    pub right: Box<Expression>,
    /// `bool`: a comparison gives 0 or 1 instead of leaving out.
    pub returns_bool: bool,
    /// How series find their partners; `None` unless both sides are vectors.
    pub matching: Option<VectorMatching>,
    /// Where the operator stands.
    pub operator_span: Span,
    /// Where it stands.
    pub span: Span,
}

/// How the series of two vectors find their partners.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorMatching {
    /// How many may be partners.
    pub cardinality: Cardinality,
    /// `on`: `labels` alone must be equal; else (`ignoring`) all but `labels`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels that come over from the side with one series.
    pub include: Vec<String>,
    /// The value of the left side where only the right one has a series (experimental).
    pub fill_left: Option<f64>,
    /// The value of the right side where only the left one has a series (experimental).
    pub fill_right: Option<f64>,
}

/// A sign before an expression that is no number.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// `-` or `+`.
    pub operator: UnaryOperator,
    /// What it stands before.
    pub expression: Box<Expression>,
    /// Where it stands.
    pub span: Span,
}

/// An expression in parentheses, which are kept for printing.
#[derive(Debug, Clone, PartialEq)]
pub struct Parentheses {
    /// What they hold.
    pub expression: Box<Expression>,
    /// Where they stand.
    pub span: Span,
}

impl Expression {
    /// Returns what it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::String(_) => Type::String,
            Self::Vector(_) | Self::Aggregation(_) => Type::Vector,
            Self::Matrix(_) | Self::Subquery(_) => Type::Matrix,
            Self::Call(call) => call.function.returns,
            Self::Binary(binary) => {
                if binary.left.value_type() == Type::Scalar && binary.right.value_type() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
            Self::Unary(unary) => unary.expression.value_type(),
            Self::Parentheses(parentheses) => parentheses.expression.value_type(),
        }
    }

    /// Returns where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number(node) => node.span,
            Self::String(node) => node.span,
            Self::Vector(node) => node.span,
            Self::Matrix(node) => node.span,
            Self::Subquery(node) => node.span,
            Self::Call(node) => node.span,
            Self::Aggregation(node) => node.span,
            Self::Binary(node) => node.span,
            Self::Unary(node) => node.span,
            Self::Parentheses(node) => node.span,
        }
    }

    /// Returns the expression inside any parentheses around it.
    #[must_use]
    pub fn inner(&self) -> &Self {
        let mut expression = self;
        while let Self::Parentheses(parentheses) = expression {
            expression = &parentheses.expression;
        }
        expression
    }
}
