//! What the machine itself needs for pods and services.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use rtnetlink::packet_route::address::AddressScope;
use serde::{Deserialize, Serialize};

use crate::netlink::{Route, on_thread, requests};
use crate::{Cidr, NetError, sysctl};

/// How the machine is prepared.
#[derive(Debug, Clone)]
pub struct HostLinkOptions {
    /// Where it is remembered what to put back, such as `/run/maru/default`.
    pub directory: PathBuf,
    /// The node's address as pods see it, such as 10.42.0.1; `lo` carries it as /32.
    pub node_address: Ipv4Addr,
    /// The range of service addresses, such as 10.96.0.0/16: each becomes the machine's own, so that a process can bind it.
    pub service_cidr: Cidr,
}

/// The machine's own address for pods, the service range, and forwarding.
///
/// The address sits on `lo` and not on a dummy link: small kernels lack those, and the kernel prefers a global address of
/// `lo` as the source of packets that leave through a link without one, as the host ends of pods are.
#[derive(Debug, Clone)]
pub struct HostLinks {
    options: HostLinkOptions,
}

/// What to put back at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    ip_forward: String,
}

const BEFORE_FILE: &str = "host-before.json";
const IP_FORWARD: &str = "net/ipv4/ip_forward";

impl HostLinks {
    /// Brings `lo` up, adds the node's address to it, makes the service range local, and turns forwarding on. May run any
    /// number of times.
    ///
    /// # Errors
    /// When the kernel refuses; root is needed.
    ///
    /// # Cancel safety
    /// What was begun is finished in the background.
    pub async fn prepare(options: HostLinkOptions) -> Result<Self, NetError> {
        let wanted = options.clone();
        on_thread("prepare the host's links", move || {
            remember_forwarding(&wanted)?;
            sysctl::ensure(IP_FORWARD, "1")?;
            requests(async |connection| {
                let lo = connection.link("lo").await?.ok_or_else(no_loopback)?;
                connection.up(&lo).await?;
                connection.ensure_address(lo.index, wanted.node_address, AddressScope::Universe).await?;
                connection.ensure_route(service_route(&wanted, lo.index)).await
            })
        })
        .await?;
        Ok(Self { options })
    }

    /// Returns what an earlier process prepared, to tear it down; changes nothing.
    #[must_use]
    pub fn adopt(options: HostLinkOptions) -> Self {
        Self { options }
    }

    /// Removes the address and the route, and turns forwarding off when it was off before.
    ///
    /// # Errors
    /// When the kernel refuses; what is gone already is no error.
    ///
    /// # Cancel safety
    /// What was begun is finished in the background.
    pub async fn teardown(&self) -> Result<(), NetError> {
        let options = self.options.clone();
        on_thread("remove the host's links", move || {
            requests(async |connection| {
                let lo = connection.link("lo").await?.ok_or_else(no_loopback)?;
                connection.delete_route(service_route(&options, lo.index)).await?;
                connection.delete_address(lo.index, options.node_address).await
            })?;
            restore_forwarding(&options)
        })
        .await
    }

    /// Returns the options it was made with.
    #[must_use]
    pub fn options(&self) -> &HostLinkOptions {
        &self.options
    }
}

fn no_loopback() -> NetError {
    NetError::Protocol {
        action: "look up link \"lo\"".to_owned(),
        reason: "this network namespace has none".to_owned(),
    }
}

/// With the node's address as source: without it, a process of the machine would reach a service from the service's own
/// address.
fn service_route(options: &HostLinkOptions, lo: u32) -> Route {
    Route {
        destination: options.service_cidr,
        link: lo,
        gateway: None,
        source: Some(options.node_address),
        local: true,
    }
}

/// Keeps the oldest value: after a crash the current one is ours.
fn remember_forwarding(options: &HostLinkOptions) -> Result<(), NetError> {
    let path = options.directory.join(BEFORE_FILE);
    if path.exists() {
        return Ok(());
    }
    let before = Before { ip_forward: sysctl::read(IP_FORWARD)? };
    let text = serde_json::to_vec(&before).expect("a struct of one string is valid JSON");
    std::fs::create_dir_all(&options.directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|source| NetError::File { action: "write", path, source })
}

fn restore_forwarding(options: &HostLinkOptions) -> Result<(), NetError> {
    let path = options.directory.join(BEFORE_FILE);
    let Ok(text) = std::fs::read(&path) else { return Ok(()) };
    match serde_json::from_slice::<Before>(&text) {
        Ok(before) => sysctl::ensure(IP_FORWARD, &before.ip_forward)?,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "forwarding stays on: its former value is unreadable")
        }
    }
    std::fs::remove_file(&path).map_err(|source| NetError::File { action: "remove", path, source })
}
