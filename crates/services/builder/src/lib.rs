//! Builds images from Dockerfiles and from distribution packages.
//!
//! Owns: build plans, the layer cache's keys, the private package directories of the host's apt.
//! Never: pushes or pulls images, needs a running Maru or another daemon, runs a package's script outside a container.
//! Source: Dockerfile reference; Debian Policy; apt.conf(5), sources.list(5); CycloneDX 1.6; reproducible-builds.org
//! "SOURCE_DATE_EPOCH".

mod dockerfile;
mod error;
mod inside;
mod network;
mod packages;
mod progress;
mod work;

pub use dockerfile::{BuildNetwork, BuildRequest, DockerfileSource, HostAccess, build};
pub use error::BuildError;
pub use packages::{FileSpec, PackageRequest, PackageSpec, Refresh, UserSpec, build_packages};
pub use progress::{BuildEvent, Progress, TextProgress};

use std::time::Duration;

use maru_oci::Digest;

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOutcome {
    /// The image.
    pub digest: Digest,
    /// Whether every step came from the cache.
    pub cached: bool,
    /// Each step with the time it took, in order.
    pub durations: Vec<(String, Duration)>,
}
