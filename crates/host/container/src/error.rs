//! The errors of this room.

use std::path::PathBuf;

/// A shim or one of its containers did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShimError {
    /// The shim could not be started.
    #[error("could not start the pod's shim: {message}")]
    Spawn {
        /// What it said.
        message: String,
    },
    /// No shim answers in the directory: it ended or was killed. `stored_states` tells what it left.
    #[error("no shim answers at {}", socket.display())]
    Gone {
        /// Its socket.
        socket: PathBuf,
        /// What the connection said.
        #[source]
        source: std::io::Error,
    },
    /// The shim closed the connection in the middle of a request.
    #[error("the shim ended while {doing}")]
    Disconnected {
        /// What was going on.
        doing: &'static str,
    },
    /// The shim speaks a protocol that this version of Maru does not know.
    #[error(
        "the shim speaks protocol version {version}; this Maru knows {known}; delete the pod so that it starts anew"
    )]
    Version {
        /// The shim's version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// The configuration cannot be turned into a container.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The container could not be started, with the cause in words.
    #[error("{message}")]
    Start {
        /// Such as `executable "foo" not found in $PATH`.
        message: String,
    },
    /// The program in the container could not be started.
    #[error("{message}")]
    Exec {
        /// Such as `executable "foo" not found in $PATH`.
        message: String,
    },
    /// The pod has no such container, or not in a state that permits the request.
    #[error("{message}")]
    Refused {
        /// Which, and why.
        message: String,
    },
    /// A file or socket of the pod's directory could not be used.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// A verb: `write`, `read`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The shim sent what is not a message of the protocol.
    #[error("the shim's answer makes no sense: {message}")]
    Protocol {
        /// What was wrong.
        message: String,
    },
}

/// A container's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no program to run.
    #[error("the container has no command")]
    NoCommand,
    /// The user is not in the image's `/etc/passwd`.
    #[error("no user {name:?} in the image's /etc/passwd; use a number or add the user to the image")]
    NoUser {
        /// As given.
        name: String,
    },
    /// The group is not in the image's `/etc/group`.
    #[error("no group {name:?} in the image's /etc/group; use a number or add the group to the image")]
    NoGroup {
        /// As given.
        name: String,
    },
    /// There is no such capability.
    #[error("no capability {name:?}")]
    Capability {
        /// As given.
        name: String,
    },
    /// There is no such resource limit.
    #[error("no resource limit {name:?}")]
    Rlimit {
        /// As given.
        name: String,
    },
    /// The seccomp profile could not be used.
    #[error("seccomp profile {}: {message}", path.display())]
    Seccomp {
        /// The profile's file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A path must be absolute.
    #[error("{what} {path:?} must be an absolute path without \"..\"")]
    Path {
        /// What the path is for.
        what: &'static str,
        /// As given.
        path: String,
    },
    /// The source of a bind mount does not exist or cannot be used.
    #[error("mount at {target:?}: source {} cannot be used", source_path.display())]
    MountSource {
        /// Where it was to be mounted.
        target: String,
        /// What was to be mounted.
        source_path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file of the root file system could not be read or made.
    #[error("could not {doing} {} in the container's root file system", path.display())]
    RootFs {
        /// A verb.
        doing: &'static str,
        /// Path inside the container.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A cgroup could not be used.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} cgroup {}", path.display())]
pub struct CgroupError {
    /// A verb.
    pub doing: &'static str,
    /// The directory or file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}
