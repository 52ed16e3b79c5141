//! Numbers about DNS, under the names that dashboards for cluster DNS know.

use std::sync::Arc;

use maru_telemetry::{Counter, Family, Histogram, Registry};

use super::wire::{Code, KIND_A, KIND_AAAA, KIND_PTR, KIND_SRV};

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The cluster's names.
    Cluster,
    /// Other servers.
    Upstream,
}

impl Source {
    fn label(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Upstream => ".",
        }
    }
}

/// Counters of the DNS server.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Arc<Family<Counter>>,
    /// Addresses of the cluster over UDP: nearly all there is.
    usual_requests: Arc<Counter>,
    responses: Arc<Family<Counter>>,
    usual_responses: Arc<Counter>,
    pub(crate) duration: Arc<Histogram>,
    pub(crate) cache_hits: Arc<Counter>,
    pub(crate) cache_misses: Arc<Counter>,
    pub(crate) forward_duration: Arc<Histogram>,
    pub(crate) forward_failures: Arc<Counter>,
    pub(crate) refused_busy: Arc<Counter>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let requests: Arc<Family<Counter>> =
            registry.family("coredns_dns_requests_total", "DNS queries received.", &["zone", "proto", "type"]);
        let responses: Arc<Family<Counter>> =
            registry.family("coredns_dns_responses_total", "DNS responses sent.", &["zone", "rcode"]);
        Self {
            usual_requests: requests.with(&["cluster", "udp", "A"]),
            usual_responses: responses.with(&["cluster", "NOERROR"]),
            requests,
            responses,
            duration: registry
                .family("coredns_dns_request_duration_seconds", "Time to answer a DNS query.", &[])
                .with(&[]),
            cache_hits: registry.family("coredns_cache_hits_total", "Answers given from the cache.", &[]).with(&[]),
            cache_misses: registry.family("coredns_cache_misses_total", "Answers not in the cache.", &[]).with(&[]),
            forward_duration: registry
                .family("coredns_forward_request_duration_seconds", "Time that upstream servers took.", &[])
                .with(&[]),
            forward_failures: registry
                .family("maru_network_dns_forward_failures_total", "Upstream servers that did not answer.", &[])
                .with(&[]),
            refused_busy: registry
                .family("maru_network_dns_busy_total", "Queries failed because too many were under way.", &[])
                .with(&[]),
        }
    }

    pub(crate) fn request(&self, source: Source, transport: Transport, kind: u16) {
        if (source, transport, kind) == (Source::Cluster, Transport::Udp, KIND_A) {
            return self.usual_requests.inc();
        }
        let kind = match kind {
            KIND_A => "A",
            KIND_AAAA => "AAAA",
            KIND_SRV => "SRV",
            KIND_PTR => "PTR",
            _ => "other",
        };
        self.requests.with(&[source.label(), transport.label(), kind]).inc();
    }

    pub(crate) fn response(&self, source: Source, code: &'static str) {
        if (source, code) == (Source::Cluster, Code::NoError.label()) {
            return self.usual_responses.inc();
        }
        self.responses.with(&[source.label(), code]).inc();
    }
}

/// Returns the label of a code in another server's answer.
pub(crate) fn foreign_code(code: u8) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => "other",
    }
}
