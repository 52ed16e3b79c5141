//! The table of kinds that are served: built in from `kinds.toml`, extended by CustomResourceDefinitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use maru_objects::Durability;
use serde::Deserialize;

use crate::formats::SharedSchema;
use crate::hooks::Hook;

/// A resource without its version, as RBAC, errors and the store name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) resource: String,
}

impl fmt::Display for GroupResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            return formatter.write_str(&self.resource);
        }
        write!(formatter, "{}.{}", self.resource, self.group)
    }
}

/// All verbs of a stored resource, sorted.
pub(crate) const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Where the scale subresource finds its numbers, as dotted paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: Vec<String>,
    pub(crate) status_replicas: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
}

/// A printer column of a CustomResourceDefinition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) json_path: String,
}

/// One version of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) schema: Option<SharedSchema>,
    pub(crate) subresources: BTreeSet<String>,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) selectable_fields: Vec<String>,
    pub(crate) columns: Vec<PrinterColumn>,
    /// The warning that each request to a deprecated version is answered with.
    pub(crate) deprecation: Option<String>,
}

/// A kind that is served, in one or several versions.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<&'static str>,
    /// The served versions, the preferred one first.
    pub(crate) versions: Vec<Version>,
    /// The version that objects are stored in.
    pub(crate) storage_version: String,
    /// The name in the store: `pods`, `apps/deployments`.
    pub(crate) store: Arc<str>,
    pub(crate) durability: Durability,
    pub(crate) hook: Hook,
    /// Answered and never stored.
    pub(crate) is_virtual: bool,
    /// Defined by a CustomResourceDefinition.
    pub(crate) is_custom: bool,
    /// Told to whoever creates one.
    pub(crate) note: Option<String>,
    /// The revision of that definition.
    pub(crate) revision: u64,
}

impl Kind {
    pub(crate) fn group_resource(&self) -> GroupResource {
        GroupResource { group: self.group.clone(), resource: self.plural.clone() }
    }

    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }
}

/// A kind in the version that a request names.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) kind: Arc<Kind>,
    index: usize,
}

impl Served {
    pub(crate) fn version(&self) -> &Version {
        &self.kind.versions[self.index]
    }

    pub(crate) fn api_version(&self) -> String {
        api_version(&self.kind.group, &self.version().name)
    }

    pub(crate) fn storage_api_version(&self) -> String {
        api_version(&self.kind.group, &self.kind.storage_version)
    }

    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        self.version().subresources.contains(name)
    }

    pub(crate) fn schema(&self) -> Option<&SharedSchema> {
        self.version().schema.as_ref()
    }

    pub(crate) fn group_resource(&self) -> GroupResource {
        self.kind.group_resource()
    }
}

/// Returns the text of `apiVersion`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits the text of `apiVersion` into group and version.
pub(crate) fn split_api_version(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("", text))
}

/// An immutable snapshot of all kinds; a new one replaces it when a CustomResourceDefinition changes.
#[derive(Debug, Default)]
pub(crate) struct KindTable {
    kinds: Vec<Arc<Kind>>,
    by_resource: BTreeMap<(String, String), usize>,
    /// Discovery and OpenAPI documents made from this snapshot, by path.
    pub(crate) documents: std::sync::Mutex<BTreeMap<String, crate::discovery::Document>>,
}

impl KindTable {
    /// Makes a table; of two kinds with one group and plural, the first stays.
    pub(crate) fn new(kinds: impl IntoIterator<Item = Arc<Kind>>) -> Self {
        let mut table = Self::default();
        for kind in kinds {
            let key = (kind.group.clone(), kind.plural.clone());
            if let std::collections::btree_map::Entry::Vacant(entry) = table.by_resource.entry(key) {
                entry.insert(table.kinds.len());
                table.kinds.push(kind);
            }
        }
        table
    }

    pub(crate) fn find(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_resource.get(&(group.to_owned(), plural.to_owned())).and_then(|index| self.kinds.get(*index))
    }

    pub(crate) fn served(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        let kind = self.find(group, plural)?;
        let index = kind.versions.iter().position(|one| one.name == version)?;
        Some(Served { kind: Arc::clone(kind), index })
    }

    /// The kind in the version it is stored in, or the first.
    pub(crate) fn stored(&self, group: &str, plural: &str) -> Option<Served> {
        let kind = self.find(group, plural)?;
        let index = kind.versions.iter().position(|one| one.name == kind.storage_version).unwrap_or(0);
        Some(Served { kind: Arc::clone(kind), index })
    }

    /// The groups but the core one, sorted, each with its versions, the preferred first.
    pub(crate) fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kind in self.kinds.iter().filter(|kind| !kind.group.is_empty()) {
            let versions = groups.entry(kind.group.clone()).or_default();
            for version in &kind.versions {
                if !versions.contains(&version.name) {
                    versions.push(version.name.clone());
                }
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(version_priority(version)));
        }
        groups
    }

    /// The kinds of a group and version with the index of that version, sorted by plural.
    pub(crate) fn of_version(&self, group: &str, version: &str) -> Vec<Served> {
        let mut found: Vec<Served> = self
            .kinds
            .iter()
            .filter(|kind| kind.group == group)
            .filter_map(|kind| {
                let index = kind.versions.iter().position(|one| one.name == version)?;
                Some(Served { kind: Arc::clone(kind), index })
            })
            .collect();
        found.sort_by(|left, right| left.kind.plural.cmp(&right.kind.plural));
        found
    }
}

/// Orders versions as Kubernetes does: v2 > v1 > v2beta1 > v1beta1 > v1alpha1 > anything else.
pub(crate) fn version_priority(version: &str) -> (u8, u32, u32) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let major = digits.parse().ok()?;
        let rest = rest.strip_prefix(digits.as_str())?;
        if rest.is_empty() {
            return Some((3, major, 0));
        }
        let (rank, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (None, Some(minor)) => (1, minor),
            (None, None) => return None,
        };
        Some((rank, major, minor.parse().ok()?))
    };
    parse().unwrap_or((0, 0, 0))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    kind: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    group: String,
    versions: Option<Vec<String>>,
    kind: String,
    plural: String,
    singular: Option<String>,
    #[serde(default)]
    short: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    namespaced: Option<bool>,
    verbs: Option<Vec<String>>,
    #[serde(default)]
    subresources: BTreeSet<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    durability: RowDurability,
    store: Option<String>,
    note: Option<String>,
    #[serde(default)]
    hook: Hook,
    #[serde(default, rename = "virtual")]
    is_virtual: bool,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RowDurability {
    #[default]
    Durable,
    Ephemeral,
}

/// Returns the built-in kinds; `schema` finds the schema of a group, version and kind.
///
/// # Panics
/// Never for the table in this crate: a test reads it.
pub(crate) fn builtin(schema: impl Fn(&str, &str, &str) -> Option<SharedSchema>) -> Vec<Arc<Kind>> {
    let rows: Rows =
        toml::from_str(include_str!("../kinds.toml")).expect("the table is part of the crate and a test reads it");
    rows.kind.into_iter().map(|row| Arc::new(row.into_kind(&schema))).collect()
}

impl Row {
    fn into_kind(self, schema: &impl Fn(&str, &str, &str) -> Option<SharedSchema>) -> Kind {
        let names = self.versions.unwrap_or_else(|| vec!["v1".to_owned()]);
        let scale = self.subresources.contains("scale").then(|| ScalePaths {
            spec_replicas: path("spec.replicas"),
            status_replicas: path("status.replicas"),
            selector: None,
        });
        let versions = names
            .iter()
            .map(|name| Version {
                name: name.clone(),
                schema: schema(&self.group, name, &self.kind),
                subresources: self.subresources.clone(),
                scale: scale.clone(),
                selectable_fields: self.fields.clone(),
                columns: Vec::new(),
                deprecation: None,
            })
            .collect();
        let verbs = match &self.verbs {
            Some(named) => ALL_VERBS.iter().copied().filter(|verb| named.iter().any(|name| name == verb)).collect(),
            None => ALL_VERBS.to_vec(),
        };
        let store = self.store.unwrap_or_else(|| store_name(&self.group, &self.plural));
        Kind {
            list_kind: format!("{}List", self.kind),
            singular: self.singular.unwrap_or_else(|| self.kind.to_lowercase()),
            storage_version: names.first().cloned().unwrap_or_default(),
            group: self.group,
            kind: self.kind,
            plural: self.plural,
            short_names: self.short,
            categories: self.categories,
            namespaced: self.namespaced.unwrap_or(true),
            verbs,
            versions,
            store: Arc::from(store),
            durability: match self.durability {
                RowDurability::Durable => Durability::Durable,
                RowDurability::Ephemeral => Durability::Ephemeral,
            },
            hook: self.hook,
            is_virtual: self.is_virtual,
            is_custom: false,
            note: self.note,
            revision: 0,
        }
    }
}

/// The name of a resource in the store.
pub(crate) fn store_name(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{group}/{plural}") }
}

/// Splits a dotted path, with or without its leading dot.
pub(crate) fn path(text: &str) -> Vec<String> {
    text.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_read_and_has_no_double() {
        let kinds = builtin(|_, _, _| None);
        assert!(kinds.len() > 45, "{}", kinds.len());
        let table = KindTable::new(kinds.clone());
        assert_eq!(table.kinds.len(), kinds.len());
        let pods = table.served("", "v1", "pods").unwrap();
        assert_eq!(&*pods.kind.store, "pods");
        assert!(pods.has_subresource("exec"));
        let scale = table.served("apps", "v1", "deployments").unwrap();
        assert_eq!(scale.version().scale.as_ref().unwrap().spec_replicas, ["spec", "replicas"]);
        assert_eq!(scale.group_resource().to_string(), "deployments.apps");
    }

    #[test]
    fn versions_are_preferred_as_upstream_does() {
        let mut versions = ["v1alpha1", "v1", "v2beta1", "foo", "v2", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_priority(version)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }
}
