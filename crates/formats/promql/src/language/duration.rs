//! Lengths of time as text.

/// Units from the largest, with milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest length of time in milliseconds: nanoseconds must fit 63 bits.
const MS_MAX: i64 = i64::MAX / 1_000_000;

/// The same in seconds.
pub(super) const SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing is there.
    #[error("empty duration string")]
    Empty,
    /// Not numbers with units from the largest to the smallest.
    #[error("not a valid duration string: {}", super::quote::quote(.0.as_bytes()))]
    Syntax(String),
    /// A unit that does not exist.
    #[error("unknown unit {} in duration {}", super::quote::quote(unit.as_bytes()), super::quote::quote(text.as_bytes()))]
    Unit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Longer than 292 years.
    #[error("duration out of range")]
    Range,
}

/// Reads a length of time such as `1h30m` or `0`; milliseconds.
///
/// # Errors
/// When the text is not of numbers with the units y, w, d, h, m, s, ms in this order, each once at most, or too long.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let syntax = || DurationError::Syntax(text.to_owned());
    let (mut rest, mut sum, mut units) = (text, 0_i64, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits).ok_or_else(syntax)?;
        let letters = behind.bytes().take_while(|byte| !byte.is_ascii_digit()).count();
        let (unit, behind) = behind.split_at_checked(letters).ok_or_else(syntax)?;
        if number.is_empty() || unit.is_empty() {
            return Err(syntax());
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() });
        }
        let (_, ms) = units.find(|(name, _)| *name == unit).ok_or_else(syntax)?;
        let number: i64 = number.parse().map_err(|_| syntax())?;
        sum = number.checked_mul(*ms).and_then(|ms| sum.checked_add(ms)).ok_or(DurationError::Range)?;
        if sum > MS_MAX {
            return Err(DurationError::Range);
        }
        rest = behind;
    }
    Ok(sum)
}

/// Writes a length of time as the language does: years and weeks only when they are whole.
#[must_use]
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if ms < 0 { "-" } else { "" });
    let mut rest = ms.unsigned_abs();
    for (unit, size) in UNITS {
        let size = size.unsigned_abs();
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(size) {
            continue;
        }
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

/// Returns a length of time in seconds, computed as Go does: a whole part and a fraction, added.
#[expect(clippy::cast_precision_loss, reason = "a length of time has fewer than 2^53 seconds")]
pub(super) fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000) as f64 / 1000.0
}

/// Returns the whole milliseconds of a literal in seconds; a fraction that is no rounding error goes.
pub(super) fn literal_ms(seconds: f64) -> i64 {
    let ms = seconds * 1000.0;
    let nearest = ms.round();
    whole_ms(if (ms - nearest).abs() < 1e-4 { nearest } else { ms })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "fractions are to go; too large a float becomes the largest integer"
)]
pub(super) fn whole_ms(ms: f64) -> i64 {
    ms as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written() {
        for (text, ms, written) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("1w", 604_800_000, "1w"),
            ("10d", 864_000_000, "10d"),
            ("1y", 31_536_000_000, "1y"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
            ("001m", 60_000, "1m"),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
            assert_eq!(format_duration(ms), written, "{text}");
            assert_eq!(parse_duration(written), Ok(ms), "{text}");
        }
        assert_eq!(format_duration(-90_000), "-1m30s");
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["1", "m", "5m1h", "1m1m", "-5m", "5m ", "ms5", "99999999999999999999999s"] {
            assert!(
                matches!(parse_duration(text), Err(DurationError::Syntax(_) | DurationError::Unit { .. })),
                "{text}"
            );
        }
        assert_eq!(parse_duration("1.5h").unwrap_err().to_string(), "unknown unit \".\" in duration \"1.5h\"");
        assert_eq!(parse_duration("5m1h").unwrap_err().to_string(), "not a valid duration string: \"5m1h\"");
        assert_eq!(parse_duration(""), Err(DurationError::Empty));
        for text in ["300y", "9223372037s", "292y9223372036854775807ms"] {
            assert_eq!(parse_duration(text), Err(DurationError::Range), "{text}");
        }
    }
}
