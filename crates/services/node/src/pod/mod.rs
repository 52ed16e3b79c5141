//! Reading a pod's specification: the questions that the node asks of it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What a container is for in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next starts.
    Init,
    /// An init container that goes on beside the main ones.
    Sidecar,
    /// What the pod is for.
    Main,
    /// Added to a running pod to look at it; never restarted.
    Ephemeral,
}

/// A container of a pod with its role.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) container: Container,
}

impl Member {
    pub(crate) fn name(&self) -> &str {
        &self.container.name
    }
}

/// When containers are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// Grace that a pod without a number gets.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or_else(|| &EMPTY)
}

pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub(crate) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

pub(crate) fn service_account(pod: &Pod) -> &str {
    spec(pod).service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// Returns all containers: init ones and sidecars in order, then main ones, then ephemeral ones.
pub(crate) fn members(pod: &Pod) -> Vec<Member> {
    let spec = spec(pod);
    let init = spec.init_containers.iter().flatten().map(|container| Member {
        role: if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init },
        container: container.clone(),
    });
    let main = spec.containers.iter().map(|container| Member { role: Role::Main, container: container.clone() });
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .filter_map(|one| serde_json::to_value(one).ok())
        .filter_map(|value| serde_json::from_value::<Container>(value).ok())
        .map(|container| Member { role: Role::Ephemeral, container });
    init.chain(main).chain(ephemeral).collect()
}

pub(crate) fn member(pod: &Pod, container: &str) -> Option<Member> {
    members(pod).into_iter().find(|one| one.container.name == container)
}

pub(crate) fn restart_policy(pod: &Pod) -> RestartPolicy {
    match spec(pod).restart_policy.as_deref() {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

/// Returns how long the pod may take to stop: what the deletion says, else what the specification says.
pub(crate) fn grace(pod: &Pod) -> Duration {
    let seconds = pod
        .metadata
        .deletion_timestamp
        .as_ref()
        .and(pod.metadata.deletion_grace_period_seconds)
        .or(spec(pod).termination_grace_period_seconds);
    seconds.map_or(DEFAULT_GRACE, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1)))
}

/// Tells whether the API already says that the pod has ended for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

pub(crate) fn is_host_network(pod: &Pod) -> bool {
    spec(pod).host_network.unwrap_or(false)
}

/// The pod's quality of service class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// Derives the class from requests and limits of cpu and memory of all containers but ephemeral ones.
pub(crate) fn qos(pod: &Pod) -> Qos {
    let spec = spec(pod);
    let mut any = false;
    let mut guaranteed = true;
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        for resource in ["cpu", "memory"] {
            let limit = amount(container.resources.as_ref(), Bound::Limit, resource).filter(|value| *value > 0);
            let request = amount(container.resources.as_ref(), Bound::Request, resource).filter(|value| *value > 0);
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => Qos::BestEffort,
        (true, true) => Qos::Guaranteed,
        (true, false) => Qos::Burstable,
    }
}

/// Which side of a container's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Request,
    Limit,
}

/// Returns an amount in thousandths, so that cpu comes out in millicores.
pub(crate) fn amount(resources: Option<&ResourceRequirements>, bound: Bound, resource: &str) -> Option<i64> {
    let resources = resources?;
    let map: Option<&BTreeMap<String, Quantity>> = match bound {
        Bound::Request => resources.requests.as_ref(),
        Bound::Limit => resources.limits.as_ref(),
    };
    map?.get(resource).and_then(|quantity| milli(&quantity.0))
}

/// Reads a quantity in thousandths, rounded up.
pub(crate) fn milli(text: &str) -> Option<i64> {
    text.parse::<maru_kube::Quantity>().ok().map(maru_kube::Quantity::milli_value)
}

/// Returns millicores. A missing request is the limit, as the API server's defaulting has it.
pub(crate) fn cpu_millis(resources: Option<&ResourceRequirements>, bound: Bound) -> Option<u64> {
    let found = amount(resources, bound, "cpu").or_else(|| match bound {
        Bound::Request => amount(resources, Bound::Limit, "cpu"),
        Bound::Limit => None,
    });
    found.and_then(|value| u64::try_from(value).ok())
}

/// Returns bytes of memory. A missing request is the limit.
pub(crate) fn memory_bytes(resources: Option<&ResourceRequirements>, bound: Bound) -> Option<u64> {
    let found = amount(resources, bound, "memory").or_else(|| match bound {
        Bound::Request => amount(resources, Bound::Limit, "memory"),
        Bound::Limit => None,
    });
    found.and_then(|value| u64::try_from((value + 999) / 1000).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(value: serde_json::Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        for (resources, expected) in [
            (serde_json::json!({}), Qos::BestEffort),
            (serde_json::json!({"requests": {"cpu": "0"}}), Qos::BestEffort),
            (serde_json::json!({"requests": {"cpu": "1m"}}), Qos::Burstable),
            (serde_json::json!({"limits": {"cpu": "1"}}), Qos::Burstable),
            (serde_json::json!({"limits": {"cpu": "1", "memory": "1Gi"}}), Qos::Guaranteed),
            (
                serde_json::json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}),
                Qos::Guaranteed,
            ),
            (
                serde_json::json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}),
                Qos::Burstable,
            ),
        ] {
            let pod = pod(serde_json::json!({"spec": {"containers": [{"name": "a", "resources": resources}]}}));
            assert_eq!(qos(&pod), expected, "{pod:?}");
        }
    }

    #[test]
    fn one_container_without_limits_makes_the_pod_burstable() {
        let limits = serde_json::json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        let pod = pod(serde_json::json!({"spec": {"containers": [{"name": "a", "resources": limits}, {"name": "b"}]}}));
        assert_eq!(qos(&pod), Qos::Burstable);
    }

    #[test]
    fn the_deletion_s_grace_wins_and_is_at_least_a_second() {
        let mut value =
            serde_json::json!({"metadata": {}, "spec": {"containers": [], "terminationGracePeriodSeconds": 7}});
        assert_eq!(grace(&pod(value.clone())), Duration::from_secs(7));
        value["metadata"] =
            serde_json::json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0});
        assert_eq!(grace(&pod(value)), Duration::from_secs(1));
        assert_eq!(grace(&pod(serde_json::json!({"spec": {"containers": []}}))), DEFAULT_GRACE);
    }

    #[test]
    fn sidecars_are_init_containers_that_always_restart() {
        let pod = pod(serde_json::json!({"spec": {
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "m"}],
            "ephemeralContainers": [{"name": "e", "targetContainerName": "m"}],
        }}));
        let roles: Vec<Role> = members(&pod).iter().map(|one| one.role).collect();
        assert_eq!(roles, [Role::Init, Role::Sidecar, Role::Main, Role::Ephemeral]);
    }
}
