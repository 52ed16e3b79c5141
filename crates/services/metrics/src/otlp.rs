//! OTLP metrics coming in.

use http::Response;
use http::request::Parts;
use maru_http::Body;
use maru_series::WriteScope;

use crate::answer;
use crate::fault::Fault;
use crate::metrics::State;

/// Answers `POST /api/v1/otlp/v1/metrics`.
pub(crate) async fn receive(_: &State, _: &Parts, _: Body, _: WriteScope) -> Response<Body> {
    answer::error(&Fault::NotFound("OTLP is not supported yet".to_owned()))
}
