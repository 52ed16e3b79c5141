//! Names and durable changes of files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{BlockError, BlockId};

/// The file of chunks in a block's directory.
pub(crate) const CHUNKS: &str = "chunks";
/// The index.
pub(crate) const INDEX: &str = "index";
/// What was deleted; only there when something was.
pub(crate) const TOMBSTONES: &str = "tombstones";
/// Starts the names of what is not finished.
pub(crate) const UNFINISHED: &str = "tmp-";

pub(crate) const CHUNKS_MAGIC: &[u8; 8] = b"MARUCHK1";
pub(crate) const INDEX_MAGIC: &[u8; 8] = b"MARUIDX1";
pub(crate) const TOMBSTONES_MAGIC: &[u8; 8] = b"MARUDEL1";
/// Ends the index, behind the length of the contents' copy.
pub(crate) const INDEX_END: &[u8; 4] = b"MIDX";

/// Returns a closure that says what was tried on which file.
pub(crate) fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> BlockError + 'a {
    move |source| BlockError::Io { action, path: path.to_owned(), source }
}

/// Returns the name of a block's directory.
pub(crate) fn directory_name(id: BlockId) -> String {
    format!("{:016x}", id.0)
}

/// Returns the number of the block whose directory has this name.
pub(crate) fn block_id(name: &str) -> Option<BlockId> {
    let is_hex = name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (name.len() == 16 && is_hex).then(|| u64::from_str_radix(name, 16).ok().map(BlockId)).flatten()
}

/// Makes what a directory names durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), BlockError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(failed("sync", path))
}

/// Puts `content` in place of the file `name` in `directory`, at once and durably.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> Result<(), BlockError> {
    let unfinished = directory.join(format!("{UNFINISHED}{name}"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, directory.join(name))
    };
    write().map_err(|source| {
        // What is left of the attempt is removed at the next open when it cannot be now.
        drop(fs::remove_file(&unfinished));
        BlockError::Io { action: "write", path: directory.join(name), source }
    })?;
    sync_directory(directory)
}

/// Removes a block's directory: first its name, so that a half-removed one is never seen.
pub(crate) fn remove_block(parent: &Path, id: BlockId) -> Result<(), BlockError> {
    let path = parent.join(directory_name(id));
    let doomed = parent.join(format!("{UNFINISHED}{}", directory_name(id)));
    remove_unfinished(&doomed)?;
    fs::rename(&path, &doomed).map_err(failed("rename", &path))?;
    sync_directory(parent)?;
    remove_unfinished(&doomed)
}

/// Removes an unfinished directory or file, if it is there.
pub(crate) fn remove_unfinished(path: &Path) -> Result<(), BlockError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(failed("remove", path))
}

/// Puts the files of `from` into the new directory `to`: hard links where the file system can, else copies.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<(), BlockError> {
    fs::create_dir(to).map_err(failed("create", to))?;
    let entries = fs::read_dir(from).map_err(failed("read", from))?;
    for entry in entries {
        let source: PathBuf = entry.map_err(failed("read", from))?.path();
        let Some(name) = source.file_name() else { continue };
        if name.to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let target = to.join(name);
        if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).map_err(failed("copy", &source))?;
            File::open(&target).and_then(|file| file.sync_all()).map_err(failed("sync", &target))?;
        }
    }
    sync_directory(to)
}
