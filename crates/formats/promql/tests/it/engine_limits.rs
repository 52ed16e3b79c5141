//! A query ends when it must: cancelled, too long, too large. And it counts what it does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maru_prom::Labels;
use maru_promql::{
    Cancel, Engine, EngineOptions, EvaluateError, Evaluation, MemorySource, ParseOptions, SampleValue, Samples,
    Selection, Series, Source, SourceError, Stopwatch, Value, parse,
};

fn hundred() -> MemorySource {
    let mut source = MemorySource::default();
    for index in 0..100 {
        let labels = Labels::from_pairs([("__name__", "m"), ("i", &index.to_string())]);
        for sample in 0..100 {
            source.append(&labels, sample * 10_000, SampleValue::Float(f64::from(index)), 0);
        }
    }
    source
}

const QUERIES: &[&str] = &[
    "m",
    "rate(m[1m])",
    "sum(rate(m[1m]))",
    "sum by (i) (m)",
    "topk(3, m)",
    "m + m",
    "m and m",
    "max_over_time(m[5m:10s])",
    "quantile(0.5, m)",
    "count_values(\"v\", m)",
    "absent(m)",
    "label_replace(m, \"a\", \"b\", \"i\", \".*\")",
];

/// Cancels the query when so many series have been read.
struct Cancelling<'a> {
    source: &'a MemorySource,
    cancel: Cancel,
    reads: &'a AtomicUsize,
    limit: usize,
}

struct Counted<'a> {
    series: Box<dyn Series + 'a>,
    source: &'a Cancelling<'a>,
}

impl Series for Counted<'_> {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), SourceError> {
        if self.source.reads.fetch_add(1, Ordering::Relaxed) + 1 == self.source.limit {
            self.source.cancel.cancel();
        }
        self.series.read(into)
    }
}

impl Source for Cancelling<'_> {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        let found = self.source.select(selection)?.into_iter();
        Ok(found.map(|series| Box::new(Counted { series, source: self }) as Box<dyn Series + 'a>).collect())
    }
}

#[test]
fn a_cancelled_query_reads_few_more_series() {
    let memory = hundred();
    let mut options = EngineOptions::default();
    options.threads = 1;
    let engine = Engine::new(options);
    for query in QUERIES {
        let expression = parse(query, &ParseOptions::experimental()).unwrap();
        let cancel = Cancel::default();
        let reads = AtomicUsize::new(0);
        let source = Cancelling { source: &memory, cancel: cancel.clone(), reads: &reads, limit: 5 };
        let mut evaluation = Evaluation::range(0, 900_000, 10_000);
        evaluation.cancel = cancel;
        let result = engine.evaluate(&source, &expression, &evaluation);
        assert!(matches!(result, Err(EvaluateError::Cancelled)), "{query}: {result:?}");
        assert!(reads.load(Ordering::Relaxed) < 80, "{query} read {reads:?} series");
    }
}

/// Says that more time has gone by each time it is asked.
#[derive(Default)]
struct Ticking(AtomicUsize);

impl Stopwatch for Ticking {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed) as u64)
    }
}

#[test]
fn a_query_ends_when_its_time_is_over() {
    let memory = hundred();
    let engine = Engine::new(EngineOptions::default());
    let expression = parse("sum(rate(m[1m])) + sum(rate(m[2m]))", &ParseOptions::default()).unwrap();
    let stopwatch = Ticking::default();
    let mut evaluation = Evaluation::range(0, 900_000, 1_000);
    evaluation.stopwatch = Some(&stopwatch);
    evaluation.timeout = Some(Duration::from_millis(20));
    let error = engine.evaluate(&memory, &expression, &evaluation).unwrap_err();
    assert_eq!(error, EvaluateError::Timeout(Duration::from_millis(20)));
    assert_eq!(error.error_type(), "timeout");
    evaluation.timeout = None;
    let answer = engine.evaluate(&memory, &expression, &evaluation).unwrap();
    assert!(answer.statistics.evaluate > Duration::ZERO && answer.statistics.prepare > Duration::ZERO);
}

#[test]
fn no_query_holds_more_than_it_may_and_says_which_limit_was_met() {
    let memory = hundred();
    for query in QUERIES {
        let expression = parse(query, &ParseOptions::experimental()).unwrap();
        let evaluation = Evaluation::range(0, 900_000, 10_000);
        // With one thread the peak is the same each time.
        let mut options = EngineOptions::default();
        options.threads = 1;
        let answer = Engine::new(options.clone()).evaluate(&memory, &expression, &evaluation).unwrap();
        let peak = answer.statistics.samples_peak;
        if *query == "absent(m)" {
            continue;
        }
        assert!(peak > 0, "{query}");
        options.samples_max = peak.max(91);
        Engine::new(options.clone()).evaluate(&memory, &expression, &evaluation).unwrap();
        if peak > 200 {
            options.samples_max = peak - 1;
            let error = Engine::new(options).evaluate(&memory, &expression, &evaluation).unwrap_err();
            assert_eq!(error.error_type(), "execution", "{query}");
            assert!(error.to_string().contains("samples_max"), "{query}: {error}");
        }
        let mut options = EngineOptions::default();
        options.memory_bytes_max = 2_000;
        if peak > 2_000 {
            let error = Engine::new(options).evaluate(&memory, &expression, &evaluation).unwrap_err();
            assert!(error.to_string().contains("memory_bytes_max"), "{query}: {error}");
        }
    }
}

#[test]
fn endless_ranges_are_refused_before_work_begins() {
    let engine = Engine::new(EngineOptions::default());
    let memory = hundred();
    for query in ["m", "time()", "sum_over_time(m[100y:1ms])"] {
        let expression = parse(query, &ParseOptions::default()).unwrap();
        let error = engine.evaluate(&memory, &expression, &Evaluation::range(0, i64::MAX, 1)).unwrap_err();
        assert!(error.to_string().contains("samples_max"), "{error}");
    }
    let expression = parse("sum_over_time(m[100y:1ms])", &ParseOptions::default()).unwrap();
    let error = engine.evaluate(&memory, &expression, &Evaluation::instant(0)).unwrap_err();
    assert!(error.to_string().contains("samples_max"), "{error}");
    let expression = parse("m", &ParseOptions::default()).unwrap();
    for evaluation in [Evaluation::range(10, 0, 1), Evaluation::range(0, 10, 0)] {
        assert_eq!(engine.evaluate(&memory, &expression, &evaluation).unwrap_err().error_type(), "bad_data");
    }
}

#[test]
fn times_at_the_edge_of_what_a_number_holds_do_no_harm() {
    let engine = Engine::new(EngineOptions::default());
    let memory = hundred();
    for query in
        QUERIES.iter().chain(&["m offset 290y", "m @ 9223372036854775", "rate(m[290y] offset -290y)", "m[1m:1m]"])
    {
        let Ok(expression) = parse(query, &ParseOptions::experimental()) else { continue };
        for at_ms in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            let _answer = engine.evaluate(&memory, &expression, &Evaluation::instant(at_ms));
        }
    }
}

#[test]
fn samples_are_counted_for_each_step_that_they_serve() {
    let mut options = EngineOptions::default();
    options.per_step_statistics = true;
    let engine = Engine::new(options);
    let memory = hundred();
    // Samples every 10 s, a window of 1 min: six a step and series. An instant selector: one.
    for (query, each) in [("rate(m{i=\"7\"}[1m])", 6), ("m", 100), ("sum(m)", 100), ("m @ 300", 100), ("time()", 0)] {
        let expression = parse(query, &ParseOptions::default()).unwrap();
        let answer = engine.evaluate(&memory, &expression, &Evaluation::range(600_000, 630_000, 10_000)).unwrap();
        assert_eq!(answer.statistics.samples, 4 * each, "{query}");
        if each > 0 {
            let steps = [600_000, 610_000, 620_000, 630_000].map(|at| (at, each));
            assert_eq!(answer.statistics.samples_per_step, steps, "{query}");
        }
    }
    let expression = parse("m[1m]", &ParseOptions::default()).unwrap();
    let answer = engine.evaluate(&memory, &expression, &Evaluation::instant(600_000)).unwrap();
    assert_eq!((answer.statistics.samples, answer.statistics.series), (600, 100));
    assert!(matches!(answer.value, Value::Matrix(rows) if rows.len() == 100 && rows[0].floats.len() == 6));
}
