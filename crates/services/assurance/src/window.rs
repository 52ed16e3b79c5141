//! From when to when a budget is reckoned.

use jiff::civil::DateTime;
use jiff::{Span, Zoned};
use maru_monitoring::openslo::{Duration, TimeWindow, Unit};
use maru_time::Timestamp;

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Stretch {
    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from((self.to.as_millisecond() - self.from.as_millisecond()) / 1000).unwrap_or(0)
    }
}

/// The open window and the last one that closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) open: Stretch,
    /// A rolling window closes at each full hour when it is shorter than two days, else at each midnight (UTC).
    pub(crate) closed: Option<Stretch>,
}

/// Returns the windows at a moment.
///
/// # Errors
/// When the calendar names a start or a zone that does not exist.
pub(crate) fn windows(window: &TimeWindow, now: Timestamp) -> Result<Windows, String> {
    match window {
        TimeWindow::Rolling(duration) => Ok(rolling(*duration, now)),
        TimeWindow::Calendar { duration, start, zone } => calendar(*duration, start, zone, now),
    }
}

fn rolling(duration: Duration, now: Timestamp) -> Windows {
    let seconds = i64::try_from(duration.seconds()).unwrap_or(i64::MAX / 4);
    let step = if seconds < 2 * 86_400 { 3600 } else { 86_400 };
    let before = |second: i64| Timestamp::from_second(second - seconds).ok();
    let at = |second: i64| Timestamp::from_second(second).ok();
    let end = now.as_second().div_euclid(step) * step;
    let open = Stretch { from: before(now.as_second()).unwrap_or(now), to: now };
    let closed = before(end).zip(at(end)).map(|(from, to)| Stretch { from, to });
    Windows { open, closed }
}

fn calendar(duration: Duration, start: &str, zone: &str, now: Timestamp) -> Result<Windows, String> {
    let zone = maru_time::zone(zone).ok_or_else(|| {
        format!(
            "the time zone \"{zone}\" is not known on this machine; write a name such as Asia/Seoul, or install tzdata"
        )
    })?;
    let first: DateTime = start
        .replace(' ', "T")
        .parse()
        .map_err(|_| format!("the start \"{start}\" is no time; write for example 2026-01-01 00:00:00"))?;
    let moment = |count: i64| -> Option<Zoned> {
        // Days and months are those of the calendar: one with a change of the clocks is shorter or longer.
        let steps = count.checked_mul(i64::from(duration.count))?;
        let span = match duration.unit {
            Unit::Minute => Span::new().try_minutes(steps),
            Unit::Hour => Span::new().try_hours(steps),
            Unit::Day => Span::new().try_days(steps),
            Unit::Week => Span::new().try_weeks(steps),
            Unit::Month => Span::new().try_months(steps),
            Unit::Quarter => Span::new().try_months(steps.checked_mul(3)?),
            Unit::Year => Span::new().try_years(steps),
        };
        first.checked_add(span.ok()?).ok()?.to_zoned(zone.clone()).ok()
    };
    let begin = moment(0).ok_or("the calendar's start cannot be placed in its time zone")?;
    let not_yet = || format!("the first window begins at {start} and has not begun");
    if begin.timestamp() > now {
        return Err(not_yet());
    }
    // Near the right one by the mean length, then by steps.
    let mean = i64::try_from(duration.seconds()).unwrap_or(i64::MAX).max(60);
    let mut count = (now.as_second() - begin.timestamp().as_second()) / mean;
    let begins = |count: i64| moment(count).map(|zoned| zoned.timestamp());
    while count > 0 && begins(count).is_none_or(|at| at > now) {
        count -= 1;
    }
    while begins(count + 1).is_some_and(|at| at <= now) {
        count += 1;
    }
    let from = begins(count).ok_or_else(not_yet)?;
    let closed = (count > 0).then(|| begins(count - 1)).flatten().map(|before| Stretch { from: before, to: from });
    Ok(Windows { open: Stretch { from, to: now }, closed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of_calendar(duration: &str, now: &str) -> Windows {
        let window = TimeWindow::Calendar {
            duration: duration.parse().unwrap(),
            start: "2026-01-01 00:00:00".to_owned(),
            zone: "UTC".to_owned(),
        };
        windows(&window, at(now)).unwrap()
    }

    #[test]
    fn calendar_windows_follow_days_months_and_quarters() {
        for (duration, now, from, before) in [
            ("1d", "2026-11-22T10:00:00Z", "2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("1M", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("1M", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("1Q", "2026-11-22T00:00:00Z", "2026-10-01T00:00:00Z", "2026-07-01T00:00:00Z"),
            ("1Y", "2028-02-29T00:00:00Z", "2028-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("4w", "2026-01-30T00:00:00Z", "2026-01-29T00:00:00Z", "2026-01-01T00:00:00Z"),
        ] {
            let found = of_calendar(duration, now);
            assert_eq!(found.open, Stretch { from: at(from), to: at(now) }, "{duration} {now}");
            assert_eq!(found.closed, Some(Stretch { from: at(before), to: at(from) }), "{duration} {now}");
        }
        assert_eq!(of_calendar("1d", "2026-01-01T05:00:00Z").closed, None);
    }

    #[test]
    fn rolling_windows_close_at_full_hours_or_midnight() {
        let day = windows(&TimeWindow::Rolling("1d".parse().unwrap()), at("2026-11-22T10:20:30Z")).unwrap();
        let closed = day.closed.unwrap();
        assert_eq!((closed.from, closed.to), (at("2026-11-21T10:00:00Z"), at("2026-11-22T10:00:00Z")));
        let month = windows(&TimeWindow::Rolling("28d".parse().unwrap()), at("2026-11-22T10:20:30Z")).unwrap();
        assert_eq!(month.closed.unwrap().to, at("2026-11-22T00:00:00Z"));
        assert_eq!(month.open.seconds(), 28 * 86_400);
    }

    #[test]
    fn wrong_calendars_are_told() {
        let calendar = |start: &str, zone: &str| {
            let (start, zone) = (start.to_owned(), zone.to_owned());
            let window = TimeWindow::Calendar { duration: "1d".parse().unwrap(), start, zone };
            windows(&window, at("2026-11-22T00:00:00Z")).unwrap_err()
        };
        assert!(calendar("2026-01-01 00:00:00", "Mars/Base").contains("Mars/Base"));
        assert!(calendar("soon", "UTC").contains("is no time"));
        assert!(calendar("2027-01-01 00:00:00", "UTC").contains("has not begun"));
    }
}
