//! Containers and the pod shim around libcontainer.
//!
//! Owns: turning a `ContainerConfig` into a running container; the shim process of each pod with its socket, log and state
//! files; programs run inside containers; one-off containers; cgroups of pods and containers.
//! Never: pulls images, mounts root file systems, makes network namespaces, decides when a container is restarted.
//! Source: OCI Runtime Specification 1.2; the kernel's admin-guide on cgroup v1 and v2; the CRI log format.
//!
//! Processes: the daemon starts one shim per pod (`__shim`), which outlives it; the shim starts a helper (`__oci`) for every
//! container or program, which makes it as a child of the shim and ends. Both are this very program: `main` must call
//! [`helper_main`] before it starts a thread.

mod capabilities;
mod cgroup;
mod client;
mod config;
mod connection;
mod error;
mod executor;
mod helper;
mod log;
mod program;
mod protocol;
mod run;
mod seccomp;
mod shim;
mod spec;
mod state;
mod status;
mod stream;
mod syscalls;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

pub use cgroup::{Cgroup, CgroupStats, PodCgroup, Pressure, Stall};
pub use client::{LogLimits, RuntimeKind, Shim, ShimOptions, StartRequest, stored_states};
pub use config::{
    Capabilities, ContainerConfig, Device, Mount, MountSource, Namespace, Namespaces, Propagation, Resources, Rlimit,
    Seccomp, User,
};
pub use error::{CgroupError, ConfigError, ShimError};
pub use program::{AttachHandle, ExecConfig, ExecHandle, Resizer, TerminalSize};
pub use run::{OutputStream, RunConfig, run};
pub use status::{ContainerId, ContainerPhase, ContainerState, ExitStatus, PodState, Started};
pub use stream::ContainerStream;
pub use user::{ResolvedUser, resolve_user};

/// Runs a hidden subcommand when `args` (with the program's name first) asks for one; `None` otherwise.
///
/// Must be called first thing in `main`: the helpers rely on being single-threaded.
#[must_use]
pub fn helper_main(args: &[OsString]) -> Option<ExitCode> {
    let rest = args.get(2..).unwrap_or_default();
    match args.get(1)?.to_str()? {
        "__shim" => Some(shim::main(rest)),
        "__oci" => Some(helper::main(rest)),
        _ => None,
    }
}
