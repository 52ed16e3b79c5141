//! Content-addressed blobs in files.
//!
//! Owns: the directory of blobs (`sha256/ab/abcdef…`) and of blobs that are being received (`partial/`).
//! Never: knows what a blob means or who refers to it; hands out content under a digest it did not compute.
//! Source: OCI Image Specification 1.1, "image-layout.md" (names of blobs).
//!
//! Several processes may use one directory. A blob appears by an atomic rename after its bytes are on disk and its digest
//! was checked, so whoever sees a blob sees all of it. A partial blob belongs to whoever holds the lock on its file; the
//! lock ends with the process. Collecting garbage is safe when the caller keeps writers of references out meanwhile.

mod partial;
mod store;

pub use partial::Partial;
pub use store::{BlobError, BlobStore, BlobWriter, Collected, Stored};
