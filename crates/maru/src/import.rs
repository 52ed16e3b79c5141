//! `maru req apply`: a folder's requirements become objects, all or none, each with its history as git tells it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use kube::api::{Api, DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use maru_cli::{Manifest, apply_documents};
use maru_requirements::{Item, decode, read_folder};
use maru_time::Timestamp;
use serde_json::{Value, json};

use crate::arguments::GlobalArguments;
use crate::model::MODELS_FOLDER;
use crate::report::Report;
use crate::requirements::{DEFAULT_FOLDER, commit_times, folder_files};

/// When the file was committed: the first time, then the latest.
const HISTORY: &str = "maru.dev/history";
/// As many latest commits as tell that a requirement is volatile.
const COMMITS_MAX: usize = 6;
const ERRORS_SHOWN: usize = 100;

/// What `maru req apply` can be told.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The folder or file with requirements
    #[arg(default_value = DEFAULT_FOLDER)]
    pub(crate) folder: PathBuf,
    /// Remove requirements of the project that the folder does not have
    #[arg(long)]
    pub(crate) prune: bool,
}

pub(crate) async fn run(global: &GlobalArguments, arguments: &ImportArguments, report: Report) -> anyhow::Result<u8> {
    let items = match read_folder(&folder_files(&arguments.folder)?) {
        Ok(items) => items.items,
        Err(errors) => {
            let shown: Vec<String> = errors.iter().take(ERRORS_SHOWN).map(ToString::to_string).collect();
            bail!("nothing was applied: {} errors\n{}", errors.len(), shown.join("\n"));
        }
    };
    anyhow::ensure!(!items.is_empty(), "\"{}\" holds no requirements", arguments.folder.display());
    let times = commit_times(&arguments.folder).await;
    let manifests: Vec<Manifest> = items
        .iter()
        .map(|item| {
            let path = PathBuf::from(item.file());
            let commits = std::fs::canonicalize(&path).ok().and_then(|path| times.get(&path));
            Manifest {
                path,
                document: 1,
                object: object_of(item, &global.namespace, commits.map_or(&[], Vec::as_slice)),
            }
        })
        .collect();
    let models = models_beside(&arguments.folder, &global.namespace)?;
    let manifests = manifests.into_iter().chain(models).collect();
    let context = crate::client::connect(global, report).await?;
    let applied = apply_documents(manifests, &context).await?;
    for one in &applied {
        report.line(format_args!("{} {}", one.object, one.change));
    }
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("maru.dev", "v1alpha1", "Requirement"),
        "requirements",
    );
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &global.namespace, &kind);
    let known: BTreeSet<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let there = api.list_metadata(&kube::api::ListParams::default()).await?;
    let other: Vec<String> = there
        .items
        .into_iter()
        .filter_map(|one| one.metadata.name)
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    if arguments.prune {
        for name in &other {
            api.delete(name, &DeleteParams::default()).await?;
            report.line(format_args!("requirement.maru.dev/{name} deleted"));
        }
    } else if !other.is_empty() {
        report.line(format_args!(
            "project \"{}\" has {} requirements that the folder does not have ({}); --prune removes them",
            global.namespace,
            other.len(),
            other.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", "),
        ));
    }
    let changes: Vec<Value> = applied.iter().map(|one| json!({"object": one.object, "change": one.change})).collect();
    report.value(&json!({"applied": changes, "elsewhere": other, "pruned": arguments.prune}));
    Ok(0)
}

/// Writes into requirements that were read as objects when their files were committed.
pub(crate) async fn add_history(manifests: &mut [Manifest], folder: &Path) {
    let times = commit_times(folder).await;
    for manifest in manifests.iter_mut().filter(|one| one.object["kind"] == "Requirement") {
        let commits = std::fs::canonicalize(&manifest.path).ok().and_then(|path| times.get(&path));
        if let Some(history) = commits.and_then(|commits| history_of(commits)) {
            manifest.object["metadata"]["annotations"][HISTORY] = json!(history);
        }
    }
}

/// Returns the models beside the requirements as objects, so that baselines and documents have them.
pub(crate) fn models_beside(requirements: &Path, namespace: &str) -> anyhow::Result<Vec<Manifest>> {
    let folder =
        [requirements.join(MODELS_FOLDER), requirements.join("../models")].into_iter().find(|one| one.is_dir());
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let looked = crate::model::look(&folder, None)?;
    if let Some(error) = looked.errors.first() {
        bail!("nothing was applied: a model cannot be read: {error}");
    }
    let mut manifests = Vec::new();
    for path in crate::model::files(&folder)? {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
        let (text, _) = decode(&bytes).map_err(|(line, why)| anyhow::anyhow!("{}:{line}: {why}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let object = json!({
            "apiVersion": "maru.dev/v1alpha1", "kind": "Model",
            "metadata": {"name": object_name(&file), "namespace": namespace},
            "spec": {"file": file, "text": text},
        });
        manifests.push(Manifest { path, document: 1, object });
    }
    Ok(manifests)
}

/// The name of a file's object: without the ending, and where that is no name of an object, told apart by a digest.
fn object_name(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = stem.bytes().all(letter) && !stem.starts_with('-') && !stem.ends_with('-') && !stem.is_empty();
    if is_name { stem.to_owned() } else { format!("model-{}", maru_ids::short_hash(file, 10)) }
}

fn object_of(item: &Item, namespace: &str, commits: &[i64]) -> Value {
    let mut object = item.to_object(namespace);
    if let Some(history) = history_of(commits) {
        object["metadata"]["annotations"] = json!({HISTORY: history});
    }
    object
}

fn history_of(commits: &[i64]) -> Option<String> {
    let mut times: Vec<i64> = commits.to_vec();
    times.sort_unstable();
    let (first, later) = times.split_first()?;
    let latest = later.iter().skip(later.len().saturating_sub(COMMITS_MAX));
    let words: Vec<String> = [first]
        .into_iter()
        .chain(latest)
        .filter_map(|seconds| Timestamp::from_second(*seconds).ok())
        .map(|time| time.to_string())
        .collect();
    Some(words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_the_first_commit_and_the_latest() {
        assert_eq!(history_of(&[]), None);
        assert_eq!(history_of(&[60, 0]).as_deref(), Some("1970-01-01T00:00:00Z,1970-01-01T00:01:00Z"));
        let many: Vec<i64> = (0..20).collect();
        let history = history_of(&many).unwrap();
        assert_eq!(history.split(',').count(), 7);
        assert!(history.ends_with("00:00:19Z"), "{history}");
    }
}
