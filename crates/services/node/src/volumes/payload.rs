//! Writes a volume's files so that readers see all of the old or all of the new content, never a mixture.
//!
//! The files are in a directory named after the time; `..data` points to it, and each name in the volume points through
//! `..data`. An update makes a new directory and moves `..data` over in one rename.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

/// A file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) data: Vec<u8>,
    pub(super) mode: u32,
    /// Its owner when that is not root.
    pub(super) user: Option<u32>,
}

const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";

/// Makes `directory` hold exactly `files`; tells whether anything changed. The group may read all of them.
pub(super) fn write(directory: &Path, files: &BTreeMap<String, File>, group: Option<u32>) -> io::Result<bool> {
    let current = current(directory)?;
    let changed = match &current {
        Some(current) => !holds(current, files, group)?,
        None => true,
    };
    if changed {
        let version = format!("..{}", maru_ids::random_suffix(20));
        write_version(&directory.join(&version), files, group)?;
        let next = directory.join(DATA_NEXT);
        remove_if_there(&next)?;
        symlink(&version, &next)?;
        fs::rename(&next, directory.join(DATA))?;
    }
    link_names(directory, files)?;
    remove_old_versions(directory)?;
    if let Some(group) = group {
        chown(directory, None, Some(group))?;
    }
    Ok(changed)
}

fn current(directory: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(directory.join(DATA)) {
        Ok(target) => Ok(Some(directory.join(target))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn holds(version: &Path, files: &BTreeMap<String, File>, group: Option<u32>) -> io::Result<bool> {
    let mut present = BTreeSet::new();
    list(version, Path::new(""), &mut present)?;
    if present.len() != files.len() {
        return Ok(false);
    }
    for (name, file) in files {
        if !present.contains(Path::new(name)) {
            return Ok(false);
        }
        let path = version.join(name);
        let same_mode = fs::metadata(&path)?.mode() & 0o7777 == effective_mode(file.mode, group);
        if !same_mode || fs::read(&path)? != file.data {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn effective_mode(mode: u32, group: Option<u32>) -> u32 {
    (if group.is_some() { mode | 0o440 } else { mode }) & 0o7777
}

fn write_version(version: &Path, files: &BTreeMap<String, File>, group: Option<u32>) -> io::Result<()> {
    make_directory(version, group)?;
    for (name, file) in files {
        let path = version.join(name);
        let mut above = version.to_owned();
        for part in Path::new(name).parent().into_iter().flat_map(Path::components) {
            above.push(part);
            if !above.exists() {
                make_directory(&above, group)?;
            }
        }
        fs::write(&path, &file.data)?;
        // Ownership first: changing it clears special bits.
        if file.user.is_some() || group.is_some() {
            chown(&path, file.user, group)?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(effective_mode(file.mode, group)))?;
    }
    Ok(())
}

fn make_directory(path: &Path, group: Option<u32>) -> io::Result<()> {
    fs::create_dir(path)?;
    if let Some(group) = group {
        chown(path, None, Some(group))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(if group.is_some() { 0o2755 } else { 0o755 }))
}

/// Makes the names that containers see, and removes those whose file is gone.
fn link_names(directory: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let names: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &names {
        let link = directory.join(name);
        let target = Path::new(DATA).join(name);
        match fs::read_link(&link) {
            Ok(present) if present == target => {}
            _ => {
                remove_if_there(&link)?;
                symlink(&target, &link)?;
            }
        }
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with("..") && !names.contains(name) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_old_versions(directory: &Path) -> io::Result<()> {
    let current = fs::read_link(directory.join(DATA))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_version = name.to_str().is_some_and(|name| name.starts_with("..")) && entry.file_type()?.is_dir();
        if is_version && Path::new(&name) != current {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, File> {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), File { data: text.as_bytes().to_vec(), mode: 0o640, user: None }))
            .collect()
    }

    fn visible(directory: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("..") {
                continue;
            }
            let path = directory.join(&name);
            if path.is_dir() {
                list(directory, Path::new(&name), &mut found).unwrap();
            } else {
                found.insert(PathBuf::from(name));
            }
        }
        found
            .into_iter()
            .map(|path| (path.display().to_string(), fs::read_to_string(directory.join(&path)).unwrap()))
            .collect()
    }

    fn expected(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn updates_add_change_and_remove() {
        let directory = tempfile::tempdir().unwrap();
        let mut before = None;
        for (content, changes) in [
            (&[("a", "1"), ("d/x", "2")][..], true),
            (&[("a", "1"), ("d/x", "2")], false),
            (&[("a", "3"), ("b", "4")], true),
            (&[("a/b/c", "deep")], true),
            (&[], true),
            (&[("a", "1")], true),
        ] {
            assert_eq!(write(directory.path(), &files(content), None).unwrap(), changes, "{content:?}");
            assert_eq!(visible(directory.path()), expected(content));
            let version = fs::read_link(directory.path().join(DATA)).unwrap();
            assert_eq!(before.as_ref() != Some(&version), changes);
            before = Some(version);
            let versions = fs::read_dir(directory.path())
                .unwrap()
                .filter(|one| one.as_ref().unwrap().file_type().unwrap().is_dir());
            assert_eq!(versions.count(), 1);
        }
    }

    #[test]
    fn modes_are_exact_and_the_group_may_read() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files(&[("a", "1")]), None).unwrap();
        let mode = |directory: &Path, path: &str| fs::metadata(directory.join(path)).unwrap().mode() & 0o7777;
        assert_eq!(mode(directory.path(), "a"), 0o640);
        let directory = tempfile::tempdir().unwrap();
        let own = nix::unistd::getegid().as_raw();
        let mut strict = files(&[("a", "1")]);
        strict.get_mut("a").unwrap().mode = 0o600;
        assert!(write(directory.path(), &strict, Some(own)).unwrap());
        assert_eq!(mode(directory.path(), "a"), 0o640);
        assert_eq!(mode(directory.path(), "..data"), 0o2755);
    }

    #[test]
    fn an_update_that_was_cut_short_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files(&[("a", "1")]), None).unwrap();
        fs::create_dir(directory.path().join("..half")).unwrap();
        symlink("..half", directory.path().join(DATA_NEXT)).unwrap();
        assert!(write(directory.path(), &files(&[("a", "2")]), None).unwrap());
        assert_eq!(visible(directory.path()), expected(&[("a", "2")]));
        assert!(!directory.path().join("..half").exists());
    }
}
