//! The language: text ⇄ tree, types, functions.

mod ast;
mod error;
mod functions;
mod parser;
mod types;
mod walk;

pub use ast::{
    Aggregation, Aggregator, At, Binary, BinaryOperator, Call, Cardinality, DurationExpression, DurationOperator,
    DurationValue, Expression, Extension, Grouping, MatrixSelector, NumberLiteral, Parentheses, Span, StringLiteral,
    Subquery, Unary, UnaryOperator, VectorMatching, VectorSelector,
};
pub use error::{ParseError, ParseErrors};
pub use functions::{FUNCTIONS, Function};
pub use parser::{ParseOptions, parse};
pub use types::Type;
