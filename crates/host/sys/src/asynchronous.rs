//! Descriptors that a tokio runtime watches.

use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// A descriptor registered with the current runtime. Reading and writing are the caller's, with the methods of `AsyncFd`.
#[derive(Debug)]
pub struct AsyncDescriptor(AsyncFd<OwnedFd>);

impl AsyncDescriptor {
    /// Registers a descriptor, which should be non-blocking.
    ///
    /// # Errors
    /// When the kernel cannot watch it, as for regular files.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` keeps its number and stays open while it lives; this type gives shared access only, so that
        // nobody can replace it before it is deregistered on drop.
        Ok(Self(unsafe { AsyncFd::register(descriptor) }?))
    }
}

impl Deref for AsyncDescriptor {
    type Target = AsyncFd<OwnedFd>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
