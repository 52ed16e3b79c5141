//! What selects series: `name="value"` and its three sisters.

mod analysis;
mod syntax;

use std::fmt;

use regex::Regex;

use analysis::Shape;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatcherOperator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl fmt::Display for MatcherOperator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        })
    }
}

/// A pattern that is no regular expression, or too large a one.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the pattern {pattern:?} of label {label:?} is no regular expression: {reason}")]
#[non_exhaustive]
pub struct MatcherError {
    /// The label.
    pub label: String,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One condition on one label. A label that is not there has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    operator: MatcherOperator,
    value: String,
    pattern: Option<Pattern>,
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    shape: Shape,
    prefix: String,
    matches_empty: bool,
}

/// Memory that one compiled pattern may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Matcher {
    /// Returns the condition. Patterns have RE2's syntax, are anchored at both ends, and `.` matches line ends.
    ///
    /// # Errors
    /// When a pattern is no regular expression, or compiles to more than 1 MiB.
    pub fn new(name: &str, operator: MatcherOperator, value: &str) -> Result<Self, MatcherError> {
        let pattern = match operator {
            MatcherOperator::Equal | MatcherOperator::NotEqual => None,
            MatcherOperator::Matches | MatcherOperator::NotMatches => {
                let pattern = Pattern::new(value).map_err(|reason| MatcherError {
                    label: name.to_owned(),
                    pattern: value.to_owned(),
                    reason,
                })?;
                Some(pattern)
            }
        };
        Ok(Self { name: name.to_owned(), operator, value: value.to_owned(), pattern })
    }

    /// Returns the label's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how the value is compared.
    #[must_use]
    pub fn operator(&self) -> MatcherOperator {
        self.operator
    }

    /// Returns the value or pattern as written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Tells whether the operator is one of the two that negate.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        matches!(self.operator, MatcherOperator::NotEqual | MatcherOperator::NotMatches)
    }

    /// Tells whether `value` fulfils the condition.
    #[must_use]
    #[inline]
    pub fn matches(&self, value: &str) -> bool {
        match &self.pattern {
            None => (self.value == value) != self.is_negative(),
            Some(pattern) => pattern.matches(value) != self.is_negative(),
        }
    }

    /// Tells whether a series without the label fulfils the condition.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        match &self.pattern {
            None => self.value.is_empty() != self.is_negative(),
            Some(pattern) => pattern.matches_empty != self.is_negative(),
        }
    }

    /// Returns the only values that the value or pattern accepts, sorted, when they are few, such as `a`, `b` and `c` of
    /// `a|b|c`. A negative operator accepts all others.
    #[must_use]
    pub fn alternatives(&self) -> Option<&[String]> {
        match &self.pattern {
            None => Some(std::slice::from_ref(&self.value)),
            Some(pattern) => match &pattern.shape {
                Shape::Literals(values) => Some(values),
                Shape::Anything
                | Shape::NotEmpty
                | Shape::Starts { .. }
                | Shape::Ends(_)
                | Shape::Contains(_)
                | Shape::Regex(_) => None,
            },
        }
    }

    /// Returns the text that each value which the pattern accepts starts with; `None` when there is none. A negative operator
    /// accepts what the pattern does not.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        match &self.pattern {
            None => Some(self.value.as_str()).filter(|value| !value.is_empty()),
            Some(pattern) => Some(pattern.prefix.as_str()).filter(|prefix| !prefix.is_empty()),
        }
    }

    /// Tells whether the pattern is `.*`: every value fulfils it, or, with a negative operator, none does.
    #[must_use]
    pub fn matches_anything(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| matches!(pattern.shape, Shape::Anything))
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let translated = syntax::translate(text)?;
        let (shape, prefix) = analysis::analyse(&translated)?;
        let mut pattern = Self { shape, prefix, matches_empty: false };
        pattern.matches_empty = pattern.matches("");
        Ok(pattern)
    }

    #[inline]
    fn matches(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Anything => true,
            Shape::NotEmpty => !value.is_empty(),
            Shape::Literals(values) => match values.as_slice() {
                [only] => only == value,
                several => several.binary_search_by(|own| own.as_str().cmp(value)).is_ok(),
            },
            Shape::Starts { with_more } => {
                value.starts_with(&self.prefix) && (!with_more || value.len() > self.prefix.len())
            }
            Shape::Ends(suffix) => value.ends_with(suffix),
            Shape::Contains(part) => value.contains(part),
            Shape::Regex(regex) => value.starts_with(&self.prefix) && regex.is_match(value),
        }
    }
}

/// Compiles a translated pattern, anchored.
/// Compiles a pattern of RE2's syntax that must match a whole text; `.` matches line ends.
///
/// # Errors
/// When the pattern is no regular expression, or compiles to more than 1 MiB.
pub fn anchored_regex(pattern: &str) -> Result<Regex, String> {
    compile(&syntax::translate(pattern)?)
}

fn compile(translated: &str) -> Result<Regex, String> {
    let anchored = format!("^(?s:{translated})$");
    regex::RegexBuilder::new(&anchored).size_limit(REGEX_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("it needs more than {limit} bytes of memory"),
        other => other.to_string(),
    })
}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}{:?}", self.name, self.operator, self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

#[cfg(test)]
mod tests;
