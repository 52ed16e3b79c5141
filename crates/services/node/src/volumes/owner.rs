//! Gives a volume to the pod's group (`fsGroup`).

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

/// Gives everything below `path` to the group, readable and writable, directories with the set-group-id bit.
/// With `on_mismatch`, nothing is done when the root already fits.
pub(super) fn give(path: &Path, group: u32, on_mismatch: bool) -> io::Result<()> {
    let root = fs::symlink_metadata(path)?;
    if on_mismatch && root.gid() == group && root.mode() & 0o2770 == 0o2770 {
        return Ok(());
    }
    walk(path, group)
}

fn walk(path: &Path, group: u32) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    lchown(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let added = if metadata.is_dir() { 0o2770 } else { 0o660 };
    fs::set_permissions(path, fs::Permissions::from_mode((metadata.mode() & 0o7777) | added))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), group)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_gets_everything_but_not_through_links() {
        maru_testkit::require_root_or_skip!();
        let base = tempfile::tempdir().unwrap();
        let (inside, outside) = (base.path().join("in"), base.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(inside.join("d")).unwrap();
        fs::write(inside.join("d/f"), "").unwrap();
        fs::write(&outside, "").unwrap();
        fs::set_permissions(inside.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        give(&inside, 4242, false).unwrap();
        let of = |path: &Path| {
            let metadata = fs::metadata(path).unwrap();
            (metadata.gid(), metadata.mode() & 0o7777)
        };
        assert_eq!(of(&inside.join("d/f")), (4242, 0o660));
        assert_eq!(of(&inside.join("d")).1 & 0o2770, 0o2770);
        assert_ne!(of(&outside).0, 4242);
        // The root fits, so that what is below is left alone.
        fs::set_permissions(inside.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
        give(&inside, 4242, true).unwrap();
        assert_eq!(of(&inside.join("d/f")).1, 0o600);
    }
}
