//! Who may do what, by roles and bindings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::identity::Identity;
use crate::selector;

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

impl Rule {
    /// Tells whether this rule allows a request.
    fn allows(&self, attributes: &Attributes<'_>) -> bool {
        has(&self.verbs, attributes.verb)
            && match attributes.request {
                Request::Path(path) => self.non_resource_urls.iter().any(|pattern| path_matches(pattern, path)),
                Request::Resource { group, resource, subresource, name, .. } => {
                    has(&self.api_groups, group)
                        && self.resources.iter().any(|pattern| resource_matches(pattern, resource, subresource))
                        && (self.resource_names.is_empty() || self.resource_names.iter().any(|one| one == name))
                }
            }
    }

    /// Tells whether all that `single` (a rule of one verb and one thing) allows is allowed by this rule too.
    fn covers(&self, single: &Rule) -> bool {
        let all = |ours: &[String], theirs: &[String]| theirs.iter().all(|one| has(ours, one));
        if !all(&self.verbs, &single.verbs) {
            return false;
        }
        if !single.non_resource_urls.is_empty() {
            return single
                .non_resource_urls
                .iter()
                .all(|url| self.non_resource_urls.iter().any(|ours| path_covers(ours, url)));
        }
        let names = self.resource_names.is_empty()
            || (!single.resource_names.is_empty()
                && single.resource_names.iter().all(|name| self.resource_names.contains(name)));
        names
            && all(&self.api_groups, &single.api_groups)
            && single.resources.iter().all(|resource| {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                self.resources.iter().any(|ours| resource_matches(ours, plural, subresource))
            })
    }

    /// Splits into rules of one verb and one thing each: together they allow the same.
    fn singles(&self) -> Vec<Rule> {
        let mut singles = Vec::new();
        for verb in &self.verbs {
            for url in &self.non_resource_urls {
                let non_resource_urls = vec![url.clone()];
                singles.push(Rule { verbs: vec![verb.clone()], non_resource_urls, ..Rule::default() });
            }
            for group in &self.api_groups {
                for resource in &self.resources {
                    let single = Rule {
                        verbs: vec![verb.clone()],
                        api_groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        ..Rule::default()
                    };
                    if self.resource_names.is_empty() {
                        singles.push(single);
                        continue;
                    }
                    for name in &self.resource_names {
                        singles.push(Rule { resource_names: vec![name.clone()], ..single.clone() });
                    }
                }
            }
        }
        singles
    }
}

/// `*` stands for all.
fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|one| one == "*" || one == value)
}

/// `pods` is not `pods/log`; `*` is both; `*/scale` is the scale of all.
fn resource_matches(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => subresource.is_empty() && pattern == resource,
        Some((plural, sub)) => !subresource.is_empty() && sub == subresource && (plural == "*" || plural == resource),
    }
}

/// A trailing `*` stands for any rest.
fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}

fn path_covers(ours: &str, theirs: &str) -> bool {
    match (ours.strip_suffix('*'), theirs.strip_suffix('*')) {
        (Some(ours), Some(theirs)) => theirs.starts_with(ours),
        (None, Some(_)) => false,
        (Some(_) | None, None) => path_matches(ours, theirs),
    }
}

/// The rules that a binding gives to its subjects.
#[derive(Debug, Clone)]
struct Grant {
    /// Holds in this namespace only; everywhere when `None`.
    namespace: Option<Arc<str>>,
    rules: Arc<[Rule]>,
    /// For the decision's reason: by which binding of which role.
    by: Arc<str>,
}

/// All roles and bindings, indexed by subject. Immutable: a change makes a new one. Clones share the index.
#[derive(Debug, Clone, Default)]
pub struct Policy(Arc<Index>);

#[derive(Debug, Default)]
struct Index {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
    roles: BTreeMap<(String, String), Arc<[Rule]>>,
    cluster_roles: BTreeMap<String, Arc<[Rule]>>,
}

impl Policy {
    /// Builds the policy from the objects' JSON. What cannot be understood grants nothing.
    #[must_use]
    pub fn from_objects(
        roles: &[Value],
        cluster_roles: &[Value],
        role_bindings: &[Value],
        cluster_role_bindings: &[Value],
    ) -> Self {
        let mut index = Index::default();
        for role in roles {
            let name = (namespace_of(role).to_owned(), name_of(role).to_owned());
            index.roles.insert(name, rules_in(role).into());
        }
        for role in cluster_roles {
            let rules = aggregated_rules(role, cluster_roles).unwrap_or_else(|| rules_in(role));
            index.cluster_roles.insert(name_of(role).to_owned(), rules.into());
        }
        for binding in role_bindings {
            index.bind(binding, Some(namespace_of(binding)));
        }
        for binding in cluster_role_bindings {
            index.bind(binding, None);
        }
        Self(Arc::new(index))
    }

    fn grants<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Grant> {
        let users = self.0.users.get(&identity.user).into_iter().flatten();
        users.chain(identity.groups.iter().filter_map(|group| self.0.groups.get(group)).flatten())
    }

    /// Decides one request. Members of `system:masters` may do everything.
    #[must_use]
    pub fn authorize(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        if is_master(identity) {
            return Decision { allowed: true, reason: format!("member of {}", Identity::MASTERS) };
        }
        let namespace = match attributes.request {
            Request::Resource { namespace, .. } => namespace,
            Request::Path(_) => "",
        };
        let found = self
            .grants(identity)
            .filter(|grant| grant.namespace.as_deref().is_none_or(|one| one == namespace))
            .find(|grant| grant.rules.iter().any(|rule| rule.allows(attributes)));
        match found {
            Some(grant) => {
                Decision { allowed: true, reason: format!("RBAC: allowed by {} to \"{}\"", grant.by, identity.user) }
            }
            None => Decision { allowed: false, reason: String::new() },
        }
    }

    /// Returns the rules that hold for an identity in a namespace (`SelfSubjectRulesReview`); with an empty one those
    /// that hold everywhere.
    #[must_use]
    pub fn rules_for(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let mut rules = Vec::new();
        if is_master(identity) {
            rules.extend(everything());
        }
        let grants =
            self.grants(identity).filter(|grant| grant.namespace.as_deref().is_none_or(|one| one == namespace));
        rules.extend(grants.flat_map(|grant| grant.rules.iter().cloned()));
        rules
    }

    /// Returns a role's rules, with those aggregated; `None` when there is no such role.
    #[must_use]
    pub fn rules_of(&self, role: &RoleRef<'_>) -> Option<Vec<Rule>> {
        let rules = match role {
            RoleRef::Role { namespace, name } => self.0.roles.get(&((*namespace).to_owned(), (*name).to_owned())),
            RoleRef::ClusterRole { name } => self.0.cluster_roles.get(*name),
        };
        rules.map(|rules| rules.to_vec())
    }

    /// Checks that the identity holds all of `rules` itself, so that nobody grants more than they have. `namespace` is
    /// empty for cluster-wide grants. The caller first asks for the verbs `escalate` (roles) or `bind` (bindings).
    ///
    /// # Errors
    /// Returns what is missing.
    pub fn escalation_check(&self, identity: &Identity, namespace: &str, rules: &[Rule]) -> Result<(), Vec<Rule>> {
        if is_master(identity) {
            return Ok(());
        }
        let held = self.rules_for(identity, namespace);
        let missing: Vec<Rule> = rules
            .iter()
            .flat_map(Rule::singles)
            .filter(|single| !held.iter().any(|rule| rule.covers(single)))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

fn is_master(identity: &Identity) -> bool {
    identity.groups.iter().any(|group| group == Identity::MASTERS)
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    [
        Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
    ]
}

impl Index {
    fn bind(&mut self, binding: &Value, namespace: Option<&str>) {
        let role = &binding["roleRef"];
        let role_name = role["name"].as_str().unwrap_or_default();
        let rules = match (role["kind"].as_str(), namespace) {
            (Some("Role"), Some(namespace)) => self.roles.get(&(namespace.to_owned(), role_name.to_owned())),
            (Some("ClusterRole"), _) => self.cluster_roles.get(role_name),
            _ => None,
        };
        let Some(rules) = rules.cloned() else { return };
        let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        let at = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let role_kind = role["kind"].as_str().unwrap_or_default();
        let by = format!("{kind} \"{at}{}\" of {role_kind} \"{role_name}\"", name_of(binding)).into();
        let grant = Grant { namespace: namespace.map(Into::into), rules, by };
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            let name = subject["name"].as_str().unwrap_or_default();
            match subject["kind"].as_str() {
                Some("User") => self.users.entry(name.to_owned()).or_default().push(grant.clone()),
                Some("Group") => self.groups.entry(name.to_owned()).or_default().push(grant.clone()),
                Some("ServiceAccount") => {
                    let account_namespace = subject["namespace"].as_str().or(namespace).unwrap_or_default();
                    let user = format!("system:serviceaccount:{account_namespace}:{name}");
                    self.users.entry(user).or_default().push(grant.clone());
                }
                _ => {}
            }
        }
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace_of(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// A rule that cannot be understood is left out: it grants nothing.
fn rules_in(role: &Value) -> Vec<Rule> {
    let rules = role["rules"].as_array().into_iter().flatten();
    rules.filter_map(|rule| serde::Deserialize::deserialize(rule).ok()).collect()
}

/// Returns the rules that an aggregating cluster role should have, or `None` when it does not aggregate.
#[must_use]
pub fn aggregated_rules(cluster_role: &Value, all: &[Value]) -> Option<Vec<Rule>> {
    cluster_role.get("aggregationRule").filter(|rule| !rule.is_null())?;
    let mut visited = vec![name_of(cluster_role).to_owned()];
    let mut rules = Vec::new();
    collect_aggregated(cluster_role, all, &mut visited, &mut rules);
    Some(rules)
}

fn collect_aggregated(role: &Value, all: &[Value], visited: &mut Vec<String>, rules: &mut Vec<Rule>) {
    for candidate in all {
        let name = name_of(candidate);
        let labels = &candidate["metadata"]["labels"];
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten();
        if visited.iter().any(|one| one == name) || !selectors.into_iter().any(|one| selector::matches(one, labels)) {
            continue;
        }
        visited.push(name.to_owned());
        if candidate.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
            collect_aggregated(candidate, all, visited, rules);
            continue;
        }
        for rule in rules_in(candidate) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Rule {
            verbs: own(verbs),
            api_groups: own(groups),
            resources: own(resources),
            resource_names: own(names),
            non_resource_urls: Vec::new(),
        }
    }

    fn paths(verbs: &[&str], urls: &[&str]) -> Rule {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Rule { verbs: own(verbs), non_resource_urls: own(urls), ..Rule::default() }
    }

    fn ask<'a>(verb: &'a str, group: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Attributes<'a> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Attributes { verb, request: Request::Resource { group, resource, subresource, namespace, name } }
    }

    #[test]
    fn rules_match_as_documented() {
        let table = [
            (rule(&["get"], &[""], &["pods"], &[]), ask("get", "", "pods", "a", "x"), true),
            (rule(&["get"], &[""], &["pods"], &[]), ask("list", "", "pods", "a", ""), false),
            (rule(&["*"], &[""], &["pods"], &[]), ask("list", "", "pods", "a", ""), true),
            (rule(&["get"], &[""], &["pods"], &[]), ask("get", "apps", "pods", "a", "x"), false),
            (rule(&["get"], &["*"], &["pods"], &[]), ask("get", "apps", "pods", "a", "x"), true),
            (rule(&["get"], &[""], &["pods"], &[]), ask("get", "", "pods/log", "a", "x"), false),
            (rule(&["get"], &[""], &["pods/log"], &[]), ask("get", "", "pods/log", "a", "x"), true),
            (rule(&["get"], &[""], &["pods/log"], &[]), ask("get", "", "pods", "a", "x"), false),
            (rule(&["get"], &[""], &["*"], &[]), ask("get", "", "pods/log", "a", "x"), true),
            (
                rule(&["update"], &["apps"], &["*/scale"], &[]),
                ask("update", "apps", "deployments/scale", "a", "x"),
                true,
            ),
            (rule(&["update"], &["apps"], &["*/scale"], &[]), ask("update", "apps", "deployments", "a", "x"), false),
            (rule(&["get"], &[""], &["pods/*"], &[]), ask("get", "", "pods/log", "a", "x"), false),
            (rule(&["get"], &[""], &["configmaps"], &["one"]), ask("get", "", "configmaps", "a", "one"), true),
            (rule(&["get"], &[""], &["configmaps"], &["one"]), ask("get", "", "configmaps", "a", "two"), false),
            (rule(&["list"], &[""], &["configmaps"], &["one"]), ask("list", "", "configmaps", "a", ""), false),
        ];
        for (rule, request, allowed) in table {
            assert_eq!(rule.allows(&request), allowed, "{rule:?} {request:?}");
        }
        let path = |verb, path| Attributes { verb, request: Request::Path(path) };
        assert!(paths(&["get"], &["/healthz"]).allows(&path("get", "/healthz")));
        assert!(!paths(&["get"], &["/healthz"]).allows(&path("get", "/healthz/etcd")));
        assert!(paths(&["get"], &["/healthz/*"]).allows(&path("get", "/healthz/etcd")));
        assert!(!paths(&["get"], &["/healthz/*"]).allows(&path("post", "/healthz/etcd")));
        assert!(paths(&["*"], &["*"]).allows(&path("post", "/anything")));
        assert!(!rule(&["*"], &["*"], &["*"], &[]).allows(&path("get", "/healthz")));
    }

    fn binding(kind: &str, namespace: &str, role: (&str, &str), subject: Value) -> Value {
        json!({
            "kind": kind, "metadata": {"name": "b", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
            "subjects": [subject],
        })
    }

    fn role(namespace: &str, name: &str, rules: &[Rule]) -> Value {
        json!({"metadata": {"name": name, "namespace": namespace}, "rules": rules})
    }

    #[test]
    fn bindings_reach_users_groups_and_service_accounts_where_they_hold() {
        let read = [rule(&["get", "list"], &[""], &["pods"], &[])];
        let policy = Policy::from_objects(
            &[role("a", "reader", &read)],
            &[role("", "reader", &read), role("", "health", &[paths(&["get"], &["/metrics"])])],
            &[
                binding("RoleBinding", "a", ("Role", "reader"), json!({"kind": "User", "name": "anna"})),
                binding("RoleBinding", "b", ("ClusterRole", "reader"), json!({"kind": "Group", "name": "team"})),
                binding("RoleBinding", "b", ("Role", "reader"), json!({"kind": "User", "name": "ghost"})),
                binding(
                    "RoleBinding",
                    "a",
                    ("ClusterRole", "reader"),
                    json!({"kind": "ServiceAccount", "name": "bot"}),
                ),
                binding("RoleBinding", "a", ("ClusterRole", "health"), json!({"kind": "User", "name": "anna"})),
            ],
            &[binding(
                "ClusterRoleBinding",
                "",
                ("ClusterRole", "health"),
                json!({"kind": "ServiceAccount", "name": "bot", "namespace": "b"}),
            )],
        );
        let anna = Identity::new("anna", &[]);
        let member = Identity::new("mina", &["team"]);
        let (bot_a, bot_b) = (Identity::service_account("a", "bot", None), Identity::service_account("b", "bot", None));
        let may = |who: &Identity, namespace| policy.authorize(who, &ask("list", "", "pods", namespace, "")).allowed;
        assert!(may(&anna, "a") && !may(&anna, "b") && !may(&anna, ""));
        assert!(may(&member, "b") && !may(&member, "a"));
        assert!(may(&bot_a, "a") && !may(&bot_b, "a"));
        assert!(!may(&Identity::new("ghost", &[]), "b"), "a binding to a missing role grants nothing");
        let metrics = Attributes { verb: "get", request: Request::Path("/metrics") };
        assert!(!policy.authorize(&anna, &metrics).allowed, "paths are not in namespaces");
        let decision = policy.authorize(&bot_b, &metrics);
        assert!(decision.allowed && decision.reason.contains("ClusterRoleBinding \"b\""), "{decision:?}");
        assert!(may(&Identity::new("root", &[Identity::MASTERS]), "z"));
        assert_eq!(policy.rules_for(&anna, "a").len(), 2);
        assert_eq!(policy.rules_of(&RoleRef::Role { namespace: "a", name: "reader" }).unwrap(), read);
    }

    #[test]
    fn aggregation_follows_labels_through_levels_and_ends_in_cycles() {
        let leaf = |name: &str, label: &str, resource: &str| json!({"metadata": {"name": name, "labels": {label: "true"}}, "rules": [rule(&["get"], &[""], &[resource], &[])]});
        let over = |name: &str, own: &str, label: &str| {
            json!({
                "metadata": {"name": name, "labels": {own: "true"}}, "rules": null,
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
            })
        };
        let all = [
            leaf("view-pods", "to-view", "pods"),
            leaf("edit-secrets", "to-edit", "secrets"),
            over("view", "to-edit", "to-view"),
            over("edit", "to-view", "to-edit"),
        ];
        let resources = |role: &Value| -> Vec<String> {
            let rules = aggregated_rules(role, &all).unwrap();
            let mut names: Vec<String> = rules.into_iter().flat_map(|rule| rule.resources).collect();
            names.sort();
            names
        };
        assert_eq!(resources(&all[2]), ["pods", "secrets"]);
        assert_eq!(resources(&all[3]), ["pods", "secrets"]);
        assert!(aggregated_rules(&all[0], &all).is_none());
    }

    #[test]
    fn nobody_grants_more_than_they_hold() {
        let held = [
            rule(&["get", "list"], &[""], &["pods", "pods/log"], &[]),
            rule(&["update"], &["apps"], &["*/scale"], &[]),
            rule(&["get"], &[""], &["configmaps"], &["one", "two"]),
            paths(&["get"], &["/metrics/*"]),
        ];
        let policy = Policy::from_objects(
            &[],
            &[role("", "held", &held)],
            &[],
            &[binding("ClusterRoleBinding", "", ("ClusterRole", "held"), json!({"kind": "User", "name": "anna"}))],
        );
        let anna = Identity::new("anna", &[]);
        let table = [
            (rule(&["get"], &[""], &["pods"], &["x"]), true),
            (rule(&["get", "list"], &[""], &["pods/log"], &[]), true),
            (rule(&["*"], &[""], &["pods"], &[]), false),
            (rule(&["get"], &["*"], &["pods"], &[]), false),
            (rule(&["get"], &[""], &["*"], &[]), false),
            (rule(&["update"], &["apps"], &["deployments/scale"], &[]), true),
            (rule(&["update"], &["apps"], &["deployments"], &[]), false),
            (rule(&["get"], &[""], &["configmaps"], &["one"]), true),
            (rule(&["get"], &[""], &["configmaps"], &[]), false),
            (rule(&["get"], &[""], &["configmaps"], &["three"]), false),
            (paths(&["get"], &["/metrics/x", "/metrics/y/*"]), true),
            (paths(&["get"], &["*"]), false),
        ];
        for (wanted, allowed) in table {
            assert_eq!(
                policy.escalation_check(&anna, "a", std::slice::from_ref(&wanted)).is_ok(),
                allowed,
                "{wanted:?}"
            );
        }
        let missing = policy.escalation_check(&anna, "a", &[rule(&["get", "delete"], &[""], &["pods"], &[])]);
        assert_eq!(missing, Err(vec![rule(&["delete"], &[""], &["pods"], &[])]));
        assert!(policy.escalation_check(&Identity::new("root", &[Identity::MASTERS]), "", &held).is_ok());
    }

    fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
        proptest::sample::subsequence(of, 1..=of.len())
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        (
            some(&["get", "list", "*"]),
            some(&["", "apps", "*"]),
            some(&["pods", "pods/log", "*/log", "*"]),
            proptest::sample::subsequence(vec!["one", "two"], 0..=2),
        )
            .prop_map(|(verbs, groups, resources, names)| rule(&verbs, &groups, &resources, &names))
    }

    proptest! {
        /// What is covered by one rule must be allowed by it, request by request.
        #[test]
        fn covering_implies_allowing(
            ours in any_rule(),
            theirs in any_rule(),
            verb in prop_oneof![Just("get"), Just("list"), Just("patch")],
            group in prop_oneof![Just(""), Just("apps"), Just("batch")],
            resource in prop_oneof![Just("pods"), Just("pods/log"), Just("jobs"), Just("jobs/log")],
            name in prop_oneof![Just(""), Just("one"), Just("three")],
        ) {
            let covered = theirs.singles().iter().all(|single| ours.covers(single));
            let request = ask(verb, group, resource, "a", name);
            prop_assert!(!(covered && theirs.allows(&request)) || ours.allows(&request));
            prop_assert!(theirs.singles().iter().all(|single| theirs.covers(single)), "each rule covers itself");
        }
    }
}
