//! Objects as they were when they could be used last: that goes on while an object is wrong, also after a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::objects::Kind;

/// What an object is found by: its kind, namespace and name.
pub(super) type Key = (Kind, String, String);

/// The objects that could be used last.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Holds those whose object is wrong now; there is none while all is right.
    file: PathBuf,
    last: BTreeMap<Key, Value>,
    /// What the file says.
    written: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    kind: String,
    namespace: String,
    name: String,
    object: Value,
}

impl Kept {
    /// Reads what an earlier process left.
    pub(super) fn load(directory: &Path) -> Self {
        let file = directory.join("last-good.json");
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "what could be used last cannot be read");
                Vec::new()
            }
        };
        let mut kept = Self { file, ..Self::default() };
        if !text.is_empty() {
            match serde_json::from_slice::<Vec<Entry>>(&text) {
                Ok(entries) => kept.written = entries,
                Err(error) => {
                    tracing::warn!(%error, file = %kept.file.display(), "what could be used last cannot be read")
                }
            }
        }
        for entry in &kept.written {
            if let Some(kind) = Kind::monitoring().into_iter().find(|kind| kind.name() == entry.kind) {
                kept.last.insert((kind, entry.namespace.clone(), entry.name.clone()), entry.object.clone());
            }
        }
        kept
    }

    /// Remembers an object that can be used.
    pub(super) fn set(&mut self, key: Key, object: &Value) {
        if self.last.get(&key).is_none_or(|known| known["metadata"]["generation"] != object["metadata"]["generation"]) {
            let metadata: serde_json::Map<String, Value> = ["name", "namespace", "generation", "uid"]
                .into_iter()
                .map(|field| (field.to_owned(), object["metadata"][field].clone()))
                .collect();
            self.last.insert(key, serde_json::json!({"metadata": metadata, "spec": object["spec"]}));
        }
    }

    /// Returns what can be used in the place of an object that is wrong: what the same object said before.
    pub(super) fn instead_of(&self, key: &Key, object: &Value) -> Option<Value> {
        self.last.get(key).filter(|known| known["metadata"]["uid"] == object["metadata"]["uid"]).cloned()
    }

    /// Forgets objects that are gone, and has the file hold those that are in use though their object is wrong.
    pub(super) fn settle(&mut self, is_there: impl Fn(&Key) -> bool, in_use: &[Key]) {
        self.last.retain(|key, _| is_there(key));
        let entries: Vec<Entry> = in_use
            .iter()
            .filter_map(|key| {
                let object = self.last.get(key)?.clone();
                Some(Entry { kind: key.0.name().to_owned(), namespace: key.1.clone(), name: key.2.clone(), object })
            })
            .collect();
        if entries == self.written {
            return;
        }
        match write(&self.file, &entries) {
            Ok(()) => self.written = entries,
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "what could be used last cannot be written")
            }
        }
    }
}

/// Exchanges the file, or removes it when there is nothing to tell.
fn write(file: &Path, entries: &[Entry]) -> std::io::Result<()> {
    if entries.is_empty() {
        return match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let new = file.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(entries)?)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, file)
}
