//! What the objects of the cluster say about themselves, as numbers: the names are those of kube-state-metrics.

use std::fmt::Write as _;

use maru_time::Timestamp;
use serde_json::Value;

use super::objects::{Kind, Objects, list, number, text};

/// An exposition that is being written: families by name, each once.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    out: String,
}

impl Exposition {
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string does not fail");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let before = if index == 0 { "{" } else { "," };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.push(format_args!("{before}{label}=\"{value}\""));
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    /// Adds what another one holds.
    pub(super) fn append(&mut self, other: Self) {
        self.out.push_str(&other.out);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

fn time(object: &Value, pointer: &str) -> Option<f64> {
    let at: Timestamp = text(object, pointer).parse().ok()?;
    Some(at.as_duration().as_secs_f64())
}

/// Reads a quantity such as `100m`, `64Mi` or `2`.
fn quantity(written: &Value) -> Option<f64> {
    const UNITS: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    if let Some(number) = written.as_f64() {
        return Some(number);
    }
    let text = written.as_str()?;
    let found = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    Some(number.parse::<f64>().ok()? * factor)
}

/// One family over all objects of a kind.
type Of<'a> = &'a dyn Fn(&Value, &mut dyn FnMut(&[(&str, &str)], f64));

struct Writer<'a> {
    objects: &'a Objects,
    out: Exposition,
}

impl Writer<'_> {
    /// Writes one family; each sample has the object's namespace and name in front.
    fn family(&mut self, kind: Kind, label: &str, name: &str, metric_kind: &str, help: &str, of: Of<'_>) {
        self.out.head(name, metric_kind, help);
        for ((namespace, own), object) in self.objects.get(&kind).into_iter().flatten() {
            let out = &mut self.out;
            of(object, &mut |more, value| {
                let mut labels = Vec::with_capacity(more.len() + 2);
                if kind.is_namespaced() {
                    labels.push(("namespace", namespace.as_str()));
                }
                labels.push((label, own.as_str()));
                labels.extend_from_slice(more);
                out.sample(name, &labels, value);
            });
        }
    }

    /// Writes a gauge that is a number of the object.
    fn number(&mut self, kind: Kind, label: &str, name: &str, pointer: &str, help: &str) {
        self.family(kind, label, name, "gauge", help, &|object, put| {
            if object.pointer(pointer).is_some() || pointer.starts_with("/status") {
                put(&[], float(number(object, pointer)));
            }
        });
    }
}

/// Returns all of it as a text.
pub(super) fn exposition(objects: &Objects) -> String {
    let mut writer = Writer { objects, out: Exposition::default() };
    pods(&mut writer);
    containers(&mut writer);
    workloads(&mut writer);
    others(&mut writer);
    writer.out.finish()
}

fn pods(writer: &mut Writer<'_>) {
    let kind = Kind::Pod;
    writer.family(kind, "pod", "kube_pod_info", "gauge", "Information about pod.", &|pod, put| {
        let owner = &pod["metadata"]["ownerReferences"][0];
        put(
            &[
                ("uid", text(pod, "/metadata/uid")),
                ("node", text(pod, "/spec/nodeName")),
                ("pod_ip", text(pod, "/status/podIP")),
                ("host_ip", text(pod, "/status/hostIP")),
                ("created_by_kind", text(owner, "/kind")),
                ("created_by_name", text(owner, "/name")),
            ],
            1.0,
        );
    });
    writer.family(kind, "pod", "kube_pod_created", "gauge", "Unix creation timestamp.", &|pod, put| {
        time(pod, "/metadata/creationTimestamp").into_iter().for_each(|at| put(&[], at));
    });
    writer.family(
        kind,
        "pod",
        "kube_pod_start_time",
        "gauge",
        "Start time in unix timestamp for a pod.",
        &|pod, put| {
            time(pod, "/status/startTime").into_iter().for_each(|at| put(&[], at));
        },
    );
    writer.family(kind, "pod", "kube_pod_status_phase", "gauge", "The pods current phase.", &|pod, put| {
        for phase in ["Pending", "Succeeded", "Failed", "Unknown", "Running"] {
            put(&[("phase", phase)], f64::from(u8::from(text(pod, "/status/phase") == phase)));
        }
    });
    let help = "Describes whether the pod is ready to serve requests.";
    writer.family(kind, "pod", "kube_pod_status_ready", "gauge", help, &|pod, put| {
        let ready = list(pod, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
        let ready = ready.map_or("unknown".to_owned(), |one| text(one, "/status").to_lowercase());
        for condition in ["true", "false", "unknown"] {
            put(&[("condition", condition)], f64::from(u8::from(ready == condition)));
        }
    });
    writer.family(kind, "pod", "kube_pod_owner", "gauge", "Information about the Pod's owner.", &|pod, put| {
        for owner in list(pod, "/metadata/ownerReferences") {
            let controls = (owner["controller"] == true).to_string();
            let labels = [
                ("owner_kind", text(owner, "/kind")),
                ("owner_name", text(owner, "/name")),
                ("owner_is_controller", controls.as_str()),
            ];
            put(&labels, 1.0);
        }
    });
}

fn containers(writer: &mut Writer<'_>) {
    let kind = Kind::Pod;
    let statuses = |pod: &Value| list(pod, "/status/containerStatuses").to_vec();
    let help = "The number of container restarts per container.";
    let name = "kube_pod_container_status_restarts_total";
    writer.family(kind, "pod", name, "counter", help, &|pod, put| {
        for one in statuses(pod) {
            put(&[("container", text(&one, "/name"))], float(number(&one, "/restartCount")));
        }
    });
    let help = "Describes whether the containers readiness check succeeded.";
    writer.family(kind, "pod", "kube_pod_container_status_ready", "gauge", help, &|pod, put| {
        for one in statuses(pod) {
            put(&[("container", text(&one, "/name"))], f64::from(u8::from(one["ready"] == true)));
        }
    });
    for (name, state, help) in [
        (
            "kube_pod_container_status_running",
            "running",
            "Describes whether the container is currently in running state.",
        ),
        (
            "kube_pod_container_status_waiting",
            "waiting",
            "Describes whether the container is currently in waiting state.",
        ),
        (
            "kube_pod_container_status_terminated",
            "terminated",
            "Describes whether the container is currently in terminated state.",
        ),
    ] {
        writer.family(kind, "pod", name, "gauge", help, &|pod, put| {
            for one in statuses(pod) {
                put(&[("container", text(&one, "/name"))], f64::from(u8::from(one["state"][state].is_object())));
            }
        });
    }
    for (name, pointer, help) in [
        (
            "kube_pod_container_status_waiting_reason",
            "/state/waiting/reason",
            "Describes the reason the container is currently in waiting state.",
        ),
        (
            "kube_pod_container_status_terminated_reason",
            "/state/terminated/reason",
            "Describes the reason the container is currently in terminated state.",
        ),
        (
            "kube_pod_container_status_last_terminated_reason",
            "/lastState/terminated/reason",
            "Describes the last reason the container was in terminated state.",
        ),
    ] {
        writer.family(kind, "pod", name, "gauge", help, &|pod, put| {
            for one in statuses(pod).iter().filter(|one| !text(one, pointer).is_empty()) {
                put(&[("container", text(one, "/name")), ("reason", text(one, pointer))], 1.0);
            }
        });
    }
    for (name, field, help) in [
        (
            "kube_pod_container_resource_requests",
            "requests",
            "The number of requested request resource by a container.",
        ),
        ("kube_pod_container_resource_limits", "limits", "The number of requested limit resource by a container."),
    ] {
        writer.family(kind, "pod", name, "gauge", help, &|pod, put| {
            for container in list(pod, "/spec/containers") {
                for (resource, written) in container["resources"][field].as_object().into_iter().flatten() {
                    let Some(value) = quantity(written) else { continue };
                    let unit = if resource == "cpu" { "core" } else { "byte" };
                    put(&[("container", text(container, "/name")), ("resource", resource), ("unit", unit)], value);
                }
            }
        });
    }
}

fn workloads(writer: &mut Writer<'_>) {
    const ROWS: &[(Kind, &str, &str, &str)] = &[
        (Kind::Deployment, "deployment", "kube_deployment_spec_replicas", "/spec/replicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_replicas", "/status/replicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_replicas_ready", "/status/readyReplicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_replicas_available", "/status/availableReplicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_replicas_unavailable", "/status/unavailableReplicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_replicas_updated", "/status/updatedReplicas"),
        (Kind::Deployment, "deployment", "kube_deployment_status_observed_generation", "/status/observedGeneration"),
        (Kind::Deployment, "deployment", "kube_deployment_metadata_generation", "/metadata/generation"),
        (Kind::ReplicaSet, "replicaset", "kube_replicaset_spec_replicas", "/spec/replicas"),
        (Kind::ReplicaSet, "replicaset", "kube_replicaset_status_replicas", "/status/replicas"),
        (Kind::ReplicaSet, "replicaset", "kube_replicaset_status_ready_replicas", "/status/readyReplicas"),
        (Kind::StatefulSet, "statefulset", "kube_statefulset_replicas", "/spec/replicas"),
        (Kind::StatefulSet, "statefulset", "kube_statefulset_status_replicas", "/status/replicas"),
        (Kind::StatefulSet, "statefulset", "kube_statefulset_status_replicas_ready", "/status/readyReplicas"),
        (Kind::StatefulSet, "statefulset", "kube_statefulset_status_replicas_updated", "/status/updatedReplicas"),
        (
            Kind::DaemonSet,
            "daemonset",
            "kube_daemonset_status_desired_number_scheduled",
            "/status/desiredNumberScheduled",
        ),
        (
            Kind::DaemonSet,
            "daemonset",
            "kube_daemonset_status_current_number_scheduled",
            "/status/currentNumberScheduled",
        ),
        (Kind::DaemonSet, "daemonset", "kube_daemonset_status_number_ready", "/status/numberReady"),
        (Kind::DaemonSet, "daemonset", "kube_daemonset_status_number_unavailable", "/status/numberUnavailable"),
        (Kind::Job, "job_name", "kube_job_status_active", "/status/active"),
        (Kind::Job, "job_name", "kube_job_status_succeeded", "/status/succeeded"),
        (Kind::Job, "job_name", "kube_job_status_failed", "/status/failed"),
    ];
    for (kind, label, name, pointer) in ROWS {
        let help = format!("What {} says at {}.", kind.name(), pointer.trim_start_matches('/').replace('/', "."));
        writer.number(*kind, label, name, pointer, &help);
    }
}

fn others(writer: &mut Writer<'_>) {
    writer.family(Kind::Node, "node", "kube_node_info", "gauge", "Information about a cluster node.", &|node, put| {
        let info = |field: &str| text(node, &format!("/status/nodeInfo/{field}")).to_owned();
        let (kernel, runtime, kubelet) =
            (info("kernelVersion"), info("containerRuntimeVersion"), info("kubeletVersion"));
        put(
            &[("kernel_version", &kernel), ("container_runtime_version", &runtime), ("kubelet_version", &kubelet)],
            1.0,
        );
    });
    let help = "The condition of a cluster node.";
    writer.family(Kind::Node, "node", "kube_node_status_condition", "gauge", help, &|node, put| {
        for condition in list(node, "/status/conditions") {
            let is = text(condition, "/status").to_lowercase();
            for status in ["true", "false", "unknown"] {
                let labels = [("condition", text(condition, "/type")), ("status", status)];
                put(&labels, f64::from(u8::from(is == status)));
            }
        }
    });
    for (name, field) in [("kube_node_status_capacity", "capacity"), ("kube_node_status_allocatable", "allocatable")] {
        let help = format!("The {field} of a node by resource.");
        writer.family(Kind::Node, "node", name, "gauge", &help, &|node, put| {
            for (resource, written) in node["status"][field].as_object().into_iter().flatten() {
                let unit = match resource.as_str() {
                    "cpu" => "core",
                    "pods" => "integer",
                    _ => "byte",
                };
                let cleaned = resource.replace(['-', '.', '/'], "_");
                quantity(written).into_iter().for_each(|value| put(&[("resource", &cleaned), ("unit", unit)], value));
            }
        });
    }
    let help = "Information about service.";
    writer.family(Kind::Service, "service", "kube_service_info", "gauge", help, &|service, put| {
        put(&[("cluster_ip", text(service, "/spec/clusterIP"))], 1.0);
    });
    let help = "kubernetes namespace status phase.";
    writer.family(Kind::Namespace, "namespace", "kube_namespace_status_phase", "gauge", help, &|namespace, put| {
        for phase in ["Active", "Terminating"] {
            put(&[("phase", phase)], f64::from(u8::from(text(namespace, "/status/phase") == phase)));
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_become_numbers() {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 3, "ready": true}]}});
        let deployment = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 2}});
        let key = ("shop".to_owned(), "web".to_owned());
        let objects: Objects =
            [(Kind::Pod, [(key.clone(), pod)].into()), (Kind::Deployment, [(key, deployment)].into())].into();
        let text = exposition(&objects);
        for line in [
            "kube_pod_status_phase{namespace=\"shop\",pod=\"web\",phase=\"Running\"} 1\n",
            "kube_pod_container_status_restarts_total{namespace=\"shop\",pod=\"web\",container=\"c\"} 3\n",
            "kube_pod_container_resource_limits{namespace=\"shop\",pod=\"web\",container=\"c\",resource=\"cpu\",unit=\"core\"} 0.25\n",
            "resource=\"memory\",unit=\"byte\"} 67108864\n",
            "kube_deployment_spec_replicas{namespace=\"shop\",deployment=\"web\"} 2\n",
            "kube_deployment_status_replicas{namespace=\"shop\",deployment=\"web\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(
            maru_prom::exposition::TextParser::new(
                text.as_bytes(),
                maru_prom::exposition::Dialect::Prometheus,
                Default::default()
            )
            .is_ok()
        );
    }
}
