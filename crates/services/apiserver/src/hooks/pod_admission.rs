//! What is added to a new pod: its service account with a token to show, its priority.

use serde_json::{Value, json};

use super::Context;
use crate::errors::ApiError;
use crate::meta;

/// Where containers find the token, the authority's certificate and the namespace.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Bound tokens are renewed by the node well before this.
const TOKEN_SECONDS: i64 = 3607;
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Gives the pod its service account, and a volume with its token unless that is unwanted.
pub(crate) fn service_account(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    if meta::at(pod, &["metadata", "annotations", MIRROR]).is_some() {
        return Ok(());
    }
    meta::default_at(pod, &["spec", "serviceAccountName"], "default");
    if meta::text(pod, &["spec", "serviceAccountName"]).is_empty() {
        meta::set_at(pod, &["spec", "serviceAccountName"], Some("default".into()));
    }
    let name = meta::text(pod, &["spec", "serviceAccountName"]).to_owned();
    meta::set_at(pod, &["spec", "serviceAccount"], Some(name.clone().into()));
    let Some(account) = context.state.read_raw("serviceaccounts", context.namespace, &name) else {
        let message = format!(
            "error looking up service account {}/{name}: serviceaccount \"{name}\" not found",
            context.namespace
        );
        return Err(ApiError::forbidden(&context.served.group_resource(), meta::name(pod), message));
    };
    if meta::list(pod, &["spec", "imagePullSecrets"]).is_empty()
        && let Some(secrets) =
            account.get("imagePullSecrets").filter(|secrets| secrets.as_array().is_some_and(|list| !list.is_empty()))
    {
        meta::set_at(pod, &["spec", "imagePullSecrets"], Some(secrets.clone()));
    }
    let wants = |object: &Value, path: &[&str]| meta::at(object, path).and_then(Value::as_bool);
    let mounts = wants(pod, &["spec", "automountServiceAccountToken"])
        .or_else(|| wants(&account, &["automountServiceAccountToken"]))
        .unwrap_or(true);
    if mounts {
        mount_token(pod);
    }
    Ok(())
}

fn mount_token(pod: &mut Value) {
    let taken = |pod: &Value, name: &str| {
        meta::list(pod, &["spec", "volumes"]).iter().any(|volume| meta::text(volume, &["name"]) == name)
    };
    let mut volume = format!("kube-api-access-{}", maru_ids::random_suffix(5));
    while taken(pod, &volume) {
        volume = format!("kube-api-access-{}", maru_ids::random_suffix(5));
    }
    let mut is_used = false;
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let has_own = meta::list(container, &["volumeMounts"])
                .iter()
                .any(|mount| meta::text(mount, &["mountPath"]) == TOKEN_PATH);
            if has_own {
                continue;
            }
            is_used = true;
            let mount = json!({"name": volume, "mountPath": TOKEN_PATH, "readOnly": true});
            append(container, "volumeMounts", mount);
        }
    }
    if !is_used {
        return;
    }
    let projected = json!({
        "name": volume,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ],
        },
    });
    if let Some(spec) = pod.get_mut("spec") {
        append(spec, "volumes", projected);
    }
}

fn append(parent: &mut Value, key: &str, item: Value) {
    let map = meta::root(parent);
    match map.get_mut(key).and_then(Value::as_array_mut) {
        Some(list) => list.push(item),
        None => {
            map.insert(key.to_owned(), json!([item]));
        }
    }
}

/// Resolves the pod's priority class to its number.
pub(crate) fn priority(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    let store = "scheduling.k8s.io/priorityclasses";
    let name = meta::text(pod, &["spec", "priorityClassName"]).to_owned();
    let class = if name.is_empty() {
        let classes = context.state.list_raw(store, None);
        classes.into_iter().find(|class| class.get("globalDefault").and_then(Value::as_bool) == Some(true))
    } else {
        let Some(class) = context.state.read_raw(store, "", &name) else {
            let message = format!("no PriorityClass with name {name} was found");
            return Err(ApiError::forbidden(&context.served.group_resource(), meta::name(pod), message));
        };
        Some(class)
    };
    let (priority, policy) = match &class {
        Some(class) => {
            meta::set_at(pod, &["spec", "priorityClassName"], Some(meta::name(class).into()));
            (class.get("value").and_then(Value::as_i64).unwrap_or_default(), meta::text(class, &["preemptionPolicy"]))
        }
        None => (0, ""),
    };
    let policy = if policy.is_empty() { "PreemptLowerPriority" } else { policy };
    meta::set_at(pod, &["spec", "priority"], Some(priority.into()));
    meta::set_at(pod, &["spec", "preemptionPolicy"], Some(policy.into()));
    Ok(())
}
