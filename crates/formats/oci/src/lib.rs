//! OCI image formats: references, digests, manifests, configurations, layers; and the languages images are built with.
//!
//! Owns: the meaning of bytes that make up an image, of a `Dockerfile` and of a `.dockerignore`.
//! Never: opens a file or a socket, keeps anything, trusts a digest without computing it.
//! Source: OCI Image Specification 1.1; Docker Registry HTTP API V2 (reference grammar); Dockerfile reference.

mod compression;
mod config;
mod digest;
mod dockerfile;
mod expand;
mod glob;
mod ignore;
mod layer;
mod layer_writer;
mod manifest;
mod reference;

pub use compression::decompress;
pub use config::{Healthcheck, HistoryEntry, ImageConfig, RootFs, RuntimeConfig};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use dockerfile::{
    Command, CopyInstruction, Dockerfile, DockerfileError, FromInstruction, HealthcheckInstruction, Heredoc,
    Instruction, InstructionKind, Mount, MountKind, Network, RunInstruction,
};
pub use expand::{ExpandError, expand, expand_variables, split_words};
pub use glob::Glob;
pub use ignore::{IgnoreError, IgnoreRules};
pub use layer::{Entry, EntryKind, LayerChange, LayerError, LayerLimits, read_archive, read_layer};
pub use layer_writer::LayerWriter;
pub use manifest::{Descriptor, Document, DocumentError, Index, Manifest, Platform, media_type};
pub use reference::{Reference, ReferenceError};
