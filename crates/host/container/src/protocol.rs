//! What daemon and shim say to each other: one JSON message per packet of a SOCK_SEQPACKET socket, descriptors beside it.
//!
//! A connection carries one request. The shim speaks first (`Hello`), so that a newer daemon knows how to talk to an older shim.
//! Anything large (specifications) goes through files in the pod's directory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::client::RuntimeKind;
use crate::program::TerminalSize;
use crate::status::{ContainerId, ContainerState, ExitStatus, Started};

/// The version of the messages below. Raise it when an old shim would misunderstand a new daemon; the daemon must go on speaking
/// every version from `VERSION_MIN` on.
pub(crate) const VERSION: u32 = 1;
/// The oldest version that the daemon still speaks.
pub(crate) const VERSION_MIN: u32 = 1;
/// Largest packet.
pub(crate) const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Name of the socket in the pod's directory.
pub(crate) const SOCKET: &str = "shim.sock";
/// Name of the file with the shim's options in the pod's directory.
pub(crate) const OPTIONS: &str = "shim.json";
/// Name of the directory with a directory per container in the pod's directory.
pub(crate) const CONTAINERS: &str = "c";
/// Name of the state file in a container's directory.
pub(crate) const STATE: &str = "state.json";
/// Name of the runtime's own directory in the pod's directory.
pub(crate) const RUNTIME_ROOT: &str = "oci";

/// How a shim was started; kept in `shim.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShimSetup {
    pub(crate) directory: PathBuf,
    pub(crate) pod_uid: String,
    pub(crate) cgroup: String,
    pub(crate) runtime: RuntimeKind,
}

/// What the daemon asks for; the first and only message of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Answered by `Started` or `Failed`; with `hold` also by `Exited`. With `hold`, three descriptors are the container's
    /// standard streams, and the end of the connection ends shim and container.
    Start(StartOrder),
    /// Answered by a `State` per container and `End`.
    States,
    /// As `States`, once the generation is newer.
    Wait { generation: u64 },
    /// Answered by `Done` or `Refused`.
    Signal { id: ContainerId, signal: i32 },
    /// Answered by `Done` or `Refused`.
    Remove { id: ContainerId },
    /// With three descriptors for the standard streams unless `tty`. Answered by `Started` (with the terminal beside it if
    /// `tty`) and `Exited`, or by `Failed` or `Refused`.
    Exec { id: ContainerId, process: PathBuf, tty: bool, kill_on_close: bool },
    /// With descriptors to write output and errors to, and maybe one to read input from. Answered by `Attached` or `Refused`.
    /// The end of the connection ends it.
    Attach { id: ContainerId },
    /// Answered by `Done` or `Refused`.
    Resize { id: ContainerId, size: TerminalSize },
    /// Answered by `Done` or `Refused`; then the shim ends.
    Shutdown,
}

/// A container to start; its bundle is in its directory already.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartOrder {
    pub(crate) id: ContainerId,
    pub(crate) log: Option<LogOrder>,
    pub(crate) tty: bool,
    pub(crate) stdin: bool,
    pub(crate) stdin_once: bool,
    /// Whether the kernel ends all processes of the container with its first one.
    pub(crate) own_pids: bool,
    pub(crate) hold: bool,
}

/// A log to write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogOrder {
    pub(crate) path: PathBuf,
    pub(crate) bytes_max: u64,
    pub(crate) files_max: u32,
}

/// What the shim says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// First message of every connection.
    Hello {
        version: u32,
        pid: i32,
    },
    Started(Started),
    Exited(ExitStatus),
    State(ContainerState),
    End {
        generation: u64,
    },
    Attached {
        stdin: bool,
    },
    Done,
    /// The request does not fit the state of things.
    Refused {
        message: String,
    },
    /// The container or program could not be started.
    Failed {
        message: String,
    },
}

/// What a helper process is to do; its only argument besides the subcommand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HelperTask {
    pub(crate) runtime: RuntimeKind,
    /// Where the runtime keeps its state.
    pub(crate) root: PathBuf,
    /// The container's id there.
    pub(crate) container: String,
    pub(crate) bundle: PathBuf,
    /// The process file of a program to run in the container; `None` to start the container.
    pub(crate) process: Option<PathBuf>,
    /// Socket that takes the terminal.
    pub(crate) console: Option<PathBuf>,
    /// Numbers of the inherited descriptors for the standard streams.
    pub(crate) stdio: Option<[i32; 3]>,
    /// Number of the inherited descriptor for the report.
    pub(crate) report: i32,
}

/// What a helper did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The program runs.
    Pid(i32),
    /// It does not, and why.
    Error(String),
}
