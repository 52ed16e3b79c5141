//! Keeps the Node object and its Lease: few writes, as an idle node has nothing to say.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Namespace, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use maru_time::Timestamp;
use serde_json::{Value, json};

use super::facts::{architecture, system_info};
use crate::context::Context;

/// Where nodes' leases live.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Images that the Node object lists.
const IMAGES_MAX: usize = 50;
/// How often the node looks whether its status has changed.
const LOOK: Duration = Duration::from_secs(10);
/// Below this share of free disk the node says that it is under pressure, in percent.
const DISK_FREE_MIN: u64 = 5;
/// Below this much available memory the node says that it is under pressure, in bytes.
const MEMORY_FREE_MIN: u64 = 100 * 1024 * 1024;

/// Registers the node and keeps its Lease and status until the scope ends.
pub(crate) async fn keep(context: Arc<Context>) {
    let lease = keep_lease(Arc::clone(&context));
    let status = keep_status(Arc::clone(&context));
    tokio::join!(lease, status);
}

async fn keep_lease(context: Arc<Context>) {
    let api = Api::<Lease>::namespaced(context.client.0.clone(), LEASE_NAMESPACE);
    loop {
        let wait = match renew(&context, &api).await {
            Ok(()) => context.options.heartbeat.lease,
            Err(error) => {
                tracing::debug!(%error, "the node's lease was not renewed yet");
                Duration::from_secs(1)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn renew(context: &Context, api: &Api<Lease>) -> Result<(), kube::Error> {
    let now = MicroTime(context.now());
    let name = &context.options.name;
    let patch = json!({"spec": {"renewTime": now, "holderIdentity": name}});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.code == 404 => {
            let node = Api::<Node>::all(context.client.0.clone()).get_opt(name).await?;
            let owner = node.and_then(|node| node.metadata.uid).map(|uid| OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: name.clone(),
                uid,
                ..OwnerReference::default()
            });
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(LEASE_NAMESPACE.to_owned()),
                    owner_references: owner.map(|owner| vec![owner]),
                    ..ObjectMeta::default()
                },
                spec: Some(LeaseSpec {
                    holder_identity: Some(name.clone()),
                    lease_duration_seconds: Some(40),
                    renew_time: Some(now),
                    ..LeaseSpec::default()
                }),
            };
            match api.create(&PostParams::default(), &lease).await {
                Err(kube::Error::Api(answer)) if answer.code == 404 => make_namespace(context).await,
                other => other.map(drop),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes the namespace of leases; the lease itself follows with the next renewal.
async fn make_namespace(context: &Context) -> Result<(), kube::Error> {
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(LEASE_NAMESPACE.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let made = Api::<Namespace>::all(context.client.0.clone()).create(&PostParams::default(), &namespace).await;
    match made {
        Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

async fn keep_status(context: Arc<Context>) {
    let api = Api::<Node>::all(context.client.0.clone());
    let mut written: Option<(Value, Timestamp)> = None;
    loop {
        let wait = match look(&context, &api, &mut written).await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::debug!(%error, "the node's status was not written yet");
                Duration::from_secs(1)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Writes the status when it has changed since it was last written, or after long enough.
async fn look(
    context: &Arc<Context>,
    api: &Api<Node>,
    written: &mut Option<(Value, Timestamp)>,
) -> Result<(), kube::Error> {
    let now = context.now();
    let gathering = Arc::clone(context);
    let status = tokio::task::spawn_blocking(move || status(&gathering)).await.unwrap_or_default();
    let comparable = serde_json::to_value(&status).unwrap_or_default();
    let is_due = match written.as_ref() {
        None => true,
        Some((before, at)) => {
            let age = Duration::try_from(now.duration_since(*at)).unwrap_or_default();
            *before != comparable || age >= context.options.heartbeat.status
        }
    };
    if !is_due {
        return Ok(());
    }
    let name = &context.options.name;
    let present = match api.get_opt(name).await? {
        Some(node) => node,
        None => api.create(&PostParams::default(), &fresh(context)).await?,
    };
    ensure_labels(context, api, &present).await?;
    let mut body = comparable.clone();
    body["conditions"] = json!(with_times(status.conditions.unwrap_or_default(), &present, now));
    let patch = json!({"status": body});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    *written = Some((comparable, now));
    Ok(())
}

fn labels(context: &Context) -> std::collections::BTreeMap<String, String> {
    let mut labels = context.options.labels.clone();
    for (key, value) in [
        ("kubernetes.io/hostname", context.options.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture()),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

fn fresh(context: &Context) -> Node {
    let (network, length) = context.options.pod_cidr;
    let cidr = format!("{network}/{length}");
    Node {
        metadata: ObjectMeta {
            name: Some(context.options.name.clone()),
            labels: Some(labels(context)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec { pod_cidr: Some(cidr.clone()), pod_cidrs: Some(vec![cidr]), ..NodeSpec::default() }),
        status: None,
    }
}

async fn ensure_labels(context: &Context, api: &Api<Node>, present: &Node) -> Result<(), kube::Error> {
    let wanted = labels(context);
    let has_all = wanted
        .iter()
        .all(|(key, value)| present.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value));
    if has_all {
        return Ok(());
    }
    let patch = json!({"metadata": {"labels": wanted}});
    api.patch(&context.options.name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// Returns the status without times.
fn status(context: &Context) -> NodeStatus {
    let options = &context.options;
    let mut addresses: Vec<NodeAddress> = options
        .addresses
        .iter()
        .map(|address| NodeAddress { type_: "InternalIP".to_owned(), address: address.to_string() })
        .collect();
    addresses.push(NodeAddress { type_: "Hostname".to_owned(), address: options.name.clone() });
    NodeStatus {
        addresses: Some(addresses),
        capacity: Some(context.capacity.quantities()),
        allocatable: Some(context.capacity.quantities()),
        conditions: Some(conditions(context)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(options.kubelet_port) }),
        }),
        images: Some(images(context)),
        node_info: Some(system_info(options)),
        ..NodeStatus::default()
    }
}

fn conditions(context: &Context) -> Vec<NodeCondition> {
    let one = |kind: &str, holds: bool, reason: &str, message: &str| NodeCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        ..NodeCondition::default()
    };
    let memory_low = super::facts::memory_available().is_some_and(|free| free < MEMORY_FREE_MIN);
    let disk_low = nix::sys::statvfs::statvfs(&context.options.directory)
        .is_ok_and(|disk| disk.blocks_available().saturating_mul(100) < disk.blocks().saturating_mul(DISK_FREE_MIN));
    vec![
        if memory_low {
            one("MemoryPressure", true, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
        } else {
            one("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available")
        },
        if disk_low {
            one("DiskPressure", true, "KubeletHasDiskPressure", "kubelet has disk pressure")
        } else {
            one("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
        },
        one("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        one("Ready", true, "KubeletReady", "kubelet is posting ready status"),
    ]
}

/// Adds times: of the last transition kept where nothing changed.
fn with_times(conditions: Vec<NodeCondition>, present: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let before = present.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    conditions
        .into_iter()
        .map(|mut one| {
            let same = before.iter().find(|other| other.type_ == one.type_ && other.status == one.status);
            one.last_transition_time =
                same.and_then(|other| other.last_transition_time.clone()).or_else(|| Some(now.clone()));
            one.last_heartbeat_time = Some(now.clone());
            one
        })
        .collect()
}

fn images(context: &Context) -> Vec<ContainerImage> {
    let mut all: Vec<(u64, ContainerImage)> = context
        .images
        .list()
        .unwrap_or_default()
        .into_iter()
        .map(|image| {
            let names = vec![format!("{}@{}", image.reference.name(), image.digest), image.reference.to_string()];
            let size_bytes = i64::try_from(image.size).ok();
            (image.size, ContainerImage { names: Some(names), size_bytes })
        })
        .collect();
    all.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.names.cmp(&other.1.names)));
    all.truncate(IMAGES_MAX);
    all.into_iter().map(|(_, image)| image).collect()
}
