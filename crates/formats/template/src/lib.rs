//! Go's text templates, as rule files and alert receivers write them.
//!
//! Owns: the parser and the evaluation of templates over plain values, and the functions that all of them have.
//! Never: does IO, reads a clock, loops without a bound.
//! Source: Go's text/template documentation; Prometheus documentation, "Template reference"; Alertmanager
//! documentation, "Notification template reference".

mod builtin;
mod error;
mod eval;
mod functions;
mod lex;
mod parse;
mod printf;
mod template;
mod times;
mod value;

pub use error::TemplateError;
pub use functions::{Function, Functions};
pub use printf::printf;
pub use template::{Escape, Library, Limits, Template};
pub use times::{duration_text, format_time, parse_time};
pub use value::{Map, Missing, Object, Value};
