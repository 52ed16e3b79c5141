//! Manifests in files, folders and standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::CliError;

/// One document of a file, with where it came from.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file, `-` for standard input.
    pub path: PathBuf,
    /// Which document of the file, from 1.
    pub document: usize,
    /// The object.
    pub object: Value,
}

impl Manifest {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Reads all manifests of files (`-` is standard input) and folders (their `.yaml`, `.yml` and `.json` files by name).
///
/// # Errors
/// When a file cannot be read or parsed, or when a document is not a Kubernetes object.
pub fn read_manifests(paths: &[PathBuf]) -> Result<Vec<Manifest>, CliError> {
    let mut manifests = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in files_of(path)? {
                read_file(&file, &mut manifests)?;
            }
        } else {
            read_file(path, &mut manifests)?;
        }
    }
    if manifests.is_empty() {
        return Err(CliError::Usage("there is no manifest in what was named".to_owned()));
    }
    Ok(manifests)
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let wrap = |source| CliError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        if path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|one| extension == *one)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, manifests: &mut Vec<Manifest>) -> Result<(), CliError> {
    let wrap = |source| CliError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map_err(wrap)?;
    } else {
        text = std::fs::read_to_string(path).map_err(wrap)?;
    }
    let wrong = |document, message| CliError::Manifest { path: path.to_owned(), document, message };
    let documents = maru_kube::yaml::parse_many(&text).map_err(|error| wrong(1, error.to_string()))?;
    for (index, parsed) in documents.into_iter().enumerate() {
        let document = index + 1;
        if parsed.value.is_null() {
            continue;
        }
        if let Some(key) = parsed.duplicates.first() {
            return Err(wrong(document, format!("the key \"{key}\" is there twice; remove one")));
        }
        for object in flatten(parsed.value) {
            for key in ["apiVersion", "kind"] {
                if object.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                    return Err(wrong(document, format!("\"{key}\" is missing; every Kubernetes object has one")));
                }
            }
            manifests.push(Manifest { path: path.to_owned(), document, object });
        }
    }
    Ok(())
}

/// A `List` stands for its items.
fn flatten(mut object: Value) -> Vec<Value> {
    let is_list = object.get("kind").and_then(Value::as_str) == Some("List");
    match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items.into_iter().flat_map(flatten).collect(),
        Some(items) => {
            object["items"] = items;
            vec![object]
        }
        None => vec![object],
    }
}

/// Orders manifests so that what others need comes first; within a kind the files' order stays.
pub(crate) fn by_dependency(manifests: &mut [Manifest]) {
    manifests.sort_by_key(|manifest| match manifest.text("/kind") {
        "Namespace" => 0,
        "CustomResourceDefinition" | "GatewayClass" | "StorageClass" | "PriorityClass" => 1,
        "ServiceAccount" | "Secret" | "ConfigMap" | "PersistentVolume" | "PersistentVolumeClaim" => 2,
        "ClusterRole" | "Role" => 3,
        "ClusterRoleBinding" | "RoleBinding" => 4,
        "Service" => 5,
        _ => 6,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Manifest>, CliError> {
        let folder = std::env::temp_dir().join(format!("maru-manifests-{}", maru_ids::random_suffix(8)));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), text).unwrap();
        let result = read_manifests(std::slice::from_ref(&folder));
        std::fs::remove_dir_all(&folder).unwrap();
        result
    }

    #[test]
    fn lists_are_flattened_and_empty_documents_skipped() {
        let manifests = read(
            "---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n- {apiVersion: v1, kind: Namespace}\n---\n# nothing\n",
        )
        .unwrap();
        let kinds: Vec<&str> = manifests.iter().map(|manifest| manifest.text("/kind")).collect();
        assert_eq!(kinds, ["Service", "Namespace"]);
    }

    #[test]
    fn a_document_that_is_no_object_is_named_by_its_place() {
        let error = read("apiVersion: v1\nkind: Namespace\n---\nname: x\n").unwrap_err();
        assert!(
            error.to_string().ends_with("document 2: \"apiVersion\" is missing; every Kubernetes object has one"),
            "{error}"
        );
    }

    #[test]
    fn namespaces_come_first() {
        let manifest =
            |kind: &str| Manifest { path: PathBuf::new(), document: 1, object: serde_json::json!({"kind": kind}) };
        let mut manifests = vec![manifest("Deployment"), manifest("Service"), manifest("Namespace")];
        by_dependency(&mut manifests);
        assert_eq!(manifests[0].text("/kind"), "Namespace");
    }
}
