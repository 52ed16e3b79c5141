//! A plan with what outlives plans: endpoints with their health, series of metrics.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::metrics::{Metrics, Series};
use super::pool::Peer;
use crate::compile::{Entrance, Place, Plan, Transport};
use crate::inputs::Protocol;

/// What the data plane serves. Immutable.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub entrances: BTreeMap<Place, Entrance>,
    pub clusters: Vec<Cluster>,
    pub series: Vec<Arc<Series>>,
}

/// The endpoints of one port of a Service.
pub(crate) struct Cluster {
    pub protocol: Protocol,
    pub transport: Transport,
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// One endpoint with what is known of it; kept while any snapshot has it.
pub(crate) struct Endpoint {
    pub address: SocketAddr,
    in_flight: AtomicUsize,
    /// Milliseconds since the data plane's start until which others are preferred.
    failed_until: AtomicU64,
}

/// How long others are preferred after an endpoint could not be reached.
const FAILED_MILLIS: u64 = 2000;

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        Self { address, in_flight: AtomicUsize::new(0), failed_until: AtomicU64::new(0) }
    }

    pub(crate) fn failed(&self, now_millis: u64) {
        self.failed_until.store(now_millis + FAILED_MILLIS, Ordering::Relaxed);
    }

    fn is_failed(&self, now_millis: u64) -> bool {
        self.failed_until.load(Ordering::Relaxed) > now_millis
    }
}

/// A request that is under way to an endpoint.
pub(crate) struct InFlight(Arc<Endpoint>);

impl InFlight {
    pub(crate) fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cluster {
    /// Returns how one of the endpoints is reached.
    pub(crate) fn peer(&self, endpoint: &Endpoint, protocol: Protocol) -> Peer {
        let tls = match &self.transport {
            Transport::Tls(tls) => Some(Arc::clone(tls)),
            Transport::Plain | Transport::Broken => None,
        };
        Peer { address: endpoint.address, protocol, tls }
    }

    /// Picks the less busy of two endpoints taken at random, among those that work; else among all. An endpoint that
    /// this request has `tried` is taken only when there is no other.
    pub(crate) fn pick(
        &self,
        tried: &[SocketAddr],
        now_millis: u64,
        mut random: impl FnMut() -> u64,
    ) -> Option<&Arc<Endpoint>> {
        let usable = |endpoint: &&Arc<Endpoint>| !endpoint.is_failed(now_millis) && !tried.contains(&endpoint.address);
        // The usual case allocates nothing.
        if self.endpoints.iter().all(|endpoint| usable(&endpoint)) {
            return less_busy(self.endpoints.len(), |at| &self.endpoints[at], &mut random);
        }
        let mut found: Vec<&Arc<Endpoint>> = self.endpoints.iter().filter(usable).collect();
        if found.is_empty() {
            found = self.endpoints.iter().filter(|endpoint| !tried.contains(&endpoint.address)).collect();
        }
        if found.is_empty() {
            found = self.endpoints.iter().collect();
        }
        less_busy(found.len(), |at| found[at], &mut random)
    }
}

fn less_busy<'a>(
    count: usize,
    at: impl Fn(usize) -> &'a Arc<Endpoint>,
    random: &mut impl FnMut() -> u64,
) -> Option<&'a Arc<Endpoint>> {
    let modulus = u64::try_from(count).ok().filter(|count| *count > 0)?;
    let mut draw = || usize::try_from(random() % modulus).unwrap_or(0);
    let (first, second) = (at(draw()), at(draw()));
    let busy = |endpoint: &Endpoint| endpoint.in_flight.load(Ordering::Relaxed);
    Some(if busy(second) < busy(first) { second } else { first })
}

/// Makes snapshots from plans, carrying over what outlives them.
#[derive(Default)]
pub(crate) struct Linker {
    endpoints: HashMap<(Arc<str>, SocketAddr), Arc<Endpoint>>,
    series: HashMap<(Arc<str>, Arc<str>), Arc<Series>>,
}

impl Linker {
    pub(crate) fn link(&mut self, plan: Plan, metrics: &Metrics) -> Snapshot {
        let mut endpoints = HashMap::new();
        let clusters = plan
            .backends
            .into_iter()
            .map(|backend| Cluster {
                endpoints: backend
                    .endpoints
                    .iter()
                    .map(|address| {
                        let key = (Arc::clone(&backend.label), *address);
                        let known = self.endpoints.get(&key).cloned();
                        let endpoint = known.unwrap_or_else(|| Arc::new(Endpoint::new(*address)));
                        endpoints.insert(key, Arc::clone(&endpoint));
                        endpoint
                    })
                    .collect(),
                protocol: backend.protocol,
                transport: backend.transport,
            })
            .collect();
        let mut kept = HashMap::new();
        let series = plan
            .series
            .into_iter()
            .map(|key| {
                let known = self.series.remove(&key);
                let series = known.unwrap_or_else(|| Arc::new(metrics.series(&key.0, &key.1)));
                kept.insert(key, Arc::clone(&series));
                series
            })
            .collect();
        #[expect(clippy::iter_over_hash_type, reason = "each series is forgotten by itself")]
        for gone in self.series.values() {
            metrics.forget(gone);
        }
        (self.endpoints, self.series) = (endpoints, kept);
        Snapshot { entrances: plan.entrances, clusters, series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(count: u16) -> Cluster {
        let endpoints = (0..count).map(|port| Arc::new(Endpoint::new(([127, 0, 0, 1], port + 1).into()))).collect();
        Cluster { protocol: Protocol::Http1, transport: Transport::Plain, endpoints }
    }

    /// Counts up: the draws are 0, 1, 2, …
    fn counting() -> impl FnMut() -> u64 {
        let mut next = 0;
        move || {
            next += 1;
            next - 1
        }
    }

    #[test]
    fn the_less_busy_of_two_is_picked() {
        let cluster = cluster(2);
        let _busy = InFlight::new(&cluster.endpoints[0]);
        assert_eq!(cluster.pick(&[], 0, counting()).unwrap().address.port(), 2);
        assert!(super::tests::cluster(0).pick(&[], 0, counting()).is_none());
    }

    #[test]
    fn failed_and_tried_endpoints_come_last() {
        let cluster = cluster(3);
        cluster.endpoints[0].failed(0);
        for seed in 0..9 {
            let mut draws = counting();
            let random = move || draws() * 7 + seed;
            assert_ne!(cluster.pick(&[], 10, random).unwrap().address.port(), 1);
        }
        let tried: Vec<SocketAddr> = cluster.endpoints[1..].iter().map(|endpoint| endpoint.address).collect();
        assert_eq!(cluster.pick(&tried, 10, counting()).unwrap().address.port(), 1, "better than none");
        assert!(cluster.pick(&tried, FAILED_MILLIS + 1, counting()).is_some());
    }
}
