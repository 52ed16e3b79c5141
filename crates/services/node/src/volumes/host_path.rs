//! Directories and files of the machine itself.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

/// Makes what the type allows to be made and checks the rest.
pub(super) fn ensure(path: &Path, kind: &str) -> io::Result<()> {
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(refused(path, "must be an absolute path without \"..\""));
    }
    match kind {
        "DirectoryOrCreate" if !path.exists() => {
            return fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
        }
        "FileOrCreate" if !path.exists() => {
            fs::OpenOptions::new().create_new(true).write(true).mode(0o644).open(path)?;
            return Ok(());
        }
        _ => {}
    }
    if kind.is_empty() && !path.exists() {
        return fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    }
    let found = fs::metadata(path)?.file_type();
    let (fits, what) = match kind {
        "" => (true, ""),
        "Directory" | "DirectoryOrCreate" => (found.is_dir(), "is not a directory"),
        "File" | "FileOrCreate" => (found.is_file(), "is not a file"),
        "Socket" => (found.is_socket(), "is not a socket"),
        "CharDevice" => (found.is_char_device(), "is not a character device"),
        "BlockDevice" => (found.is_block_device(), "is not a block device"),
        _ => (false, "has an unknown hostPath type"),
    };
    if fits { Ok(()) } else { Err(refused(path, what)) }
}

fn refused(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("hostPath type check failed: {} {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_made() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        fs::write(at("file"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, kind, fits) in [
            ("file", "File", true),
            ("file", "FileOrCreate", true),
            ("file", "Directory", false),
            ("file", "", true),
            ("none", "File", false),
            ("none", "Directory", false),
            ("made", "DirectoryOrCreate", true),
            ("made", "Directory", true),
            ("made-file", "FileOrCreate", true),
            ("socket", "Socket", true),
            ("file", "Socket", false),
            ("file", "CharDevice", false),
            ("new", "", true),
        ] {
            assert_eq!(ensure(&at(name), kind).is_ok(), fits, "{name} {kind}");
        }
        assert!(ensure(Path::new("/dev/null"), "CharDevice").is_ok());
        assert!(ensure(Path::new("relative"), "").is_err());
        assert!(ensure(&at("a/../../b"), "").is_err());
    }
}
