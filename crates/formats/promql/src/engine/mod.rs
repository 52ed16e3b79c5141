//! The engine: evaluates each series once over all steps, in columns.

mod aggregate;
mod annotations;
mod answer;
mod binary;
mod calls;
mod column;
mod context;
mod dates;
mod durations;
mod evaluate;
mod finish;
mod gathered;
mod geometry;
mod hash;
mod histograms;
mod info;
mod matching;
mod math;
mod memory;
mod options;
mod over_time;
mod ranges;
mod rank;
mod rate;
mod rows;
mod select;
mod sliding;
mod window;

use maru_prom::{Labels, METRIC_NAME};

pub use annotations::Annotations;
pub use answer::{Answer, EvaluateError, Sample, SampleRow, SampleValue, Statistics, Value};
pub use memory::MemorySource;
pub use options::{Cancel, EngineOptions, Evaluation, Stopwatch, When};

use crate::{Expression, Source};

/// Evaluates queries.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    /// Threads of its own; without them those of the process.
    pool: Option<rayon::ThreadPool>,
}

impl Engine {
    /// Returns an engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        let pool = if options.threads > 1 {
            rayon::ThreadPoolBuilder::new().num_threads(options.threads).build().ok()
        } else {
            None
        };
        Self { options, pool }
    }

    /// Returns what was set.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates `expression` over `source`. Works on several threads and waits for them: call it where that is allowed.
    ///
    /// # Errors
    /// See [`EvaluateError`].
    pub fn evaluate(
        &self,
        source: &dyn Source,
        expression: &Expression,
        evaluation: &Evaluation<'_>,
    ) -> Result<Answer, EvaluateError> {
        let context = context::Context::new(source, &self.options, evaluation, self.pool.as_ref());
        if let When::Range { start_ms, end_ms, step_ms } = evaluation.when
            && (step_ms <= 0 || end_ms < start_ms)
        {
            return Err(EvaluateError::BadData(format!(
                "a range from {start_ms} to {end_ms} with a step of {step_ms} ms has no moments: \
                 the step must be above 0 and the end not before the start"
            )));
        }
        context.check_steps(&context.grid)?;
        context.answer(expression)
    }
}

/// Writes labels as Prometheus' messages do: `{__name__="up", job="api"}`.
fn text_of(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{}={value:?}", quoted(name))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Quotes a label's name where it is none of the old kind.
fn quoted(name: &str) -> String {
    let is_plain = |(index, letter): (usize, char)| {
        letter == '_' || letter.is_ascii_alphabetic() || (index > 0 && letter.is_ascii_digit())
    };
    if name == METRIC_NAME || name.chars().enumerate().all(is_plain) { name.to_owned() } else { format!("{name:?}") }
}
