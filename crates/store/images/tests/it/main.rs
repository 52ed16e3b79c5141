//! The image store against a real kernel, a real registry protocol and real archives.

mod archives;
mod mounts;
mod pulls;
mod support;
