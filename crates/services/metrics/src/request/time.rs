//! Moments and lengths of time as Prometheus' API writes them.

use maru_time::Timestamp;

/// The first moment that clients of Prometheus ask for when they mean all of time.
const FIRST_MOMENT: &str = "-292273086-05-16T16:47:06Z";
/// The last one.
const LAST_MOMENT: &str = "292277025-08-18T07:12:54.999999999Z";

/// Seconds before or after 1970 beyond which a number is no moment.
const SECONDS_MAX: f64 = 9_223_372_036_854_775.0;

/// Reads seconds since 1970 or RFC 3339 and returns milliseconds since 1970.
pub(crate) fn parse_time_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("cannot parse {text:?} to a valid timestamp");
    match text {
        FIRST_MOMENT => return Ok(i64::MIN),
        LAST_MOMENT => return Ok(i64::MAX),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() && seconds.abs() <= SECONDS_MAX { Ok(to_millis(seconds)) } else { Err(wrong()) };
    }
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| wrong())
}

/// Reads a length of time as flags and parameters write it: seconds, or a text such as `1h30m`.
///
/// # Errors
/// When it is none, or negative; says so.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let millis = parse_duration_ms(text)?;
    let millis = u64::try_from(millis).map_err(|_| format!("\"{text}\" is negative"))?;
    Ok(std::time::Duration::from_millis(millis))
}

/// Reads seconds or a text such as `1h30m` and returns milliseconds.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() {
            return Err(wrong());
        }
        // As nanoseconds in 64 bits: longer is no duration there.
        if seconds.abs() > 9_223_372_036.0 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok(to_millis(seconds));
    }
    units(text).ok_or_else(wrong)
}

/// Rounds seconds to whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "both callers bound the number")]
fn to_millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Milliseconds of each unit, from long to short: a text has each at most once and in this order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

fn units(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut next_unit = 0;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let end = after.find(|character: char| !character.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let index = UNITS.iter().position(|(name, _)| *name == unit).filter(|index| *index >= next_unit)?;
        next_unit = index + 1;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(UNITS[index].1)?)?;
        rest = after;
    }
    (next_unit > 0).then_some(total)
}

/// Writes milliseconds as Prometheus writes a duration: `1h30m`, `0s`, `250ms`. Weeks and years only when they are whole.
pub(crate) fn duration_text(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = if millis < 0 { "-".to_owned() } else { String::new() };
    let mut rest = millis.unsigned_abs();
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(length) {
            continue;
        }
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

/// Writes a moment as RFC 3339 in UTC with as many digits as it needs.
pub(crate) fn rfc3339_millis(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_or_rfc_3339() {
        for (text, millis) in [
            ("0", 0),
            ("1435781430.781", 1_435_781_430_781),
            ("-1.5", -1500),
            ("1e3", 1_000_000),
            ("2015-07-01T20:10:30.781Z", 1_435_781_430_781),
            ("2015-07-01T22:10:30.781+02:00", 1_435_781_430_781),
            (FIRST_MOMENT, i64::MIN),
            (LAST_MOMENT, i64::MAX),
        ] {
            assert_eq!(parse_time_ms(text), Ok(millis), "{text}");
        }
        for text in ["", "x", "NaN", "inf", "1e300", "30s", "2015-07-01"] {
            assert!(parse_time_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_seconds_or_units_in_order() {
        for (text, millis) in [
            ("15", 15_000),
            ("0.25", 250),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("1y2w3d", 33_004_800_000),
            ("5ms", 5),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(millis), "{text}");
        }
        for text in ["", "m", "1", "30m1h", "1h1h", "1.5h", "9999999999y", "NaN", "1e12", "1H"] {
            let parsed = parse_duration_ms(text);
            assert!(parsed.is_err() || text == "1", "{text}: {parsed:?}");
        }
    }

    #[test]
    fn a_printed_duration_reads_the_same() {
        for millis in [1, 999, 1000, 90_000, 5_400_000, 86_400_000, 7 * 86_400_000, 8 * 86_400_000, 365 * 86_400_000] {
            assert_eq!(parse_duration_ms(&duration_text(millis)), Ok(millis), "{}", duration_text(millis));
        }
        assert_eq!((duration_text(0), duration_text(8 * 86_400_000)), ("0s".to_owned(), "8d".to_owned()));
    }
}
