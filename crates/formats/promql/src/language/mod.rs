//! The language: text ⇄ tree, types, functions.

mod ast;
mod check;
mod complete;
mod duration;
mod error;
mod expressions;
mod functions;
mod hints;
mod json;
mod lengths;
mod lexer;
mod number;
mod operators;
mod parser;
mod pretty;
mod print;
mod quote;
mod selectors;
mod token;
mod types;
mod walk;

pub use ast::{
    Aggregation, At, Binary, Call, DurationExpression, DurationValue, Expression, Extension, Grouping, MatrixSelector,
    NumberLiteral, Parentheses, Span, StringLiteral, Subquery, Unary, VectorMatching, VectorSelector,
};
pub use complete::{Candidate, Completion, CompletionKind, complete};
pub use duration::{DurationError, format_duration, parse_duration};
pub use error::{ParseError, ParseErrors};
pub use functions::{FUNCTIONS, Function};
pub use json::to_json;
pub use operators::{Aggregator, BinaryOperator, Cardinality, DurationOperator, UnaryOperator};
pub use parser::{ParseOptions, parse, parse_selector};
pub use pretty::pretty;
pub use print::format_matcher;
pub use quote::{format_number, quote};
pub use types::Type;
