//! The forms of answers: JSON as Prometheus writes it, made while it is sent, compressed where the client takes it.

mod json;
mod response;
mod sink;
mod values;

pub(crate) use json::{Json, write_float, write_labels, write_millis, write_text};
pub(crate) use response::{accepts_gzip, empty, error, plain};
pub(crate) use sink::{Gone, Sink, answering};
pub(crate) use values::{result_type, truncate, write_result};
