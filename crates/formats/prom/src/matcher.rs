//! What selects series: `name="value"` and its three sisters.

use std::fmt;

use regex::Regex;

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
    regex: Option<Regex>,
}

/// Memory that one compiled pattern may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Matcher {
    /// Returns the condition. Patterns are anchored at both ends and `.` matches newlines.
    ///
    /// # Errors
    /// When a pattern is no regular expression, or compiles to more than 1 MiB.
    pub fn new(name: &str, operator: MatcherOperator, value: &str) -> Result<Self, MatcherError> {
        let regex = match operator {
            MatcherOperator::Equal | MatcherOperator::NotEqual => None,
            MatcherOperator::Matches | MatcherOperator::NotMatches => {
                let anchored = format!("^(?s:{value})$");
                let built = regex::RegexBuilder::new(&anchored).size_limit(REGEX_BYTES_MAX).build();
                Some(built.map_err(|error| MatcherError {
                    label: name.to_owned(),
                    pattern: value.to_owned(),
                    reason: error.to_string(),
                })?)
            }
        };
        Ok(Self { name: name.to_owned(), operator, value: value.to_owned(), regex })
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

    /// Tells whether `value` fulfils the condition.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self.operator {
            MatcherOperator::Equal => self.value == value,
            MatcherOperator::NotEqual => self.value != value,
            MatcherOperator::Matches => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatcherOperator::NotMatches => self.regex.as_ref().is_some_and(|regex| !regex.is_match(value)),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}
