//! Mirrors Endpoints that people made for a Service without selector into EndpointSlices.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use kube::api::ObjectMeta;
use maru_client::ReconcileError;

use super::plan::{HEADLESS, MANAGED_BY, SERVICE_NAME, has_selector, is_same_slice};
use super::{managed_slices, replace_slice};
use crate::machinery::{Done, Key, Kind, MetaExt as _, Reconcile, controller_reference};

/// Says in a label who keeps mirrored slices.
pub(crate) const MIRROR_MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";

/// Mirrors Endpoints that people made for a Service without selector. Keys name both.
#[derive(Debug)]
pub(crate) struct EndpointMirrors {
    pub(crate) services: Kind<Service>,
    pub(crate) slices: Kind<EndpointSlice>,
    pub(crate) endpoints: Kind<Endpoints>,
}

/// Returns the mirrored slices that there should be. Pure.
fn mirrored(service: &Service, endpoints: &Endpoints) -> Vec<EndpointSlice> {
    if has_selector(service) || endpoints.label(SKIP_MIRROR) == Some("true") || endpoints.is_deleting() {
        return Vec::new();
    }
    let mut slices = Vec::new();
    for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
        for family in ["IPv4", "IPv6"] {
            let found = mirror_endpoints(subset, family);
            if !found.is_empty() {
                slices.push(mirror(endpoints, subset, index, family, found));
            }
        }
    }
    slices
}

fn mirror_endpoints(subset: &EndpointSubset, family: &str) -> Vec<Endpoint> {
    let is_of_family = |address: &&EndpointAddress| address.ip.contains(':') == (family == "IPv6");
    let endpoint = |address: &EndpointAddress, ready: bool| Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), serving: None, terminating: None }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    };
    let ready = subset.addresses.iter().flatten().filter(is_of_family).map(|address| endpoint(address, true));
    let not_ready =
        subset.not_ready_addresses.iter().flatten().filter(is_of_family).map(|address| endpoint(address, false));
    ready.chain(not_ready).collect()
}

fn mirror(
    endpoints: &Endpoints,
    subset: &EndpointSubset,
    index: usize,
    family: &str,
    found: Vec<Endpoint>,
) -> EndpointSlice {
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    labels.insert(SERVICE_NAME.to_owned(), endpoints.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), MIRROR_MANAGER.to_owned());
    let place = format!("{} {family} {index}", endpoints.uid());
    let base: String = endpoints.name().chars().take(50).collect();
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        protocol: port.protocol.clone().or_else(|| Some("TCP".to_owned())),
        port: Some(port.port),
        app_protocol: port.app_protocol.clone(),
    });
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{base}-{}", maru_ids::short_hash(&place, 8))),
            namespace: endpoints.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(found),
        ports: Some(ports.collect()),
    }
}

impl Reconcile for EndpointMirrors {
    const NAME: &'static str = "endpointslice-mirroring";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let now = managed_slices(&self.slices, key, MIRROR_MANAGER);
        let (service, endpoints) = (self.services.get(key), self.endpoints.get(key));
        let is_managed_elsewhere = |service: &Arc<Service>| {
            // The API server keeps its own Service's slices itself.
            service.name() == "kubernetes" && service.namespace() == "default"
        };
        let wanted = match (service.filter(|one| !is_managed_elsewhere(one)), endpoints) {
            (Some(service), Some(endpoints)) => mirrored(&service, &endpoints),
            (_, _) => Vec::new(),
        };
        for slice in now.iter().filter(|now| !wanted.iter().any(|wanted| wanted.name() == now.name())) {
            self.slices.delete(slice).await?;
        }
        for wanted in &wanted {
            let result = match now.iter().find(|now| now.name() == wanted.name()) {
                None => self.slices.create(wanted).await.map(drop),
                Some(now) if is_same_slice(now, wanted) => Ok(()),
                Some(_) => replace_slice(&self.slices, wanted).await,
            };
            match result {
                Ok(()) => {}
                Err(error) if error.is_already_exists() || error.is_namespace_ending() || error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(if wanted.is_empty() { Done::Gone } else { Done::Settled })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hand_made_endpoints_are_mirrored_unless_a_selector_makes_them() {
        let endpoints: Endpoints = serde_json::from_value(json!({
            "metadata": {"name": "db", "namespace": "shop", "uid": "e"},
            "subsets": [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 5432}]}],
        }))
        .unwrap();
        let service: Service = serde_json::from_value(
            json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"ports": [{"port": 5432}]}}),
        )
        .unwrap();
        let slices = mirrored(&service, &endpoints);
        let told: Vec<(String, usize)> =
            slices.iter().map(|slice| (slice.address_type.clone(), slice.endpoints.as_ref().unwrap().len())).collect();
        assert_eq!(told, [("IPv4".to_owned(), 2), ("IPv6".to_owned(), 1)]);
        let selecting: Service = serde_json::from_value(json!({"spec": {"selector": {"app": "db"}}})).unwrap();
        assert!(mirrored(&selecting, &endpoints).is_empty());
    }
}
