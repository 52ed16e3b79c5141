//! An echo of ICMP, without privileges where the machine allows it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use maru_monitoring::probe::IcmpProbe;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvfrom, sendto, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use tokio::time::Instant;

use super::{Findings, resolve};

pub(super) async fn run(probe: IcmpProbe, target: &str, timeout: Duration, found: &mut Findings) -> Result<(), String> {
    let (address, resolved) = resolve(target, 0, probe.ip, found).await?;
    let started = Instant::now();
    let payload = usize::from(probe.payload_bytes.unwrap_or(56));
    let work = tokio::task::spawn_blocking(move || echo(address.ip(), payload, timeout));
    let took = work.await.map_err(|_| "the echo broke off".to_owned())??;
    let setup = started.elapsed().saturating_sub(took);
    found.phases(
        "probe_icmp_duration_seconds",
        "Duration of icmp request by phase",
        &[("resolve", resolved), ("setup", setup), ("rtt", took)],
    );
    Ok(())
}

/// A socket, and whether its answers begin with the head of IP.
fn open(ip: IpAddr) -> Result<(OwnedFd, bool), String> {
    let (family, protocol) = match ip {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let open = |kind| socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol);
    match open(SockType::Datagram) {
        Ok(own) => Ok((own, false)),
        Err(_) => open(SockType::Raw).map(|own| (own, ip.is_ipv4())).map_err(|error| {
            format!("no socket for ICMP: {error}; allow it by net.ipv4.ping_group_range, or give CAP_NET_RAW")
        }),
    }
}

/// Sends an echo and waits for its answer. Blocks.
fn echo(ip: IpAddr, payload: usize, timeout: Duration) -> Result<Duration, String> {
    let failed = |error: nix::Error| format!("no echo from {ip}: {error}");
    let (own, has_head) = open(ip)?;
    let (ask, answer) = if ip.is_ipv4() { (8_u8, 0_u8) } else { (128, 129) };
    let mark = std::process::id().to_le_bytes();
    let mut packet = vec![ask, 0, 0, 0, mark[0], mark[1], 0, 1];
    packet.extend((0..payload).map(|index| u8::try_from(index % 256).unwrap_or_default()));
    if ip.is_ipv4() {
        // For IPv6 the kernel does it.
        let sum = checksum(&packet).to_be_bytes();
        packet[2] = sum[0];
        packet[3] = sum[1];
    }
    let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    setsockopt(&own, ReceiveTimeout, &TimeVal::milliseconds(millis)).map_err(failed)?;
    let to = SockaddrStorage::from(SocketAddr::new(ip, 0));
    let started = Instant::now();
    sendto(own.as_raw_fd(), &packet, &to, MsgFlags::empty()).map_err(failed)?;
    let mut buffer = vec![0; payload + 128];
    while started.elapsed() < timeout {
        let (length, from) = recvfrom::<SockaddrStorage>(own.as_raw_fd(), &mut buffer).map_err(failed)?;
        let received = buffer.get(..length).unwrap_or_default();
        let start = if has_head { received.first().map_or(0, |first| usize::from(first & 0x0f) * 4) } else { 0 };
        let message = received.get(start..).unwrap_or_default();
        let is_from = from.is_some_and(|from| same_host(&from, ip));
        if is_from && message.first() == Some(&answer) && message.get(8..) == packet.get(8..) {
            return Ok(started.elapsed());
        }
    }
    Err(format!("no echo from {ip} within {} s", timeout.as_secs_f64()))
}

fn same_host(from: &SockaddrStorage, ip: IpAddr) -> bool {
    from.as_sockaddr_in().is_some_and(|one| IpAddr::V4(one.ip()) == ip)
        || from.as_sockaddr_in6().is_some_and(|one| IpAddr::V6(one.ip()) == ip)
}

/// RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words =
        packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}
