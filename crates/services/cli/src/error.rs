//! What goes wrong between a person and the API.

use std::path::PathBuf;

/// A command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The API server answered with a refusal; its own words are the message.
    #[error("{message}")]
    Refused {
        /// The server's message.
        message: String,
        /// The HTTP status.
        code: u16,
        /// The machine-readable reason, such as `NotFound`.
        reason: String,
    },
    /// The API server could not be reached or broke off.
    #[error("the API server did not answer; is it running? start it with \"maru up\"")]
    Unreachable(#[source] Box<kube::Error>),
    /// The answer was not understood.
    #[error("the API server's answer to {request} was not understood")]
    Answer {
        /// What was asked.
        request: String,
        /// Why it was not understood.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A kind is not served.
    #[error("the server has no resource type \"{name}\"; \"maru get --help\" shows how types are named")]
    NoSuchKind {
        /// What was typed.
        name: String,
    },
    /// A file could not be read.
    #[error("cannot read \"{path}\"")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no usable manifests.
    #[error("\"{path}\", document {document}: {message}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Which document of the file, from 1.
        document: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// What was typed does not make sense together.
    #[error("{0}")]
    Usage(String),
    /// Something did not happen in time.
    #[error("timed out after {seconds} s waiting for {what}")]
    Timeout {
        /// What was waited for, and how it stands.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// Reading from or writing to the terminal failed.
    #[error("the terminal cannot be used")]
    Terminal(#[source] std::io::Error),
}

impl From<kube::Error> for CliError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused {
                message: if status.message.is_empty() { status.reason.clone() } else { status.message.clone() },
                code: status.code,
                reason: status.reason.clone(),
            },
            other => Self::Unreachable(Box::new(other)),
        }
    }
}

impl CliError {
    /// Tells whether the server said that the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }
}
