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
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 3));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            vec![vec!["a".to_owned(), "Running".to_owned()], vec!["주문-서비스".to_owned(), "Pending".to_owned()]];
        let text = table(&["NAME", "STATUS"], &rows);
        assert_eq!(text, "NAME     STATUS\na        Running\n주문-서비스   Pending");
    }
}
