//! Links inside and between isolated hosts, over netlink.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use futures::TryStreamExt as _;
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

/// Runs netlink requests in the calling thread's network namespace.
fn netlink<R>(requests: impl AsyncFnOnce(Handle) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for netlink");
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
        // The connection ends with the last handle; the requests always end first.
        let requests = std::pin::pin!(requests(handle));
        match futures::future::select(requests, connection).await {
            futures::future::Either::Left((result, _)) => result,
            futures::future::Either::Right(((), requests)) => requests.await,
        }
    })
}

async fn index_of(handle: &Handle, name: &str) -> u32 {
    let mut found = std::pin::pin!(handle.link().get().match_name(name).execute());
    let link = found.try_next().await.expect("the link exists");
    link.expect("the kernel answers with the link").header.index
}

async fn up(handle: &Handle, name: &str) -> u32 {
    let index = index_of(handle, name).await;
    handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await.expect("the link goes up");
    index
}

pub(crate) fn loopback_up() {
    netlink(async |handle| {
        up(&handle, "lo").await;
    });
}

/// Makes a pair of links, the peer in another namespace.
pub(crate) fn add_pair(name: &str, peer: &str, peer_namespace: BorrowedFd<'_>) {
    netlink(async |handle| {
        // The peer gets its name when it moves, as both ends may bear the same one.
        let passing = "maru-moving";
        handle.link().add(LinkVeth::new(name, passing).build()).execute().await.expect("a pair of links");
        let index = index_of(&handle, passing).await;
        let message = LinkUnspec::new_with_index(index).name(peer).setns_by_fd(peer_namespace.as_raw_fd()).build();
        handle.link().set(message).execute().await.expect("the peer moves to its namespace");
    });
}

/// Brings a link up with an address.
pub(crate) fn configure(name: &str, address: Ipv4Addr, prefix_length: u8) {
    netlink(async |handle| {
        let index = up(&handle, name).await;
        handle.address().add(index, address.into(), prefix_length).execute().await.expect("the link takes the address");
    });
}

/// Sends what goes to a network through a gateway.
pub(crate) fn add_route(destination: Ipv4Addr, prefix_length: u8, gateway: Ipv4Addr) {
    netlink(async |handle| {
        let route = rtnetlink::RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(destination, prefix_length)
            .gateway(gateway)
            .build();
        handle.route().add(route).execute().await.expect("the kernel takes the route");
    });
}
