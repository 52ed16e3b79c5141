//! The labels between braces: passed over, and read.

use std::borrow::Cow;

use super::ExpositionError;
use super::names;
use super::text::Dialect;
use crate::{Labels, METRIC_NAME};

/// What may differ between the places where labels stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) dialect: Dialect,
    /// Refuses a comma behind the last label.
    pub(super) is_strict: bool,
    /// An exemplar's labels name no metric.
    pub(super) is_exemplar: bool,
}

/// One thing between the braces.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// A quoted metric name.
    Metric(&'a str),
    /// A label; both without quotes, escapes as written.
    Label { name: &'a str, value: &'a str },
}

/// Reads the labels at the start of `text`, behind the opening brace; returns what follows the closing one.
///
/// # Errors
/// What was expected.
pub(super) fn read<'a>(text: &'a str, rules: Rules, mut item: impl FnMut(Item<'a>)) -> Result<&'a str, &'static str> {
    let mut rest = skip_space(text, rules);
    let mut is_first = true;
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, is_quoted, after) = read_name(rest)?;
        rest = skip_space(after, rules);
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) =
                read_quoted(skip_space(after, rules), rules).ok_or("expected a label value in quotes")?;
            item(Item::Label { name, value });
            rest = skip_space(after, rules);
        } else if is_quoted && is_first && !rules.is_exemplar && rest.starts_with([',', '}']) {
            item(Item::Metric(name));
        } else {
            return Err("expected = behind a label name");
        }
        is_first = false;
        match rest.strip_prefix(',') {
            Some(after) => {
                rest = skip_space(after, rules);
                if rules.is_strict && rest.starts_with('}') {
                    return Err("expected a label behind the comma");
                }
            }
            // The older text format lets labels follow each other without a comma.
            None if rest.starts_with('}') || rules.dialect == Dialect::Prometheus => {}
            None => return Err("expected a comma or } behind a label"),
        }
    }
}

fn skip_space(text: &str, rules: Rules) -> &str {
    match rules.dialect {
        Dialect::Prometheus => text.trim_start_matches([' ', '\t']),
        Dialect::OpenMetrics => text,
    }
}

fn read_name(text: &str) -> Result<(&str, bool, &str), &'static str> {
    if text.starts_with('"') {
        let rules = Rules { dialect: Dialect::Prometheus, is_strict: false, is_exemplar: false };
        return read_quoted(text, rules).map(|(name, after)| (name, true, after)).ok_or("expected a closing quote");
    }
    let end = text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_')).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some((name, after)) if !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()) => {
            Ok((name, false, after))
        }
        _ => Err("expected a label name"),
    }
}

/// Reads a text in quotes; a backslash takes the next character's meaning.
fn read_quoted(text: &str, rules: Rules) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            // The escaped character may be any but a line's end.
            b'\\' if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
            b'\\' => return None,
            b'\n' if rules.dialect == Dialect::OpenMetrics => return None,
            _ => at += 1,
        }
    }
}

/// Replaces `\\`, `\"` and `\n`; other backslashes stand for themselves.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    unescape_some(text, true)
}

/// Replaces escapes, quotes only where they have to be escaped.
pub(super) fn unescape_some(text: &str, with_quotes: bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') if with_quotes => plain.push('"'),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

/// Splits a series as written into its name, if it stands in front, and what is between the braces.
pub(super) fn split_series(series: &str) -> (Option<&str>, Option<&str>) {
    match series.split_once('{') {
        Some((name, labels)) => {
            let name = name.trim_end_matches([' ', '\t']);
            ((!name.is_empty()).then_some(name), Some(labels))
        }
        None => (Some(series), None),
    }
}

/// An exemplar behind a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExemplarLine<'a> {
    /// The labels with their braces, as written.
    pub text: &'a str,
    /// The value.
    pub value: f64,
    /// When, in milliseconds since 1970, if it says so.
    pub timestamp_ms: Option<i64>,
}

impl ExemplarLine<'_> {
    /// Returns the labels.
    ///
    /// # Errors
    /// When a name stands twice.
    pub fn labels(&self) -> Result<Labels, ExpositionError> {
        let rules = Rules { dialect: Dialect::OpenMetrics, is_strict: false, is_exemplar: true };
        let mut pairs = Vec::new();
        read(self.text.strip_prefix('{').unwrap_or_default(), rules, |item| {
            if let Item::Label { name, value } = item {
                pairs.push((unescape(name), unescape(value)));
            }
        })
        .map_err(|reason| ExpositionError { line: 0, reason: reason.to_owned() })?;
        build(pairs)
    }

    /// Counts the characters of names and values, of which OpenMetrics allows 128.
    #[must_use]
    pub fn characters(&self) -> usize {
        let rules = Rules { dialect: Dialect::OpenMetrics, is_strict: false, is_exemplar: true };
        let mut count = 0;
        let read = read(self.text.strip_prefix('{').unwrap_or_default(), rules, |item| {
            if let Item::Label { name, value } = item {
                count += unescape(name).chars().count() + unescape(value).chars().count();
            }
        });
        if read.is_ok() { count } else { usize::MAX }
    }
}

/// Makes a set of labels; of one name there may be but one.
pub(super) fn build(mut pairs: Vec<Pair<'_>>) -> Result<Labels, ExpositionError> {
    let fail = |reason: String| Err(ExpositionError { line: 0, reason });
    if !pairs.is_sorted_by(|(left, _), (right, _)| left < right) {
        pairs.sort();
        let twice = pairs.windows(2).find_map(|pair| match pair {
            [(left, _), (right, _)] if left == right => Some(left.to_string()),
            _ => None,
        });
        if let Some(name) = twice {
            return fail(format!("the label {name:?} is there twice"));
        }
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return fail("a label has an empty name".to_owned());
    }
    let filled = pairs.iter().filter(|(_, value)| !value.is_empty());
    Ok(Labels::from_sorted(filled.map(|(name, value)| (name.as_ref(), value.as_ref()))))
}

/// A label's name and value.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Reads a series as written: pairs in the order of the text, the metric's name first.
pub(super) fn pairs_of(series: &str, dialect: Dialect) -> Result<Vec<Pair<'_>>, ExpositionError> {
    let (name, labels) = split_series(series);
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    if let Some(name) = name {
        pairs.push((Cow::Borrowed(METRIC_NAME), Cow::Borrowed(name)));
    }
    if let Some(labels) = labels {
        let rules = Rules { dialect, is_strict: false, is_exemplar: name.is_some() };
        read(labels, rules, |item| match item {
            Item::Metric(name) => pairs.push((Cow::Borrowed(METRIC_NAME), unescape(name))),
            Item::Label { name, value } => pairs.push((unescape(name), unescape(value))),
        })
        .map_err(|reason| ExpositionError { line: 0, reason: reason.to_owned() })?;
    }
    Ok(pairs)
}

/// Appends a name, in quotes when it needs them.
pub(super) fn push_name(name: &str, is_metric: bool, into: &mut String) {
    let is_legacy = if is_metric { names::is_legacy_metric_name(name) } else { names::is_legacy_label_name(name) };
    if is_legacy {
        into.push_str(name);
    } else {
        into.push('"');
        push_escaped(name, true, into);
        into.push('"');
    }
}

/// Appends a text with its backslashes, line ends and, where asked, quotes escaped.
pub(super) fn push_escaped(text: &str, with_quotes: bool, into: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '"' if with_quotes => into.push_str("\\\""),
            other => into.push(other),
        }
    }
}
