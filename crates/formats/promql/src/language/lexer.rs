//! Text to words. What a character may be depends on whether it stands in braces or brackets, never on the grammar.

use super::ast::Span;
use super::operators::BinaryOperator;
use super::quote::{quote, quote_character};
use super::token::{Special, Token, TokenKind, word_kind};

/// The words of a text. The last is [`TokenKind::End`] or [`TokenKind::Error`].
#[derive(Debug)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// What is wrong where the words end.
    pub(super) error: Option<String>,
}

/// Reads all words of `text`, up to the first mistake.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { text, ..Lexer::default() };
    let error = lexer.run().err();
    if error.is_some() {
        lexer.tokens.push(Token { kind: TokenKind::Error, span: Span::new(lexer.start, text.len()) });
    }
    Lexed { tokens: lexer.tokens, error }
}

/// Where the next character stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Expression,
    Braces,
    /// In brackets, up to the first number.
    LengthOfTime,
}

#[derive(Debug, Default)]
struct Lexer<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    position: usize,
    /// Where the word being read starts.
    start: usize,
    mode: Mode,
    /// Parentheses that are open.
    parentheses: usize,
    in_brackets: bool,
    got_colon: bool,
    got_length: bool,
}

/// Says what is wrong.
type Failure = String;

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.start = self.position;
            let Some(character) = self.next() else {
                return self.end();
            };
            match self.mode {
                _ if is_space(character) => {}
                Mode::Expression => self.expression(character)?,
                Mode::Braces => self.braces(character)?,
                Mode::LengthOfTime => self.length_of_time(character)?,
            }
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        match self.mode {
            Mode::Braces => return Err("unexpected end of input inside braces".to_owned()),
            Mode::LengthOfTime => return Err("unexpected end of input in duration expression".to_owned()),
            Mode::Expression if self.parentheses > 0 => return Err("unclosed left parenthesis".to_owned()),
            Mode::Expression if self.in_brackets => return Err("unclosed left bracket".to_owned()),
            Mode::Expression => {}
        }
        self.push(TokenKind::End);
        Ok(())
    }

    fn expression(&mut self, character: char) -> Result<(), Failure> {
        match character {
            '#' => self.comment(),
            ',' => self.push(TokenKind::Comma),
            '@' => self.push(TokenKind::At),
            '=' => match self.peek() {
                Some('=') => self.push_with_next(TokenKind::Operator(BinaryOperator::Equal)),
                Some('~') => return Err("unexpected character after '=': '~'".to_owned()),
                _ => self.push(TokenKind::Assign),
            },
            '!' => match self.next() {
                Some('=') => self.push(TokenKind::Operator(BinaryOperator::NotEqual)),
                other => return Err(format!("unexpected character after '!': {}", named(other))),
            },
            '<' => match self.peek() {
                Some('=') => self.push_with_next(TokenKind::Operator(BinaryOperator::LessOrEqual)),
                Some('/') => self.push_with_next(TokenKind::Operator(BinaryOperator::TrimUpper)),
                _ => self.push(TokenKind::Operator(BinaryOperator::Less)),
            },
            '>' => match self.peek() {
                Some('=') => self.push_with_next(TokenKind::Operator(BinaryOperator::GreaterOrEqual)),
                Some('/') => self.push_with_next(TokenKind::Operator(BinaryOperator::TrimLower)),
                _ => self.push(TokenKind::Operator(BinaryOperator::Greater)),
            },
            '0'..='9' => return self.number_or_duration(character),
            '.' if self.peek().is_some_and(|next| next.is_ascii_digit()) => return self.number_or_duration(character),
            '"' | '\'' => return self.string(character),
            '`' => return self.raw_string(),
            ':' if self.in_brackets => {
                if self.got_colon {
                    return Err("unexpected colon ':'".to_owned());
                }
                self.got_colon = true;
                self.push(TokenKind::Colon);
            }
            '[' if self.in_brackets => return Err("unexpected left bracket '['".to_owned()),
            '[' => {
                self.push(TokenKind::LeftBracket);
                self.in_brackets = true;
                self.got_colon = false;
                self.got_length = false;
                self.mode = Mode::LengthOfTime;
            }
            ']' if !self.in_brackets => return Err("unexpected right bracket ']'".to_owned()),
            ']' => self.right_bracket(),
            '{' => {
                self.push(TokenKind::LeftBrace);
                self.mode = Mode::Braces;
            }
            _ if self.in_brackets && (character == '_' || character.is_ascii_alphabetic()) => {
                if !self.duration_word(character) {
                    return Err(format!("unexpected character: {}, expected ':'", quote_character(character)));
                }
            }
            ':' | '_' | 'a'..='z' | 'A'..='Z' => self.word(),
            _ => {
                if !self.shared(character)? {
                    return Err(format!("unexpected character: {}", quote_character(character)));
                }
            }
        }
        Ok(())
    }

    fn length_of_time(&mut self, character: char) -> Result<(), Failure> {
        match character {
            ']' => self.right_bracket(),
            ':' if !self.got_length => {
                self.start = self.position;
                return Err("unexpected colon before duration in duration expression".to_owned());
            }
            ':' if self.got_colon => {
                self.start = self.position;
                return Err("unexpected repeated colon in duration expression".to_owned());
            }
            ':' => {
                self.got_colon = true;
                self.push(TokenKind::Colon);
            }
            ',' => self.push(TokenKind::Comma),
            '0'..='9' => return self.number_in_brackets(character),
            '.' if self.peek().is_some_and(|next| next.is_ascii_digit()) => return self.number_in_brackets(character),
            _ => {
                let known = self.shared(character)? || self.duration_word(character);
                if !known {
                    let character = quote_character(character);
                    return Err(format!("unexpected character in duration expression: {character}"));
                }
            }
        }
        Ok(())
    }

    /// Takes what means the same in brackets and outside: arithmetic and parentheses.
    fn shared(&mut self, character: char) -> Result<bool, Failure> {
        let kind = match character {
            '*' => TokenKind::Operator(BinaryOperator::Multiply),
            '/' => TokenKind::Operator(BinaryOperator::Divide),
            '%' => TokenKind::Operator(BinaryOperator::Modulo),
            '+' => TokenKind::Operator(BinaryOperator::Add),
            '-' => TokenKind::Operator(BinaryOperator::Subtract),
            '^' => TokenKind::Operator(BinaryOperator::Power),
            '(' => {
                self.parentheses += 1;
                TokenKind::LeftParenthesis
            }
            ')' => {
                self.parentheses = self.parentheses.checked_sub(1).ok_or_else(|| {
                    self.start = self.position;
                    "unexpected right parenthesis ')'".to_owned()
                })?;
                TokenKind::RightParenthesis
            }
            _ => return Ok(false),
        };
        self.push(kind);
        Ok(true)
    }

    fn braces(&mut self, character: char) -> Result<(), Failure> {
        match character {
            '#' => self.comment(),
            ',' => self.push(TokenKind::Comma),
            '_' | 'a'..='z' | 'A'..='Z' => {
                self.skip_while(is_word);
                self.push(TokenKind::Identifier);
            }
            '"' | '\'' => return self.string(character),
            '`' => return self.raw_string(),
            '=' if self.peek() == Some('~') => self.push_with_next(TokenKind::Matches),
            '=' => self.push(TokenKind::Assign),
            '!' => match self.next() {
                Some('~') => self.push(TokenKind::NotMatches),
                Some('=') => self.push(TokenKind::Operator(BinaryOperator::NotEqual)),
                other => return Err(format!("unexpected character after '!' inside braces: {}", named(other))),
            },
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.push(TokenKind::RightBrace);
                self.mode = Mode::Expression;
            }
            _ => return Err(format!("unexpected character inside braces: {}", quote_character(character))),
        }
        Ok(())
    }

    fn right_bracket(&mut self) {
        self.push(TokenKind::RightBracket);
        self.in_brackets = false;
        self.mode = Mode::Expression;
    }

    fn comment(&mut self) {
        self.skip_while(|character| character != '\n' && character != '\r');
    }

    fn number_in_brackets(&mut self, first: char) -> Result<(), Failure> {
        self.got_length = true;
        self.mode = Mode::Expression;
        self.number_or_duration(first)
    }

    fn number_or_duration(&mut self, first: char) -> Result<(), Failure> {
        if self.number(first) {
            self.push(TokenKind::Number);
            return Ok(());
        }
        if self.duration() {
            self.push(TokenKind::Duration);
            return Ok(());
        }
        let word = self.text.get(self.start..self.position).unwrap_or_default();
        Err(format!("bad number or duration syntax: {}", quote(word.as_bytes())))
    }

    /// Takes a number whose first character is taken; leaves the place where it stops being one.
    fn number(&mut self, first: char) -> bool {
        let hexadecimal = first == '0' && self.peek().is_some_and(|next| matches!(next, 'x' | 'X'));
        if hexadecimal {
            let _ = self.next();
            self.skip_if(|next| next == '_');
        }
        let is_digit = |next: char| if hexadecimal { next.is_ascii_hexdigit() } else { next.is_ascii_digit() };
        let (mut dots, mut exponents) = (usize::from(first == '.'), 0);
        loop {
            match self.peek() {
                Some(next) if is_digit(next) => self.skip_while(is_digit),
                Some('.') => {
                    let _ = self.next();
                    dots += 1;
                    if dots > 1 || self.skip_if(|next| matches!(next, '_' | '.')) || hexadecimal {
                        return false;
                    }
                }
                Some('e' | 'E') => {
                    let _ = self.next();
                    exponents += 1;
                    if exponents > 1 {
                        return false;
                    }
                    self.skip_if(|next| matches!(next, '+' | '-'));
                    if self.skip_if(|next| matches!(next, '.' | '_' | 'e' | 'E')) || self.peek().is_none() {
                        return false;
                    }
                }
                Some('_') => {
                    let _ = self.next();
                    if self.skip_if(|next| matches!(next, '.' | '_' | 'e' | 'E')) || self.peek().is_none() {
                        return false;
                    }
                }
                Some(next) => return !is_word(next),
                None => return true,
            }
        }
    }

    /// Takes the rest of a length of time behind its first number.
    fn duration(&mut self) -> bool {
        let unit = |next: char| matches!(next, 's' | 'm' | 'h' | 'd' | 'w');
        if !self.skip_if(|next| unit(next) || next == 'y') {
            return false;
        }
        self.skip_if(|next| next == 's');
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.skip_while(|next| next.is_ascii_digit());
            if !self.skip_if(unit) {
                return false;
            }
            self.skip_if(|next| next == 's');
        }
        // A character that does not fit is shown too.
        !self.skip_if(is_word)
    }

    fn string(&mut self, quote: char) -> Result<(), Failure> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some('\\') => self.escape(quote)?,
                Some(character) if character == quote => break,
                Some(_) => {}
            }
        }
        self.push(TokenKind::String);
        Ok(())
    }

    fn raw_string(&mut self) -> Result<(), Failure> {
        self.skip_while(|character| character != '`');
        if self.next().is_none() {
            return Err("unterminated raw string".to_owned());
        }
        self.push(TokenKind::String);
        Ok(())
    }

    /// Checks what stands behind a backslash.
    fn escape(&mut self, quote: char) -> Result<(), Failure> {
        let unfinished = || "escape sequence not terminated".to_owned();
        let first = self.next().ok_or_else(unfinished)?;
        let (mut value, digits, base, value_max) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            _ if first == quote => return Ok(()),
            '0'..='7' => (u64::from(first.to_digit(8).unwrap_or_default()), 2, 8, 255),
            'x' => (0, 2, 16, 255),
            'u' => (0, 4, 16, 0x0010_ffff),
            'U' => (0, 8, 16, 0x0010_ffff),
            _ => return Err(format!("unknown escape sequence {}", code_point(first))),
        };
        for _ in 0..digits {
            let character = self.next().ok_or_else(unfinished)?;
            let digit = character
                .to_digit(base)
                .ok_or_else(|| format!("illegal character {} in escape sequence", code_point(character)))?;
            value = value * u64::from(base) + u64::from(digit);
        }
        if value > value_max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    /// Takes a name or keyword whose first character is taken.
    fn word(&mut self) {
        self.skip_while(|next| is_word(next) || next == ':');
        let kind = match word_kind(self.taken()) {
            TokenKind::Keyword(keyword) if keyword.needs_parenthesis() && !self.is_before_parenthesis() => {
                TokenKind::Identifier
            }
            kind => kind,
        };
        self.push(kind);
    }

    /// Takes `step`, `range`, `max_of` or `min_of`; tells whether one was there.
    fn duration_word(&mut self, first: char) -> bool {
        if !Special::ALL
            .iter()
            .any(|(name, special)| special.is_duration() && name.starts_with(first.to_ascii_lowercase()))
        {
            return false;
        }
        self.skip_while(|next| next == '_' || next.is_ascii_alphabetic());
        match word_kind(self.taken()) {
            TokenKind::Special(special) if special.is_duration() => {
                self.got_length = true;
                self.push(TokenKind::Special(special));
                true
            }
            _ => false,
        }
    }

    fn is_before_parenthesis(&self) -> bool {
        self.rest().trim_start_matches(is_space).starts_with('(')
    }

    /// Returns the word as far as it is taken.
    fn taken(&self) -> &str {
        self.text.get(self.start..self.position).unwrap_or_default()
    }

    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn skip_if(&mut self, test: impl Fn(char) -> bool) -> bool {
        let is_there = self.peek().is_some_and(test);
        if is_there {
            let _ = self.next();
        }
        is_there
    }

    fn skip_while(&mut self, test: impl Fn(char) -> bool) {
        while self.skip_if(&test) {}
    }

    fn push(&mut self, kind: TokenKind) {
        self.tokens.push(Token { kind, span: Span::new(self.start, self.position) });
    }

    fn push_with_next(&mut self, kind: TokenKind) {
        let _ = self.next();
        self.push(kind);
    }
}

pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

fn named(character: Option<char>) -> String {
    character.map_or_else(|| "end of input".to_owned(), quote_character)
}

fn code_point(character: char) -> String {
    format!("U+{:04X} '{character}'", u32::from(character))
}

/// Returns the bytes of a text in quotes, which the lexer has checked.
pub(super) fn unquote(literal: &str) -> Vec<u8> {
    let mut characters = literal.chars();
    let quote = characters.next();
    characters.next_back();
    let inner = characters.as_str();
    if quote == Some('`') || !inner.contains('\\') {
        return inner.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut characters = inner.chars();
    let push = |out: &mut Vec<u8>, character: char| {
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(character) = characters.next() {
        if character != '\\' {
            push(&mut out, character);
            continue;
        }
        let Some(kind) = characters.next() else { break };
        let mut code = |first: u32, digits: usize, base: u32| {
            let digit = |character: char| character.to_digit(base).unwrap_or_default();
            characters.by_ref().take(digits).fold(first, |code, next| code.wrapping_mul(base).wrapping_add(digit(next)))
        };
        match kind {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            'x' => out.push(u8::try_from(code(0, 2, 16)).unwrap_or_default()),
            'u' => push(&mut out, char::from_u32(code(0, 4, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
            'U' => push(&mut out, char::from_u32(code(0, 8, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
            '0'..='7' => {
                out.push(u8::try_from(code(kind.to_digit(8).unwrap_or_default(), 2, 8)).unwrap_or_default());
            }
            other => push(&mut out, other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let lexed = lex(text);
        assert_eq!(lexed.error, None, "{text}");
        lexed.tokens.iter().filter_map(|token| text.get(token.span.start..token.span.end)).collect()
    }

    #[test]
    fn words_are_told_apart() {
        assert_eq!(words("a:b{c=~'}'}[5m:1m]"), ["a:b", "{", "c", "=~", "'}'", "}", "[", "5m", ":", "1m", "]", ""]);
        assert_eq!(words("1_000+.5e-3/0x_1F"), ["1_000", "+", ".5e-3", "/", "0x_1F", ""]);
        assert_eq!(words("a</b>/c<=d # rest"), ["a", "</", "b", ">/", "c", "<=", "d", ""]);
    }

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unquote(r#""\x41\101\u0041\U00000041\n\"""#), b"AAAA\n\"");
        assert_eq!(unquote(r#""a\xc5z""#), b"a\xc5z");
        assert_eq!(unquote(r"`\n`"), br"\n");
        assert_eq!(unquote(r"'하\'늘'"), "하'늘".as_bytes());
    }
}
