//! Reads a folder's files into items: all or nothing, every error with its place.
//!
//! Long because each field of an item is read with an error that says what is wrong and what to write.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::decode::decode_file;
use crate::glossary::{self, Glossary};
use crate::item::{Gap, Item, Link, Priority, Source, Written};
use crate::measure::{Measure, money};
use crate::text::LocalText;
use maru_yaml::{Data, Node, Position};

/// How many items one reading may give.
pub(crate) const ITEMS_MAX: usize = 100_000;
/// How many errors are told; more are counted.
const ERRORS_MAX: usize = 1_000;
const TEXT_CHARS_MAX: usize = 10_000;

/// What is wrong with an item, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ItemError {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Items {
    /// The items, by file and then as they are written.
    pub items: Vec<Item>,
    /// The terms of `glossary.yaml`.
    pub glossary: Glossary,
}

impl Items {
    /// Returns the item with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }
}

/// Reads files: `.yaml`, `.yml` and `.json` with one or several items, `.md` with front matter, `glossary.yaml`.
///
/// Other files and a `README.md` are passed over. The result does not depend on the order of the files.
///
/// # Errors
/// All errors of all files; then no item counts.
pub fn read_folder<P: AsRef<str>, B: AsRef<[u8]>>(files: &[(P, B)]) -> Result<Items, Vec<ItemError>> {
    let mut files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_ref(), bytes.as_ref())).collect();
    files.sort_unstable();
    let mut folder = Folder::default();
    for (path, bytes) in files {
        folder.read_file(path, bytes);
    }
    folder.finish()
}

/// Reads one item from JSON: a `Requirement`, or its specification's fields with `name`.
///
/// # Errors
/// All errors; their lines are 0.
pub fn item_from_value(value: &Value) -> Result<Item, Vec<ItemError>> {
    let mut folder = Folder::default();
    let document = Document { file: Arc::default(), text: Arc::default(), lines_before: 0, stem: None };
    folder.read_item(&document, &Node::from_value(value));
    let mut items = folder.finish()?;
    items.items.pop().ok_or_else(|| {
        vec![ItemError { file: String::new(), line: 0, column: 0, message: "no item is written; write one".to_owned() }]
    })
}

/// A part of a file with one YAML document, or a Markdown file.
struct Document {
    file: Arc<str>,
    text: Arc<str>,
    lines_before: usize,
    /// The file's name without its end; the name of its only item.
    stem: Option<String>,
}

#[derive(Default)]
struct Folder {
    items: Vec<Item>,
    glossary: Glossary,
    errors: Vec<ItemError>,
    errors_left_out: usize,
    names: BTreeMap<String, (Arc<str>, usize)>,
}

impl Folder {
    fn error(&mut self, document: &Document, at: Position, message: impl Into<String>) {
        if self.errors.len() >= ERRORS_MAX {
            self.errors_left_out += 1;
            return;
        }
        let line = if at.line == 0 { 0 } else { at.line + document.lines_before };
        let file = document.file.to_string();
        self.errors.push(ItemError { file, line, column: at.column, message: message.into() });
    }

    fn finish(mut self) -> Result<Items, Vec<ItemError>> {
        if self.errors.is_empty() {
            return Ok(Items { items: self.items, glossary: self.glossary });
        }
        self.errors.sort();
        if self.errors_left_out > 0 {
            let message = format!("{} more errors are not shown; mend these first", self.errors_left_out);
            let (file, line) = self.errors.last().map(|last| (last.file.clone(), last.line)).unwrap_or_default();
            self.errors.push(ItemError { file, line, column: 1, message });
        }
        Err(self.errors)
    }

    fn read_file(&mut self, path: &str, bytes: &[u8]) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((stem, end)) = name.rsplit_once('.') else { return };
        let is_markdown = matches!(end, "md" | "markdown");
        if name.starts_with('.') || !(is_markdown || matches!(end, "yaml" | "yml" | "json")) {
            return;
        }
        let whole = |text: &str| Document {
            file: path.into(),
            text: text.into(),
            lines_before: 0,
            stem: Some(canonical_name(stem)),
        };
        let text = match decode_file(bytes) {
            Ok((text, _)) => text,
            Err(error) => return self.error(&whole(""), Position { line: error.line, column: 1 }, error.message),
        };
        if is_markdown {
            if text.starts_with("---\n") || !stem.eq_ignore_ascii_case("readme") {
                self.read_markdown(&whole(&text));
            }
            return;
        }
        let documents = split_documents(&text);
        let alone = documents.len() == 1;
        for (lines_before, text) in documents {
            let stem = alone.then(|| canonical_name(stem));
            let document = Document { file: path.into(), text: text.into(), lines_before, stem };
            match maru_yaml::parse(&document.text) {
                Err(error) => self.error(&document, error.at, not_yaml(&error.message)),
                Ok(node) => self.read_document(&document, &node, stem_is_glossary(path)),
            }
        }
    }

    fn read_document(&mut self, document: &Document, node: &Node, is_glossary: bool) {
        let kind = field(node, "kind").and_then(text_of).unwrap_or_default();
        match &node.data {
            Data::Null => {}
            _ if is_glossary || kind == "Glossary" => {
                let mut errors = Vec::new();
                self.glossary.extend(glossary::read(node, &mut |at, message| errors.push((at, message))));
                for (at, message) in errors {
                    self.error(document, at, message);
                }
            }
            Data::List(list) => {
                let document =
                    Document { stem: None, text: document.text.clone(), file: document.file.clone(), ..*document };
                for node in list {
                    self.read_item(&document, node);
                }
            }
            Data::Map(_) if kind.ends_with("List") => {
                let document =
                    Document { stem: None, text: document.text.clone(), file: document.file.clone(), ..*document };
                match field(node, "items").map(|items| &items.data) {
                    Some(Data::List(list)) => list.iter().for_each(|node| self.read_item(&document, node)),
                    _ => self.error(&document, node.at, format!("{kind} has no items; write items: […]")),
                }
            }
            Data::Map(_) | Data::Scalar(_) | Data::Text(_) => self.read_item(document, node),
        }
    }

    fn read_markdown(&mut self, document: &Document) {
        let start = Position { line: 1, column: 1 };
        let lines: Vec<&str> = document.text.lines().collect();
        if lines.first() != Some(&"---") {
            return self.error(
                document,
                start,
                "the file has no front matter; begin it with a line \"---\", the item's fields and another line \"---\"",
            );
        }
        let Some(end) = lines.iter().skip(1).position(|line| matches!(*line, "---" | "...")).map(|index| index + 1)
        else {
            return self.error(
                document,
                start,
                "the front matter does not end; write a line \"---\" after its last field",
            );
        };
        let front: String = lines.get(1..end).unwrap_or_default().iter().map(|line| format!("{line}\n")).collect();
        let mut node = match maru_yaml::parse(&front) {
            Ok(node) => node,
            Err(error) => {
                let at = Position { line: error.at.line + 1, column: error.at.column };
                return self.error(document, at, not_yaml(&error.message));
            }
        };
        node.shift(1);
        if matches!(node.data, Data::Null) {
            node = Node { at: start, length: 0, data: Data::Map(Vec::new()) };
        }
        let body = read_body(&lines, end + 1);
        if let Data::Map(fields) = &mut node.data {
            for (name, value) in [("title", body.title), ("statement", body.statement)] {
                let place = fields.iter().position(|(key, ..)| key == "spec");
                let inner = match place.and_then(|index| fields.get_mut(index)) {
                    Some((_, _, Node { data: Data::Map(inner), .. })) => inner,
                    _ => &mut *fields,
                };
                if let Some(value) = value.filter(|_| !inner.iter().any(|(key, ..)| key == name)) {
                    inner.push((name.to_owned(), value.at, value));
                }
            }
        }
        self.read_item(document, &node);
    }

    fn read_item(&mut self, document: &Document, node: &Node) {
        if self.items.len() >= ITEMS_MAX {
            return self.error(document, node.at, format!("there are more than {ITEMS_MAX} items; split the project"));
        }
        let mut reader = ItemReader { errors: Vec::new(), item: Item::default(), places: BTreeMap::new() };
        reader.read(node, document.stem.as_deref());
        let ItemReader { errors, mut item, places } = reader;
        let failed = !errors.is_empty();
        for (at, message) in errors {
            self.error(document, at, message);
        }
        let at = places.get("name").copied().unwrap_or(node.at);
        let line = at.line + document.lines_before;
        if let Some((file, first)) = self.names.get(&item.name) {
            let message = format!("the name \"{}\" is taken by the item in {file}:{first}; write another", item.name);
            self.error(document, at, message);
        } else if !item.name.is_empty() {
            self.names.insert(item.name.clone(), (document.file.clone(), line));
        }
        if !failed {
            item.place = Written {
                file: document.file.clone(),
                text: document.text.clone(),
                lines_before: document.lines_before,
                fields: places,
            };
            self.items.push(item);
        }
    }
}

fn not_yaml(message: &str) -> String {
    format!("the text is not YAML: {message}; put texts with \": \" or \" #\" in quotes, and check the indentation")
}

fn stem_is_glossary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "glossary.yaml" | "glossary.yml" | "glossary.json" | "용어집.yaml" | "용어집.yml")
}

fn canonical_name(stem: &str) -> String {
    crate::text::canonical_text(stem).to_lowercase()
}

/// Splits YAML at its document markers, which stand at the start of a line and nowhere inside a document (YAML 1.2 §9.1).
fn split_documents(text: &str) -> Vec<(usize, String)> {
    let mut documents: Vec<(usize, String)> = vec![(0, String::new())];
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let plain = line.trim_end();
        if plain == "---" || plain.starts_with("--- ") || plain.starts_with("---\t") {
            documents.push((index, String::new()));
        }
        if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
        }
        if plain == "..." {
            documents.push((index + 1, String::new()));
        }
    }
    let is_full = |line: &str| !(line.is_empty() || line.starts_with(['#', '%']) || matches!(line, "---" | "..."));
    documents.retain(|(_, text)| text.lines().any(|line| is_full(line.trim())));
    documents
}

struct Body {
    title: Option<Node>,
    statement: Option<Node>,
}

/// Takes the first heading and the first paragraph of a Markdown body, or of its sections "한국어" and "English".
fn read_body(lines: &[&str], from: usize) -> Body {
    let mut title = None;
    let mut section = "";
    let mut paragraphs: BTreeMap<&str, (Position, String)> = BTreeMap::new();
    let mut open = false;
    for (index, line) in lines.iter().enumerate().skip(from) {
        let trimmed = line.trim();
        let at =
            Position { line: index + 1, column: 1 + line.chars().take_while(|letter| letter.is_whitespace()).count() };
        if let Some(heading) = trimmed.strip_prefix('#') {
            let heading_text = heading.trim_matches(['#', ' ']);
            open = false;
            section = match heading_text.to_lowercase().as_str() {
                "ko" | "korean" | "한국어" | "국문" => "ko",
                "en" | "english" | "영어" | "영문" => "en",
                _ if title.is_none() && paragraphs.is_empty() => {
                    title = Some(Node { at, length: 0, data: Data::Text(heading_text.to_owned()) });
                    ""
                }
                _ => "other",
            };
        } else if trimmed.is_empty() || trimmed.starts_with("<!--") {
            open = false;
        } else if open {
            if let Some((_, text)) = paragraphs.get_mut(section) {
                text.push(' ');
                text.push_str(trimmed);
            }
        } else if section != "other" && !paragraphs.contains_key(section) {
            paragraphs.insert(section, (at, trimmed.to_owned()));
            open = true;
        }
    }
    let node = |(at, text): (Position, String)| Node { at, length: 0, data: Data::Text(text) };
    let mut local: Vec<(String, Position, Node)> = Vec::new();
    for language in ["ko", "en"] {
        if let Some(part) = paragraphs.remove(language) {
            local.push((language.to_owned(), part.0, node(part)));
        }
    }
    let statement = match local.first() {
        Some((_, at, _)) => Some(Node { at: *at, length: 0, data: Data::Map(local) }),
        None => paragraphs.remove("").map(node),
    };
    Body { title, statement }
}

pub(crate) fn field<'node>(node: &'node Node, name: &str) -> Option<&'node Node> {
    match &node.data {
        Data::Map(fields) => fields.iter().find(|(key, ..)| key == name).map(|(_, _, value)| value),
        _ => None,
    }
}

pub(crate) fn text_of(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}

const FIELDS: [&str; 9] =
    ["title", "statement", "priority", "stakeholders", "source", "derivedFrom", "allocatedTo", "criterion", "verify"];
const MEANS: [&str; 11] =
    ["slo", "test", "approval", "scan", "load", "drill", "install", "survey", "experiment", "bom", "provenance"];

/// What an indicator's fields are: name, measure, whether it is needed, and how it is written.
type CriterionFields = &'static [(&'static str, Measure, bool, &'static str)];

const LATENCY: CriterionFields = &[
    ("quantile", Measure::Ratio, true, "quantile: 0.999"),
    ("atMost", Measure::Span, true, "atMost: 100ms"),
    ("window", Measure::Span, false, "window: 1d"),
    ("atLoad", Measure::Rate, false, "atLoad: 50/s"),
];
const ERRORS: CriterionFields = &[
    ("atMost", Measure::Ratio, true, "atMost: 0.1%"),
    ("window", Measure::Span, false, "window: 1d"),
    ("atLoad", Measure::Rate, false, "atLoad: 50/s"),
];
const AVAILABILITY: CriterionFields =
    &[("atLeast", Measure::Ratio, true, "atLeast: 99.9%"), ("window", Measure::Span, false, "window: 30d")];
const THROUGHPUT: CriterionFields =
    &[("atLeast", Measure::Rate, true, "atLeast: 50/s"), ("window", Measure::Span, false, "window: 5m")];
const CAPACITY: CriterionFields = &[("atLeast", Measure::Amount, true, "atLeast: 500 GB")];
const COST: CriterionFields = &[("atMost", Measure::Money, true, "atMost: 90000 KRW/month")];
const RECOVERY: CriterionFields = &[("atMost", Measure::Span, true, "atMost: 30m")];

const INDICATORS: [(&str, CriterionFields); 12] = [
    ("latency", LATENCY),
    ("availability", AVAILABILITY),
    ("errorRatio", ERRORS),
    ("throughput", THROUGHPUT),
    ("capacity", CAPACITY),
    ("cost", COST),
    ("recoveryPoint", RECOVERY),
    ("recoveryTime", RECOVERY),
    ("licence", &[]),
    ("control", &[]),
    ("behaviour", &[]),
    ("acceptance", &[]),
];

struct ItemReader {
    errors: Vec<(Position, String)>,
    item: Item,
    places: BTreeMap<String, Position>,
}

impl ItemReader {
    fn error(&mut self, at: Position, message: impl Into<String>) {
        self.errors.push((at, message.into()));
    }

    fn read(&mut self, node: &Node, stem: Option<&str>) {
        self.places.insert(String::new(), node.at);
        let Data::Map(fields) = &node.data else {
            return self.error(node.at, format!("an item is an object with a statement, here is {}", node.found()));
        };
        let spec = field(node, "spec");
        let mut name = None;
        for (key, at, value) in fields {
            match key.as_str() {
                "apiVersion" => {
                    if text_of(value) != Some("maru.dev/v1alpha1") {
                        self.error(value.at, format!("apiVersion is {}; write maru.dev/v1alpha1", value.found()));
                    }
                }
                "kind" => {
                    if text_of(value) != Some("Requirement") {
                        self.error(
                            value.at,
                            format!("kind is {}; only Requirement may stand here, move it elsewhere", value.found()),
                        );
                    }
                }
                "metadata" => name = field(value, "name").or(name),
                "name" => name = Some(value),
                "spec" => {}
                "status" if spec.is_some() && node.at.line == 0 => {}
                "status" | "verdict" => {
                    self.error(*at, format!("{key} is computed from evidence and never written by hand; remove it"));
                }
                _ if spec.is_none() => self.read_field(key, *at, value),
                _ => self.error(*at, format!("\"{key}\" stands beside spec; move it into spec")),
            }
        }
        match spec.map(|spec| (&spec.data, spec)) {
            None => {}
            Some((Data::Map(inner), _)) => inner.iter().for_each(|(key, at, value)| self.read_field(key, *at, value)),
            Some((_, spec)) => self.error(spec.at, format!("spec is {}; write the item's fields in it", spec.found())),
        }
        self.read_name(node, name, stem);
        if !self.places.contains_key("statement") {
            self.error(
                node.at,
                "the statement is missing; write statement: The … shall …, or statement: …는 …해야 한다",
            );
        }
    }

    fn read_name(&mut self, node: &Node, name: Option<&Node>, stem: Option<&str>) {
        let (at, text) = match name.map(|name| (name.at, text_of(name), name)) {
            Some((at, Some(text), _)) => (at, text.to_owned()),
            Some((at, None, name)) => {
                return self.error(at, format!("name is {}; put it in quotes", name.found()));
            }
            None => match stem {
                Some(stem) => (node.at, stem.to_owned()),
                None => return self.error(node.at, "the name is missing; write name: req-001"),
            },
        };
        self.places.insert("name".to_owned(), at);
        let edge =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        let inside =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '.';
        let good =
            text.len() <= 253 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inside);
        if !good {
            let short: String = text.chars().take(60).collect();
            let message = format!(
                "\"{short}\" is no name; write small Latin letters, digits, \"-\" and \".\", like name: nfr-007"
            );
            self.error(at, message);
        }
        self.item.name = text;
    }

    fn read_field(&mut self, key: &str, at: Position, value: &Node) {
        self.places.insert(key.to_owned(), if value.at.line == 0 { at } else { value.at });
        match key {
            "title" => self.item.title = self.local_text("title", value).unwrap_or_default(),
            "statement" => {
                if let Some(text) = self.local_text("statement", value) {
                    if text.is_empty() {
                        self.error(value.at, "the statement is empty; write what the system shall do");
                    }
                    self.item.statement = text;
                }
            }
            "priority" => match text_of(value) {
                Some("must") => self.item.priority = Priority::Must,
                Some("should") => self.item.priority = Priority::Should,
                Some("could") => self.item.priority = Priority::Could,
                Some("wont") => self.item.priority = Priority::Wont,
                _ => self.error(value.at, format!("priority is {}; write must, should, could or wont", value.found())),
            },
            "stakeholders" => self.item.stakeholders = self.names("stakeholders", value),
            "allocatedTo" => self.item.allocated_to = self.names("allocatedTo", value),
            "source" => self.read_source(value),
            "derivedFrom" => self.read_links(value),
            "criterion" => self.read_criterion(value),
            "verify" => self.read_checks(value),
            _ => {
                let hint = suggest(key);
                self.error(at, format!("\"{key}\" is no field of an item; {hint}"));
            }
        }
    }

    fn text(&mut self, name: &str, node: &Node) -> Option<String> {
        match &node.data {
            Data::Text(text) if text.chars().count() > TEXT_CHARS_MAX => {
                self.error(node.at, format!("{name} has more than {TEXT_CHARS_MAX} characters; shorten it"));
                None
            }
            Data::Text(text) => Some(text.clone()),
            Data::Scalar(_) => {
                self.error(node.at, format!("{name} is {}; put it in quotes, else YAML reads no text", node.found()));
                None
            }
            Data::Null | Data::List(_) | Data::Map(_) => {
                self.error(node.at, format!("{name} is {}; write a text", node.found()));
                None
            }
        }
    }

    fn local_text(&mut self, name: &str, node: &Node) -> Option<LocalText> {
        let Data::Map(parts) = &node.data else {
            return self.text(name, node).map(|text| LocalText::Plain(text.trim_end().to_owned()));
        };
        let (mut ko, mut en) = (None, None);
        for (key, at, value) in parts {
            let part = format!("{name}.{key}");
            self.places.insert(part.clone(), value.at);
            match key.as_str() {
                "ko" => ko = self.text(&part, value).map(|text| text.trim_end().to_owned()),
                "en" => en = self.text(&part, value).map(|text| text.trim_end().to_owned()),
                _ => self.error(*at, format!("\"{key}\" is no language of ours; write ko or en")),
            }
        }
        Some(LocalText::Local { ko, en })
    }

    fn names(&mut self, name: &str, node: &Node) -> Vec<String> {
        match &node.data {
            Data::Text(text) => vec![text.clone()],
            Data::List(list) => list.iter().filter_map(|one| self.text(name, one)).collect(),
            Data::Null | Data::Scalar(_) | Data::Map(_) => {
                self.error(
                    node.at,
                    format!("{name} is {}; write a list of names, like {name}: [orders]", node.found()),
                );
                Vec::new()
            }
        }
    }

    fn read_source(&mut self, node: &Node) {
        const FIX: &str = "write source: {document: RFP-2026-11, clause: \"3.2\"}";
        match &node.data {
            Data::Text(text) => self.item.source = Some(Source { document: text.clone(), clause: None }),
            Data::Map(fields) => {
                let mut source = Source::default();
                for (key, at, value) in fields {
                    match key.as_str() {
                        "document" => source.document = self.text("source.document", value).unwrap_or_default(),
                        "clause" => source.clause = self.text("source.clause", value),
                        _ => self.error(*at, format!("\"{key}\" is no field of a source; {FIX}")),
                    }
                }
                if !fields.iter().any(|(key, ..)| key == "document") {
                    self.error(node.at, format!("the source has no document; {FIX}"));
                }
                self.item.source = Some(source);
            }
            Data::Null | Data::Scalar(_) | Data::List(_) => {
                self.error(node.at, format!("source is {}; {FIX}", node.found()));
            }
        }
    }

    fn read_links(&mut self, node: &Node) {
        const FIX: &str = "write derivedFrom: [{name: goal-002}]";
        let list = match &node.data {
            Data::List(list) => list.as_slice(),
            Data::Text(_) => std::slice::from_ref(node),
            Data::Null | Data::Scalar(_) | Data::Map(_) => {
                return self.error(node.at, format!("derivedFrom is {}; {FIX}", node.found()));
            }
        };
        for (index, one) in list.iter().enumerate() {
            self.places.insert(format!("derivedFrom[{index}]"), one.at);
            match &one.data {
                Data::Text(name) => self.item.derived_from.push(Link { name: name.clone(), fingerprint: None }),
                Data::Map(fields) => {
                    let mut link = Link::default();
                    for (key, at, value) in fields {
                        match key.as_str() {
                            "name" => link.name = self.text("derivedFrom.name", value).unwrap_or_default(),
                            "fingerprint" => link.fingerprint = self.fingerprint(value),
                            _ => self.error(*at, format!("\"{key}\" is no field of a link; {FIX}")),
                        }
                    }
                    if link.name.is_empty() {
                        self.error(one.at, format!("the link has no name; {FIX}"));
                    }
                    self.item.derived_from.push(link);
                }
                Data::Null | Data::Scalar(_) | Data::List(_) => {
                    self.error(one.at, format!("a link is {}; {FIX}", one.found()));
                }
            }
        }
    }

    fn fingerprint(&mut self, node: &Node) -> Option<String> {
        let text = self.text("fingerprint", node)?;
        let hex = |letter: u8| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
        let good = text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex));
        if !good {
            self.error(
                node.at,
                format!(
                    "{} is no fingerprint; write \"sha256:\" and 64 hexadecimal digits, or leave it out",
                    node.found()
                ),
            );
        }
        good.then_some(text)
    }

    fn read_criterion(&mut self, node: &Node) {
        let Data::Map(fields) = &node.data else {
            return self.error(node.at, format!("criterion is {}; write criterion: {{indicator: …}}", node.found()));
        };
        let names = INDICATORS.map(|(name, _)| name).join(", ");
        let indicator = field(node, "indicator");
        let known = indicator.and_then(text_of).and_then(|text| INDICATORS.iter().find(|(name, _)| *name == text));
        let Some((indicator, measures)) = known else {
            return match indicator {
                None => self.error(node.at, format!("criterion.indicator is missing; write one of {names}")),
                Some(found) => {
                    self.error(
                        found.at,
                        format!("criterion.indicator {} is not known; write one of {names}", found.found()),
                    );
                }
            };
        };
        let mut criterion = Map::new();
        criterion.insert("indicator".to_owned(), json!(indicator));
        for (key, at, value) in fields {
            self.places.insert(format!("criterion.{key}"), value.at);
            let measure = measures.iter().find(|(name, ..)| name == key);
            match (key.as_str(), measure) {
                ("indicator", _) => {}
                ("of", _) if *indicator != "acceptance" => {
                    let of = self.target(value);
                    if !of.is_empty() {
                        criterion.insert(key.clone(), Value::Object(of));
                    }
                }
                ("per", _) if *indicator == "cost" => {}
                ("in", _) if *indicator == "licence" => {
                    let mut licences = self.names("criterion.in", value);
                    licences.sort();
                    licences.dedup();
                    criterion.insert(key.clone(), json!(licences));
                }
                ("id", _) if *indicator == "control" => {
                    criterion.insert(key.clone(), json!(self.text("criterion.id", value)));
                }
                ("by", _) if *indicator == "acceptance" => {
                    criterion.insert(key.clone(), json!(self.text("criterion.by", value)));
                }
                (_, Some((name, measure, _, example))) => {
                    let per = field(node, "per").and_then(text_of);
                    if let Some(quantity) = self.quantity(value, name, *measure, per, example) {
                        criterion.insert(key.clone(), quantity);
                    }
                }
                _ => self.error(*at, format!("criterion.{key} means nothing for {indicator}; remove it")),
            }
        }
        for (name, _, _, example) in
            measures.iter().filter(|(name, _, needed, _)| *needed && field(node, name).is_none())
        {
            self.item.gaps.push(Gap { field: name, unit: false, fix: (*example).to_owned() });
        }
        for (one, name, example) in [("licence", "in", "in: [MIT, Apache-2.0]"), ("control", "id", "id: image-signed")]
        {
            if *indicator == one && field(node, name).is_none() {
                self.item.gaps.push(Gap { field: name, unit: false, fix: example.to_owned() });
            }
        }
        self.item.criterion = Some(criterion);
    }

    fn quantity(
        &mut self,
        node: &Node,
        name: &'static str,
        measure: Measure,
        per: Option<&str>,
        example: &str,
    ) -> Option<Value> {
        let text = match &node.data {
            Data::Text(text) => text.clone(),
            Data::Scalar(Value::Number(number)) => plain_number(number),
            Data::Null | Data::Scalar(_) | Data::List(_) | Data::Map(_) => {
                self.error(node.at, format!("criterion.{name} is {}; write {example}", node.found()));
                return None;
            }
        };
        let read = match (measure, measure.canonical(&text)) {
            (Measure::Money, Ok(_)) => match money(&text, per) {
                Ok(money) => {
                    if money.per().is_none() {
                        self.item.gaps.push(Gap { field: "atMost", unit: true, fix: example.to_owned() });
                    }
                    Ok(Value::String(money.to_string()))
                }
                Err(why) => Err(why),
            },
            (_, Ok(value)) => Ok(value),
            (_, Err(wrong)) if wrong.is_without_unit() => {
                self.item.gaps.push(Gap { field: name, unit: true, fix: example.to_owned() });
                Ok(Value::String(text))
            }
            (_, Err(wrong)) => Err(format!("{}; {}", wrong.why, wrong.fix)),
        };
        match read {
            Ok(value) => Some(value),
            Err(why) => {
                self.error(node.at, format!("criterion.{name} {}: {why}", node.found()));
                None
            }
        }
    }

    fn target(&mut self, node: &Node) -> Map<String, Value> {
        const FIX: &str = "write of: {service: orders, route: \"POST /orders\"}";
        let mut target = Map::new();
        let Data::Map(fields) = &node.data else {
            self.error(node.at, format!("criterion.of is {}; {FIX}", node.found()));
            return target;
        };
        for (key, at, value) in fields {
            if !matches!(key.as_str(), "service" | "route" | "component") {
                self.error(*at, format!("\"{key}\" is nothing that can be measured; {FIX}"));
            } else if let Some(text) = self.text(&format!("criterion.of.{key}"), value) {
                target.insert(key.clone(), json!(text));
            }
        }
        target
    }

    fn read_checks(&mut self, node: &Node) {
        const FIX: &str = "write verify: [{slo: orders-latency, in: prod}]";
        let list = match &node.data {
            Data::List(list) => list.as_slice(),
            Data::Map(_) => std::slice::from_ref(node),
            Data::Null | Data::Scalar(_) | Data::Text(_) => {
                return self.error(node.at, format!("verify is {}; {FIX}", node.found()));
            }
        };
        for (index, one) in list.iter().enumerate() {
            self.places.insert(format!("verify[{index}]"), one.at);
            let Data::Map(fields) = &one.data else {
                self.error(one.at, format!("a check is {}; {FIX}", one.found()));
                continue;
            };
            let mut check = Map::new();
            let mut means: Vec<&str> = Vec::new();
            for (key, at, value) in fields {
                if let Some(known) = MEANS.iter().find(|name| *name == key) {
                    means.push(known);
                }
                if let Some(value) = self.check_field(key, *at, value) {
                    check.insert(key.clone(), value);
                }
            }
            match means.as_slice() {
                [_] => {}
                [] => self.error(one.at, format!("the check has no measurement; write one of {}", MEANS.join(", "))),
                [first, second, ..] => {
                    self.error(one.at, format!("the check has \"{first}\" and \"{second}\"; make two entries of it"));
                }
            }
            self.item.verify.push(Value::Object(check));
        }
    }

    fn check_field(&mut self, key: &str, at: Position, value: &Node) -> Option<Value> {
        let what = format!("verify.{key}");
        match key {
            "test" => self.parts(&what, value, &["suite", "case"], "{suite: orders, case: \"contract/*\"}"),
            "approval" => self.parts(&what, value, &["role"], "{role: customer}"),
            "confidence" | "validFor" => {
                let measure = if key == "confidence" { Measure::Ratio } else { Measure::Span };
                let text = match &value.data {
                    Data::Scalar(Value::Number(number)) => plain_number(number),
                    _ => self.text(&what, value)?,
                };
                measure
                    .canonical(&text)
                    .map_err(|wrong| {
                        self.error(value.at, format!("{what} {}: {}; {}", value.found(), wrong.why, wrong.fix))
                    })
                    .ok()
            }
            "in" => self.text(&what, value).map(Value::String),
            _ if MEANS.contains(&key) => {
                let text = self.text(&what, value)?;
                if text.trim().is_empty() {
                    self.error(value.at, format!("{what} has no name; write it"));
                }
                Some(Value::String(text))
            }
            _ => {
                self.error(
                    at,
                    format!(
                        "\"{key}\" is no field of a check; write one of {}, in, confidence, validFor",
                        MEANS.join(", ")
                    ),
                );
                None
            }
        }
    }

    /// Reads an object of texts; the first of the names is needed.
    fn parts(&mut self, what: &str, node: &Node, names: &[&str], example: &str) -> Option<Value> {
        let Data::Map(fields) = &node.data else {
            self.error(node.at, format!("{what} is {}; write {example}", node.found()));
            return None;
        };
        let mut parts = Map::new();
        for (key, at, value) in fields {
            if !names.contains(&key.as_str()) {
                self.error(*at, format!("\"{key}\" is no field of {what}; write {example}"));
            } else if let Some(text) = self.text(&format!("{what}.{key}"), value) {
                parts.insert(key.clone(), json!(text));
            }
        }
        let first = names.first().and_then(|name| parts.get(*name)).and_then(Value::as_str).unwrap_or_default();
        if first.trim().is_empty() {
            self.error(node.at, format!("{what} has no {}; write {example}", names.first().unwrap_or(&"name")));
        }
        Some(Value::Object(parts))
    }
}

/// Writes a number without an exponent, as people write it.
fn plain_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

fn suggest(key: &str) -> String {
    let known = match key.to_lowercase().as_str() {
        "id" | "uid" => Some("name"),
        "text" | "description" | "shall" | "sentence" | "requirement" => Some("statement"),
        "parent" | "parents" | "links" | "derived_from" | "derivedfrom" | "derives" => Some("derivedFrom"),
        "components" | "component" | "allocated" | "allocatedto" | "allocated_to" => Some("allocatedTo"),
        "verification" | "checks" | "tests" => Some("verify"),
        "criteria" => Some("criterion"),
        "stakeholder" => Some("stakeholders"),
        lower => FIELDS.into_iter().find(|name| {
            let name = name.to_lowercase();
            name.starts_with(lower) || lower.starts_with(&name) || differs_little(&name, lower)
        }),
    };
    known.map_or_else(
        || format!("remove it, or write one of name, {}", FIELDS.join(", ")),
        |name| format!("did you mean \"{name}\"?"),
    )
}

/// Tells whether two words of one length differ in at most two letters.
fn differs_little(left: &str, right: &str) -> bool {
    left.len().abs_diff(right.len()) <= 1
        && left.chars().count() > 4
        && left.chars().filter(|letter| !right.contains(*letter)).count() <= 1
        && right.chars().filter(|letter| !left.contains(*letter)).count() <= 1
}
