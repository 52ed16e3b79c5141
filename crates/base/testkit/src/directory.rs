//! Temporary directories that may hold mounts.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::mounts_under;

/// A directory that goes away with all it holds, also what was mounted beneath it.
#[derive(Debug)]
pub struct TempDir(tempfile::TempDir);

impl TempDir {
    /// Creates an empty directory with mode 0700.
    ///
    /// # Panics
    /// When the system's temporary directory cannot be written.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("maru-test-").tempdir().expect("the temporary directory is writable"))
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns a path beneath it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file beneath it, with the directories above the file, and returns the file's path.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a directory in the test's own directory");
        }
        std::fs::write(&path, content).expect("a file in the test's own directory");
        path
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Deepest first: the kernel lists mounts in the order they were made.
        for mount in mounts_under(self.path()).iter().rev() {
            umount2(mount, MntFlags::MNT_DETACH).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;

    #[test]
    fn a_directory_with_mounts_goes_away() {
        crate::require_root_or_skip!();
        Host::new().run(|| {
            let directory = TempDir::new();
            let path = directory.path().to_owned();
            for name in ["a", "a/b"] {
                std::fs::create_dir_all(directory.join(name)).unwrap();
                nix::mount::mount(
                    Some("none"),
                    &directory.join(name),
                    Some("tmpfs"),
                    nix::mount::MsFlags::empty(),
                    None::<&str>,
                )
                .unwrap();
            }
            assert_eq!(mounts_under(&path).len(), 2);
            drop(directory);
            assert!(!path.exists());
            assert!(mounts_under(&path).is_empty());
        });
    }
}
