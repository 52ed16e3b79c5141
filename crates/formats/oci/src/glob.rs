//! Patterns of paths: `*` and `?` within a name, `[…]`, `**` over names.

/// A compiled pattern. Matching takes time proportional to the lengths of pattern and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Names,
    /// `**` at the end
    Anything,
    /// `**/`: nothing, or directories with the slash after them
    Directories,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Says what is wrong: a class that does not end, or an escape at the end.
    pub fn new(pattern: &str) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(next) = rest.next() {
            tokens.push(match next {
                '*' if rest.peek() == Some(&'*') => {
                    while rest.next_if_eq(&'*').is_some() {}
                    if rest.next_if_eq(&'/').is_some() { Token::Directories } else { Token::Anything }
                }
                '*' => Token::Names,
                '?' => Token::One,
                '[' => class(&mut rest)?,
                '\\' => Token::Literal(rest.next().ok_or("it ends with a backslash")?),
                other => Token::Literal(other),
            });
        }
        Ok(Self(tokens))
    }

    /// Tells whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // `reachable[at]`: the tokens so far can match the first `at` characters.
        let mut reachable = vec![false; text.len() + 1];
        reachable[0] = true;
        for token in &self.0 {
            reachable = token.step(&reachable, &text);
        }
        reachable[text.len()]
    }

    /// Tells whether the pattern is a plain text.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|token| matches!(token, Token::Literal(_)))
    }
}

impl Token {
    fn step(&self, before: &[bool], text: &[char]) -> Vec<bool> {
        let mut after = vec![false; before.len()];
        let one = |accepts: &dyn Fn(char) -> bool, after: &mut Vec<bool>| {
            for (at, found) in text.iter().enumerate() {
                after[at + 1] = before[at] && accepts(*found);
            }
        };
        match self {
            Self::Literal(wanted) => one(&|found| found == *wanted, &mut after),
            Self::One => one(&|found| found != '/', &mut after),
            Self::Class { negated, ranges } => one(
                &|found| found != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&found)) != *negated,
                &mut after,
            ),
            Self::Names => {
                after[0] = before[0];
                for (at, found) in text.iter().enumerate() {
                    after[at + 1] = before[at + 1] || (after[at] && *found != '/');
                }
            }
            Self::Anything | Self::Directories => {
                let mut started = false;
                for at in 0..before.len() {
                    started |= before[at];
                    let ends = matches!(self, Self::Anything) || at > 0 && text[at - 1] == '/';
                    after[at] = before[at] || (started && ends);
                }
            }
        }
        after
    }
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a '[' has no ']'";
    let negated = rest.next_if(|next| matches!(next, '^' | '!')).is_some();
    let mut ranges = Vec::new();
    loop {
        let mut next = || match rest.next() {
            Some('\\') => rest.next().ok_or(OPEN),
            Some(other) => Ok(other),
            None => Err(OPEN),
        };
        let low = next()?;
        if low == ']' && !ranges.is_empty() {
            return Ok(Token::Class { negated, ranges });
        }
        let high = if rest.next_if_eq(&'-').is_some() {
            match rest.next() {
                Some('\\') => rest.next().ok_or(OPEN)?,
                Some(']') | None => return Err(OPEN),
                Some(other) => other,
            }
        } else {
            low
        };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "d/a.rs", false),
            ("**/*.rs", "a.rs", true),
            ("**/*.rs", "d/e/a.rs", true),
            ("d/**", "d/e/f", true),
            ("d/**", "d", false),
            ("d/**/f", "d/f", true),
            ("d/**/f", "d/e/f", true),
            ("d/**/f", "d/ef", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("\\*", "*", true),
            ("**", "any/thing", true),
            ("a**b", "axx/yb", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert!(Glob::new("[a").is_err() && Glob::new("[a-]").is_err() && Glob::new("a\\").is_err());
    }

    proptest! {
        #[test]
        fn matching_never_panics(pattern in "[a-c*?/\\[\\]\\\\^!-]{0,12}", text in "[a-c/]{0,20}") {
            if let Ok(glob) = Glob::new(&pattern) {
                std::hint::black_box(glob.matches(&text));
            }
        }

        #[test]
        fn a_literal_matches_itself_only(text in "[a-z/.]{0,12}", other in "[a-z/.]{0,12}") {
            prop_assert_eq!(Glob::new(&text).unwrap().matches(&other), text == other);
        }
    }
}
