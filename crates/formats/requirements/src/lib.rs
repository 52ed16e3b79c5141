//! Requirements as text: items in YAML or Markdown, their sentences, quality and fingerprints.
//!
//! Owns: reading items, EARS patterns in Korean and English, the lint, the glossary, SARIF; quantities with units, texts in
//! two languages and canonical forms, of items in files and of the kinds alike.
//! Never: does IO, reads a clock, knows evidence, gives a verdict, renders Markdown.
//! Source: EARS (Mavin et al. 2009); SARIF 2.1.0; Unicode 16 (normalisation form C).

mod class;
mod decode;
mod fingerprint;
mod glossary;
mod graph;
mod item;
mod lint;
mod locate;
mod measure;
mod numbers;
mod quantity;
mod read;
mod report;
mod sarif;
mod sentence;
mod text;

pub use class::{Class, Kind, Origin, classify};
pub use decode::{Encoding, FILE_BYTES_MAX, decode};
pub use fingerprint::{Meaning, canonical_json};
pub use glossary::{Glossary, Term};
pub use graph::{Graph, Impact, Suspect, SuspectWhy};
pub use item::{Item, Link, Place, Priority, Source};
pub use lint::{Finding, Found, LintContext, Linter, Look, RULES, Rule, Severity, lint, lint_text};
pub use numbers::{Quantity, find_quantities};
pub use quantity::{Amount, Money, Per, QuantityError, Rate, Ratio, Span};
pub use read::{ItemError, Items, item_from_value, read_folder};
pub use report::{History, Volatility};
pub use sarif::{sarif, sarif_log, sarif_run};
pub use sentence::{Clause, Part, Pattern, Sentence, parse_sentences};
pub use text::{Language, LocalText, canonical_text, language_of};
