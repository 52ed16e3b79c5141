//! Service addresses, node ports, network policies and DNS.
//!
//! Owns: one nftables table, the DNS server, what the kernel remembers of flows to services.
//! Never: attaches pods, assigns addresses (the API server and the node do), terminates a service's connections (the
//! gateway does, on the addresses that it is told to leave alone).
//! Source: Kubernetes Services, EndpointSlices and NetworkPolicy v1; Kubernetes DNS specification 1.1.0; RFC 1035, 2308,
//! 6891.
//!
//! One task observes the API; each change yields a snapshot of all that matters here (`Cluster`). Rules are a pure function of
//! the snapshot, DNS names are another.

mod calls;
mod dns;
mod model;
mod observe;
mod options;
mod proxy;
mod rules;
#[cfg(test)]
mod test_cluster;

pub use dns::{DnsError, DnsServer, Names, Upstreams};
pub use model::{
    Cluster, Endpoint, EndpointPort, HostPort, Namespace, Peer, Pod, PolicyModel, PolicyPort, PolicyRule, Protocol,
    Selector, ServiceEntry, ServiceModel, ServicePort, Traffic,
};
pub use options::{DnsOptions, InProcess, NetworkOptions};
pub use rules::{Compiled, UdpTargets, compile};

use std::net::Ipv4Addr;
use std::sync::Arc;

use maru_client::Client;
use maru_net::{Cidr, Firewall, NetError, Nft, NftError, NftOptions};
use maru_task::Scope;
use tokio::sync::watch;

/// The room could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The rules were refused.
    #[error("the rules of services could not be written")]
    Rules(#[source] NftError),
    /// The rules in this machine's firewall could not be removed.
    #[error("the rules that let pods through this machine's firewall could not be removed")]
    Firewall(#[source] NetError),
    /// The DNS server could not listen.
    #[error("the DNS server could not start")]
    Dns(#[source] DnsError),
}

/// The running room.
#[derive(Debug)]
pub struct Network {
    nft: Nft,
    firewall: Firewall,
    synced: watch::Receiver<bool>,
}

impl Network {
    /// Writes the rules that hold without any service, binds the DNS server, and keeps both as the API says until the scope
    /// ends. The rules then stay, as pods do; [`Network::teardown`] removes them.
    ///
    /// # Errors
    /// When nftables refuses or the DNS addresses cannot be bound (the service range must be local by then, see
    /// `maru_net::HostLinks`).
    pub async fn start(scope: &Scope, client: Client, options: NetworkOptions) -> Result<Self, NetworkError> {
        let options = Arc::new(options);
        let nft = Nft::new(NftOptions::for_instance(&options.instance));
        let server = DnsServer::bind(&options).await.map_err(NetworkError::Dns)?;
        // An earlier process's rules serve until the API was heard; without any, refuse rather than fall through.
        if !nft.exists().await.map_err(NetworkError::Rules)? {
            nft.apply(compile(&Cluster::default(), &options).ruleset).await.map_err(NetworkError::Rules)?;
        }

        let (clusters, observed) = watch::channel(None);
        let (synced_sender, synced) = watch::channel(false);
        let guard = (nft.clone(), scope.clone());
        drop(scope.spawn("rules-guard", async move {
            if let Err(error) = guard.0.guard(&guard.1).await {
                tracing::warn!(%error, "rules that others remove will not be put back");
            }
        }));
        let firewall = Firewall::new(&options.instance, options.service_cidr);
        let opening = (firewall.clone(), scope.clone());
        drop(scope.spawn_until_cancelled("firewall", async move {
            if let Err(error) = opening.0.guard(&opening.1).await {
                tracing::warn!(%error, "a firewall that starts later may stop pods' packets");
            }
        }));
        drop(scope.spawn_until_cancelled("observe", observe::run(client, clusters)));
        let calls_registry = options.registry.clone();
        let proxy = proxy::Proxy::new(nft.clone(), Arc::clone(&options), synced_sender);
        drop(scope.spawn_until_cancelled("rules", proxy.run(observed.clone())));
        drop(scope.spawn_until_cancelled("calls", calls::run(calls_registry, observed.clone())));
        server.serve(scope, observed);
        Ok(Self { nft, firewall, synced })
    }

    /// Waits until the rules say what the API said when the room started. Cancel safe.
    pub async fn synced(&self) {
        let mut synced = self.synced.clone();
        // The sender lives as long as the task; when the scope has ended there is nothing to wait for.
        drop(synced.wait_for(|synced| *synced).await);
    }

    /// Removes the rules.
    ///
    /// # Errors
    /// When nftables refuses.
    pub async fn teardown(&self) -> Result<(), NetworkError> {
        remove(&self.nft, &self.firewall).await
    }
}

/// Runs the room until the scope is cancelled; see [`Network::start`].
///
/// # Errors
/// As [`Network::start`].
pub async fn run(scope: Scope, client: Client, options: NetworkOptions) -> Result<(), NetworkError> {
    let _network = Network::start(&scope, client, options).await?;
    scope.cancelled().await;
    Ok(())
}

/// Removes the rules of an instance that is not running.
///
/// # Errors
/// When nftables refuses.
pub async fn teardown(instance: &str) -> Result<(), NetworkError> {
    // Rules are found by the instance's name; the range matters only for making them.
    let firewall = Firewall::new(instance, Cidr::new(Ipv4Addr::UNSPECIFIED, 0));
    remove(&Nft::new(NftOptions::for_instance(instance)), &firewall).await
}

async fn remove(nft: &Nft, firewall: &Firewall) -> Result<(), NetworkError> {
    nft.teardown().await.map_err(NetworkError::Rules)?;
    firewall.close().await.map_err(NetworkError::Firewall)
}
