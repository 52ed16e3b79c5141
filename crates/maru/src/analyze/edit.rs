//! Writes another limit into a requirement's file: only the value changes, comments and layout stay.

use anyhow::Context as _;
use maru_requirements::{Item, Quantity, find_quantities, read_folder};

/// An edited file.
pub(super) struct Edited {
    /// Its text.
    pub(super) text: String,
    /// What was changed, for people.
    pub(super) places: String,
    /// The statement, where it does not say the new limit.
    pub(super) still_says: Option<String>,
}

/// Puts a value into `criterion.FIELD`, and into the statement where it says the old one.
pub(super) fn criterion(text: &str, item: &Item, field: &str, value: &str) -> anyhow::Result<Edited> {
    let place = item.place_of(&format!("criterion.{field}"));
    anyhow::ensure!(place.line > 0, "criterion.{field} is not written there");
    let start = offset(text, place.line, place.column).context("the file is shorter than it was")?;
    let rest = text.get(start..).unwrap_or_default();
    let old = scalar(rest);
    anyhow::ensure!(!old.is_empty(), "criterion.{field} is not written on one line");
    let before = find_quantities(unquoted(old)).into_iter().next().map(|(_, quantity)| quantity);
    let mut edited = text.to_owned();
    edited.replace_range(start..start + old.len(), &quoted_like(old, value));
    let mut places = format!("criterion.{field}");
    let with_statement = before.and_then(|before| in_statement(&edited, item, &before, (unquoted(old), value)));
    if let Some(changed) = with_statement {
        edited = changed;
        places.push_str(" and statement");
    }
    let wanted = find_quantities(value).into_iter().next().map(|(_, quantity)| quantity);
    let says = |text: &str| find_quantities(text).into_iter().any(|(_, found)| Some(&found) == wanted.as_ref());
    let now = read_folder(&[(item.file(), edited.as_bytes())]).ok();
    let statement = now.as_ref().and_then(|items| items.get(&item.name)).map(|item| item.statement.parts());
    let silent = statement.into_iter().flatten().map(|(_, text)| text.to_owned()).find(|text| !says(text));
    Ok(Edited { text: edited, places, still_says: silent })
}

/// Replaces the old quantity wherever the statement writes it as the criterion does, but for spaces.
fn in_statement(text: &str, item: &Item, before: &Quantity, (old, value): (&str, &str)) -> Option<String> {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let mut edited = text.to_owned();
    let mut changed = false;
    // From the end, so that places before stay where they are.
    let mut parts = Vec::new();
    for (language, statement) in item.statement.parts() {
        for field in [format!("statement.{}", language_code(language)), "statement".to_owned()] {
            let place = item.place_of(&field);
            if place.line > 0 {
                parts.push((field, statement.to_owned()));
                break;
            }
        }
    }
    let mut ranges = Vec::new();
    for (field, statement) in &parts {
        for (range, quantity) in find_quantities(statement) {
            if quantity == *before {
                let place = item.place_in(field, statement, range.start, range.end);
                let from = offset(text, place.line, place.column)?;
                let to = offset(text, place.end_line, place.end_column)?;
                let written = text.get(from..to)?;
                if bare(written) == bare(old) {
                    ranges.push((from, to));
                }
            }
        }
    }
    ranges.sort_unstable();
    ranges.dedup();
    for (from, to) in ranges.into_iter().rev() {
        edited.replace_range(from..to, value);
        changed = true;
    }
    changed.then_some(edited)
}

fn language_code(language: maru_requirements::Language) -> &'static str {
    match language {
        maru_requirements::Language::Ko => "ko",
        maru_requirements::Language::En => "en",
    }
}

/// Returns where a line and a column, both from 1 and in characters, are in a text.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let rest = text.get(start..)?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column.checked_sub(1)?)?;
    Some(start + within)
}

/// Returns a plain or quoted scalar as it is written, without what follows it.
fn scalar(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    let quote = line.chars().next().filter(|first| matches!(first, '"' | '\''));
    if let Some(quote) = quote {
        let end = line.char_indices().skip(1).find(|(_, letter)| *letter == quote).map(|(at, _)| at + 1);
        return end.and_then(|end| line.get(..end)).unwrap_or_default();
    }
    let end = [", ", "}", "]", " #", ",\t"].iter().filter_map(|stop| line.find(stop)).min().unwrap_or(line.len());
    let end = if line.get(..end).is_some_and(|plain| plain.ends_with(',')) { end - 1 } else { end };
    line.get(..end).unwrap_or_default().trim_end()
}

fn unquoted(scalar: &str) -> &str {
    scalar.trim_matches(['"', '\''])
}

/// Writes a value with the quotes that the old one had, or with those that it needs.
fn quoted_like(old: &str, value: &str) -> String {
    let needs = value.contains([',', '#', ':', '{', '}', '[', ']']) || value.starts_with(['%', '@', '`', '"', '\'']);
    match old.chars().next() {
        Some(quote @ ('"' | '\'')) => format!("{quote}{value}{quote}"),
        _ if needs => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, field: &str, value: &str) -> Edited {
        let items = read_folder(&[("a.yaml", text.as_bytes())]).unwrap();
        criterion(text, &items.items[0], field, value).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        let text = "# why: the RFP asks for it\nname: nfr-1\nstatement:\n  ko: \"주문하면, 주문 서비스는 99.9%에 300ms 이내로 응답해야 한다.\"   # 두 곳\n  en: \"When ordered, it shall answer 99.9 % within 300 ms.\"\npriority: must\nsource: {document: RFP}\nallocatedTo: [orders]\ncriterion: {indicator: latency, of: {service: orders}, quantile: 0.999, atMost: 300ms, window: 1d}  # a day\n";
        let edited = edit(text, "atMost", "400ms");
        let expected = text.replace("300ms", "400ms").replace("300 ms", "400ms");
        assert_eq!(edited.text, expected);
        assert_eq!(edited.places, "criterion.atMost and statement");
        assert_eq!(edited.still_says, None);
    }

    #[test]
    fn blocks_and_quotes_stay_and_a_silent_statement_is_told() {
        let text = "name: nfr-1\nstatement: The shop shall cost at most 500,000 KRW a month.\nsource: {document: RFP}\ncriterion:\n  indicator: cost\n  # agreed in May\n  atMost: '500000 KRW/month' # a month\n";
        let edited = edit(text, "atMost", "600000 KRW/month");
        assert_eq!(edited.text, text.replace("500000", "600000"));
        assert_eq!(edited.places, "criterion.atMost");
        assert_eq!(edited.still_says.as_deref(), Some("The shop shall cost at most 500,000 KRW a month."));
    }

    #[test]
    fn scalars_end_where_yaml_ends_them() {
        assert_eq!(scalar("300ms, window: 1d}"), "300ms");
        assert_eq!(scalar("300ms}"), "300ms");
        assert_eq!(scalar("500 KRW/month  # note"), "500 KRW/month");
        assert_eq!(scalar("\"a, b\" # note"), "\"a, b\"");
        assert_eq!(offset("가나\n다라\n", 2, 2), Some(10));
    }
}
