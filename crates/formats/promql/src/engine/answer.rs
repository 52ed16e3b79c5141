//! What a query answers.

use std::sync::Arc;

use maru_prom::{Histogram, Labels};

use super::annotations::Annotations;

/// One value: a float or a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// One series of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: Labels,
    /// The query's moment in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its value.
    pub value: SampleValue,
}

/// One series of a matrix. Floats and histograms are kept apart; no timestamp is in both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SampleRow {
    /// The series.
    pub labels: Labels,
    /// Moments in milliseconds since 1970 and floats, rising.
    pub floats: Vec<(i64, f64)>,
    /// Moments and histograms, rising.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// A query's result.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number without a series, of instant queries only: ranges answer a matrix.
    Scalar {
        /// The query's moment.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    Text {
        /// The query's moment.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// One value per series, in the order that the query makes (`sort`, `topk`) or else of the labels.
    Vector(Vec<Sample>),
    /// Series in the order of their labels.
    Matrix(Vec<SampleRow>),
}

/// How much work a query was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Samples that were looked at, counted once for each step that they served; a histogram counts as its size in floats.
    pub samples: u64,
    /// The same for each step; empty unless asked for.
    pub samples_per_step: Vec<(i64, u64)>,
    /// The most samples that were in memory at one time.
    pub samples_peak: u64,
    /// Samples that were read from the source.
    pub samples_read: u64,
    /// Series that selectors found.
    pub series: u64,
    /// Time for finding series; zero without a stopwatch.
    pub prepare: std::time::Duration,
    /// Time for reading and evaluating; zero without a stopwatch.
    pub evaluate: std::time::Duration,
    /// Time for sorting and handing over the result; zero without a stopwatch.
    pub sort: std::time::Duration,
}

/// A result with what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// How much work it was.
    pub statistics: Statistics,
}

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The query itself cannot be evaluated, whatever the data: Prometheus' `bad_data`.
    #[error("{0}")]
    BadData(String),
    /// The data does not fit the query, or a limit was met: Prometheus' `execution`.
    #[error("{0}")]
    Execution(String),
    /// It took longer than it may: Prometheus' `timeout`.
    #[error(
        "query timed out in expression evaluation after {0:?}; narrow the time range or the selectors, or raise the timeout"
    )]
    Timeout(std::time::Duration),
    /// Somebody cancelled it: Prometheus' `canceled`.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
    /// The source failed: Prometheus' `internal`.
    #[error("{0}")]
    Internal(String),
}

impl EvaluateError {
    /// Returns Prometheus' `errorType`.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Cancelled => "canceled",
            Self::Internal(_) => "internal",
        }
    }
}
