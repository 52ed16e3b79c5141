//! What can go wrong in the store, by what was tried.

use std::path::PathBuf;
use std::time::Duration;

/// The store could not be opened. Damage does not lead here: it is set aside and reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use by another process; stop that one or choose another directory", directory.display())]
    InUse {
        /// The store's directory.
        directory: PathBuf,
    },
    /// A file or directory could not be read or made.
    #[error("could not open the store: {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// An option makes no sense.
    #[error("the store's option {option} is wrong: {reason}")]
    Option {
        /// Which.
        option: &'static str,
        /// Why.
        reason: String,
    },
}

/// Nothing of a batch was acknowledged. Sending the same batch again later is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The disk is full; the store tries again by itself.
    #[error("the disk is full; free space or lower the retention, the store goes on by itself")]
    DiskFull {
        /// When to send again.
        retry_after: Duration,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
    /// The disk refused for another reason; the store tries again by itself.
    #[error("the log could not be written")]
    Log {
        /// When to send again.
        retry_after: Duration,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    /// Returns after which time the sender should try again; `None` when it is of no use.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::DiskFull { retry_after, .. } | Self::Log { retry_after, .. } => Some(*retry_after),
            Self::Closed => None,
        }
    }
}

/// Samples could not be found or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// More series than the caller allows.
    #[error("the selection finds more than {series_max} series; narrow it by more matchers or a shorter time range")]
    TooManySeries {
        /// The caller's limit.
        series_max: usize,
    },
    /// Samples as they came are gone, and the function cannot do with downsampled ones.
    #[error(
        "{function} needs every {what}, and up to {} they are kept downsampled to {} s only; ask for a later time range, or for \
         min_over_time, max_over_time, avg_over_time, rate or increase of floats",
        moment(*end_ms), interval.as_secs()
    )]
    Downsampled {
        /// The function.
        function: String,
        /// What it needs.
        what: &'static str,
        /// The interval that samples were downsampled to.
        interval: Duration,
        /// The last moment for which that holds, in milliseconds since 1970.
        end_ms: i64,
    },
    /// A file could not be read.
    #[error("could not read {what}: {reason}")]
    Read {
        /// Which piece.
        what: String,
        /// Why not.
        reason: String,
    },
}

fn moment(at_ms: i64) -> String {
    maru_time::Timestamp::from_millisecond(at_ms).map_or_else(|_| format!("{at_ms} ms"), |moment| moment.to_string())
}

/// A maintenance step failed. The store goes on serving; the step may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("could not {action}: {reason}")]
#[non_exhaustive]
pub struct MaintainError {
    /// What was tried.
    pub action: &'static str,
    /// Why not, with all causes.
    pub reason: String,
}

impl MaintainError {
    pub(crate) fn new(action: &'static str, error: &dyn std::error::Error) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            reason.push_str(": ");
            reason.push_str(&next.to_string());
            cause = next.source();
        }
        Self { action, reason }
    }
}
