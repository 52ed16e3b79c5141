//! Keeps the rules as the snapshots say.

use std::sync::Arc;
use std::time::Duration;

use maru_net::{Flow, Nft, flush_flows};
use maru_telemetry::{Counter, Gauge, Histogram};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::rules::{Compiled, UdpTargets, compile};
use crate::{Cluster, NetworkOptions};

/// The IP protocol's number of UDP.
const UDP: u8 = 17;
/// Delays between attempts when rules are refused.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(30);

/// Applies what follows from each snapshot.
pub(crate) struct Proxy {
    nft: Nft,
    options: Arc<NetworkOptions>,
    synced: watch::Sender<bool>,
    metrics: Metrics,
    udp: UdpTargets,
}

struct Metrics {
    syncs: Arc<Histogram>,
    failures: Arc<Counter>,
    services: Arc<Gauge>,
    endpoints: Arc<Gauge>,
    flows: Arc<Counter>,
}

impl Proxy {
    pub(crate) fn new(nft: Nft, options: Arc<NetworkOptions>, synced: watch::Sender<bool>) -> Self {
        let registry = &options.registry;
        let metrics = Metrics {
            syncs: registry
                .family("kubeproxy_sync_proxy_rules_duration_seconds", "Time to bring a change into nftables.", &[])
                .with(&[]),
            failures: registry
                .family("maru_network_rules_failures_total", "Rules that could not be written.", &[])
                .with(&[]),
            services: registry.family("maru_network_services", "Services known.", &[]).with(&[]),
            endpoints: registry.family("maru_network_endpoints", "Endpoints known.", &[]).with(&[]),
            flows: registry
                .family("maru_network_flows_forgotten_total", "UDP flows cut because their endpoint has gone.", &[])
                .with(&[]),
        };
        Self { nft, options, synced, metrics, udp: UdpTargets::new() }
    }

    /// Runs until dropped. A failing attempt is repeated, with the newest snapshot.
    pub(crate) async fn run(mut self, mut clusters: watch::Receiver<Option<Arc<Cluster>>>) {
        let mut delay = RETRY_FIRST;
        loop {
            let cluster = clusters.borrow_and_update().clone();
            let mut failed = false;
            if let Some(cluster) = cluster {
                failed = !self.sync(&cluster).await;
            }
            if failed {
                // The next change may come first; it is tried at once.
                drop(tokio::time::timeout(delay, clusters.changed()).await);
                delay = (delay * 2).min(RETRY_CAP);
                continue;
            }
            delay = RETRY_FIRST;
            if clusters.changed().await.is_err() {
                // Nobody observes any more: the scope ends.
                return;
            }
        }
    }

    async fn sync(&mut self, cluster: &Cluster) -> bool {
        let start = Instant::now();
        let Compiled { ruleset, udp } = compile(cluster, &self.options);
        if let Err(error) = self.nft.apply(ruleset).await {
            self.metrics.failures.inc();
            tracing::warn!(error = %error, "rules could not be written; trying again");
            return false;
        }
        self.forget_flows(&udp).await;
        self.udp = udp;
        self.metrics.syncs.observe(start.elapsed());
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.services.set(count(cluster.services.len()));
        self.metrics.endpoints.set(count(cluster.services.values().map(|entry| entry.endpoints.len()).sum()));
        self.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
        true
    }

    /// A flow of UDP packets goes on to where it went at first; cut those that now lead nowhere.
    async fn forget_flows(&self, next: &UdpTargets) {
        let changed = changed_targets(&self.udp, next);
        if changed.is_empty() {
            return;
        }
        match flush_flows(&|flow| is_stale(&changed, flow)).await {
            Ok(forgotten) => self.metrics.flows.add(u64::try_from(forgotten).unwrap_or(u64::MAX)),
            Err(error) => tracing::warn!(%error, "old UDP flows may go on to endpoints that have gone"),
        }
    }
}

/// Returns the targets that are not as before; empty ones for those that have gone.
fn changed_targets(old: &UdpTargets, next: &UdpTargets) -> UdpTargets {
    let gone = old.keys().filter(|key| !next.contains_key(key)).map(|key| (*key, Default::default()));
    let changed = next.iter().filter(|(key, endpoints)| old.get(key) != Some(endpoints));
    changed.map(|(key, endpoints)| (*key, endpoints.clone())).chain(gone).collect()
}

fn is_stale(changed: &UdpTargets, flow: &Flow) -> bool {
    let at_address = changed.get(&(Some(flow.destination), flow.destination_port));
    let at_node = changed.get(&(None, flow.destination_port));
    flow.protocol == UDP && at_address.or(at_node).is_some_and(|endpoints| !endpoints.contains(&flow.endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 7);

    fn targets(endpoints: &[u8]) -> UdpTargets {
        let endpoints = endpoints.iter().map(|last| Ipv4Addr::new(10, 42, 0, *last)).collect();
        UdpTargets::from([((Some(SERVICE), 53), endpoints)])
    }

    fn flow(endpoint: u8) -> Flow {
        let endpoint = Ipv4Addr::new(10, 42, 0, endpoint);
        let source = Ipv4Addr::new(10, 42, 0, 200);
        Flow { protocol: UDP, source, destination: SERVICE, destination_port: 53, endpoint }
    }

    #[test]
    fn only_flows_to_endpoints_that_have_gone_are_stale() {
        let changed = changed_targets(&targets(&[5, 6]), &targets(&[6, 7]));
        assert!(is_stale(&changed, &flow(5)));
        assert!(!is_stale(&changed, &flow(6)));
        assert!(!is_stale(&changed, &Flow { protocol: 6, ..flow(5) }));
        assert!(!is_stale(&changed, &Flow { destination_port: 54, ..flow(5) }));
    }

    #[test]
    fn all_flows_of_a_service_that_has_gone_are_stale() {
        let changed = changed_targets(&targets(&[5]), &UdpTargets::new());
        assert!(is_stale(&changed, &flow(5)));
        assert!(changed_targets(&targets(&[5]), &targets(&[5])).is_empty());
    }
}
