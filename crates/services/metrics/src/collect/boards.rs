//! Boards as objects: their kind, and those that are always there.

use maru_monitoring::boards::{self, Board};
use serde_json::{Value, json};

/// Where what Maru brings itself is kept.
const NAMESPACE: &str = "maru-system";
const READERS: &str = "boards-readers";
/// Marks what Maru wrote itself.
const BUILT_IN: &str = "maru.dev/built-in";

/// Returns the definition of the kind.
pub(super) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boards.maru.dev"},
        "spec": {
            "group": "maru.dev", "scope": "Namespaced",
            "names": {"kind": "Board", "listKind": "BoardList", "plural": "boards", "singular": "board", "categories": ["maru"]},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Title", "type": "string", "jsonPath": ".spec.title"},
                    {"name": "Accepted", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "description": "A page of panels over queries.",
                    "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                        "spec": boards::schema(),
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }},
            }],
        },
    })
}

/// Returns the objects that are there from the start, each with the path that it is applied at: the namespace, the boards, and who
/// may read them.
#[must_use]
pub fn built_in_objects() -> Vec<(String, Value)> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let mut objects = vec![
        (
            format!("/api/v1/namespaces/{NAMESPACE}"),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        ),
        (
            format!("/apis/{RBAC}/v1/namespaces/{NAMESPACE}/roles/{READERS}"),
            json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": READERS, "namespace": NAMESPACE},
                "rules": [{"apiGroups": ["maru.dev"], "resources": ["boards"], "verbs": ["get", "list", "watch"]}]}),
        ),
        (
            format!("/apis/{RBAC}/v1/namespaces/{NAMESPACE}/rolebindings/{READERS}"),
            json!({"apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding",
                "metadata": {"name": READERS, "namespace": NAMESPACE},
                "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": READERS},
                "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}]}),
        ),
    ];
    objects.extend(boards::built_in().into_iter().map(|(name, board)| {
        let path = format!("/apis/maru.dev/v1alpha1/namespaces/{NAMESPACE}/boards/{name}");
        let object = json!({
            "apiVersion": "maru.dev/v1alpha1", "kind": "Board",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {BUILT_IN: "true"}}, "spec": board,
        });
        (path, object)
    }));
    objects
}

/// Says what is wrong with a board, all of it.
pub(super) fn judge(object: &Value) -> Result<(), String> {
    let board: Board = serde_json::from_value(object["spec"].clone()).map_err(|error| error.to_string())?;
    let problems = boards::check(&board);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
