//! What runs now: the images of pods by component, and the configuration that they run with.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSpec, Volume};
use maru_api::{Digest, Subject, SubjectKind, canonical_json};
use serde_json::{Value, json};

/// Labels that say which component a pod belongs to, the first that is there counts.
const COMPONENT_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];
/// The volume that every pod gets for its own token; its name has random letters.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// What a pod runs, and the component that it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodRuns {
    pub(crate) component: String,
    pub(crate) images: BTreeSet<Digest>,
    /// The digest of how its containers are started, whatever their image.
    pub(crate) template: Digest,
    /// The ConfigMaps that it reads.
    pub(crate) config_maps: BTreeSet<String>,
}

/// Returns what a pod runs; none when it runs nothing (any more).
pub(crate) fn runs_of(pod: &Pod) -> Option<PodRuns> {
    let labels = pod.metadata.labels.as_ref()?;
    let component = COMPONENT_LABELS.iter().find_map(|label| labels.get(*label))?.clone();
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let running = statuses.iter().filter(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
    let images: BTreeSet<Digest> =
        running.filter_map(|one| one.image_id.rsplit('@').next().and_then(|digest| digest.parse().ok())).collect();
    let spec = pod.spec.as_ref()?;
    (!images.is_empty()).then(|| PodRuns {
        component,
        images,
        template: Digest::of(canonical_json(&template(spec)).as_bytes()),
        config_maps: config_maps(spec),
    })
}

/// Returns the digest of what a ConfigMap holds.
pub(crate) fn content_of(map: &ConfigMap) -> Option<Digest> {
    let content = json!({"data": map.data, "binaryData": map.binary_data});
    Some(Digest::of(canonical_json(&content).as_bytes()))
}

/// What of a pod is its configuration: not its image, which is a subject of its own, nor what differs from pod to pod.
fn template(spec: &PodSpec) -> Value {
    let containers = |list: &[Container]| -> Vec<Value> {
        let one = |container: &Container| {
            let mut value = serde_json::to_value(container).unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.retain(|key, _| !matches!(key.as_str(), "image" | "imagePullPolicy"));
            }
            if let Some(mounts) = value.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| !is_token(mount.get("name").and_then(Value::as_str).unwrap_or_default()));
            }
            value
        };
        list.iter().map(one).collect()
    };
    let volume = |volume: &Volume| {
        let mut value = serde_json::to_value(volume).unwrap_or_default();
        // Each replica of a StatefulSet has a claim of its own.
        if let Some(claim) = value.get_mut("persistentVolumeClaim").and_then(Value::as_object_mut) {
            claim.remove("claimName");
        }
        value
    };
    let volumes = spec.volumes.iter().flatten().filter(|volume| !is_token(&volume.name));
    json!({
        "containers": containers(&spec.containers),
        "initContainers": containers(spec.init_containers.as_deref().unwrap_or_default()),
        "volumes": volumes.map(volume).collect::<Vec<_>>(),
        "securityContext": spec.security_context,
        "serviceAccountName": spec.service_account_name,
        "hostNetwork": spec.host_network, "hostPID": spec.host_pid, "hostIPC": spec.host_ipc,
        "hostAliases": spec.host_aliases, "dnsPolicy": spec.dns_policy, "dnsConfig": spec.dns_config,
        "runtimeClassName": spec.runtime_class_name,
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        "shareProcessNamespace": spec.share_process_namespace,
    })
}

fn is_token(volume: &str) -> bool {
    volume.starts_with(TOKEN_VOLUME)
}

fn config_maps(spec: &PodSpec) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for volume in spec.volumes.iter().flatten().filter(|volume| !is_token(&volume.name)) {
        names.extend(volume.config_map.iter().map(|map| map.name.clone()));
        let sources = volume.projected.iter().filter_map(|projected| projected.sources.as_ref()).flatten();
        names.extend(sources.filter_map(|source| source.config_map.as_ref()).map(|map| map.name.clone()));
    }
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let from = container.env_from.iter().flatten().filter_map(|from| from.config_map_ref.as_ref());
        names.extend(from.map(|map| map.name.clone()));
        let values = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
        names.extend(values.filter_map(|value| value.config_map_key_ref.as_ref()).map(|map| map.name.clone()));
    }
    names
}

/// Returns the images that run in a namespace, and the configurations that they run with, each with its component's name.
pub(crate) fn subjects<'a>(
    pods: impl Iterator<Item = &'a PodRuns>,
    config_map: &dyn Fn(&str) -> Option<Digest>,
) -> Vec<Subject> {
    let mut subjects: BTreeSet<Subject> = BTreeSet::new();
    for pod in pods {
        let subject = |kind, digest| Subject { kind, name: pod.component.clone(), digest };
        subjects.extend(pod.images.iter().map(|digest| subject(SubjectKind::Image, *digest)));
        let maps: serde_json::Map<String, Value> =
            pod.config_maps.iter().map(|name| (name.clone(), json!(config_map(name)))).collect();
        let configuration = canonical_json(&json!({"pod": pod.template, "configMaps": maps}));
        subjects.insert(subject(SubjectKind::Configuration, Digest::of(configuration.as_bytes())));
    }
    subjects.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(edit: &dyn Fn(&mut Value)) -> PodRuns {
        let mut pod = json!({
            "metadata": {"name": "orders-1", "labels": {"app": "orders"}},
            "spec": {
                "nodeName": "one", "hostname": "orders-1",
                "containers": [{
                    "name": "main", "image": "shop/orders:1", "args": ["--limit=3"],
                    "envFrom": [{"configMapRef": {"name": "limits"}}],
                    "volumeMounts": [{"name": "kube-api-access-x1", "mountPath": "/var/run"}, {"name": "files", "mountPath": "/etc/orders"}],
                }],
                "volumes": [
                    {"name": "kube-api-access-x1", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
                    {"name": "files", "configMap": {"name": "orders"}},
                    {"name": "data", "persistentVolumeClaim": {"claimName": "data-orders-1"}},
                ],
            },
            "status": {"containerStatuses": [{
                "name": "main", "image": "x", "imageID": format!("shop/orders@{}", Digest::of(b"orders")), "ready": true,
                "restartCount": 0, "state": {"running": {}},
            }]},
        });
        edit(&mut pod);
        runs_of(&serde_json::from_value(pod).unwrap()).unwrap()
    }

    #[test]
    fn a_configuration_is_what_pods_of_one_template_share() {
        let one = pod(&|_| ());
        assert_eq!(one.config_maps, BTreeSet::from(["limits".to_owned(), "orders".to_owned()]));
        let same = pod(&|pod| {
            pod["spec"]["nodeName"] = "two".into();
            pod["spec"]["hostname"] = "orders-2".into();
            pod["spec"]["containers"][0]["image"] = "shop/orders:2".into();
            pod["spec"]["containers"][0]["volumeMounts"][0]["name"] = "kube-api-access-y2".into();
            pod["spec"]["volumes"][0]["name"] = "kube-api-access-y2".into();
            pod["spec"]["volumes"][2]["persistentVolumeClaim"]["claimName"] = "data-orders-2".into();
        });
        assert_eq!(one.template, same.template);
        let other = pod(&|pod| pod["spec"]["containers"][0]["args"] = json!(["--limit=4"]));
        assert_ne!(one.template, other.template);
    }

    #[test]
    fn a_config_map_that_changes_is_another_configuration() {
        let runs = pod(&|_| ());
        let of = |content: &'static [u8]| {
            let config_map = move |name: &str| (name == "orders").then(|| Digest::of(content));
            subjects([&runs].into_iter(), &config_map)
        };
        let (before, after) = (of(b"a"), of(b"b"));
        assert_eq!(before[0], after[0], "the image is the same");
        assert_eq!((before[1].kind, before[1].name.as_str()), (SubjectKind::Configuration, "orders"));
        assert_ne!(before[1].digest, after[1].digest);
    }
}
