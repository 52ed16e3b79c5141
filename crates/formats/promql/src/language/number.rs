//! Reading numbers.

use super::quote::quote;

/// Returns the value of a number as the lexer lets it through; else what is wrong with it.
///
/// A leading zero makes a whole number octal, as in Go, unless it has a digit above 7.
pub(super) fn parse_number(text: &str) -> Result<f64, String> {
    if text.ends_with('_') {
        return Err(syntax(text));
    }
    let digits: String = text.chars().filter(|character| *character != '_').collect();
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return match i64::from_str_radix(hexadecimal, 16) {
            Ok(value) => Ok(whole(value)),
            Err(_) => Err(syntax(text)),
        };
    }
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole && digits.len() > 1 && digits.starts_with('0') {
        if let Ok(value) = i64::from_str_radix(&digits, 8) {
            return Ok(whole(value));
        }
    } else if is_whole && let Ok(value) = digits.parse::<i64>() {
        return Ok(whole(value));
    }
    match digits.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("error parsing number: strconv.ParseFloat: parsing {}: value out of range", quoted(text))),
        Err(_) => Err(syntax(text)),
    }
}

fn syntax(text: &str) -> String {
    format!("error parsing number: strconv.ParseFloat: parsing {}: invalid syntax", quoted(text))
}

fn quoted(text: &str) -> String {
    quote(text.as_bytes())
}

#[expect(clippy::cast_precision_loss, reason = "the nearest float is what the language says")]
fn whole(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_values_that_go_gives_them() {
        for (text, value) in [
            ("1", 1.0),
            ("1_000_000", 1e6),
            ("017", 15.0),
            ("0_17", 15.0),
            ("08", 8.0),
            ("0x1F", 31.0),
            ("0X_1f", 31.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 1e-3),
            ("Inf", f64::INFINITY),
            ("99999999999999999999", 1e20),
            ("1_0.2_5", 10.25),
            ("0_8", 8.0),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("NaN").is_ok_and(f64::is_nan));
        for text in ["1e999", "0x", "0xFFFFFFFFFFFFFFFFFF", "1_", "0x_"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }
}
