//! Remote read: samples in one message, or chunks streamed series by series.

use bytes::Bytes;
use maru_prom::remote_read::{ReadQuery, ReadRequest, ReadSeries, ResponseType, SamplesResponse, chunked_series};
use maru_prom::{Labels, Matcher, MatcherOperator, snappy};
use maru_promql::{Cancel, Samples};
use maru_series::{SelectHints, SelectedSeries, TimeRange};

use crate::answer::Sink;
use crate::fault::Fault;
use crate::lookups::select_fault;
use crate::metrics::State;

/// Answers `POST /api/v1/read`. For blocking threads.
pub(crate) fn remote_read(state: &State, body: &Bytes, sink: &mut Sink, cancel: &Cancel) -> Result<(), Fault> {
    let bad = |error: &dyn std::error::Error| {
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        Fault::BadData(format!("{error}{cause}"))
    };
    let mut buffer = Vec::new();
    let content = snappy::decompress(body, state.limits.write_decompressed_bytes_max, &mut buffer);
    let request = ReadRequest::decode(content.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
    let form = request.response_type().map_err(|error| bad(&error))?;
    sink.do_not_compress();
    match form {
        ResponseType::Samples => {
            sink.set_kind(form.content_type());
            sink.set_encoding("snappy");
            samples(state, &request, sink, cancel)
        }
        ResponseType::StreamedXorChunks => {
            sink.set_kind(form.content_type());
            chunks(state, &request, sink, cancel)
        }
    }
}

/// Returns labels as they leave this server: with those of `external` that they have no others for.
pub(crate) fn with_external(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut builder = labels.to_builder();
    for (name, value) in external.iter().filter(|(name, _)| labels.get(name).is_none()) {
        builder.set(name, value);
    }
    builder.build()
}

/// Returns matchers as the store knows series: a reader asks for our own external labels, which no series has.
fn without_external(matchers: &[Matcher], external: &Labels) -> Vec<Matcher> {
    let stored = |matcher: &Matcher| {
        let is_ours = matcher.operator() == MatcherOperator::Equal
            && external.get(matcher.name()).is_some_and(|value| value == matcher.value());
        let absent = if is_ours { Matcher::new(matcher.name(), MatcherOperator::Equal, "").ok() } else { None };
        absent.unwrap_or_else(|| matcher.clone())
    };
    matchers.iter().map(stored).collect()
}

fn select(state: &State, query: &ReadQuery, external: &Labels) -> Result<Vec<SelectedSeries>, Fault> {
    let hints = query.hints.clone().unwrap_or_default();
    let hints = SelectHints {
        step_ms: hints.step_ms,
        function: hints.function,
        window_ms: hints.range_ms,
        series_max: Some(state.limits.query_series_max),
        // The reader evaluates by itself and takes what it gets for raw samples.
        allows_downsampled: false,
    };
    let range = TimeRange { start_ms: query.start_ms, end_ms: query.end_ms };
    state.store.select(&without_external(&query.matchers, external), range, &hints).map_err(select_fault)
}

fn read(series: &SelectedSeries, into: &mut Samples) -> Result<(), Fault> {
    into.clear();
    series.read(&mut into.timestamps, &mut into.values, &mut into.histograms).map_err(select_fault)
}

fn parts<'a>(labels: &'a Labels, samples: &'a Samples) -> ReadSeries<'a> {
    ReadSeries { labels, timestamps: &samples.timestamps, values: &samples.values, histograms: &samples.histograms }
}

fn samples(state: &State, request: &ReadRequest, sink: &mut Sink, cancel: &Cancel) -> Result<(), Fault> {
    let mut response = SamplesResponse::new();
    let mut buffer = Samples::default();
    let mut count = 0_usize;
    let external = state.external_labels();
    for query in &request.queries {
        for series in select(state, query, &external)? {
            if cancel.is_cancelled() {
                return Err(Fault::Canceled("the read was given up".to_owned()));
            }
            read(&series, &mut buffer)?;
            count += buffer.len();
            let max = state.limits.read_samples_max;
            if count > max {
                return Err(Fault::BadData(format!(
                    "the read finds more than {max} samples; narrow the matchers or the time range, or accept streamed chunks"
                )));
            }
            if !buffer.is_empty() {
                response.series(&parts(&with_external(series.labels(), &external), &buffer));
            }
        }
        response.end_query();
    }
    sink.buffer().extend_from_slice(&snappy::compress(&response.finish()));
    Ok(())
}

fn chunks(state: &State, request: &ReadRequest, sink: &mut Sink, cancel: &Cancel) -> Result<(), Fault> {
    let mut buffer = Samples::default();
    let external = state.external_labels();
    for (index, query) in request.queries.iter().enumerate() {
        for series in select(state, query, &external)? {
            if cancel.is_cancelled() {
                return Err(Fault::Canceled("the read was given up".to_owned()));
            }
            read(&series, &mut buffer)?;
            let labels = with_external(series.labels(), &external);
            chunked_series(index, &parts(&labels, &buffer), state.limits.read_frame_bytes_max, sink.buffer());
            if sink.checkpoint().is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
