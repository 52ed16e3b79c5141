//! Envelopes, reports and keys on the disk: what evidence objects are the index of.
//!
//! `blobs/` holds content by digest; `projects/NAME/` a project's private key (`key.pk8`, its owner's alone), its public
//! key (`key.pem`), the public keys of its past (`keys/`) and the end of its chain (`head.json`). See
//! docs/formats/evidence.md.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use maru_api::{Digest, Measured, Outcome, Producer, Subject, SubjectKind, Window};
use maru_blobs::{BlobError, BlobStore};
use maru_evidence::{
    Draft, EvidenceKind, KEY_NAME, KeyError, PublicKey, Record, Rotation, Signer, Statement, Verifier,
};
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most bytes that a report or an envelope may have.
pub const BLOB_BYTES_MAX: usize = 64 << 20;
const NAME_BYTES_MAX: usize = 63;

/// The ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// No name of a namespace.
    #[error("\"{0}\" is no project: a project is a namespace, named by lowercase letters, digits and -")]
    Project(String),
    /// It belongs to somebody else, or is on another machine.
    #[error(
        "what signs evidence is in \"{}\" on the machine that Maru runs on, and only root may use it ({why}); run this there with sudo",
        folder.display()
    )]
    Absent {
        /// Where it would be.
        folder: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// No name of a blob.
    #[error("\"{0}\" names no blob")]
    Digest(String),
    /// The disk failed.
    #[error("could not {action} \"{}\"", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A blob could not be read or written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A key cannot be used.
    #[error("the key \"{}\" cannot be used", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The end of the chain was damaged.
    #[error("\"{}\" is damaged ({why}); restore it from a backup, or from an export", path.display())]
    Head {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The end of a project's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The last record; none of an empty chain.
    pub head: Option<Digest>,
    /// How many records there are.
    pub length: u64,
    /// Whether the last record's object may not have been made yet.
    #[serde(default)]
    pub pending: bool,
}

/// When a file was written at last and how long it is: another stamp may be other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    changed: (i64, i64),
    inode: u64,
    bytes: u64,
}

/// A record that is signed and stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The envelope's digest.
    pub envelope: Digest,
    /// What it says.
    pub statement: Statement,
}

/// The ledger of all projects on this machine. Cheap to clone. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
    blobs: Result<BlobStore, String>,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::Io { action, path, source }
}

impl Ledger {
    /// Opens or creates a ledger.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let blobs = BlobStore::open(&folder.join("blobs"))?;
        Ok(Self { folder: folder.to_owned(), blobs: Ok(blobs) })
    }

    /// Opens a ledger, or returns one whose every use says why there is none: most of what people ask for is in objects.
    #[must_use]
    pub fn open_or_absent(folder: &Path) -> Self {
        // Reading needs the folder of blobs; whose it is not, cannot even list it.
        let blobs = fs::read_dir(folder.join("blobs"))
            .map_err(|error| error.to_string())
            .and_then(|_| BlobStore::open(&folder.join("blobs")).map_err(|error| error.to_string()));
        Self { folder: folder.to_owned(), blobs }
    }

    /// Opens a ledger in a new folder that only its owner reads.
    pub(crate) fn open_private(folder: &Path) -> Result<Self, LedgerError> {
        make_folder(folder)?;
        Self::open(folder)
    }

    /// Tells whether the ledger is on another machine, or somebody else's.
    pub(crate) fn is_absent(&self) -> bool {
        self.blobs.is_err()
    }

    /// Takes over the end of a chain and the keys that signed it: of a copy, which has no private key.
    pub(crate) fn adopt(
        &self,
        project: &str,
        current: Option<PublicKey>,
        keys: impl Iterator<Item = PublicKey>,
        head: &Head,
    ) -> Result<(), LedgerError> {
        let folder = self.project(project)?;
        make_folder(&folder.join("keys"))?;
        for key in keys {
            write_private(&folder.join("keys").join(format!("{}.pem", key.id())), key.to_pem().as_bytes())?;
        }
        if let Some(key) = current {
            write_private(&folder.join("key.pem"), key.to_pem().as_bytes())?;
        }
        self.write_head(project, head)
    }

    fn blobs(&self) -> Result<&BlobStore, LedgerError> {
        let absent = |why: &String| LedgerError::Absent { folder: self.folder.clone(), why: why.clone() };
        self.blobs.as_ref().map_err(absent)
    }

    fn project(&self, project: &str) -> Result<PathBuf, LedgerError> {
        self.blobs()?;
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if project.is_empty() || project.len() > NAME_BYTES_MAX || !project.bytes().all(letter) {
            return Err(LedgerError::Project(project.chars().take(80).collect()));
        }
        Ok(self.folder.join("projects").join(project))
    }

    /// Stores a blob and returns its digest.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, content: &[u8]) -> Result<Digest, LedgerError> {
        self.blobs()?.put(content)?;
        Ok(Digest::of(content))
    }

    /// Reads a blob and checks its digest.
    ///
    /// # Errors
    /// When it is missing or damaged, or the disk fails.
    pub fn get(&self, digest: Digest) -> Result<Vec<u8>, LedgerError> {
        Ok(self.blobs()?.read(&blob(digest)?, BLOB_BYTES_MAX)?)
    }

    /// Returns the stamp of a blob's file; none when there is no such file.
    pub(crate) fn stamp(&self, digest: Digest) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(self.blobs().ok()?.path(&blob(digest).ok()?)).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(Stamp { changed, inode: metadata.ino(), bytes: metadata.len() })
    }

    /// Returns the key that signs a project's evidence, made at its first use.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn signer(&self, project: &str) -> Result<Signer, LedgerError> {
        let _lock = self.lock(project)?;
        self.current(project)
    }

    /// Returns the key that signs a project's evidence, when something was signed and this is no copy.
    pub(crate) fn signer_if_any(&self, project: &str) -> Result<Option<Signer>, LedgerError> {
        if self.project(project)?.join("key.pk8").exists() { self.signer(project).map(Some) } else { Ok(None) }
    }

    /// The key whose turn it is; finishes a handing over that was cut short. The chain is locked.
    fn current(&self, project: &str) -> Result<Signer, LedgerError> {
        let folder = self.project(project)?;
        let (path, next) = (folder.join("key.pk8"), folder.join("key.next.pk8"));
        if next.exists() {
            let head = self.head(project)?.head.map(|digest| self.get(digest)).transpose()?;
            let verified = head.and_then(|head| {
                let verifier = self.verifier(project).ok()?;
                maru_evidence::open(&verifier, Digest::of(&head), &head).ok()
            });
            let named = verified.and_then(|verified| verified.statement.next_key());
            if named == Some(read_signer(&next)?.public_key().digest()) {
                rename(&next, &path)?;
            } else {
                fs::remove_file(&next).map_err(io_error("remove", &next))?;
            }
        }
        if !path.exists() {
            let pkcs8 = Signer::generate().map_err(|source| LedgerError::Key { path: path.clone(), source })?;
            write_private(&path, &pkcs8)?;
        }
        let signer = read_signer(&path)?;
        let (public, pem) = (folder.join("key.pem"), signer.public_key().to_pem());
        if fs::read_to_string(&public).ok().as_deref() != Some(pem.as_str()) {
            write_private(&public, pem.as_bytes())?;
        }
        Ok(signer)
    }

    /// Makes a new key that signs from now on. A record says so, signed by the old key, about a report that is signed by
    /// the new one. The old private key is gone then; what it signed stands.
    ///
    /// # Errors
    /// When the disk fails; after the next use either the old key signs, or the new one, with a record of it.
    pub fn rotate(&self, project: &str, now: Timestamp) -> Result<Appended, LedgerError> {
        let _lock = self.lock(project)?;
        let old = self.current(project)?;
        let folder = self.project(project)?;
        let (path, waiting) = (folder.join("key.pk8"), folder.join("key.next.pk8"));
        let wrap = |source| LedgerError::Key { path: waiting.clone(), source };
        let pkcs8 = Signer::generate().map_err(wrap)?;
        let new = Signer::from_pkcs8(&pkcs8).map_err(wrap)?;
        make_folder(&folder.join("keys"))?;
        for key in [old.public_key(), new.public_key()] {
            write_private(&folder.join("keys").join(format!("{}.pem", key.id())), key.to_pem().as_bytes())?;
        }
        write_private(&waiting, &pkcs8)?;
        let subject =
            Subject { kind: SubjectKind::Artifact, name: KEY_NAME.to_owned(), digest: new.public_key().digest() };
        let draft = Draft {
            kind: EvidenceKind::Key,
            subjects: vec![subject],
            name: KEY_NAME.to_owned(),
            environment: None,
            producer: Producer {
                tool: "maru".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                parameters: None,
            },
            window: Window { from: now, to: now },
            result: Measured::plain(Outcome::Met),
            cases: Vec::new(),
            raw: Some(self.put(&Rotation::report(project, &old.public_key(), &new))?),
            valid_until: None,
        };
        let appended = self.append_by(&old, project, draft, now)?;
        rename(&waiting, &path)?;
        self.current(project)?;
        Ok(appended)
    }

    /// Returns the public key of a project that signs now; none when nothing was signed yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn public_key(&self, project: &str) -> Result<Option<PublicKey>, LedgerError> {
        let path = self.project(project)?.join("key.pem");
        match fs::read_to_string(&path) {
            Ok(pem) => PublicKey::from_pem(&pem).map(Some).map_err(|source| LedgerError::Key { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Returns what checks a project's envelopes: all keys that ever signed them.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn verifier(&self, project: &str) -> Result<Verifier, LedgerError> {
        let mut keys: Vec<PublicKey> = self.public_key(project)?.into_iter().collect();
        let folder = self.project(project)?.join("keys");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verifier::new(keys)),
            Err(error) => return Err(io_error("list", &folder)(error)),
        };
        for entry in entries {
            let path = entry.map_err(io_error("list", &folder))?.path();
            if path.extension().is_some_and(|end| end == "pem") {
                let pem = fs::read_to_string(&path).map_err(io_error("read", &path))?;
                keys.push(PublicKey::from_pem(&pem).map_err(|source| LedgerError::Key { path, source })?);
            }
        }
        Ok(Verifier::new(keys))
    }

    /// Returns the end of a project's chain.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn head(&self, project: &str) -> Result<Head, LedgerError> {
        let path = self.project(project)?.join("head.json");
        match fs::read(&path) {
            Ok(content) => {
                serde_json::from_slice(&content).map_err(|error| LedgerError::Head { path, why: error.to_string() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Head::default()),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Signs a draft as the next record of a project's chain and stores it durably, the end of the chain last.
    /// Its object is to be made next; then the record is [settled](Self::settle).
    ///
    /// # Errors
    /// When the disk fails; the chain is as it was.
    pub fn append(&self, project: &str, draft: Draft, now: Timestamp) -> Result<Appended, LedgerError> {
        let _lock = self.lock(project)?;
        let signer = self.current(project)?;
        self.append_by(&signer, project, draft, now)
    }

    fn append_by(&self, signer: &Signer, project: &str, draft: Draft, now: Timestamp) -> Result<Appended, LedgerError> {
        let head = self.head(project)?;
        let record = Record {
            project: project.to_owned(),
            sequence: head.length,
            previous: head.head,
            recorded: now,
            name: draft.name,
            environment: draft.environment,
            producer: draft.producer,
            window: draft.window,
            result: draft.result,
            cases: draft.cases,
            raw: draft.raw,
            valid_until: draft.valid_until,
        };
        let statement = Statement { kind: draft.kind, subjects: draft.subjects, record };
        let envelope = self.put(&signer.sign(&statement.to_payload()))?;
        self.write_head(project, &Head { head: Some(envelope), length: head.length + 1, pending: true })?;
        Ok(Appended { envelope, statement })
    }

    /// Notes that the object of a record was made.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&self, project: &str, envelope: Digest) -> Result<(), LedgerError> {
        let _lock = self.lock(project)?;
        let head = self.head(project)?;
        if head.head == Some(envelope) && head.pending {
            self.write_head(project, &Head { pending: false, ..head })?;
        }
        Ok(())
    }

    fn write_head(&self, project: &str, head: &Head) -> Result<(), LedgerError> {
        let path = self.project(project)?.join("head.json");
        let content = serde_json::to_vec(head).unwrap_or_default();
        write_private(&path, &content)
    }

    /// Waits until nobody else appends to this chain; others wait until the file is dropped.
    fn lock(&self, project: &str) -> Result<File, LedgerError> {
        let folder = self.project(project)?;
        make_folder(&folder)?;
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(file)
    }
}

fn blob(digest: Digest) -> Result<maru_oci::Digest, LedgerError> {
    let name = digest.to_string();
    name.parse().map_err(|_| LedgerError::Digest(name))
}

fn read_signer(path: &Path) -> Result<Signer, LedgerError> {
    let pkcs8 = fs::read(path).map_err(io_error("read", path))?;
    Signer::from_pkcs8(&pkcs8).map_err(|source| LedgerError::Key { path: path.to_owned(), source })
}

fn rename(from: &Path, to: &Path) -> Result<(), LedgerError> {
    let sync = |folder: &Path| File::open(folder)?.sync_all();
    fs::rename(from, to).and_then(|()| to.parent().map_or(Ok(()), sync)).map_err(io_error("replace", to))
}

fn make_folder(path: &Path) -> Result<(), LedgerError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// Writes a file that only its owner reads: whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> Result<(), LedgerError> {
    let partial = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(io_error("write", path))
}
