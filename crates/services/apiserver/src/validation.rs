//! Checks of the metadata that every object has.

use maru_kube::{FieldError, names};
use serde_json::Value;

use crate::errors::issue;
use crate::kinds::Served;
use crate::meta;

/// Checks names, labels, annotations, finalizers and owners.
pub(crate) fn metadata(served: &Served, object: &Value) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let name = meta::name(object);
    if name.is_empty() {
        issues.push(issue::required("metadata.name", "name or generateName is required"));
    } else {
        let wrong = served.kind.hook.check_name(name);
        issues.extend(wrong.into_iter().map(|why| issue::invalid("metadata.name", name, why)));
    }
    issues.extend(labels(meta::at(object, &["metadata", "labels"]), "metadata.labels"));
    issues.extend(annotations(meta::at(object, &["metadata", "annotations"])));
    for (index, finalizer) in meta::list(object, &["metadata", "finalizers"]).iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        let wrong = names::check_qualified_name(text);
        issues.extend(wrong.into_iter().map(|why| issue::invalid(format!("metadata.finalizers[{index}]"), text, why)));
    }
    issues.extend(owners(object));
    issues
}

/// Checks a map of labels at a field.
pub(crate) fn labels(value: Option<&Value>, field: &str) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let Some(map) = value.and_then(Value::as_object) else { return issues };
    for (key, value) in map {
        issues.extend(names::check_qualified_name(key).into_iter().map(|why| issue::invalid(field, key.as_str(), why)));
        match value.as_str() {
            Some(text) => {
                issues.extend(names::check_label_value(text).into_iter().map(|why| issue::invalid(field, text, why)))
            }
            None => issues.push(issue::invalid(field, value.clone(), "must be a string")),
        }
    }
    issues
}

fn annotations(value: Option<&Value>) -> Vec<FieldError> {
    let field = "metadata.annotations";
    let mut issues = Vec::new();
    let Some(map) = value.and_then(Value::as_object) else { return issues };
    let mut total = 0;
    for (key, value) in map {
        total += key.len() + value.as_str().map_or(0, str::len);
        issues.extend(
            names::check_qualified_name(&key.to_lowercase())
                .into_iter()
                .map(|why| issue::invalid(field, key.as_str(), why)),
        );
        if !value.is_string() {
            issues.push(issue::invalid(field, value.clone(), "must be a string"));
        }
    }
    if total > names::ANNOTATIONS_BYTES_MAX {
        issues.push(FieldError {
            field: field.to_owned(),
            kind: maru_kube::FieldErrorKind::TooLong,
            value: None,
            detail: format!("may not be more than {} bytes", names::ANNOTATIONS_BYTES_MAX),
        });
    }
    issues
}

fn owners(object: &Value) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let mut controller: Option<usize> = None;
    for (index, owner) in meta::list(object, &["metadata", "ownerReferences"]).iter().enumerate() {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if meta::text(owner, &[key]).is_empty() {
                issues.push(issue::required(format!("metadata.ownerReferences[{index}].{key}"), "must not be empty"));
            }
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            if controller.is_some() {
                issues.push(issue::invalid(
                    "metadata.ownerReferences",
                    owner.clone(),
                    "Only one reference can have Controller set to true",
                ));
            }
            controller = Some(index);
        }
    }
    issues
}

/// Checks what may not change: nothing new may wait for an object that is being deleted.
pub(crate) fn metadata_update(object: &Value, old: &Value) -> Vec<FieldError> {
    if !meta::is_being_deleted(old) {
        return Vec::new();
    }
    let before = meta::finalizers(old);
    let added: Vec<&str> = meta::finalizers(object).into_iter().filter(|one| !before.contains(one)).collect();
    if added.is_empty() {
        return Vec::new();
    }
    let detail =
        format!("no new finalizers can be added if the object is being deleted, found new finalizers {added:?}");
    vec![issue::forbidden("metadata.finalizers", detail)]
}
