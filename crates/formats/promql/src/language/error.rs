//! What is wrong with a query: where, why, and what to write instead.

use std::fmt;

use super::ast::Span;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// Where; byte offsets into the query.
    pub span: Span,
    /// Line of the start, from 1; 0 when the query is empty.
    pub line: usize,
    /// Byte within the line, from 1.
    pub column: usize,
    /// What, in the words that Prometheus uses.
    pub message: String,
    /// What to write instead, when the mistake is a known one.
    pub hint: Option<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            formatter.write_str("unknown position")?;
        } else {
            write!(formatter, "{}:{}", self.line, self.column)?;
        }
        write!(formatter, ": parse error: {}", self.message)
    }
}

/// All that is wrong with a query, at least one thing. Shown as its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// Returns `value` when there are no errors.
    pub(super) fn none_or<T>(errors: Vec<ParseError>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }

    /// Goes over all that is wrong in the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &ParseError> {
        self.0.iter()
    }

    /// Returns the message of the first with its hint on a line of its own.
    #[must_use]
    pub fn with_hint(&self) -> String {
        match self.0.first().and_then(|first| first.hint.as_ref()) {
            Some(hint) => format!("{self}\nhint: {hint}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |first| first.fmt(formatter))
    }
}

impl std::error::Error for ParseErrors {}
