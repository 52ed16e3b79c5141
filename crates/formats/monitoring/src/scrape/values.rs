//! Values that configuration files write in their own ways: durations, sizes, names, addresses.

use std::time::Duration;

use maru_yaml::Cursor;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration as Prometheus writes it: `1h30m`, `15s`, `0`.
///
/// # Errors
/// When it is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it is no duration; write for example 15s, 1m30s or 1d".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, 0_u64);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = after.find(|character: char| !character.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).ok_or_else(wrong)?;
        let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next_unit);
        let place = place.ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let part = number.checked_mul(UNITS[place].1);
        total_ms = part.and_then(|part| total_ms.checked_add(part)).ok_or_else(|| "it is too long".to_owned())?;
        next_unit = place + 1;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration as Prometheus does: `1m30s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in UNITS {
        // Years and weeks only where nothing is left behind them.
        let is_exact = rest.is_multiple_of(factor);
        if rest >= factor && (is_exact || !matches!(unit, "y" | "w")) {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

/// Reads a size: `10MB`, `1GiB`, `512B`; `0` is none. K, M, G … are powers of 1024, as Prometheus reads them.
///
/// # Errors
/// When it is none.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "it is no size; write for example 512KB, 10MB or 1GB".to_owned();
    if text == "0" {
        return Ok(0);
    }
    let digits = text.find(|character: char| !(character.is_ascii_digit() || character == '.')).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KB" | "KiB" => 1 << 10,
        "MB" | "MiB" => 1 << 20,
        "GB" | "GiB" => 1 << 30,
        "TB" | "TiB" => 1 << 40,
        "PB" | "PiB" => 1 << 50,
        "EB" | "EiB" => 1 << 60,
        _ => return Err(wrong()),
    };
    match number.parse::<u64>() {
        Ok(number) => number.checked_mul(factor).ok_or_else(wrong),
        Err(_) => {
            let number: f64 = number.parse().map_err(|_| wrong())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a float becomes the nearest whole number that there is"
            )]
            let bytes = (number * factor as f64) as u64;
            Ok(bytes)
        }
    }
}

/// Reads an `http` or `https` address and returns it.
///
/// # Errors
/// When it is none.
pub fn parse_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && !rest.contains([' ', '\n']) => {
            Ok(text.to_owned())
        }
        _ => Err("it is no address; write http://host:port/path or https://…".to_owned()),
    }
}

/// Reads a duration field.
pub(super) fn duration(cursor: &Cursor<'_>) -> Option<Duration> {
    cursor.read(parse_duration)
}

/// Reads a duration field; absent or zero is the default.
pub(super) fn duration_or(cursor: &Cursor<'_>, default: Duration) -> Duration {
    duration(cursor).filter(|duration| !duration.is_zero()).unwrap_or(default)
}

/// Reads a limit: 0 is none.
pub(super) fn limit(cursor: &Cursor<'_>) -> Option<usize> {
    cursor.count().filter(|count| *count > 0).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_prometheus_reads_them() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "5", "1m1h", "1x", "-1s", "1.5s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for text in ["15s", "1m30s", "2w", "1d12h", "250ms", "1y"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!((parse_size("10MB"), parse_size("1.5KiB"), parse_size("0")), (Ok(10 << 20), Ok(1536), Ok(0)));
        assert!(parse_size("10").is_err() && parse_size("10XB").is_err());
        assert!(parse_url("http://a:1/x").is_ok() && parse_url("ftp://a").is_err() && parse_url("http://").is_err());
    }
}
