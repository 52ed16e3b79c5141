//! Words, numbers, texts and signs.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::parse::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Int(i64),
    /// `9223372036854775808`, which is a number only behind a minus.
    IntMin,
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Sign(&'static str),
    End,
}

impl Token {
    /// Returns the token as a message shows it.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Name(name) => format!("\"{name}\""),
            Self::Int(_) | Self::IntMin | Self::Uint(_) | Self::Double(_) => "a number".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Sign(sign) => format!("\"{sign}\""),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longer signs first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

struct Lexer<'a> {
    source: &'a str,
    letters: Peekable<CharIndices<'a>>,
}

/// Returns the tokens with their offsets; the last is the end.
pub(crate) fn lex(source: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let mut lexer = Lexer { source, letters: source.char_indices().peekable() };
    let mut tokens = Vec::new();
    while let Some((at, letter)) = lexer.letters.peek().copied() {
        if letter.is_whitespace() {
            lexer.letters.next();
        } else if lexer.rest(at).starts_with("//") {
            while lexer.letters.next_if(|(_, letter)| *letter != '\n').is_some() {}
        } else {
            let token = lexer.token(at, letter)?;
            tokens.push((token, at));
        }
    }
    tokens.push((Token::End, source.len()));
    Ok(tokens)
}

impl Lexer<'_> {
    fn rest(&self, at: usize) -> &str {
        self.source.get(at..).unwrap_or_default()
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.source, at, message.into())
    }

    fn skip(&mut self, letters: usize) {
        for _ in 0..letters {
            self.letters.next();
        }
    }

    fn token(&mut self, at: usize, letter: char) -> Result<Token, ParseError> {
        if let Some(text) = self.quoted(at)? {
            return Ok(text);
        }
        if letter.is_ascii_alphabetic() || letter == '_' {
            let mut name = String::new();
            while let Some((_, letter)) = self.letters.next_if(|(_, one)| one.is_ascii_alphanumeric() || *one == '_') {
                name.push(letter);
            }
            return Ok(Token::Name(name));
        }
        let second = self.rest(at).chars().nth(1);
        if letter.is_ascii_digit() || (letter == '.' && second.is_some_and(|one| one.is_ascii_digit())) {
            return self.number(at);
        }
        match SIGNS.iter().find(|sign| self.rest(at).starts_with(**sign)) {
            Some(sign) => {
                self.skip(sign.len());
                Ok(Token::Sign(sign))
            }
            None => Err(self.error(at, format!("{letter:?} means nothing here"))),
        }
    }

    fn number(&mut self, at: usize) -> Result<Token, ParseError> {
        let mut digits = String::new();
        let take = |lexer: &mut Self, digits: &mut String, fits: fn(char) -> bool| {
            while let Some((_, letter)) = lexer.letters.next_if(|(_, letter)| fits(*letter)) {
                digits.push(letter);
            }
        };
        let is_hex = self.rest(at).starts_with("0x") || self.rest(at).starts_with("0X");
        let mut is_double = false;
        if is_hex {
            self.skip(2);
            take(self, &mut digits, |letter| letter.is_ascii_hexdigit());
        } else {
            take(self, &mut digits, |letter| letter.is_ascii_digit());
            let here = self.letters.peek().map_or(self.source.len(), |(at, _)| *at);
            let mut next = self.rest(here).chars();
            if next.next() == Some('.') && next.next().is_some_and(|letter| letter.is_ascii_digit()) {
                is_double = true;
                self.skip(1);
                digits.push('.');
                take(self, &mut digits, |letter| letter.is_ascii_digit());
            }
            if self.letters.next_if(|(_, letter)| matches!(letter, 'e' | 'E')).is_some() {
                is_double = true;
                digits.push('e');
                if let Some((_, sign)) = self.letters.next_if(|(_, letter)| matches!(letter, '+' | '-')) {
                    digits.push(sign);
                }
                take(self, &mut digits, |letter| letter.is_ascii_digit());
            }
        }
        let wrong = |lexer: &Self| lexer.error(at, "the number is not understood, or too large");
        if is_double {
            return digits.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Double).ok_or(wrong(self));
        }
        let number = u64::from_str_radix(&digits, if is_hex { 16 } else { 10 }).map_err(|_| wrong(self))?;
        if self.letters.next_if(|(_, letter)| matches!(letter, 'u' | 'U')).is_some() {
            return Ok(Token::Uint(number));
        }
        match i64::try_from(number) {
            Ok(number) => Ok(Token::Int(number)),
            Err(_) if number == i64::MIN.unsigned_abs() => Ok(Token::IntMin),
            Err(_) => Err(wrong(self)),
        }
    }

    /// Reads a text or bytes, when there are any here.
    fn quoted(&mut self, at: usize) -> Result<Option<Token>, ParseError> {
        let rest = self.rest(at);
        let prefix: String = rest.chars().take_while(|letter| "rRbB".contains(*letter)).take(3).collect();
        let (is_raw, is_bytes) = match prefix.to_ascii_lowercase().as_str() {
            "" => (false, false),
            "r" => (true, false),
            "b" => (false, true),
            "rb" | "br" => (true, true),
            _ => return Ok(None),
        };
        let opening = rest.get(prefix.len()..).unwrap_or_default();
        let Some(quote) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| opening.starts_with(quote)) else {
            return Ok(None);
        };
        self.skip(prefix.len() + quote.len());
        let mut bytes = Vec::new();
        loop {
            let Some((here, letter)) = self.letters.peek().copied() else {
                return Err(self.error(at, "the text does not end"));
            };
            if self.rest(here).starts_with(quote) {
                self.skip(quote.len());
                break;
            }
            if quote.len() == 1 && matches!(letter, '\n' | '\r') {
                return Err(self.error(at, "the text does not end on its line"));
            }
            self.letters.next();
            if letter == '\\' && !is_raw {
                self.escape(here, is_bytes, &mut bytes)?;
            } else {
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if is_bytes {
            return Ok(Some(Token::Bytes(bytes)));
        }
        String::from_utf8(bytes).map(|text| Some(Token::Text(text))).map_err(|_| self.error(at, "the text is no UTF-8"))
    }

    fn escape(&mut self, at: usize, is_bytes: bool, into: &mut Vec<u8>) -> Result<(), ParseError> {
        let Some((_, letter)) = self.letters.next() else { return Err(self.error(at, "the text does not end")) };
        let plain = match letter {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '?' | '"' | '\'' | '`' => u8::try_from(letter).unwrap_or_default(),
            'x' | 'X' => return self.code(at, 2, 16, is_bytes, into),
            'u' => return self.code(at, 4, 16, false, into),
            'U' => return self.code(at, 8, 16, false, into),
            '0'..='3' => {
                let mut number = u32::from(letter) - u32::from('0');
                for _ in 0..2 {
                    let digit = self.letters.next().and_then(|(_, letter)| letter.to_digit(8));
                    number = number * 8 + digit.ok_or_else(|| self.error(at, "an octal escape has three digits"))?;
                }
                return self.put(at, number, is_bytes, into);
            }
            other => return Err(self.error(at, format!("\\{other} is no escape"))),
        };
        into.push(plain);
        Ok(())
    }

    fn code(
        &mut self,
        at: usize,
        digits: usize,
        radix: u32,
        is_bytes: bool,
        into: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let mut number = 0u32;
        for _ in 0..digits {
            let digit = self.letters.next().and_then(|(_, letter)| letter.to_digit(radix));
            let digit = digit.ok_or_else(|| self.error(at, format!("the escape has {digits} digits")))?;
            number = number.checked_mul(radix).and_then(|number| number.checked_add(digit)).unwrap_or(u32::MAX);
        }
        self.put(at, number, is_bytes, into)
    }

    fn put(&self, at: usize, number: u32, is_byte: bool, into: &mut Vec<u8>) -> Result<(), ParseError> {
        if is_byte {
            into.push(u8::try_from(number).map_err(|_| self.error(at, "a byte is at most 255"))?);
            return Ok(());
        }
        let letter = char::from_u32(number).ok_or_else(|| self.error(at, "the escape is no letter"))?;
        into.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}
