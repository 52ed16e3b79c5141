//! Records in a folder, one file each, named by the hash of what opens them.

use std::io::{ErrorKind, Write as _};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maru_auth::SecretText;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The console cannot keep what it must keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The folder cannot be used.
    #[error("the console's folder \"{}\" cannot be used", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// Nobody acts as a part of Maru.
    #[error("\"{user}\" is a part of Maru itself, which nobody logs in as")]
    RoomUser {
        /// Who was asked for.
        user: String,
    },
}

/// Returns 256 random bits as text.
pub(crate) fn random_secret() -> SecretText {
    let mut random = [0u8; 32];
    maru_ids::fill_random(&mut random);
    SecretText::new(URL_SAFE_NO_PAD.encode(random))
}

/// Returns the name of the record that a secret opens. It has 256 random bits: a slow hash would add nothing.
pub(crate) fn hash(secret: &str) -> String {
    maru_ids::short_hash(secret, 64)
}

/// Records of one kind. Taking one away is a single step of the file system: of two that try, one succeeds.
#[derive(Debug, Clone)]
pub(crate) struct Records<R> {
    folder: PathBuf,
    kind: PhantomData<fn() -> R>,
}

impl<R: Serialize + DeserializeOwned> Records<R> {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, kind: PhantomData }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn error(&self) -> impl Fn(std::io::Error) -> ConsoleError + use<R> {
        let path = self.folder.clone();
        move |source| ConsoleError::Folder { path: path.clone(), source }
    }

    /// Writes a record, whole or not at all, for its owner's eyes only.
    pub(crate) fn write(&self, name: &str, record: &R) -> Result<(), ConsoleError> {
        let written = || -> std::io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let temporary = self.folder.join(format!("{}.new", maru_ids::random_suffix(8)));
            let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            std::fs::rename(&temporary, self.path(name))
        };
        written().map_err(self.error())
    }

    /// Takes a record away and tells whether it was there. It does not come back, not even after a crash.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, ConsoleError> {
        match std::fs::remove_file(self.path(name)) {
            Ok(()) => {
                std::fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(self.error())?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.error()(error)),
        }
    }

    /// Returns a record; one that cannot be read counts as absent.
    pub(crate) fn read(&self, name: &str) -> Option<R> {
        read(&self.path(name))
    }

    /// Tells whether a record is certainly not there; a disk that does not answer proves nothing.
    pub(crate) fn is_gone(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.path(name)).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Returns all records with their names, in the order of the names.
    pub(crate) fn list(&self) -> Result<Vec<(String, R)>, ConsoleError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.error()(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(self.error())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".json")
                && let Some(record) = read(&path)
            {
                found.push((name.to_owned(), record));
            }
        }
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(found)
    }
}

fn read<R: DeserializeOwned>(path: &Path) -> Option<R> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
