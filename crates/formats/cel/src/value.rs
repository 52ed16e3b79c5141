//! Values: borrowed from JSON where they come from there.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

/// A text.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// Of the input.
    Borrowed(&'a str),
    /// Made by the expression.
    Owned(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// A list.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// Of the input.
    Json(&'a [Json]),
    /// Of the input, each kept on its own.
    Shared(&'a [Arc<Json>]),
    /// Made by the expression.
    Owned(Arc<Vec<Value<'a>>>),
}

impl<'a> List<'a> {
    /// Returns how many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(list) => list.len(),
            Self::Shared(list) => list.len(),
            Self::Owned(list) => list.len(),
        }
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(list) => list.get(index).map(Value::of),
            Self::Shared(list) => list.get(index).map(|one| Value::of(one)),
            Self::Owned(list) => list.get(index).cloned(),
        }
    }
}

/// A map; its keys keep their order.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// Of the input.
    Json(&'a serde_json::Map<String, Json>),
    /// Of the input: lists of objects by their kind.
    Lists(&'a std::collections::BTreeMap<String, Vec<Arc<Json>>>),
    /// Made by the expression.
    Owned(Arc<Vec<(Value<'a>, Value<'a>)>>),
}

impl<'a> Map<'a> {
    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Lists(map) => map.len(),
            Self::Owned(map) => map.len(),
        }
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Json(map), Value::String(key)) => map.get(&**key).map(Value::of),
            (Self::Lists(map), Value::String(key)) => map.get(&**key).map(|list| Value::List(List::Shared(list))),
            (Self::Json(_) | Self::Lists(_), _) => None,
            (Self::Owned(map), _) => map.iter().find(|(own, _)| own.equals(key)).map(|(_, value)| value.clone()),
        }
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::Json(map) => map.keys().map(|key| Value::String(Text::Borrowed(key))).collect(),
            Self::Lists(map) => map.keys().map(|key| Value::String(Text::Borrowed(key))).collect(),
            Self::Owned(map) => map.iter().map(|(key, _)| key.clone()).collect(),
        }
    }
}

/// A value of an expression.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is not negative.
    Uint(u64),
    /// A number.
    Double(f64),
    /// A text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(SignedDuration),
    /// The name of a type.
    Type(&'static str),
}

impl<'a> Value<'a> {
    /// Returns a value of JSON as it stands there.
    #[must_use]
    pub fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Uint(number),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::String(Text::Borrowed(text)),
            Json::Array(list) => Self::List(List::Json(list)),
            Json::Object(map) => Self::Map(Map::Json(map)),
        }
    }

    /// Returns a text that the expression makes.
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(Text::Owned(text.into()))
    }

    /// Returns the name of the value's type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Type(_) => "type",
        }
    }

    /// How much work it is to look at all of it, at most `most`.
    pub(crate) fn weight(&self, most: u64) -> u64 {
        let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        match self {
            Self::String(text) => length(text.len()) / 32 + 1,
            Self::Bytes(bytes) => length(bytes.len()) / 32 + 1,
            Self::List(list) => {
                let mut sum = 1;
                for index in 0..list.len() {
                    sum += list.get(index).map_or(0, |value| value.weight(most));
                    if sum > most {
                        break;
                    }
                }
                sum
            }
            Self::Map(map) => {
                let mut sum = 1;
                for key in map.keys() {
                    sum += map.get(&key).map_or(0, |value| value.weight(most)) + 1;
                    if sum > most {
                        break;
                    }
                }
                sum
            }
            _ => 1,
        }
    }

    /// Tells whether two values are the same; numbers of two types are compared as numbers.
    #[must_use]
    pub fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(left), Value::Bool(right)) => left == right,
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Value::Int(_) | Value::Uint(_) | Value::Double(_)) => {
                self.compare(other) == Some(Ordering::Equal)
            }
            (Self::String(left), Value::String(right)) => **left == **right,
            (Self::Bytes(left), Value::Bytes(right)) => left == right,
            (Self::Timestamp(left), Value::Timestamp(right)) => left == right,
            (Self::Duration(left), Value::Duration(right)) => left == right,
            (Self::Type(left), Value::Type(right)) => left == right,
            (Self::List(left), Value::List(right)) => {
                left.len() == right.len()
                    && (0..left.len()).all(|index| match (left.get(index), right.get(index)) {
                        (Some(left), Some(right)) => left.equals(&right),
                        _ => false,
                    })
            }
            (Self::Map(left), Value::Map(right)) => {
                left.len() == right.len()
                    && left.keys().iter().all(|key| match (left.get(key), right.get(key)) {
                        (Some(left), Some(right)) => left.equals(&right),
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    /// Returns the order of two values that have one.
    #[must_use]
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Self::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Self::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
            (Self::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Self::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Self::Double(left), Value::Double(right)) => left.partial_cmp(right),
            (Self::Double(left), Value::Int(right)) => compare_double(*left, i128::from(*right)),
            (Self::Double(left), Value::Uint(right)) => compare_double(*left, i128::from(*right)),
            (Self::Int(left), Value::Double(right)) => compare_double(*right, i128::from(*left)).map(Ordering::reverse),
            (Self::Uint(left), Value::Double(right)) => {
                compare_double(*right, i128::from(*left)).map(Ordering::reverse)
            }
            (Self::String(left), Value::String(right)) => Some((**left).cmp(&**right)),
            (Self::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            (Self::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// Compares exactly: a double's whole part fits into 128 bits, or it is beyond every whole number.
#[expect(clippy::cast_possible_truncation, reason = "the bound above keeps the whole part within 128 bits")]
fn compare_double(left: f64, right: i128) -> Option<Ordering> {
    if left.is_nan() {
        return None;
    }
    if left.abs() >= 1e30 {
        return Some(if left > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    let whole = left.floor();
    let order = (whole as i128).cmp(&right);
    Some(if order == Ordering::Equal && left > whole { Ordering::Greater } else { order })
}
