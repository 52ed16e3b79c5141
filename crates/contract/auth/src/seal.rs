//! Sealing of secrets for the disk.

use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::files::{self, KeyFileError};

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

/// A sealed value: "MRS" and the format, the first bytes of the key's SHA-256, a random nonce, ciphertext, tag.
const MAGIC: [u8; 4] = *b"MRS\x01";
const KEY_ID_BYTES: usize = 8;
const HEADER_BYTES: usize = MAGIC.len() + KEY_ID_BYTES;

/// Seals values with AES-256-GCM under a key in a file.
pub struct SecretSealer {
    key: LessSafeKey,
    key_id: [u8; KEY_ID_BYTES],
}

impl std::fmt::Debug for SecretSealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SecretSealer").field("key_id", &maru_ids::to_hex(&self.key_id)).finish_non_exhaustive()
    }
}

impl SecretSealer {
    /// Reads `secrets.key` of a directory, or makes it.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(directory: &Path) -> Result<Self, SealError> {
        files::create_directory(directory)?;
        let path = directory.join("secrets.key");
        let content = match files::read_private(&path)? {
            Some(content) => content,
            None => {
                let mut content = vec![0u8; AES_256_GCM.key_len()];
                maru_ids::fill_random(&mut content);
                files::write_whole(&path, &content, 0o600)?;
                content
            }
        };
        let key = UnboundKey::new(&AES_256_GCM, &content)
            .map_err(|_| KeyFileError::Content { path, expected: "a key of 32 bytes" })?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        let mut key_id = [0u8; KEY_ID_BYTES];
        key_id.copy_from_slice(&digest.as_ref()[..KEY_ID_BYTES]);
        Ok(Self { key: LessSafeKey::new(key), key_id })
    }

    /// Returns the bytes that only the right context yields: the header, then the context.
    fn aad(&self, context: &str) -> Vec<u8> {
        [MAGIC.as_slice(), &self.key_id, context.as_bytes()].concat()
    }

    /// Seals a value; it opens only with the same `context` (for example the object's key).
    ///
    /// # Panics
    /// When the value is larger than 64 GiB, the limit of the cipher.
    #[must_use]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        // Random nonces are safe up to 2^32 values under one key (NIST SP 800-38D §8.3).
        let mut nonce = [0u8; NONCE_LEN];
        maru_ids::fill_random(&mut nonce);
        let mut content = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.aad(context)), &mut content)
            .expect("values are far smaller than the cipher's limit");
        [MAGIC.as_slice(), &self.key_id, &nonce, &content].concat()
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// When it was sealed with another key, in another context, or changed.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(SealError::Malformed)?;
        let (magic, key_id) = header.split_at(MAGIC.len());
        let (nonce, content) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Malformed)?;
        if magic != MAGIC {
            return Err(SealError::Malformed);
        }
        if key_id != self.key_id {
            let (found, known) = (maru_ids::to_hex(key_id), maru_ids::to_hex(&self.key_id));
            return Err(SealError::OtherKey { found, known });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
        let mut content = content.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(self.aad(context)), &mut content)
            .map_err(|_| SealError::Tampered)?
            .len();
        content.truncate(plain);
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> SecretSealer {
        let directory = std::env::temp_dir().join(format!("maru-auth-{}", maru_ids::random_suffix(8)));
        let sealer = SecretSealer::load_or_create(&directory).unwrap();
        let again = SecretSealer::load_or_create(&directory).unwrap();
        assert_eq!(again.open("a", &sealer.seal("a", b"x")).unwrap(), b"x");
        std::fs::remove_dir_all(directory).unwrap();
        sealer
    }

    #[test]
    fn a_value_opens_only_where_it_belongs() {
        let (ours, theirs) = (sealer(), sealer());
        let sealed = ours.seal("secrets/a/one", b"password");
        assert!(!sealed.windows(8).any(|window| window == b"password"));
        assert!(matches!(ours.open("secrets/a/two", &sealed), Err(SealError::Tampered)));
        assert!(matches!(theirs.open("secrets/a/one", &sealed), Err(SealError::OtherKey { .. })));
        assert!(matches!(ours.open("secrets/a/one", b"{}"), Err(SealError::Malformed)));
        assert_ne!(sealed, ours.seal("secrets/a/one", b"password"), "each sealing differs");
    }

    proptest::proptest! {
        #[test]
        fn what_is_sealed_opens_and_any_change_is_seen(plain: Vec<u8>, context in ".{0,20}", at: proptest::sample::Index) {
            static SEALER: std::sync::OnceLock<SecretSealer> = std::sync::OnceLock::new();
            let sealer = SEALER.get_or_init(sealer);
            let mut sealed = sealer.seal(&context, &plain);
            proptest::prop_assert_eq!(sealer.open(&context, &sealed).unwrap(), plain);
            let at = at.index(sealed.len());
            sealed[at] ^= 1;
            proptest::prop_assert!(sealer.open(&context, &sealed).is_err());
        }
    }
}
