//! YAML as a tree whose keys and values know their lines and columns.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A line and a column, both from 1; columns count characters. Zero: not from a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// A value with the position where it is written.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// How many characters of the file it takes; 0 when that is not known.
    pub length: usize,
    /// What it is.
    pub data: Data,
}

/// What a value is.
#[derive(Debug, Clone, Default)]
pub enum Data {
    /// Nothing, `null` or `~`.
    #[default]
    Null,
    /// A boolean or a number.
    Scalar(Value),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their places, in the order of the file.
    Map(Vec<(String, Position, Node)>),
}

impl Node {
    /// Returns what is written here, for messages.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.data {
            Data::Null => "empty".to_owned(),
            Data::Scalar(value) => value.to_string(),
            Data::Text(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "an object".to_owned(),
        }
    }

    /// Moves all lines down: the tree was read from the middle of a file.
    pub fn shift(&mut self, lines: usize) {
        self.at.line += lines;
        match &mut self.data {
            Data::List(list) => list.iter_mut().for_each(|node| node.shift(lines)),
            Data::Map(map) => {
                for (_, at, node) in map {
                    at.line += lines;
                    node.shift(lines);
                }
            }
            Data::Null | Data::Scalar(_) | Data::Text(_) => {}
        }
    }

    /// Returns the tree as a JSON value, without positions.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Scalar(value) => value.clone(),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(list) => list.iter().map(Self::to_value).collect(),
            Data::Map(map) => map.iter().map(|(key, _, node)| (key.clone(), node.to_value())).collect(),
        }
    }

    /// Returns the tree of a JSON value, without positions.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(_) | Value::Number(_) => Data::Scalar(value.clone()),
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(list) => Data::List(list.iter().map(Self::from_value).collect()),
            Value::Object(map) => Data::Map(
                map.iter().map(|(key, value)| (key.clone(), Position::default(), Self::from_value(value))).collect(),
            ),
        };
        Self { data, ..Self::default() }
    }
}

/// Why a text is no YAML.
#[derive(Debug)]
pub struct TreeError {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

/// How much a document may hold: a small file must not become a large tree.
#[derive(Debug, Clone, Copy)]
pub struct ParseLimits {
    /// How deep values may nest.
    pub depth: usize,
    /// How many values there may be.
    pub nodes: usize,
    /// How many anchors and how many aliases there may be.
    pub aliases: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { depth: 32, nodes: 200_000, aliases: 0 }
    }
}

/// Reads one YAML document without anchors.
///
/// # Errors
/// Where the text is no YAML, repeats a key, or holds more than the default limits.
pub fn parse(text: &str) -> Result<Node, TreeError> {
    parse_with(text, ParseLimits::default())
}

/// Reads one YAML document.
///
/// # Errors
/// Where the text is no YAML, repeats a key, or holds more than `limits`.
pub fn parse_with(text: &str, limits: ParseLimits) -> Result<Node, TreeError> {
    let budget = serde_saphyr::budget! {
        max_depth: limits.depth,
        max_nodes: limits.nodes,
        max_aliases: limits.aliases,
        max_anchors: limits.aliases,
        max_documents: 1,
    };
    // Comments mean nothing here; kept, more than a few dozen of them behind a key would be an error.
    let options = serde_saphyr::options! { budget: budget, strict_booleans: true, emit_comments: false };
    match serde_saphyr::from_str_with_options::<Option<Spanned<Tree>>>(text, options) {
        Ok(spanned) => Ok(spanned.map(node).unwrap_or_default()),
        Err(error) => {
            let plain = error.without_snippet();
            let at = plain.location().map_or(Position { line: 1, column: 1 }, |location| position(&location));
            let message = plain.to_string();
            let message = message.lines().next().unwrap_or_default();
            Err(TreeError { at, message: message.chars().take(300).collect() })
        }
    }
}

fn position(location: &serde_saphyr::Location) -> Position {
    let number = |value| usize::try_from(value).unwrap_or_default();
    Position { line: number(location.line()).max(1), column: number(location.column()).max(1) }
}

fn node(spanned: Spanned<Tree>) -> Node {
    let length = usize::try_from(spanned.referenced.span().len()).unwrap_or_default();
    Node { at: position(&spanned.referenced), length, data: spanned.value.0 }
}

/// What serde reads; the position is added by what is around it.
struct Tree(Data);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Data;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, a list or an object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(serde_json::Number::from_f64(value)
            .map_or_else(|| Data::Text(value.to_string()), |number| Data::Scalar(Value::Number(number))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(spanned) = access.next_element::<Spanned<Tree>>()? {
            list.push(node(spanned));
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, Spanned<Tree>>()? {
            map.push((key.value, position(&key.referenced), node(value)));
        }
        Ok(Data::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_may_be_as_many_as_one_likes() {
        let comments = "  # a\n".repeat(5000);
        for text in [
            format!("{comments}a:\n- b\n"),
            format!("a:\n{comments}- b\n"),
            format!("a:\n- b\n{comments}"),
            format!("a:\n- # c\n{comments}  b\n"),
        ] {
            let node = parse(&text);
            assert!(node.as_ref().is_ok_and(|node| node.to_value() == serde_json::json!({"a": ["b"]})), "{node:?}");
        }
    }

    #[test]
    fn keys_and_values_know_where_they_are() {
        let node = parse("a: 1\nb:\n  - 한글: \"x y\"\n    c: 0.5\n").unwrap();
        let Data::Map(map) = node.data else { panic!() };
        assert_eq!((map[1].1, map[1].0.as_str()), (Position { line: 2, column: 1 }, "b"));
        let Data::List(list) = &map[1].2.data else { panic!() };
        let Data::Map(inner) = &list[0].data else { panic!() };
        assert_eq!(inner[0].2.at, Position { line: 3, column: 9 });
        assert_eq!(inner[1].2.at, Position { line: 4, column: 8 });
    }

    #[test]
    fn broken_and_hostile_text_is_refused_with_its_place() {
        assert_eq!(parse("a: 1\nb: [\n").unwrap_err().at.line, 2);
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err().at.line, 2);
        assert!(parse(&"[".repeat(10_000)).is_err());
        assert!(parse("a: &x [1]\nb: *x\n").is_err());
    }
}
