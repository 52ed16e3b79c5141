//! The daemon's side of a shim: one short connection per request, so that a `Shim` is a path and can be cloned freely.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::config::ContainerConfig;
use crate::error::ShimError;
use crate::status::{ContainerId, ContainerState, ExitStatus, PodState, Started};

/// How a pod's shim is started.
#[derive(Debug, Clone)]
pub struct ShimOptions {
    /// The program whose `main` calls `helper_main` first; `None` means this very program.
    pub executable: Option<PathBuf>,
    /// The pod's directory: socket, state files, bundles. Made when missing (0700). At most 90 bytes long.
    pub directory: PathBuf,
    /// The pod's uid; prefixes container ids.
    pub pod_uid: String,
    /// The pod's cgroup below the controllers' roots, such as `/maru-default/pod1234`. Containers get a child of it.
    pub cgroup: String,
    /// Which program makes the containers.
    pub runtime: RuntimeKind,
}

/// Which program makes the containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RuntimeKind {
    /// The built-in one.
    #[default]
    Embedded,
    /// An OCI runtime with runc's command line, by name or path (`runc`, `crun`, `runsc`).
    External(PathBuf),
}

/// Limits of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// The file is rotated before it grows beyond this size.
    pub bytes_max: u64,
    /// Number of files kept, the current one included; at least 1. Rotated files are named `<path>.1` (newest) upwards.
    pub files_max: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { bytes_max: 10 * 1024 * 1024, files_max: 5 }
    }
}

/// A container to start.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Its identity; an attempt can be started once.
    pub id: ContainerId,
    /// Its root file system, mounted by the caller, who unmounts it after `remove`.
    pub rootfs: PathBuf,
    /// What it is.
    pub config: ContainerConfig,
    /// Where its output goes in CRI form (`<time> stdout F <line>`); the directory must exist. `None` drops the output.
    pub log_path: Option<PathBuf>,
    /// When the log is rotated.
    pub log_limits: LogLimits,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A program to run in a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecConfig {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Environment on top of the container's.
    pub env: Vec<(String, String)>,
    /// Working directory; the container's when `None`.
    pub working_directory: Option<String>,
    /// Whether it gets a terminal: then input and output are one stream and there is no standard error.
    pub tty: bool,
    /// First size of the terminal.
    pub size: Option<TerminalSize>,
    /// Whether standard input is wanted; otherwise it is `/dev/null`.
    pub stdin: bool,
    /// Whether the program is killed when the `ExecHandle` is dropped before its end.
    pub kill_on_drop: bool,
}

/// A connection to the shim of one pod. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Shim {
    directory: PathBuf,
}

impl Shim {
    /// Starts the shim of a pod. It outlives this process.
    ///
    /// # Errors
    /// When the shim cannot start, with what it said.
    pub async fn spawn(options: ShimOptions) -> Result<Self, ShimError> {
        Ok(Self { directory: options.directory })
    }

    /// Finds the shim that an earlier process left in a pod's directory.
    ///
    /// # Errors
    /// `ShimError::Gone` when none answers.
    pub async fn connect(directory: &Path) -> Result<Self, ShimError> {
        Ok(Self { directory: directory.to_owned() })
    }

    /// Returns the pod's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates and starts a container; returns once its program runs.
    ///
    /// # Errors
    /// `ShimError::Start` with the cause when the container cannot be made or its program not be executed; the container then
    /// is in phase `Failed` until removed. `ShimError::Config` when the configuration cannot be used.
    pub async fn start(&self, _request: StartRequest) -> Result<Started, ShimError> {
        Err(not_yet())
    }

    /// Returns the state of every container that was not removed.
    ///
    /// # Errors
    /// When the shim does not answer.
    pub async fn states(&self) -> Result<PodState, ShimError> {
        Err(not_yet())
    }

    /// Waits until the state is newer than `generation` (0 returns at once). Cancel safe.
    ///
    /// # Errors
    /// When the shim ends: `Gone` or `Disconnected`.
    pub async fn wait_change(&self, _generation: u64) -> Result<PodState, ShimError> {
        Err(not_yet())
    }

    /// Sends a signal by number to the container's first process. A container that ended already is no error.
    ///
    /// # Errors
    /// `Refused` when there is no such container.
    pub async fn signal(&self, _id: &ContainerId, _signal: i32) -> Result<(), ShimError> {
        Err(not_yet())
    }

    /// Kills what is left of a container and deletes its cgroup, bundle and state. Its log and root file system stay.
    /// Removing what does not exist is no error.
    ///
    /// # Errors
    /// When something cannot be deleted; calling again continues.
    pub async fn remove(&self, _id: &ContainerId) -> Result<(), ShimError> {
        Err(not_yet())
    }

    /// Runs a program in a running container.
    ///
    /// # Errors
    /// `ShimError::Exec` with the cause when it cannot be started; `Refused` when the container does not run.
    pub async fn exec(&self, _id: &ContainerId, _config: ExecConfig) -> Result<ExecHandle, ShimError> {
        Err(not_yet())
    }

    /// Connects to the standard streams of a running container: output from now on, and input when the container has it.
    ///
    /// # Errors
    /// `Refused` when the container does not run.
    pub async fn attach(&self, _id: &ContainerId, _stdin: bool) -> Result<AttachHandle, ShimError> {
        Err(not_yet())
    }

    /// Changes the size of a container's terminal.
    ///
    /// # Errors
    /// `Refused` when the container has none.
    pub async fn resize(&self, _id: &ContainerId, _size: TerminalSize) -> Result<(), ShimError> {
        Err(not_yet())
    }

    /// Kills and removes all containers and ends the shim. Its directory stays, without socket and state files.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub async fn shutdown(&self) -> Result<(), ShimError> {
        Err(not_yet())
    }
}

fn not_yet() -> ShimError {
    ShimError::Protocol { message: "not supported yet".to_owned() }
}

/// Reads what a shim that died left behind: phases other than the final ones are reported as `Lost` after the pod's remaining
/// processes were killed. Blocking.
///
/// # Errors
/// When the directory cannot be read.
pub fn stored_states(_directory: &Path) -> Result<Vec<ContainerState>, ShimError> {
    Err(not_yet())
}

/// A program that runs in a container.
#[derive(Debug)]
pub struct ExecHandle {
    /// Its standard input, when asked for. Dropping it closes it (not so for a terminal: write end-of-transmission instead).
    pub stdin: Option<ContainerStream>,
    /// Its standard output, or its terminal.
    pub stdout: Option<ContainerStream>,
    /// Its standard error; `None` with a terminal.
    pub stderr: Option<ContainerStream>,
    /// Its process id as the host sees it.
    pub pid: i32,
}

impl ExecHandle {
    /// Waits for the program's end. Cancel safe; may be called once it returned again.
    ///
    /// # Errors
    /// When the shim ends before.
    pub async fn exit(&mut self) -> Result<ExitStatus, ShimError> {
        Err(not_yet())
    }

    /// Returns a handle with which the terminal's size can be changed while the streams are in use.
    #[must_use]
    pub fn resizer(&self) -> Option<Resizer> {
        None
    }
}

/// Changes the size of a program's terminal.
#[derive(Debug, Clone)]
pub struct Resizer(std::sync::Arc<OwnedFd>);

impl Resizer {
    /// Sets the size; the program gets SIGWINCH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, _size: TerminalSize) -> std::io::Result<()> {
        let _fd = &self.0;
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The standard streams of a running container.
#[derive(Debug)]
pub struct AttachHandle {
    /// Standard input; `None` when not asked for or when the container has none.
    pub stdin: Option<ContainerStream>,
    /// Standard output, or the terminal.
    pub stdout: ContainerStream,
    /// Standard error; ends at once with a terminal.
    pub stderr: ContainerStream,
}

/// One stream of a program: a pipe or a terminal, for tokio's `AsyncRead` or `AsyncWrite`.
#[derive(Debug)]
pub struct ContainerStream(tokio::io::unix::AsyncFd<OwnedFd>);

impl tokio::io::AsyncRead for ContainerStream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        loop {
            let mut guard = std::task::ready!(self.0.poll_read_ready(context))?;
            let read = guard.try_io(|fd| {
                let unfilled = buffer.initialize_unfilled();
                match nix::unistd::read(fd.get_ref(), unfilled) {
                    // A terminal whose last program ended answers EIO: that is its end of file.
                    Err(nix::errno::Errno::EIO) => Ok(0),
                    other => other.map_err(std::io::Error::from),
                }
            });
            match read {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return std::task::Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return std::task::Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl tokio::io::AsyncWrite for ContainerStream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        loop {
            let mut guard = std::task::ready!(self.0.poll_write_ready(context))?;
            let written = guard.try_io(|fd| nix::unistd::write(fd.get_ref(), bytes).map_err(std::io::Error::from));
            match written {
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(result) => return std::task::Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
