//! The one place that prints.

use std::io::Write as _;

use serde_json::Value;

/// Where answers go, and how they look.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// Machine-readable output only.
    pub json: bool,
}

impl Printer {
    /// Prints a line for people; silent with `--json`.
    pub fn line(&self, text: impl std::fmt::Display) {
        if !self.json {
            self.raw(text);
        }
    }

    /// Prints text as it is, in every mode.
    pub fn raw(&self, text: impl std::fmt::Display) {
        let mut output = std::io::stdout().lock();
        end_when_closed(writeln!(output, "{text}"));
    }

    /// Prints a JSON value, only with `--json`.
    pub fn value(&self, value: &Value) {
        if self.json {
            self.raw(value);
        }
    }

    /// Prints a note beside the answer, to standard error.
    pub fn note(&self, text: impl std::fmt::Display) {
        let mut output = std::io::stderr().lock();
        end_when_closed(writeln!(output, "{text}"));
    }
}

/// A reader that goes away, as `head` does, has seen enough: that is a good end, as for other programs in a pipe.
#[expect(clippy::exit, reason = "nobody reads what would be printed from here on")]
fn end_when_closed(written: std::io::Result<()>) {
    if written.is_err() {
        std::process::exit(0);
    }
}

/// Lays rows out in columns, as wide as their widest cell and three spaces apart.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| columns_of(cell)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns_of(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - columns_of(cell) + 3));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// Returns how many columns a text takes: Hangul, Han and their like take two each (UAX #11).
fn columns_of(text: &str) -> usize {
    let is_wide = |letter: char| {
        matches!(u32::from(letter), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    text.chars().map(|letter| if is_wide(letter) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            vec![vec!["a".to_owned(), "Running".to_owned()], vec!["주문-서비스".to_owned(), "Pending".to_owned()]];
        let text = table(&["NAME", "STATUS"], &rows);
        assert_eq!(text, "NAME          STATUS\na             Running\n주문-서비스   Pending");
    }
}
