//! `maru project init`: a new project's folder, which lints clean and applies as it is.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::report::Report;

/// What `maru project init` can be told.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder; it gets a folder .maru
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The project's name, which is its namespace; by default the folder's
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The language of the texts
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
}

/// Name and text of each file; `@name@` stands for the project's name. Sorted as they are applied.
type Files = [(&'static str, &'static str); 7];

const KOREAN: Files = [
    ("00-namespace.yaml", include_str!("../data/init/namespace.yaml")),
    ("gates.yaml", include_str!("../data/init/ko/gates.yaml")),
    ("glossary.yaml", include_str!("../data/init/ko/glossary.yaml")),
    ("project.yaml", include_str!("../data/init/ko/project.yaml")),
    ("requirements/fr-001.yaml", include_str!("../data/init/ko/fr-001.yaml")),
    ("requirements/goal-001.yaml", include_str!("../data/init/ko/goal-001.yaml")),
    ("requirements/nfr-001.yaml", include_str!("../data/init/ko/nfr-001.yaml")),
];

const ENGLISH: Files = [
    ("00-namespace.yaml", include_str!("../data/init/namespace.yaml")),
    ("gates.yaml", include_str!("../data/init/en/gates.yaml")),
    ("glossary.yaml", include_str!("../data/init/en/glossary.yaml")),
    ("project.yaml", include_str!("../data/init/en/project.yaml")),
    ("requirements/fr-001.yaml", include_str!("../data/init/en/fr-001.yaml")),
    ("requirements/goal-001.yaml", include_str!("../data/init/en/goal-001.yaml")),
    ("requirements/nfr-001.yaml", include_str!("../data/init/en/nfr-001.yaml")),
];

pub(crate) fn run(arguments: &InitArguments, report: Report) -> anyhow::Result<u8> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => folder_name(&arguments.folder)?,
    };
    let problems = check_name(&name);
    anyhow::ensure!(
        problems,
        "\"{name}\" is no name of a project: write lowercase letters, digits and - with --name, at most 50"
    );
    let files = if arguments.language == "en" { &ENGLISH } else { &KOREAN };
    let made = write(&arguments.folder, &name, files)?;
    for path in &made {
        report.line(path.display());
    }
    let folder = arguments.folder.join(".maru");
    report.line(format_args!(
        "\nnext:\n  maru req lint {}\n  maru apply -f {} -f {}\n  maru -n {name} project gate",
        arguments.folder.display(),
        folder.display(),
        folder.join("requirements").display()
    ));
    report.value(&json!({"name": name, "files": made}));
    Ok(0)
}

fn folder_name(folder: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(folder).with_context(|| format!("cannot find \"{}\"", folder.display()))?;
    let own = absolute.components().next_back().map(|part| part.as_os_str().to_string_lossy().to_lowercase());
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = own.unwrap_or_default().chars().map(letter).collect();
    Ok(name.trim_matches('-').to_owned())
}

/// A namespace is a label of DNS, and its environments' names are longer.
fn check_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 50 && name.bytes().all(letter) && !name.starts_with('-') && !name.ends_with('-')
}

/// Writes the files; nothing that is there is touched.
fn write(folder: &Path, name: &str, files: &Files) -> anyhow::Result<Vec<PathBuf>> {
    let folder = folder.join(".maru");
    anyhow::ensure!(!folder.exists(), "\"{}\" is there already; nothing was written", folder.display());
    let mut made = Vec::new();
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create \"{}\"", parent.display()))?;
        std::fs::write(&path, text.replace("@name@", name))
            .with_context(|| format!("cannot write \"{}\"", path.display()))?;
        made.push(path);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use maru_requirements::{LintContext, lint, read_folder};

    use super::*;

    #[test]
    fn both_languages_lint_clean() {
        for (language, files) in [("ko", &KOREAN), ("en", &ENGLISH)] {
            let folder = tempfile::tempdir().unwrap();
            let made = write(folder.path(), "bank", files).unwrap();
            assert_eq!(made.len(), 7);
            let read = read_folder(&crate::requirements::folder_files(folder.path()).unwrap()).unwrap();
            assert_eq!(read.items.len(), 3, "{language}");
            let findings = lint(&read.items, &LintContext { glossary: read.glossary, components: None });
            assert!(findings.is_empty(), "{language}: {findings:#?}");
            let manifests = [folder.path().join(".maru"), folder.path().join(".maru/requirements")];
            let manifests = maru_cli::read_manifests(&manifests).unwrap();
            assert!(
                manifests
                    .iter()
                    .all(|one| one.object["metadata"]["namespace"] == "bank" || one.object["kind"] == "Namespace")
            );
            assert!(write(folder.path(), "bank", files).unwrap_err().to_string().contains("nothing was written"));
        }
    }

    #[test]
    fn names_come_from_folders() {
        assert_eq!(folder_name(Path::new("/tmp/My Bank")).unwrap(), "my-bank");
        assert!(check_name("bank-2") && !check_name("은행") && !check_name("") && !check_name("-a"));
    }
}
