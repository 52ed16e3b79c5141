//! Parts of a volume mounted into a container, without following links out of the volume.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};

/// A part of a volume cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubpathError {
    /// The path leaves the volume.
    #[error("subPath \"{path}\" must be relative and not contain \"..\"")]
    Path { path: String },
    /// The kernel refused, perhaps as a link leads out of the volume.
    #[error("subPath \"{path}\" of the volume cannot be used")]
    Kernel {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Mounts `sub_path` of `volume` at `at`, making missing directories. Links are followed only inside the volume.
pub(crate) fn bind_subpath(volume: &Path, sub_path: &str, at: &Path) -> Result<PathBuf, SubpathError> {
    let relative = Path::new(sub_path);
    if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(SubpathError::Path { path: sub_path.to_owned() });
    }
    bind(volume, relative, at).map_err(|source| SubpathError::Kernel { path: sub_path.to_owned(), source })?;
    Ok(at.to_owned())
}

fn bind(volume: &Path, relative: &Path, at: &Path) -> io::Result<()> {
    let root = nix::fcntl::open(volume, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let target = open_or_make(&root, relative)?;
    let through = format!("/proc/self/fd/{}", target.as_raw_fd());
    if let Some(above) = at.parent() {
        fs::create_dir_all(above)?;
    }
    if fs::metadata(&through)?.is_dir() {
        fs::create_dir_all(at)?;
    } else if !at.exists() {
        fs::write(at, "")?;
    }
    mount(Some(through.as_str()), at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    Ok(())
}

fn open_or_make(root: &OwnedFd, relative: &Path) -> io::Result<OwnedFd> {
    match open_beneath(root, relative) {
        Ok(found) => return Ok(found),
        Err(nix::errno::Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let mut here = open_beneath(root, Path::new("."))?;
    let mut so_far = PathBuf::new();
    for part in relative.components() {
        so_far.push(part);
        here = match open_beneath(root, &so_far) {
            Ok(found) => found,
            Err(nix::errno::Errno::ENOENT) => {
                mkdirat(here.as_fd(), part.as_os_str(), Mode::from_bits_truncate(0o750))?;
                open_beneath(root, &so_far)?
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(here)
}

fn open_beneath(root: &OwnedFd, relative: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root.as_fd(), relative, how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_stay_inside_the_volume() {
        maru_testkit::require_root_or_skip!();
        maru_testkit::Host::new().run(|| {
            let base = maru_testkit::TempDir::new();
            let volume = base.join("volume");
            fs::create_dir_all(volume.join("dir")).unwrap();
            fs::write(volume.join("file"), "content").unwrap();
            base.write("secret/x", "outside");
            symlink("../secret", volume.join("out")).unwrap();
            symlink("/etc", volume.join("absolute")).unwrap();
            symlink("dir", volume.join("inner")).unwrap();
            let at = |name: &str| base.join("mounts").join(name);

            bind_subpath(&volume, "file", &at("1")).unwrap();
            assert_eq!(fs::read_to_string(at("1")).unwrap(), "content");
            bind_subpath(&volume, "new/deep", &at("2")).unwrap();
            fs::write(at("2").join("y"), "z").unwrap();
            assert!(volume.join("new/deep/y").exists());
            bind_subpath(&volume, "inner", &at("3")).unwrap();
            for bad in ["out", "out/x", "absolute", "../secret", "/etc", "dir/../../secret", "out/made"] {
                assert!(bind_subpath(&volume, bad, &at("bad")).is_err(), "{bad}");
            }
            assert!(!base.join("secret/made").exists());
        });
    }
}
