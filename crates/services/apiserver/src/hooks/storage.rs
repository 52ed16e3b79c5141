//! Persistent volumes, claims and storage classes.

use maru_kube::{FieldError, Quantity};
use serde_json::Value;

use super::{Context, check_immutable};
use crate::errors::issue;
use crate::meta::{self, default_at};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(crate) fn volume_defaults(object: &mut Value) {
    default_at(object, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
    default_at(object, &["spec", "volumeMode"], "Filesystem");
    if meta::at(object, &["spec", "hostPath"]).is_some() {
        default_at(object, &["spec", "hostPath", "type"], "");
    }
}

pub(crate) fn claim_defaults(object: &mut Value) {
    default_at(object, &["spec", "volumeMode"], "Filesystem");
    default_at(object, &["status", "phase"], "Pending");
}

pub(crate) fn class_defaults(object: &mut Value) {
    default_at(object, &["reclaimPolicy"], "Delete");
    default_at(object, &["volumeBindingMode"], "Immediate");
}

/// Gives a claim that names no class the default one. The empty text means: none.
pub(crate) fn prepare_claim(context: &Context<'_>, object: &mut Value) {
    if meta::at(object, &["spec", "storageClassName"]).is_some_and(|value| !value.is_null()) {
        return;
    }
    let classes = context.state.list_raw("storage.k8s.io/storageclasses", None);
    let default = classes
        .iter()
        .filter(|class| meta::text(class, &["metadata", "annotations", DEFAULT_CLASS]) == "true")
        .max_by_key(|class| {
            (meta::text(class, &["metadata", "creationTimestamp"]), std::cmp::Reverse(meta::name(class)))
        });
    if let Some(class) = default {
        meta::set_at(object, &["spec", "storageClassName"], Some(meta::name(class).into()));
    }
}

pub(crate) fn validate_volume(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = access_modes(object);
    match meta::at(object, &["spec", "capacity", "storage"]) {
        None => issues.push(issue::required("spec.capacity", "")),
        Some(size) => issues.extend(positive("spec.capacity[storage]", size)),
    }
    issues.extend(check_immutable(
        object,
        old,
        &["spec.hostPath", "spec.local", "spec.nfs", "spec.csi", "spec.volumeMode"],
    ));
    let sources =
        ["hostPath", "local", "nfs", "csi", "iscsi", "fc", "cephfs", "rbd", "flexVolume", "azureFile", "glusterfs"];
    if !sources.iter().any(|source| meta::at(object, &["spec", source]).is_some()) {
        issues.push(issue::required("spec", "must specify a volume type"));
    }
    issues
}

pub(crate) fn validate_claim(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = access_modes(object);
    match meta::at(object, &["spec", "resources", "requests", "storage"]) {
        None => issues.push(issue::required("spec.resources[storage]", "")),
        Some(size) => issues.extend(positive("spec.resources[storage]", size)),
    }
    let Some(old) = old else { return issues };
    // The binder sets volume and class once; the size may grow.
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for key in ["resources", "volumeName", "storageClassName", "volumeAttributesClassName"] {
            meta::root(&mut spec).remove(key);
        }
        spec
    };
    let may_set = |key: &str| {
        let before = meta::text(old, &["spec", key]);
        before.is_empty() || before == meta::text(object, &["spec", key])
    };
    if rest(old) != rest(object) || !may_set("volumeName") || !may_set("storageClassName") {
        issues.push(issue::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let size = |object: &Value| {
        meta::at(object, &["spec", "resources", "requests", "storage"])
            .and_then(|size| Quantity::from_json(size).ok())
            .map(Quantity::value)
    };
    if let (Some(before), Some(after)) = (size(old), size(object))
        && after < before
    {
        issues.push(issue::forbidden("spec.resources.requests.storage", "field can not be less than previous value"));
    }
    issues
}

fn access_modes(object: &Value) -> Vec<FieldError> {
    const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = meta::list(object, &["spec", "accessModes"]);
    if modes.is_empty() {
        return vec![issue::required("spec.accessModes", "at least 1 access mode is required")];
    }
    modes
        .iter()
        .filter(|mode| !mode.as_str().is_some_and(|mode| MODES.contains(&mode)))
        .map(|mode| issue::not_supported("spec.accessModes", mode.clone(), MODES))
        .collect()
}

fn positive(field: &str, size: &Value) -> Option<FieldError> {
    match Quantity::from_json(size) {
        Ok(quantity) if !quantity.is_zero() && !quantity.is_negative() => None,
        Ok(_) => Some(issue::invalid(field, size.clone(), "must be greater than zero")),
        Err(error) => Some(issue::invalid(field, size.clone(), error.to_string())),
    }
}

pub(crate) fn validate_class(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = check_immutable(object, old, &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"]);
    if meta::text(object, &["provisioner"]).is_empty() {
        issues.push(issue::required("provisioner", ""));
    }
    issues
}
