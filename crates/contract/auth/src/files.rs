//! Key files: written whole or not at all, readable by their owner alone.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("the file \"{}\" cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("the file \"{}\" cannot be written", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("the key file \"{}\" is readable by others (mode {mode:03o}); run: chmod 600 \"{}\"", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is not what it should be.
    #[error("the file \"{}\" does not hold {expected}; restore it from a backup", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

/// Creates a directory (0700) and its parents unless it is there.
pub(crate) fn create_directory(path: &Path) -> Result<(), KeyFileError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| KeyFileError::Write { path: path.to_owned(), source })
}

/// Returns a public file's content, or `None` when it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, KeyFileError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Read { path: path.to_owned(), source }),
    }
}

/// Returns a private file's content, or `None` when it does not exist.
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, KeyFileError> {
    let wrap = |source| KeyFileError::Read { path: path.to_owned(), source };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrap(error)),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    std::fs::read(path).map(Some).map_err(wrap)
}

/// Writes a file with the given permission bits: a temporary one, synced, then renamed, then the directory synced.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyFileError> {
    let wrap = |source| KeyFileError::Write { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", maru_ids::random_suffix(8)));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(parent) = path.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    })();
    if written.is_err() {
        // Best effort: the error that is returned matters more than a stray file.
        drop(std::fs::remove_file(&temporary));
    }
    written.map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let directory = std::env::temp_dir().join(format!("maru-auth-{}", maru_ids::random_suffix(8)));
        create_directory(&directory).unwrap();
        let path = directory.join("key");
        assert!(read_private(&path).unwrap().is_none());
        write_whole(&path, b"secret", 0o600).unwrap();
        assert_eq!(read_private(&path).unwrap().as_deref(), Some(b"secret".as_slice()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
