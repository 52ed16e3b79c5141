//! The functions that all templates have.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::printf::{printf, text_of};
use crate::value::Value;

/// Their names.
pub(crate) const NAMES: &[&str] = &[
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "eq", "ne",
    "lt", "le", "gt", "ge",
];

type Answer = Result<Value, String>;

/// Calls a function; nothing when there is none of that name.
pub(crate) fn call(name: &str, arguments: &[Value], bytes_max: usize) -> Option<Answer> {
    Some(match name {
        "not" => one(arguments).map(|value| Value::Bool(!value.is_true())),
        "len" => one(arguments).and_then(length),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(Value::Text(sprint(arguments))),
        "println" => Ok(Value::Text(sprintln(arguments))),
        "printf" => match arguments.split_first() {
            Some((format, rest)) => match format.as_text() {
                Some(format) => printf(format, rest, bytes_max).map(Value::Text),
                None => Err(format!("the format must be a text, not {}", format.type_name())),
            },
            None => Err("a format is needed".to_owned()),
        },
        "html" => Ok(Value::Text(escape_html(&all(arguments)))),
        "js" => Ok(Value::Text(escape_js(&all(arguments)))),
        "urlquery" => Ok(Value::Text(escape_query(&all(arguments)))),
        "eq" => equal_any(arguments),
        "ne" => two(arguments).and_then(|(left, right)| equal(left, right)).map(|same| Value::Bool(!same)),
        "lt" => ordered(arguments, &[Ordering::Less]),
        "le" => ordered(arguments, &[Ordering::Less, Ordering::Equal]),
        "gt" => ordered(arguments, &[Ordering::Greater]),
        "ge" => ordered(arguments, &[Ordering::Greater, Ordering::Equal]),
        _ => return None,
    })
}

fn one(arguments: &[Value]) -> Result<&Value, String> {
    match arguments {
        [only] => Ok(only),
        other => Err(format!("wrong number of args: want 1 got {}", other.len())),
    }
}

fn two(arguments: &[Value]) -> Result<(&Value, &Value), String> {
    match arguments {
        [left, right] => Ok((left, right)),
        other => Err(format!("wrong number of args: want 2 got {}", other.len())),
    }
}

fn count(length: usize) -> Value {
    Value::Integer(i64::try_from(length).unwrap_or(i64::MAX))
}

fn length(value: &Value) -> Answer {
    match value.plain() {
        Value::Text(text) | Value::Html(text) => Ok(count(text.len())),
        Value::List(list) => Ok(count(list.len())),
        Value::Map(map) => Ok(count(map.entries.len())),
        Value::Null => Err("len of nil pointer".to_owned()),
        other => Err(format!("len of type {}", other.type_name())),
    }
}

fn position(value: &Value, length: usize) -> Result<usize, String> {
    let Value::Integer(number) = value else {
        return Err(format!("cannot index slice/array with type {}", value.type_name()));
    };
    usize::try_from(*number).ok().filter(|at| *at < length).ok_or_else(|| format!("index out of range: {number}"))
}

fn index(arguments: &[Value]) -> Answer {
    let Some((first, rest)) = arguments.split_first() else { return Err("a value is needed".to_owned()) };
    let mut value = first.clone();
    for key in rest {
        value = match value.plain() {
            Value::List(list) => list[position(key, list.len())?].clone(),
            Value::Text(text) | Value::Html(text) => Value::Integer(text.as_bytes()[position(key, text.len())?].into()),
            Value::Map(map) => {
                let Some(key) = key.as_text() else {
                    return Err(format!("value has type {}; should be string", key.type_name()));
                };
                match (map.entries.get(key), map.missing) {
                    (Some(found), _) => found.clone(),
                    (None, crate::Missing::Empty) => Value::Text(String::new()),
                    (None, _) => Value::Null,
                }
            }
            Value::Null => return Err("index of untyped nil".to_owned()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Answer {
    let Some((first, rest)) = arguments.split_first() else { return Err("a value is needed".to_owned()) };
    let plain = first.plain();
    let length = match &plain {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if rest.len() > 3 || (rest.len() == 3 && matches!(plain, Value::Text(_))) {
        return Err(format!("too many slice indexes: {}", rest.len()));
    }
    let mut bounds = [0, length, length];
    for (bound, value) in bounds.iter_mut().zip(rest) {
        *bound = position(value, length + 1)?;
    }
    let [start, end, _] = bounds;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &plain {
        Value::Text(text) => text
            .get(start..end)
            .map(Value::from)
            .ok_or_else(|| format!("the text cannot be cut at bytes {start} and {end}: inside of a character")),
        Value::List(list) => Ok(Value::list(list[start..end].iter().cloned())),
        _ => Ok(Value::Null),
    }
}

/// Joins as Go's `Sprint`: a space between two that are no texts.
fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    let mut before_is_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_) | Value::Html(_));
        if index > 0 && !is_text && !before_is_text {
            out.push(' ');
        }
        out.push_str(&text_of(value));
        before_is_text = is_text;
    }
    out
}

fn sprintln(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(text_of).collect();
    format!("{}\n", texts.join(" "))
}

/// What the escaping functions escape.
fn all(values: &[Value]) -> String {
    match values {
        [only] => only.as_text().map_or_else(|| text_of(only), str::to_owned),
        many => sprint(many),
    }
}

pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            other if other < ' ' || (other > '~' && other.is_control()) => {
                write!(out, "\\u{:04X}", u32::from(other)).expect("a text takes all");
            }
            other => out.push(other),
        }
    }
    out
}

fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => write!(out, "%{other:02X}").expect("a text takes all"),
        }
    }
    out
}

const INCOMPATIBLE: &str = "incompatible types for comparison";

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left.plain(), right.plain()) {
        (Value::Null, other) | (other, Value::Null) => Ok(matches!(other, Value::Null)),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Integer(left) | Value::Duration(left), Value::Integer(right) | Value::Duration(right)) => {
            Ok(left == right)
        }
        #[expect(clippy::float_cmp, reason = "templates compare as Go does")]
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::Text(left) | Value::Html(left), Value::Text(right) | Value::Html(right)) => Ok(left == right),
        (Value::Time(left), Value::Time(right)) => Ok(left == right),
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => {
            Err("non-comparable types for comparison".to_owned())
        }
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

/// Tells whether the first is one of the others.
fn equal_any(arguments: &[Value]) -> Answer {
    let Some((first, rest)) = arguments.split_first() else { return Err("a value is needed".to_owned()) };
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in rest {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn ordered(arguments: &[Value], wanted: &[Ordering]) -> Answer {
    let (left, right) = two(arguments)?;
    let ordering = match (left.plain(), right.plain()) {
        (Value::Integer(left) | Value::Duration(left), Value::Integer(right) | Value::Duration(right)) => {
            Some(left.cmp(&right))
        }
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(&right),
        (Value::Text(left) | Value::Html(left), Value::Text(right) | Value::Html(right)) => Some(left.cmp(&right)),
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        _ => return Err(INCOMPATIBLE.to_owned()),
    };
    Ok(Value::Bool(ordering.is_some_and(|ordering| wanted.contains(&ordering))))
}
