//! Conceptual models as text: subsets of Mermaid, read strictly, checked, and drawn as SVG in process.
//!
//! Owns: the languages of flowcharts, sequences, states, classes, entities, use cases and goal trees; what can be wrong with a model;
//! the layout and drawing of diagrams.
//! Never: does IO, includes or runs what a diagram mentions, writes markup that came from a text, guesses unknown syntax.
//! Source: the syntax of Mermaid 11; UML 2.5.1 (use cases, states); KAOS (goals); Sugiyama et al. 1981 (layers).

mod boxes;
mod class;
mod ends;
mod entity;
mod finding;
mod flow;
mod goal;
mod graph;
mod layered;
mod lifelines;
mod metafile;
mod model;
mod read;
mod scan;
mod scene;
mod sequence;
mod state;
mod usecase;
mod width;

pub use finding::RULES;
pub use model::{Kind, Model, Reference, check};
pub use read::read_models;
pub use scan::Problem;
pub use scene::{Drawing, Theme};
