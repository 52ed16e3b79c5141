//! Static bearer tokens, stored as hashes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::files::{self, KeyFileError};
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

/// Whose token it is.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Holder {
    user: String,
    groups: Vec<String>,
}

/// By the SHA-256 of the token. The tokens have 256 random bits: a slow hash would add nothing.
type Holders = BTreeMap<String, Holder>;

/// Static bearer tokens: long random texts whose hashes are in a file.
#[derive(Debug)]
pub struct BearerTokens {
    path: PathBuf,
    holders: Mutex<Holders>,
    first_admin_token: Option<SecretText>,
}

impl BearerTokens {
    /// Reads `tokens.json` of a directory, or makes it with a token of the user `admin` in `system:masters`.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(directory: &Path) -> Result<Self, BearerError> {
        files::create_directory(directory)?;
        let path = directory.join("tokens.json");
        if let Some(content) = files::read_private(&path)? {
            let holders = serde_json::from_slice(&content).ok();
            let holders = holders.ok_or(KeyFileError::Content { path: path.clone(), expected: "tokens" })?;
            return Ok(Self { path, holders: Mutex::new(holders), first_admin_token: None });
        }
        let mut tokens = Self { path, holders: Mutex::default(), first_admin_token: None };
        tokens.first_admin_token = Some(tokens.add("admin", &[Identity::MASTERS])?);
        Ok(tokens)
    }

    /// Returns the admin's token when this call of `load_or_create` made it; it is stored nowhere else.
    #[must_use]
    pub fn first_admin_token(&self) -> Option<&SecretText> {
        self.first_admin_token.as_ref()
    }

    /// Makes a token for a user and returns it; only its hash is kept. Other tokens of that user stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, user: &str, groups: &[&str]) -> Result<SecretText, BearerError> {
        let mut random = [0u8; 32];
        maru_ids::fill_random(&mut random);
        let token = format!("maru_{}", BASE64.encode(random));
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.change(|holders| {
            holders.insert(hash(&token), Holder { user: user.to_owned(), groups });
        })?;
        Ok(SecretText::new(token))
    }

    /// Removes all tokens of a user and returns how many there were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&self, user: &str) -> Result<usize, BearerError> {
        self.change(|holders| {
            let before = holders.len();
            holders.retain(|_, holder| holder.user != user);
            before - holders.len()
        })
    }

    /// Returns whose token it is.
    #[must_use]
    pub fn identity(&self, token: &str) -> Option<Identity> {
        let holders = self.lock();
        let holder = holders.get(&hash(token))?;
        let groups: Vec<&str> = holder.groups.iter().map(String::as_str).collect();
        Some(Identity::new(&holder.user, &groups))
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the file first, then memory.
    fn change<R>(&self, change: impl FnOnce(&mut Holders) -> R) -> Result<R, BearerError> {
        let mut holders = self.lock();
        let mut changed = holders.clone();
        let result = change(&mut changed);
        let content = serde_json::to_vec_pretty(&changed).expect("text keys and texts are always JSON");
        files::write_whole(&self.path, &content, 0o600)?;
        *holders = changed;
        Ok(result)
    }
}

fn hash(token: &str) -> String {
    maru_ids::to_hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_token_and_the_file_has_only_its_hash() {
        let directory = std::env::temp_dir().join(format!("maru-auth-{}", maru_ids::random_suffix(8)));
        let tokens = BearerTokens::load_or_create(&directory).unwrap();
        let admin = tokens.first_admin_token().unwrap().clone();
        let robot = tokens.add("robot", &["ci"]).unwrap();
        let file = std::fs::read_to_string(directory.join("tokens.json")).unwrap();
        assert!(!file.contains(admin.reveal()) && !file.contains(robot.reveal()));

        let tokens = BearerTokens::load_or_create(&directory).unwrap();
        assert!(tokens.first_admin_token().is_none());
        assert_eq!(tokens.identity(admin.reveal()).unwrap(), Identity::new("admin", &["system:masters"]));
        assert_eq!(tokens.identity(robot.reveal()).unwrap().user, "robot");
        assert!(tokens.identity("maru_guess").is_none());
        assert_eq!(tokens.remove("robot").unwrap(), 1);
        assert!(tokens.identity(robot.reveal()).is_none());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
