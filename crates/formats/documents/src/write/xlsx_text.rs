//! Texts of cells: how long they are, where they are split, and which a reader would take for a formula.

/// What a cell holds at most, in units of UTF-16 (§ "Excel specifications and limits"); the rest stands on a sheet of its own.
pub(super) const CELL_UNITS_MAX: usize = 32_767;
/// Room for the words that say where the rest stands.
const CELL_UNITS_KEPT: usize = 32_500;

pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The columns of fixed width that a text takes: letters of East Asia take two.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| if character >= '\u{1100}' { 2 } else { 1 }).sum()
}

/// Splits a text into parts that a cell holds.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    let mut count = 0;
    for character in text.chars() {
        if count + character.len_utf16() > CELL_UNITS_KEPT {
            parts.push(String::new());
            count = 0;
        }
        count += character.len_utf16();
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.into_iter()
}

pub(super) fn column_name(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// Whether a reader would take the text for a formula once somebody edits it.
pub(super) fn is_formula_like(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || text.starts_with(['\t', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_readers_do() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")] {
            assert_eq!(column_name(column), name);
        }
    }

    #[test]
    fn what_a_reader_would_compute_is_quoted() {
        for text in ["=1", "+1", "-1", "@a", "\t=1", " =1", "\n=1", "＝1", "'=1"] {
            assert!(is_formula_like(text), "{text:?}");
        }
        assert!(!is_formula_like("a=1"));
    }
}
