//! Finds patterns that need no engine.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What a pattern comes down to.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// `.*`
    Anything,
    /// `.+`
    NotEmpty,
    /// `a|b|c`, sorted.
    Literals(Vec<String>),
    /// The prefix and then `.*` or, with more, `.+`.
    Starts {
        /// Whether something must follow.
        with_more: bool,
    },
    /// `.*suffix`
    Ends(String),
    /// `.*part.*`
    Contains(String),
    /// Anything else.
    Regex(Regex),
}

/// Values that a pattern may be unfolded to.
const LITERALS_MAX: usize = 1_024;

/// Returns a translated pattern's shape and the text that all its values start with.
///
/// # Errors
/// When it is no regular expression.
pub(super) fn analyse(translated: &str) -> Result<(Shape, String), String> {
    let parsed =
        regex_syntax::ParserBuilder::new().dot_matches_new_line(true).nest_limit(1_000).build().parse(translated);
    let parsed = parsed.map_err(|error| match &error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    })?;
    if let Some(mut values) = literals(&parsed) {
        values.sort();
        values.dedup();
        let prefix = common_prefix(&values);
        return Ok((Shape::Literals(values), prefix));
    }
    let mut parts = Vec::new();
    flatten(&parsed, &mut parts);
    // Anchors at the ends say what holds anyway.
    if matches!(parts.first().map(|part| part.kind()), Some(HirKind::Look(Look::Start))) {
        parts.remove(0);
    }
    if matches!(parts.last().map(|part| part.kind()), Some(HirKind::Look(Look::End))) {
        parts.pop();
    }
    let texts: Vec<Option<&str>> = parts.iter().map(|part| literal_text(part)).collect();
    let repeats: Vec<Option<u32>> = parts.iter().map(|part| repeats_anything(part)).collect();
    let simple = match (texts.as_slice(), repeats.as_slice()) {
        ([_], [Some(0)]) => Some((Shape::Anything, "")),
        ([_], [Some(1)]) => Some((Shape::NotEmpty, "")),
        ([Some(prefix), _], [_, Some(least)]) => Some((Shape::Starts { with_more: *least == 1 }, *prefix)),
        ([_, Some(suffix)], [Some(0), _]) => Some((Shape::Ends((*suffix).to_owned()), "")),
        ([_, Some(part), _], [Some(0), _, Some(0)]) => Some((Shape::Contains((*part).to_owned()), "")),
        _ => None,
    };
    if let Some((shape, prefix)) = simple {
        return Ok((shape, prefix.to_owned()));
    }
    let prefix = texts.first().copied().flatten().unwrap_or_default().to_owned();
    Ok((Shape::Regex(super::compile(translated)?), prefix))
}

/// Lists what stands in a row, groups opened.
fn flatten<'a>(hir: &'a Hir, into: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, into)),
        HirKind::Capture(capture) => flatten(&capture.sub, into),
        HirKind::Empty => {}
        HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => {
            into.push(hir);
        }
    }
}

fn literal_text(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// Returns 0 for `.*` and 1 for `.+`.
fn repeats_anything(hir: &Hir) -> Option<u32> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(class)) = repetition.sub.kind() else { return None };
    let is_any = matches!(class.ranges(), [range] if range.start() == '\0' && range.end() == char::MAX);
    (is_any && repetition.max.is_none() && repetition.min <= 1).then_some(repetition.min)
}

/// Unfolds a pattern to the values that it accepts; `None` when they are too many.
fn literals(hir: &Hir) -> Option<Vec<String>> {
    let mut start = vec![String::new()];
    append(hir, &mut start)?;
    Some(start)
}

/// Appends each value of `hir` to each of `values`.
fn append(hir: &Hir, values: &mut Vec<String>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty => Some(()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            values.iter_mut().for_each(|value| value.push_str(text));
            Some(())
        }
        HirKind::Capture(capture) => append(&capture.sub, values),
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| append(part, values)),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(|range| range.len()).sum();
            let characters = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            multiply(values, count, characters.map(String::from))
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(literals(branch)?);
                if all.len() > LITERALS_MAX {
                    return None;
                }
            }
            let count = all.len();
            multiply(values, count, all.into_iter())
        }
        HirKind::Repetition(repetition) if repetition.min == 0 && repetition.max == Some(1) => {
            let mut all = literals(&repetition.sub)?;
            all.push(String::new());
            let count = all.len();
            multiply(values, count, all.into_iter())
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn multiply(values: &mut Vec<String>, count: usize, endings: impl Iterator<Item = String>) -> Option<()> {
    if values.len().checked_mul(count)? > LITERALS_MAX {
        return None;
    }
    let endings: Vec<String> = endings.collect();
    *values = values.iter().flat_map(|value| endings.iter().map(move |ending| format!("{value}{ending}"))).collect();
    Some(())
}

fn common_prefix(values: &[String]) -> String {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return String::new() };
    first.chars().zip(last.chars()).take_while(|(left, right)| left == right).map(|(left, _)| left).collect()
}
