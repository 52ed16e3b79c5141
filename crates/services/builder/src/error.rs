//! What can go wrong in a build.

use std::io;
use std::path::{Path, PathBuf};

use maru_images::ImageError;

/// An image could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The description of a package image cannot be used.
    #[error("package image description: {problem}")]
    Specification {
        /// What is wrong with it.
        problem: String,
    },
    /// A `Dockerfile` cannot be understood or followed.
    #[error("line {line}: {problem}")]
    Dockerfile {
        /// Line number from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// An instruction failed.
    #[error("line {line}: {instruction}")]
    Instruction {
        /// Line number from 1.
        line: usize,
        /// Its name.
        instruction: String,
        /// Why.
        #[source]
        source: Box<BuildError>,
    },
    /// There is no such stage.
    #[error("there is no stage \"{target}\"; stages: {available}")]
    Target {
        /// The stage asked for.
        target: String,
        /// Names of stages.
        available: String,
    },
    /// A base image is not here.
    #[error("image {image} is not on this machine: {hint}")]
    NoBase {
        /// Its name.
        image: String,
        /// What to do.
        hint: String,
    },
    /// A source of a copy is not there.
    #[error("\"{source_path}\" is not there, or left out by .dockerignore")]
    Source {
        /// The source as written.
        source_path: String,
    },
    /// A URL could not be fetched.
    #[error("could not fetch {url}: {message}")]
    Fetch {
        /// The URL.
        url: String,
        /// Why.
        message: String,
    },
    /// The host cannot build images from packages.
    #[error(
        "images from packages need {missing} on this host: run `apt-get install apt dpkg` on a Debian or Ubuntu host, or build on one"
    )]
    HostTools {
        /// The programs that are not there.
        missing: String,
    },
    /// The host's apt configuration has nothing for the suite.
    #[error(
        "the host's apt has no source for suite \"{suite}\" (it has: {available}); name a `mirror` in the description"
    )]
    NoSource {
        /// The suite asked for.
        suite: String,
        /// Suites that are there.
        available: String,
    },
    /// apt or dpkg refused.
    #[error("{program} could not {action}: {message}")]
    Tool {
        /// The program.
        program: &'static str,
        /// What it was asked to do.
        action: String,
        /// Its own words.
        message: String,
    },
    /// A package is not what the signed index says.
    #[error(
        "package {package} rejected: its file hashes to {actual}, the index says {expected}; it was removed, build again"
    )]
    PackageDigest {
        /// Which package.
        package: String,
        /// What the index says.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// A program started by the build ended with an error.
    #[error("{step} ended with {status}")]
    Step {
        /// Which step.
        step: String,
        /// How it ended.
        status: String,
    },
    /// A container could not be started.
    #[error("{step} could not be started")]
    Container {
        /// Which step.
        step: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The image store failed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The disk failed.
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
    #[error("the build was interrupted")]
    Interrupted,
}

impl BuildError {
    /// Says which instruction failed, unless the error does.
    pub(crate) fn at(self, instruction: &maru_oci::Instruction) -> Self {
        match self {
            Self::Dockerfile { .. } | Self::Instruction { .. } => self,
            other => Self::Instruction {
                line: instruction.line,
                instruction: instruction.text.clone(),
                source: Box::new(other),
            },
        }
    }
}

impl From<maru_blobs::BlobError> for BuildError {
    fn from(error: maru_blobs::BlobError) -> Self {
        Self::Image(error.into())
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { action, path, source }
}

/// Runs blocking work without holding up the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BuildError::Interrupted)?
}
