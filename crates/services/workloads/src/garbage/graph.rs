//! Who depends on whom, and what follows from it; an engine without IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use crate::catalog::{Served, ServedScope};
use crate::machinery::{Key, MetaExt as _};

/// The dependents go first.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The dependents stay, without owner.
pub(crate) const ORPHAN: &str = "orphan";

/// An object, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Arc<Served>,
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) revision: String,
    pub(crate) owners: Vec<OwnerReference>,
    pub(crate) finalizers: Vec<String>,
    pub(crate) is_deleting: bool,
}

impl Node {
    pub(crate) fn of<K: Resource>(kind: &Arc<Served>, object: &K) -> Self {
        let meta = object.meta();
        Self {
            kind: Arc::clone(kind),
            key: Key::of(object),
            uid: object.uid().to_owned(),
            revision: meta.resource_version.clone().unwrap_or_default(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            is_deleting: object.is_deleting(),
        }
    }

    fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|one| one == name)
    }

    /// Tells whether it waits for its dependents to go.
    fn waits_for_dependents(&self) -> bool {
        self.is_deleting && self.has_finalizer(FOREGROUND)
    }

    fn blocks(&self, owner_uid: &str) -> bool {
        self.owners.iter().any(|owner| owner.uid == owner_uid && owner.block_owner_deletion == Some(true))
    }
}

/// How an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerState {
    /// It is there and stays, or its kind is unknown: the dependent stays.
    Solid,
    /// It is there and waits for its dependents to go.
    Waiting,
    /// It is gone.
    Absent,
}

/// What happens to the dependents of an object that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Background,
    Foreground,
    Orphan,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Delete {
        node: Node,
        policy: Policy,
    },
    /// Takes owners off the object's references.
    DropOwners {
        node: Node,
        uids: Vec<String>,
    },
    RemoveFinalizer {
        node: Node,
        finalizer: &'static str,
    },
}

/// All objects by uid, and the uids of their dependents.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(crate) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Takes a new state; returns the uids that should be looked at.
    pub(crate) fn put(&mut self, node: Node) -> Vec<String> {
        let mut wake = Vec::new();
        let before = self.nodes.get(&node.uid);
        if let Some(before) = before {
            let lost: Vec<String> = before.owners.iter().map(|owner| owner.uid.clone()).collect();
            for owner in lost {
                self.unlink(&owner, &node.uid);
                // It may no longer hold its former owner's deletion.
                wake.extend(
                    self.nodes.get(&owner).filter(|owner| owner.waits_for_dependents()).map(|owner| owner.uid.clone()),
                );
            }
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        if !node.owners.is_empty() || node.is_deleting {
            wake.push(node.uid.clone());
        }
        if node.waits_for_dependents() {
            wake.extend(self.dependents.get(&node.uid).into_iter().flatten().cloned());
        }
        self.nodes.insert(node.uid.clone(), node);
        wake
    }

    /// Takes an object's end; returns the uids that should be looked at.
    pub(crate) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut wake: Vec<String> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
            wake.extend(
                self.nodes.get(&owner.uid).filter(|owner| owner.waits_for_dependents()).map(|owner| owner.uid.clone()),
            );
        }
        wake
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    fn dependents_of(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|dependent| self.nodes.get(dependent))
    }

    /// Returns the owners whose state the graph does not know: the API is asked for each.
    pub(crate) fn unknown_owners(&self, uid: &str) -> Vec<OwnerReference> {
        let Some(node) = self.nodes.get(uid).filter(|node| !node.is_deleting) else { return Vec::new() };
        node.owners.iter().filter(|owner| self.known_state(node, owner).is_none()).cloned().collect()
    }

    /// Returns all objects with an owner that the graph does not know.
    pub(crate) fn unresolved(&self) -> Vec<String> {
        let is_unknown = |node: &&Node| node.owners.iter().any(|owner| self.known_state(node, owner).is_none());
        self.nodes.values().filter(is_unknown).map(|node| node.uid.clone()).collect()
    }

    fn known_state(&self, node: &Node, owner: &OwnerReference) -> Option<OwnerState> {
        // An owner is in the dependent's namespace, or in none.
        let found = self.nodes.get(&owner.uid)?;
        if !found.key.namespace.is_empty() && found.key.namespace != node.key.namespace {
            return None;
        }
        Some(if found.waits_for_dependents() { OwnerState::Waiting } else { OwnerState::Solid })
    }

    /// Decides what to do about one object. `asked` tells the states of the unknown owners. Pure.
    pub(crate) fn plan(&self, uid: &str, asked: &BTreeMap<String, OwnerState>) -> Vec<Action> {
        let Some(node) = self.nodes.get(uid) else { return Vec::new() };
        if node.is_deleting {
            return self.plan_ending(node);
        }
        if node.owners.is_empty() {
            return Vec::new();
        }
        let state = |owner: &OwnerReference| {
            self.known_state(node, owner).or_else(|| asked.get(&owner.uid).copied()).unwrap_or(OwnerState::Solid)
        };
        let of_state = |wanted: OwnerState| -> Vec<String> {
            node.owners.iter().filter(|owner| state(owner) == wanted).map(|owner| owner.uid.clone()).collect()
        };
        let (waiting, absent) = (of_state(OwnerState::Waiting), of_state(OwnerState::Absent));
        if !of_state(OwnerState::Solid).is_empty() {
            let uids: Vec<String> = waiting.into_iter().chain(absent).collect();
            return if uids.is_empty() { Vec::new() } else { vec![Action::DropOwners { node: node.clone(), uids }] };
        }
        let policy = if !waiting.is_empty() && self.dependents_of(uid).next().is_some() {
            Policy::Foreground
        } else if node.has_finalizer(ORPHAN) {
            Policy::Orphan
        } else if node.has_finalizer(FOREGROUND) {
            Policy::Foreground
        } else {
            Policy::Background
        };
        vec![Action::Delete { node: node.clone(), policy }]
    }

    fn plan_ending(&self, node: &Node) -> Vec<Action> {
        if node.has_finalizer(ORPHAN) {
            let uids = vec![node.uid.clone()];
            let mut actions: Vec<Action> = self
                .dependents_of(&node.uid)
                .map(|dependent| Action::DropOwners { node: dependent.clone(), uids: uids.clone() })
                .collect();
            actions.push(Action::RemoveFinalizer { node: node.clone(), finalizer: ORPHAN });
            return actions;
        }
        let is_held = self.dependents_of(&node.uid).any(|dependent| dependent.blocks(&node.uid));
        if node.has_finalizer(FOREGROUND) && !is_held {
            return vec![Action::RemoveFinalizer { node: node.clone(), finalizer: FOREGROUND }];
        }
        Vec::new()
    }
}

/// Tells whether the API can be asked for an owner of this kind from where the dependent is.
pub(crate) fn can_own(owner: &Served, dependent: &Node) -> bool {
    owner.scope == ServedScope::Cluster || !dependent.key.namespace.is_empty()
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
