//! The description of an image made from packages.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::BuildError;

/// An image made from distribution packages, as its YAML file says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSpec {
    /// The distribution's code name, e.g. `bookworm`; `host` means that of this host.
    pub suite: String,
    /// Packages, as `name` or `name=version`.
    pub packages: Vec<String>,
    /// Base URL of the archive; without it, the host's own sources for the suite are used.
    #[serde(default)]
    pub mirror: Option<String>,
    /// File with the keys that sign the mirror's index; the distribution's keyring when not given.
    #[serde(default)]
    pub keyring: Option<PathBuf>,
    /// Components, e.g. `main`; those of the host's sources (or `main`) when empty.
    #[serde(default)]
    pub components: Vec<String>,
    /// Users besides the distribution's own.
    #[serde(default)]
    pub users: Vec<UserSpec>,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// First arguments.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Default arguments.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// Working directory.
    #[serde(default)]
    pub workdir: String,
    /// Who runs the program.
    #[serde(default)]
    pub user: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Files to write.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// Whether the packages' scripts run (in a container); otherwise files are only unpacked, which suits most programs.
    #[serde(default)]
    pub configure: bool,
    /// Whether manuals, documentation and translations stay.
    #[serde(default)]
    pub documentation: bool,
}

/// A user of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The group's number, with the same name; the user's number when not given.
    #[serde(default)]
    pub gid: Option<u32>,
    /// The home directory, made and owned; `/` when not given.
    #[serde(default)]
    pub home: Option<String>,
    /// The login shell; none when not given.
    #[serde(default)]
    pub shell: Option<String>,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Absolute path.
    pub path: String,
    /// Text; with neither text nor link, the path becomes a directory.
    #[serde(default)]
    pub content: Option<String>,
    /// Target of a symbolic link.
    #[serde(default)]
    pub link: Option<String>,
    /// Permissions in octal, as in `"0755"`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Owner.
    #[serde(default)]
    pub uid: u32,
    /// Group.
    #[serde(default)]
    pub gid: u32,
}

fn wrong(problem: impl Into<String>) -> BuildError {
    BuildError::Specification { problem: problem.into() }
}

impl PackageSpec {
    /// Reads a description.
    ///
    /// # Errors
    /// When the YAML is malformed, has unknown fields, or values that cannot be.
    pub fn parse(text: &str) -> Result<Self, BuildError> {
        // Comments are not for us, and counting them would limit them.
        let options = serde_saphyr::options! { emit_comments: false };
        let spec: Self =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| wrong(error.to_string()))?;
        spec.check()?;
        Ok(spec)
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if !is_word(&self.suite) {
            return Err(wrong(format!("suite \"{}\" is not a code name such as bookworm", self.suite)));
        }
        if self.packages.is_empty() {
            return Err(wrong("packages is empty"));
        }
        for package in &self.packages {
            if !is_package(package) {
                return Err(wrong(format!("\"{package}\" is not a package name with an optional =version")));
            }
        }
        if let Some(component) = self.components.iter().find(|component| !is_word(component)) {
            return Err(wrong(format!(
                "component \"{component}\" has other characters than letters, digits, '-', '.' and '/'"
            )));
        }
        if let Some(mirror) = &self.mirror
            && (!mirror.contains("://") && !mirror.starts_with("file:") || mirror.contains(char::is_whitespace))
        {
            return Err(wrong(format!("mirror \"{mirror}\" is not a URL")));
        }
        for user in &self.users {
            let plain =
                user.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
            let text = |value: &Option<String>| {
                value.as_ref().is_none_or(|value| value.starts_with('/') && !value.contains([':', '\n']))
            };
            if user.name.is_empty() || user.name.len() > 32 || !plain || !text(&user.home) || !text(&user.shell) {
                return Err(wrong(format!(
                    "user \"{}\": names have lowercase letters, digits, '-' and '_'; home and shell are absolute paths",
                    user.name
                )));
            }
        }
        for file in &self.files {
            let inside = file.path.starts_with('/') && file.path.split('/').all(|part| part != "..");
            let mode = file.mode.as_ref().is_none_or(|mode| parse_mode(mode).is_some());
            if !inside || !mode || (file.content.is_some() && file.link.is_some()) {
                return Err(wrong(format!(
                    "file \"{}\": needs an absolute path without '..', an octal mode, and content or link but not both",
                    file.path
                )));
            }
        }
        Ok(())
    }
}

pub(crate) fn parse_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o7777)
}

fn is_word(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b'_'))
}

fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('=').unwrap_or((text, "0"));
    let name_right = name.len() > 1
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'.' | b'-' | b':'))
        // apt reads a trailing sign as "install" or "remove".
        && !name.ends_with('-');
    name_right
        && !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b':' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read() {
        let spec = PackageSpec::parse(
            "suite: bookworm\npackages: [redis-server, libstdc++6, tini=0.19.0-1+b3]\nusers:\n  - {name: redis, uid: 10003, home: /data}\nenv: {A: b}\ncmd: [redis-server]\n",
        )
        .unwrap();
        assert_eq!(spec.packages.len(), 3);
        assert_eq!(spec.users[0].uid, 10003);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        for (text, part) in [
            ("suite: bookworm\npackages: []", "packages is empty"),
            ("suite: bookworm\npackages: [-o=x]", "-o=x"),
            ("suite: bookworm\npackages: [adduser-]", "adduser-"),
            ("suite: 'a b'\npackages: [dash]", "a b"),
            ("suite: a\npackages: [dash]\npackage: [x]", "package"),
            ("suite: a\npackages: [dash]\nfiles: [{path: /../x}]", "/../x"),
            ("suite: a\npackages: [dash]\nusers: [{name: 'a:b', uid: 1}]", "a:b"),
        ] {
            let message = PackageSpec::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
