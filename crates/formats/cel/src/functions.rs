//! The functions that expressions may call.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use regex::{Regex, RegexBuilder};

use crate::evaluate::Failure;
use crate::value::{List, Text, Value};

/// The most memory that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    LowerAscii,
    UpperAscii,
    Trim,
    Join,
    Int,
    Uint,
    Double,
    String,
    Bool,
    Bytes,
    Dyn,
    Type,
    Timestamp,
    Duration,
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// Name, function, fewest and most arguments (the object before the dot is the first).
const FUNCTIONS: [(&str, Function, usize, usize); 29] = [
    ("size", Function::Size, 1, 1),
    ("contains", Function::Contains, 2, 2),
    ("startsWith", Function::StartsWith, 2, 2),
    ("endsWith", Function::EndsWith, 2, 2),
    ("matches", Function::Matches, 2, 2),
    ("lowerAscii", Function::LowerAscii, 1, 1),
    ("upperAscii", Function::UpperAscii, 1, 1),
    ("trim", Function::Trim, 1, 1),
    ("join", Function::Join, 1, 2),
    ("int", Function::Int, 1, 1),
    ("uint", Function::Uint, 1, 1),
    ("double", Function::Double, 1, 1),
    ("string", Function::String, 1, 1),
    ("bool", Function::Bool, 1, 1),
    ("bytes", Function::Bytes, 1, 1),
    ("dyn", Function::Dyn, 1, 1),
    ("type", Function::Type, 1, 1),
    ("timestamp", Function::Timestamp, 1, 1),
    ("duration", Function::Duration, 1, 1),
    ("getFullYear", Function::FullYear, 1, 2),
    ("getMonth", Function::Month, 1, 2),
    ("getDate", Function::Date, 1, 2),
    ("getDayOfMonth", Function::DayOfMonth, 1, 2),
    ("getDayOfWeek", Function::DayOfWeek, 1, 2),
    ("getDayOfYear", Function::DayOfYear, 1, 2),
    ("getHours", Function::Hours, 1, 2),
    ("getMinutes", Function::Minutes, 1, 2),
    ("getSeconds", Function::Seconds, 1, 2),
    ("getMilliseconds", Function::Milliseconds, 1, 2),
];

/// Returns the names of all functions and macros.
pub(crate) fn names() -> String {
    let own: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
    format!("has, all, exists, exists_one, filter, map, {}", own.join(", "))
}

impl Function {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(own, ..)| *own == name).map(|(_, function, ..)| *function)
    }

    pub(crate) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, own, ..)| *own == self).map_or("", |(name, ..)| name)
    }

    pub(crate) fn arguments(self) -> (usize, usize) {
        FUNCTIONS.iter().find(|(_, own, ..)| *own == self).map_or((0, 0), |(_, _, least, most)| (*least, *most))
    }

    pub(crate) fn usage(self) -> String {
        match self.arguments() {
            (1, 1) => "one value".to_owned(),
            (least, most) if least == most => format!("{least} values, the one before the dot among them"),
            (least, most) => format!("{least} to {most} values, the one before the dot among them"),
        }
    }
}

/// Compiles a pattern (RE2's syntax, linear in time).
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        let last = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        format!("the pattern is not understood: {last}")
    })
}

fn no_overload(function: Function, arguments: &[Value<'_>]) -> Failure {
    let types: Vec<&str> = arguments.iter().map(Value::type_name).collect();
    Failure::Types(format!("{}({})", function.name(), types.join(", ")))
}

fn out_of_range(function: Function) -> Failure {
    Failure::Invalid(format!("{}(): the number is out of range", function.name()))
}

/// Calls a function.
pub(crate) fn call<'a>(
    function: Function,
    arguments: &[Value<'a>],
    compiled: Option<&Regex>,
) -> Result<Value<'a>, Failure> {
    let wrong = || no_overload(function, arguments);
    let text = |of: fn(&str) -> String| match arguments {
        [Value::String(text)] => Ok(Value::text(of(text))),
        _ => Err(wrong()),
    };
    match (function, arguments) {
        (Function::Size, [value]) => size(value).ok_or_else(wrong),
        (Function::Contains, [Value::String(text), Value::String(part)]) => Ok(Value::Bool(text.contains(&**part))),
        (Function::StartsWith, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.starts_with(&**part)))
        }
        (Function::EndsWith, [Value::String(text), Value::String(part)]) => Ok(Value::Bool(text.ends_with(&**part))),
        (Function::Matches, [Value::String(text), Value::String(written)]) => match compiled {
            Some(compiled) => Ok(Value::Bool(compiled.is_match(text))),
            None => pattern(written).map(|compiled| Value::Bool(compiled.is_match(text))).map_err(Failure::Invalid),
        },
        (Function::LowerAscii, _) => text(str::to_ascii_lowercase),
        (Function::UpperAscii, _) => text(str::to_ascii_uppercase),
        (Function::Trim, _) => text(|text| text.trim().to_owned()),
        (Function::Join, [Value::List(list)]) => join(list, "").ok_or_else(wrong),
        (Function::Join, [Value::List(list), Value::String(between)]) => join(list, between).ok_or_else(wrong),
        (Function::Dyn, [value]) => Ok(value.clone()),
        (Function::Type, [value]) => Ok(Value::Type(value.type_name())),
        (Function::Int | Function::Uint | Function::Double, [value]) => number(function, value, wrong),
        (Function::String, [value]) => string(value).ok_or_else(wrong),
        (Function::Bool, [Value::Bool(value)]) => Ok(Value::Bool(*value)),
        (Function::Bool, [Value::String(text)]) => match &**text {
            "true" | "TRUE" | "True" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "FALSE" | "False" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(Failure::Invalid("bool(): the text is neither true nor false".to_owned())),
        },
        (Function::Bytes, [Value::Bytes(bytes)]) => Ok(Value::Bytes(Arc::clone(bytes))),
        (Function::Bytes, [Value::String(text)]) => Ok(Value::Bytes(text.as_bytes().into())),
        (Function::Timestamp, [Value::Timestamp(at)]) => Ok(Value::Timestamp(*at)),
        (Function::Timestamp, [Value::Int(seconds)]) => {
            Timestamp::from_second(*seconds).map(Value::Timestamp).map_err(|_| out_of_range(function))
        }
        (Function::Timestamp, [Value::String(text)]) => text
            .parse()
            .map(Value::Timestamp)
            .map_err(|_| Failure::Invalid("timestamp(): write it as 2026-01-02T08:00:00Z".to_owned())),
        (Function::Duration, [Value::Duration(span)]) => Ok(Value::Duration(*span)),
        (Function::Duration, [Value::String(text)]) => duration(text)
            .map(Value::Duration)
            .ok_or_else(|| Failure::Invalid("duration(): write it as 1h30m, 90s or 250ms".to_owned())),
        (_, [Value::Timestamp(at), zone @ ..]) => part_of_time(function, *at, zone).unwrap_or_else(|| Err(wrong())),
        (_, [Value::Duration(span)]) => part_of_span(function, *span).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn size<'a>(value: &Value<'_>) -> Option<Value<'a>> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return None,
    };
    Some(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn join<'a>(list: &List<'_>, between: &str) -> Option<Value<'a>> {
    let mut whole = String::new();
    for index in 0..list.len() {
        let Some(Value::String(text)) = list.get(index) else { return None };
        if index > 0 {
            whole.push_str(between);
        }
        whole.push_str(&text);
    }
    Some(Value::text(whole))
}

#[expect(clippy::cast_precision_loss, reason = "CEL: a whole number becomes the nearest double")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the guards keep it in range")]
fn number<'a>(function: Function, value: &Value<'_>, wrong: impl Fn() -> Failure) -> Result<Value<'a>, Failure> {
    let range = || out_of_range(function);
    let unreadable = || Failure::Invalid(format!("{}(): the text is no number", function.name()));
    match (function, value) {
        (Function::Int, Value::Int(number)) => Ok(Value::Int(*number)),
        (Function::Int, Value::Uint(number)) => i64::try_from(*number).map(Value::Int).map_err(|_| range()),
        // 2^63 is the first double that is too large; everything between is whole when it is cut.
        (Function::Int, Value::Double(number)) if number.abs() < 9_223_372_036_854_775_808.0 => {
            Ok(Value::Int(*number as i64))
        }
        (Function::Int, Value::String(text)) => text.parse().map(Value::Int).map_err(|_| unreadable()),
        (Function::Int, Value::Timestamp(at)) => Ok(Value::Int(at.as_second())),
        (Function::Uint, Value::Uint(number)) => Ok(Value::Uint(*number)),
        (Function::Uint, Value::Int(number)) => u64::try_from(*number).map(Value::Uint).map_err(|_| range()),
        (Function::Uint, Value::Double(number)) if *number > -1.0 && *number < 18_446_744_073_709_551_616.0 => {
            Ok(Value::Uint(*number as u64))
        }
        (Function::Uint, Value::String(text)) => text.parse().map(Value::Uint).map_err(|_| unreadable()),
        (Function::Int | Function::Uint, Value::Double(_)) => Err(range()),
        (Function::Double, Value::Double(number)) => Ok(Value::Double(*number)),
        (Function::Double, Value::Int(number)) => Ok(Value::Double(*number as f64)),
        (Function::Double, Value::Uint(number)) => Ok(Value::Double(*number as f64)),
        (Function::Double, Value::String(text)) => text.parse().map(Value::Double).map_err(|_| unreadable()),
        _ => Err(wrong()),
    }
}

fn string<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    Some(match value {
        Value::String(text) => Value::String(text.clone()),
        Value::Bool(value) => Value::text(value.to_string()),
        Value::Int(number) => Value::text(number.to_string()),
        Value::Uint(number) => Value::text(number.to_string()),
        Value::Double(number) => Value::text(number.to_string()),
        Value::Bytes(bytes) => Value::String(Text::Owned(std::str::from_utf8(bytes).ok()?.into())),
        Value::Timestamp(at) => Value::text(at.to_string()),
        Value::Duration(span) => Value::text(format!("{}s", span.as_secs_f64())),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Type(_) => return None,
    })
}

const UNITS: [(&str, i128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a span as Go writes it: `-1h30m`, `1.5s`.
fn duration(text: &str) -> Option<SignedDuration> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0i128;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let whole: i128 = if whole.is_empty() && !part.is_empty() { 0 } else { whole.parse().ok()? };
        let mut sum = whole.checked_mul(*size)?;
        let mut digit = *size;
        for letter in part.chars() {
            digit /= 10;
            sum += i128::from(letter.to_digit(10)?) * digit;
        }
        nanoseconds = nanoseconds.checked_add(sum)?;
        rest = after;
    }
    let signed = if is_negative { -nanoseconds } else { nanoseconds };
    let seconds = i64::try_from(signed / 1_000_000_000).ok()?;
    let below = i32::try_from(signed % 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, below))
}

fn part_of_time<'a>(function: Function, at: Timestamp, zone: &[Value<'_>]) -> Option<Result<Value<'a>, Failure>> {
    let zone = match zone {
        [] => TimeZone::UTC,
        [Value::String(name)] => match read_zone(name) {
            Some(zone) => zone,
            None => return Some(Err(Failure::Invalid("the time zone is not known; write UTC or +09:00".to_owned()))),
        },
        _ => return None,
    };
    let time: Zoned = at.to_zoned(zone);
    let part = match function {
        Function::FullYear => i64::from(time.year()),
        Function::Month => i64::from(time.month()) - 1,
        Function::Date => i64::from(time.day()),
        Function::DayOfMonth => i64::from(time.day()) - 1,
        Function::DayOfWeek => i64::from(time.weekday().to_sunday_zero_offset()),
        Function::DayOfYear => i64::from(time.day_of_year()) - 1,
        Function::Hours => i64::from(time.hour()),
        Function::Minutes => i64::from(time.minute()),
        Function::Seconds => i64::from(time.second()),
        Function::Milliseconds => i64::from(time.millisecond()),
        _ => return None,
    };
    Some(Ok(Value::Int(part)))
}

/// Reads `UTC`, `+09:00` or `-05:30`: a format has no database of time zones.
fn read_zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match (name.strip_prefix('-'), name.strip_prefix('+')) {
        (Some(rest), _) => (-1, rest),
        (None, Some(rest)) => (1, rest),
        (None, None) => (1, name),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=23).contains(&hours) || !(0..=59).contains(&minutes) {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

fn part_of_span<'a>(function: Function, span: SignedDuration) -> Option<Value<'a>> {
    Some(Value::Int(match function {
        Function::Hours => span.as_hours(),
        Function::Minutes => span.as_mins(),
        Function::Seconds => span.as_secs(),
        Function::Milliseconds => i64::from(span.subsec_millis()),
        _ => return None,
    }))
}
