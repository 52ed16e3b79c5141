//! Which link leads out of this machine.

use std::net::Ipv4Addr;

use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};

use crate::NetError;
use crate::netlink::{Connection, on_thread, requests};

/// The link that leads out of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its name, such as `eth0`.
    pub link: String,
    /// The largest packet it takes, in bytes.
    pub mtu: u32,
    /// Its first address that can be reached from anywhere.
    pub address: Ipv4Addr,
}

/// Returns the link of the default route with its address; without a default route, the first link that has a global
/// address; `None` on a machine that has only loopback.
///
/// # Errors
/// When the kernel does not answer.
pub async fn detect_uplink() -> Result<Option<Uplink>, NetError> {
    on_thread("find the uplink", || requests(async |connection| find(&connection).await)).await
}

async fn find(connection: &Connection) -> Result<Option<Uplink>, NetError> {
    let links = connection.links().await?;
    let addresses = connection.global_addresses(None).await?;
    let preferred = connection.routes().await?.iter().filter_map(default_route).min_by_key(|(metric, _)| *metric);
    let ours = |index: u32| {
        let link = links.iter().find(|link| link.index == index)?;
        let alias = link.alias.as_deref().unwrap_or_default();
        (link.up && link.name != "lo" && !alias.starts_with("maru/")).then_some(link)
    };
    let of_default = preferred.and_then(|(_, index)| addresses.iter().find(|(owner, _)| *owner == index));
    let mut candidates = of_default.into_iter().chain(&addresses);
    Ok(candidates.find_map(|(index, address)| {
        let link = ours(*index)?;
        Some(Uplink { link: link.name.clone(), mtu: link.mtu.unwrap_or(1500), address: *address })
    }))
}

/// Returns the metric and the outgoing link of a default route.
fn default_route(route: &RouteMessage) -> Option<(u32, u32)> {
    if route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast {
        return None;
    }
    let mut metric = 0;
    let mut link = None;
    for attribute in &route.attributes {
        if let RouteAttribute::Priority(priority) = attribute {
            metric = *priority;
        } else if let RouteAttribute::Oif(index) = attribute {
            link = Some(*index);
        }
    }
    link.map(|link| (metric, link))
}
