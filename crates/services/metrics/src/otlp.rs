//! OTLP metrics coming in.
//!
//! Source: OTLP 1, "OTLP/HTTP"; the translation is that of `maru-prom`.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use maru_http::Body;
use maru_prom::otlp::{
    ExportMetricsRequest, OtlpOptions, OtlpValue, Translation, json_response, protobuf_response, translate,
};
use maru_series::{Appender, WriteScope};

use crate::answer;
use crate::fault::Fault;
use crate::metrics::State;
use crate::request::{Parameters, header_text, read_body};
use crate::write::{self, Malformed, Outcome, WRITE_PATIENCE};

/// The form of a request, and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
}

/// The parameter of the address that says how histograms with bounds are kept.
const HISTOGRAMS: &str = "histograms";

/// Answers `POST /api/v1/otlp/v1/metrics`.
pub(crate) async fn receive(state: &State, parts: &Parts, body: Body, scope: WriteScope) -> Response<Body> {
    let (form, packing, options) =
        match forms(parts).and_then(|(form, packing)| Ok((form, packing, options(state, parts)?))) {
            Ok(asked) => asked,
            Err(fault) => return answer::error(&fault),
        };
    match take(state, (form, packing, options), body, scope).await {
        Err(fault) => answer::error(&fault),
        Ok((outcome, warnings)) => {
            write::count(state, &outcome, "otlp");
            answer_of(form, &outcome, &warnings)
        }
    }
}

fn forms(parts: &Parts) -> Result<(Form, Packing), Fault> {
    let kind = header_text(parts, header::CONTENT_TYPE);
    let form = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" | "" => Form::Protobuf,
        "application/json" => Form::Json,
        _ => {
            return Err(Fault::UnsupportedMediaType(format!(
                "the content type {kind:?} is not supported; send application/x-protobuf or application/json"
            )));
        }
    };
    let packing = match header_text(parts, header::CONTENT_ENCODING) {
        "" | "identity" => Packing::Plain,
        "gzip" => Packing::Gzip,
        other => {
            return Err(Fault::UnsupportedMediaType(format!(
                "the content encoding {other:?} is not supported; send gzip or none"
            )));
        }
    };
    Ok((form, packing))
}

/// Returns how the request is translated: as the configuration file says, else as the server's options say, unless the address says
/// how histograms with bounds are kept.
fn options(state: &State, parts: &Parts) -> Result<Arc<OtlpOptions>, Fault> {
    let parameters = Parameters::of_address(parts)?;
    let of_file = state.collector.configurations().borrow().otlp.clone();
    let lookback_ms = state.otlp.lookback_ms;
    let base = of_file.map_or_else(|| Arc::clone(&state.otlp), |file| Arc::new(OtlpOptions { lookback_ms, ..file }));
    let becomes_native = match parameters.get(HISTOGRAMS) {
        None => return Ok(base),
        Some("native") => true,
        Some("classic") => false,
        Some(other) => {
            return Err(Fault::parameter(HISTOGRAMS, format!("{other:?} is unknown; say \"native\" or \"classic\"")));
        }
    };
    Ok(Arc::new(OtlpOptions { histograms_become_native: becomes_native, ..OtlpOptions::clone(&base) }))
}

async fn take(
    state: &State,
    (form, packing, options): (Form, Packing, Arc<OtlpOptions>),
    body: Body,
    scope: WriteScope,
) -> Result<(Outcome, Vec<String>), Fault> {
    let body = read_body(body, state.limits.write_bytes_max).await?;
    let store = state.store.clone();
    let bytes_max = state.limits.write_decompressed_bytes_max;
    let work = move |_: &_| {
        let translation = read(form, packing, body, bytes_max, &options)?;
        let mut appender = store.appender(&scope);
        let malformed = append(&mut appender, &translation);
        let report = appender.commit().map_err(write::commit_fault)?;
        Ok((Outcome { report, malformed }, translation.warnings))
    };
    state.writes.run(WRITE_PATIENCE, work).await.map_err(write::busy)
}

fn read(
    form: Form,
    packing: Packing,
    body: Bytes,
    bytes_max: usize,
    options: &OtlpOptions,
) -> Result<Translation, Fault> {
    let body = match packing {
        Packing::Plain => body,
        Packing::Gzip => {
            let mut content = Vec::new();
            let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
            let read =
                flate2::read::MultiGzDecoder::new(&*body).take(limit.saturating_add(1)).read_to_end(&mut content);
            read.map_err(|error| Fault::BadData(format!("the body is no gzip: {error}")))?;
            if content.len() > bytes_max {
                return Err(Fault::TooLarge(format!(
                    "the body unpacks to more than the limit of {bytes_max} bytes; send smaller requests"
                )));
            }
            Bytes::from(content)
        }
    };
    let request = match form {
        Form::Protobuf => ExportMetricsRequest::from_protobuf(&body),
        Form::Json => ExportMetricsRequest::from_json(&body),
    };
    let request = request.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Fault::BadData(format!("{error}{cause}"))
    })?;
    Ok(translate(&request, options))
}

fn append(appender: &mut Appender, translation: &Translation) -> Malformed {
    let mut malformed = Malformed::default();
    for refusal in &translation.refusals {
        malformed.add(usize::try_from(refusal.points).unwrap_or(usize::MAX), || {
            format!("{:?}: {}", refusal.metric, refusal.reason)
        });
    }
    for sample in &translation.samples {
        let reference = appender.series(&sample.labels);
        match &sample.value {
            OtlpValue::Float(value) => {
                appender.append_with_start(reference, sample.timestamp_ms, *value, sample.start_timestamp_ms);
            }
            OtlpValue::Histogram(histogram) => {
                let start_ms = sample.start_timestamp_ms;
                appender.append_histogram_with_start(reference, sample.timestamp_ms, histogram, start_ms);
            }
        }
        for exemplar in &sample.exemplars {
            let mut exemplar = exemplar.clone();
            if exemplar.timestamp_ms == 0 {
                exemplar.timestamp_ms = sample.timestamp_ms;
            }
            appender.append_exemplar(reference, exemplar);
        }
    }
    for (family, metadata) in &translation.metadata {
        appender.metadata(family, metadata.clone());
    }
    malformed
}

/// Partial success is a success with a message, as OTLP wants it.
fn answer_of(form: Form, outcome: &Outcome, warnings: &[String]) -> Response<Body> {
    let refused = outcome.malformed.count + outcome.report.refused.iter().map(|refusal| refusal.count).sum::<u64>();
    let mut message = write::complaint(outcome).unwrap_or_default();
    for warning in warnings {
        message.push_str(warning);
        message.push('\n');
    }
    let content = match form {
        Form::Protobuf => protobuf_response(refused, &message),
        Form::Json => json_response(refused, &message).to_string().into_bytes(),
    };
    let mut response = Response::new(maru_http::full(content));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    response
}
