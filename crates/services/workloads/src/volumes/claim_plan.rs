//! Decides which volume a claim gets.

use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use maru_kube::Quantity;

use super::{
    BOUND_BY_CONTROLLER, CLAIM_PROTECTION, IS_DEFAULT_CLASS, PROVISIONER, SELECTED_NODE, is_bound, waits_for_consumer,
};
use crate::machinery::{Matcher, MetaExt as _};
use crate::node_affinity::selects_node;

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) claim: Arc<PersistentVolumeClaim>,
    pub(crate) volumes: Vec<Arc<PersistentVolume>>,
    pub(crate) classes: Vec<Arc<StorageClass>>,
    pub(crate) node: Option<Arc<Node>>,
    /// Whether a pod that has not ended was bound to a node and uses the claim.
    pub(crate) is_used: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Gives a claim without a class the default one.
    AssignClass(String),
    /// Makes a directory and a volume for it.
    Provision(Arc<StorageClass>),
    /// Reserves the volume for the claim.
    Reserve(Arc<PersistentVolume>),
    /// Notes the volume in the claim's spec.
    Bind(Arc<PersistentVolume>),
    /// Writes the claim's status.
    Bound(Arc<PersistentVolume>),
    Pending,
    /// The volume of a bound claim is gone.
    Lost,
    /// Nothing uses the claim any more: its deletion may go on.
    Unprotect,
    /// Tells what the claim waits for.
    Tell {
        is_problem: bool,
        reason: &'static str,
        message: String,
    },
}

/// Decides what to do next. Pure: same inputs, same actions, in the same order.
pub(crate) fn plan(observed: &Observed) -> Vec<Action> {
    let claim = observed.claim.as_ref();
    if claim.is_deleting() {
        let may_go = claim.has_finalizer(CLAIM_PROTECTION) && !observed.is_used;
        return if may_go { vec![Action::Unprotect] } else { Vec::new() };
    }
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    match named {
        Some(name) => plan_named(observed, name),
        None => plan_unbound(observed),
    }
}

/// The claim names its volume: either it was bound, or its author wants that one.
fn plan_named(observed: &Observed, name: &str) -> Vec<Action> {
    let claim = observed.claim.as_ref();
    let Some(volume) = observed.volumes.iter().find(|volume| volume.name() == name) else {
        return match (claim.annotation(super::BIND_COMPLETED), phase(claim)) {
            (Some(_), "Lost") => Vec::new(),
            (Some(_), _) => vec![Action::Lost],
            (None, _) => pending(claim),
        };
    };
    match reserved_for(volume) {
        Some(reserved) if !is_same_claim(reserved, claim) => pending(claim),
        Some(reserved) if reserved.uid.as_deref() == Some(claim.uid()) => finish(observed, volume),
        Some(_) | None => vec![Action::Reserve(Arc::clone(volume))],
    }
}

/// The volume is reserved for the claim: what is missing on the claim's side.
fn finish(observed: &Observed, volume: &Arc<PersistentVolume>) -> Vec<Action> {
    let claim = observed.claim.as_ref();
    if claim.annotation(super::BIND_COMPLETED).is_none()
        || claim.spec.as_ref().is_none_or(|spec| spec.volume_name.is_none())
    {
        return vec![Action::Bind(Arc::clone(volume)), Action::Bound(Arc::clone(volume))];
    }
    let capacity = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref());
    let known = claim.status.as_ref().and_then(|status| status.capacity.as_ref());
    if is_bound(claim) && known == capacity { Vec::new() } else { vec![Action::Bound(Arc::clone(volume))] }
}

fn plan_unbound(observed: &Observed) -> Vec<Action> {
    let claim = observed.claim.as_ref();
    // Reserved by us before a crash, or by an administrator.
    if let Some(volume) =
        observed.volumes.iter().find(|volume| reserved_for(volume).is_some_and(|one| is_same_claim(one, claim)))
    {
        return match reserved_for(volume) {
            Some(reserved) if reserved.uid.as_deref() == Some(claim.uid()) => finish(observed, volume),
            Some(_) | None => vec![Action::Reserve(Arc::clone(volume))],
        };
    }
    let class_name = class_name(claim);
    if class_name.is_none()
        && let Some(default) = default_class(&observed.classes)
    {
        return vec![Action::AssignClass(default.name().to_owned())];
    }
    let class = class_name.and_then(|name| observed.classes.iter().find(|class| class.name() == name));
    let waits = class.is_some_and(|class| waits_for_consumer(class)) && claim.annotation(SELECTED_NODE).is_none();
    let mut actions = pending(claim);
    if waits {
        let message = "waiting for first consumer to be created before binding".to_owned();
        actions.push(Action::Tell { is_problem: false, reason: "WaitForFirstConsumer", message });
        return actions;
    }
    if let Some(volume) = best_volume(observed) {
        return vec![Action::Reserve(Arc::clone(volume))];
    }
    actions.push(match (class, class_name.unwrap_or_default()) {
        (Some(class), _) if class.provisioner == PROVISIONER => return vec![Action::Provision(Arc::clone(class))],
        (Some(class), _) if class.provisioner == "kubernetes.io/no-provisioner" => {
            tell("FailedBinding", "no persistent volumes available for this claim".to_owned())
        }
        (Some(class), _) => Action::Tell {
            is_problem: false,
            reason: "ExternalProvisioning",
            message: format!("Waiting for a volume to be created by the external provisioner '{}'", class.provisioner),
        },
        (None, "") => tell(
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set".to_owned(),
        ),
        (None, name) => tell("ProvisioningFailed", format!("storageclass.storage.k8s.io \"{name}\" not found")),
    });
    actions
}

fn tell(reason: &'static str, message: String) -> Action {
    Action::Tell { is_problem: true, reason, message }
}

fn pending(claim: &PersistentVolumeClaim) -> Vec<Action> {
    if phase(claim) == "Pending" { Vec::new() } else { vec![Action::Pending] }
}

fn phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn class_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}

/// Of several default classes the newest wins.
fn default_class(classes: &[Arc<StorageClass>]) -> Option<&Arc<StorageClass>> {
    let defaults = classes.iter().filter(|class| class.annotation(IS_DEFAULT_CLASS) == Some("true"));
    defaults.max_by_key(|class| (class.created_at(), class.name().to_owned()))
}

fn reserved_for(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

fn is_same_claim(reserved: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    reserved.namespace.as_deref() == Some(claim.namespace())
        && reserved.name.as_deref() == Some(claim.name())
        && reserved.uid.as_deref().is_none_or(|uid| uid.is_empty() || uid == claim.uid())
}

/// Returns the smallest free volume that satisfies the claim.
fn best_volume(observed: &Observed) -> Option<&Arc<PersistentVolume>> {
    let fitting = observed.volumes.iter().filter(|volume| satisfies(observed, volume));
    fitting.min_by_key(|volume| {
        (storage(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref())), volume.name().to_owned())
    })
}

fn satisfies(observed: &Observed, volume: &PersistentVolume) -> bool {
    let (Some(wanted), Some(offered)) = (observed.claim.spec.as_ref(), volume.spec.as_ref()) else { return false };
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let is_free =
        offered.claim_ref.is_none() && !volume.is_deleting() && !matches!(phase, "Released" | "Failed" | "Bound");
    let class_matches = offered.storage_class_name.as_deref().unwrap_or_default()
        == wanted.storage_class_name.as_deref().unwrap_or_default();
    let modes = offered.access_modes.as_deref().unwrap_or_default();
    let modes_match = wanted.access_modes.iter().flatten().all(|mode| modes.contains(mode));
    let mode_matches =
        offered.volume_mode.as_deref().unwrap_or("Filesystem") == wanted.volume_mode.as_deref().unwrap_or("Filesystem");
    let requested = wanted.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let is_selected =
        wanted.selector.as_ref().is_none_or(|selector| Matcher::new(selector).matches(volume.label_map()));
    let affinity = offered.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let is_reachable = match (affinity, &observed.node) {
        (Some(selector), Some(node)) => selects_node(selector, node),
        (Some(_), None) => false,
        (None, _) => true,
    };
    is_free
        && class_matches
        && modes_match
        && mode_matches
        && storage(offered.capacity.as_ref()) >= storage(requested)
        && is_selected
        && is_reachable
}

fn storage(amounts: Option<&std::collections::BTreeMap<String, Text>>) -> Quantity {
    amounts.and_then(|amounts| amounts.get("storage")).and_then(|text| text.0.parse().ok()).unwrap_or(Quantity::ZERO)
}

/// Returns the volume that is made for a claim, and its directory.
pub(crate) fn new_volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    node_name: &str,
    storage_directory: &std::path::Path,
) -> (PersistentVolume, PathBuf) {
    let name = format!("pvc-{}", claim.uid());
    let directory = storage_directory.join(format!("{name}_{}_{}", claim.namespace(), claim.name()));
    let spec = claim.spec.clone().unwrap_or_default();
    let requested = spec.resources.and_then(|resources| resources.requests).unwrap_or_default();
    let volume = serde_json::json!({
        "metadata": {
            "name": name,
            "annotations": {super::PROVISIONED_BY: PROVISIONER},
            "finalizers": [super::VOLUME_PROTECTION],
        },
        "spec": {
            "accessModes": spec.access_modes,
            "capacity": {"storage": requested.get("storage")},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name(), "uid": claim.uid(),
            },
            "hostPath": {"path": directory, "type": "Directory"},
            "mountOptions": class.mount_options,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node_name]},
            ]}]}},
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "storageClassName": class.name(),
            "volumeMode": "Filesystem",
        },
    });
    let volume = serde_json::from_value(volume).expect("the literal above has the form of a volume");
    (volume, directory)
}

/// Returns the reference by which a volume is reserved for the claim.
pub(crate) fn claim_reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
        uid: claim.metadata.uid.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        field_path: None,
    }
}

/// Tells whether we reserved the volume, so that we may free it again.
pub(crate) fn is_reserved_by_us(volume: &PersistentVolume) -> bool {
    volume.annotation(BOUND_BY_CONTROLLER).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::tests::merge;

    fn claim(extra: Value) -> Arc<PersistentVolumeClaim> {
        let mut value = json!({
            "metadata": {"name": "data", "namespace": "shop", "uid": "c1"},
            "spec": {"storageClassName": "local-path", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending"},
        });
        merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn volume(name: &str, size: &str, extra: Value) -> Arc<PersistentVolume> {
        let mut value = json!({
            "metadata": {"name": name},
            "spec": {"storageClassName": "local-path", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "hostPath": {"path": "/x"}},
            "status": {"phase": "Available"},
        });
        merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn class(mode: &str) -> Arc<StorageClass> {
        let annotations = json!({IS_DEFAULT_CLASS: "true"});
        let value = json!({"metadata": {"name": "local-path", "annotations": annotations}, "provisioner": PROVISIONER, "volumeBindingMode": mode});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn observed(claim: Arc<PersistentVolumeClaim>, volumes: Vec<Arc<PersistentVolume>>, mode: &str) -> Observed {
        Observed { claim, volumes, classes: vec![class(mode)], node: None, is_used: false }
    }

    #[test]
    fn a_claim_goes_from_waiting_to_bound() {
        let plan_of = |claim, volumes| plan(&observed(claim, volumes, "WaitForFirstConsumer"));
        assert!(matches!(
            plan_of(claim(json!({})), vec![]).as_slice(),
            [Action::Tell { reason: "WaitForFirstConsumer", .. }]
        ));
        let selected = json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}});
        assert_eq!(plan_of(claim(selected.clone()), vec![]), [Action::Provision(class("WaitForFirstConsumer"))]);
        let reserved = json!({"spec": {"claimRef": {"namespace": "shop", "name": "data", "uid": "c1"}}});
        let made = volume("pvc-c1", "1Gi", reserved);
        assert_eq!(
            plan_of(claim(selected), vec![Arc::clone(&made)]),
            [Action::Bind(Arc::clone(&made)), Action::Bound(Arc::clone(&made))]
        );
        let done = json!({
            "metadata": {"annotations": {super::super::BIND_COMPLETED: "yes"}},
            "spec": {"volumeName": "pvc-c1"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
        });
        assert!(plan_of(claim(done.clone()), vec![made]).is_empty());
        assert_eq!(plan_of(claim(done), vec![]), [Action::Lost]);
    }

    #[test]
    fn the_smallest_fitting_volume_is_taken() {
        let other_claim = json!({"spec": {"claimRef": {"namespace": "shop", "name": "other"}}});
        let volumes = vec![
            volume("too-small", "500Mi", json!({})),
            volume("big", "100Gi", json!({})),
            volume("right", "2Gi", json!({})),
            volume("taken", "1Gi", other_claim),
            volume("released", "1Gi", json!({"status": {"phase": "Released"}})),
            volume("other-class", "1Gi", json!({"spec": {"storageClassName": "fast"}})),
            volume("read-only", "1Gi", json!({"spec": {"accessModes": ["ReadOnlyMany"]}})),
        ];
        assert_eq!(
            plan(&observed(claim(json!({})), volumes.clone(), "Immediate")),
            [Action::Reserve(Arc::clone(&volumes[2]))]
        );
    }

    #[test]
    fn a_volume_that_names_the_claim_comes_first() {
        let named = volume("for-data", "10Gi", json!({"spec": {"claimRef": {"namespace": "shop", "name": "data"}}}));
        let volumes = vec![volume("free", "1Gi", json!({})), Arc::clone(&named)];
        assert_eq!(plan(&observed(claim(json!({})), volumes, "Immediate")), [Action::Reserve(named)]);
    }

    #[test]
    fn a_claim_without_class_gets_the_default_and_an_empty_class_means_none() {
        let none = claim(json!({"spec": {"storageClassName": null}}));
        assert_eq!(plan(&observed(none, vec![], "Immediate")), [Action::AssignClass("local-path".to_owned())]);
        let empty = claim(json!({"spec": {"storageClassName": ""}}));
        assert!(matches!(
            plan(&observed(empty, vec![], "Immediate")).as_slice(),
            [Action::Tell { reason: "FailedBinding", .. }]
        ));
    }

    #[test]
    fn a_claim_in_use_is_not_let_go() {
        let ending =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [CLAIM_PROTECTION]}});
        let mut seen = observed(claim(ending), vec![], "Immediate");
        seen.is_used = true;
        assert!(plan(&seen).is_empty());
        seen.is_used = false;
        assert_eq!(plan(&seen), [Action::Unprotect]);
    }
}
