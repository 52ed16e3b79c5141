//! The node's own metrics.

use std::sync::Arc;

use maru_telemetry::{Counter, Family, Registry};

/// The node's own metrics, named as a kubelet's where it has them.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    pub(crate) containers_started: Arc<Family<Counter>>,
    pub(crate) containers_ended: Arc<Family<Counter>>,
    pub(crate) pulls: Arc<Family<Counter>>,
    pub(crate) probe_failures: Arc<Family<Counter>>,
    pub(crate) status_writes: Arc<Family<Counter>>,
}

impl NodeMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            containers_started: registry.family("kubelet_started_containers_total", "Containers started.", &[]),
            containers_ended: registry.family(
                "maru_node_containers_ended_total",
                "Containers that ended, by reason.",
                &["reason"],
            ),
            pulls: registry.family("maru_node_image_pulls_total", "Image pulls, by result.", &["result"]),
            probe_failures: registry.family(
                "maru_node_probe_failures_total",
                "Failing answers to probes, by kind.",
                &["probe"],
            ),
            status_writes: registry.family(
                "maru_node_pod_status_writes_total",
                "Pod statuses written to the API.",
                &[],
            ),
        }
    }
}
