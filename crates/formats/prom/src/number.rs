//! Numbers as Prometheus' texts spell them: read and written.
//!
//! Source: Go's `strconv.ParseFloat` and `FormatFloat`, which all of Prometheus' formats lean on.

/// The NaN that stands for every NaN a text can spell.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Digits that a double holds exactly.
const EXACT_DIGITS: usize = 15;

/// Reads a number of an exposition text: decimal, `NaN`, `Inf` and `infinity` in any case; no hexadecimal form, no underscores.
#[must_use]
#[inline]
pub fn parse_decimal(text: &str) -> Option<f64> {
    parse_short(text.as_bytes()).or_else(|| parse_long(text))
}

/// Reads up to 15 digits with at most one point: both halves of the division are exact, so its rounding is right.
#[inline]
fn parse_short(text: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let (mut mantissa, mut count, mut point) = (0_u64, 0, None);
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    if count == 0 || count > EXACT_DIGITS {
        return None;
    }
    let decimals = point.map_or(0, |point| digits.len() - point - 1);
    let value = crate::native::to_f64(mantissa) / TENS.get(decimals)?;
    Some(if is_negative { -value } else { value })
}

fn parse_long(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("nan") {
        return (unsigned.len() == text.len()).then_some(f64::from_bits(NORMAL_NAN_BITS));
    }
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if !unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    // A number too large for a double is an error, as in Go.
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Reads a number as Go's `strconv.ParseFloat` does: also hexadecimal (`0x1p-3`) and with underscores between digits.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    if let Some(value) = parse_decimal(text) {
        return Some(value);
    }
    let cleaned = without_underscores(text)?;
    let (sign, unsigned) = match cleaned.strip_prefix(['+', '-']) {
        Some(rest) => (if cleaned.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, cleaned.as_str()),
    };
    match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        Some(digits) => parse_hexadecimal(digits).map(|value| sign * value),
        None => parse_decimal(&cleaned),
    }
}

/// Removes underscores that stand between two digits or behind `0x`; any other is an error.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hexadecimal = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let is_digit = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            byte.is_ascii_digit() || (is_hexadecimal && (byte.is_ascii_hexdigit() || matches!(byte, b'x' | b'X')))
        })
    };
    let mut cleaned = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        if character != '_' {
            cleaned.push(character);
            continue;
        }
        let before = index.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes
            .get(index + 1)
            .filter(|after| after.is_ascii_digit() || (is_hexadecimal && after.is_ascii_hexdigit()));
        if !is_digit(before) || after.is_none() {
            return None;
        }
    }
    Some(cleaned)
}

/// Reads `1.8p3`: hexadecimal digits and a binary exponent, which must be there.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (mut bits, mut shift, mut seen, mut point, mut rest) = (0_u64, 0_i32, false, false, false);
    for character in mantissa.chars() {
        match character.to_digit(16) {
            Some(digit) => {
                seen = true;
                if bits >> 59 == 0 {
                    bits = bits << 4 | u64::from(digit);
                    shift -= if point { 4 } else { 0 };
                } else {
                    // Beyond 60 bits only "was there more" matters, for rounding.
                    rest |= digit != 0;
                    shift += if point { 0 } else { 4 };
                }
            }
            None if character == '.' && !point => point = true,
            None => return None,
        }
    }
    if !seen {
        return None;
    }
    let value = scale(bits | u64::from(rest), shift.checked_add(exponent)?);
    value.is_finite().then_some(value)
}

/// Returns `bits` · 2^`exponent`, rounded once.
fn scale(bits: u64, exponent: i32) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    // The value's leading bit stands for 2^top.
    let top = i64::from(63 - bits.leading_zeros()) + i64::from(exponent);
    if top > 1023 {
        return f64::INFINITY;
    }
    let kept = if top >= -1022 { 53 } else { 53 - (-1022 - top) };
    if kept < 0 {
        return 0.0;
    }
    let width = i64::from(64 - bits.leading_zeros());
    let drop = width - kept;
    let (mut mantissa, mut power) = (bits, i64::from(exponent));
    if drop > 0 {
        let half = 1_u64.checked_shl(u32::try_from(drop - 1).unwrap_or(64)).unwrap_or(0);
        let shift = u32::try_from(drop).unwrap_or(64);
        let low = bits & (half | half.wrapping_sub(1));
        mantissa = bits.checked_shr(shift).unwrap_or(0);
        if low > half || (low == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        power += drop;
    }
    let value = crate::native::to_f64(mantissa);
    let half_power = i32::try_from(power / 2).unwrap_or(0);
    let other = i32::try_from(power - power / 2).unwrap_or(0);
    // Two exact steps: 2^-1074 alone cannot be made by one power.
    value * 2.0_f64.powi(half_power) * 2.0_f64.powi(other)
}

/// Writes special values; tells whether `value` was one.
fn push_special(value: f64, into: &mut String) -> bool {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return false,
    };
    into.push_str(text);
    true
}

/// Appends the shortest text without an exponent: Go's format `'f'`, in which PromQL prints numbers.
pub fn push_float(value: f64, into: &mut String) {
    if !push_special(value, into) {
        into.push_str(&value.to_string());
    }
}

/// Returns the shortest text without an exponent.
#[must_use]
pub fn format_float(value: f64) -> String {
    let mut text = String::new();
    push_float(value, &mut text);
    text
}

/// Appends the shortest text as the HTTP API's answers have it: with an exponent below 1e-6 and from 1e21.
pub fn push_json_float(value: f64, into: &mut String) {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) && value.is_finite() {
        push_scientific(value, into);
    } else {
        push_float(value, into);
    }
}

/// From here on Go's shortest general format has an exponent.
const GENERAL_MAX: f64 = 1e6;

/// Appends the shortest text in Go's format `'g'`: with an exponent below 1e-4 and from 1e6.
pub fn push_short_float(value: f64, into: &mut String) {
    if push_special(value, into) {
        return;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..GENERAL_MAX).contains(&size) {
        push_scientific(value, into)
    } else {
        push_float(value, into)
    }
}

/// Appends the text of a value in an exposition, and of `le` and `quantile`: as [`push_short_float`], with `.0` where neither a
/// point nor an exponent is in it.
pub fn push_open_metrics_float(value: f64, into: &mut String) {
    let start = into.len();
    push_short_float(value, into);
    if value.is_finite() && !into.get(start..).unwrap_or_default().contains(['.', 'e']) {
        into.push_str(".0");
    }
}

/// Returns the text of a value in an exposition, and of `le` and `quantile`.
#[must_use]
pub fn format_open_metrics_float(value: f64) -> String {
    let mut text = String::new();
    push_open_metrics_float(value, &mut text);
    text
}

/// Writes an exponent with a sign and at least two digits.
fn push_scientific(value: f64, into: &mut String) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    into.push_str(mantissa);
    into.extend(['e', sign]);
    into.push_str(if digits.len() < 2 { "0" } else { "" });
    into.push_str(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_and_go_only_forms_are_not() {
        let good = [
            ("1", 1.0),
            ("-0", -0.0),
            ("+1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("0000001.2e-1", 0.12),
            ("1e5", 1e5),
            ("2.478268416e+09", 2.478_268_416e9),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("0.013300656000000001", 0.013_300_656_000_000_001),
            ("123456789012345", 123_456_789_012_345.0),
            ("0.1", 0.1),
            ("1e-400", 0.0),
        ];
        for (text, value) in good {
            assert_eq!(parse_decimal(text).map(f64::to_bits), Some(f64::to_bits(value)), "{text}");
        }
        assert_eq!(parse_decimal("nan").map(f64::to_bits), Some(NORMAL_NAN_BITS));
        for text in ["", "a", "1_2", "0x1p-3", "0b1", "1e", "--1", "1 ", "+nan", ".", "1e400", "1.1.1", "infin"] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_and_underscores_are_read_as_go_does() {
        let good = [
            ("0x1p-3", 0.125),
            ("-0X1.8p+1", -3.0),
            ("1_000.5_0", 1000.5),
            ("0x_ffp0", 255.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000081p0", 1.000_000_000_000_000_2),
            ("0x.8p1", 1.0),
            ("0x1p-1075", 0.0),
            ("0x10000000000000000p0", 18_446_744_073_709_551_616.0),
        ];
        for (text, value) in good {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        for text in ["0x1", "_1", "1_", "1__2", "1_.5", "0x", "0xp1", "0x1p", "0x1p1024", "1_e5"] {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let json = |value| {
            let mut text = String::new();
            push_json_float(value, &mut text);
            text
        };
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (1.5e300, "1.5e+300"),
            (0.1, "0.1"),
        ] {
            assert_eq!(json(value), text);
        }
        assert_eq!(format_float(1e21), "1000000000000000000000");
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.555_555_555_555_52e6, "1.55555555555552e+06"),
            (2.5, "2.5"),
            (1e23, "1e+23"),
            (f64::INFINITY, "+Inf"),
            (123_456.0, "123456.0"),
            (1e-11, "1e-11"),
            (5e-324, "5e-324"),
            (1_234_567.0, "1.234567e+06"),
        ] {
            assert_eq!(format_open_metrics_float(value), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let mut texts = vec![format_float(value), format_open_metrics_float(value)];
            for push in [push_json_float, push_short_float] {
                let mut text = String::new();
                push(value, &mut text);
                texts.push(text);
            }
            for text in texts {
                prop_assert_eq!(parse_decimal(&text).map(f64::to_bits), Some(bits), "{}", text);
                prop_assert_eq!(parse_float(&text).map(f64::to_bits), Some(bits), "{}", text);
            }
        }

        #[test]
        fn the_short_way_agrees_with_the_long(text in "[+-]?[0-9]{0,10}(\\.[0-9]{0,8})?") {
            if let Some(value) = parse_short(text.as_bytes()) {
                prop_assert_eq!(Ok(value.to_bits()), text.parse::<f64>().map(f64::to_bits));
            }
        }

        #[test]
        fn arbitrary_texts_never_panic(text: String, near in "[0-9a-fxXpP_.+-]{0,20}") {
            std::hint::black_box((parse_float(&text), parse_float(&near), parse_decimal(&near)));
        }
    }
}
