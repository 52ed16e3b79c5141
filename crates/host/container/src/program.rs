//! Programs in running containers, and the streams of containers, as the daemon holds them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::client::{local, unexpected};
use crate::connection::Connection;
use crate::error::ShimError;
use crate::protocol::Response;
use crate::status::{ExitStatus, Started};
use crate::stream::ContainerStream;

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
    pub(crate) connection: Connection,
    pub(crate) exited: Option<ExitStatus>,
    pub(crate) terminal: Option<Arc<OwnedFd>>,
}

impl ExecHandle {
    /// Waits for the program's end. Cancel safe; answers again when called again.
    ///
    /// # Errors
    /// When the shim ends before.
    pub async fn exit(&mut self) -> Result<ExitStatus, ShimError> {
        if let Some(status) = &self.exited {
            return Ok(status.clone());
        }
        match self.connection.receive("waiting for a program").await?.0 {
            Response::Exited(status) => {
                self.exited = Some(status.clone());
                Ok(status)
            }
            other => Err(unexpected(other)),
        }
    }

    /// Returns a handle with which the terminal's size can be changed while the streams are in use.
    #[must_use]
    pub fn resizer(&self) -> Option<Resizer> {
        self.terminal.clone().map(Resizer)
    }
}

/// Changes the size of a program's terminal.
#[derive(Debug, Clone)]
pub struct Resizer(Arc<OwnedFd>);

impl Resizer {
    /// Sets the size; the program gets SIGWINCH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        maru_sys::set_terminal_size(&*self.0, size.width, size.height)
    }
}

/// The standard streams of a running container.
#[derive(Debug)]
pub struct AttachHandle {
    /// Standard input; `None` when not asked for or when the container has none.
    pub stdin: Option<ContainerStream>,
    /// Standard output, or the terminal.
    pub stdout: ContainerStream,
    /// Standard error; ends with the container, without a byte with a terminal.
    pub stderr: ContainerStream,
    /// Its end detaches.
    pub(crate) _connection: Connection,
}

/// Waits for the start of a program.
pub(crate) async fn exec_started(connection: &mut Connection) -> Result<(Started, Vec<OwnedFd>), ShimError> {
    match connection.receive("starting a program").await? {
        (Response::Started(started), descriptors) => Ok((started, descriptors)),
        (Response::Failed { message }, _) => Err(ShimError::Exec { message }),
        (other, _) => Err(unexpected(other)),
    }
}

/// Takes the terminal of a program.
pub(crate) async fn exec_on_terminal(mut connection: Connection, config: &ExecConfig) -> Result<ExecHandle, ShimError> {
    let (started, descriptors) = exec_started(&mut connection).await?;
    let Some(terminal) = descriptors.into_iter().next() else {
        return Err(ShimError::Protocol { message: "the terminal is missing".to_owned() });
    };
    let copy = || terminal.try_clone().and_then(ContainerStream::new).map_err(local);
    let (stdin, stdout) = (copy()?, copy()?);
    let terminal = Arc::new(terminal);
    if let Some(size) = config.size {
        // The program may have ended already.
        drop(Resizer(Arc::clone(&terminal)).resize(size));
    }
    let stdin = config.stdin.then_some(stdin);
    let (pid, terminal) = (started.pid, Some(terminal));
    Ok(ExecHandle { stdin, stdout: Some(stdout), stderr: None, pid, connection, exited: None, terminal })
}
