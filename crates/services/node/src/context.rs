//! What all pods of the node share.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use maru_client::Client;
use maru_images::ImageStore;
use maru_net::PodNetworks;
use maru_task::Scope;
use maru_time::Timestamp;
use tokio::sync::Semaphore;

use crate::NodeOptions;
use crate::addresses::Addresses;
use crate::config::FieldFacts;
use crate::events::Events;
use crate::machine::Capacity;
use crate::metrics::NodeMetrics;
use crate::objects::Objects;
use crate::pod;
use crate::record::{Layout, PodRecord};

/// What all pods of the node share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: NodeOptions,
    pub(crate) client: ClientHandle,
    pub(crate) objects: Objects,
    pub(crate) events: Events,
    pub(crate) images: ImageStore,
    pub(crate) networks: PodNetworks,
    pub(crate) layout: Layout,
    pub(crate) addresses: Mutex<Addresses>,
    pub(crate) pulls: Semaphore,
    pub(crate) capacity: Capacity,
    pub(crate) metrics: NodeMetrics,
    pub(crate) scope: Scope,
}

/// A client that can be part of a printable struct.
#[derive(Clone)]
pub(crate) struct ClientHandle(pub(crate) Client);

impl std::fmt::Debug for ClientHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Client")
    }
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn cgroup(&self, uid: &str) -> String {
        format!("/{}/pod{uid}", self.options.cgroup_parent.trim_matches('/'))
    }

    /// Returns the pod's addresses: its own, or the machine's for pods in its network.
    pub(crate) fn pod_addresses(&self, record: &PodRecord) -> Vec<IpAddr> {
        if pod::is_host_network(&record.pod) {
            return self.options.addresses.clone();
        }
        record.address.map(IpAddr::V4).into_iter().collect()
    }

    pub(crate) fn field_facts(&self, record: &PodRecord) -> FieldFacts {
        FieldFacts {
            host_addresses: self.options.addresses.clone(),
            pod_addresses: self.pod_addresses(record),
            allocatable: self.capacity.allocatable_millis(),
        }
    }

    /// Returns the address that probes and hooks of the pod go to.
    pub(crate) fn probe_address(&self, record: &PodRecord) -> IpAddr {
        self.pod_addresses(record).first().copied().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
    }

    pub(crate) fn take_address(&self) -> Result<std::net::Ipv4Addr, crate::addresses::NoFreeAddress> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn give_back_address(&self, address: std::net::Ipv4Addr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).give_back(address);
    }

    /// Returns the path of the cgroup of one container attempt.
    pub(crate) fn container_cgroup(&self, pod: &Pod, container: &str, attempt: u32) -> maru_container::Cgroup {
        maru_container::Cgroup::at(self.cgroup(pod::uid(pod))).child(&format!("{container}-{attempt}"))
    }
}

/// Writes an error with all its sources on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
