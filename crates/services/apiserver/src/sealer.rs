//! Seals Secrets on disk.

use maru_auth::SecretSealer;
use maru_objects::{Key, Sealer};

/// Seals the values of Secrets, and of nothing else, for the object store.
#[derive(Debug)]
pub struct SealedSecrets(SecretSealer);

impl SealedSecrets {
    /// Seals with the given key.
    #[must_use]
    pub fn new(sealer: SecretSealer) -> Self {
        Self(sealer)
    }
}

impl Sealer for SealedSecrets {
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>> {
        (&*key.resource == "secrets").then(|| self.0.seal(&key.to_string(), plain))
    }

    fn open(&self, key: &Key, sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(&key.to_string(), sealed).ok()
    }
}
