//! CustomResourceDefinitions: checked, established at once, served by the same code as built-in kinds.

use std::collections::BTreeSet;
use std::sync::Arc;

use maru_kube::table::Columns;
use maru_kube::{FieldError, Schema, names};
use maru_objects::{Durability, Record};
use maru_time::rfc3339_seconds;
use serde_json::{Value, json};

use super::{Context, Hook, check_immutable};
use crate::cleanup;
use crate::errors::{ApiError, issue};
use crate::kinds::{ALL_VERBS, Kind, KindTable, PrinterColumn, ScalePaths, Version, path, store_name};
use crate::meta::{self, default_at};
use crate::state::{State, decode_raw};
use crate::write::Part;

pub(crate) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
pub(crate) const STORE: &str = "apiextensions.k8s.io/customresourcedefinitions";

pub(crate) fn defaults(object: &mut Value) {
    let kind = meta::text(object, &["spec", "names", "kind"]).to_owned();
    default_at(object, &["spec", "names", "listKind"], format!("{kind}List"));
    default_at(object, &["spec", "names", "singular"], kind.to_lowercase());
    default_at(object, &["spec", "conversion", "strategy"], "None");
    for version in object
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("versions"))
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(scale) = version.get_mut("subresources").and_then(|all| all.get_mut("scale")) {
            default_at(scale, &["specReplicasPath"], ".spec.replicas");
        }
    }
}

/// Writes the status: names are accepted and the definition is established in the same write.
pub(crate) fn prepare(context: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), ApiError> {
    if context.part == Part::Status {
        return Ok(());
    }
    if old.is_none() && has_key(&object["spec"]["versions"], "x-kubernetes-validations") {
        context.warnings.add("x-kubernetes-validations are stored and not evaluated: CEL rules are not supported yet");
    }
    let now = rfc3339_seconds(context.now);
    let names = meta::at(object, &["spec", "names"]).cloned().unwrap_or_default();
    meta::set_at(object, &["status", "acceptedNames"], Some(names));
    let storage = meta::list(object, &["spec", "versions"])
        .iter()
        .find(|version| version.get("storage").and_then(Value::as_bool) == Some(true))
        .map(|version| meta::text(version, &["name"]).to_owned())
        .unwrap_or_default();
    let mut stored: Vec<Value> =
        old.map(|old| meta::list(old, &["status", "storedVersions"]).to_vec()).unwrap_or_default();
    if !stored.iter().any(|version| *version == storage.as_str()) {
        stored.push(storage.into());
    }
    meta::set_at(object, &["status", "storedVersions"], Some(stored.into()));
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ] {
        set_condition(object, kind, reason, message, &now);
    }
    Ok(())
}

fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(key) || map.values().any(|value| has_key(value, key)),
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        _ => false,
    }
}

fn set_condition(object: &mut Value, kind: &str, reason: &str, message: &str, now: &str) {
    let status = meta::map_at(object, &["status"]);
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    let is_there = list.iter().any(|one| meta::text(one, &["type"]) == kind && meta::text(one, &["status"]) == "True");
    if is_there {
        return;
    }
    list.retain(|one| meta::text(one, &["type"]) != kind);
    list.push(json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}));
}

/// A definition goes after its objects.
pub(crate) fn prepare_delete(context: &Context<'_>, object: &mut Value) {
    if context.state.store.count(&store_of(object)) == 0 {
        return;
    }
    let mut finalizers = meta::list(object, &["metadata", "finalizers"]).to_vec();
    if !finalizers.iter().any(|one| one == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    meta::set_at(object, &["metadata", "finalizers"], Some(finalizers.into()));
    let now = rfc3339_seconds(context.now);
    set_condition(
        object,
        "Terminating",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        &now,
    );
}

pub(crate) fn store_of(object: &Value) -> String {
    store_name(meta::text(object, &["spec", "group"]), meta::text(object, &["spec", "names", "plural"]))
}

/// Replaces the table of kinds by one with the definitions that are stored now.
pub(crate) fn changed(state: &Arc<State>) {
    let current = state.table();
    let mut kinds = state.builtin.clone();
    for record in &state.store.list(STORE, None).records {
        let Ok(definition) = decode_raw(record) else { continue };
        let known = current
            .find(meta::text(&definition, &["spec", "group"]), meta::text(&definition, &["spec", "names", "plural"]));
        match known.filter(|kind| kind.is_custom && kind.revision == record.revision.0) {
            Some(kind) => kinds.push(Arc::clone(kind)),
            None => match kind_of(&definition, record) {
                Ok(kind) => kinds.push(Arc::new(kind)),
                Err(error) => tracing::error!(name = meta::name(&definition), %error, "a definition cannot be served"),
            },
        }
        if meta::is_being_deleted(&definition) {
            cleanup::start(state, meta::name(&definition));
        }
    }
    state.kinds.store(Arc::new(KindTable::new(kinds)));
}

/// Makes the row of a definition.
pub(crate) fn kind_of(definition: &Value, record: &Record) -> Result<Kind, maru_kube::SchemaError> {
    let text = |path: &[&str]| meta::text(definition, path).to_owned();
    let texts = |path: &[&str]| -> Vec<String> {
        meta::list(definition, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let is_terminating = meta::is_being_deleted(definition);
    let all = meta::list(definition, &["spec", "versions"]);
    let mut versions = Vec::new();
    for version in all.iter().filter(|version| version.get("served").and_then(Value::as_bool) == Some(true)) {
        versions.push(version_of(definition, version)?);
    }
    versions.sort_by_key(|version| std::cmp::Reverse(crate::kinds::version_priority(&version.name)));
    let storage = all.iter().find(|version| version.get("storage").and_then(Value::as_bool) == Some(true));
    let (group, plural) = (text(&["spec", "group"]), text(&["spec", "names", "plural"]));
    Ok(Kind {
        store: Arc::from(store_name(&group, &plural)),
        group,
        plural,
        kind: text(&["spec", "names", "kind"]),
        list_kind: text(&["spec", "names", "listKind"]),
        singular: text(&["spec", "names", "singular"]),
        short_names: texts(&["spec", "names", "shortNames"]),
        categories: texts(&["spec", "names", "categories"]),
        namespaced: text(&["spec", "scope"]) == "Namespaced",
        // While it goes, nothing new comes.
        verbs: ALL_VERBS.iter().copied().filter(|verb| !is_terminating || *verb != "create").collect(),
        versions,
        storage_version: storage.map(|version| meta::text(version, &["name"]).to_owned()).unwrap_or_default(),
        durability: Durability::Durable,
        hook: Hook::None,
        is_virtual: false,
        is_custom: true,
        note: None,
        revision: record.revision.0,
    })
}

fn version_of(definition: &Value, version: &Value) -> Result<Version, maru_kube::SchemaError> {
    let name = meta::text(version, &["name"]).to_owned();
    let schema = match meta::at(version, &["schema", "openAPIV3Schema"]) {
        Some(schema) => Some(Schema::from_crd(schema)?),
        None => None,
    };
    let mut subresources = BTreeSet::new();
    if meta::at(version, &["subresources", "status"]).is_some_and(|value| !value.is_null()) {
        subresources.insert("status".to_owned());
    }
    let (group, plural) =
        (meta::text(definition, &["spec", "group"]), meta::text(definition, &["spec", "names", "plural"]));
    subresources.extend(crate::contents::subresources_of(group, plural).map(str::to_owned));
    let scale = meta::at(version, &["subresources", "scale"]).filter(|value| value.is_object()).map(|scale| {
        subresources.insert("scale".to_owned());
        ScalePaths {
            spec_replicas: path(meta::text(scale, &["specReplicasPath"])),
            status_replicas: path(meta::text(scale, &["statusReplicasPath"])),
            selector: Some(path(meta::text(scale, &["labelSelectorPath"]))).filter(|path| !path.is_empty()),
        }
    });
    let selectable_fields = meta::list(version, &["selectableFields"])
        .iter()
        .map(|field| path(meta::text(field, &["jsonPath"])).join("."))
        .collect();
    let columns = meta::list(version, &["additionalPrinterColumns"]).iter().map(|column| PrinterColumn {
        name: meta::text(column, &["name"]).to_owned(),
        kind: meta::text(column, &["type"]).to_owned(),
        format: meta::text(column, &["format"]).to_owned(),
        description: meta::text(column, &["description"]).to_owned(),
        priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
        json_path: meta::text(column, &["jsonPath"]).to_owned(),
    });
    let is_deprecated = version.get("deprecated").and_then(Value::as_bool) == Some(true);
    let warning = meta::text(version, &["deprecationWarning"]);
    let deprecation = is_deprecated.then(|| match warning {
        "" => format!(
            "{}/{name} {} is deprecated",
            meta::text(definition, &["spec", "group"]),
            meta::text(definition, &["spec", "names", "kind"])
        ),
        own => own.to_owned(),
    });
    Ok(Version { name, schema, subresources, scale, selectable_fields, columns: columns.collect(), deprecation })
}

pub(crate) fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues =
        check_immutable(object, old, &["spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"]);
    let (group, plural) = (meta::text(object, &["spec", "group"]), meta::text(object, &["spec", "names", "plural"]));
    if meta::name(object) != format!("{plural}.{group}") {
        issues.push(issue::invalid("metadata.name", meta::name(object), "must be spec.names.plural+\".\"+spec.group"));
    }
    issues
        .extend(names::check_dns1123_subdomain(group).into_iter().map(|why| issue::invalid("spec.group", group, why)));
    if !group.contains('.') {
        issues.push(issue::invalid("spec.group", group, "should be a domain with at least one dot"));
    }
    issues.extend(
        names::check_dns1035_label(plural).into_iter().map(|why| issue::invalid("spec.names.plural", plural, why)),
    );
    if meta::text(object, &["spec", "names", "kind"]).is_empty() {
        issues.push(issue::required("spec.names.kind", ""));
    }
    let scope = meta::text(object, &["spec", "scope"]);
    if !matches!(scope, "Cluster" | "Namespaced") {
        issues.push(issue::not_supported("spec.scope", scope, &["Cluster", "Namespaced"]));
    }
    if meta::text(object, &["spec", "conversion", "strategy"]) != "None" {
        issues.push(issue::invalid(
            "spec.conversion.strategy",
            meta::text(object, &["spec", "conversion", "strategy"]),
            "conversion webhooks are not supported; only None is",
        ));
    }
    issues.extend(validate_versions(object));
    issues
}

fn validate_versions(object: &Value) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let versions = meta::list(object, &["spec", "versions"]);
    let is = |version: &&Value, key: &str| version.get(key).and_then(Value::as_bool) == Some(true);
    if versions.iter().filter(|version| is(version, "storage")).count() != 1 {
        issues.push(issue::invalid(
            "spec.versions",
            Value::Null,
            "must have exactly one version marked as storage version",
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{index}]");
        let name = meta::text(version, &["name"]);
        issues.extend(
            names::check_dns1035_label(name).into_iter().map(|why| issue::invalid(format!("{field}.name"), name, why)),
        );
        if !seen.insert(name) {
            issues.push(issue::duplicate(format!("{field}.name"), name));
        }
        match meta::at(version, &["schema", "openAPIV3Schema"]) {
            None => issues.push(issue::required(format!("{field}.schema.openAPIV3Schema"), "schemas are required")),
            Some(schema) => {
                if let Err(error) = Schema::from_crd(schema) {
                    let at = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
                    issues.push(issue::invalid(format!("{field}.schema.openAPIV3Schema{at}"), Value::Null, error.why));
                }
            }
        }
        if let Some(columns) = version.get("additionalPrinterColumns")
            && let Err(error) = Columns::from_crd(columns)
        {
            issues.push(issue::invalid(
                format!("{field}.additionalPrinterColumns[{}].jsonPath", error.index),
                error.path,
                error.why,
            ));
        }
    }
    issues
}
