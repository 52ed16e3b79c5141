//! Reading objects so that nothing is passed over: what nobody took becomes a note.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The most notes that are kept.
const NOTES_MAX: usize = 500;

/// What was not understood.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: RefCell<Vec<String>>,
    looks: RefCell<BTreeSet<String>>,
}

impl Notes {
    pub(super) fn add(&self, place: &str, note: impl AsRef<str>) {
        let note = note.as_ref();
        let note = if place.is_empty() { note.to_owned() } else { format!("{place}: {note}") };
        let mut list = self.list.borrow_mut();
        if !list.contains(&note) {
            list.push(note);
        }
    }

    /// Returns all notes; what only changes looks is one of them.
    pub(super) fn finish(self) -> Vec<String> {
        let mut list = self.list.into_inner();
        let more = list.len().saturating_sub(NOTES_MAX);
        if more > 0 {
            list.truncate(NOTES_MAX);
            list.push(format!("and {more} more"));
        }
        let looks: Vec<String> = self.looks.into_inner().into_iter().collect();
        if !looks.is_empty() {
            list.push(format!("only looks, left out: {}", looks.join(", ")));
        }
        list
    }
}

/// An object of which fields are taken.
#[derive(Debug)]
pub(super) struct Fields<'v> {
    map: Option<&'v Map<String, Value>>,
    taken: RefCell<BTreeSet<&'static str>>,
    place: String,
    notes: &'v Notes,
}

impl<'v> Fields<'v> {
    pub(super) fn new(map: &'v Map<String, Value>, place: String, notes: &'v Notes) -> Self {
        Self { map: Some(map), taken: RefCell::default(), place, notes }
    }

    pub(super) fn note(&self, note: impl AsRef<str>) {
        self.notes.add(&self.place, note);
    }

    /// Returns the same object, of which nothing was taken yet.
    pub(super) fn clone_here(&self) -> Self {
        Self { map: self.map, taken: RefCell::default(), place: self.place.clone(), notes: self.notes }
    }

    /// Says where this is, in notes.
    pub(super) fn set_place(&mut self, place: String) {
        self.place = place;
    }

    pub(super) fn get(&self, name: &'static str) -> &'v Value {
        self.taken.borrow_mut().insert(name);
        self.map.and_then(|map| map.get(name)).unwrap_or(&Value::Null)
    }

    /// Returns a text; empty where there is none. Numbers count as texts.
    pub(super) fn text(&self, name: &'static str) -> String {
        match self.get(name) {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }
    }

    pub(super) fn texts(&self, name: &'static str) -> Vec<String> {
        texts(self.get(name))
    }

    pub(super) fn flag(&self, name: &'static str) -> bool {
        self.get(name) == true
    }

    /// Returns a number, also where it is written as a text.
    pub(super) fn number(&self, name: &'static str) -> Option<f64> {
        number(self.get(name))
    }

    pub(super) fn count(&self, name: &'static str) -> Option<u32> {
        self.get(name).as_u64().and_then(|number| u32::try_from(number).ok())
    }

    /// Returns an object in a field; one without fields where there is none.
    pub(super) fn child(&self, name: &'static str) -> Fields<'v> {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}, {name}", self.place) };
        Fields { map: self.get(name).as_object(), taken: RefCell::default(), place, notes: self.notes }
    }

    /// Returns the objects of a list.
    pub(super) fn children(&self, name: &'static str) -> Vec<Fields<'v>> {
        let list = self.get(name).as_array().into_iter().flatten();
        list.filter_map(Value::as_object).map(|map| Fields::new(map, self.place.clone(), self.notes)).collect()
    }

    /// Passes over what says nothing about what is shown.
    pub(super) fn ignore(&self, names: &[&'static str]) {
        self.taken.borrow_mut().extend(names);
    }

    /// Passes over what only changes looks.
    pub(super) fn looks(&self, names: &[&'static str]) {
        for name in names {
            if !is_empty(self.get(name)) {
                self.notes.looks.borrow_mut().insert((*name).to_owned());
            }
        }
    }

    /// Names something that only changes looks.
    pub(super) fn look(&self, name: &str) {
        self.notes.looks.borrow_mut().insert(name.to_owned());
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'v str> {
        self.map.into_iter().flat_map(|map| map.keys().map(String::as_str))
    }

    /// Notes all that nobody took.
    pub(super) fn finish(&self) {
        let taken = self.taken.borrow();
        for (name, value) in self.map.into_iter().flatten() {
            if !taken.contains(name.as_str()) && !is_empty(value) {
                self.note(format!("\"{name}\" is not understood"));
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
        .filter(|number| number.is_finite())
}

/// Returns the texts of a list, or the one text.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(list) => list.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect(),
    }
}
