//! What can go wrong with images.

use std::io;
use std::path::{Path, PathBuf};

use maru_blobs::BlobError;
use maru_oci::{Digest, DocumentError, Reference};

/// An image could not be pulled, read, written, mounted or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No such image on this machine.
    #[error("image {digest} is not on this machine")]
    Missing {
        /// Its manifest's digest.
        digest: Digest,
    },
    /// The registry answered no.
    #[error("could not pull {reference}: {registry} answered {status} to {what}{}", suffix(message))]
    Refused {
        /// What was pulled.
        reference: Reference,
        /// The registry asked.
        registry: String,
        /// What was asked for, e.g. `the manifest`.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The registry knows no such image.
    #[error("could not pull {reference}: {registry} has no such image (status 404){}", suffix(message))]
    NotFound {
        /// What was pulled.
        reference: Reference,
        /// The registry asked.
        registry: String,
        /// The registry's words.
        message: String,
    },
    /// The registry wants other credentials.
    #[error("could not pull {reference}: {registry} refused the credentials (status {status}){}", suffix(message))]
    Unauthorized {
        /// What was pulled.
        reference: Reference,
        /// The registry asked.
        registry: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The registry could not be reached, or the connection broke.
    #[error("could not pull {reference}: no answer from {registry} for {what}")]
    Unreachable {
        /// What was pulled.
        reference: Reference,
        /// The registry asked.
        registry: String,
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry's answer does not follow the protocol.
    #[error("could not pull {reference}: {registry} broke the protocol: {problem}")]
    Protocol {
        /// What was pulled.
        reference: Reference,
        /// The registry asked.
        registry: String,
        /// In what way.
        problem: String,
    },
    /// The image is for other machines.
    #[error("{subject} is not available for {platform}; it offers {offered}")]
    Platform {
        /// The image.
        subject: String,
        /// What this machine is.
        platform: String,
        /// What there is.
        offered: String,
    },
    /// A manifest cannot be used.
    #[error("manifest {digest} cannot be used")]
    Manifest {
        /// Which one.
        digest: Digest,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// A configuration, docker configuration, reference file or archive cannot be used.
    #[error("{what} cannot be used: {problem}")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A layer cannot be unpacked, or a directory cannot become a layer.
    #[error("layer {layer} cannot be used: {problem}")]
    Layer {
        /// Which layer.
        layer: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The disk or the kernel failed.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Work was cut off because the program is ending.
    #[error("the work on an image was interrupted")]
    Interrupted,
    /// The store is being pulled into or built into, so nothing was collected.
    #[error("images are in use by a pull or a build; collect again later")]
    Busy,
}

fn suffix(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io { action, path, source }
}
