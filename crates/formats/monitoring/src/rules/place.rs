//! Where a part of a YAML value stands in the file: values lose their indentation, quotes and line ends on the way.

use maru_yaml::Position;

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As it is, or in a block.
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

/// A value's text beside the file's.
pub(super) struct Place<'a> {
    value: &'a str,
    /// The file from the value's first character on.
    rest: &'a str,
    at: Position,
    style: Style,
}

impl<'a> Place<'a> {
    /// Finds the value behind the key at `key`; nothing when there is no file.
    pub(super) fn of_value(file: &'a str, key: Position, value: &'a str) -> Option<Self> {
        let mut reader = Reader { rest: file, at: Position { line: 1, column: 1 } };
        while reader.at != key {
            reader.skip(1)?;
        }
        reader.skip(key_length(reader.rest)?)?;
        reader.skip(reader.rest.chars().take_while(|character| character.is_whitespace()).count())?;
        let (skipped, style) = match reader.rest.chars().next()? {
            '|' | '>' => (reader.rest.chars().take_while(|character| *character != '\n').count() + 1, Style::Plain),
            '\'' => (1, Style::SingleQuoted),
            '"' => (1, Style::DoubleQuoted),
            _ => (0, Style::Plain),
        };
        reader.skip(skipped)?;
        Some(Self { value, rest: reader.rest, at: reader.at, style })
    }

    /// Returns the place of the value's byte `offset`: all that is not white space is in the file as in the value.
    pub(super) fn find(&self, offset: usize) -> Position {
        let before = self.value.char_indices().take_while(|(index, _)| *index < offset);
        let wanted = before.filter(|(_, character)| !character.is_whitespace()).count();
        let is_behind = self.value.get(offset..).is_none_or(|rest| rest.trim().is_empty());
        // Behind the last character that was passed.
        let mut behind = self.at;
        let (mut at, mut seen) = (self.at, 0);
        let mut characters = self.rest.chars().peekable();
        while let Some(character) = characters.next() {
            if is_behind && seen == wanted {
                return behind;
            }
            if !character.is_whitespace() {
                if seen == wanted {
                    return at;
                }
                let escapes = match self.style {
                    Style::Plain => false,
                    Style::SingleQuoted => character == '\'' && characters.peek() == Some(&'\''),
                    Style::DoubleQuoted => character == '\\',
                };
                if escapes {
                    step(&mut at, character);
                    characters.next();
                }
                seen += 1;
                behind = Position { column: at.column + 1, ..at };
            }
            step(&mut at, character);
        }
        behind
    }
}

/// A file from some place on.
struct Reader<'a> {
    rest: &'a str,
    at: Position,
}

impl Reader<'_> {
    fn skip(&mut self, characters: usize) -> Option<()> {
        for _ in 0..characters {
            let mut rest = self.rest.chars();
            step(&mut self.at, rest.next()?);
            self.rest = rest.as_str();
        }
        Some(())
    }
}

/// Returns the characters up to behind the key's colon.
fn key_length(rest: &str) -> Option<usize> {
    let quoted = rest.starts_with(['"', '\'']);
    let mut inside = quoted;
    for (count, character) in rest.chars().enumerate() {
        match character {
            '"' | '\'' if quoted && count > 0 => inside = false,
            ':' if !inside => return Some(count + 1),
            '\n' => return None,
            _ => {}
        }
    }
    None
}

fn step(at: &mut Position, character: char) {
    if character == '\n' {
        at.line += 1;
        at.column = 1;
    } else {
        at.column += 1;
    }
}
