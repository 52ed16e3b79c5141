//! The host's package sources, filtered for one suite.

use std::fs;
use std::path::Path;

use crate::error::{BuildError, io_error};
use crate::packages::spec::PackageSpec;

/// Keyrings that distributions install.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/ubuntu-archive-keyring.gpg"];

/// One source in the deb822 form: fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Source(Vec<(String, String)>);

impl Source {
    fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map_or("", |(_, value)| value)
    }

    fn words(&self, key: &str) -> Vec<&str> {
        self.get(key).split_whitespace().collect()
    }

    fn set(&mut self, key: &str, value: String) {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        self.0.push((key.to_owned(), value));
    }
}

/// Returns what apt's sources file should say (sources.list(5), deb822), and the suite's name.
pub(crate) fn sources_for(
    spec: &PackageSpec,
    etc_apt: &Path,
    os_release: &str,
) -> Result<(String, String), BuildError> {
    let suite = if spec.suite == "host" { host_suite(os_release)? } else { spec.suite.clone() };
    let sources = match &spec.mirror {
        Some(mirror) => vec![mirror_source(spec, mirror, &suite)?],
        None => {
            let all = read_all(etc_apt)?;
            let mut found: Vec<Source> =
                all.iter().filter_map(|source| narrow(source, &suite, &spec.components)).collect();
            found.dedup();
            if found.is_empty() {
                let mut available: Vec<&str> = all.iter().flat_map(|source| source.words("Suites")).collect();
                available.sort_unstable();
                available.dedup();
                let available = if available.is_empty() { "none".to_owned() } else { available.join(", ") };
                return Err(BuildError::NoSource { suite, available });
            }
            found
        }
    };
    let text: Vec<String> = sources
        .iter()
        .map(|source| source.0.iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>())
        .collect();
    Ok((text.join("\n"), suite))
}

fn host_suite(os_release: &str) -> Result<String, BuildError> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    line.map(|name| name.trim_matches('"').to_owned()).filter(|name| !name.is_empty()).ok_or_else(|| {
        BuildError::Specification {
            problem: "suite is \"host\", but this host's /etc/os-release names no VERSION_CODENAME; name the suite"
                .to_owned(),
        }
    })
}

fn mirror_source(spec: &PackageSpec, mirror: &str, suite: &str) -> Result<Source, BuildError> {
    let keyrings = match &spec.keyring {
        Some(keyring) => vec![keyring.display().to_string()],
        None => KEYRINGS.iter().filter(|path| Path::new(path).exists()).map(ToString::to_string).collect(),
    };
    if keyrings.is_empty() {
        return Err(BuildError::Specification {
            problem: format!("mirror {mirror} needs a `keyring`: this host has none of {}", KEYRINGS.join(", ")),
        });
    }
    let components = if spec.components.is_empty() { "main".to_owned() } else { spec.components.join(" ") };
    Ok(Source(vec![
        ("Types".to_owned(), "deb".to_owned()),
        ("URIs".to_owned(), mirror.to_owned()),
        ("Suites".to_owned(), suite.to_owned()),
        ("Components".to_owned(), components),
        ("Signed-By".to_owned(), keyrings.join(" ")),
    ]))
}

/// Keeps of a source what belongs to a suite: the suite itself, its updates and its security updates.
fn narrow(source: &Source, suite: &str, components: &[String]) -> Option<Source> {
    let wanted =
        [suite.to_owned(), format!("{suite}-updates"), format!("{suite}-security"), format!("{suite}/updates")];
    if source.get("Enabled").eq_ignore_ascii_case("no") || !source.words("Types").contains(&"deb") {
        return None;
    }
    let suites: Vec<&str> =
        source.words("Suites").into_iter().filter(|suite| wanted.iter().any(|wanted| wanted == suite)).collect();
    let kept: Vec<&str> = source
        .words("Components")
        .into_iter()
        .filter(|component| components.is_empty() || components.iter().any(|wanted| wanted == component))
        .collect();
    if suites.is_empty() || kept.is_empty() {
        return None;
    }
    let mut narrowed = source.clone();
    // Unsigned sources stay unsigned: apt refuses them.
    narrowed.0.retain(|(key, _)| {
        !["Trusted", "Allow-Insecure", "Allow-Weak", "Allow-Downgrade-To-Insecure", "Enabled"]
            .iter()
            .any(|bad| key.eq_ignore_ascii_case(bad))
    });
    narrowed.set("Types", "deb".to_owned());
    narrowed.set("Suites", suites.join(" "));
    narrowed.set("Components", kept.join(" "));
    Some(narrowed)
}

fn read_all(etc_apt: &Path) -> Result<Vec<Source>, BuildError> {
    let mut files = vec![etc_apt.join("sources.list")];
    let parts = etc_apt.join("sources.list.d");
    if let Ok(entries) = fs::read_dir(&parts) {
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.extend(found);
    }
    let mut all = Vec::new();
    for file in files {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("read", &file)(error)),
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => all.extend(text.lines().filter_map(one_line)),
            Some("sources") => all.extend(stanzas(&text)),
            _ => {}
        }
    }
    Ok(all)
}

/// Reads `deb [option=value …] uri suite component…`.
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let mut source = Source(vec![("Types".to_owned(), "deb".to_owned())]);
    if let Some(inner) = rest.strip_prefix('[') {
        let (options, after) = inner.split_once(']')?;
        rest = after.trim_start();
        for option in options.split_whitespace() {
            let (key, value) = option.split_once('=')?;
            let key = match key.trim_end_matches(['+', '-']) {
                "arch" => "Architectures",
                "lang" => "Languages",
                "target" => "Targets",
                "signed-by" => "Signed-By",
                "check-valid-until" => "Check-Valid-Until",
                "valid-until-max" => "Valid-Until-Max",
                "by-hash" => "By-Hash",
                "pdiffs" => "PDiffs",
                "trusted" => "Trusted",
                _ => continue,
            };
            source.0.push((key.to_owned(), value.replace(',', " ")));
        }
    }
    let mut words = rest.split_whitespace();
    source.0.push(("URIs".to_owned(), words.next()?.to_owned()));
    source.0.push(("Suites".to_owned(), words.next()?.to_owned()));
    source.0.push(("Components".to_owned(), words.collect::<Vec<_>>().join(" ")));
    Some(source)
}

fn stanzas(text: &str) -> Vec<Source> {
    let mut all = Vec::new();
    let mut current = Source::default();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !current.0.is_empty() {
                all.push(std::mem::take(&mut current));
            }
        } else if line.starts_with('#') {
        } else if line.starts_with([' ', '\t']) {
            // A key written into the file goes over many lines, which stay as they are.
            if let Some((_, value)) = current.0.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            current.0.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(suite: &str) -> PackageSpec {
        PackageSpec { suite: suite.to_owned(), packages: vec!["dash".to_owned()], ..PackageSpec::default() }
    }

    fn host() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let parts = directory.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(
            directory.path().join("sources.list"),
            "# deb http://off/ bookworm main\ndeb [arch=amd64 trusted=yes signed-by=/k.gpg] http://list/debian bookworm main contrib # x\ndeb-src http://list/debian bookworm main\ndeb http://other/ trixie main\n",
        )
        .unwrap();
        fs::write(
            parts.join("a.sources"),
            "Types: deb deb-src\nURIs: http://parts/debian\nSuites: bookworm bookworm-updates bookworm-backports\nComponents: main\nSigned-By:\n -----BEGIN\n .\n xx\n\n# c\nTypes: deb\nURIs: http://off\nSuites: bookworm\nComponents: main\nEnabled: no\n",
        )
        .unwrap();
        fs::write(parts.join("b.sources.save"), "Types: deb\nURIs: http://save\nSuites: bookworm\nComponents: main\n")
            .unwrap();
        directory
    }

    #[test]
    fn only_the_suite_and_its_updates_are_kept() {
        let host = host();
        let (text, suite) = sources_for(&spec("host"), host.path(), "ID=debian\nVERSION_CODENAME=bookworm\n").unwrap();
        assert_eq!(suite, "bookworm");
        assert_eq!(
            text,
            "Architectures: amd64\nSigned-By: /k.gpg\nURIs: http://list/debian\nTypes: deb\nSuites: bookworm\nComponents: main contrib\n\n\
             URIs: http://parts/debian\nSigned-By: \n -----BEGIN\n .\n xx\nTypes: deb\nSuites: bookworm bookworm-updates\nComponents: main\n"
        );
        let narrowed = PackageSpec { components: vec!["contrib".to_owned()], ..spec("bookworm") };
        assert!(!sources_for(&narrowed, host.path(), "").unwrap().0.contains("main"));
    }

    #[test]
    fn a_suite_without_source_is_named_with_those_that_are_there() {
        let message = sources_for(&spec("sid"), host().path(), "").unwrap_err().to_string();
        assert!(
            message.contains("\"sid\"") && message.contains("bookworm-updates") && message.contains("trixie"),
            "{message}"
        );
        assert!(
            sources_for(&spec("host"), host().path(), "ID=alpine")
                .unwrap_err()
                .to_string()
                .contains("VERSION_CODENAME")
        );
    }

    #[test]
    fn a_named_mirror_needs_a_keyring() {
        let mirror = PackageSpec {
            mirror: Some("http://m/debian".to_owned()),
            keyring: Some("/k.gpg".into()),
            ..spec("bookworm")
        };
        let (text, _) = sources_for(&mirror, Path::new("/nowhere"), "").unwrap();
        assert!(text.contains("URIs: http://m/debian\n") && text.contains("Signed-By: /k.gpg\n"));
    }
}
