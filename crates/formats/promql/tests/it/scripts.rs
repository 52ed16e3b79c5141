//! Prometheus' own test scripts, in process.

use std::sync::Arc;

use maru_prom::Histogram;
use maru_promql::{
    Engine, EngineOptions, Evaluation, MemorySource, ParseOptions, SampleValue, Value, parse as parse_query,
};

use crate::hints::Chunk;
use crate::promqltest::judge::{Answer, Reply, Seen, SeenRow};
use crate::promqltest::run::{Subject, run_all, run_changed, scripts};
use crate::promqltest::script::{Case, Command, LoadedSample, LoadedSeries, Point};

/// The engine over series in memory.
pub(crate) struct InProcess {
    engine: Engine,
    source: MemorySource,
}

impl InProcess {
    pub(crate) fn new() -> Self {
        let mut options = EngineOptions::default();
        // As Prometheus runs its scripts.
        options.delayed_name_removal = true;
        options.start_timestamps = true;
        Self { engine: Engine::new(options), source: MemorySource::default() }
    }

    fn evaluate(&self, query: &str, evaluation: &Evaluation<'_>) -> Result<Reply, String> {
        let expression = parse_query(query, &ParseOptions::experimental()).map_err(|error| error.to_string())?;
        let answer = self.engine.evaluate(&self.source, &expression, evaluation).map_err(|error| error.to_string())?;
        let (warnings, infos) = (answer.annotations.warnings(query), answer.annotations.infos(query));
        Ok(Reply { answer: seen(answer.value), warnings, infos })
    }
}

fn seen(value: Value) -> Answer {
    match value {
        Value::Scalar { value, .. } => Answer::Scalar(value),
        Value::Text { value, .. } => Answer::Text(value),
        Value::Vector(samples) => Answer::Vector(
            samples
                .into_iter()
                .map(|sample| match sample.value {
                    SampleValue::Float(value) => (sample.labels, Seen::Float(value)),
                    SampleValue::Histogram(histogram) => (sample.labels, Seen::Histogram(histogram)),
                })
                .collect(),
        ),
        Value::Matrix(rows) => Answer::Matrix(
            rows.into_iter()
                .map(|row| {
                    let floats = row.floats.into_iter().map(|(at, value)| (at, Seen::Float(value)));
                    let histograms = row.histograms.into_iter().map(|(at, value)| (at, Seen::Histogram(value)));
                    let mut points: Vec<(i64, Seen)> = floats.chain(histograms).collect();
                    points.sort_by_key(|(at, _)| *at);
                    SeenRow { labels: row.labels, points }
                })
                .collect(),
        ),
    }
}

impl Subject for InProcess {
    fn clear(&mut self) -> Result<(), String> {
        self.source.clear();
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        for one in series {
            let mut chunk = Chunk::default();
            for LoadedSample { at_ms, point, start_ms } in &one.samples {
                let value = match point {
                    Point::None => continue,
                    Point::Float(value) => {
                        chunk.close();
                        SampleValue::Float(*value)
                    }
                    Point::Histogram(histogram) => SampleValue::Histogram(chunk.push(histogram)),
                };
                self.source.append(&one.labels, *at_ms, value, *start_ms);
            }
        }
        Ok(())
    }

    fn instant(&mut self, query: &str, at_ms: i64) -> Result<Reply, String> {
        self.evaluate(query, &Evaluation::instant(at_ms))
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Reply, String> {
        self.evaluate(query, &Evaluation::range(start_ms, end_ms, step_ms))
    }
}

#[test]
fn scripts_of_prometheus_pass() {
    let Some(folder) = scripts(env!("CARGO_MANIFEST_DIR")) else {
        println!("skipped: no folder promqltest in MARU_TESTDATA or ../shared/testdata");
        return;
    };
    let report = run_all(&folder, InProcess::new).unwrap();
    println!("{report}\n{}", report.failures());
    report.judge(&[]).unwrap();
}

/// Returns the case with something else expected; `None` when it expects no value.
fn spoiled(mut case: Case) -> Option<Case> {
    if case.fail.is_some() {
        return None;
    }
    let spoil = |value: f64| if value.is_finite() && value != 0.0 { value * 1.001 } else { 0.5 };
    if let Some(value) = &mut case.scalar {
        *value = spoil(*value);
    } else if let Some(text) = &mut case.text {
        text.push('x');
    } else {
        let mut values = case.series.iter_mut().flat_map(|(_, values)| values);
        let point = values.find(|value| value.point != Point::None).map(|value| &mut value.point)?;
        *point = match &*point {
            Point::Histogram(histogram) => {
                let mut other = Histogram::clone(histogram);
                other.count = spoil(other.count);
                Point::Histogram(Arc::new(other))
            }
            Point::Float(value) => Point::Float(spoil(*value)),
            Point::None => return None,
        };
    }
    Some(case)
}

#[test]
fn the_judge_refuses_scripts_that_expect_something_else() {
    let Some(folder) = scripts(env!("CARGO_MANIFEST_DIR")) else {
        println!("skipped: no folder promqltest in MARU_TESTDATA or ../shared/testdata");
        return;
    };
    let change = |command| match command {
        Command::Eval(case) => Some(Command::Eval(Box::new(spoiled(*case)?))),
        other => Some(other),
    };
    let report = run_changed(&folder, InProcess::new, change).unwrap();
    let total = report.total();
    assert!(total.stable.0 > 1000, "{report}");
    assert_eq!((total.stable.1, total.experimental.1), (0, 0), "{report}");
}
