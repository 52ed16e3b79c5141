//! PromQL: the language and its evaluation over any source of series.
//!
//! Owns: the parser with positions and hints, printing, types, functions, the engine that evaluates in columns.
//! Never: does IO, reads a clock, knows how series are stored (a [`Source`] hands them in).
//! Source: Prometheus 3 documentation, "Querying".

mod engine;
mod language;
mod notation;
mod source;

pub use engine::{
    Annotations, Answer, Cancel, Engine, EngineOptions, EvaluateError, Evaluation, MemorySource, Sample, SampleRow,
    SampleValue, Statistics, Stopwatch, Value, When,
};
pub use language::{
    Aggregation, Aggregator, At, Binary, BinaryOperator, Call, Candidate, Cardinality, Completion, CompletionKind,
    DurationError, DurationExpression, DurationOperator, DurationValue, Expression, Extension, FUNCTIONS, Function,
    Grouping, MatrixSelector, NumberLiteral, Parentheses, ParseError, ParseErrors, ParseOptions, Span, StringLiteral,
    Subquery, Type, Unary, UnaryOperator, VectorMatching, VectorSelector, complete, format_duration, format_matcher,
    format_number, parse, parse_duration, parse_selector, pretty, quote, to_json,
};
pub use notation::{
    NotationError, SeriesValues, WrittenValue, parse_metric, parse_series, parse_value, parse_written_series,
};
pub use source::{Range, Samples, Selection, Series, Source, SourceError};
