//! RE2's syntax in the words of the engine that is used here.
//!
//! Source: RE2 syntax, as Go's `regexp/syntax` reads it. What differs: `\d`, `\w` and `\s` are ASCII; `{` that starts no count is
//! itself; `[` inside brackets is itself; `\Q…\E` quotes; octal escapes; at most 1,000 repetitions; no repetition of a repetition.

use std::iter::Peekable;
use std::str::Chars;

/// Repetitions that a count may ask for.
const REPEAT_MAX: u32 = 1_000;

/// Returns the pattern as this engine writes it.
///
/// # Errors
/// When RE2 refuses what this engine would take.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator =
        Translator { rest: pattern.chars().peekable(), output: String::with_capacity(pattern.len() + 8) };
    translator.run()?;
    Ok(translator.output)
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    output: String,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut after_repeat = false;
        while let Some(character) = self.rest.next() {
            let repeats = matches!(character, '*' | '+' | '?') || (character == '{' && self.count().is_some());
            if repeats {
                if after_repeat {
                    return Err("a repetition is repeated: put brackets around it".to_owned());
                }
                self.repeat(character)?;
                after_repeat = true;
                continue;
            }
            after_repeat = false;
            match character {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '{' => self.output.push_str("\\{"),
                '(' => self.group()?,
                other => self.output.push(other),
            }
        }
        Ok(())
    }

    /// Returns the text and the largest number of a count such as `{2,5}` whose brace was just read.
    fn count(&self) -> Option<(String, u32)> {
        let rest: String = self.rest.clone().take_while(|character| *character != '}').take(24).collect();
        let is_closed = self.rest.clone().nth(rest.chars().count()) == Some('}');
        let (least, most) = rest.split_once(',').unwrap_or((&rest, ""));
        let number = |text: &str| -> Option<u32> {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let least = number(least)?;
        let most = if most.is_empty() { least } else { number(most)? };
        is_closed.then(|| (rest, least.max(most)))
    }

    fn repeat(&mut self, character: char) -> Result<(), String> {
        self.output.push(character);
        if character == '{'
            && let Some((text, largest)) = self.count()
        {
            if largest > REPEAT_MAX {
                return Err(format!("{{{text}}} repeats more often than {REPEAT_MAX} times"));
            }
            self.output.push_str(&text);
            self.output.push('}');
            self.rest.nth(text.chars().count());
        }
        if self.rest.next_if_eq(&'?').is_some() {
            self.output.push('?');
        }
        Ok(())
    }

    /// Passes on the head of a group; flags that RE2 lacks are refused.
    fn group(&mut self) -> Result<(), String> {
        self.output.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.output.push('?');
        let flags: String = self.rest.clone().take_while(|flag| flag.is_ascii_alphabetic() || *flag == '-').collect();
        let ends = self.rest.clone().nth(flags.len());
        if matches!(ends, Some(')' | ':'))
            && let Some(unknown) = flags.chars().find(|flag| !matches!(flag, 'i' | 'm' | 's' | 'U' | '-'))
        {
            return Err(format!("there is no flag {unknown:?}: use i, m, s or U"));
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(character) = self.rest.next() else {
            return Err("it ends with a backslash".to_owned());
        };
        let ascii = |plain: &str| if in_class { plain.to_owned() } else { format!("[{plain}]") };
        match character {
            'd' => self.output.push_str(&ascii("0-9")),
            'w' => self.output.push_str(&ascii("0-9A-Za-z_")),
            's' => self.output.push_str(&ascii("\\t\\n\\x0C\\r\\x20")),
            'D' => self.output.push_str("[^0-9]"),
            'W' => self.output.push_str("[^0-9A-Za-z_]"),
            'S' => self.output.push_str("[^\\t\\n\\x0C\\r\\x20]"),
            'b' if !in_class => self.output.push_str("(?-u:\\b)"),
            'Q' if !in_class => self.quoted(),
            '0'..='7' => self.octal(character)?,
            // Words' edges to this engine, plain characters to RE2.
            '<' | '>' => self.output.push(character),
            'A' | 'z' | 'B' if !in_class => self.output.extend(['\\', character]),
            'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'p' | 'P' | 'x' => self.output.extend(['\\', character]),
            other if other.is_ascii_alphanumeric() || !other.is_ascii() => {
                return Err(format!("there is no escape \\{other}"));
            }
            other => self.output.push_str(&regex_syntax::escape(&other.to_string())),
        }
        Ok(())
    }

    fn quoted(&mut self) {
        let mut text = String::new();
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            text.push(character);
        }
        self.output.push_str(&regex_syntax::escape(&text));
    }

    fn octal(&mut self, first: char) -> Result<(), String> {
        let is_digit = |digit: &char| ('0'..='7').contains(digit);
        if first != '0' && !self.rest.peek().is_some_and(is_digit) {
            return Err(format!("\\{first} would refer to a group, which is not possible"));
        }
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.next_if(is_digit).and_then(|digit| digit.to_digit(8)) else { break };
            code = code * 8 + digit;
        }
        self.output.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    /// Passes on brackets, whose opening one was just read.
    fn class(&mut self) -> Result<(), String> {
        self.output.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.output.push('^');
        }
        // A closing bracket right behind the opening one is itself.
        if self.rest.next_if_eq(&']').is_some() {
            self.output.push_str("\\]");
        }
        while let Some(character) = self.rest.next() {
            match character {
                ']' => {
                    self.output.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.rest.peek() == Some(&':') => {
                    let name: String = self
                        .rest
                        .clone()
                        .skip(1)
                        .take_while(|letter| letter.is_ascii_alphabetic() || *letter == '^')
                        .collect();
                    let mut behind = self.rest.clone().skip(1 + name.len());
                    if (behind.next(), behind.next()) == (Some(':'), Some(']')) {
                        self.output.push_str(&format!("[:{name}:]"));
                        self.rest.nth(name.len() + 2);
                    } else {
                        self.output.push_str("\\[");
                    }
                }
                // Operators on sets to this engine.
                '[' | '&' | '~' => self.output.extend(['\\', character]),
                other => self.output.push(other),
            }
        }
        Err("a bracket is not closed".to_owned())
    }
}
