//! Whether a node is one that a selector, an affinity or a toleration means.

use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};

use crate::machinery::MetaExt as _;

/// Tells whether the node is one that the pod's node selector and required node affinity mean. Pure.
pub(crate) fn is_wanted_node(spec: &PodSpec, node: &Node) -> bool {
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| node.label(key) == Some(value.as_str()));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|selector| selects_node(selector, node))
}

/// Tells whether one of the terms selects the node. Pure.
pub(crate) fn selects_node(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, node))
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.iter().flatten();
    let fields = term.match_fields.iter().flatten();
    // A term without requirements selects nothing.
    let is_empty = expressions.clone().next().is_none() && fields.clone().next().is_none();
    !is_empty
        && expressions.clone().all(|one| requirement_matches(one, node.label(&one.key)))
        && fields.clone().all(|one| one.key == "metadata.name" && requirement_matches(one, Some(node.name())))
}

fn requirement_matches(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let contains = |value: &str| values.iter().any(|one| one == value);
    let compare = |is: fn(i64, i64) -> bool| {
        let bound = values.first().and_then(|bound| bound.parse().ok());
        let own = value.and_then(|value| value.parse().ok());
        matches!((own, bound), (Some(own), Some(bound)) if is(own, bound))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(contains),
        "NotIn" => value.is_none_or(|value| !contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(|own, bound| own > bound),
        "Lt" => compare(|own, bound| own < bound),
        _ => false,
    }
}

/// Returns the first taint with one of the effects that no toleration covers. Pure.
pub(crate) fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], effects: &[&str]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| effects.contains(&taint.effect.as_str()))
        .find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let exists = toleration.operator.as_deref() == Some("Exists");
    given(&toleration.effect).is_none_or(|effect| effect == taint.effect)
        && given(&toleration.key).map_or(exists, |key| key == taint.key)
        && (exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn selectors_and_affinity_pick_nodes() {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "n1", "labels": {"disk": "ssd", "cores": "8"}}}))
                .unwrap();
        let affinity = |term: Value| json!({"containers": [], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
        let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let cases = [
            (json!({"containers": []}), true),
            (json!({"containers": [], "nodeSelector": {"disk": "ssd"}}), true),
            (json!({"containers": [], "nodeSelector": {"disk": "hdd"}}), false),
            (affinity(expression("disk", "In", json!(["hdd", "ssd"]))), true),
            (affinity(expression("disk", "NotIn", json!(["ssd"]))), false),
            (affinity(expression("gpu", "DoesNotExist", json!(null))), true),
            (affinity(expression("cores", "Gt", json!(["4"]))), true),
            (affinity(expression("cores", "Lt", json!(["4"]))), false),
            (affinity(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]})), true),
            (affinity(json!({})), false),
        ];
        for (spec, expected) in cases {
            let parsed: PodSpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(is_wanted_node(&parsed, &node), expected, "{spec}");
        }
    }

    #[test]
    fn tolerations_cover_taints() {
        let taints: Vec<Taint> =
            serde_json::from_value(json!([{"key": "only", "value": "db", "effect": "NoSchedule"}])).unwrap();
        let cases = [
            (json!([]), false),
            (json!([{"key": "only", "value": "db", "effect": "NoSchedule"}]), true),
            (json!([{"key": "only", "operator": "Equal", "value": "web"}]), false),
            (json!([{"key": "only", "operator": "Exists"}]), true),
            (json!([{"operator": "Exists"}]), true),
            (json!([{"key": "only", "operator": "Exists", "effect": "NoExecute"}]), false),
        ];
        for (tolerations, expected) in cases {
            let parsed: Vec<Toleration> = serde_json::from_value(tolerations.clone()).unwrap();
            assert_eq!(untolerated(&taints, &parsed, &["NoSchedule"]).is_none(), expected, "{tolerations}");
        }
        assert!(untolerated(&taints, &[], &["NoExecute"]).is_none());
    }
}
