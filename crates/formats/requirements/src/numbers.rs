//! Finds numbers with units in sentences, in Korean and English.

use std::sync::LazyLock;

use regex::Regex;

use crate::quantity::{NANO, number};
use crate::text::is_hangul;

/// What a number in a sentence counts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// Nanoseconds.
    Time(u128),
    /// Billionths of the whole: percent and percentiles.
    Share(u128),
    /// Billionths of an event a day.
    Rate(u128),
    /// Billionths of something with this unit.
    Count(u128, String),
    /// A number without a unit.
    Bare(u128),
}

/// A number in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) quantity: Quantity,
    /// A bound stands by it: "within", "at least", 이내, 이상 …
    pub(crate) bound: bool,
}

/// Returns the quantities of a sentence, in English or Korean, with their byte ranges.
#[must_use]
pub fn find_quantities(text: &str) -> Vec<(std::ops::Range<usize>, Quantity)> {
    find(text).into_iter().map(|found| (found.start..found.end, found.quantity)).collect()
}

const DAY: u128 = 86_400;

/// Units of time in seconds' billionths; longer names first.
const TIMES: [(&str, u128); 44] = [
    ("milliseconds", 1_000_000),
    ("millisecond", 1_000_000),
    ("microseconds", 1_000),
    ("microsecond", 1_000),
    ("minutes", 60 * NANO),
    ("minute", 60 * NANO),
    ("seconds", NANO),
    ("second", NANO),
    ("months", 30 * DAY * NANO),
    ("month", 30 * DAY * NANO),
    ("hours", 3_600 * NANO),
    ("hour", 3_600 * NANO),
    ("weeks", 7 * DAY * NANO),
    ("week", 7 * DAY * NANO),
    ("years", 365 * DAY * NANO),
    ("year", 365 * DAY * NANO),
    ("days", DAY * NANO),
    ("day", DAY * NANO),
    ("secs", NANO),
    ("sec", NANO),
    ("mins", 60 * NANO),
    ("min", 60 * NANO),
    ("hrs", 3_600 * NANO),
    ("hr", 3_600 * NANO),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
    ("s", NANO),
    ("m", 60 * NANO),
    ("h", 3_600 * NANO),
    ("d", DAY * NANO),
    ("w", 7 * DAY * NANO),
    ("마이크로초", 1_000),
    ("밀리초", 1_000_000),
    ("나노초", 1),
    ("시간", 3_600 * NANO),
    ("개월", 30 * DAY * NANO),
    ("초", NANO),
    ("분", 60 * NANO),
    ("일", DAY * NANO),
    ("주", 7 * DAY * NANO),
    ("년", 365 * DAY * NANO),
];

const RATES: [(&str, u128); 13] = [
    ("/second", DAY),
    ("/sec", DAY),
    ("/s", DAY),
    ("/초", DAY),
    ("/minute", 1_440),
    ("/min", 1_440),
    ("/분", 1_440),
    ("/hour", 24),
    ("/시간", 24),
    ("/h", 24),
    ("/day", 1),
    ("/d", 1),
    ("/일", 1),
];

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d+(?:,\d{3})*(?:\.\d+)?").expect("the pattern is constant"));
static PER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\s*(?:rps|tps|qps|(?:concurrent |simultaneous |new )?[a-z]+(?: [a-z]+)? (?:per|an?|each|every) (second|minute|hour|day))\b")
        .expect("the pattern is constant")
});
static PER_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(초당|분당|시간당|일당|하루에?|매초|매분|1초에|1분에)\s*(?:최소|최대|평균|약)?\s*(?:[가-힣]+\s)?$")
        .expect("the pattern is constant")
});
static BOUND_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:within|at most|no more than|not more than|less than|fewer than|lower than|under|below|up to|at least|no less than|not less than|more than|greater than|above|over|exceed(?:ing)?|maximum of|minimum of|faster than|in|after|of|to|least|most|최대|최소)\s*$")
        .expect("the pattern is constant")
});
static STRICT_BOUND_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:within|at most|no more than|not more than|less than|fewer than|lower than|under|below|up to|at least|no less than|not less than|more than|greater than|above|exceed(?:ing)?|maximum of|minimum of|faster than|최대|최소)\s*$")
        .expect("the pattern is constant")
});
static BOUND_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:이내|이하|미만|이상|초과|안에|내에|내로|을 넘|를 넘|까지|or less|or more|or fewer|or faster)")
        .expect("the pattern is constant")
});
static PERCENTILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:(?:st|nd|rd|th)?[ -]?percentile|\s*번째\s*백분위|\s*백분위|\s*퍼센타일)")
        .expect("the pattern is constant")
});

/// Words that may follow a number that has no unit.
const NO_UNITS: [&str; 37] = [
    "of", "for", "when", "in", "at", "on", "per", "with", "and", "or", "under", "after", "before", "to", "from", "by",
    "while", "if", "as", "is", "are", "shall", "must", "the", "a", "an", "during", "until", "over", "between", "even",
    "so", "that", "which", "but", "than", "it",
];

/// Finds all numbers of a sentence.
pub(crate) fn find(text: &str) -> Vec<Found> {
    NUMBER.find_iter(text).filter_map(|number| classify(text, number.start(), number.end())).collect()
}

fn classify(text: &str, start: usize, end: usize) -> Option<Found> {
    let (before, digits, after) = (text.get(..start)?, text.get(start..end)?, text.get(end..)?);
    let (nano, _) = number(digits).ok()?;
    let last = before.chars().next_back();
    let percentile = matches!(last, Some('p' | 'P')) && !before.chars().rev().nth(1).is_some_and(char::is_alphanumeric);
    // Part of a name: nfr-007, ISO 27001 is not, v1.2, #3, TLS1.3.
    if !percentile && last.is_some_and(|letter| letter.is_ascii_alphanumeric() || "-_#.§".contains(letter)) {
        return None;
    }
    let found = |start: usize, end: usize, quantity: Quantity| {
        let bound =
            STRICT_BOUND_BEFORE.is_match(before) || text.get(end..).is_some_and(|rest| BOUND_AFTER.is_match(rest));
        Some(Found { start, end, quantity, bound })
    };
    if percentile {
        return found(start - 1, end, Quantity::Share(percent_of(digits)));
    }
    if let Some(matched) = PERCENTILE.find(after) {
        return found(start, end + matched.end(), Quantity::Share(nano / 100));
    }
    let trimmed = after.trim_start();
    let offset = end + (after.len() - trimmed.len());
    for sign in ["%", "％", "percent", "퍼센트"] {
        if trimmed.starts_with(sign) {
            return found(start, offset + sign.len(), Quantity::Share(nano / 100));
        }
    }
    if let Some((name, scale)) = prefix(&RATES, trimmed) {
        return found(start, offset + name.len(), Quantity::Rate(nano * scale));
    }
    if let Some((unit, scale)) = prefix(&TIMES, trimmed) {
        // "3 m" is minutes in criteria; in sentences it may be metres, but time is by far more frequent.
        return found(start, offset + unit.len(), Quantity::Time(nano * scale / NANO));
    }
    if let Some(captures) = PER.captures(after) {
        let scale = match captures.get(1).map(|unit| unit.as_str().to_lowercase()).as_deref() {
            Some("minute") => 1_440,
            Some("hour") => 24,
            Some("day") => 1,
            _ => DAY,
        };
        return found(start, end + captures.get(0).map_or(0, |whole| whole.end()), Quantity::Rate(nano * scale));
    }
    if let Some(captures) = PER_BEFORE.captures(before) {
        let scale = match captures.get(1).map_or("", |unit| unit.as_str()) {
            "분당" | "매분" | "1분에" => 1_440,
            "시간당" => 24,
            "일당" | "하루" | "하루에" => 1,
            _ => DAY,
        };
        let unit = word(trimmed);
        return found(start, if unit.is_empty() { end } else { offset + unit.len() }, Quantity::Rate(nano * scale));
    }
    // Five digits in a row after a capital word is a name: "ISO 27001"; "port 8080" has no unit and needs none.
    let name = before.trim_end().rsplit(' ').next().unwrap_or_default();
    if after.starts_with('-')
        || (!name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '/'))
    {
        return None;
    }
    let unit = word(trimmed);
    let is_bound = text.get(offset..).is_some_and(|rest| BOUND_AFTER.is_match(rest));
    if unit.is_empty() || is_bound || NO_UNITS.contains(&unit.to_lowercase().as_str()) {
        // "the 3 replicas" has a unit; only bounds make a bare number a quantity without its unit.
        let bound = is_bound || BOUND_BEFORE.is_match(before);
        return bound.then_some(Found { start, end, quantity: Quantity::Bare(nano), bound });
    }
    found(start, offset + unit.len(), Quantity::Count(nano, unit.to_owned()))
}

/// `p999` is the 99.9th percentile, `p99.9` as well.
fn percent_of(digits: &str) -> u128 {
    let text = match digits.split_at_checked(2) {
        Some((whole, rest)) if !rest.is_empty() && !rest.starts_with('.') => format!("{whole}.{rest}"),
        _ => digits.to_owned(),
    };
    number(&text).map_or(0, |(nano, _)| nano / 100)
}

fn prefix<'units>(units: &'units [(&'units str, u128)], text: &str) -> Option<&'units (&'units str, u128)> {
    units.iter().find(|(name, _)| {
        text.strip_prefix(name).is_some_and(|rest| {
            let next = rest.chars().next();
            // Particles follow Korean units, and Latin units in Korean sentences, without a space.
            if name.chars().all(|letter| is_hangul(letter) || letter == '/') {
                true
            } else {
                !next.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '/')
            }
        })
    })
}

/// The word at the start: Latin letters or Hangul, and money's signs.
fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_show_their_quantities() {
        let day = u128::from(86_400_u32) * NANO;
        for (text, expected) in [
            (
                "하루 요청의 99.9%에 100ms 이내로 응답해야 한다",
                vec![Quantity::Share(999_000_000), Quantity::Time(100_000_000)],
            ),
            ("초당 50건의 주문을 30일 동안", vec![Quantity::Rate(50 * NANO * 86_400), Quantity::Time(30 * day)]),
            (
                "50 requests per second within 1.5 seconds",
                vec![Quantity::Rate(50 * NANO * 86_400), Quantity::Time(1_500_000_000)],
            ),
            (
                "the 99th percentile and p99.9 and p999",
                vec![Quantity::Share(990_000_000), Quantity::Share(999_000_000), Quantity::Share(999_000_000)],
            ),
            ("respond within 100.", vec![Quantity::Bare(100 * NANO)]),
            ("100 이내로 응답", vec![Quantity::Bare(100 * NANO)]),
            ("at least 3 replicas", vec![Quantity::Count(3 * NANO, "replicas".to_owned())]),
            ("동시 사용자 1,000명", vec![Quantity::Count(1_000 * NANO, "명".to_owned())]),
            ("as nfr-007 and ISO 27001 say, TLS1.3", vec![]),
        ] {
            let found: Vec<Quantity> = find_quantities(text).into_iter().map(|(_, quantity)| quantity).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_panic(text in "\\PC{0,80}") {
            drop(find(&text));
        }
    }
}
