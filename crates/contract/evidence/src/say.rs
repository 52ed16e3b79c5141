//! Numbers and sentences for reasons, in Korean and English.

use jiff::Timestamp;
use maru_api::LocalText;

/// Returns a sentence in both languages.
pub(crate) fn say(ko: impl Into<String>, en: impl Into<String>) -> LocalText {
    LocalText::both(ko, en)
}

/// Writes a whole number with commas.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How a bound is rounded, so that what is printed stays true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Nearest,
    Down,
    Up,
}

/// Writes a share in percent, with as many digits as its distance to the whole needs.
pub(crate) fn percent(ratio: f64, rounding: Rounding) -> String {
    let distance = (1.0 - ratio).min(ratio).max(1e-7);
    let digits: i32 = if distance >= 1e-3 {
        2
    } else if distance >= 1e-4 {
        3
    } else if distance >= 1e-5 {
        4
    } else {
        5
    };
    let scale = 10_f64.powi(digits);
    // What is a whole number of digits but for the noise of floats stays that number.
    let scaled = ratio * 100.0 * scale;
    let near = scaled.round();
    let rounded = if (scaled - near).abs() < 1e-6 {
        near
    } else {
        match rounding {
            Rounding::Nearest => near,
            Rounding::Down => scaled.floor(),
            Rounding::Up => scaled.ceil(),
        }
    };
    format!("{} %", trim(format!("{:.*}", usize::try_from(digits).unwrap_or_default(), rounded / scale)))
}

fn trim(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Writes a length of time in the unit that fits.
pub(crate) fn seconds(value: f64) -> String {
    let (scaled, unit) = if value.abs() >= 120.0 {
        (value / 60.0, "min")
    } else if value.abs() >= 1.0 {
        (value, "s")
    } else if value.abs() >= 1e-3 {
        (value * 1e3, "ms")
    } else {
        (value * 1e6, "µs")
    };
    format!("{} {unit}", number(scaled))
}

/// Writes a number with four digits that count.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return trim(format!("{value}"));
    }
    let magnitude = value.abs().log10().floor().clamp(-9.0, 12.0);
    let decimals = (0..12).find(|decimals| f64::from(*decimals) >= 3.0 - magnitude).unwrap_or(12);
    trim(format!("{value:.*}", usize::try_from(decimals).unwrap_or_default()))
}

/// Writes a moment to the minute.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_and_stay_true() {
        assert_eq!(count(48_210), "48,210");
        assert_eq!((count(0), count(999), count(1_000_000)), ("0".into(), "999".into(), "1,000,000".into()));
        assert_eq!(percent(0.9995, Rounding::Nearest), "99.95 %");
        assert_eq!(percent(0.99919, Rounding::Down), "99.919 %");
        assert_eq!(percent(0.998_799, Rounding::Down), "99.87 %");
        assert_eq!(percent(0.998_701, Rounding::Up), "99.88 %");
        assert_eq!(percent(0.999, Rounding::Down), "99.9 %");
        assert_eq!((percent(1.0, Rounding::Down), percent(0.0, Rounding::Up)), ("100 %".into(), "0 %".into()));
        assert_eq!(
            (seconds(0.0831), seconds(1.5), seconds(720.0)),
            ("83.1 ms".into(), "1.5 s".into(), "12 min".into())
        );
        assert_eq!((number(1234.56), number(0.0), number(50.0)), ("1235".into(), "0".into(), "50".into()));
    }
}
