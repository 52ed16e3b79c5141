//! A strict walk over a tree: fields are asked for by name, and what nobody asked for is a problem.

use std::cell::RefCell;
use std::fmt;

use serde_json::Value;

use crate::tree::{Data, Node, ParseLimits, Position, parse_with};

/// Something wrong in a file: where, at which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The place.
    pub at: Position,
    /// The field: `scrape_configs[0].job_name`; empty at the top.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.at)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// A file that is read, with all that was found wrong so far.
///
/// ```
/// use maru_yaml::{Document, ParseLimits};
///
/// let document = Document::parse("interval: 15s\nintervall: 20s\n", ParseLimits::default());
/// let top = document.top();
/// assert_eq!(top.field("interval").string().as_deref(), Some("15s"));
/// top.finish();
/// assert_eq!(document.problems()[0].to_string(), "line 2, column 1: there is no field \"intervall\"; did you mean \"interval\"?");
/// ```
#[derive(Debug)]
pub struct Document {
    root: Node,
    lines: Vec<String>,
    problems: RefCell<Vec<Problem>>,
}

impl Document {
    /// Reads a text. One that is no YAML gives an empty tree and the problem.
    #[must_use]
    pub fn parse(text: &str, limits: ParseLimits) -> Self {
        let (root, problems) = match parse_with(text, limits) {
            Ok(root) => (root, Vec::new()),
            Err(error) => {
                let message = format!("the text is not YAML: {}", error.message);
                (Node::default(), vec![Problem { at: error.at, path: String::new(), message }])
            }
        };
        Self { root, lines: text.lines().map(str::to_owned).collect(), problems: RefCell::new(problems) }
    }

    /// Takes a value that is not from a file, such as an object of the API: its problems have paths and no places.
    #[must_use]
    pub fn of_value(value: &Value) -> Self {
        Self { root: Node::from_value(value), lines: Vec::new(), problems: RefCell::default() }
    }

    /// Returns the top of the tree.
    #[must_use]
    pub fn top(&self) -> Cursor<'_> {
        Cursor {
            document: self,
            at: self.root.at,
            node: Some(&self.root),
            path: String::new(),
            known: RefCell::default(),
        }
    }

    /// Returns all that was found wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.borrow().clone();
        problems.sort();
        problems.dedup();
        problems
    }
}

/// A value of the tree, or a field that is not there.
#[derive(Debug)]
pub struct Cursor<'d> {
    document: &'d Document,
    node: Option<&'d Node>,
    at: Position,
    path: String,
    /// The fields that were asked for.
    known: RefCell<Vec<&'static str>>,
}

impl<'d> Cursor<'d> {
    /// Returns the place of the value, or of what should hold it.
    #[must_use]
    pub fn at(&self) -> Position {
        self.at
    }

    /// Returns the field's path from the top.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Tells whether something is written here; `null` is nothing.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.data().is_some_and(|data| !matches!(data, Data::Null))
    }

    /// Returns what is written here.
    #[must_use]
    pub fn data(&self) -> Option<&'d Data> {
        self.node.map(|node| &node.data)
    }

    /// Notes that something is wrong here.
    pub fn problem(&self, message: impl Into<String>) {
        let problem = Problem { at: self.at, path: self.path.clone(), message: message.into() };
        self.document.problems.borrow_mut().push(problem);
    }

    fn wrong_type(&self, wanted: &str) {
        let found = self.node.map(Node::found).unwrap_or_default();
        self.problem(format!("{found} is no {wanted}"));
    }

    /// Notes that nothing is written here, unless something is.
    #[must_use]
    pub fn required(self) -> Self {
        if !self.is_present() {
            self.problem("is missing");
        }
        self
    }

    /// Returns a field of an object, there or not. All names that are ever asked for are known to [`Cursor::finish`].
    #[must_use]
    pub fn field(&self, name: &'static str) -> Cursor<'d> {
        self.known.borrow_mut().push(name);
        let found = match self.data() {
            Some(Data::Map(map)) => map.iter().find(|(key, ..)| key == name),
            _ => None,
        };
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let at = found.map_or(self.at, |(_, at, _)| *at);
        Cursor { document: self.document, node: found.map(|(.., node)| node), at, path, known: RefCell::default() }
    }

    /// Notes fields that exist in the field's own documentation and that we lack.
    pub fn unsupported(&self, names: &[&'static str], instead: &str) {
        for name in names {
            let field = self.field(name);
            if field.is_present() {
                field.problem(format!("\"{name}\" is not supported{instead}"));
            }
        }
    }

    /// Takes fields that may be there and mean nothing to the reader.
    pub fn ignore(&self, names: &[&'static str]) {
        self.known.borrow_mut().extend_from_slice(names);
    }

    /// Notes all fields of an object that nobody asked for, and that it is no object.
    pub fn finish(&self) {
        match self.data() {
            None | Some(Data::Null) => {}
            Some(Data::Map(map)) => {
                let known = self.known.borrow();
                for (key, at, _) in map {
                    if known.iter().any(|name| name == key) {
                        continue;
                    }
                    let near = known.iter().map(|name| (distance(key, name), name)).min();
                    let hint =
                        near.filter(|(steps, _)| *steps <= 2).map(|(_, name)| format!("; did you mean \"{name}\"?"));
                    let message = format!("there is no field \"{key}\"{}", hint.unwrap_or_default());
                    self.document.problems.borrow_mut().push(Problem { at: *at, path: self.path.clone(), message });
                }
            }
            Some(_) => self.wrong_type("object"),
        }
    }

    /// Returns the entries of an object whose keys are free, such as labels.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'d str, Cursor<'d>)> {
        match self.data() {
            None | Some(Data::Null) => Vec::new(),
            Some(Data::Map(map)) => map
                .iter()
                .map(|(key, at, node)| {
                    let path = format!("{}.{key}", self.path);
                    let cursor =
                        Cursor { document: self.document, node: Some(node), at: *at, path, known: RefCell::default() };
                    (key.as_str(), cursor)
                })
                .collect(),
            Some(_) => {
                self.wrong_type("object");
                Vec::new()
            }
        }
    }

    /// Returns the items of a list; none when nothing is written.
    #[must_use]
    pub fn list(&self) -> Vec<Cursor<'d>> {
        match self.data() {
            None | Some(Data::Null) => Vec::new(),
            Some(Data::List(list)) => list
                .iter()
                .enumerate()
                .map(|(index, node)| Cursor {
                    document: self.document,
                    node: Some(node),
                    at: node.at,
                    path: format!("{}[{index}]", self.path),
                    known: RefCell::default(),
                })
                .collect(),
            Some(_) => {
                self.wrong_type("list");
                Vec::new()
            }
        }
    }

    /// Returns a text; numbers and booleans as they are written: `1.10` stays `1.10`.
    #[must_use]
    pub fn string(&self) -> Option<String> {
        match self.data()? {
            Data::Null => None,
            Data::Text(text) => Some(text.clone()),
            Data::Scalar(value) => Some(self.written().unwrap_or_else(|| value.to_string())),
            Data::List(_) | Data::Map(_) => {
                self.wrong_type("text");
                None
            }
        }
    }

    /// Returns a scalar's own characters.
    fn written(&self) -> Option<String> {
        let node = self.node?;
        let line = self.document.lines.get(node.at.line.checked_sub(1)?)?;
        let text: String = line.chars().skip(node.at.column.checked_sub(1)?).take(node.length).collect();
        Some(text).filter(|text| !text.is_empty())
    }

    /// Returns a list of texts.
    #[must_use]
    pub fn strings(&self) -> Vec<String> {
        self.list().iter().filter_map(Cursor::string).collect()
    }

    /// Returns a map of texts, such as labels.
    #[must_use]
    pub fn string_map(&self) -> Vec<(String, String)> {
        self.entries().iter().map(|(key, value)| ((*key).to_owned(), value.string().unwrap_or_default())).collect()
    }

    /// Returns a boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.data()? {
            Data::Null => None,
            Data::Scalar(Value::Bool(value)) => Some(*value),
            Data::Text(text) if matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "y" | "true") => Some(true),
            Data::Text(text) if matches!(text.to_ascii_lowercase().as_str(), "no" | "off" | "n" | "false") => {
                Some(false)
            }
            _ => {
                self.wrong_type("boolean; write true or false");
                None
            }
        }
    }

    /// Returns a whole number.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self.data()? {
            Data::Null => None,
            Data::Scalar(value) if value.as_i64().is_some() => value.as_i64(),
            _ => {
                self.wrong_type("whole number");
                None
            }
        }
    }

    /// Returns a whole number that is not negative.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        let number = self.integer()?;
        let count = u64::try_from(number).ok();
        if count.is_none() {
            self.problem(format!("{number} is less than 0"));
        }
        count
    }

    /// Returns a number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.data()? {
            Data::Null => None,
            Data::Scalar(value) if value.as_f64().is_some() => value.as_f64(),
            _ => {
                self.wrong_type("number");
                None
            }
        }
    }

    /// Returns what a text stands for; `read` says why a text is none.
    pub fn read<T, E: fmt::Display>(&self, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.string()?;
        read(&text).map_err(|why| self.problem(format!("\"{text}\": {why}"))).ok()
    }

    /// Returns one of some words.
    #[must_use]
    pub fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(format!("\"{text}\" is none of {}", known.join(", ")));
        }
        found
    }

    /// Returns the value as JSON, where its meaning is not ours.
    #[must_use]
    pub fn json(&self) -> Value {
        self.node.map(Node::to_value).unwrap_or_default()
    }
}

/// Returns how many letters must be changed, added or taken away (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text, ParseLimits::default())
    }

    #[test]
    fn numbers_in_place_of_texts_stay_as_they_are_written() {
        let document = document("labels: {version: 1.10, port: 0x1F, on: true, 이름: 마루}\n");
        let labels = document.top().field("labels").string_map();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(labels, [("version", "1.10"), ("port", "0x1F"), ("on", "true"), ("이름", "마루")]);
        assert!(document.problems().is_empty());
    }

    #[test]
    fn all_problems_are_told_with_their_places() {
        let document = document("a: [1]\nb: x\nc: -1\nd: maybe\ne: other\nextra: 1\n");
        let top = document.top();
        assert_eq!(top.field("a").string(), None);
        assert_eq!(top.field("b").integer(), None);
        assert_eq!(top.field("c").count(), None);
        assert_eq!(top.field("d").boolean(), None);
        assert_eq!(top.field("e").one_of(&[("one", 1), ("two", 2)]), None);
        assert!(!top.field("f").required().is_present());
        top.unsupported(&["extra"], "; write \"a\"");
        top.finish();
        let told: Vec<String> = document.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1, column 1: a: a list is no text",
                "line 1, column 1: f: is missing",
                "line 2, column 1: b: \"x\" is no whole number",
                "line 3, column 1: c: -1 is less than 0",
                "line 4, column 1: d: \"maybe\" is no boolean; write true or false",
                "line 5, column 1: e: \"other\" is none of one, two",
                "line 6, column 1: extra: \"extra\" is not supported; write \"a\"",
            ]
        );
    }

    #[test]
    fn a_text_that_is_no_yaml_is_one_problem() {
        let document = document("a: [\n");
        assert!(!document.top().field("a").is_present());
        document.top().finish();
        assert_eq!(document.problems().len(), 1);
    }

    #[test]
    fn an_object_of_the_api_is_read_the_same_way() {
        let document = Document::of_value(&serde_json::json!({"on": "yes", "n": 1.5, "list": [{"x": 1}]}));
        let top = document.top();
        assert_eq!((top.field("on").boolean(), top.field("n").number()), (Some(true), Some(1.5)));
        assert_eq!(top.field("list").list()[0].field("x").json(), 1);
    }
}
