//! Who calls whom: the connections from pods to services that the kernel tracks, counted as a metric.
//!
//! This sees every call between pods, whatever they speak, without a proxy between them. What the gateway brings from outside
//! is counted by the gateway.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use maru_net::{Flow, each_flow};
use maru_telemetry::{Family, Gauge, Registry};
use tokio::sync::watch;

use crate::{Cluster, Pod};

/// The kernel remembers an ended TCP connection for two minutes, so that none between two looks is missed.
const EVERY: Duration = Duration::from_secs(15);
/// What names an application, in the order in which it is looked for.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

/// A caller and whom it calls, each by namespace and name.
type Call<'a> = (&'a str, &'a str, &'a str, &'a str);
type OwnedCall = [String; 4];

/// Counts until dropped.
pub(crate) async fn run(registry: Registry, clusters: watch::Receiver<Option<Arc<Cluster>>>) {
    let labels = &["from_namespace", "from", "to_namespace", "to"];
    let help = "Connections from pods to services that the kernel tracks; ended ones for two minutes more.";
    let family = registry.family::<Gauge>("maru_network_calls", help, labels);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = BTreeMap::new();
    let mut is_refused = false;
    loop {
        ticks.tick().await;
        let Some(cluster) = clusters.borrow().clone() else { continue };
        let index = Index::new(&cluster);
        let mut calls: BTreeMap<Call<'_>, i64> = BTreeMap::new();
        let seen = each_flow(|flow| {
            if let Some(call) = index.call(&flow) {
                *calls.entry(call).or_default() += 1;
            }
        })
        .await;
        match seen {
            Ok(()) => {
                is_refused = false;
                told = publish(&family, &calls, told);
            }
            Err(error) if !is_refused => {
                is_refused = true;
                tracing::warn!(%error, "calls between pods are not seen");
            }
            Err(_) => {}
        }
    }
}

/// Writes what is seen now. A call that is no longer seen is zero once, and then forgotten.
fn publish(
    family: &Family<Gauge>,
    calls: &BTreeMap<Call<'_>, i64>,
    before: BTreeMap<OwnedCall, i64>,
) -> BTreeMap<OwnedCall, i64> {
    let mut told: BTreeMap<OwnedCall, i64> =
        calls.iter().map(|(call, count)| (<[&str; 4]>::from(*call).map(str::to_owned), *count)).collect();
    for (call, count) in before {
        if told.contains_key(&call) {
            continue;
        }
        if count == 0 {
            family.remove(&call.each_ref().map(String::as_str));
        } else {
            told.insert(call, 0);
        }
    }
    for (call, count) in &told {
        family.with(&call.each_ref().map(String::as_str)).set(*count);
    }
    told
}

/// Addresses of pods and services with their names.
struct Index<'a> {
    callers: BTreeMap<Ipv4Addr, (&'a str, &'a str)>,
    called: BTreeMap<Ipv4Addr, (&'a str, &'a str)>,
}

impl<'a> Index<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let mut called = BTreeMap::new();
        for ((namespace, name), entry) in &cluster.services {
            // Who calls an endpoint by its own address calls the service.
            for endpoint in &entry.endpoints {
                called.entry(endpoint.address).or_insert((namespace.as_str(), name.as_str()));
            }
        }
        let services = called.clone();
        for ((namespace, name), entry) in &cluster.services {
            if let Some(address) = entry.service.cluster_ip {
                called.insert(address, (namespace.as_str(), name.as_str()));
            }
        }
        let mut callers = BTreeMap::new();
        for pod in cluster.pods.values() {
            let Some(address) = pod.address else { continue };
            let name = services.get(&address).filter(|(namespace, _)| *namespace == pod.namespace).copied();
            callers.insert(address, name.unwrap_or_else(|| (&pod.namespace, name_of(pod))));
        }
        Self { callers, called }
    }

    fn call(&self, flow: &Flow) -> Option<Call<'a>> {
        let (from_namespace, from) = *self.callers.get(&flow.source)?;
        let (to_namespace, to) = *self.called.get(&flow.destination)?;
        Some((from_namespace, from, to_namespace, to))
    }
}

fn name_of(pod: &Pod) -> &str {
    NAME_LABELS.iter().find_map(|label| pod.labels.get(*label)).map_or(pod.name.as_str(), String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_cluster::{cluster, endpoint, pod, service};

    fn flow(source: [u8; 4], destination: [u8; 4]) -> Flow {
        Flow {
            protocol: 6,
            source: source.into(),
            destination: destination.into(),
            destination_port: 80,
            endpoint: destination.into(),
        }
    }

    fn shop() -> Cluster {
        cluster(
            vec![service("web", 1, vec![endpoint(11, 8080)]), service("orders", 2, vec![endpoint(12, 8080)])],
            vec![
                pod("web-1", 11, &[("app", "storefront")]),
                pod("orders-1", 12, &[]),
                pod("load-1", 13, &[("app", "load")]),
                pod("lonely", 14, &[]),
            ],
        )
    }

    #[test]
    fn callers_are_called_by_their_service_else_by_their_label_else_by_their_name() {
        let shop = shop();
        let index = Index::new(&shop);
        let call = |from, to| index.call(&flow(from, to));
        assert_eq!(call([10, 42, 0, 11], [10, 96, 0, 2]), Some(("shop", "web", "shop", "orders")));
        assert_eq!(call([10, 42, 0, 13], [10, 96, 0, 1]), Some(("shop", "load", "shop", "web")));
        assert_eq!(call([10, 42, 0, 14], [10, 42, 0, 12]), Some(("shop", "lonely", "shop", "orders")));
    }

    #[test]
    fn what_is_not_between_pods_and_services_is_not_told() {
        let shop = shop();
        let index = Index::new(&shop);
        assert_eq!(index.call(&flow([10, 42, 0, 1], [10, 96, 0, 2])), None);
        assert_eq!(index.call(&flow([10, 42, 0, 11], [192, 0, 2, 1])), None);
    }

    #[test]
    fn a_call_that_ended_is_zero_once_and_then_forgotten() {
        let registry = Registry::default();
        let family = registry.family::<Gauge>("calls", "", &["from_namespace", "from", "to_namespace", "to"]);
        let seen = BTreeMap::from([(("shop", "web", "shop", "orders"), 3)]);
        let told = publish(&family, &seen, BTreeMap::new());
        assert!(registry.render().contains("} 3"));
        let told = publish(&family, &BTreeMap::new(), told);
        assert!(registry.render().contains("} 0"));
        publish(&family, &BTreeMap::new(), told);
        assert!(!registry.render().contains("to=\"orders\""));
    }
}
