//! The Services that give Gateways addresses of their own.

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams, PostParams};
use maru_client::Client;
use serde_json::{Value, json};

use crate::compile::{GATEWAY_LABEL, GatewayService};
use crate::inputs::Inputs;
use crate::kinds::GROUP;

/// Says that the kernel's rules are not for this Service: the gateway itself has its address.
const PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Makes the Services that are missing, and changes those that have other ports or labels. They go with their Gateways.
pub(crate) async fn keep(client: &Client, inputs: &Inputs, wanted: &[GatewayService]) {
    for service in wanted {
        let existing = inputs.services.iter().find(|one| {
            one.metadata.namespace.as_deref() == Some(&service.namespace)
                && one.metadata.name.as_deref() == Some(&service.name)
        });
        let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
        let result = match existing {
            None => match serde_json::from_value(object(service)) {
                Ok(object) => api.create(&PostParams::default(), &object).await.map(drop),
                Err(error) => Err(kube::Error::SerdeError(error)),
            },
            Some(existing) if !is_ours(existing, service) => {
                let (namespace, name) = (&service.namespace, &service.name);
                tracing::debug!(namespace, name, "a Service has the name that a Gateway\'s address needs");
                continue;
            }
            Some(existing) if says(existing, service) => continue,
            Some(_) => {
                let patch = Patch::Merge(object(service));
                api.patch(&service.name, &PatchParams::default(), &patch).await.map(drop)
            }
        };
        match result {
            Ok(()) => {}
            // Somebody was faster; the watch will tell.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let (namespace, name) = (&service.namespace, &service.name);
                tracing::warn!(namespace, name, %error, "a Gateway\'s Service could not be written; trying again");
            }
        }
    }
}

fn is_ours(existing: &Service, wanted: &GatewayService) -> bool {
    existing.metadata.labels.as_ref().and_then(|labels| labels.get(GATEWAY_LABEL)) == Some(&wanted.gateway)
        && existing.metadata.owner_references.iter().flatten().any(|owner| owner.uid == wanted.gateway_uid)
}

/// Tells whether a Service is as it should be, whatever else others have added.
fn says(existing: &Service, wanted: &GatewayService) -> bool {
    let labels = existing.metadata.labels.clone().unwrap_or_default();
    let annotations = existing.metadata.annotations.clone().unwrap_or_default();
    let ports = existing.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    wanted.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
        && wanted.annotations.iter().all(|(name, value)| annotations.get(name) == Some(value))
        && ports.iter().map(|port| port.port).eq(wanted.ports.iter().map(|port| i32::from(*port)))
}

fn object(service: &GatewayService) -> Value {
    let mut labels = service.labels.clone();
    labels.insert(PROXY_LABEL.to_owned(), "maru-gateway".to_owned());
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|port| json!({"name": format!("port-{port}"), "port": port, "protocol": "TCP"}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": labels,
            "annotations": service.annotations,
            "ownerReferences": [{
                "apiVersion": format!("{GROUP}/v1"),
                "kind": "Gateway",
                "name": service.gateway,
                "uid": service.gateway_uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {"type": "ClusterIP", "ports": ports},
    })
}
