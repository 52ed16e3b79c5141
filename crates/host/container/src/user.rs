//! Who runs a program, looked up in the image's own files without leaving its root file system.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, mkdirat};

use crate::config::User;
use crate::error::ConfigError;

/// Most that is read of an image's `/etc/passwd` or `/etc/group`.
const USER_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A user in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, sorted, without the primary one.
    pub groups: Vec<u32>,
    /// Home directory; `/` when the image does not know the user.
    pub home: String,
    /// Name, when the image knows the user.
    pub name: Option<String>,
}

/// Finds a user in the image's `/etc/passwd` and `/etc/group`. Blocks for two small file reads.
///
/// # Errors
/// When a name is not there, or a file cannot be read.
pub fn resolve_user(rootfs: &Path, wanted: &User) -> Result<ResolvedUser, ConfigError> {
    let root = Root::open(rootfs)?;
    let passwd = root.read("etc/passwd")?;
    let group = root.read("etc/group")?;
    resolve(&passwd, &group, wanted)
}

/// Decides on the contents of the two files.
fn resolve(passwd: &str, group: &str, wanted: &User) -> Result<ResolvedUser, ConfigError> {
    let (user, group_of_user) = match wanted.user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted.user.as_str(), None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number: Option<u32> = user.parse().ok();
    let entry = passwd.lines().filter_map(PasswdLine::parse).find(|line| match number {
        Some(uid) => line.uid == uid,
        None => line.name == user,
    });
    let uid = match (&entry, number) {
        (Some(line), _) => line.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(ConfigError::NoUser { name: user.to_owned() }),
    };
    let groups: Vec<GroupLine<'_>> = group.lines().filter_map(GroupLine::parse).collect();
    let wanted_group = wanted.group.as_deref().or(group_of_user).filter(|name| !name.is_empty());
    let gid = match wanted_group {
        Some(name) => {
            match name.parse().ok().or_else(|| groups.iter().find(|line| line.name == name).map(|line| line.gid)) {
                Some(gid) => gid,
                None => return Err(ConfigError::NoGroup { name: name.to_owned() }),
            }
        }
        None => entry.as_ref().map_or(0, |line| line.gid),
    };
    let mut supplementary = wanted.additional_groups.clone();
    if let Some(line) = entry.as_ref().filter(|_| !wanted.ignore_image_groups) {
        let member = groups.iter().filter(|group| group.members.split(',').any(|member| member.trim() == line.name));
        supplementary.extend(member.map(|group| group.gid));
    }
    supplementary.retain(|group| *group != gid);
    supplementary.sort_unstable();
    supplementary.dedup();
    Ok(ResolvedUser {
        uid,
        gid,
        groups: supplementary,
        home: entry.as_ref().map(|line| line.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned(),
        name: entry.as_ref().map(|line| line.name.to_owned()),
    })
}

struct PasswdLine<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> PasswdLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    }
}

struct GroupLine<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> GroupLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Self { name, gid, members: fields.next().unwrap_or_default() })
    }
}

/// A directory as `/`: links in it, absolute ones too, cannot lead out.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

impl Root {
    /// Opens a directory to be used as `/`.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let directory = File::open(path)
            .map_err(|source| ConfigError::RootFs { doing: "open", path: path.to_owned(), source })?
            .into();
        Ok(Self { path: path.to_owned(), directory })
    }

    /// Returns a file's contents; empty when it does not exist or is no file.
    fn read(&self, path: &str) -> Result<String, ConfigError> {
        let failed = |source| ConfigError::RootFs { doing: "read", path: Path::new("/").join(path), source };
        let file = match self.open_inside(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(String::new()),
            Err(error) => return Err(failed(error.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(String::new());
        }
        let mut content = Vec::new();
        file.take(USER_FILE_BYTES_MAX).read_to_end(&mut content).map_err(failed)?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// Makes a directory and its parents with mode 0755, as far as they do not exist.
    pub(crate) fn make_directories(&self, path: &str) -> Result<(), ConfigError> {
        let failed =
            |error: Errno| ConfigError::RootFs { doing: "make", path: self.path.join(path), source: error.into() };
        if path.trim_matches('/').is_empty() || self.open_inside(path, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok() {
            return Ok(());
        }
        let mut parent = PathBuf::from(".");
        for component in Path::new(path).components() {
            let Component::Normal(name) = component else { continue };
            let directory = self.open_inside(&parent, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(failed)?;
            match mkdirat(directory.as_fd(), name, Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(failed(error)),
            }
            parent.push(name);
        }
        self.open_inside(path, OFlag::O_PATH | OFlag::O_DIRECTORY).map(|_| ()).map_err(failed)
    }

    fn open_inside<P: AsRef<Path>>(&self, path: P, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.directory, path.as_ref(), how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001:An app:/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nlogs:x:50:app,other\nvideo:x:44:app\n";

    fn user(text: &str) -> User {
        User { user: text.into(), ..User::default() }
    }

    #[test]
    fn names_numbers_and_groups_are_resolved() {
        let app = resolve(PASSWD, GROUP, &user("app")).unwrap();
        assert_eq!((app.uid, app.gid, app.home.as_str()), (1000, 1001, "/home/app"));
        assert_eq!(app.groups, [44, 50]);
        assert_eq!(resolve(PASSWD, GROUP, &user("1000")).unwrap(), app);
        let group = resolve(PASSWD, GROUP, &user("app:logs")).unwrap();
        assert_eq!((group.gid, group.groups), (50, vec![44]));
        let stranger = resolve(PASSWD, GROUP, &user("4711")).unwrap();
        assert_eq!((stranger.uid, stranger.gid, stranger.home.as_str(), stranger.name), (4711, 0, "/", None));
        assert_eq!(resolve("", "", &user("")).unwrap().uid, 0);
    }

    #[test]
    fn additional_groups_join_those_of_the_image_unless_these_are_ignored() {
        let wanted = User { user: "app".into(), additional_groups: vec![2000, 44], ..User::default() };
        assert_eq!(resolve(PASSWD, GROUP, &wanted).unwrap().groups, [44, 50, 2000]);
        let strict = User { ignore_image_groups: true, group: Some("7".into()), ..wanted };
        let resolved = resolve(PASSWD, GROUP, &strict).unwrap();
        assert_eq!((resolved.gid, resolved.groups), (7, vec![44, 2000]));
    }

    #[test]
    fn an_unknown_name_is_told() {
        assert!(matches!(resolve(PASSWD, GROUP, &user("ghost")), Err(ConfigError::NoUser { name }) if name == "ghost"));
        assert!(
            matches!(resolve(PASSWD, GROUP, &user("app:ghosts")), Err(ConfigError::NoGroup { name }) if name == "ghosts")
        );
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let (root, outside) = (directory.path().join("root"), directory.path().join("outside"));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("passwd"), "thief:x:1:1::/:\n").unwrap();
        std::os::unix::fs::symlink(outside.join("passwd"), root.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("../../../outside", root.join("up")).unwrap();
        assert!(resolve_user(&root, &user("thief")).is_err());
        Root::open(&root).unwrap().make_directories("/up/made").unwrap_err();
        assert!(!outside.join("made").exists());
        Root::open(&root).unwrap().make_directories("/srv/app").unwrap();
        assert!(root.join("srv/app").is_dir());
    }
}
