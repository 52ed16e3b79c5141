//! Sealing of secrets for the disk.

use std::path::Path;

use crate::files::KeyFileError;

/// A sealed value cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key's file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It is not a sealed value.
    #[error("the value is not sealed")]
    Malformed,
    /// It was sealed with another key.
    #[error("the value was sealed with key {found}, not with {known}")]
    OtherKey {
        /// The key named in the value.
        found: String,
        /// Our key.
        known: String,
    },
    /// It was changed, or belongs to another context.
    #[error("the sealed value was changed or belongs elsewhere")]
    Tampered,
}

/// Seals values with AES-256-GCM under a key in a file.
#[derive(Debug)]
pub struct SecretSealer {}

impl SecretSealer {
    /// Reads `secrets.key` of a directory, or makes it.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(_directory: &Path) -> Result<Self, SealError> {
        todo!()
    }

    /// Seals a value; it opens only with the same `context` (for example the object's key).
    #[must_use]
    pub fn seal(&self, _context: &str, _plain: &[u8]) -> Vec<u8> {
        todo!()
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// When it was sealed with another key, in another context, or changed.
    pub fn open(&self, _context: &str, _sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        todo!()
    }
}
