//! Connections out of a pod's own network, where its loopback addresses are.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use tokio::net::{TcpSocket, TcpStream};

use crate::NetError;
use crate::netlink::on_thread;

/// Connects to an address as a process inside of a network namespace would. The namespace is the file that it is pinned on.
///
/// A socket belongs to the namespace in which it is made, for as long as it lives: only that happens on a thread that has
/// entered the namespace and ends right after.
///
/// # Errors
/// When the namespace cannot be entered (it needs root), or nobody answers at the address.
///
/// # Cancel safety
/// A connection that is being made is given up.
pub async fn connect_within(namespace: &Path, address: SocketAddr) -> Result<TcpStream, NetError> {
    let path = namespace.to_owned();
    let socket = on_thread("make a socket in a network namespace", move || {
        let namespace = File::open(&path).map_err(|source| NetError::File { action: "open", path, source })?;
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|source| NetError::kernel("enter a network namespace", source))?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        socket.map_err(|source| NetError::kernel("make a socket", source))
    })
    .await?;
    socket.connect(address).await.map_err(|source| NetError::kernel(format!("connect to {address}"), source))
}
