//! Short ways to read metadata.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use maru_time::Timestamp;

/// Short ways to read an object's metadata: what is absent reads as empty.
pub(crate) trait MetaExt {
    fn name(&self) -> &str;
    fn namespace(&self) -> &str;
    fn uid(&self) -> &str;
    fn revision(&self) -> u64;
    fn generation(&self) -> i64;
    fn is_deleting(&self) -> bool;
    fn created_at(&self) -> Timestamp;
    fn label(&self, name: &str) -> Option<&str>;
    fn annotation(&self, name: &str) -> Option<&str>;
    fn label_map(&self) -> &BTreeMap<String, String>;
    fn has_finalizer(&self, name: &str) -> bool;
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

impl<K: Resource> MetaExt for K {
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        self.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn generation(&self) -> i64 {
        self.meta().generation.unwrap_or_default()
    }

    fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    fn created_at(&self) -> Timestamp {
        self.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.label_map().get(name).map(String::as_str)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(name).map(String::as_str)
    }

    fn label_map(&self) -> &BTreeMap<String, String> {
        self.meta().labels.as_ref().unwrap_or(&NO_LABELS)
    }

    fn has_finalizer(&self, name: &str) -> bool {
        self.meta().finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == name))
    }
}

/// Returns a time as conditions carry it: whole seconds, so that what was written equals what is read back.
pub(crate) fn condition_time(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}
