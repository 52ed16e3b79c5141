//! The pod's own fields and resources, for environment variables and downward API volumes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::pod;

/// What fields show that the specification does not hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldFacts {
    pub(crate) host_addresses: Vec<IpAddr>,
    pub(crate) pod_addresses: Vec<IpAddr>,
    /// Thousandths of what the node can give, for limits that are not set.
    pub(crate) allocatable: BTreeMap<String, i64>,
}

/// Returns a field of the pod; `None` when the path is not one that can be shown.
pub(crate) fn field(pod: &Pod, path: &str, facts: &FieldFacts) -> Option<String> {
    let join = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let first = |addresses: &[IpAddr]| addresses.first().map(ToString::to_string).unwrap_or_default();
    Some(match path {
        "metadata.name" => pod::name(pod).to_owned(),
        "metadata.namespace" => pod::namespace(pod).to_owned(),
        "metadata.uid" => pod::uid(pod).to_owned(),
        "metadata.labels" => map_lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => map_lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => pod::spec(pod).node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => pod::service_account(pod).to_owned(),
        "status.hostIP" => first(&facts.host_addresses),
        "status.hostIPs" => join(&facts.host_addresses),
        "status.podIP" => first(&facts.pod_addresses),
        "status.podIPs" => join(&facts.pod_addresses),
        _ => {
            let (map, key) = path.split_once("['").and_then(|(map, rest)| Some((map, rest.strip_suffix("']")?)))?;
            let map = match map {
                "metadata.labels" => pod.metadata.labels.as_ref(),
                "metadata.annotations" => pod.metadata.annotations.as_ref(),
                _ => return None,
            };
            map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
        }
    })
}

/// Writes one `key="value"` a line, sorted by key.
fn map_lines(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value))).collect::<Vec<_>>().join("\n")
}

/// Quotes as Go's `%q` does.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Returns a request or limit of a container in units of the divisor, rounded up; `None` when it cannot be shown.
pub(crate) fn resource_field(
    container: &Container,
    selector: &ResourceFieldSelector,
    facts: &FieldFacts,
) -> Option<String> {
    let (side, resource) = selector.resource.split_once('.')?;
    let resources = container.resources.as_ref();
    let limit = pod::amount(resources, pod::Bound::Limit, resource);
    let value = match side {
        "limits" => limit.filter(|value| *value > 0).or_else(|| facts.allocatable.get(resource).copied()).unwrap_or(0),
        "requests" => pod::amount(resources, pod::Bound::Request, resource).or(limit).unwrap_or(0),
        _ => return None,
    };
    let divisor = match selector.divisor.as_ref().map(|quantity| quantity.0.as_str()) {
        None | Some("" | "0") => 1000,
        Some(text) => pod::milli(text).filter(|value| *value > 0)?,
    };
    Some(((value + divisor - 1) / divisor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    fn example() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "x\"y\n"}, "annotations": {"k/v": "z"}},
            "spec": {"nodeName": "node", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}},
                {"name": "d"},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn every_documented_path_has_a_value() {
        let facts = FieldFacts {
            host_addresses: vec!["192.0.2.1".parse().unwrap()],
            pod_addresses: vec!["10.42.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            allocatable: BTreeMap::new(),
        };
        for (path, expected) in [
            ("metadata.name", Some("p")),
            ("metadata.namespace", Some("n")),
            ("metadata.uid", Some("u")),
            ("metadata.labels", Some("a=\"x\\\"y\\n\"\nb=\"2\"")),
            ("metadata.labels['b']", Some("2")),
            ("metadata.labels['none']", Some("")),
            ("metadata.annotations['k/v']", Some("z")),
            ("spec.nodeName", Some("node")),
            ("spec.serviceAccountName", Some("default")),
            ("status.hostIP", Some("192.0.2.1")),
            ("status.podIP", Some("10.42.0.7")),
            ("status.podIPs", Some("10.42.0.7,fd00::7")),
            ("spec.containers", None),
            ("metadata.labels['b", None),
        ] {
            assert_eq!(field(&example(), path, &facts).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        let pod = example();
        let facts =
            FieldFacts { allocatable: BTreeMap::from([("memory".to_owned(), 8_000_000)]), ..FieldFacts::default() };
        for (container, resource, divisor, expected) in [
            (0, "limits.cpu", None, Some("2")),
            (0, "limits.cpu", Some("1m"), Some("1500")),
            (0, "requests.cpu", Some("1m"), Some("250")),
            (0, "limits.memory", Some("1Mi"), Some("64")),
            (0, "requests.memory", None, Some("67108864")),
            (1, "limits.memory", None, Some("8000")),
            (1, "requests.cpu", None, Some("0")),
            (0, "memory", None, None),
        ] {
            let selector = ResourceFieldSelector {
                container_name: None,
                divisor: divisor.map(|text: &str| Quantity(text.to_owned())),
                resource: resource.to_owned(),
            };
            let found = resource_field(&pod::spec(&pod).containers[container], &selector, &facts);
            assert_eq!(found.as_deref(), expected, "{resource} {divisor:?}");
        }
    }
}
