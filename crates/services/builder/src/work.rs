//! Working directories of builds: each has a lock, so that what a killed build left is found and removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use maru_images::ImageStore;

use crate::error::{BuildError, io_error};

/// A directory for one build, with the root file systems mounted in it. All goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    directory: PathBuf,
    /// Held while the directory is in use.
    lock: Option<File>,
    mounts: std::sync::Mutex<u32>,
}

impl Work {
    /// Makes a directory and removes those of builds that are no more. Blocks.
    pub(crate) fn new(store: &ImageStore) -> Result<Self, BuildError> {
        let all = store.directory().join("builder").join("work");
        fs::create_dir_all(&all).map_err(io_error("create", &all))?;
        remove_abandoned(&all)?;
        let name = maru_ids::random_suffix(10);
        let lock_path = all.join(format!("{name}.lock"));
        let lock = File::create(&lock_path).map_err(io_error("create", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let directory = all.join(name);
        fs::create_dir(&directory).map_err(io_error("create", &directory))?;
        Ok(Self { directory, lock: Some(lock), mounts: std::sync::Mutex::new(0) })
    }

    /// Returns the path of something in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Returns a new empty directory to mount a root file system in.
    pub(crate) fn mount_directory(&self) -> Result<MountDirectory, BuildError> {
        let number = {
            let mut mounts = self.mounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *mounts += 1;
            *mounts
        };
        let path = self.directory.join(format!("m{number}"));
        fs::create_dir(&path).map_err(io_error("create", &path))?;
        Ok(MountDirectory(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        clean(&self.directory);
        drop(self.lock.take());
        // The next build removes a lock file that is left.
        drop(fs::remove_file(self.directory.with_extension("lock")));
    }
}

/// A directory that a root file system is mounted in. Unmounted and removed when dropped.
#[derive(Debug)]
pub(crate) struct MountDirectory(PathBuf);

impl MountDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for MountDirectory {
    fn drop(&mut self) {
        if let Err(error) = ImageStore::discard(&self.0) {
            tracing::warn!(%error, "a build's root file system stays mounted");
            return;
        }
        // What stays goes with the working directory.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Names a cgroup for one container, below a parent or at the top.
pub(crate) fn cgroup(parent: &str) -> String {
    let name = maru_ids::random_suffix(10);
    if parent.is_empty() { format!("/maru-build-{name}") } else { format!("{}/{name}", parent.trim_end_matches('/')) }
}

fn remove_abandoned(all: &Path) -> Result<(), BuildError> {
    for entry in fs::read_dir(all).map_err(io_error("list", all))?.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = File::open(&path) else { continue };
        if lock.try_lock().is_ok() {
            clean(&path.with_extension(""));
            // Somebody else may have removed it at the same time.
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}

/// Unmounts and removes a working directory. A directory that is still mounted is not descended into.
fn clean(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if let Err(error) = ImageStore::unmount(&entry.path()) {
            tracing::warn!(%error, "a build's root file system stays mounted");
            return;
        }
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, directory = %directory.display(), "a build left files")
        }
        _ => {}
    }
}
