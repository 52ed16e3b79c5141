//! Times and spans of time as Go prints them.

use std::fmt::Write as _;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use crate::value::Value;

/// The parts of a layout, longest first where one begins another.
const PARTS: &[&str] = &[
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "__2",
    "_2006",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// Returns the part that a layout starts with.
fn part(layout: &str) -> Option<&'static str> {
    let found = PARTS.iter().find(|part| layout.starts_with(**part)).copied()?;
    // `Jan` inside of a word such as `Janet` is not a month.
    let next = layout.get(found.len()..).and_then(|rest| rest.chars().next());
    let is_word = matches!(found, "Jan" | "Mon");
    (!is_word || !next.is_some_and(|next| next.is_ascii_lowercase())).then_some(found)
}

/// Returns the digits of a fraction of a second in a layout: `.000`, `,999`.
fn fraction(layout: &str) -> Option<(usize, bool)> {
    let digit = layout.strip_prefix(['.', ','])?.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let digits = layout.chars().skip(1).take_while(|next| *next == digit).count();
    let after = layout.chars().nth(digits + 1);
    (!after.is_some_and(|after| after.is_ascii_digit())).then_some((digits, digit == '9'))
}

/// Prints a time after a layout, as Go's `Time.Format`.
#[must_use]
pub fn format_time(at: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((digits, trims)) = fraction(rest) {
            let nanoseconds = format!("{:09}", at.subsec_nanosecond());
            let text: String = nanoseconds.chars().take(digits).collect();
            let text = if trims { text.trim_end_matches('0') } else { &text };
            if !text.is_empty() {
                out.push(first);
                out.push_str(text);
            }
            rest = rest.get(digits + 1..).unwrap_or_default();
        } else if let Some(part) = part(rest) {
            write_part(&mut out, at, part);
            rest = rest.get(part.len()..).unwrap_or_default();
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

fn write_part(out: &mut String, at: &Zoned, part: &str) {
    let hour12 = match at.hour().rem_euclid(12) {
        0 => 12,
        hour => hour,
    };
    let written = match part {
        "January" => write!(out, "{}", at.strftime("%B")),
        "Jan" => write!(out, "{}", at.strftime("%b")),
        "Monday" => write!(out, "{}", at.strftime("%A")),
        "Mon" => write!(out, "{}", at.strftime("%a")),
        "MST" => write!(out, "{}", zone_name(at)),
        "2006" => write!(out, "{:04}", at.year()),
        "_2006" => write!(out, "_{:04}", at.year()),
        "06" => write!(out, "{:02}", at.year().rem_euclid(100)),
        "01" => write!(out, "{:02}", at.month()),
        "1" => write!(out, "{}", at.month()),
        "02" => write!(out, "{:02}", at.day()),
        "_2" => write!(out, "{:2}", at.day()),
        "2" => write!(out, "{}", at.day()),
        "002" => write!(out, "{:03}", at.day_of_year()),
        "__2" => write!(out, "{:3}", at.day_of_year()),
        "15" => write!(out, "{:02}", at.hour()),
        "03" => write!(out, "{hour12:02}"),
        "3" => write!(out, "{hour12}"),
        "04" => write!(out, "{:02}", at.minute()),
        "4" => write!(out, "{}", at.minute()),
        "05" => write!(out, "{:02}", at.second()),
        "5" => write!(out, "{}", at.second()),
        "PM" => write!(out, "{}", if at.hour() >= 12 { "PM" } else { "AM" }),
        "pm" => write!(out, "{}", if at.hour() >= 12 { "pm" } else { "am" }),
        offset => {
            write_offset(out, at.offset(), offset);
            Ok(())
        }
    };
    written.expect("a text takes all");
}

fn zone_name(at: &Zoned) -> String {
    let name = at.strftime("%Z").to_string();
    // Zones without a letter name are known by their offset.
    if at.offset() == Offset::UTC { "UTC".to_owned() } else { name }
}

fn write_offset(out: &mut String, offset: Offset, part: &str) {
    let seconds = offset.seconds();
    if part.starts_with('Z') && seconds == 0 {
        out.push('Z');
        return;
    }
    let colon = if part.contains(':') { ":" } else { "" };
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    write!(out, "{sign}{:02}", seconds / 3600).expect("a text takes all");
    let digits = part.chars().filter(char::is_ascii_digit).count();
    if digits >= 4 {
        write!(out, "{colon}{:02}", seconds / 60 % 60).expect("a text takes all");
    }
    if digits >= 6 {
        write!(out, "{colon}{:02}", seconds % 60).expect("a text takes all");
    }
}

/// Reads a time after a layout, as Go's `time.Parse`; without an offset it is UTC.
///
/// # Errors
/// Where the text does not follow the layout.
pub fn parse_time(layout: &str, text: &str) -> Result<Zoned, String> {
    let refuse = || format!("\"{text}\" does not look like \"{layout}\"");
    let mut read = Read { year: 1, month: 1, day: 1, ..Read::default() };
    let (mut layout_rest, mut rest) = (layout, text);
    while let Some(first) = layout_rest.chars().next() {
        if let Some((digits, _)) = fraction(layout_rest) {
            rest = read.fraction(rest);
            layout_rest = layout_rest.get(digits + 1..).unwrap_or_default();
        } else if let Some(part) = part(layout_rest) {
            rest = read.part(part, rest).ok_or_else(refuse)?;
            layout_rest = layout_rest.get(part.len()..).unwrap_or_default();
            // A fraction may follow the seconds also when the layout has none.
            if matches!(part, "05" | "5") && fraction(layout_rest).is_none() {
                rest = read.fraction(rest);
            }
        } else {
            rest = rest.strip_prefix(first).ok_or_else(refuse)?;
            layout_rest = layout_rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    if !rest.is_empty() {
        return Err(refuse());
    }
    read.time().ok_or_else(refuse)
}

#[derive(Default)]
struct Read {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanosecond: i32,
    offset_seconds: i32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Read {
    fn fraction<'t>(&mut self, text: &'t str) -> &'t str {
        let Some(digits) = text.strip_prefix(['.', ',']) else { return text };
        let count = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
        let Some((number, rest)) = digits.split_at_checked(count).filter(|_| count > 0) else { return text };
        let nine: String = number.chars().chain("000000000".chars()).take(9).collect();
        self.nanosecond = nine.parse().unwrap_or(0);
        rest
    }

    fn part<'t>(&mut self, part: &str, text: &'t str) -> Option<&'t str> {
        let number = |least: usize, most: usize| -> Option<(i16, &'t str)> {
            let text = text.trim_start_matches(' ');
            let count = text.chars().take(most).take_while(char::is_ascii_digit).count();
            let (digits, rest) = text.split_at_checked(count).filter(|_| count >= least)?;
            Some((digits.parse().ok()?, rest))
        };
        let small = |least, most| number(least, most).and_then(|(n, rest)| Some((i8::try_from(n).ok()?, rest)));
        let rest;
        match part {
            "2006" | "_2006" => (self.year, rest) = number(4, 4)?,
            "06" => {
                let (year, after) = number(2, 2)?;
                (self.year, rest) = (if year >= 69 { 1900 + year } else { 2000 + year }, after);
            }
            "01" => (self.month, rest) = small(2, 2)?,
            "1" => (self.month, rest) = small(1, 2)?,
            "January" | "Jan" => {
                let length = if part == "Jan" { Some(3) } else { None };
                let (index, name) = MONTHS.iter().enumerate().find_map(|(index, name)| {
                    let name = length.and_then(|length| name.get(..length)).unwrap_or(name);
                    text.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).map(|start| (index, start))
                })?;
                self.month = i8::try_from(index + 1).ok()?;
                rest = text.get(name.len()..)?;
            }
            "Monday" | "Mon" => rest = text.trim_start_matches(|character: char| character.is_ascii_alphabetic()),
            "02" => (self.day, rest) = small(2, 2)?,
            "2" | "_2" => (self.day, rest) = small(1, 2)?,
            "15" | "03" => (self.hour, rest) = small(2, 2)?,
            "3" => (self.hour, rest) = small(1, 2)?,
            "04" => (self.minute, rest) = small(2, 2)?,
            "4" => (self.minute, rest) = small(1, 2)?,
            "05" => (self.second, rest) = small(2, 2)?,
            "5" => (self.second, rest) = small(1, 2)?,
            "PM" | "pm" => {
                self.afternoon = Some(text.get(..2)?.eq_ignore_ascii_case("pm"));
                rest = text.get(2..)?;
            }
            "MST" => rest = text.trim_start_matches(|character: char| character.is_ascii_uppercase()),
            "002" | "__2" => return None,
            offset => rest = self.offset(offset, text)?,
        }
        Some(rest)
    }

    fn offset<'t>(&mut self, part: &str, text: &'t str) -> Option<&'t str> {
        if part.starts_with('Z')
            && let Some(rest) = text.strip_prefix('Z')
        {
            return Some(rest);
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let mut rest = text.strip_prefix(['+', '-'])?;
        let digits = part.chars().filter(char::is_ascii_digit).count();
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].into_iter().take(digits / 2).enumerate() {
            if index > 0 && part.contains(':') {
                rest = rest.strip_prefix(':')?;
            }
            let (number, after) = rest.split_at_checked(2)?;
            seconds += number.parse::<i32>().ok()? * unit;
            rest = after;
        }
        self.offset_seconds = sign * seconds;
        Some(rest)
    }

    fn time(&self) -> Option<Zoned> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let date = Date::new(self.year, self.month, self.day).ok()?;
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let offset = Offset::from_seconds(self.offset_seconds).ok()?;
        let zone = if offset == Offset::UTC { TimeZone::UTC } else { TimeZone::fixed(offset) };
        date.to_datetime(time).to_zoned(zone).ok()
    }
}

/// Prints a span of time as Go's `time.Duration`: `1h2m3.5s`, `250ms`, `0s`.
#[must_use]
pub fn duration_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    let decimal = |value: u64, unit: u64| {
        let whole = value / unit;
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() || unit == 1 { whole.to_string() } else { format!("{whole}.{fraction}") }
    };
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..=999 => format!("{magnitude}ns"),
        1_000..=999_999 => format!("{}µs", decimal(magnitude, 1_000)),
        1_000_000..=999_999_999 => format!("{}ms", decimal(magnitude, 1_000_000)),
        _ => {
            let (minutes, rest) = (magnitude / 60_000_000_000, magnitude % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// Calls a method of a time or of a span; nothing when there is none of that name.
pub(crate) fn method(value: &Value, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    match (value, arguments) {
        (Value::Time(at), []) => time_field(at, name).map(Ok),
        (Value::Time(at), [argument]) => time_method(at, name, argument),
        (Value::Duration(nanoseconds), []) => duration_field(*nanoseconds, name).map(Ok),
        _ => None,
    }
}

fn time_field(at: &Zoned, name: &str) -> Option<Value> {
    let timestamp = at.timestamp();
    Some(match name {
        "Unix" => Value::Integer(timestamp.as_second()),
        "UnixMilli" => Value::Integer(timestamp.as_millisecond()),
        "UnixMicro" => Value::Integer(timestamp.as_microsecond()),
        "UnixNano" => Value::Integer(i64::try_from(timestamp.as_nanosecond()).unwrap_or(i64::MAX)),
        "UTC" | "Local" => Value::Time(timestamp.to_zoned(TimeZone::UTC)),
        "String" => Value::Text(Value::Time(at.clone()).to_string()),
        "Year" => Value::Integer(at.year().into()),
        "Month" => Value::Text(MONTHS[usize::try_from(at.month() - 1).unwrap_or(0)].to_owned()),
        "Day" => Value::Integer(at.day().into()),
        "Hour" => Value::Integer(at.hour().into()),
        "Minute" => Value::Integer(at.minute().into()),
        "Second" => Value::Integer(at.second().into()),
        "Nanosecond" => Value::Integer(at.subsec_nanosecond().into()),
        "YearDay" => Value::Integer(at.day_of_year().into()),
        "Weekday" => Value::Text(at.strftime("%A").to_string()),
        "IsZero" => Value::Bool(timestamp == ZERO_TIME),
        _ => return None,
    })
}

/// Go's zero time: the first of January of the year 1.
const ZERO_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

fn time_method(at: &Zoned, name: &str, argument: &Value) -> Option<Result<Value, String>> {
    let wrong = || Err(format!("wrong type of argument: {}", argument.type_name()));
    let span = |nanoseconds: i64| jiff::SignedDuration::from_nanos(nanoseconds);
    Some(match (name, argument) {
        ("Format", Value::Text(layout)) => Ok(Value::Text(format_time(at, layout))),
        ("Add", Value::Duration(nanoseconds) | Value::Integer(nanoseconds)) => {
            at.checked_add(span(*nanoseconds)).map(Value::Time).map_err(|error| error.to_string())
        }
        ("Truncate" | "Round", Value::Duration(unit) | Value::Integer(unit)) if *unit > 0 => {
            let unit = i128::from(*unit);
            let shift = if name == "Round" { unit / 2 } else { 0 };
            let base = ZERO_TIME.as_nanosecond();
            let rounded = base + (at.timestamp().as_nanosecond() - base + shift).div_euclid(unit) * unit;
            Timestamp::from_nanosecond(rounded)
                .map(|rounded| Value::Time(rounded.to_zoned(at.time_zone().clone())))
                .map_err(|error| error.to_string())
        }
        ("Sub", Value::Time(other)) => {
            let nanoseconds = at.timestamp().as_nanosecond() - other.timestamp().as_nanosecond();
            let bound = if nanoseconds < 0 { i64::MIN } else { i64::MAX };
            Ok(Value::Duration(i64::try_from(nanoseconds).unwrap_or(bound)))
        }
        ("Before", Value::Time(other)) => Ok(Value::Bool(at < other)),
        ("After", Value::Time(other)) => Ok(Value::Bool(at > other)),
        ("Equal", Value::Time(other)) => Ok(Value::Bool(at == other)),
        ("Format" | "Add" | "Truncate" | "Round" | "Sub" | "Before" | "After" | "Equal", _) => wrong(),
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "as Go's methods do")]
fn duration_field(nanoseconds: i64, name: &str) -> Option<Value> {
    let number = nanoseconds as f64;
    Some(match name {
        "Seconds" => Value::Float(number / 1e9),
        "Minutes" => Value::Float(number / 6e10),
        "Hours" => Value::Float(number / 3.6e12),
        "Milliseconds" => Value::Integer(nanoseconds / 1_000_000),
        "Microseconds" => Value::Integer(nanoseconds / 1_000),
        "Nanoseconds" => Value::Integer(nanoseconds),
        "String" => Value::Text(duration_text(nanoseconds)),
        _ => return None,
    })
}
