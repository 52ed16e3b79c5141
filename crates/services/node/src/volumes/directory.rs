//! Directories that begin empty, on disk or in memory, and their removal.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Makes a directory that all of the pod's users may write.
pub(super) fn empty_dir(path: &Path, in_memory: bool, size_max: Option<u64>, group: Option<u32>) -> io::Result<()> {
    let is_new = if in_memory {
        tmpfs(path, size_max)?
    } else {
        let is_new = !path.exists();
        fs::create_dir_all(path)?;
        is_new
    };
    if is_new {
        if let Some(group) = group {
            chown(path, None, Some(group))?;
        }
        let mode = if group.is_some() { 0o2777 } else { 0o777 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Mounts memory at a directory unless it is mounted already; tells whether it was done now.
pub(crate) fn tmpfs(path: &Path, size_max: Option<u64>) -> io::Result<bool> {
    fs::create_dir_all(path)?;
    if mounts_below(path)?.iter().any(|mounted| mounted == path) {
        return Ok(false);
    }
    let options = match size_max {
        Some(bytes) => format!("mode=0755,size={bytes}"),
        None => "mode=0755".to_owned(),
    };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options.as_str()))?;
    Ok(true)
}

/// Unmounts all that is mounted at or below a directory, the deepest first. When this succeeds nothing is mounted there, so
/// that the directory can be removed without harm to what was mounted.
pub(crate) fn unmount_below(directory: &Path) -> io::Result<()> {
    for mounted in mounts_below(directory)?.iter().rev() {
        match umount2(mounted, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match mounts_below(directory)?.first() {
        None => Ok(()),
        Some(left) => Err(io::Error::other(format!("{} is still mounted", left.display()))),
    }
}

/// Returns the mount points at or below a directory in the order in which they were made.
fn mounts_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    // Of this thread: it may be in a mount namespace of its own.
    let table = fs::read("/proc/thread-self/mountinfo")?;
    let points = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(points.map(unescape).filter(|path| path.starts_with(directory)).collect())
}

/// Decodes the octal escapes of the mount table: `\040` is a space.
fn unescape(text: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(text.len());
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        let digits = text
            .get(index + 1..index + 4)
            .filter(|digits| byte == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        match digits {
            Some([high, middle, low]) => {
                out.push(((high - b'0') << 6) | ((middle - b'0') << 3) | (low - b'0'));
                index += 4;
            }
            _ => {
                out.push(byte);
                index += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape(b"/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescape(b"/a\\9"), PathBuf::from("/a\\9"));
    }

    #[test]
    fn memory_is_mounted_once_limited_and_goes_away() {
        maru_testkit::require_root_or_skip!();
        maru_testkit::Host::new().run(|| {
            let directory = maru_testkit::TempDir::new();
            let path = directory.join("with space");
            empty_dir(&path, true, Some(64 * 1024), Some(7)).unwrap();
            fs::write(path.join("small"), "x").unwrap();
            empty_dir(&path, true, Some(64 * 1024), Some(7)).unwrap();
            assert!(path.join("small").exists());
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o2777, 7));
            assert!(fs::write(path.join("large"), vec![0u8; 128 * 1024]).is_err());
            unmount_below(directory.path()).unwrap();
            assert!(!path.join("small").exists());
        });
    }
}
