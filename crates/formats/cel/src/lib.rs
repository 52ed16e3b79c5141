//! The Common Expression Language over JSON: conditions that cannot loop for ever, fill the memory or crash.
//!
//! Owns: the grammar, the evaluation with its limits, and which objects make a condition false.
//! Never: reads a clock; knows what the objects mean.
//! Source: the CEL language definition (cel.dev), without protocol buffers and their messages.

mod evaluate;
mod explain;
mod functions;
mod lex;
mod parse;
mod tree;
mod value;

pub use evaluate::{EvaluateError, Failure, Limits, Variables};
pub use parse::{DEPTH_MAX, EXPRESSION_BYTES_MAX, ParseError};
pub use tree::Expression;
pub use value::{List, Map, Text, Value};

#[cfg(test)]
mod tests;
