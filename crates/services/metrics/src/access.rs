//! Who may do what: tokens with scopes, hashed in a file that may change while we serve.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use maru_auth::SecretText;
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::options::Access;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessScope {
    /// Queries and status.
    Read,
    /// Remote write and OTLP.
    Write,
    /// Deletion and snapshots; includes the other two.
    Admin,
}

impl std::str::FromStr for AccessScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            other => Err(format!("\"{other}\" is no scope; use read, write or admin")),
        }
    }
}

impl std::fmt::Display for AccessScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

/// The file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read or written.
    #[error("the token file \"{}\" cannot be used", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("the token file \"{}\" is readable by others (mode {mode:03o}); run: chmod 600 \"{}\"", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold tokens.
    #[error("the file \"{}\" does not hold tokens; restore it from a backup, or remove it and create tokens anew", .0.display())]
    Content(PathBuf),
    /// A token of this name is there.
    #[error("there is a token named \"{0}\" already; delete it first, or choose another name")]
    Taken(String),
}

/// A token as it is kept: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<AccessScope>,
    /// How many series its writers may have in memory; the store's own limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_max: Option<usize>,
    /// When it was made.
    pub created: Timestamp,
}

/// By the SHA-256 of the token. Tokens have 256 random bits: a slow hash would add nothing.
type Records = BTreeMap<String, TokenRecord>;

/// Tokens in a file (mode 0600).
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// Names the file; it need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a token and returns it; only its hash is kept.
    ///
    /// # Errors
    /// When the name is taken, or the file cannot be read or written.
    pub fn create(&self, mut record: TokenRecord) -> Result<SecretText, TokenError> {
        let mut records = self.read()?;
        if records.values().any(|other| other.name == record.name) {
            return Err(TokenError::Taken(record.name));
        }
        let mut random = [0_u8; 32];
        maru_ids::fill_random(&mut random);
        let token = format!("maru_{}", URL_SAFE_NO_PAD.encode(random));
        record.scopes.sort();
        record.scopes.dedup();
        records.insert(hash(&token), record);
        self.write(&records)?;
        Ok(SecretText::new(token))
    }

    /// Returns all tokens by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self) -> Result<Vec<TokenRecord>, TokenError> {
        let mut records: Vec<TokenRecord> = self.read()?.into_values().collect();
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }

    /// Removes a token; tells whether it was there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn delete(&self, name: &str) -> Result<bool, TokenError> {
        let mut records = self.read()?;
        let before = records.len();
        records.retain(|_, record| record.name != name);
        let found = records.len() < before;
        if found {
            self.write(&records)?;
        }
        Ok(found)
    }

    fn fault(&self, source: std::io::Error) -> TokenError {
        TokenError::File { path: self.path.clone(), source }
    }

    fn read(&self) -> Result<Records, TokenError> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Records::new()),
            Err(error) => return Err(self.fault(error)),
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path: self.path.clone(), mode });
        }
        let content = std::fs::read(&self.path).map_err(|error| self.fault(error))?;
        serde_json::from_slice(&content).map_err(|_| TokenError::Content(self.path.clone()))
    }

    /// Writes the file whole or not at all.
    fn write(&self, records: &Records) -> Result<(), TokenError> {
        let content = serde_json::to_vec_pretty(records).expect("text keys and plain values are always JSON");
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.path.with_extension(format!("new-{}", maru_ids::random_suffix(8)));
        let written = (|| {
            std::fs::create_dir_all(folder)?;
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&content)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            std::fs::File::open(folder)?.sync_all()
        })();
        if written.is_err() {
            // Best effort: the error that is returned matters more than a stray file.
            drop(std::fs::remove_file(&temporary));
        }
        written.map_err(|error| self.fault(error))
    }
}

fn hash(token: &str) -> String {
    maru_ids::to_hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}

/// A request that somebody else shall judge.
#[derive(Debug, Clone)]
pub struct AccessQuestion {
    /// The token that it shows.
    pub token: SecretText,
    /// What it wants to do.
    pub scope: AccessScope,
}

/// What a delegate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessAnswer {
    /// It may.
    Allowed,
    /// The token is known and does not reach that far.
    Forbidden,
    /// The token is not known.
    Unknown,
}

type Judge = dyn Fn(AccessQuestion) -> Pin<Box<dyn Future<Output = AccessAnswer> + Send>> + Send + Sync;

/// Somebody else who knows tokens, such as the API server.
#[derive(Clone)]
pub struct Delegate(Arc<Judge>);

impl Delegate {
    /// Makes a delegate from an async function.
    pub fn new<F, R>(function: F) -> Self
    where
        F: Fn(AccessQuestion) -> R + Send + Sync + 'static,
        R: Future<Output = AccessAnswer> + Send + 'static,
    {
        Self(Arc::new(move |question| Box::pin(function(question))))
    }
}

impl std::fmt::Debug for Delegate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Delegate")
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name of the token; nothing when there is none of ours.
    pub(crate) token: Option<String>,
    /// How many series it may have in memory.
    pub(crate) series_max: Option<usize>,
}

/// What tells whether a file is the one that was read.
type FileStamp = (u64, i64, i64, u64);

/// Judges requests.
#[derive(Debug)]
pub(crate) struct Gate {
    access: Access,
    read: Mutex<(Option<FileStamp>, Arc<Records>)>,
}

impl Gate {
    pub(crate) fn new(access: Access) -> Self {
        Self { access, read: Mutex::default() }
    }

    /// Tells whether everybody may do everything.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.access, Access::Open)
    }

    /// Judges a request by its `Authorization` header.
    ///
    /// # Errors
    /// When it may not; says why.
    pub(crate) async fn admit(&self, headers: &http::HeaderMap, scope: AccessScope) -> Result<Caller, Fault> {
        let Access::Tokens { file, delegate } = &self.access else { return Ok(Caller::default()) };
        let token = token_of(headers).ok_or_else(|| {
            Fault::Unauthorized("a token is needed: send the header \"Authorization: Bearer TOKEN\"".to_owned())
        })?;
        let forbidden = || Fault::Forbidden(format!("the token does not have the scope \"{scope}\""));
        if let Some(record) = self.records(file)?.get(&hash(&token)) {
            let reaches = record.scopes.iter().any(|own| *own == scope || *own == AccessScope::Admin);
            let caller = Caller { token: Some(record.name.clone()), series_max: record.series_max };
            return if reaches { Ok(caller) } else { Err(forbidden()) };
        }
        let unknown = || Fault::Unauthorized("the token is not known; it may have been deleted".to_owned());
        let Some(Delegate(judge)) = delegate else { return Err(unknown()) };
        match judge(AccessQuestion { token: SecretText::new(token), scope }).await {
            AccessAnswer::Allowed => Ok(Caller::default()),
            AccessAnswer::Forbidden => Err(forbidden()),
            AccessAnswer::Unknown => Err(unknown()),
        }
    }

    /// Returns what the file holds now; reads it again only after a change.
    fn records(&self, file: &TokenFile) -> Result<Arc<Records>, Fault> {
        let stamp = std::fs::metadata(file.path())
            .ok()
            .map(|metadata| (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp.is_none() {
            *read = (None, Arc::default());
        } else if read.0 != stamp {
            let records = file.read().map_err(|error| {
                tracing::error!(%error, "tokens cannot be checked");
                Fault::Internal("tokens cannot be checked; see the server's log".to_owned())
            })?;
            *read = (stamp, Arc::new(records));
        }
        Ok(Arc::clone(&read.1))
    }
}

/// Judges requests of other servers by the same kinds of tokens.
#[derive(Debug)]
pub struct Doorkeeper(Gate);

impl Doorkeeper {
    /// Makes one.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self(Gate::new(access))
    }

    /// Judges a request by its headers.
    ///
    /// # Errors
    /// When it may not: a status and the reason.
    pub async fn admit(&self, headers: &http::HeaderMap, scope: AccessScope) -> Result<(), (http::StatusCode, String)> {
        self.0.admit(headers, scope).await.map(drop).map_err(|fault| (fault.status(), fault.to_string()))
    }
}

/// Returns the token of a request: a bearer token, or the password of basic authentication.
fn token_of(headers: &http::HeaderMap) -> Option<String> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, rest) = value.split_once(' ')?;
    if kind.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if kind.eq_ignore_ascii_case("basic") {
        let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        return text.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> http::HeaderMap {
        http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())])
    }

    fn record(name: &str, scope: AccessScope) -> TokenRecord {
        TokenRecord { name: name.to_owned(), scopes: vec![scope], series_max: None, created: Timestamp::UNIX_EPOCH }
    }

    #[tokio::test]
    async fn a_token_reaches_as_far_as_its_scopes_and_the_file_has_only_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("tokens.json"));
        let gate = Gate::new(Access::Tokens { file: file.clone(), delegate: None });
        let admit = async |value: String, scope| {
            gate.admit(&headers(&value), scope).await.map(|_| ()).map_err(|fault| fault.status())
        };
        assert_eq!(admit("Bearer x".to_owned(), AccessScope::Read).await.unwrap_err(), 401);

        let reader = file.create(record("grafana", AccessScope::Read)).unwrap();
        let admin = file.create(record("ops", AccessScope::Admin)).unwrap();
        assert!(matches!(file.create(record("ops", AccessScope::Read)), Err(TokenError::Taken(_))));
        assert!(!std::fs::read_to_string(file.path()).unwrap().contains(reader.reveal()));

        let bearer = format!("Bearer {}", reader.reveal());
        assert_eq!(admit(bearer.clone(), AccessScope::Read).await, Ok(()));
        assert_eq!(admit(bearer.clone(), AccessScope::Write).await.unwrap_err(), 403);
        let basic = format!("Basic {}", STANDARD.encode(format!("any:{}", admin.reveal())));
        assert_eq!(admit(basic, AccessScope::Write).await, Ok(()));

        assert!(file.delete("grafana").unwrap() && !file.delete("grafana").unwrap());
        assert_eq!(admit(bearer, AccessScope::Read).await.unwrap_err(), 401);
        assert_eq!(file.list().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_delegate_is_asked_about_tokens_that_are_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let delegate = Delegate::new(async |question: AccessQuestion| match question.token.reveal() {
            "known" if question.scope == AccessScope::Read => AccessAnswer::Allowed,
            "known" => AccessAnswer::Forbidden,
            _ => AccessAnswer::Unknown,
        });
        let file = TokenFile::new(folder.path().join("tokens.json"));
        let gate = Gate::new(Access::Tokens { file, delegate: Some(delegate) });
        assert_eq!(gate.admit(&headers("Bearer known"), AccessScope::Read).await, Ok(Caller::default()));
        assert_eq!(gate.admit(&headers("Bearer known"), AccessScope::Admin).await.unwrap_err().status(), 403);
        assert_eq!(gate.admit(&headers("Bearer other"), AccessScope::Read).await.unwrap_err().status(), 401);
        assert_eq!(gate.admit(&http::HeaderMap::new(), AccessScope::Read).await.unwrap_err().status(), 401);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("tokens.json"));
        file.create(record("one", AccessScope::Read)).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(file.list(), Err(TokenError::Exposed { mode: 0o644, .. })));
    }
}
