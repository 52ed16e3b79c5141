//! The host's apt as resolver, downloader and verifier, with directories of its own.
//!
//! Nothing of the host's package state is read or written but its proxies, credentials and trusted keys: lists, archives,
//! the (empty) state of installed packages and the sources are in a private directory. Hooks of the host do not run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use maru_oci::Digest;
use tokio::process::Command;

use crate::error::{BuildError, io_error};
use crate::packages::Refresh;

/// Longest that one call of apt may take.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// A package as the signed index describes it, with its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Fields of its stanza in the index.
    pub(crate) fields: BTreeMap<String, String>,
    /// The verified `.deb` file.
    pub(crate) file: PathBuf,
}

impl Package {
    pub(crate) fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    pub(crate) fn name(&self) -> &str {
        self.field("Package")
    }
}

/// A private apt directory for one set of sources.
#[derive(Debug)]
pub(crate) struct Apt {
    directory: PathBuf,
    configuration: PathBuf,
    #[expect(dead_code, reason = "held for its lock: apt does not wait for another apt")]
    lock: fs::File,
}

impl Apt {
    /// Lays the directory out, and waits until no other build uses the cache.
    pub(crate) fn prepare(cache: &Path, sources: &str) -> Result<Self, BuildError> {
        let missing: Vec<&str> =
            ["apt-get", "apt-cache", "dpkg", "dpkg-deb"].into_iter().filter(|program| !is_installed(program)).collect();
        if !missing.is_empty() {
            return Err(BuildError::HostTools { missing: missing.join(", ") });
        }
        let directory = cache.join(maru_ids::short_hash(sources, 16));
        // Packages are shared by all sources: their digests are checked against the index of each.
        let archives = cache.join("archives");
        for path in [
            directory.join("lists/partial"),
            directory.join("sources"),
            archives.join("partial"),
            directory.join("empty"),
        ] {
            fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        }
        let lock_path = cache.join("lock");
        let lock = fs::File::create(&lock_path).map_err(io_error("create", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(io_error("write", &path)).map(|()| path)
        };
        write("sources/maru.sources", sources)?;
        let status = write("status", "")?;
        let at = |path: &Path| path.display().to_string();
        let configuration = write("apt.conf", &configuration(&at(&directory), &at(&archives), &at(&status)))?;
        Ok(Self { directory, configuration, lock })
    }

    /// Fetches the indexes, whose signatures apt checks; tells whether it asked the archive at all.
    pub(crate) async fn refresh(&self, refresh: Refresh) -> Result<bool, BuildError> {
        let stamp = self.directory.join("refreshed");
        let age = fs::metadata(&stamp).and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
        let needed = match refresh {
            Refresh::Always => true,
            Refresh::IfOlderThan(limit) => age.is_none_or(|age| age > limit),
            Refresh::Never => false,
        };
        if needed {
            self.call("apt-get", "refresh the package index", &["update"]).await?;
            let answers = self.directory.join("answers");
            match fs::remove_dir_all(&answers) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &answers)(error));
                }
                _ => {}
            }
            fs::write(&stamp, "").map_err(io_error("write", &stamp))?;
        }
        Ok(needed)
    }

    /// Where the answer to a question about the present index is kept.
    fn answer_path(&self, question: &str) -> PathBuf {
        self.directory.join("answers").join(maru_ids::short_hash(question, 32))
    }

    /// Returns what was found before for a question, while the index is the same.
    pub(crate) fn recall<T: serde::de::DeserializeOwned>(&self, question: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.answer_path(question)).ok()?).ok()
    }

    /// Keeps what was found for a question until the index is fetched again.
    pub(crate) fn remember<T: serde::Serialize>(&self, question: &str, answer: &T) -> Result<(), BuildError> {
        let path = self.answer_path(question);
        let text = serde_json::to_vec(answer).unwrap_or_default();
        fs::create_dir_all(self.directory.join("answers"))
            .and_then(|()| fs::write(&path, text))
            .map_err(io_error("write", &path))
    }

    /// Tells whether the index knows a package.
    pub(crate) async fn knows(&self, package: &str) -> Result<bool, BuildError> {
        let output = self.command("apt-cache", &["--no-all-versions", "show", "--", package]).output().await;
        Ok(output.map_err(io_error("run", Path::new("apt-cache")))?.status.success())
    }

    /// Returns names of all packages that every installation of the distribution has.
    pub(crate) async fn essential(&self) -> Result<Vec<String>, BuildError> {
        let text = self.call("apt-cache", "list essential packages", &["dumpavail"]).await?;
        let stanzas = stanzas(&text);
        let essential =
            stanzas.into_iter().filter(|fields| fields.get("Essential").is_some_and(|value| value == "yes"));
        let mut names: Vec<String> = essential.filter_map(|fields| fields.get("Package").cloned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns what must be installed for the given packages, sorted by name, without fetching it: names with versions.
    pub(crate) async fn resolve(&self, packages: &[String]) -> Result<Vec<(String, String)>, BuildError> {
        let mut arguments = vec!["--simulate", "--yes", "--no-install-recommends", "install", "--"];
        arguments.extend(packages.iter().map(String::as_str));
        let text = self.call("apt-get", "find what the packages need", &arguments).await?;
        let mut found = Vec::new();
        for line in text.lines() {
            // Inst name (version archive [architecture])
            let Some(rest) = line.strip_prefix("Inst ") else { continue };
            let Some((name, rest)) = rest.split_once(' ') else { continue };
            let Some(version) = rest.split_once('(').and_then(|(_, rest)| rest.split(' ').next()) else { continue };
            found.push((name.to_owned(), version.to_owned()));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Fetches packages and returns them with their verified files.
    pub(crate) async fn fetch(&self, wanted: &[(String, String)]) -> Result<Vec<Package>, BuildError> {
        let pinned: Vec<String> = wanted.iter().map(|(name, version)| format!("{name}={version}")).collect();
        let packages = self.describe(&pinned, wanted).await?;
        if packages.iter().any(|package| !package.file.exists()) {
            let mut arguments = vec!["--yes", "--no-install-recommends", "--download-only", "install", "--"];
            arguments.extend(pinned.iter().map(String::as_str));
            self.call("apt-get", "fetch packages", &arguments).await?;
        }
        tokio::task::spawn_blocking(move || {
            packages.iter().try_for_each(verify)?;
            Ok(packages)
        })
        .await
        .map_err(|_| BuildError::Interrupted)?
    }

    /// Returns the index's words about each package.
    async fn describe(&self, pinned: &[String], wanted: &[(String, String)]) -> Result<Vec<Package>, BuildError> {
        let mut arguments = vec!["show", "--"];
        arguments.extend(pinned.iter().map(String::as_str));
        let question = arguments.join(" ");
        let stanzas: Vec<BTreeMap<String, String>> = match self.recall(&question) {
            Some(stanzas) => stanzas,
            None => {
                let found = stanzas(&self.call("apt-cache", "describe packages", &arguments).await?);
                self.remember(&question, &found)?;
                found
            }
        };
        let mut known: BTreeMap<(String, String), BTreeMap<String, String>> = BTreeMap::new();
        for fields in stanzas {
            let key = |key: &str| fields.get(key).cloned().unwrap_or_default();
            known.entry((key("Package"), key("Version"))).or_insert(fields);
        }
        let mut packages = Vec::new();
        for (name, version) in wanted {
            let bare = name.split(':').next().unwrap_or(name);
            let Some(fields) = known.remove(&(bare.to_owned(), version.clone())) else {
                return Err(BuildError::Tool {
                    program: "apt-cache",
                    action: format!("describe {name}"),
                    message: "it is not in the index".to_owned(),
                });
            };
            let architecture = fields.get("Architecture").map_or("", String::as_str);
            let file = format!("{bare}_{}_{architecture}.deb", version.replace(':', "%3a"));
            let archives = self.directory.parent().unwrap_or(&self.directory).join("archives");
            packages.push(Package { file: archives.join(file), fields });
        }
        Ok(packages)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&self.configuration)
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env_remove("APT_CONFIG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn call(&self, program: &'static str, action: &str, arguments: &[&str]) -> Result<String, BuildError> {
        let running = self.command(program, arguments).output();
        let output = tokio::time::timeout(TIMEOUT, running).await.map_err(|_| BuildError::Tool {
            program,
            action: action.to_owned(),
            message: format!("it took longer than {} minutes", TIMEOUT.as_secs() / 60),
        })?;
        let output = output.map_err(io_error("run", Path::new(program)))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(BuildError::Tool { program, action: action.to_owned(), message: complaint(&output.stderr) })
    }
}

/// Keeps the lines that say what went wrong.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("E:") || line.starts_with("W:") || line.starts_with("Err:"))
        .collect();
    let lines = if errors.is_empty() {
        text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect()
    } else {
        errors
    };
    if lines.is_empty() { "it gave no reason".to_owned() } else { lines.join("; ") }
}

fn verify(package: &Package) -> Result<(), BuildError> {
    let expected = package.field("SHA256");
    let mut file = fs::File::open(&package.file).map_err(io_error("open", &package.file))?;
    let mut hasher = maru_oci::Hasher::new(maru_oci::Algorithm::Sha256);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(io_error("read", &package.file))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let actual: Digest = hasher.finish();
    if actual.hex() == expected {
        return Ok(());
    }
    fs::remove_file(&package.file).map_err(io_error("remove", &package.file))?;
    Err(BuildError::PackageDigest {
        package: package.name().to_owned(),
        expected: expected.to_owned(),
        actual: actual.hex().to_owned(),
    })
}

fn is_installed(program: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|directory| Path::new(directory).join(program).exists())
}

/// apt.conf(5). Later values win over the host's files; `#clear` removes lists the host filled.
fn configuration(directory: &str, archives: &str, status: &str) -> String {
    let mut text = String::new();
    for list in [
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
        "APT::Update::Post-Invoke-Stats",
        "DPkg::Pre-Invoke",
        "DPkg::Post-Invoke",
        "DPkg::Pre-Install-Pkgs",
        "APT::Architectures",
        "Acquire::IndexTargets::deb::DEP-11",
        "Acquire::IndexTargets::deb::CNF",
        "Acquire::IndexTargets::deb::Contents-deb",
    ] {
        text.push_str(&format!("#clear {list};\n"));
    }
    for (key, value) in [
        ("Dir::State", directory),
        ("Dir::State::lists", "lists/"),
        ("Dir::State::status", status),
        ("Dir::State::extended_states", "extended_states"),
        ("Dir::Cache", directory),
        ("Dir::Cache::archives", archives),
        ("Dir::Cache::pkgcache", "pkgcache.bin"),
        ("Dir::Cache::srcpkgcache", "srcpkgcache.bin"),
        ("Dir::Etc::sourcelist", "/dev/null"),
        ("Dir::Etc::sourceparts", &format!("{directory}/sources")),
        ("Dir::Etc::preferences", "/dev/null"),
        ("Dir::Etc::preferencesparts", &format!("{directory}/empty")),
        ("Dir::Log", directory),
        ("APT::Sandbox::User", "root"),
        ("APT::Install-Recommends", "false"),
        ("APT::Install-Suggests", "false"),
        ("APT::Get::AllowUnauthenticated", "false"),
        ("APT::Get::List-Cleanup", "false"),
        ("APT::Keep-Downloaded-Packages", "true"),
        ("APT::Update::Error-Mode", "any"),
        ("APT::Default-Release", ""),
        ("Acquire::AllowInsecureRepositories", "false"),
        ("Acquire::AllowWeakRepositories", "false"),
        ("Acquire::AllowDowngradeToInsecureRepositories", "false"),
        ("Acquire::Languages", "none"),
        ("Acquire::Retries", "3"),
        // Two builds at once wait for each other.
        ("DPkg::Lock::Timeout", "600"),
    ] {
        text.push_str(&format!("{key} \"{value}\";\n"));
    }
    text
}

/// Reads stanzas of `Key: value` lines; continuation lines are joined with a line break.
pub(crate) fn stanzas(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                all.push(std::mem::take(&mut fields));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = fields.get_mut(&last) {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            last = key.to_owned();
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_keep_continuation_lines() {
        let found = stanzas("Package: a\nDescription: x\n more\n\nPackage: b\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["Description"], "x\n more");
    }

    #[test]
    fn complaints_are_the_lines_that_matter() {
        assert_eq!(complaint(b"Reading\nE: Unable to locate package x\n"), "E: Unable to locate package x");
        assert_eq!(complaint(b""), "it gave no reason");
    }
}
