//! What pods request and what the node has left.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use maru_kube::Quantity;

/// Amounts by the name of the resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// Returns what the pod requests: the most that it needs at a time. Pure.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut running = Amounts::new();
    let mut peak = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let own = container_requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, &own);
            raise(&mut peak, &running);
        } else {
            let mut meanwhile = running.clone();
            add(&mut meanwhile, &own);
            raise(&mut peak, &meanwhile);
        }
    }
    for container in &spec.containers {
        add(&mut running, &container_requests(container));
    }
    raise(&mut peak, &running);
    // Requests of the pod as a whole replace the sum.
    for (name, amount) in amounts(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref())) {
        peak.insert(name, amount);
    }
    add(&mut peak, &amounts(spec.overhead.as_ref()));
    peak
}

fn container_requests(container: &Container) -> Amounts {
    let resources: Option<&ResourceRequirements> = container.resources.as_ref();
    let mut own = amounts(resources.and_then(|resources| resources.limits.as_ref()));
    // A limit without a request is the request too; the API server fills that in, static pods may lack it.
    own.extend(amounts(resources.and_then(|resources| resources.requests.as_ref())));
    own
}

/// Reads amounts; what cannot be read counts as nothing (the API server refuses such objects).
pub(crate) fn amounts(texts: Option<&BTreeMap<String, Text>>) -> Amounts {
    texts.into_iter().flatten().filter_map(|(name, text)| Some((name.clone(), text.0.parse().ok()?))).collect()
}

pub(crate) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(peak: &mut Amounts, to: &Amounts) {
    for (name, amount) in to {
        let peak = peak.entry(name.clone()).or_insert(*amount);
        *peak = (*peak).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sidecars_run_beside_everything_and_init_containers_one_by_one() {
        let cpu = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = cpu("sidecar", "100m");
        crate::pods::tests::merge(&mut sidecar, json!({"restartPolicy": "Always"}));
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "initContainers": [cpu("first", "300m"), sidecar, cpu("second", "900m")],
            "containers": [cpu("a", "200m"), {"name": "b", "resources": {"limits": {"cpu": "250m", "memory": "1Gi"}}}],
        }}))
        .unwrap();
        let requests = requests(&pod);
        assert_eq!(requests["cpu"].milli_value(), 1000);
        assert_eq!(requests["memory"].value(), 1 << 30);
    }
}
