//! Deleting, cleaning up, and copying the data.

use maru_series::{MaintainError, TimeRange};

use crate::answer::{Json, Sink};
use crate::fault::Fault;
use crate::metrics::State;
use crate::request::Parameters;
use crate::selectors;

/// Refuses unless the administration API is switched on.
pub(crate) fn check_enabled(state: &State) -> Result<(), Fault> {
    if state.admin_api {
        return Ok(());
    }
    Err(Fault::Unavailable {
        message: "admin APIs disabled; start the server with --enable-admin-api".to_owned(),
        retry_after_seconds: 3600,
    })
}

fn fault(error: &MaintainError) -> Fault {
    Fault::Internal(error.to_string())
}

/// Answers `delete_series`.
pub(crate) fn delete_series(state: &State, parameters: &Parameters) -> Result<(), Fault> {
    let (selectors, range) = (selectors::required(parameters)?, parameters.range()?);
    let range = TimeRange { start_ms: range.start_ms, end_ms: range.end_ms };
    for matchers in selectors {
        state.store.delete(&matchers, range).map_err(|error| fault(&error))?;
    }
    Ok(())
}

/// Answers `clean_tombstones`.
pub(crate) fn clean_tombstones(state: &State) -> Result<(), Fault> {
    state.store.clean_tombstones().map_err(|error| fault(&error))
}

/// Answers `flush`.
pub(crate) fn flush(state: &State) -> Result<(), Fault> {
    state.store.flush().map_err(|error| fault(&error))
}

/// Answers `snapshot`.
pub(crate) fn snapshot(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let skip_head = match parameters.get("skip_head") {
        None | Some("false" | "0" | "f" | "F" | "False" | "FALSE") => false,
        Some("true" | "1" | "t" | "T" | "True" | "TRUE") => true,
        Some(other) => return Err(Fault::parameter("skip_head", format_args!("{other:?} is neither true nor false"))),
    };
    let path = state.store.snapshot(skip_head).map_err(|error| fault(&error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let out = sink.buffer();
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    let mut data = Json::object(out);
    data.text("name", &name);
    data.end();
    out.push(b'}');
    Ok(())
}
