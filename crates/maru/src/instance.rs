//! One Maru on one data folder: its lock, and what it says of itself to others.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::settings::Paths;

/// What a running Maru says of itself, in the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) api: String,
    pub(crate) http: String,
    pub(crate) https: String,
    /// The console's page.
    #[serde(default)]
    pub(crate) console: String,
    pub(crate) ready: bool,
}

/// The lock of a data folder; whoever holds it may use what is inside.
#[derive(Debug)]
pub(crate) struct Instance {
    file: Flock<File>,
}

impl Instance {
    /// Creates the folder where it is missing (0700) and locks it.
    pub(crate) fn lock(paths: &Paths) -> anyhow::Result<Self> {
        prepare_folder(&paths.data)?;
        let path = paths.lock();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot open \"{}\"", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { file }),
            Err((mut file, _)) => {
                let who = read(&mut file).map_or_else(String::new, |running| format!(" (process {})", running.pid));
                anyhow::bail!(
                    "Maru already runs on \"{}\"{who}; stop it with \"maru down\", or choose another folder with --data",
                    paths.data.display()
                )
            }
        }
    }

    /// Tells others how to reach this Maru.
    pub(crate) fn publish(&mut self, running: &Running) -> anyhow::Result<()> {
        let text = serde_json::to_string(running)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes()).context("cannot write the lock file")
    }

    /// Returns who runs on a folder now; nothing when nobody does.
    pub(crate) fn running(paths: &Paths) -> Option<Running> {
        let file = File::options().read(true).write(true).open(paths.lock()).ok()?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_) => None,
            Err((mut file, _)) => read(&mut file),
        }
    }
}

fn read(file: &mut File) -> Option<Running> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn prepare_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("cannot use the data folder \"{}\"", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time_and_tells_who() {
        let folder = std::env::temp_dir().join(format!("maru-lock-{}", maru_ids::random_suffix(8)));
        let paths = Paths::new(&folder);
        let mut first = Instance::lock(&paths).unwrap();
        let text = r#"{"pid":42,"api":"a","http":"b","https":"c","console":"d","ready":true}"#;
        let running: Running = serde_json::from_str(text).unwrap();
        first.publish(&running).unwrap();
        assert_eq!(Instance::running(&paths), Some(running));
        let refused = Instance::lock(&paths).unwrap_err().to_string();
        assert!(refused.contains("already runs") && refused.contains("process 42"), "{refused}");
        drop(first);
        assert_eq!(Instance::running(&paths), None);
        drop(Instance::lock(&paths).unwrap());
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
