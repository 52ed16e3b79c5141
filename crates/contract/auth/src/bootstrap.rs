//! The roles and bindings that every cluster starts with.

use serde_json::Value;

/// Returns the cluster roles that exist from the start.
#[must_use]
pub fn bootstrap_cluster_roles() -> Vec<Value> {
    todo!()
}

/// Returns the cluster role bindings that exist from the start.
#[must_use]
pub fn bootstrap_cluster_role_bindings() -> Vec<Value> {
    todo!()
}

/// Returns all of them, roles first.
#[must_use]
pub fn bootstrap_objects() -> Vec<Value> {
    let mut objects = bootstrap_cluster_roles();
    objects.extend(bootstrap_cluster_role_bindings());
    objects
}
