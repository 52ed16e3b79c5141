//! The values that templates read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// What a template reads and prints. Cloning is cheap but for texts.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing: Go's `nil`.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A text that is HTML already and is not escaped again.
    Html(String),
    /// A list.
    List(Arc<Vec<Value>>),
    /// Fields by name, sorted.
    Map(Arc<Map>),
    /// A time in its zone.
    Time(Zoned),
    /// A span of time in nanoseconds, as Go's `time.Duration`.
    Duration(i64),
    /// A value with methods, such as Alertmanager's labels with `.SortedPairs`.
    Object(Arc<dyn Object>),
}

/// A value with methods: the caller's own.
pub trait Object: fmt::Debug + Send + Sync {
    /// Returns a field, or what a method answers. Nothing is what the type does not have.
    ///
    /// # Errors
    /// What the method has to say about its arguments.
    fn get(&self, name: &str, arguments: &[Value]) -> Result<Option<Value>, String>;

    /// Returns what is ranged over, indexed, counted and printed.
    fn plain(&self) -> Value;
}

/// What a map answers for a key that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The empty text, as a `map[string]string` does.
    Empty,
    /// Nothing, printed as `<no value>`.
    Null,
    /// An error: it is a record of the type that is named, and its fields are fixed.
    Error(&'static str),
}

/// Fields by name.
#[derive(Debug, Clone)]
pub struct Map {
    /// The fields.
    pub entries: BTreeMap<String, Value>,
    /// What is answered for others.
    pub missing: Missing,
}

impl Value {
    /// Makes a map of texts, such as labels; a missing one is empty.
    pub fn labels<K: Into<String>, V: Into<String>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), Self::Text(value.into()))).collect();
        Self::Map(Arc::new(Map { entries, missing: Missing::Empty }))
    }

    /// Makes a map; a missing field is nothing.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self::Map(Arc::new(Map { entries, missing: Missing::Null }))
    }

    /// Makes a record of a type; asking for a field that it does not have is an error.
    pub fn record<K: Into<String>>(type_name: &'static str, entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self::Map(Arc::new(Map { entries, missing: Missing::Error(type_name) }))
    }

    /// Makes a list.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Arc::new(items.into_iter().collect()))
    }

    /// Makes a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a time in UTC.
    #[must_use]
    pub fn time(at: Timestamp) -> Self {
        Self::Time(at.to_zoned(TimeZone::UTC))
    }

    /// Returns the text of a text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Html(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::Object(_) => None,
        }
    }

    /// Returns a number, also of a whole one and of a span of time (nanoseconds).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "as Go's conversion does")]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Integer(number) | Self::Duration(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Returns the name of the type as Go says it.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Null => "nil".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Integer(_) => "int".to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Text(_) => "string".to_owned(),
            Self::Html(_) => "template.HTML".to_owned(),
            Self::List(_) => "list".to_owned(),
            Self::Map(map) => match map.missing {
                Missing::Empty => "map[string]string".to_owned(),
                Missing::Null => "map".to_owned(),
                Missing::Error(name) => name.to_owned(),
            },
            Self::Time(_) => "time.Time".to_owned(),
            Self::Duration(_) => "time.Duration".to_owned(),
            Self::Object(object) => object.plain().type_name(),
        }
    }

    /// Tells whether an `if` takes its first branch.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Integer(number) | Self::Duration(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => matches!(map.missing, Missing::Error(_)) || !map.entries.is_empty(),
            Self::Time(_) => true,
            Self::Object(object) => object.plain().is_true(),
        }
    }

    /// Returns the value without methods.
    #[must_use]
    pub fn plain(&self) -> Self {
        match self {
            Self::Object(object) => object.plain(),
            other => other.clone(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// Prints as `{{ . }}` does.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("<no value>"),
            other => crate::printf::print(formatter, other, false),
        }
    }
}
