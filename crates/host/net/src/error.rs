//! What can go wrong with links, routes and namespaces.

use std::path::PathBuf;

/// A link, route, address, namespace or kernel setting could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The kernel refused a request over netlink or a system call.
    #[error("could not {action}")]
    Kernel {
        /// What was tried, on what.
        action: String,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// A netlink answer made no sense.
    #[error("could not {action}: {reason}")]
    Protocol {
        /// What was tried, on what.
        action: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// A file of the runtime directory could not be written or read.
    #[error("could not {action} \"{path}\"")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The caller asked for something that cannot be.
    #[error("{what} \"{value}\" cannot be used: {reason}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The thread that does the work has died.
    #[error("the thread that would {action} ended early")]
    Thread {
        /// What it was about to do.
        action: String,
    },
}

impl NetError {
    pub(crate) fn kernel(action: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::Kernel { action: action.into(), source: source.into() }
    }

    pub(crate) fn netlink(action: impl Into<String>, error: rtnetlink::Error) -> Self {
        match error {
            rtnetlink::Error::NetlinkError(message) => Self::Kernel { action: action.into(), source: message.to_io() },
            other => Self::Protocol { action: action.into(), reason: other.to_string() },
        }
    }

    /// Tells whether the kernel said that the thing is not there.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Kernel { source, .. } | Self::File { source, .. } => {
                matches!(source.raw_os_error().map(nix::errno::Errno::from_raw), Some(code) if {
                    use nix::errno::Errno;
                    matches!(code, Errno::ENODEV | Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL | Errno::ENXIO)
                })
            }
            Self::Protocol { .. } | Self::Argument { .. } | Self::Thread { .. } => false,
        }
    }
}
