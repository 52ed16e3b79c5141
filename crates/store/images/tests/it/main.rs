//! The image store against a real kernel, a real registry protocol and real archives.

mod mounts;
mod support;
