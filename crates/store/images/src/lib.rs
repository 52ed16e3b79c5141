//! Container images on this machine: references, layers, unpacked snapshots, mounted root file systems.
//!
//! Owns: the directory of images (blobs, references, snapshots) and the overlay mounts made from it.
//! Never: runs containers, decides when to pull, pushes; trusts a digest it did not compute or a path inside a layer.
//! Source: OCI Image Specification 1.1; OCI Distribution Specification 1.1; Docker's token authentication and `docker save`
//! format; Linux' overlayfs documentation.
//!
//! Several processes may use one directory (`maru up` runs pods while `maru image build` builds). Methods that are not
//! async block on the disk: async callers put them on a blocking thread.

mod archive;
mod cache;
mod credentials;
mod error;
mod garbage;
mod mount;
mod pull;
mod registry;
mod snapshot;
mod store;
mod unpack;
mod upper;

pub use cache::CachedResult;
pub use error::ImageError;
pub use garbage::Collected;
pub use mount::Rootfs;
pub use pull::{Credentials, Progress, ProgressEvent, PullOptions, RegistryOptions};
pub use registry::http_client;
pub use store::{Image, ImageStore, ImageSummary, Layer, Lease, Loaded};
pub use upper::{DirectoryForm, DirectoryLayer, Unpacked, unpack_archive};
