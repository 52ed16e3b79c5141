//! Times of the day, week, month and year.

use maru_yaml::Cursor;

/// A named time: it holds whenever one of its windows does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeInterval {
    /// Its name.
    pub name: String,
    /// Its windows.
    pub windows: Vec<TimeWindow>,
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: i32,
    /// The last.
    pub to: i32,
}

/// Times that fulfil all of its fields; an empty field is fulfilled always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeWindow {
    /// Minutes of the day; the last is not included.
    pub minutes: Vec<Range>,
    /// 0 is Sunday.
    pub weekdays: Vec<Range>,
    /// From 1, or from the month's end: -1 is its last day.
    pub days_of_month: Vec<Range>,
    /// From 1.
    pub months: Vec<Range>,
    /// Years.
    pub years: Vec<Range>,
    /// The zone that all is meant in; UTC when absent.
    pub location: Option<String>,
}

/// A moment as the clocks of a place show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Minutes since midnight.
    pub minute: i32,
    /// 0 is Sunday.
    pub weekday: i32,
    /// From 1.
    pub day: i32,
    /// How many days the month has.
    pub days_in_month: i32,
    /// From 1.
    pub month: i32,
    /// The year.
    pub year: i32,
}

impl TimeWindow {
    /// Tells whether the moment, in the window's own zone, is inside.
    #[must_use]
    pub fn contains(&self, at: LocalTime) -> bool {
        let within = |ranges: &[Range], value: i32| {
            ranges.is_empty() || ranges.iter().any(|range| (range.from..=range.to).contains(&value))
        };
        let in_day =
            self.minutes.is_empty() || self.minutes.iter().any(|range| (range.from..range.to).contains(&at.minute));
        let in_month = self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|range| {
                let clamp = |day: i32| if day < 0 { at.days_in_month + day + 1 } else { day };
                let (from, to) = (clamp(range.from), clamp(range.to));
                // What begins after the month's end is never inside.
                (from.max(1)..=to.min(at.days_in_month)).contains(&at.day)
            });
        in_day
            && in_month
            && within(&self.weekdays, at.weekday)
            && within(&self.months, at.month)
            && within(&self.years, at.year)
    }
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads a window; `has_zone` tells whether a zone is known.
pub(super) fn read_window(of: &Cursor<'_>, has_zone: &dyn Fn(&str) -> bool) -> TimeWindow {
    let mut window = TimeWindow::default();
    for time in of.field("times").list() {
        let start = time.field("start_time").required().read(minute);
        let end = time.field("end_time").required().read(minute);
        time.finish();
        if let (Some(from), Some(to)) = (start, end) {
            if from >= to {
                time.problem("the start is not before the end; a window over midnight is two");
            }
            window.minutes.push(Range { from, to });
        }
    }
    let ranges = |name: &'static str, read: &dyn Fn(&str) -> Result<i32, String>, least: i32, most: i32| {
        let mut ranges = Vec::new();
        for item in of.field(name).list() {
            ranges.extend(item.read(|text| range(text, read, least, most)));
        }
        ranges
    };
    let word = |words: &'static [&'static str], first: i32| {
        move |text: &str| -> Result<i32, String> {
            let place = words.iter().position(|word| *word == text.to_ascii_lowercase());
            let place = place.and_then(|place| i32::try_from(place).ok());
            place.map(|place| place + first).ok_or_else(|| format!("\"{text}\" is none of {}", words.join(", ")))
        }
    };
    window.weekdays = ranges("weekdays", &word(&WEEKDAYS, 0), 0, 6);
    window.days_of_month = ranges("days_of_month", &number, -31, 31);
    let month = word(&MONTHS, 1);
    window.months = ranges("months", &|text| number(text).or_else(|_| month(text)), 1, 12);
    window.years = ranges("years", &number, 0, i32::MAX);
    let location = of.field("location");
    window.location = location.string();
    if let Some(name) = &window.location
        && !has_zone(name)
    {
        location.problem(format!(
            "there is no time zone \"{name}\" on this machine; write for example Asia/Seoul, and install the package tzdata"
        ));
    }
    of.finish();
    window
}

fn number(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}

fn minute(text: &str) -> Result<i32, String> {
    let wrong = || "it is no time of the day; write for example 09:00 or 24:00".to_owned();
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let is_written_well = hour.len() == 2 && minute.len() == 2;
    let (hour, minute): (i32, i32) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    let total = hour * 60 + minute;
    let is_in_day = (0..=24).contains(&hour) && (0..60).contains(&minute) && total <= 1440;
    if is_written_well && is_in_day { Ok(total) } else { Err(wrong()) }
}

/// Reads `a` or `a:b`.
fn range(text: &str, read: &dyn Fn(&str) -> Result<i32, String>, least: i32, most: i32) -> Result<Range, String> {
    let (from, to) = match text.split_once(':') {
        Some((from, to)) => (read(from.trim())?, read(to.trim())?),
        None => {
            let only = read(text.trim())?;
            (only, only)
        }
    };
    let allowed = |value: i32| (least..=most).contains(&value) && (least >= 0 || value != 0);
    if !allowed(from) || !allowed(to) {
        return Err(format!("it must be between {least} and {most}"));
    }
    // Days from the end and from the start are compared only within a month.
    if (from > 0) == (to > 0) && from > to {
        return Err("the start is after the end".to_owned());
    }
    if from < 0 && to > 0 {
        return Err("a start from the month's end needs an end from the month's end".to_owned());
    }
    Ok(Range { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_yaml::{Document, ParseLimits};

    fn window(text: &str) -> (TimeWindow, usize) {
        let document = Document::parse(text, ParseLimits::default());
        let window = read_window(&document.top(), &|zone| zone == "Asia/Seoul");
        (window, document.problems().len())
    }

    #[test]
    fn windows_hold_what_their_fields_say() {
        let friday = LocalTime { minute: 600, weekday: 5, day: 31, days_in_month: 31, month: 7, year: 2026 };
        let table = [
            ("{}", true),
            ("weekdays: ['monday:friday']", true),
            ("weekdays: [saturday, Sunday]", false),
            ("times: [{start_time: '10:00', end_time: '10:01'}]", true),
            ("times: [{start_time: '09:00', end_time: '10:00'}]", false),
            ("days_of_month: ['-1']", true),
            ("days_of_month: ['-3:-2', '1:30']", false),
            ("days_of_month: ['20:-1']", true),
            ("months: ['july']", true),
            ("months: ['1:6', 'august:december']", false),
            ("years: ['2020:2030']\nlocation: Asia/Seoul", true),
        ];
        for (text, expected) in table {
            let (window, problems) = window(text);
            assert_eq!((window.contains(friday), problems), (expected, 0), "{text}");
        }
        for text in [
            "weekdays: [holiday]",
            "times: [{start_time: '9:00', end_time: '24:01'}]",
            "times: [{start_time: '23:00', end_time: '01:00'}]",
            "days_of_month: ['0']",
            "days_of_month: ['-1:5']",
            "months: ['13']",
            "location: Mars/Base",
            "weekday: [monday]",
        ] {
            assert!(window(text).1 > 0, "{text}");
        }
    }
}
