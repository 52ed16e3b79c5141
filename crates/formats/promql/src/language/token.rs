//! The words of the language.

use super::ast::Span;
use super::operators::{Aggregator, BinaryOperator};
use super::quote::quote;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Nothing is left.
    End,
    /// No word; the lexer says what is wrong.
    Error,
    Comma,
    /// `=`
    Assign,
    Colon,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    LeftParenthesis,
    RightParenthesis,
    String,
    Number,
    Duration,
    /// A name without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
    /// `@`
    At,
    Operator(BinaryOperator),
    Aggregator(Aggregator),
    Keyword(Keyword),
    /// Names of functions that also stand behind `@` and in lengths of time.
    Special(Special),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
}

impl Keyword {
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("offset", Self::Offset),
        ("smoothed", Self::Smoothed),
        ("anchored", Self::Anchored),
        ("by", Self::By),
        ("without", Self::Without),
        ("on", Self::On),
        ("ignoring", Self::Ignoring),
        ("group_left", Self::GroupLeft),
        ("group_right", Self::GroupRight),
        ("fill", Self::Fill),
        ("fill_left", Self::FillLeft),
        ("fill_right", Self::FillRight),
        ("bool", Self::Bool),
    ];

    /// Tells whether it is a keyword only right before a parenthesis, so that old metrics of that name stay.
    pub(super) fn needs_parenthesis(self) -> bool {
        matches!(self, Self::Fill | Self::FillLeft | Self::FillRight)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl Special {
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("start", Self::Start),
        ("end", Self::End),
        ("step", Self::Step),
        ("range", Self::Range),
        ("max_of", Self::MaxOf),
        ("min_of", Self::MinOf),
    ];

    /// Tells whether it stands in lengths of time.
    pub(super) fn is_duration(self) -> bool {
        !matches!(self, Self::Start | Self::End)
    }
}

/// Returns what `word` is outside braces and brackets; keywords are known in any case of letters.
pub(super) fn word_kind(word: &str) -> TokenKind {
    let lower = word.to_ascii_lowercase();
    let find = |name: &str| name == lower;
    if let Some((_, keyword)) = Keyword::ALL.iter().find(|(name, _)| find(name)) {
        return TokenKind::Keyword(*keyword);
    }
    if let Some((_, special)) = Special::ALL.iter().find(|(name, _)| find(name)) {
        return TokenKind::Special(*special);
    }
    if let Some(aggregator) = Aggregator::ALL.into_iter().find(|aggregator| find(aggregator.name())) {
        return TokenKind::Aggregator(aggregator);
    }
    match lower.as_str() {
        "and" => TokenKind::Operator(BinaryOperator::And),
        "or" => TokenKind::Operator(BinaryOperator::Or),
        "unless" => TokenKind::Operator(BinaryOperator::Unless),
        "atan2" => TokenKind::Operator(BinaryOperator::Atan2),
        "inf" | "nan" => TokenKind::Number,
        _ if word.contains(':') => TokenKind::MetricIdentifier,
        _ => TokenKind::Identifier,
    }
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

impl Token {
    /// Returns how messages name it.
    pub(super) fn describe(self, text: &str) -> String {
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Error => "error".to_owned(),
            TokenKind::Operator(_) | TokenKind::At | TokenKind::Matches | TokenKind::NotMatches => {
                format!("<op:{text}>")
            }
            TokenKind::Aggregator(_) => format!("<aggr:{text}>"),
            TokenKind::Keyword(_) => format!("<{text}>"),
            TokenKind::Identifier => format!("identifier {}", quote(text.as_bytes())),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quote(text.as_bytes())),
            TokenKind::String => format!("string {}", shortened(text)),
            TokenKind::Number => format!("number {}", shortened(text)),
            TokenKind::Duration => format!("duration {}", shortened(text)),
            TokenKind::Comma
            | TokenKind::Assign
            | TokenKind::Colon
            | TokenKind::LeftBrace
            | TokenKind::RightBrace
            | TokenKind::LeftBracket
            | TokenKind::RightBracket
            | TokenKind::LeftParenthesis
            | TokenKind::RightParenthesis
            | TokenKind::Special(_) => quote(text.as_bytes()),
        }
    }
}

/// Returns the quoted beginning of `text`.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return quote(text.as_bytes());
    }
    let beginning: String = text.chars().take(10).collect();
    format!("{}...", quote(beginning.as_bytes()))
}
