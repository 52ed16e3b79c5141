//! Static bearer tokens, stored as hashes.

use std::path::Path;

use crate::files::KeyFileError;
use crate::identity::Identity;
use crate::secret::SecretText;

/// A static token cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// Static bearer tokens: long random texts whose hashes are in a file.
#[derive(Debug)]
pub struct BearerTokens {}

impl BearerTokens {
    /// Reads `tokens.json` of a directory, or makes it with a token of the user `admin` in `system:masters`.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(_directory: &Path) -> Result<Self, BearerError> {
        todo!()
    }

    /// Returns the admin's token when this call of `load_or_create` made it; it is stored nowhere else.
    #[must_use]
    pub fn first_admin_token(&self) -> Option<&SecretText> {
        todo!()
    }

    /// Makes a token for a user and returns it; only its hash is kept. Other tokens of that user stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, _user: &str, _groups: &[&str]) -> Result<SecretText, BearerError> {
        todo!()
    }

    /// Removes all tokens of a user and returns how many there were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&self, _user: &str) -> Result<usize, BearerError> {
        todo!()
    }

    /// Returns whose token it is.
    #[must_use]
    pub fn identity(&self, _token: &str) -> Option<Identity> {
        todo!()
    }
}
