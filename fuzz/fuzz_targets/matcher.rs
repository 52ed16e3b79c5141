//! Patterns and the values they meet: pattern, line end, value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_prom::{Matcher, MatcherOperator};

fuzz_target!(|text: &str| {
    let Some((pattern, value)) = text.split_once('\n') else { return };
    let Ok(matcher) = Matcher::new("a", MatcherOperator::Matches, pattern) else { return };
    if matcher.matches(value) {
        assert!(value.starts_with(matcher.prefix().unwrap_or_default()));
        assert!(matcher.alternatives().is_none_or(|all| all.iter().any(|one| one == value)));
    }
    assert_eq!(matcher.matches_empty(), matcher.matches(""));
});
