//! Prometheus' own test scripts, in process.

use std::path::PathBuf;

use maru_promql::{
    Engine, EngineOptions, Evaluation, MemorySource, ParseOptions, SampleValue, Value, parse as parse_query,
};

use crate::promqltest::{
    Answer, Breadth, Chunk, LoadedSample, LoadedSeries, Point, Reply, Report, Seen, SeenRow, Subject, parse, run,
};

/// Scripts whose cases need a feature flag of Prometheus whatever their queries are.
const NEEDS_FLAG: [&str; 2] = ["start_timestamps", "type_and_unit"];

/// The engine over series in memory.
struct InProcess {
    engine: Engine,
    source: MemorySource,
}

impl InProcess {
    fn new() -> Self {
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

/// Returns the folder of the field's test data; `None` when it is not there.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where data is")]
fn testdata() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/testdata");
    let folder = PathBuf::from(std::env::var("MARU_TESTDATA").unwrap_or_else(|_| default.to_owned()));
    folder.join("promqltest").is_dir().then(|| folder.join("promqltest"))
}

fn run_all(folder: &std::path::Path) -> Report {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let commands = parse(&std::fs::read_to_string(&path).unwrap());
        let needs_flag = NEEDS_FLAG.contains(&name.as_str());
        report.files.push(run(&name, &commands, needs_flag, Breadth::Full, &mut InProcess::new()));
    }
    report
}

#[test]
fn scripts_of_prometheus_pass() {
    let Some(folder) = testdata() else {
        println!("skipped: no promqltest folder under MARU_TESTDATA or ../shared/testdata");
        return;
    };
    let report = run_all(&folder);
    println!("{report}\n{}", report.failures());
    let total = report.total();
    let (cases, passed) = (total.stable.0 + total.experimental.0, total.stable.1 + total.experimental.1);
    assert_eq!(total.stable.0, total.stable.1, "all stable cases pass");
    assert!(passed * 100 >= cases * 99, "{passed} of {cases} cases pass; at least 99 % must");
}
