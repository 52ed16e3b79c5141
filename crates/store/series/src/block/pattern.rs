//! What a matcher's text or pattern says about the values it fits, before any is looked at.

use maru_prom::{Matcher, MatcherOperator};
use regex_syntax::hir::literal::{ExtractKind, Extractor};

/// Alternatives up to this many are looked up one by one.
const ALTERNATIVES_MAX: usize = 256;

/// Values that can fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Literals {
    /// These and no others.
    Exact(Vec<String>),
    /// Only such as begin so; each is still to be checked.
    Prefix(String),
}

impl Literals {
    /// Returns the values that the text or pattern of `matcher` can fit, be it negated or not.
    pub(super) fn of(matcher: &Matcher) -> Self {
        match matcher.operator() {
            MatcherOperator::Equal | MatcherOperator::NotEqual => Self::Exact(vec![matcher.value().to_owned()]),
            MatcherOperator::Matches | MatcherOperator::NotMatches => Self::of_pattern(matcher.value()),
        }
    }

    fn of_pattern(pattern: &str) -> Self {
        let any = Self::Prefix(String::new());
        let parsed = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(pattern);
        let Ok(parsed) = parsed else { return any };
        // Assertions inside a pattern match without taking text; what they leave is no plain literal.
        if !parsed.properties().look_set().is_empty() {
            return any;
        }
        let mut extractor = Extractor::new();
        extractor.kind(ExtractKind::Prefix).limit_total(ALTERNATIVES_MAX).limit_repeat(64).limit_literal_len(1 << 10);
        let sequence = extractor.extract(&parsed);
        let Some(literals) = sequence.literals() else { return any };
        let texts: Option<Vec<String>> =
            literals.iter().map(|literal| String::from_utf8(literal.as_bytes().to_vec()).ok()).collect();
        let (Some(texts), true) = (texts, sequence.is_exact()) else {
            return sequence
                .longest_common_prefix()
                .and_then(|prefix| std::str::from_utf8(prefix).ok())
                .map_or(any, |prefix| Self::Prefix(prefix.to_owned()));
        };
        Self::Exact(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_patterns() {
        let exact = |texts: &[&str]| Literals::Exact(texts.iter().map(|text| (*text).to_owned()).collect());
        let prefix = |text: &str| Literals::Prefix(text.to_owned());
        assert_eq!(Literals::of_pattern("a|b|c"), exact(&["a", "b", "c"]));
        assert_eq!(Literals::of_pattern("api-(one|two)"), exact(&["api-one", "api-two"]));
        assert_eq!(Literals::of_pattern("plain"), exact(&["plain"]));
        assert_eq!(Literals::of_pattern(""), exact(&[""]));
        assert_eq!(Literals::of_pattern("api-.*"), prefix("api-"));
        assert_eq!(Literals::of_pattern("api-[0-9]+x"), prefix("api-"));
        assert_eq!(Literals::of_pattern(".*"), prefix(""));
        assert_eq!(Literals::of_pattern(".+"), prefix(""));
        assert_eq!(Literals::of_pattern("(?i)x.*"), prefix(""));
        assert_eq!(Literals::of_pattern("a$|b"), prefix(""));
        assert_eq!(Literals::of_pattern("("), prefix(""));
    }
}
