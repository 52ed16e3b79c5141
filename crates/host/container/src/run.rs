//! One-off containers: made, run, removed; for the steps of an image build.

use std::path::PathBuf;
use std::time::Duration;

use crate::client::RuntimeKind;
use crate::config::ContainerConfig;
use crate::error::ShimError;
use crate::status::ExitStatus;

/// A container that is run once and removed.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The program whose `main` calls `helper_main` first; `None` means this very program.
    pub executable: Option<PathBuf>,
    /// An empty or missing directory for the container's bundle and state; emptied afterwards. At most 80 bytes long.
    pub directory: PathBuf,
    /// Its root file system.
    pub rootfs: PathBuf,
    /// What it is. `tty` and `stdin` are not supported here.
    pub container: ContainerConfig,
    /// Its cgroup, removed afterwards, such as `/maru-default/builds/17`.
    pub cgroup: String,
    /// Which program makes it.
    pub runtime: RuntimeKind,
    /// When it is killed; never when `None`.
    pub timeout: Option<Duration>,
}

/// From which of its streams an output came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Runs a container to its end and passes its output on as it comes.
///
/// # Errors
/// `ShimError::Start` with the cause when it cannot be started. A timeout is no error: the status then is signal 9.
///
/// # Cancel safety
/// Dropping the future kills the container and cleans up in the background, also when this process dies.
pub async fn run<F>(_config: RunConfig, _output: F) -> Result<ExitStatus, ShimError>
where
    F: FnMut(OutputStream, &[u8]) + Send,
{
    Err(ShimError::Protocol { message: "not supported yet".to_owned() })
}
