//! Ages as Kubernetes prints them.

use maru_time::Timestamp;
use serde_json::Value;

/// Formats a span of time as an age (`5s`, `2m30s`, `4h`, `12d`); two units while the first is small.
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |unit: i64, name: &str, rest: i64, rest_name: &str| {
        let (whole, rest) = (seconds / unit, (seconds % unit) / rest);
        if rest == 0 { format!("{whole}{name}") } else { format!("{whole}{name}{rest}{rest_name}") }
    };
    match seconds {
        // Clocks of two machines may differ by a second.
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        252_288_000.. => format!("{}y", seconds / YEAR),
    }
}

/// Reads a time of an object.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Returns the age of a time of an object, or `<unknown>`.
pub(super) fn since(value: &Value, now: Timestamp) -> String {
    time(value).map_or_else(|| "<unknown>".to_owned(), |at| human_duration(now.as_second() - at.as_second()))
}

/// Returns the age of a time given as text, or `<unknown>`.
pub(super) fn since_text(text: &str, now: Timestamp) -> String {
    let at: Option<Timestamp> = text.parse().ok();
    at.map_or_else(|| "<unknown>".to_owned(), |at| human_duration(now.as_second() - at.as_second()))
}
