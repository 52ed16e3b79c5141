//! Completion indexes as `0-3,5`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Reads indexes below `limit`; what is not an index or a range is left out.
pub(crate) fn parse(text: &str, limit: i32) -> BTreeSet<i32> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<i32>(), last.trim().parse::<i32>()) {
            indexes.extend(first.max(0)..=last.min(limit.saturating_sub(1)));
        }
    }
    indexes
}

/// Writes indexes; two in a row are written apart, three and more as a range.
pub(crate) fn format(indexes: &BTreeSet<i32>) -> String {
    let mut text = String::new();
    let mut rest = indexes.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while rest.next_if(|next| *next == last + 1).is_some() {
            last += 1;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let written = match last - first {
            0 => write!(text, "{comma}{first}"),
            1 => write!(text, "{comma}{first},{last}"),
            _ => write!(text, "{comma}{first}-{last}"),
        };
        written.expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_become_ranges() {
        assert_eq!(format(&[0, 1, 2, 4, 6, 7].into()), "0-2,4,6,7");
        assert_eq!(parse("0-2,4,6,7", 7), [0, 1, 2, 4, 6].into());
        assert_eq!(parse("", 7), BTreeSet::new());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(indexes in proptest::collection::btree_set(0..200i32, 0..100)) {
            prop_assert_eq!(parse(&format(&indexes), 200), indexes);
        }
    }
}
