//! Events of the groups `""` and `events.k8s.io`: one store, two spellings.

use serde_json::{Map, Value};

use crate::kinds::Served;
use crate::meta;

/// The newer group's names of the core group's fields.
const RENAMED: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];

/// Stored events are of the core group.
pub(crate) fn to_storage(served: &Served, object: &mut Value) {
    if served.kind.group.is_empty() {
        return;
    }
    let root = meta::root(object);
    root.insert("apiVersion".to_owned(), "v1".into());
    rename(root, |(new, core)| (new, core));
}

pub(crate) fn from_storage(served: &Served, stored_version: &str, object: &mut Value) {
    if served.kind.group.is_empty() || stored_version != "v1" {
        return;
    }
    rename(meta::root(object), |(new, core)| (core, new));
}

fn rename(
    map: &mut Map<String, Value>,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for pair in RENAMED {
        let (from, to) = direction(*pair);
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}
