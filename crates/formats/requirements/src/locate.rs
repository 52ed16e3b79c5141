//! Finds where a phrase of a value stands in the file that the value was read from.

use maru_yaml::Position;

/// Returns where `text[range]` stands in `source`, when `text` is the value that begins at or after `from`.
///
/// White space counts as one space on both sides: YAML folds lines, Markdown wraps them.
pub(crate) fn locate(source: &str, from: Position, text: &str, start: usize, end: usize) -> (Position, Position) {
    let Some(phrase) = text.get(start..end) else { return (from, from) };
    let wanted: Vec<char> = squeeze(phrase.chars().map(|letter| (letter, from))).into_iter().map(|(c, _)| c).collect();
    let before: Vec<char> = squeeze(text.get(..end).unwrap_or_default().chars().map(|letter| (letter, from)))
        .into_iter()
        .map(|(letter, _)| letter)
        .collect();
    let count = count(&before, &wanted);
    let letters = squeeze(positions(source, from));
    let mut seen = 0;
    for (index, window) in letters.windows(wanted.len().max(1)).enumerate() {
        if window.iter().map(|(letter, _)| letter).eq(&wanted) {
            seen += 1;
            if seen == count {
                let first = letters[index].1;
                let last = window.last().map_or(first, |(_, at)| *at);
                return (first, Position { line: last.line, column: last.column + 1 });
            }
        }
        if index > text.len().saturating_mul(4) + 4_000 {
            break;
        }
    }
    (from, from)
}

fn count(text: &[char], wanted: &[char]) -> usize {
    text.windows(wanted.len().max(1)).filter(|window| *window == wanted).count().max(1)
}

fn positions(source: &str, from: Position) -> impl Iterator<Item = (char, Position)> {
    source.lines().enumerate().skip(from.line.saturating_sub(1)).flat_map(move |(index, line)| {
        let skip = if index + 1 == from.line { from.column.saturating_sub(1) } else { 0 };
        let place = move |column| Position { line: index + 1, column };
        let ends = line.chars().count() + 1;
        line.chars()
            .enumerate()
            .map(move |(column, letter)| (letter, place(column + 1)))
            .skip(skip)
            .chain(std::iter::once(('\n', place(ends))))
    })
}

fn squeeze(letters: impl Iterator<Item = (char, Position)>) -> Vec<(char, Position)> {
    let mut squeezed: Vec<(char, Position)> = Vec::new();
    for (letter, at) in letters {
        // What a phrase may be long plus what may stand before it: no need to walk a whole import.
        if squeezed.len() > 40_000 {
            break;
        }
        if !letter.is_whitespace() {
            squeezed.push((letter, at));
        } else if squeezed.last().is_none_or(|(last, _)| *last != ' ') {
            squeezed.push((' ', at));
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn phrases_are_found_through_quotes_and_folds() {
        let source = "a: 1\nstatement: >\n  The system shall be\n  fast and fast.\n";
        let text = "The system shall be fast and fast.\n";
        let start = text.find("be fast").unwrap();
        assert_eq!(locate(source, at(2, 12), text, start, start + 7), (at(3, 20), at(4, 7)));
        let second = text.rfind("fast").unwrap();
        assert_eq!(locate(source, at(2, 12), text, second, second + 4), (at(4, 12), at(4, 16)));
        let source = "statement: \"주문은 빨리 한다\"\n";
        assert_eq!(locate(source, at(1, 12), "주문은 빨리 한다", 10, 16), (at(1, 17), at(1, 19)));
    }
}
