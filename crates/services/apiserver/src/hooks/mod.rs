//! What the server knows of single kinds: defaults, immutable fields, allocation, checks. All else is data.

mod approvals;
mod autoscalers;
mod batch;
mod cluster;
mod config;
mod definitions;
mod events;
mod networking;
mod pod_admission;
mod pod_defaults;
mod pod_validation;
mod pods;
mod rbac;
mod services;
mod spine;
mod storage;
mod workloads;

use std::sync::Arc;

use maru_auth::Identity;
use maru_kube::{FieldError, FieldErrorKind, names};
use maru_time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::errors::{ApiError, issue};
use crate::kinds::Served;
use crate::meta;
use crate::state::State;
use crate::warnings::Warnings;
use crate::write::Part;

pub(crate) use cluster::ensure_default_account;
pub(crate) use cluster::own_identity;
pub(crate) use definitions::{
    FINALIZER as DEFINITION_FINALIZER, STORE as DEFINITION_STORE, changed as definitions_changed,
    store_of as store_of_definition,
};
pub(crate) use pods::{bind, evict};
pub(crate) use spine::{admit, admit_status};

/// The code that knows a kind, by the name in `kinds.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hook {
    #[default]
    None,
    Binding,
    CertificateSigningRequest,
    ConfigMap,
    ControllerRevision,
    CronJob,
    CustomResourceDefinition,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Event,
    HorizontalPodAutoscaler,
    Ingress,
    Job,
    LocalSubjectAccessReview,
    Namespace,
    NetworkPolicy,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodTemplate,
    PriorityClass,
    ReplicaSet,
    ReplicationController,
    Role,
    RoleBinding,
    Secret,
    SelfSubjectAccessReview,
    SelfSubjectReview,
    SelfSubjectRulesReview,
    Service,
    StatefulSet,
    StorageClass,
    SubjectAccessReview,
    TokenReview,
}

impl Hook {
    /// Tells whether `metadata.generation` counts the changes of the wanted state.
    pub(crate) fn counts_generations(self) -> bool {
        matches!(
            self,
            Self::CronJob
                | Self::CustomResourceDefinition
                | Self::DaemonSet
                | Self::Deployment
                | Self::EndpointSlice
                | Self::HorizontalPodAutoscaler
                | Self::Ingress
                | Self::Job
                | Self::NetworkPolicy
                | Self::Pod
                | Self::PriorityClass
                | Self::ReplicaSet
                | Self::ReplicationController
                | Self::StatefulSet
        )
    }

    /// Returns what is wrong with an object's name.
    pub(crate) fn check_name(self, name: &str) -> Vec<String> {
        match self {
            Self::Namespace => names::check_dns1123_label(name),
            Self::Service => names::check_dns1035_label(name),
            Self::Role | Self::RoleBinding | Self::CertificateSigningRequest => names::check_path_segment(name),
            _ => names::check_dns1123_subdomain(name),
        }
    }
}

/// What a hook may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) served: &'a Served,
    /// The namespace of the object; empty when it has none.
    pub(crate) namespace: &'a str,
    pub(crate) part: Part,
    pub(crate) identity: &'a Identity,
    /// What the caller should know although the write happens.
    pub(crate) warnings: &'a Warnings,
    pub(crate) now: Timestamp,
}

/// Waits for the turn of writes that must not overtake each other: address allocation, definitions.
pub(crate) async fn serialize_writes<'a>(state: &'a State, served: &Served) -> Option<tokio::sync::MutexGuard<'a, ()>> {
    match served.kind.hook {
        Hook::Service => Some(state.service_writes.lock().await),
        Hook::CustomResourceDefinition => Some(state.definition_writes.lock().await),
        _ => None,
    }
}

/// Tells whether whoever creates an object may give its status.
pub(crate) fn keeps_status_on_create(served: &Served) -> bool {
    matches!(served.kind.hook, Hook::Node)
}

/// Sets the fields that are absent, as upstream's API versions define it. Runs on every write.
pub(crate) fn defaults(served: &Served, object: &mut Value) {
    match served.kind.hook {
        Hook::Pod => pod_defaults::pod(object),
        Hook::PodTemplate => pod_defaults::template(object, &["template"]),
        Hook::Deployment => workloads::deployment_defaults(object),
        Hook::ReplicaSet => workloads::replica_set_defaults(object),
        Hook::ReplicationController => workloads::replication_controller_defaults(object),
        Hook::StatefulSet => workloads::stateful_set_defaults(object),
        Hook::DaemonSet => workloads::daemon_set_defaults(object),
        Hook::Job => batch::job_defaults(object),
        Hook::CronJob => batch::cron_job_defaults(object),
        Hook::HorizontalPodAutoscaler => autoscalers::defaults(served, object),
        Hook::Service => services::defaults(object),
        Hook::EndpointSlice => networking::endpoint_slice_defaults(object),
        Hook::NetworkPolicy => networking::network_policy_defaults(object),
        Hook::PersistentVolume => storage::volume_defaults(object),
        Hook::PersistentVolumeClaim => storage::claim_defaults(object),
        Hook::StorageClass => storage::class_defaults(object),
        Hook::Secret => config::secret_defaults(object),
        Hook::Namespace => cluster::namespace_defaults(object),
        Hook::PriorityClass => cluster::priority_class_defaults(object),
        Hook::CertificateSigningRequest => cluster::signing_request_defaults(object),
        Hook::RoleBinding => rbac::binding_defaults(object),
        Hook::CustomResourceDefinition => definitions::defaults(object),
        _ => {}
    }
}

/// Completes a new object and admits it.
pub(crate) fn prepare_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    match context.served.kind.hook {
        Hook::Pod => pods::prepare_create(context, object),
        Hook::Service => services::prepare_create(context, object),
        Hook::Job => {
            batch::generate_selector(object);
            Ok(())
        }
        Hook::PersistentVolumeClaim => {
            storage::prepare_claim(context, object);
            Ok(())
        }
        Hook::PersistentVolume => {
            meta::default_at(object, &["status", "phase"], "Pending");
            Ok(())
        }
        Hook::Secret => {
            config::note_unfilled_token(context, object);
            Ok(())
        }
        Hook::Role => rbac::check_role(context, object),
        Hook::RoleBinding => rbac::check_binding(context, object),
        Hook::CertificateSigningRequest => {
            cluster::prepare_signing_request(context, object);
            Ok(())
        }
        Hook::CustomResourceDefinition => definitions::prepare(context, None, object),
        _ if context.served.kind.is_custom => spine::prepare_create(context, object),
        _ => Ok(()),
    }
}

/// Completes a changed object and admits it.
pub(crate) fn prepare_update(context: &Context<'_>, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    match context.served.kind.hook {
        Hook::Pod => pods::prepare_update(context, old, new),
        Hook::Service => services::prepare_update(context, old, new),
        Hook::Namespace => {
            cluster::prepare_namespace_update(context, old, new);
            Ok(())
        }
        Hook::Role if context.part == Part::Main => rbac::check_role_update(context, old, new),
        Hook::RoleBinding if context.part == Part::Main => rbac::check_binding_update(context, old, new),
        Hook::CertificateSigningRequest => {
            cluster::keep_signing_request(old, new);
            Ok(())
        }
        Hook::CustomResourceDefinition => definitions::prepare(context, Some(old), new),
        _ if context.served.kind.is_custom => spine::prepare_update(context, old, new),
        _ => Ok(()),
    }
}

/// Returns what is wrong with an object that is to be stored.
pub(crate) fn validate(context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = if context.part == Part::Status { Vec::new() } else { required_fields(context.served, object) };
    let more = match context.served.kind.hook {
        Hook::Pod => pod_validation::pod(object, old, context.part),
        Hook::Deployment => workloads::validate(object, old),
        Hook::ReplicaSet | Hook::DaemonSet => workloads::validate(object, old),
        Hook::ReplicationController => workloads::validate_replicas(object),
        Hook::StatefulSet => workloads::validate_stateful_set(object, old),
        Hook::Job => batch::validate_job(object, old),
        Hook::CronJob => batch::validate_cron_job(object),
        Hook::HorizontalPodAutoscaler => autoscalers::validate(object),
        Hook::Service => services::validate(context, object, old),
        Hook::Ingress => networking::validate_ingress(object),
        Hook::EndpointSlice => networking::validate_endpoint_slice(object, old),
        Hook::PersistentVolume => storage::validate_volume(object, old),
        Hook::PersistentVolumeClaim => storage::validate_claim(object, old),
        Hook::StorageClass => storage::validate_class(object, old),
        Hook::ConfigMap => config::validate_config_map(object, old),
        Hook::Secret => config::validate_secret(object, old),
        Hook::ControllerRevision => config::validate_revision(object, old),
        Hook::PriorityClass => cluster::validate_priority_class(object, old),
        Hook::RoleBinding => rbac::validate_binding(object, old),
        Hook::CustomResourceDefinition => definitions::validate(object, old),
        _ if context.served.kind.is_custom => spine::validate(context, object),
        _ => Vec::new(),
    };
    for one in more {
        if !issues.iter().any(|known| known.field == one.field && known.kind == one.kind) {
            issues.push(one);
        }
    }
    issues
}

/// What upstream's definitions require is required; the status is its writer's matter.
fn required_fields(served: &Served, object: &Value) -> Vec<FieldError> {
    if served.kind.is_custom {
        return Vec::new();
    }
    let Some(schema) = served.schema() else { return Vec::new() };
    let mut issues = schema.validate(object);
    issues.retain(|issue| {
        matches!(issue.kind, FieldErrorKind::Required)
            && !issue.field.starts_with("status")
            && !issue.field.starts_with("metadata.managedFields")
    });
    issues
}

/// Refuses deletions that must never happen.
pub(crate) fn check_delete(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    match context.served.kind.hook {
        Hook::Namespace => cluster::check_namespace_delete(context.served, object),
        Hook::PriorityClass => cluster::check_priority_class_delete(context.served, object),
        _ if context.served.kind.is_custom => spine::check_delete(context, object),
        _ => Ok(()),
    }
}

/// Completes an object that is being marked for deletion.
pub(crate) fn prepare_delete(context: &Context<'_>, object: &mut Value) {
    match context.served.kind.hook {
        Hook::Namespace => meta::set_at(object, &["status", "phase"], Some("Terminating".into())),
        Hook::CustomResourceDefinition => definitions::prepare_delete(context, object),
        Hook::PersistentVolumeClaim | Hook::PersistentVolume => {}
        _ => {}
    }
}

/// Returns how long an object may take to end.
pub(crate) fn grace_period_seconds(served: &Served, object: &Value, wanted: Option<i64>) -> i64 {
    if served.kind.hook != Hook::Pod {
        return 0;
    }
    pods::grace_period_seconds(object, wanted)
}

/// Tells whether an object that is being deleted, without finalizers, may go.
pub(crate) fn may_vanish(served: &Served, object: &Value) -> bool {
    match served.kind.hook {
        Hook::Namespace => meta::list(object, &["spec", "finalizers"]).is_empty(),
        _ => true,
    }
}

/// Follows a write that has happened.
pub(crate) async fn committed(context: &Context<'_>, _old: Option<&Value>, new: Option<&Value>) {
    match context.served.kind.hook {
        Hook::Role | Hook::RoleBinding => context.state.policy.changed(),
        Hook::CustomResourceDefinition => definitions::changed(context.state),
        Hook::Namespace => {
            if let Some(namespace) = new.filter(|namespace| !meta::is_being_deleted(namespace)) {
                Box::pin(ensure_default_account(context.state, meta::name(namespace))).await;
            }
        }
        _ => {}
    }
}

/// Converts an object of another version or group into the one served.
pub(crate) fn convert_from_storage(served: &Served, stored_version: &str, object: &mut Value) {
    if served.kind.hook == Hook::Event {
        events::from_storage(served, stored_version, object);
    } else if served.kind.hook == Hook::HorizontalPodAutoscaler {
        autoscalers::to_v1(object);
    } else if served.kind.is_custom
        && let Some(schema) = served.schema()
    {
        schema.prune(object);
        schema.default(object);
    }
}

/// Converts an object into the form that is stored.
pub(crate) fn convert_to_storage(served: &Served, object: &mut Value) {
    match served.kind.hook {
        Hook::Event => events::to_storage(served, object),
        Hook::HorizontalPodAutoscaler if served.version().name == "v1" => autoscalers::from_v1(object),
        _ => {}
    }
}

/// The refusal of a change to a field that never changes.
pub(crate) fn immutable(field: &str, value: &Value) -> FieldError {
    issue::invalid(field, value.clone(), "field is immutable")
}

/// Refuses changes to the given paths.
pub(crate) fn check_immutable(object: &Value, old: Option<&Value>, paths: &[&str]) -> Vec<FieldError> {
    let Some(old) = old else { return Vec::new() };
    let mut issues = Vec::new();
    for path in paths {
        let keys: Vec<&str> = path.split('.').collect();
        let (before, after) = (meta::at(old, &keys), meta::at(object, &keys));
        let is_empty = |value: Option<&Value>| {
            value.is_none_or(|value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty))
        };
        if before != after && !(is_empty(before) && is_empty(after)) {
            issues.push(immutable(path, after.unwrap_or(&Value::Null)));
        }
    }
    issues
}
