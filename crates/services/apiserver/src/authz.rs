//! Asks RBAC whether a request is allowed; the policy follows each write to a role or binding at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use maru_auth::{Attributes, Decision, Identity, Policy, Request};
use maru_objects::Store;

use crate::errors::ApiError;
use crate::kinds::GroupResource;
use crate::routes::{RequestInfo, ResourcePath};
use crate::state::State;

const ROLES: &str = "rbac.authorization.k8s.io/roles";
const CLUSTER_ROLES: &str = "rbac.authorization.k8s.io/clusterroles";
const ROLE_BINDINGS: &str = "rbac.authorization.k8s.io/rolebindings";
const CLUSTER_ROLE_BINDINGS: &str = "rbac.authorization.k8s.io/clusterrolebindings";

/// Paths that anybody may read.
const OPEN_PATHS: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];

/// The current policy, made anew when it is asked for after a change.
#[derive(Debug, Default)]
pub(crate) struct PolicyCache {
    policy: ArcSwap<Policy>,
    fresh: AtomicBool,
}

impl PolicyCache {
    /// Called after a role or binding was written.
    pub(crate) fn changed(&self) {
        self.fresh.store(false, Ordering::SeqCst);
    }

    pub(crate) fn current(&self, store: &Store) -> Arc<Policy> {
        // Marked fresh before reading: a change during the reading marks it stale again.
        if !self.fresh.swap(true, Ordering::SeqCst) {
            self.policy.store(Arc::new(read_policy(store)));
        }
        self.policy.load_full()
    }
}

fn read_policy(store: &Store) -> Policy {
    let all = |resource: &str| -> Vec<serde_json::Value> {
        store
            .list(resource, None)
            .records
            .iter()
            .filter_map(|record| serde_json::from_slice(&record.value).ok())
            .collect()
    };
    Policy::from_objects(&all(ROLES), &all(CLUSTER_ROLES), &all(ROLE_BINDINGS), &all(CLUSTER_ROLE_BINDINGS))
}

/// Returns what RBAC says of a verb on a resource.
pub(crate) fn decide(state: &State, identity: &Identity, verb: &str, path: &ResourcePath) -> Decision {
    let request = Request::Resource {
        group: &path.group,
        resource: &path.resource,
        subresource: &path.subresource,
        namespace: &path.namespace,
        name: &path.name,
    };
    state.policy.current(&state.store).authorize(identity, &Attributes { verb, request })
}

/// Refuses a request that is not allowed.
pub(crate) fn authorize(state: &State, identity: &Identity, info: &RequestInfo) -> Result<(), ApiError> {
    match &info.resource {
        Some(path) => match &info.selected_name {
            Some(name) => require(state, identity, info.verb, &ResourcePath { name: name.clone(), ..path.clone() }),
            None => require(state, identity, info.verb, path),
        },
        None => {
            if OPEN_PATHS.contains(&info.path.as_str()) {
                return Ok(());
            }
            let attributes = Attributes { verb: info.verb, request: Request::Path(&info.path) };
            if state.policy.current(&state.store).authorize(identity, &attributes).allowed {
                return Ok(());
            }
            Err(ApiError::ForbiddenPath(format!(
                "User \"{}\" cannot {} path \"{}\"",
                identity.user, info.verb, info.path
            )))
        }
    }
}

/// Refuses a verb on a resource that is not allowed.
pub(crate) fn require(state: &State, identity: &Identity, verb: &str, path: &ResourcePath) -> Result<(), ApiError> {
    let decision = decide(state, identity, verb, path);
    if decision.allowed {
        return Ok(());
    }
    let resource = GroupResource { group: path.group.clone(), resource: path.resource.clone() };
    Err(ApiError::forbidden(&resource, &path.name, denied(identity, verb, path, &decision.reason)))
}

fn denied(identity: &Identity, verb: &str, path: &ResourcePath, reason: &str) -> String {
    let mut resource = path.resource.clone();
    if !path.subresource.is_empty() {
        resource = format!("{resource}/{}", path.subresource);
    }
    let scope = if path.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", path.namespace)
    };
    let mut text = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
        identity.user, path.group
    );
    if !reason.is_empty() {
        text.push_str(": ");
        text.push_str(reason);
    }
    text
}
