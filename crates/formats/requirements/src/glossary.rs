//! The glossary: which words a project has agreed on.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::read::{field, text_of};
use crate::text::{LocalText, canonical_text};
use maru_yaml::{Data, Node, Position};

/// A word with its meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The word; in both languages when it has two forms.
    pub term: LocalText,
    /// What it means.
    pub definition: LocalText,
    /// Other words for the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// The words that a project has agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glossary {
    terms: Vec<Term>,
    words: BTreeSet<String>,
}

impl Glossary {
    /// Returns a glossary of these terms.
    #[must_use]
    pub fn new(terms: Vec<Term>) -> Self {
        let mut words = BTreeSet::new();
        for term in &terms {
            let spoken = term.term.parts().into_iter().map(|(_, word)| word);
            words.extend(spoken.chain(term.aliases.iter().map(String::as_str)).map(normal));
        }
        Self { terms, words }
    }

    /// Returns the terms as they are written.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Tells whether nothing is agreed on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Tells whether a word, or its singular, is a term or another word for one.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        let word = normal(word);
        let singular = word.strip_suffix('s').unwrap_or(&word);
        self.words.contains(&word) || self.words.contains(singular)
    }

    pub(crate) fn extend(&mut self, terms: Vec<Term>) {
        let mut all = std::mem::take(&mut self.terms);
        all.extend(terms);
        *self = Self::new(all);
    }
}

fn normal(word: &str) -> String {
    canonical_text(word).to_lowercase()
}

const FIX: &str = "write terms: [{term: order, definition: what a customer buys at once, aliases: [주문]}]";

/// Reads `{terms: [...]}`, a list of terms, or an object of words and definitions.
pub(crate) fn read(node: &Node, error: &mut dyn FnMut(Position, String)) -> Vec<Term> {
    let spec = field(node, "spec").unwrap_or(node);
    let node = field(spec, "terms").unwrap_or(spec);
    match &node.data {
        Data::Null => Vec::new(),
        Data::List(list) => list.iter().filter_map(|one| read_term(one, error)).collect(),
        Data::Map(map) => map
            .iter()
            .filter(|(key, ..)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
            .map(|(key, _, value)| Term {
                term: LocalText::Plain(key.clone()),
                definition: local(value).unwrap_or_else(|| {
                    error(value.at, format!("the definition of \"{key}\" is {}; write a text", value.found()));
                    LocalText::default()
                }),
                aliases: Vec::new(),
            })
            .collect(),
        Data::Scalar(_) | Data::Text(_) => {
            error(node.at, format!("the glossary is {}; {FIX}", node.found()));
            Vec::new()
        }
    }
}

fn local(node: &Node) -> Option<LocalText> {
    match &node.data {
        Data::Text(text) => Some(LocalText::Plain(text.clone())),
        Data::Map(_) => {
            let part = |name| field(node, name).and_then(text_of).map(str::to_owned);
            Some(LocalText::Local { ko: part("ko"), en: part("en") })
        }
        Data::Null | Data::Scalar(_) | Data::List(_) => None,
    }
}

fn read_term(node: &Node, error: &mut dyn FnMut(Position, String)) -> Option<Term> {
    let Some(term) = field(node, "term").and_then(local).filter(|term| !term.is_empty()) else {
        error(node.at, format!("an entry of the glossary has no term; {FIX}"));
        return None;
    };
    let Some(definition) = field(node, "definition").and_then(local) else {
        error(node.at, format!("\"{}\" has no definition; {FIX}", term.get(crate::Language::Ko)));
        return None;
    };
    let aliases = match field(node, "aliases").map(|aliases| &aliases.data) {
        Some(Data::List(list)) => list.iter().filter_map(text_of).map(str::to_owned).collect(),
        Some(Data::Text(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    Some(Term { term, definition, aliases })
}
