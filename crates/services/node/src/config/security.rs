//! Users, capabilities and confinement of a container.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, SeccompProfile};
use maru_container::{Capabilities, Seccomp, User};

use super::container::ConfigError;
use crate::pod;

/// Kernel parameters that belong to the pod's own namespaces and harm nobody else.
const SAFE_SYSCTLS: [&str; 13] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
    "net.core.somaxconn",
];

/// Returns who the container's program runs as.
pub(super) fn user(pod: &Pod, container: &Container, image_user: &str) -> Result<User, ConfigError> {
    let of_pod = pod::spec(pod).security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let run_as_user = own.run_as_user.or(of_pod.run_as_user);
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        check_non_root(pod, container, run_as_user, image_user)?;
    }
    let number = |id: i64| {
        u32::try_from(id).map_err(|_| ConfigError::Refused { problem: format!("\"{id}\" is not a user or group id") })
    };
    let mut additional_groups = Vec::new();
    for id in of_pod.supplemental_groups.iter().flatten().copied().chain(of_pod.fs_group) {
        let id = number(id)?;
        if !additional_groups.contains(&id) {
            additional_groups.push(id);
        }
    }
    let group = own.run_as_group.or(of_pod.run_as_group).map(number).transpose()?;
    Ok(User {
        user: match run_as_user {
            Some(id) => number(id)?.to_string(),
            None => image_user.to_owned(),
        },
        group: group.map(|id| id.to_string()),
        additional_groups,
        ignore_image_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
    })
}

fn check_non_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    image_user: &str,
) -> Result<(), ConfigError> {
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        pod::name(pod),
        pod::namespace(pod),
        pod::uid(pod),
        container.name
    );
    let refuse = |problem: String| Err(ConfigError::Refused { problem });
    match run_as_user {
        Some(0) => return refuse(format!("container's runAsUser breaks non-root policy {place}")),
        Some(_) => return Ok(()),
        None => {}
    }
    let name = image_user.split(':').next().unwrap_or_default();
    match name.parse::<u32>() {
        Ok(0) => refuse(format!("container has runAsNonRoot and image will run as root {place}")),
        Ok(_) => Ok(()),
        Err(_) if name.is_empty() => refuse(format!("container has runAsNonRoot and image will run as root {place}")),
        Err(_) => refuse(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {place}"
        )),
    }
}

pub(super) fn capabilities(container: &Container) -> Capabilities {
    let own = container.security_context.as_ref().and_then(|context| context.capabilities.clone()).unwrap_or_default();
    Capabilities { add: own.add.unwrap_or_default(), drop: own.drop.unwrap_or_default() }
}

/// Returns which system calls are allowed; a profile file must be below `profiles`.
pub(super) fn seccomp(pod: &Pod, container: &Container, profiles: &Path) -> Result<Seccomp, ConfigError> {
    let own = container.security_context.as_ref().and_then(|context| context.seccomp_profile.clone());
    let of_pod = pod::spec(pod).security_context.as_ref().and_then(|context| context.seccomp_profile.clone());
    let Some(SeccompProfile { type_, localhost_profile }) = own.or(of_pod) else { return Ok(Seccomp::RuntimeDefault) };
    match type_.as_str() {
        "Unconfined" => Ok(Seccomp::Unconfined),
        "Localhost" => {
            let name = localhost_profile.unwrap_or_default();
            let is_safe = !name.is_empty() && !name.starts_with('/') && name.split('/').all(|part| part != "..");
            if !is_safe {
                return Err(ConfigError::Refused {
                    problem: format!("localhostProfile \"{name}\" must be a path below the profile directory"),
                });
            }
            Ok(Seccomp::Localhost(profiles.join(name)))
        }
        _ => Ok(Seccomp::RuntimeDefault),
    }
}

/// Returns the pod's kernel parameters; unsafe ones are refused.
pub(crate) fn sysctls(pod: &Pod) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut all = BTreeMap::new();
    let host_network = pod::is_host_network(pod);
    if !host_network {
        // Pods have a network of their own, so that ports below 1024 protect nobody there.
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    let wanted =
        pod::spec(pod).security_context.as_ref().and_then(|context| context.sysctls.clone()).unwrap_or_default();
    for sysctl in wanted {
        let name = sysctl.name.replace('/', ".");
        let is_safe = SAFE_SYSCTLS.contains(&name.as_str()) && !(host_network && name.starts_with("net."));
        if !is_safe {
            return Err(ConfigError::Refused { problem: format!("forbidden sysctl: \"{name}\" not allowlisted") });
        }
        all.insert(name, sysctl.value);
    }
    Ok(all)
}

/// Returns how gladly the kernel may kill the container when memory runs out.
pub(super) fn oom_score(pod: &Pod, container: &Container, memory_capacity: u64) -> i32 {
    match pod::qos(pod) {
        pod::Qos::Guaranteed => -997,
        pod::Qos::BestEffort => 1000,
        pod::Qos::Burstable => {
            let request = pod::memory_bytes(container.resources.as_ref(), pod::Bound::Request).unwrap_or(0);
            let share = u128::from(request) * 1000 / u128::from(memory_capacity.max(1));
            (1000 - i32::try_from(share).unwrap_or(1000)).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example(pod: serde_json::Value, container: serde_json::Value) -> (Pod, Container) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"securityContext": pod, "containers": [{"name": "c", "securityContext": container}]}}))
        .unwrap();
        let container = pod::spec(&pod).containers[0].clone();
        (pod, container)
    }

    #[test]
    fn the_container_s_user_wins_over_the_pod_s_over_the_image_s() {
        for (pod, container, image, expected) in [
            (json!({}), json!({}), "app", ("app", None)),
            (json!({"runAsUser": 7}), json!({}), "app", ("7", None)),
            (json!({"runAsUser": 7, "runAsGroup": 8}), json!({"runAsUser": 9}), "app", ("9", Some("8"))),
            (json!({"runAsNonRoot": true}), json!({}), "1000:1000", ("1000:1000", None)),
            (json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false}), "", ("", None)),
        ] {
            let (pod, container) = example(pod, container);
            let user = user(&pod, &container, image).unwrap();
            assert_eq!((user.user.as_str(), user.group.as_deref()), expected);
        }
    }

    #[test]
    fn non_root_is_verified() {
        for (context, image, words) in [
            (json!({"runAsNonRoot": true}), "", "image will run as root"),
            (json!({"runAsNonRoot": true}), "0", "image will run as root"),
            (json!({"runAsNonRoot": true}), "app", "non-numeric user (app)"),
            (json!({"runAsNonRoot": true, "runAsUser": 0}), "app", "runAsUser breaks non-root policy"),
        ] {
            let (pod, container) = example(context, json!({}));
            let message = user(&pod, &container, image).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn groups_are_the_supplemental_ones_and_the_volumes() {
        let (pod, container) = example(json!({"supplementalGroups": [5, 6], "fsGroup": 6}), json!({}));
        assert_eq!(user(&pod, &container, "").unwrap().additional_groups, [5, 6]);
    }

    #[test]
    fn only_safe_kernel_parameters_pass() {
        let (pod, _) = example(json!({"sysctls": [{"name": "net.core.somaxconn", "value": "512"}]}), json!({}));
        assert_eq!(sysctls(&pod).unwrap().get("net.core.somaxconn").map(String::as_str), Some("512"));
        let (pod, _) = example(json!({"sysctls": [{"name": "kernel.panic", "value": "1"}]}), json!({}));
        assert_eq!(sysctls(&pod).unwrap_err().to_string(), "forbidden sysctl: \"kernel.panic\" not allowlisted");
    }

    #[test]
    fn profiles_stay_below_their_directory() {
        let profiles = Path::new("/profiles");
        for (profile, expected) in [
            (json!(null), Some(Seccomp::RuntimeDefault)),
            (json!({"type": "Unconfined"}), Some(Seccomp::Unconfined)),
            (
                json!({"type": "Localhost", "localhostProfile": "a/b.json"}),
                Some(Seccomp::Localhost("/profiles/a/b.json".into())),
            ),
            (json!({"type": "Localhost", "localhostProfile": "../b.json"}), None),
        ] {
            let (pod, container) = example(json!({}), json!({"seccompProfile": profile}));
            assert_eq!(seccomp(&pod, &container, profiles).ok(), expected);
        }
    }
}
