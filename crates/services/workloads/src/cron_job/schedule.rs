//! Cron schedules: five fields, names, ranges, steps, and the `@` short forms.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};
use maru_time::Timestamp;

/// A schedule could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error("expected exactly 5 fields, found {0}")]
    Fields(usize),
    #[error("\"{0}\" is no value, range or step of the field \"{1}\"")]
    Value(String, &'static str),
    #[error("unrecognized descriptor \"{0}\"")]
    Descriptor(String),
}

/// When something happens again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Schedule {
    Calendar(Calendar),
    /// After each such time, counted from the start.
    Every(Duration),
}

/// The minutes of all days that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    /// Sunday is 0.
    weekdays: BTreeSet<i8>,
    /// When both days are restricted, one of them is enough.
    days_match: DaysMatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DaysMatch {
    Both,
    Either,
}

struct Field {
    name: &'static str,
    min: i8,
    max: i8,
    names: &'static [&'static str],
}

const MINUTES: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOURS: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAYS: Field = Field { name: "day of month", min: 1, max: 31, names: &[] };
const MONTHS: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Field =
    Field { name: "day of week", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// How far to look: February 29 on a given weekday comes once in 28 years.
const YEARS_MAX: i64 = 40;

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// Says which part cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Some(descriptor) = text.strip_prefix('@') {
            return descriptor_schedule(descriptor);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(ScheduleError::Fields(fields.len()));
        };
        let is_open = |text: &str| text.starts_with('*') || text.starts_with('?');
        let mut weekdays = parse_field(weekday, &WEEKDAYS)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        Ok(Self::Calendar(Calendar {
            minutes: parse_field(minute, &MINUTES)?,
            hours: parse_field(hour, &HOURS)?,
            days: parse_field(day, &DAYS)?,
            months: parse_field(month, &MONTHS)?,
            weekdays,
            days_match: if is_open(day) || is_open(weekday) { DaysMatch::Both } else { DaysMatch::Either },
        }))
    }

    /// Returns the first time after `after`; `start` is what `@every` counts from. Pure.
    pub(crate) fn next(&self, start: Timestamp, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Calendar(calendar) => calendar.next(after, zone),
            Self::Every(period) => {
                let passed = every_passed(start, after, *period);
                start.checked_add(SignedDuration::try_from(period.checked_mul(passed + 1)?).ok()?).ok()
            }
        }
    }

    /// Returns the last time up to `until`, if it is after `start`. Pure.
    pub(crate) fn last(&self, start: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last = match self {
            Self::Calendar(calendar) => calendar.last(until, zone)?,
            Self::Every(period) => {
                let passed = every_passed(start, until, *period);
                start.checked_add(SignedDuration::try_from(period.checked_mul(passed)?).ok()?).ok()?
            }
        };
        (last > start).then_some(last)
    }
}

fn every_passed(start: Timestamp, at: Timestamp, period: Duration) -> u32 {
    let passed = Duration::try_from(at.duration_since(start)).unwrap_or(Duration::ZERO);
    u32::try_from(passed.as_secs() / period.as_secs().max(1)).unwrap_or(u32::MAX - 1)
}

fn descriptor_schedule(descriptor: &str) -> Result<Schedule, ScheduleError> {
    let fields = match descriptor {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        other => {
            let period = other.strip_prefix("every ").and_then(parse_period);
            let unknown = || ScheduleError::Descriptor(format!("@{other}"));
            return period.map(Schedule::Every).ok_or_else(unknown);
        }
    };
    Schedule::parse(fields)
}

/// Reads `1h30m`, at least one second.
fn parse_period(text: &str) -> Option<Duration> {
    let mut period = Duration::ZERO;
    let mut digits = String::new();
    for letter in text.trim().chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let seconds = match letter {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        period = period.checked_add(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(seconds)?))?;
        digits.clear();
    }
    (digits.is_empty() && !period.is_zero()).then_some(period)
}

fn parse_field(text: &str, field: &Field) -> Result<BTreeSet<i8>, ScheduleError> {
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let found = parse_part(part, field).ok_or_else(|| ScheduleError::Value(part.to_owned(), field.name))?;
        values.extend(found);
    }
    Ok(values)
}

fn parse_part(part: &str, field: &Field) -> Option<Vec<i8>> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step.parse::<i8>().ok().filter(|step| *step > 0)?)),
        None => (part, None),
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (parse_value(first, field)?, parse_value(last, field)?),
        None if range == "*" || range == "?" => (field.min, if field.max == 7 { 6 } else { field.max }),
        None => {
            let value = parse_value(range, field)?;
            // `5/15` is from 5 on.
            (value, if step.is_some() { field.max } else { value })
        }
    };
    if first > last {
        return None;
    }
    let step = usize::try_from(step.unwrap_or(1)).ok()?;
    Some((first..=last).step_by(step).collect())
}

fn parse_value(text: &str, field: &Field) -> Option<i8> {
    let lower = text.to_ascii_lowercase();
    if let Some(index) = field.names.iter().position(|name| *name == lower) {
        return i8::try_from(index).ok().map(|index| index + field.min);
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| is_number && (field.min..=field.max).contains(value))
}

impl Calendar {
    fn matches_day(&self, date: Date) -> bool {
        if !self.months.contains(&date.month()) {
            return false;
        }
        let day = self.days.contains(&date.day());
        let weekday = self.weekdays.contains(&date.weekday().to_sunday_zero_offset());
        match self.days_match {
            DaysMatch::Both => day && weekday,
            DaysMatch::Either => day || weekday,
        }
    }

    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = zone.to_datetime(after).date();
        let end = date.checked_add(YEARS_MAX.years()).ok()?;
        while date <= end {
            if self.matches_day(date)
                && let Some(found) = self.times(date, zone).find(|time| *time > after)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn last(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = zone.to_datetime(until).date();
        let end = date.checked_sub(YEARS_MAX.years()).ok()?;
        while date >= end {
            if self.matches_day(date)
                && let Some(found) = self.times(date, zone).filter(|time| *time <= until).last()
            {
                return Some(found);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The matching times of a day, in order. A time that the clock leaps over does not come; one that comes twice
    /// counts once.
    fn times<'a>(&'a self, date: Date, zone: &'a TimeZone) -> impl Iterator<Item = Timestamp> + 'a {
        let clock = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        clock.filter_map(move |(hour, minute)| {
            let wanted = date.to_datetime(Time::new(hour, minute, 0, 0).ok()?);
            let found = zone.to_timestamp(wanted).ok()?;
            (zone.to_datetime(found) == wanted).then_some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).unwrap();
        schedule
            .next(at("2026-01-01T00:00:00Z"), at(after), &TimeZone::UTC)
            .map_or_else(|| "never".to_owned(), |at| at.to_string())
    }

    #[test]
    fn schedules_find_their_next_time() {
        let cases = [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:16:30Z", "2026-01-01T00:30:00Z"),
            ("5/20 3 * * *", "2026-01-01T03:25:00Z", "2026-01-01T03:45:00Z"),
            ("0 9 * * mon-fri", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"),
            ("0 0 29 feb *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            // Both days restricted: the 13th or a Friday.
            ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("0 0 30 2 *", "2026-01-01T00:00:00Z", "never"),
            ("@daily", "2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z"),
            ("@every 1h30m", "2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"),
        ];
        for (schedule, after, expected) in cases {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            "",
            "* * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
            "* * * foo *",
            "+5 * * * *",
            "@often",
            "@every x",
        ];
        for text in cases {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Schedule::parse("60 * * * *").unwrap_err().to_string(),
            "\"60\" is no value, range or step of the field \"minute\""
        );
    }

    #[test]
    fn times_that_the_clock_leaps_over_do_not_come() {
        let Ok(data) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") else { return };
        let zone = TimeZone::tzif("Europe/Berlin", &data).unwrap();
        let schedule = Schedule::parse("30 2 * * *").unwrap();
        let next = schedule.next(at("2026-01-01T00:00:00Z"), at("2026-03-28T02:00:00Z"), &zone);
        assert_eq!(next, Some(at("2026-03-30T00:30:00Z")));
    }

    proptest! {
        #[test]
        fn last_and_next_agree(minute in 0..60i8, hour in 0..24i8, step in 1..20i8, seconds in 0..40_000_000i64) {
            let schedule = Schedule::parse(&format!("{minute}-59/{step} */{} * * *", hour + 1)).unwrap();
            let start = at("2026-01-01T00:00:00Z");
            let now = Timestamp::from_second(start.as_second() + seconds).unwrap();
            let next = schedule.next(start, now, &TimeZone::UTC).unwrap();
            prop_assert!(next > now);
            prop_assert_eq!(schedule.last(start, next, &TimeZone::UTC), Some(next));
            if let Some(last) = schedule.last(start, now, &TimeZone::UTC) {
                prop_assert!(last <= now);
                prop_assert_eq!(schedule.next(start, last, &TimeZone::UTC), Some(next));
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,40}") {
            drop(Schedule::parse(&text));
        }
    }
}
