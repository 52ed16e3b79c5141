//! Who may do what, by roles and bindings.

use serde_json::Value;

use crate::identity::Identity;

/// What a request touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Objects.
    Resource {
        /// The API group; empty for the core group.
        group: &'a str,
        /// The plural.
        resource: &'a str,
        /// The subresource, or empty.
        subresource: &'a str,
        /// The namespace, or empty.
        namespace: &'a str,
        /// The object's name, or empty (lists, creations).
        name: &'a str,
    },
    /// Something that is not an object, such as `/healthz`.
    Path(&'a str),
}

/// A request as seen by authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `bind`, `escalate`, `impersonate` …
    pub verb: &'a str,
    /// What it touches.
    pub request: Request<'a>,
}

/// Whether a request is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether.
    pub allowed: bool,
    /// By which binding; why not, otherwise.
    pub reason: String,
}

/// One rule of a role (`PolicyRule`).
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// The verbs, `*` for all.
    pub verbs: Vec<String>,
    /// The API groups, `*` for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// The resources: `pods`, `pods/log`, `*/scale`, `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The objects' names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths that are no objects: `/healthz`, `/metrics/*`, `*`.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// Names the role of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleRef<'a> {
    /// A role of the binding's namespace.
    Role {
        /// The namespace.
        namespace: &'a str,
        /// The role's name.
        name: &'a str,
    },
    /// A cluster role.
    ClusterRole {
        /// Its name.
        name: &'a str,
    },
}

/// All roles and bindings, indexed. Immutable: a change makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Policy {}

impl Policy {
    /// Builds the policy from the objects' JSON. What cannot be understood grants nothing.
    #[must_use]
    pub fn from_objects(
        _roles: &[Value],
        _cluster_roles: &[Value],
        _role_bindings: &[Value],
        _cluster_role_bindings: &[Value],
    ) -> Self {
        todo!()
    }

    /// Decides one request. Members of `system:masters` may do everything.
    #[must_use]
    pub fn authorize(&self, _identity: &Identity, _attributes: &Attributes<'_>) -> Decision {
        todo!()
    }

    /// Returns the rules that hold for an identity in a namespace (`SelfSubjectRulesReview`).
    #[must_use]
    pub fn rules_for(&self, _identity: &Identity, _namespace: &str) -> Vec<Rule> {
        todo!()
    }

    /// Returns a role's rules, with those aggregated; `None` when there is no such role.
    #[must_use]
    pub fn rules_of(&self, _role: &RoleRef<'_>) -> Option<Vec<Rule>> {
        todo!()
    }

    /// Checks that the identity holds all of `rules` itself, so that nobody grants more than they have. `namespace` is
    /// empty for cluster-wide grants. The caller first asks for the verbs `escalate` (roles) or `bind` (bindings).
    ///
    /// # Errors
    /// Returns what is missing.
    pub fn escalation_check(&self, _identity: &Identity, _namespace: &str, _rules: &[Rule]) -> Result<(), Vec<Rule>> {
        todo!()
    }
}

/// Returns the rules that an aggregating cluster role should have, or `None` when it does not aggregate.
#[must_use]
pub fn aggregated_rules(_cluster_role: &Value, _all: &[Value]) -> Option<Vec<Rule>> {
    todo!()
}
