//! From text to tokens: what is between the delimiters, and what is around them.

use std::rc::Rc;

use crate::error::Place;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// Text outside of actions.
    Text(String),
    Open,
    Close,
    /// White space between words: `.a .b` is not `.a.b`.
    Space,
    /// `.name`
    Field(String),
    /// `$` or `$name`
    Variable(String),
    /// A keyword, a function, `true`, `false`, `nil`.
    Word(String),
    Dot,
    Pipe,
    Declare,
    Assign,
    Comma,
    LeftParenthesis,
    RightParenthesis,
    Integer(i64),
    Float(f64),
    String(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) at: Place,
}

/// Tokens that are read once, or ahead by a cheap copy.
#[derive(Clone)]
pub(crate) struct Tokens {
    list: Rc<[Spanned]>,
    next: usize,
}

impl Tokens {
    pub(crate) fn new(list: Vec<Spanned>) -> Self {
        Self { list: list.into(), next: 0 }
    }

    pub(crate) fn peek(&self) -> Option<&Spanned> {
        self.list.get(self.next)
    }

    pub(crate) fn next(&mut self) -> Option<Spanned> {
        self.next_if(|_| true)
    }

    pub(crate) fn next_if(&mut self, fits: impl FnOnce(&Spanned) -> bool) -> Option<Spanned> {
        let spanned = self.list.get(self.next).filter(|spanned| fits(spanned))?.clone();
        self.next += 1;
        Some(spanned)
    }
}

pub(crate) struct Lexer<'t> {
    rest: &'t str,
    at: Place,
    tokens: Vec<Spanned>,
}

type Failure = (Place, String);

/// Splits a template into tokens.
pub(crate) fn tokens(text: &str) -> Result<Vec<Spanned>, Failure> {
    let mut lexer = Lexer { rest: text, at: Place { line: 1, column: 1 }, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

impl<'t> Lexer<'t> {
    fn advance(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        for character in taken.chars() {
            if character == '\n' {
                self.at = Place { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn push(&mut self, at: Place, token: Token) {
        self.tokens.push(Spanned { token, at });
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut trim = false;
        loop {
            let open = self.rest.find("{{");
            let at = self.at;
            let mut text = self.advance(open.unwrap_or(self.rest.len()));
            if trim {
                text = text.trim_start_matches(is_space);
            }
            let after = self.rest.strip_prefix("{{");
            let trims_before = after.is_some_and(|after| {
                let mut characters = after.chars();
                characters.next() == Some('-') && characters.next().is_some_and(is_space)
            });
            if trims_before {
                text = text.trim_end_matches(is_space);
            }
            if !text.is_empty() {
                self.push(at, Token::Text(text.to_owned()));
            }
            if after.is_none() {
                return Ok(());
            }
            let at = self.at;
            self.advance(if trims_before { 3 } else { 2 });
            trim = if self.rest.trim_start_matches(is_space).starts_with("/*") && self.comment_is_here(trims_before) {
                self.comment(at)?
            } else {
                self.push(at, Token::Open);
                self.action(at)?
            };
        }
    }

    /// A comment follows the delimiter at once, or the space of a trim marker.
    fn comment_is_here(&self, trims_before: bool) -> bool {
        self.rest.starts_with("/*") || (trims_before && self.rest.trim_start_matches(is_space).starts_with("/*"))
    }

    /// Skips a comment; tells whether the text after it is trimmed.
    fn comment(&mut self, open: Place) -> Result<bool, Failure> {
        let skipped = self.rest.len() - self.rest.trim_start_matches(is_space).len();
        self.advance(skipped);
        let Some(end) = self.rest.find("*/") else { return Err((open, "the comment does not end".to_owned())) };
        self.advance(end + 2);
        if let Some((bytes, trims)) = self.closing() {
            self.advance(bytes);
            return Ok(trims);
        }
        Err((self.at, "a comment must end before the closing delimiter \"}}\"".to_owned()))
    }

    /// Returns the length of the closing delimiter if it is here, and whether it trims.
    fn closing(&self) -> Option<(usize, bool)> {
        if self.rest.starts_with("}}") {
            return Some((2, false));
        }
        let trimmed = self.rest.strip_prefix(is_space)?.strip_prefix("-}}").is_some();
        trimmed.then_some((4, true))
    }

    /// Reads up to the closing delimiter; tells whether the text after it is trimmed.
    fn action(&mut self, open: Place) -> Result<bool, Failure> {
        let mut depth = 0_usize;
        loop {
            let at = self.at;
            if let Some((bytes, trims)) = self.closing() {
                if depth > 0 {
                    return Err((at, "a left parenthesis is not closed".to_owned()));
                }
                self.advance(bytes);
                self.push(at, Token::Close);
                return Ok(trims);
            }
            let mut characters = self.rest.chars();
            let (Some(first), second) = (characters.next(), characters.next()) else {
                return Err((open, "the action is not closed with \"}}\"".to_owned()));
            };
            match first {
                _ if is_space(first) => {
                    let trimmed = self.rest.trim_start_matches(is_space);
                    let mut bytes = self.rest.len() - trimmed.len();
                    // The last space belongs to a trim marker.
                    if trimmed.starts_with("-}}") {
                        bytes -= 1;
                    }
                    self.advance(bytes.max(1).min(self.rest.len()));
                    if bytes > 0 {
                        self.push(at, Token::Space);
                    }
                }
                '(' => {
                    depth += 1;
                    self.single(at, Token::LeftParenthesis);
                }
                ')' => {
                    depth = depth.checked_sub(1).ok_or((at, "a right parenthesis is not opened".to_owned()))?;
                    self.single(at, Token::RightParenthesis);
                }
                '|' => self.single(at, Token::Pipe),
                ',' => self.single(at, Token::Comma),
                '=' => self.single(at, Token::Assign),
                ':' if second == Some('=') => {
                    self.advance(2);
                    self.push(at, Token::Declare);
                }
                '"' => self.quoted(at)?,
                '`' => self.raw(at)?,
                '\'' => self.character(at)?,
                '$' => {
                    self.advance(1);
                    let name = self.word();
                    self.push(at, Token::Variable(name));
                }
                '.' if !second.is_some_and(|next| next.is_ascii_digit()) => {
                    self.advance(1);
                    let name = self.word();
                    self.push(at, if name.is_empty() { Token::Dot } else { Token::Field(name) });
                }
                '0'..='9' | '.' | '+' | '-' => self.number(at)?,
                _ if is_word(first) => {
                    let name = self.word();
                    self.push(at, Token::Word(name));
                }
                other => return Err((at, format!("unexpected character {other:?}"))),
            }
        }
    }

    fn single(&mut self, at: Place, token: Token) {
        self.advance(1);
        self.push(at, token);
    }

    fn word(&mut self) -> String {
        let bytes = self.rest.find(|character| !is_word(character)).unwrap_or(self.rest.len());
        self.advance(bytes).to_owned()
    }

    fn number(&mut self, at: Place) -> Result<(), Failure> {
        let mut bytes = 0;
        let mut previous = ' ';
        for character in self.rest.chars() {
            let is_sign = matches!(character, '+' | '-');
            let fits = is_word(character)
                || character == '.'
                || (is_sign && (bytes == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P')));
            // The `e` of a hexadecimal number is a digit: no sign follows.
            if !fits {
                break;
            }
            previous = character;
            bytes += character.len_utf8();
        }
        let text = self.advance(bytes);
        let token = number(text).ok_or_else(|| (at, format!("\"{text}\" is no number")))?;
        self.push(at, token);
        Ok(())
    }

    fn quoted(&mut self, at: Place) -> Result<(), Failure> {
        let mut escaped = false;
        for (index, character) in self.rest.char_indices().skip(1) {
            match character {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let quoted = self.advance(index + 1);
                    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                    let text = unescape(inner).map_err(|why| (at, why))?;
                    self.push(at, Token::String(text));
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((at, "the quoted text does not end".to_owned()))
    }

    fn raw(&mut self, at: Place) -> Result<(), Failure> {
        self.advance(1);
        let Some(end) = self.rest.find('`') else { return Err((at, "the raw quoted text does not end".to_owned())) };
        let text = self.advance(end).replace('\r', "");
        self.advance(1);
        self.push(at, Token::String(text));
        Ok(())
    }

    /// A character constant is its code point.
    fn character(&mut self, at: Place) -> Result<(), Failure> {
        let mut escaped = false;
        for (index, character) in self.rest.char_indices().skip(1) {
            match character {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    let quoted = self.advance(index + 1);
                    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                    let text =
                        if inner == "\\'" { "'".to_owned() } else { unescape(inner).map_err(|why| (at, why))? };
                    let mut characters = text.chars();
                    let (Some(only), None) = (characters.next(), characters.next()) else { break };
                    self.push(at, Token::Integer(i64::from(u32::from(only))));
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((at, "the character constant does not end, or is more than one character".to_owned()))
    }
}

/// Reads a number as Go writes constants: `1`, `0x1F`, `0b1`, `0o7`, `1_000`, `1.5e3`.
fn number(text: &str) -> Option<Token> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let radix = [("0x", 16), ("0b", 2), ("0o", 8)]
        .into_iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|rest| (rest.to_owned(), radix)));
    if let Some((rest, radix)) = radix {
        return i64::from_str_radix(&rest, radix).ok().map(|value| Token::Integer(sign * value));
    }
    if plain.contains(['.', 'e', 'E']) {
        let starts_well = plain.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        return plain
            .parse::<f64>()
            .ok()
            .filter(|value| starts_well && value.is_finite())
            .map(|value| Token::Float(if sign < 0 { -value } else { value }));
    }
    if plain.len() > 1 && plain.starts_with('0') {
        return i64::from_str_radix(&plain, 8).ok().map(|value| Token::Integer(sign * value));
    }
    plain.parse::<i64>().ok().map(|value| Token::Integer(sign * value))
}

/// Resolves the escapes of a quoted text.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        let escape = characters.next().unwrap_or('\\');
        let code = |digits: usize, radix: u32, first: Option<char>, characters: &mut std::str::Chars<'_>| {
            let text: String = first.into_iter().chain(characters.by_ref().take(digits)).collect();
            let whole = text.chars().count() == digits + usize::from(first.is_some());
            u32::from_str_radix(&text, radix).ok().filter(|_| whole).and_then(char::from_u32)
        };
        let resolved = match escape {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' | '"' => Some(escape),
            'x' => code(2, 16, None, &mut characters),
            'u' => code(4, 16, None, &mut characters),
            'U' => code(8, 16, None, &mut characters),
            '0'..='7' => code(2, 8, Some(escape), &mut characters),
            _ => None,
        };
        out.push(resolved.ok_or_else(|| format!("\"\\{escape}\" is no escape; a backslash is written \"\\\\\""))?);
    }
    Ok(out)
}

/// Says a token to a person.
pub(crate) fn shown(token: &Token) -> String {
    match token {
        Token::Text(_) => "text".to_owned(),
        Token::Open => "\"{{\"".to_owned(),
        Token::Close => "\"}}\"".to_owned(),
        Token::Space => "a space".to_owned(),
        Token::Field(name) => format!("\".{name}\""),
        Token::Variable(name) => format!("\"${name}\""),
        Token::Word(word) => format!("\"{word}\""),
        Token::Dot => "\".\"".to_owned(),
        Token::Pipe => "\"|\"".to_owned(),
        Token::Declare => "\":=\"".to_owned(),
        Token::Assign => "\"=\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::LeftParenthesis => "\"(\"".to_owned(),
        Token::RightParenthesis => "\")\"".to_owned(),
        Token::Integer(number) => number.to_string(),
        Token::Float(number) => number.to_string(),
        Token::String(text) => format!("{text:?}"),
    }
}
