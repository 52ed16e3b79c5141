//! The roles and bindings that every cluster starts with.

use serde_json::{Value, json};

const ALL: &[&str] = &["*"];
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const CORE: &[&str] = &[""];
const RBAC: &str = "rbac.authorization.k8s.io";

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn paths(verbs: &[&str], urls: &[&str]) -> Value {
    json!({"nonResourceURLs": urls, "verbs": verbs})
}

fn labels(extra: Option<&str>) -> Value {
    let mut labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    if let Some(target) = extra {
        labels[format!("{RBAC}/aggregate-to-{target}")] = json!("true");
    }
    labels
}

fn cluster_role(name: &str, aggregate_to: Option<&str>, rules: &[Value]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": name,
            "labels": labels(aggregate_to),
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "rules": rules,
    })
}

fn aggregating(name: &str, aggregate_to: Option<&str>) -> Value {
    let mut role = cluster_role(name, aggregate_to, &[]);
    role["aggregationRule"] =
        json!({"clusterRoleSelectors": [{"matchLabels": {(format!("{RBAC}/aggregate-to-{name}")): "true"}}]});
    role
}

fn cluster_role_binding(name: &str, role: &str, subjects: &[(&str, &str)]) -> Value {
    let subjects: Vec<Value> =
        subjects.iter().map(|(kind, name)| json!({"apiGroup": RBAC, "kind": kind, "name": name})).collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": name,
            "labels": labels(None),
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    })
}

/// Returns the cluster roles that exist from the start.
#[must_use]
pub fn bootstrap_cluster_roles() -> Vec<Value> {
    let mut roles = vec![
        cluster_role("cluster-admin", None, &[rule(ALL, ALL, ALL), paths(ALL, ALL)]),
        aggregating("admin", None),
        aggregating("edit", Some("admin")),
        aggregating("view", Some("edit")),
        cluster_role("system:aggregate-to-admin", Some("admin"), &admin_rules()),
        cluster_role("system:aggregate-to-edit", Some("edit"), &edit_rules()),
        cluster_role("system:aggregate-to-view", Some("view"), &view_rules()),
    ];
    roles.extend(discovery_roles());
    roles.extend(room_roles());
    roles
}

fn admin_rules() -> Vec<Value> {
    vec![
        rule(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
        rule(&[READ, WRITE].concat(), &[RBAC], &["roles", "rolebindings"]),
    ]
}

const WORKLOADS: &[&str] = &[
    "daemonsets",
    "deployments",
    "deployments/rollback",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
];

/// The kinds of a project that its people write and read.
const SPINE: &[&str] = &[
    "approvals",
    "architectures",
    "baselines",
    "boards",
    "documents",
    "environments",
    "evidence",
    "gates",
    "glossaries",
    "methods",
    "models",
    "projects",
    "requirements",
    "servicelevelobjectives",
    "workitems",
];

/// What stands behind objects of the spine.
const SPINE_CONTENTS: &[&str] =
    &["baselines/content", "documents/file", "evidence/envelope", "evidence/key", "evidence/report"];

fn edit_rules() -> Vec<Value> {
    let pods = ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"];
    let objects = [
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "services",
        "services/proxy",
        "endpoints",
    ];
    vec![
        rule(READ, CORE, &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
        rule(&["impersonate"], CORE, &["serviceaccounts"]),
        rule(WRITE, CORE, &pods),
        rule(&["create"], CORE, &["pods/eviction", "serviceaccounts/token"]),
        rule(WRITE, CORE, &objects),
        rule(WRITE, &["apps"], WORKLOADS),
        rule(WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
        rule(WRITE, &["batch"], &["cronjobs", "jobs"]),
        rule(WRITE, &["policy"], &["poddisruptionbudgets"]),
        rule(WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
        rule(WRITE, &["gateway.networking.k8s.io"], &["gateways", "httproutes", "grpcroutes", "referencegrants"]),
        rule(WRITE, &["maru.dev"], SPINE),
        rule(&[READ, WRITE].concat(), &["coordination.k8s.io"], &["leases"]),
    ]
}

fn view_rules() -> Vec<Value> {
    let objects = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
        "services/status",
        "bindings",
        "events",
        "limitranges",
        "namespaces/status",
        "pods/log",
        "pods/status",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
        "namespaces",
    ];
    let apps = [
        "controllerrevisions",
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
        "statefulsets",
        "statefulsets/scale",
        "statefulsets/status",
    ];
    let networking = ["ingresses", "ingresses/status", "networkpolicies"];
    vec![
        rule(READ, CORE, &objects),
        rule(READ, &["events.k8s.io"], &["events"]),
        rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
        rule(READ, &["apps"], &apps),
        rule(READ, &["autoscaling"], &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
        rule(READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        rule(READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        rule(READ, &["networking.k8s.io"], &networking),
        rule(READ, &["gateway.networking.k8s.io"], &["gateways", "httproutes", "grpcroutes", "referencegrants"]),
        rule(READ, &["maru.dev"], SPINE),
        rule(&["get"], &["maru.dev"], SPINE_CONTENTS),
    ]
}

fn discovery_roles() -> Vec<Value> {
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let issuer = [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/openid/v1/jwks",
        "/openid/v1/jwks/",
    ];
    let monitoring =
        ["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"];
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    vec![
        cluster_role(
            "system:basic-user",
            None,
            &[
                rule(&["create"], &["authorization.k8s.io"], &reviews),
                rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
            ],
        ),
        cluster_role("system:discovery", None, &[paths(&["get"], &discovery)]),
        cluster_role("system:public-info-viewer", None, &[paths(&["get"], &public)]),
        cluster_role("system:service-account-issuer-discovery", None, &[paths(&["get"], &issuer)]),
        cluster_role("system:monitoring", None, &[paths(&["get"], &monitoring)]),
        cluster_role(
            "system:auth-delegator",
            None,
            &[
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ],
        ),
    ]
}

/// What our own rooms may do; each acts as the user of the same name.
#[expect(clippy::too_many_lines, reason = "a table of roles")]
fn room_roles() -> Vec<Value> {
    let events = || rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]);
    vec![
        // Garbage collection and the end of a namespace reach every kind, those of custom resources too.
        cluster_role("system:maru:workloads", None, &[rule(ALL, ALL, ALL)]),
        cluster_role(
            "system:maru:node",
            None,
            &[
                rule(ALL, CORE, &["nodes", "nodes/status", "nodes/proxy", "nodes/metrics"]),
                rule(&["get", "list", "watch", "delete", "patch", "update"], CORE, &["pods", "pods/status"]),
                rule(READ, CORE, &["configmaps", "secrets", "services", "serviceaccounts", "namespaces"]),
                rule(
                    &["get", "list", "watch", "patch", "update"],
                    CORE,
                    &[
                        "persistentvolumes",
                        "persistentvolumeclaims",
                        "persistentvolumes/status",
                        "persistentvolumeclaims/status",
                    ],
                ),
                rule(&["create"], CORE, &["serviceaccounts/token", "pods/eviction"]),
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
                rule(READ, &["node.k8s.io", "storage.k8s.io", "scheduling.k8s.io"], ALL),
                rule(ALL, &["coordination.k8s.io"], &["leases"]),
                events(),
            ],
        ),
        // Whether a token is known, and what its user may do with metrics; what is measured, and who asks for more.
        cluster_role(
            "system:maru:metrics",
            None,
            &[
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
                rule(READ, CORE, &["endpoints", "namespaces", "nodes", "pods", "services"]),
                rule(&["get"], CORE, &["configmaps", "nodes/metrics", "nodes/proxy", "secrets"]),
                rule(READ, &["apps"], &["daemonsets", "deployments", "replicasets", "statefulsets"]),
                rule(READ, &["batch"], &["jobs"]),
                rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(READ, &["networking.k8s.io"], &["ingresses"]),
                rule(READ, &["monitoring.coreos.com"], ALL),
                rule(READ, &["maru.dev"], &["boards"]),
                rule(&["patch", "update"], &["maru.dev"], &["boards/status"]),
                rule(
                    &["patch", "update"],
                    &["monitoring.coreos.com"],
                    &["podmonitors/status", "probes/status", "prometheusrules/status", "servicemonitors/status"],
                ),
            ],
        ),
        // The configuration of who is told what.
        cluster_role(
            "system:maru:alerts",
            None,
            &[
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
                rule(&["get"], CORE, &["secrets"]),
            ],
        ),
        // Whose token somebody logs in with; who looked at a Secret.
        cluster_role(
            "system:maru:console",
            None,
            &[rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]), rule(&["create"], CORE, &["events"])],
        ),
        cluster_role(
            "system:maru:network",
            None,
            &[
                rule(READ, CORE, &["services", "endpoints", "pods", "nodes", "namespaces"]),
                rule(&["patch", "update"], CORE, &["services/status", "nodes/status"]),
                rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(READ, &["networking.k8s.io"], &["networkpolicies"]),
                events(),
            ],
        ),
        cluster_role(
            "system:maru:gateway",
            None,
            &[
                rule(READ, CORE, &["services", "secrets", "namespaces", "configmaps", "nodes", "pods"]),
                // The Services that give Gateways their addresses.
                rule(&["create", "patch"], CORE, &["services"]),
                rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(READ, &["networking.k8s.io"], &["ingresses", "ingressclasses"]),
                rule(&["patch", "update"], &["networking.k8s.io"], &["ingresses/status"]),
                rule(&["create"], &["networking.k8s.io"], &["ingressclasses"]),
                rule(READ, &["gateway.networking.k8s.io"], ALL),
                rule(&["create"], &["gateway.networking.k8s.io"], &["gatewayclasses"]),
                rule(
                    &["patch", "update"],
                    &["gateway.networking.k8s.io"],
                    &[
                        "gatewayclasses/status",
                        "gateways/status",
                        "httproutes/status",
                        "grpcroutes/status",
                        "backendtlspolicies/status",
                    ],
                ),
                events(),
            ],
        ),
        cluster_role(
            "system:maru:process",
            None,
            &[
                rule(READ, CORE, &["pods", "namespaces", "configmaps"]),
                rule(READ, &["maru.dev"], ALL),
                // Approvals and baselines become evidence.
                rule(&["create"], &["maru.dev"], &["evidence"]),
                // What evidence says about them; nobody else writes these.
                rule(
                    &["patch", "update"],
                    &["maru.dev"],
                    &[
                        "requirements/status",
                        "evidence/status",
                        "projects/status",
                        "gates/status",
                        "approvals/status",
                        "baselines/status",
                        "documents/status",
                        "environments/status",
                        "architectures/status",
                    ],
                ),
                events(),
            ],
        ),
        cluster_role(
            "system:maru:assurance",
            None,
            &[
                rule(READ, CORE, &["namespaces"]),
                rule(READ, &["maru.dev"], &["servicelevelobjectives", "requirements"]),
                // Objectives that follow from requirements.
                rule(&["create", "patch"], &["maru.dev"], &["servicelevelobjectives"]),
                rule(&["patch", "update"], &["maru.dev"], &["servicelevelobjectives/status"]),
                rule(&["get", "create", "patch"], &["monitoring.coreos.com"], &["prometheusrules"]),
            ],
        ),
    ]
}

/// Returns the cluster role bindings that exist from the start.
#[must_use]
pub fn bootstrap_cluster_role_bindings() -> Vec<Value> {
    let everybody = [("Group", "system:authenticated"), ("Group", "system:unauthenticated")];
    let mut bindings = vec![
        cluster_role_binding("cluster-admin", "cluster-admin", &[("Group", "system:masters")]),
        cluster_role_binding("system:basic-user", "system:basic-user", &everybody[..1]),
        cluster_role_binding("system:discovery", "system:discovery", &everybody[..1]),
        cluster_role_binding("system:public-info-viewer", "system:public-info-viewer", &everybody),
        cluster_role_binding(
            "system:service-account-issuer-discovery",
            "system:service-account-issuer-discovery",
            &[("Group", "system:serviceaccounts")],
        ),
        cluster_role_binding("system:monitoring", "system:monitoring", &[("Group", "system:monitoring")]),
    ];
    for room in ["workloads", "node", "metrics", "alerts", "console", "network", "gateway", "process", "assurance"] {
        let name = format!("system:maru:{room}");
        bindings.push(cluster_role_binding(&name, &name, &[("User", &name)]));
    }
    bindings
}

/// Returns all of them, roles first.
#[must_use]
pub fn bootstrap_objects() -> Vec<Value> {
    let mut objects = bootstrap_cluster_roles();
    objects.extend(bootstrap_cluster_role_bindings());
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::rbac::{Attributes, Policy, Request};

    #[test]
    fn the_default_roles_allow_what_they_are_known_for() {
        let mut bindings = bootstrap_cluster_role_bindings();
        for role in ["admin", "edit", "view"] {
            bindings.push(cluster_role_binding(role, role, &[("User", role)]));
        }
        let policy = Policy::from_objects(&[], &bootstrap_cluster_roles(), &[], &bindings);
        let may = |identity: &Identity, verb, group, resource: &str| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let request = Request::Resource { group, resource, subresource, namespace: "a", name: "x" };
            policy.authorize(identity, &Attributes { verb, request }).allowed
        };
        let path = |identity: &Identity, path| {
            policy.authorize(identity, &Attributes { verb: "get", request: Request::Path(path) }).allowed
        };
        let [admin, edit, view] = ["admin", "edit", "view"].map(|name| Identity::new(name, &[]));
        let table = [
            ("list", "", "pods", [true, true, true]),
            ("get", "", "pods/log", [true, true, true]),
            ("create", "apps", "deployments", [true, true, false]),
            ("update", "apps", "deployments/scale", [true, true, false]),
            ("get", "", "secrets", [true, true, false]),
            ("create", "", "pods/exec", [true, true, false]),
            ("create", RBAC, "rolebindings", [true, false, false]),
            ("create", "", "nodes", [false, false, false]),
            ("create", "", "namespaces", [false, false, false]),
        ];
        for (verb, group, resource, expected) in table {
            let found = [&admin, &edit, &view].map(|who| may(who, verb, group, resource));
            assert_eq!(found, expected, "{verb} {group} {resource}");
        }
        let nobody = Identity::anonymous();
        assert!(path(&nobody, "/healthz") && path(&nobody, "/version") && !path(&nobody, "/api"));
        assert!(path(&view, "/apis/apps/v1") && !path(&view, "/metrics"));
        assert!(may(&view, "create", "authorization.k8s.io", "selfsubjectaccessreviews"));
        let gateway = Identity::new("system:maru:gateway", &[]);
        assert!(may(&gateway, "update", "gateway.networking.k8s.io", "httproutes/status"));
        assert!(!may(&gateway, "create", "", "pods"));
        let process = Identity::new("system:maru:process", &[]);
        assert!(may(&process, "patch", "maru.dev", "requirements/status"));
        assert!(!may(&process, "update", "maru.dev", "requirements"));
        // An object of evidence counts only when it says what was signed.
        assert!(may(&process, "create", "maru.dev", "evidence") && !may(&process, "update", "maru.dev", "evidence"));
    }
}
