//! Words of a `Dockerfile`: quotes, escapes and variables.

use crate::glob::Glob;

/// A word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\": {problem}")]
pub struct ExpandError {
    /// The word.
    pub word: String,
    /// What is wrong.
    pub problem: String,
}

/// Most that a word may grow to.
const LENGTH_MAX: usize = 1 << 20;
/// Deepest nesting of `${…${…}…}`.
const DEPTH_MAX: usize = 32;

/// Returns a word with quotes removed, escapes resolved and variables replaced (`$x`, `${x}`, and with the operators
/// `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`). Variables that are not set are empty.
///
/// # Errors
/// When a quote or brace does not end, or a variable that must be set is not.
pub fn expand(word: &str, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let error = |problem: String| ExpandError { word: word.chars().take(200).collect(), problem };
    let mut expander = Expander { rest: word.chars().collect(), at: 0, escape, lookup, depth: 0, raw: false };
    expander.text(&[]).map_err(error)
}

/// Returns a text with variables replaced and everything else, quotes too, as it is: the content of a heredoc.
///
/// # Errors
/// As `expand`.
pub fn expand_variables(
    text: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let error = |problem: String| ExpandError { word: text.chars().take(200).collect(), problem };
    let mut expander = Expander { rest: text.chars().collect(), at: 0, escape, lookup, depth: 0, raw: true };
    expander.text(&[]).map_err(error)
}

/// Splits a text at blanks that are neither quoted nor escaped; the words keep their quotes and escapes.
#[must_use]
pub fn split_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (next, quote) {
            (blank, None) if blank.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (found, other) if found == escape && other != Some('\'') => {
                word.push(found);
                word.extend(rest.next());
                continue;
            }
            ('"' | '\'', None) => quote = Some(next),
            (found, Some(open)) if found == open => quote = None,
            _ => {}
        }
        word.push(next);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

struct Expander<'a> {
    rest: Vec<char>,
    at: usize,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    depth: usize,
    /// Quotes mean nothing.
    raw: bool,
}

impl Expander<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let found = self.peek();
        self.at += usize::from(found.is_some());
        found
    }

    /// Reads to the end, or to one of `stops`, which is left.
    fn text(&mut self, stops: &[char]) -> Result<String, String> {
        let mut out = String::new();
        while let Some(next) = self.peek() {
            if stops.contains(&next) {
                break;
            }
            match next {
                '\'' if !self.raw => {
                    self.at += 1;
                    loop {
                        match self.next() {
                            Some('\'') => break,
                            Some(inner) => out.push(inner),
                            None => return Err("a single quote does not end".to_owned()),
                        }
                    }
                }
                '"' if !self.raw => self.double_quoted(&mut out)?,
                '$' => {
                    let value = self.variable()?;
                    out.push_str(&value);
                }
                found if found == self.escape => {
                    self.at += 1;
                    match self.next() {
                        Some(escaped) if !self.raw || escaped == '$' => out.push(escaped),
                        Some(other) => out.extend([found, other]),
                        // An escape at the end of a word stands for itself.
                        None => out.push(found),
                    }
                }
                other => {
                    self.at += 1;
                    out.push(other);
                }
            }
            if out.len() > LENGTH_MAX {
                return Err("it grows beyond a megabyte".to_owned());
            }
        }
        Ok(out)
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err("a double quote does not end".to_owned()),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('$') => {
                    let value = self.variable()?;
                    out.push_str(&value);
                }
                Some(found) if found == self.escape => {
                    self.at += 1;
                    match self.next() {
                        Some(special) if matches!(special, '"' | '$') || special == self.escape => out.push(special),
                        Some(other) => out.extend([found, other]),
                        None => return Err("a double quote does not end".to_owned()),
                    }
                }
                Some(other) => {
                    self.at += 1;
                    out.push(other);
                }
            }
        }
    }

    fn variable(&mut self) -> Result<String, String> {
        self.at += 1;
        match self.peek() {
            Some('{') => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err("variables are nested too deeply".to_owned());
                }
                let value = self.braced()?;
                self.depth -= 1;
                Ok(value)
            }
            Some(first) if first == '_' || first.is_ascii_alphabetic() => {
                let name = self.name();
                Ok((self.lookup)(&name).unwrap_or_default())
            }
            // Positional and special parameters are empty in a build.
            Some(special) if special.is_ascii_digit() || matches!(special, '@' | '*' | '#' | '?' | '-' | '!') => {
                self.at += 1;
                Ok(String::new())
            }
            _ => Ok("$".to_owned()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self.peek().filter(|next| *next == '_' || next.is_ascii_alphanumeric()) {
            name.push(next);
            self.at += 1;
        }
        name
    }

    fn braced(&mut self) -> Result<String, String> {
        const OPEN: &str = "a \"${\" does not end";
        let name = self.name();
        if name.is_empty() {
            return Err("\"${\" needs the name of a variable".to_owned());
        }
        let value = (self.lookup)(&name);
        let operator = self.next().ok_or(OPEN)?;
        if operator == '}' {
            return Ok(value.unwrap_or_default());
        }
        let colon = operator == ':';
        let operator = if colon { self.next().ok_or(OPEN)? } else { operator };
        let twice = matches!(operator, '#' | '%' | '/') && self.peek() == Some(operator);
        self.at += usize::from(twice);
        let stops: &[char] = if operator == '/' { &['}', '/'] } else { &['}'] };
        let word = self.text(stops)?;
        let replacement = match self.peek() {
            Some('/') if operator == '/' => {
                self.at += 1;
                self.text(&['}'])?
            }
            _ => String::new(),
        };
        if self.next() != Some('}') {
            return Err(OPEN.to_owned());
        }
        let set = value.as_ref().is_some_and(|value| !colon || !value.is_empty());
        let plain = value.unwrap_or_default();
        match operator {
            '-' => Ok(if set { plain } else { word }),
            '+' => Ok(if set { word } else { String::new() }),
            '?' if set => Ok(plain),
            '?' => Err(if word.is_empty() { format!("{name} must be set") } else { format!("{name}: {word}") }),
            '#' | '%' if !colon => strip(&plain, &word, operator == '#', twice),
            '/' if !colon => replace(&plain, &word, &replacement, twice),
            other => Err(format!("the operator '{other}' is not supported")),
        }
    }
}

/// Removes the shortest (or longest) match of a pattern at the start (or end).
fn strip(text: &str, pattern: &str, start: bool, longest: bool) -> Result<String, String> {
    let glob = shell_glob(pattern)?;
    let mut cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    // From the shortest match to the longest.
    if start == longest {
        cuts.reverse();
    }
    for cut in cuts {
        let (head, tail) = text.split_at(cut);
        let (candidate, kept) = if start { (head, tail) } else { (tail, head) };
        if glob.matches(&candidate.replace('/', "\u{1}")) {
            return Ok(kept.to_owned());
        }
    }
    Ok(text.to_owned())
}

/// Replaces the first match, or all; the longest at each place.
fn replace(text: &str, pattern: &str, with: &str, all: bool) -> Result<String, String> {
    let glob = shell_glob(pattern)?;
    let chars: Vec<char> = text.chars().map(|found| if found == '/' { '\u{1}' } else { found }).collect();
    if chars.len() > 4_096 {
        return Err("the value is too long to replace in".to_owned());
    }
    let mut out = String::new();
    let mut at = 0;
    let mut done = false;
    while at < chars.len() {
        let found = (!done || all)
            .then(|| (at + 1..=chars.len()).rev().find(|end| glob.matches(&chars[at..*end].iter().collect::<String>())))
            .flatten();
        if let Some(end) = found {
            out.push_str(with);
            at = end;
            done = true;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    Ok(out.replace('\u{1}', "/"))
}

/// In variables, `*` and `?` match slashes too: slashes are hidden behind another character.
fn shell_glob(pattern: &str) -> Result<Glob, String> {
    Glob::new(&pattern.replace('/', "\u{1}")).map_err(|problem| format!("pattern \"{pattern}\": {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "a" => Some("1".to_owned()),
            "empty" => Some(String::new()),
            "path" => Some("dir/sub/file.tar.gz".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn words_expand_as_in_a_shell() {
        for (word, expected) in [
            ("plain", "plain"),
            ("$a", "1"),
            ("${a}b$a", "1b1"),
            ("$none.", "."),
            ("\\$a", "$a"),
            ("'$a'", "$a"),
            ("\"$a \\\" \\x\"", "1 \" \\x"),
            ("a\\ b", "a b"),
            ("${none:-d}", "d"),
            ("${empty:-d}", "d"),
            ("${empty-d}", ""),
            ("${a:+yes}", "1".replace('1', "yes").as_str()),
            ("${empty:+yes}", ""),
            ("${empty+yes}", "yes"),
            ("${none:-${a:-x}}", "1"),
            ("${none:-'a b'}", "a b"),
            ("${path#*/}", "sub/file.tar.gz"),
            ("${path##*/}", "file.tar.gz"),
            ("${path%.*}", "dir/sub/file.tar"),
            ("${path%%.*}", "dir/sub/file"),
            ("${path/sub/x}", "dir/x/file.tar.gz"),
            ("${path//r/R}", "diR/sub/file.taR.gz"),
            ("100$", "100$"),
            ("$1x", "x"),
        ] {
            assert_eq!(expand(word, '\\', &lookup).unwrap(), expected, "{word}");
        }
        assert_eq!(expand("`$a \\$a", '`', &lookup).unwrap(), "$a \\1");
        assert_eq!(expand_variables("\"$a\" '\\$a' \\n", '\\', &lookup).unwrap(), "\"1\" '$a' \\n");
    }

    #[test]
    fn what_does_not_end_is_an_error() {
        for word in ["'a", "\"a", "${a", "${", "${a:", "${a:-x", "${}", "${a!b}", "${a/[/x}"] {
            assert!(expand(word, '\\', &lookup).is_err(), "{word}");
        }
        assert!(expand("${none:?say why}", '\\', &lookup).unwrap_err().to_string().contains("say why"));
    }

    #[test]
    fn words_are_split_outside_of_quotes() {
        assert_eq!(split_words("a 'b c' d\\ e \"f g\"h  i", '\\'), ["a", "'b c'", "d\\ e", "\"f g\"h", "i"]);
        assert!(split_words("  ", '\\').is_empty());
    }

    proptest! {
        #[test]
        fn expansion_never_panics(word in "[a$ {}:+\\-?#%/'\"\\\\*\\[\\]é]{0,40}") {
            drop(expand(&word, '\\', &lookup));
            drop(expand_variables(&word, '`', &lookup));
            drop(split_words(&word, '\\'));
        }
    }
}
