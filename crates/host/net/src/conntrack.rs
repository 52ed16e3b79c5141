//! Connections that the kernel tracks: seeing and forgetting them.
//!
//! Seeing them tells who calls whom. Forgetting is needed for UDP: as long as packets come, a flow keeps going to the endpoint that it was first sent to, also after that
//! endpoint has gone.
//!
//! Source: Linux `include/uapi/linux/netfilter/nfnetlink_conntrack.h`.

use std::net::Ipv4Addr;

use crate::NetError;
use crate::netfilter::{
    FAMILY_IPV4, MessageBuilder, NLA_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetfilterSocket, attribute,
};

const SUBSYSTEM_CONNTRACK: u8 = 1;
const GET: u8 = 1;
const DELETE: u8 = 2;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const ADDRESS_SOURCE: u16 = 1;
const ADDRESS_DESTINATION: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION_PORT: u16 = 3;

/// A tracked connection, as far as services care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The IP protocol's number: 6 for TCP, 17 for UDP.
    pub protocol: u8,
    /// Who sent the first packet.
    pub source: Ipv4Addr,
    /// Where the first packet was sent.
    pub destination: Ipv4Addr,
    /// The port that the first packet was sent to.
    pub destination_port: u16,
    /// Who answers: the endpoint where the destination was translated, else the destination itself.
    pub endpoint: Ipv4Addr,
}

/// Shows the connections of the caller's network namespace one by one.
///
/// # Errors
/// When the kernel refuses; also on kernels without connection tracking.
pub async fn each_flow(mut visit: impl FnMut(Flow)) -> Result<(), NetError> {
    let mut socket = NetfilterSocket::open()?;
    socket
        .dump(&dump_request(), |body| {
            if let Some(flow) = parse(body) {
                visit(flow);
            }
        })
        .await
}

fn dump_request() -> Vec<u8> {
    MessageBuilder::new(SUBSYSTEM_CONNTRACK, GET, NLM_F_REQUEST | NLM_F_DUMP, FAMILY_IPV4).build()
}

/// Forgets the connections of the caller's network namespace for which `stale` says true; returns how many there were.
///
/// # Errors
/// When the kernel refuses; also on kernels without connection tracking.
pub async fn flush_flows(stale: &(dyn Fn(&Flow) -> bool + Send + Sync)) -> Result<usize, NetError> {
    let mut socket = NetfilterSocket::open()?;
    let mut deletions = Vec::new();
    socket
        .dump(&dump_request(), |body| {
            if parse(body).is_some_and(|flow| stale(&flow)) {
                deletions.push(deletion(body));
            }
        })
        .await?;
    let mut forgotten = 0;
    for request in deletions {
        match socket.acknowledged(&request).await? {
            0 => forgotten += 1,
            // It ended by itself.
            code if code == nix::errno::Errno::ENOENT as i32 => {}
            code => {
                return Err(NetError::kernel("forget a tracked connection", std::io::Error::from_raw_os_error(code)));
            }
        }
    }
    Ok(forgotten)
}

fn parse(body: &[u8]) -> Option<Flow> {
    let original = attribute(body, TUPLE_ORIGINAL)?;
    let protocol = attribute(original, TUPLE_PROTOCOL)?;
    let port: [u8; 2] = attribute(protocol, PROTOCOL_DESTINATION_PORT)?.try_into().ok()?;
    let [number] = attribute(protocol, PROTOCOL_NUMBER)? else { return None };
    Some(Flow {
        protocol: *number,
        source: address(original, ADDRESS_SOURCE)?,
        destination: address(original, ADDRESS_DESTINATION)?,
        destination_port: u16::from_be_bytes(port),
        endpoint: address(attribute(body, TUPLE_REPLY)?, ADDRESS_SOURCE)?,
    })
}

fn address(tuple: &[u8], which: u16) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = attribute(attribute(tuple, TUPLE_ADDRESSES)?, which)?.try_into().ok()?;
    Some(Ipv4Addr::from(bytes))
}

/// Names the connection by its original tuple and its id, so that a newer one of the same tuple survives.
fn deletion(body: &[u8]) -> Vec<u8> {
    let mut builder = MessageBuilder::new(SUBSYSTEM_CONNTRACK, DELETE, NLM_F_REQUEST | NLM_F_ACK, FAMILY_IPV4);
    for kind in [TUPLE_ORIGINAL, ID] {
        if let Some(value) = attribute(body, kind) {
            let nested = if kind == TUPLE_ORIGINAL { NLA_NESTED } else { 0 };
            builder.attribute(kind | nested, value);
        }
    }
    builder.build()
}
