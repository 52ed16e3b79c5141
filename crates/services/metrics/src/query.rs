//! Evaluating, formatting and parsing queries.

use std::time::Duration;

use maru_promql::{
    Annotations, Answer, Cancel, EvaluateError, Evaluation, Expression, ParseOptions, Statistics, Stopwatch, Type,
    When, parse,
};
use tokio::time::Instant;

use crate::answer::{self, Gone, Json, Sink, write_millis, write_text};
use crate::fault::Fault;
use crate::metrics::State;
use crate::request::Parameters;
use crate::source::StoreSource;

/// How much of a query's work is told with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatisticsWanted {
    No,
    Totals,
    PerStep,
}

/// What a request asks to be evaluated.
#[derive(Debug)]
pub(crate) struct Question {
    text: String,
    when: When,
    lookback_ms: Option<i64>,
    pub(crate) timeout: Duration,
    statistics: StatisticsWanted,
    limit: Option<usize>,
    arrived: Instant,
}

impl Question {
    /// Reads the parameters of `/api/v1/query`.
    pub(crate) fn instant(state: &State, parameters: &Parameters) -> Result<Self, Fault> {
        let at_ms = parameters.time("time")?.unwrap_or_else(|| state.now_ms());
        Self::new(state, parameters, When::Instant { at_ms })
    }

    /// Reads the parameters of `/api/v1/query_range`.
    pub(crate) fn range(state: &State, parameters: &Parameters) -> Result<Self, Fault> {
        let time = |name| {
            let text = parameters.get(name).unwrap_or_default();
            parameters
                .time(name)?
                .ok_or_else(|| Fault::parameter(name, format_args!("cannot parse {text:?} to a valid timestamp")))
        };
        let (start_ms, end_ms) = (time("start")?, time("end")?);
        if end_ms < start_ms {
            return Err(Fault::parameter("end", "end timestamp must not be before start time"));
        }
        let step_ms = parameters
            .duration("step")?
            .ok_or_else(|| Fault::parameter("step", "cannot parse \"\" to a valid duration"))?;
        if step_ms <= 0 {
            return Err(Fault::parameter(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        let points_max = state.limits.query_points_max;
        // As a difference of unsigned numbers: the two ends may be as far apart as can be.
        let points = end_ms.abs_diff(start_ms) / step_ms.unsigned_abs();
        if points > points_max.unsigned_abs() {
            return Err(Fault::BadData(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                grouped(points_max)
            )));
        }
        Self::new(state, parameters, When::Range { start_ms, end_ms, step_ms })
    }

    fn new(state: &State, parameters: &Parameters, when: When) -> Result<Self, Fault> {
        let timeout = match parameters.duration("timeout")? {
            Some(millis) if millis > 0 => Duration::from_millis(millis.unsigned_abs()).min(state.limits.query_timeout),
            _ => state.limits.query_timeout,
        };
        let lookback_ms = parameters.duration("lookback_delta")?;
        if lookback_ms.is_some_and(|millis| millis < 0) {
            return Err(Fault::parameter("lookback_delta", "it is negative"));
        }
        Ok(Self {
            text: text(state, parameters)?,
            when,
            lookback_ms: lookback_ms.filter(|millis| *millis > 0),
            timeout,
            statistics: match parameters.get("stats") {
                None => StatisticsWanted::No,
                Some("all") => StatisticsWanted::PerStep,
                Some(_) => StatisticsWanted::Totals,
            },
            limit: parameters.limit()?,
            arrived: Instant::now(),
        })
    }
}

/// Writes thousands apart, as the message of Prometheus does.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Time since a request arrived.
struct Watch(Instant);

impl Stopwatch for Watch {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Reads the query's text.
fn text(state: &State, parameters: &Parameters) -> Result<String, Fault> {
    let text = parameters.get("query").unwrap_or_default();
    if text.len() > state.limits.query_text_bytes_max {
        let max = state.limits.query_text_bytes_max;
        return Err(Fault::parameter("query", format_args!("it is longer than the limit of {max} bytes")));
    }
    Ok(text.to_owned())
}

fn parse_query(state: &State, text: &str) -> Result<Expression, Fault> {
    parse(text, &parse_options(state)).map_err(|errors| Fault::parameter("query", errors))
}

fn parse_options(state: &State) -> ParseOptions {
    let base = if state.experimental_promql { ParseOptions::experimental() } else { ParseOptions::default() };
    ParseOptions { text_bytes_max: state.limits.query_text_bytes_max, ..base }
}

/// Evaluates and writes the answer. For blocking threads.
pub(crate) fn evaluate(state: &State, question: &Question, sink: &mut Sink, cancel: &Cancel) -> Result<(), Fault> {
    let watch = Watch(question.arrived);
    let queued = watch.elapsed();
    let expression = parse_query(state, &question.text)?;
    if matches!(question.when, When::Range { .. }) && !matches!(expression.value_type(), Type::Scalar | Type::Vector) {
        return Err(Fault::parameter(
            "query",
            format_args!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                type_name(expression.value_type())
            ),
        ));
    }
    let evaluation = Evaluation {
        lookback_ms: question.lookback_ms,
        timeout: Some(question.timeout),
        per_step_statistics: question.statistics == StatisticsWanted::PerStep,
        stopwatch: Some(&watch),
        cancel: cancel.clone(),
        ..match question.when {
            When::Instant { at_ms } => Evaluation::instant(at_ms),
            When::Range { start_ms, end_ms, step_ms } => Evaluation::range(start_ms, end_ms, step_ms),
        }
    };
    let source = StoreSource { store: &state.store, series_max: state.limits.query_series_max };
    let mut answer = state.engine.evaluate(&source, &expression, &evaluation).map_err(fault_of)?;
    state.telemetry.samples_queried.add(answer.statistics.samples);
    let mut warnings = answer.annotations.warnings(&question.text);
    if question.limit.is_some_and(|limit| answer::truncate(&mut answer.value, limit)) {
        warnings.push("results truncated due to limit".to_owned());
    }
    let times = Times { queued, total: watch.elapsed() };
    // A client that has gone gets no answer: there is nothing to tell anybody.
    write_answer(sink, question, &answer, &warnings, times, cancel).unwrap_or(());
    Ok(())
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Scalar => "scalar",
        Type::Vector => "instant vector",
        Type::Matrix => "range vector",
        Type::String => "string",
    }
}

fn fault_of(error: EvaluateError) -> Fault {
    match error {
        EvaluateError::BadData(text) => Fault::BadData(text),
        EvaluateError::Execution(text) => Fault::Execution(text),
        EvaluateError::Timeout(_) => Fault::Timeout(error.to_string()),
        EvaluateError::Cancelled => Fault::Canceled(error.to_string()),
        other => Fault::Internal(other.to_string()),
    }
}

/// How long a query took around its evaluation.
#[derive(Debug, Clone, Copy)]
struct Times {
    queued: Duration,
    total: Duration,
}

fn write_answer(
    sink: &mut Sink,
    question: &Question,
    answer: &Answer,
    warnings: &[String],
    times: Times,
    cancel: &Cancel,
) -> Result<(), Gone> {
    let out = sink.buffer();
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":");
    write_text(out, answer::result_type(&answer.value));
    out.extend_from_slice(b",\"result\":");
    answer::write_result(sink, &answer.value, cancel)?;
    let out = sink.buffer();
    if question.statistics != StatisticsWanted::No {
        out.extend_from_slice(b",\"stats\":");
        write_statistics(out, &answer.statistics, times, question.statistics);
    }
    out.push(b'}');
    write_notes(out, &answer.annotations, warnings, &question.text);
    out.push(b'}');
    Ok(())
}

fn write_notes(out: &mut Vec<u8>, annotations: &Annotations, warnings: &[String], query: &str) {
    for (name, texts) in [("warnings", warnings), ("infos", &annotations.infos(query))] {
        if !texts.is_empty() {
            out.push(b',');
            write_text(out, name);
            out.push(b':');
            let mut list = Json::array(out);
            for text in texts {
                write_text(list.element(), text);
            }
            list.end();
        }
    }
}

fn write_statistics(out: &mut Vec<u8>, statistics: &Statistics, times: Times, wanted: StatisticsWanted) {
    let mut object = Json::object(out);
    let mut timings = Json::object(object.field("timings"));
    let inner = statistics.prepare + statistics.evaluate + statistics.sort;
    for (name, duration) in [
        ("evalTotalTime", inner),
        ("resultSortTime", statistics.sort),
        ("queryPreparationTime", statistics.prepare),
        ("innerEvalTime", statistics.evaluate),
        ("execQueueTime", times.queued),
        ("execTotalTime", times.total),
    ] {
        answer::write_float(timings.field(name), duration.as_secs_f64());
    }
    timings.end();
    let mut samples = Json::object(object.field("samples"));
    if wanted == StatisticsWanted::PerStep {
        let mut steps = Json::array(samples.field("totalQueryableSamplesPerStep"));
        for (timestamp_ms, count) in &statistics.samples_per_step {
            let mut step = Json::array(steps.element());
            write_millis(step.element(), *timestamp_ms);
            step.element().extend_from_slice(count.to_string().as_bytes());
            step.end();
        }
        steps.end();
    }
    samples.number("totalQueryableSamples", statistics.samples);
    samples.number("peakSamples", statistics.samples_peak);
    samples.end();
    object.end();
}

/// Answers `/api/v1/format_query`.
pub(crate) fn format(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let expression = parse_query(state, &text(state, parameters)?)?;
    let out = sink.buffer();
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    write_text(out, &maru_promql::pretty(&expression));
    out.push(b'}');
    Ok(())
}

/// Answers `/api/v1/parse_query`.
pub(crate) fn syntax(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let expression = parse_query(state, &text(state, parameters)?)?;
    let out = sink.buffer();
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    out.extend_from_slice(maru_promql::to_json(&expression).to_string().as_bytes());
    out.push(b'}');
    Ok(())
}

/// Returns the conditions of each selector of a query.
pub(crate) fn selectors_of(state: &State, parameters: &Parameters) -> Result<Vec<Vec<maru_prom::Matcher>>, Fault> {
    let expression = parse_query(state, &text(state, parameters)?)?;
    Ok(expression.matchers().into_iter().map(<[maru_prom::Matcher]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            (grouped(11_000), grouped(1), grouped(1_234_567)),
            ("11,000".into(), "1".into(), "1,234,567".into())
        );
    }
}
