//! YAML with places: trees that know their lines, and a strict reader that tells all that is wrong at once.
//!
//! Owns: positions of keys and values; the walk over a configuration that knows its fields.
//! Never: knows what a field means.
//! Source: YAML 1.2; booleans of YAML 1.1 where a field wants one, as Go's programs take them.

mod cursor;
mod tree;

pub use cursor::{Cursor, Document, Problem};
pub use tree::{Data, Node, ParseLimits, Position, TreeError, parse, parse_with};
