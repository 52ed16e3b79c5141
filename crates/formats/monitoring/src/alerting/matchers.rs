//! Matchers as people write them: `severity="page"`, `{team=~"a|b", app!=web}`.

use maru_prom::{Matcher, MatcherOperator};

/// A text that is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MatcherSyntaxError(String);

fn wrong(message: impl Into<String>) -> MatcherSyntaxError {
    MatcherSyntaxError(message.into())
}

/// Reads one matcher.
///
/// # Errors
/// When the text is none.
pub fn parse_matcher(text: &str) -> Result<Matcher, MatcherSyntaxError> {
    let mut matchers = parse_matchers(text)?;
    match (matchers.pop(), matchers.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(wrong(format!("\"{text}\" is not one matcher; write for example severity=\"page\""))),
    }
}

/// Reads matchers: one, or many with commas, in braces or without. The UTF-8 syntax is tried first; where both syntaxes
/// read a text and differ, the classic one is taken, as Alertmanager does.
///
/// # Errors
/// When the text follows neither syntax, or a pattern is no regular expression.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, MatcherSyntaxError> {
    let (modern, classic) = (modern(text), classic(text));
    let parts = match (modern, classic) {
        (Ok(modern), Some(classic)) if modern != classic => classic,
        (Ok(modern), _) => modern,
        (Err(_), Some(classic)) => classic,
        (Err(why), None) => return Err(why),
    };
    parts
        .into_iter()
        .map(|(name, operator, value)| Matcher::new(&name, operator, &value).map_err(|error| wrong(error.to_string())))
        .collect()
}

/// Writes matchers so that they are read again: `{a="b",c=~"d"}`.
#[must_use]
pub fn format_matchers(matchers: &[Matcher]) -> String {
    let parts: Vec<String> = matchers
        .iter()
        .map(|matcher| {
            let name = if is_classic_name(matcher.name()) { matcher.name().to_owned() } else { quoted(matcher.name()) };
            format!("{name}{}{}", matcher.operator(), quoted(matcher.value()))
        })
        .collect();
    format!("{{{}}}", parts.join(","))
}

/// Reads a label's name as the UTF-8 syntax has it: any text but an empty one.
///
/// # Errors
/// When the text is empty.
pub fn parse_label_name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a label's name is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn is_classic_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '_' | ':'))
        && characters.all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | ':'))
}

type Part = (String, MatcherOperator, String);

const OPERATORS: [(&str, MatcherOperator); 4] = [
    ("=~", MatcherOperator::Matches),
    ("!~", MatcherOperator::NotMatches),
    ("!=", MatcherOperator::NotEqual),
    ("=", MatcherOperator::Equal),
];

fn operator(text: &str) -> Option<(MatcherOperator, &str)> {
    OPERATORS.iter().find_map(|(sign, operator)| text.strip_prefix(sign).map(|rest| (*operator, rest)))
}

/// The UTF-8 syntax.
fn modern(text: &str) -> Result<Vec<Part>, MatcherSyntaxError> {
    let mut rest = text.trim();
    let opened = rest.strip_prefix('{');
    if let Some(inner) = opened {
        rest = inner;
    }
    let mut parts = Vec::new();
    loop {
        rest = rest.trim_start();
        if opened.is_some()
            && let Some(after) = rest.strip_prefix('}')
        {
            if !after.trim().is_empty() {
                return Err(wrong(format!("\"{}\" follows the closing brace", after.trim())));
            }
            return Ok(parts);
        }
        if rest.is_empty() {
            if opened.is_some() {
                return Err(wrong("the brace is not closed"));
            }
            if parts.is_empty() {
                return Err(wrong("there is no matcher; write for example severity=\"page\""));
            }
            return Ok(parts);
        }
        let (name, after) = word(rest, "a label's name")?;
        if name.is_empty() {
            return Err(wrong("a label's name is not empty"));
        }
        let Some((operator, after)) = operator(after.trim_start()) else {
            return Err(wrong(format!("after the label \"{name}\" one of =, !=, =~, !~ is expected")));
        };
        let (value, after) = word(after.trim_start(), "a value")?;
        parts.push((name, operator, value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() || rest.starts_with('}') => {}
            None => return Err(wrong(format!("a comma is expected before \"{rest}\""))),
        }
        if opened.is_none() && rest.starts_with('}') {
            return Err(wrong("a brace is closed that is not open"));
        }
    }
}

/// Reads a quoted or a bare word.
fn word<'t>(text: &'t str, what: &str) -> Result<(String, &'t str), MatcherSyntaxError> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        for (index, character) in inner.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let (content, rest) = inner.split_at_checked(index).unwrap_or((inner, ""));
                    let content =
                        unescape(content).ok_or_else(|| wrong(format!("\"{content}\" has a wrong escape")))?;
                    return Ok((content, rest.strip_prefix('"').unwrap_or(rest)));
                }
                _ => {}
            }
        }
        return Err(wrong(format!("the quote of {text} is not closed")));
    }
    let reserved = |character: char| character.is_whitespace() || "{}!=~,\\\"'`".contains(character);
    let end = text.find(reserved).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some((bare, rest)) if !bare.is_empty() => Ok((bare.to_owned(), rest)),
        _ => Err(wrong(format!("{what} is expected before \"{text}\""))),
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        let digits = |count: usize, characters: &mut std::str::Chars<'_>| {
            let text: String = characters.by_ref().take(count).collect();
            u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
        };
        out.push(match characters.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'x' => digits(2, &mut characters)?,
            'u' => digits(4, &mut characters)?,
            'U' => digits(8, &mut characters)?,
            other @ ('\\' | '"' | '\'') => other,
            _ => return None,
        });
    }
    Some(out)
}

/// The syntax before UTF-8: names of ASCII, values with quotes or without.
fn classic(text: &str) -> Option<Vec<Part>> {
    let mut text = text.trim();
    if let Some(inner) = text.strip_prefix('{') {
        text = inner;
    }
    if let Some(inner) = text.strip_suffix('}') {
        text = inner;
    }
    let mut pieces = Vec::new();
    let (mut piece, mut in_quotes, mut escaped) = (String::new(), false, false);
    for character in text.chars() {
        if character == ',' && !in_quotes {
            pieces.push(std::mem::take(&mut piece));
            continue;
        }
        if character == '"' && !escaped {
            in_quotes = !in_quotes;
        }
        escaped = character == '\\' && !escaped;
        piece.push(character);
    }
    if !piece.trim().is_empty() {
        pieces.push(piece);
    }
    pieces.iter().map(|piece| classic_one(piece)).collect::<Option<Vec<Part>>>().filter(|parts| !parts.is_empty())
}

fn classic_one(text: &str) -> Option<Part> {
    let text = text.trim();
    let end = text.find(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '_' | ':')))?;
    let (name, rest) = text.split_at_checked(end)?;
    if !is_classic_name(name) {
        return None;
    }
    let (operator, rest) = operator(rest.trim_start())?;
    let mut raw = rest.trim();
    let quoted = raw.strip_prefix('"');
    if let Some(inner) = quoted {
        raw = inner.strip_suffix('"')?;
    }
    let mut value = String::with_capacity(raw.len());
    let mut escaped = false;
    for character in raw.chars() {
        if escaped {
            escaped = false;
            match character {
                'n' => value.push('\n'),
                '"' | '\\' => value.push(character),
                other => {
                    value.push('\\');
                    value.push(other);
                }
            }
        } else if character == '\\' {
            escaped = true;
        } else if character == '"' {
            return None;
        } else {
            value.push(character);
        }
    }
    if escaped {
        value.push('\\');
    }
    Some((name.to_owned(), operator, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse_matchers(text) {
            Ok(matchers) => format_matchers(&matchers),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_syntaxes_are_read() {
        let table = [
            ("foo=bar", r#"{foo="bar"}"#),
            (r#"foo="bar""#, r#"{foo="bar"}"#),
            (r#"{foo="bar",a!="b", c=~"d|e",f!~g,}"#, r#"{foo="bar",a!="b",c=~"d|e",f!~"g"}"#),
            (r#" foo =~ "a.*" "#, r#"{foo=~"a.*"}"#),
            (r#""foo bar"="한글🙂""#, r#"{"foo bar"="한글🙂"}"#),
            ("이름=마루", r#"{"이름"="마루"}"#),
            // Only the classic syntax reads these.
            ("foo=", r#"{foo=""}"#),
            ("foo=bar baz", r#"{foo="bar baz"}"#),
            (r#"foo=~[a-z]+!="#, r#"{foo=~"[a-z]+!="}"#),
            (r#"foo="a\d""#, r#"{foo="a\\d"}"#),
            (r#"{foo="a,b"}"#, r#"{foo="a,b"}"#),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
        for text in ["", "{", "foo", "=bar", "foo=~\"(\"", "{}x"] {
            assert!(parse_matchers(text).is_err(), "{text}");
        }
        assert!(parse_matchers("{}").unwrap().is_empty());
    }
}
