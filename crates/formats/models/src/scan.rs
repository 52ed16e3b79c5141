//! Walking along a line: names, keywords, quoted texts; every refusal knows its line and column.

use std::fmt;

/// How long the text of one diagram may be.
pub(crate) const TEXT_BYTES_MAX: usize = 256 << 10;
/// How long one label may be.
const LABEL_CHARACTERS_MAX: usize = 1000;
/// After so many problems reading stops.
const PROBLEMS_MAX: usize = 50;

/// Something that cannot be read: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The rest of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a> {
    line: usize,
    column: usize,
    rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(line: usize, text: &'a str) -> Self {
        let mut scan = Self { line, column: 1, rest: text.trim_end() };
        scan.spaces();
        scan
    }

    pub(crate) fn spot(&self) -> Spot {
        Spot { line: self.line, column: self.column }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, message: message.into() }
    }

    /// Says that what stands here is not what is wanted.
    pub(crate) fn wanted(&self, wanted: &str) -> Problem {
        let found: String = self.rest.chars().take(24).collect();
        if found.is_empty() {
            self.problem(format!("the line ends where {wanted} is wanted"))
        } else {
            self.problem(format!("\"{found}\" stands where {wanted} is wanted"))
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next character.
    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let bytes = self.rest.find(|character| !wanted(character)).unwrap_or(self.rest.len());
        self.advance(bytes)
    }

    pub(crate) fn spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Takes a text when it comes next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            self.advance(text.len());
        }
        found
    }

    /// Takes a word, and the spaces after it, when it comes next and does not go on.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '-'));
        let found = self.rest.strip_prefix(word).is_some_and(|rest| !goes_on(rest));
        if found {
            self.advance(word.len());
            self.spaces();
        }
        found
    }

    /// Takes a name: letters and digits of any language and `_`; `-` and `.` inside it.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        self.name_before(&[])
    }

    /// Takes a name that ends where one of some texts begins: arrows that look like the inside of a name.
    pub(crate) fn name_before(&mut self, ends: &[&str]) -> Option<&'a str> {
        let is_inner = |character: char| character.is_alphanumeric() || character == '_';
        let mut bytes = 0;
        let mut before = None;
        let mut characters = self.rest.chars().peekable();
        while let Some(character) = characters.next() {
            let joins = matches!(character, '-' | '.')
                && before.is_some_and(is_inner)
                && characters.peek().copied().is_some_and(is_inner)
                // `A-.text` and `A.->B` are arrows.
                && !(character == '.' && before == Some('-'));
            let is_end = || self.rest.get(bytes..).is_some_and(|rest| ends.iter().any(|end| rest.starts_with(end)));
            if !is_inner(character) && (!joins || is_end()) {
                break;
            }
            bytes += character.len_utf8();
            before = Some(character);
        }
        (bytes > 0).then(|| self.advance(bytes))
    }

    /// Takes all up to a text, and the text itself.
    pub(crate) fn until(&mut self, end: &str) -> Option<&'a str> {
        let bytes = self.rest.find(end)?;
        let taken = self.advance(bytes);
        self.advance(end.len());
        Some(taken)
    }

    /// Takes the rest of the line.
    pub(crate) fn all(&mut self) -> &'a str {
        self.advance(self.rest.len()).trim_end()
    }

    /// Takes a text in quotes when one comes next.
    pub(crate) fn quoted(&mut self) -> Result<Option<&'a str>, Problem> {
        let begin = *self;
        if !self.eat("\"") {
            return Ok(None);
        }
        if self.rest.starts_with('`') {
            return Err(self.problem("Markdown in a text is not supported; write it without the backquotes"));
        }
        self.until("\"").map(Some).ok_or_else(|| begin.problem("the quotes do not end on this line"))
    }

    /// The line must end here, or a semicolon end the statement.
    pub(crate) fn finish(&mut self) -> Result<(), Problem> {
        self.spaces();
        while self.eat(";") {
            self.spaces();
        }
        if self.is_end() { Ok(()) } else { Err(self.wanted("the end of the line")) }
    }
}

/// Returns a text as it is shown: line breaks and character references resolved.
pub(crate) fn label(scan: &Scan<'_>, text: &str) -> Result<String, Problem> {
    let mut out = String::new();
    let mut rest = text.trim();
    while let Some(character) = rest.chars().next() {
        let broken = ["<br/>", "<br />", "<br>", "\\n"].into_iter().find_map(|sign| rest.strip_prefix(sign));
        if let Some(after) = broken {
            out.push('\n');
            rest = after.trim_start();
            continue;
        }
        if character == '#'
            && let Some((name, after)) = rest.split_at(1).1.split_once(';')
            && let Some(found) = reference(name)
        {
            out.push(found);
            rest = after;
            continue;
        }
        out.push(character);
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    if out.chars().count() > LABEL_CHARACTERS_MAX {
        return Err(scan.problem(format!("a text has more than {LABEL_CHARACTERS_MAX} characters")));
    }
    Ok(out)
}

/// The character that `#name;` or `#number;` stands for.
fn reference(name: &str) -> Option<char> {
    let named = [("quot", '"'), ("amp", '&'), ("lt", '<'), ("gt", '>'), ("apos", '\''), ("nbsp", ' '), ("semi", ';')];
    if let Some((_, character)) = named.into_iter().find(|(known, _)| *known == name) {
        return Some(character);
    }
    if name.len() > 7 {
        return None;
    }
    char::from_u32(name.parse().ok()?).filter(|character| !character.is_control())
}

/// The statements of a diagram: lines without comments and empty ones.
pub(crate) fn lines<'a>(text: &'a str, first: usize) -> impl Iterator<Item = Scan<'a>> {
    let all = text.lines().enumerate().map(move |(index, line)| Scan::new(first + index, line));
    all.filter(|scan| !scan.is_end() && (!scan.rest.starts_with("%%") || scan.rest.starts_with("%%{")))
}

/// Reads statements with a function and gathers what cannot be read; a bad line does not hide those after it.
pub(crate) fn each<'a>(
    text: &'a str,
    first: usize,
    mut read: impl FnMut(Scan<'a>) -> Result<(), Problem>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for scan in lines(text, first) {
        let done = if scan.rest.starts_with("%%{") {
            Err(scan.problem("directives (%%{…}%%) are not supported: they change how a diagram is run"))
        } else {
            read(scan)
        };
        if let Err(problem) = done {
            problems.push(problem);
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
    }
    problems
}

/// Refuses statements of Mermaid that we lack, by name.
pub(crate) fn refuse(scan: &Scan<'_>, unsupported: &[(&str, &str)]) -> Result<(), Problem> {
    for (word, why) in unsupported {
        if scan.clone_word(word) {
            return Err(scan.problem(format!("\"{word}\" is not supported: {why}")));
        }
    }
    Ok(())
}

impl Scan<'_> {
    fn clone_word(&self, word: &str) -> bool {
        let mut copy = *self;
        copy.word(word)
    }
}

/// What concerns only looks, or runs something.
pub(crate) const LOOKS: [(&str, &str); 6] = [
    ("click", "a diagram opens and runs nothing"),
    ("style", "colours come from the theme"),
    ("classDef", "colours come from the theme"),
    ("linkStyle", "colours come from the theme"),
    ("cssClass", "colours come from the theme"),
    ("href", "a diagram leads nowhere"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_before_arrows() {
        for (text, name) in
            [("A-->B", "A"), ("주문-접수 --> x", "주문-접수"), ("a.b-.->c", "a.b"), ("x--x", "x"), ("-a", "")]
        {
            assert_eq!(Scan::new(1, text).name().unwrap_or_default(), name, "{text}");
        }
    }

    #[test]
    fn labels_resolve_breaks_and_references() {
        let scan = Scan::new(1, "");
        assert_eq!(label(&scan, " a<br/>b#quot;c#35; #x; <b> ").unwrap(), "a\nb\"c# #x; <b>");
        assert!(label(&scan, &"가".repeat(1001)).is_err());
    }
}
