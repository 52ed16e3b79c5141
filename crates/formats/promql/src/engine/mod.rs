//! The engine: evaluates each series once over all steps, in columns.

mod annotations;
mod answer;
mod column;
mod dates;
mod histograms;
mod memory;
mod options;
mod window;

pub use annotations::Annotations;
pub use answer::{Answer, EvaluateError, Sample, SampleRow, SampleValue, Statistics, Value};
pub use memory::MemorySource;
pub use options::{Cancel, EngineOptions, Evaluation, Stopwatch, When};

use crate::{Expression, Source};

/// Evaluates queries.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// Returns an engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Returns what was set.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates `expression` over `source`. Takes threads of its own; call it where blocking is allowed.
    ///
    /// # Errors
    /// See [`EvaluateError`].
    pub fn evaluate(
        &self,
        source: &dyn Source,
        expression: &Expression,
        evaluation: &Evaluation<'_>,
    ) -> Result<Answer, EvaluateError> {
        let _ = (source, expression, evaluation);
        Err(EvaluateError::Internal("not supported yet".to_owned()))
    }
}
