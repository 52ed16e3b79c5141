//! The objects that exist from the first start on.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::formats::Ownership;
use crate::hooks;
use crate::meta;
use crate::state::State;
use crate::write::OwnWrites;

const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];
/// Roles with this annotation follow the program's version.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Writes what is missing. Runs at every start and writes nothing when all is there.
pub(crate) async fn run(state: &Arc<State>) -> Result<(), ApiError> {
    for namespace in NAMESPACES {
        ensure(state, "", "namespaces", "", json!({"metadata": {"name": namespace}})).await?;
        hooks::ensure_default_account(state, namespace).await;
    }
    for object in maru_auth::bootstrap_objects() {
        let plural = match meta::kind(&object) {
            "ClusterRole" => "clusterroles",
            "ClusterRoleBinding" => "clusterrolebindings",
            "Role" => "roles",
            _ => "rolebindings",
        };
        let namespace = meta::namespace(&object).to_owned();
        ensure(state, "rbac.authorization.k8s.io", plural, &namespace, object).await?;
    }
    for (name, value, description) in [
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ] {
        let class = json!({"metadata": {"name": name}, "value": value, "description": description});
        ensure(state, "scheduling.k8s.io", "priorityclasses", "", class).await?;
    }
    own_service(state).await
}

/// The Service by which pods find this server, and where it leads.
async fn own_service(state: &Arc<State>) -> Result<(), ApiError> {
    let Some(address) = state.addresses.service_cidr.nth(1) else { return Ok(()) };
    let port = state.addresses.advertise.map_or(6443, |(_, port)| port);
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address.to_string(),
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    });
    ensure(state, "", "services", "default", service).await?;
    let Some((ip, port)) = state.addresses.advertise else { return Ok(()) };
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if matches!(ip, IpAddr::V4(_)) { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [ip.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    replace(state, "discovery.k8s.io", "endpointslices", "default", slice).await?;
    let endpoints = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": ip.to_string()}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    });
    replace(state, "", "endpoints", "default", endpoints).await
}

async fn ensure(state: &Arc<State>, group: &str, plural: &str, namespace: &str, object: Value) -> Result<(), ApiError> {
    let name = meta::name(&object).to_owned();
    let store = crate::kinds::store_name(group, plural);
    match state.read_raw(&store, namespace, &name) {
        None => write(state, group, plural, namespace, object, Mode::Create).await,
        Some(current) => {
            let follows = meta::text(&current, &["metadata", "annotations", AUTOUPDATE]) == "true";
            if !follows || current.get("rules") == object.get("rules") || object.get("rules").is_none() {
                return Ok(());
            }
            let mut wanted = current.clone();
            meta::set_at(&mut wanted, &["rules"], object.get("rules").cloned());
            write(state, group, plural, namespace, wanted, Mode::Replace).await
        }
    }
}

/// Writes an object whose content is this server's alone.
async fn replace(
    state: &Arc<State>,
    group: &str,
    plural: &str,
    namespace: &str,
    object: Value,
) -> Result<(), ApiError> {
    let store = crate::kinds::store_name(group, plural);
    match state.read_raw(&store, namespace, meta::name(&object)) {
        None => write(state, group, plural, namespace, object, Mode::Create).await,
        Some(mut current) => {
            for (key, value) in object.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata") {
                meta::root(&mut current).insert(key.clone(), value.clone());
            }
            write(state, group, plural, namespace, current, Mode::Replace).await
        }
    }
}

enum Mode {
    Create,
    Replace,
}

async fn write(
    state: &Arc<State>,
    group: &str,
    plural: &str,
    namespace: &str,
    object: Value,
    mode: Mode,
) -> Result<(), ApiError> {
    let table = state.table();
    let served = table.stored(group, plural).ok_or(ApiError::NoSuchPath)?;
    let own = OwnWrites::new();
    let writer = own.writer(state, &served, namespace);
    let name = meta::name(&object).to_owned();
    let result = match mode {
        Mode::Create => writer.create(object, Ownership::Update).await,
        Mode::Replace => writer.update(&name, Ownership::Update, |_| Ok(object.clone())).await,
    };
    match result {
        Ok(_) | Err(ApiError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
