//! `__oci`: the short-lived process that makes one container, or one program in it, as a child of its shim.
//!
//! Single-threaded from start to end: libcontainer clones without execve.

mod devices;
mod diagnostics;
mod embedded;
mod external;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use serde_json::Value;

use crate::client::RuntimeKind;
use crate::protocol::{HelperTask, Report};
pub(crate) use external::External;

/// Longest message about a failure; it must fit a packet of the shim's protocol.
const MESSAGE_CHARS_MAX: usize = 4096;

/// Makes containers from OCI bundles.
///
/// An implementation runs in a helper process. What it starts must become a child of the helper's parent: either as a sibling of
/// the helper, or as an orphan that the parent adopts as a subreaper.
pub(crate) trait Runtime {
    /// Creates and starts the container of a bundle, or a program in a container; returns the process id.
    fn run(&self, task: &HelperTask, stdio: Option<[OwnedFd; 3]>) -> Result<i32, String>;
}

/// Runs the subcommand with its one argument.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let Some(task) = args.first().and_then(|text| text.to_str()).and_then(|text| serde_json::from_str(text).ok())
    else {
        return ExitCode::from(2);
    };
    let task: HelperTask = task;
    let Ok(report) = maru_sys::adopt_descriptor(task.report) else { return ExitCode::from(2) };
    let result = run(&task);
    let code = if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let report_text = match result {
        Ok(pid) => Report::Pid(pid),
        Err(message) => Report::Error(message.chars().take(MESSAGE_CHARS_MAX).collect()),
    };
    // A shim that is gone needs no report.
    drop(serde_json::to_vec(&report_text).map(|text| std::fs::File::from(report).write_all(&text)));
    code
}

fn run(task: &HelperTask) -> Result<i32, String> {
    let stdio = match task.stdio {
        Some(numbers) => Some(adopt_stdio(numbers)?),
        None => None,
    };
    // Neither the daemon's groups nor its file mode mask are the container's.
    nix::unistd::setgroups(&[]).map_err(|error| format!("could not drop supplementary groups: {error}"))?;
    umask(Mode::from_bits_truncate(0o022));
    match &task.runtime {
        RuntimeKind::Embedded => embedded::Embedded.run(task, stdio),
        RuntimeKind::External(program) => External { program: program.clone() }.run(task, stdio),
    }
}

fn adopt_stdio(numbers: [i32; 3]) -> Result<[OwnedFd; 3], String> {
    let adopt =
        |number| maru_sys::adopt_descriptor(number).map_err(|error| format!("standard stream {number}: {error}"));
    let [input, output, errors] = numbers;
    Ok([adopt(input)?, adopt(output)?, adopt(errors)?])
}

/// Reads a JSON file of the bundle.
fn read_json(path: &std::path::Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|error| format!("could not read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("could not read {}: {error}", path.display()))
}

/// Writes a JSON file of the bundle.
fn write_json(path: &std::path::Path, value: &Value) -> Result<(), String> {
    std::fs::write(path, value.to_string()).map_err(|error| format!("could not write {}: {error}", path.display()))
}
