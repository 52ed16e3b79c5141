//! Texts and numbers as the language writes them.

use std::fmt::Write as _;

/// Returns `bytes` in double quotes, escaped so that the parser reads them back.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_escaped(&mut out, character, '"');
        }
        for byte in chunk.invalid() {
            push_formatted(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// Returns `character` in single quotes, escaped.
pub(super) fn quote_character(character: char) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, character, '\'');
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, character: char, quote: char) {
    match character {
        '\\' => out.push_str("\\\\"),
        _ if character == quote => {
            out.push('\\');
            out.push(quote);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        // Prometheus takes the replacement character for broken UTF-8 when it reads a query.
        _ if is_printable(character) && character != char::REPLACEMENT_CHARACTER => out.push(character),
        _ => {
            let code = u32::from(character);
            match code {
                0..0x80 => push_formatted(out, format_args!("\\x{code:02x}")),
                0x80..0x1_0000 => push_formatted(out, format_args!("\\u{code:04x}")),
                _ => push_formatted(out, format_args!("\\U{code:08x}")),
            }
        }
    }
}

/// Tells whether a character is seen when printed: letters, marks, numbers, punctuation, symbols and the plain space.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return character == ' ' || character.is_ascii_graphic();
    }
    // A mark is escaped only where it has nothing to sit on.
    let mut buffer = String::from("a");
    buffer.push(character);
    buffer.escape_debug().eq(buffer.chars())
}

fn push_formatted(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(arguments).unwrap_or_default();
}

/// Returns `name` as it stands in `by (…)` and in braces: quoted unless it is made of letters, digits and `_`.
pub(super) fn label_name(name: &str) -> String {
    if is_plain_label_name(name) { name.to_owned() } else { quote(name.as_bytes()) }
}

fn is_plain_label_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && characters.all(|character| character == '_' || character.is_ascii_alphanumeric())
}

/// Returns a number without an exponent, with as few digits as tell it apart: `0.1`, `+Inf`.
#[must_use]
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{value}")
    }
}

/// Returns a number as [`format_number`] does, but a very large or small one with an exponent.
pub(super) fn format_number_short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-4..1e6).contains(&size) {
        return format_number(value);
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_so_that_all_is_seen() {
        assert_eq!(quote("a\"b\\\n\t\u{7}".as_bytes()), r#""a\"b\\\n\t\a""#);
        assert_eq!(quote("하늘 e\u{301}".as_bytes()), "\"하늘 e\u{301}\"");
        assert_eq!(quote("\u{0}\u{7f}\u{a0}\u{200b}\u{e0001}".as_bytes()), r#""\x00\x7f\u00a0\u200b\U000e0001""#);
        assert_eq!(quote(b"a\xc5z"), r#""a\xc5z""#);
        assert_eq!(quote_character('\''), r"'\''");
        assert_eq!(quote_character('"'), "'\"'");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (value, text, short) in [
            (1.0, "1", "1"),
            (-0.0, "-0", "-0"),
            (0.1, "0.1", "0.1"),
            (1e22, "10000000000000000000000", "1e+22"),
            (999_999.5, "999999.5", "999999.5"),
            (1_234_567.0, "1234567", "1.234567e+06"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(format_number(value), text);
            assert_eq!(format_number_short(value), short);
        }
    }
}
