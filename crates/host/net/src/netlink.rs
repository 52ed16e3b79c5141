//! Idempotent link, address and route changes over rtnetlink.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use futures::TryStreamExt as _;
use futures::future::Either;
use rtnetlink::packet_route::address::{AddressAttribute, AddressScope};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{RouteProtocol, RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use crate::{Cidr, NetError};

/// Marks our routes, as routing daemons do with numbers of their own; `ip route` shows it as `proto 109`.
const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(109);

/// Does blocking work on a thread of its own, which may change its namespaces. The thread starts in the caller's.
///
/// When the returned future is dropped, the work still runs to its end.
pub(crate) async fn on_thread<R, F>(action: &str, work: F) -> Result<R, NetError>
where
    R: Send + 'static,
    F: FnOnce() -> Result<R, NetError> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("maru-net".to_owned())
        .spawn(move || {
            // Nobody listens any more when the caller was cancelled.
            drop(sender.send(work()));
        })
        .map_err(|source| NetError::kernel(format!("start a thread to {action}"), source))?;
    receiver.await.map_err(|_| NetError::Thread { action: action.to_owned() })?
}

/// Runs requests in the calling thread's network namespace, on a runtime of the thread's own.
pub(crate) fn requests<R>(work: impl AsyncFnOnce(Connection) -> Result<R, NetError>) -> Result<R, NetError> {
    let open = |source| NetError::kernel("open a netlink socket", source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(open)?;
    runtime.block_on(async {
        let (driver, handle, _) = rtnetlink::new_connection().map_err(open)?;
        let work = std::pin::pin!(work(Connection(handle)));
        match futures::future::select(work, driver).await {
            Either::Left((result, _)) => result,
            Either::Right(((), work)) => work.await,
        }
    })
}

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    pub(crate) mtu: Option<u32>,
    pub(crate) up: bool,
}

impl Link {
    fn from_message(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            alias: None,
            mtu: None,
            up: message.header.flags.contains(LinkFlags::Up),
        };
        for attribute in &message.attributes {
            if let LinkAttribute::IfName(name) = attribute {
                link.name.clone_from(name);
            } else if let LinkAttribute::IfAlias(alias) = attribute {
                link.alias = Some(alias.clone());
            } else if let LinkAttribute::Mtu(mtu) = attribute {
                link.mtu = Some(*mtu);
            }
        }
        link
    }
}

/// A route to make; the destination is replaced where it exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) destination: Cidr,
    pub(crate) link: u32,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) source: Option<Ipv4Addr>,
    /// Makes every address of the destination the machine's own.
    pub(crate) local: bool,
}

/// Requests in one network namespace.
pub(crate) struct Connection(Handle);

impl Connection {
    pub(crate) async fn link(&self, name: &str) -> Result<Option<Link>, NetError> {
        let action = || format!("look up link \"{name}\"");
        let mut links = std::pin::pin!(self.0.link().get().match_name(name).execute());
        match links.try_next().await.map_err(|error| NetError::netlink(action(), error)) {
            Ok(found) => Ok(found.as_ref().map(Link::from_message)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn links(&self) -> Result<Vec<Link>, NetError> {
        let found: Vec<LinkMessage> = self
            .0
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| NetError::netlink("list links", error))?;
        Ok(found.iter().map(Link::from_message).collect())
    }

    pub(crate) async fn add_link(&self, name: &str, message: LinkMessage) -> Result<(), NetError> {
        let added = self.0.link().add(message).execute().await;
        added.map_err(|error| NetError::netlink(format!("add link \"{name}\""), error))
    }

    pub(crate) async fn change_link(&self, name: &str, message: LinkMessage) -> Result<(), NetError> {
        let changed = self.0.link().change(message).execute().await;
        changed.map_err(|error| NetError::netlink(format!("change link \"{name}\""), error))
    }

    pub(crate) async fn up(&self, link: &Link) -> Result<(), NetError> {
        if link.up {
            return Ok(());
        }
        self.change_link(&link.name, LinkUnspec::new_with_index(link.index).up().build()).await
    }

    pub(crate) async fn move_link(&self, link: &Link, namespace: BorrowedFd<'_>) -> Result<(), NetError> {
        let message = LinkUnspec::new_with_index(link.index).setns_by_fd(namespace.as_raw_fd()).build();
        self.change_link(&link.name, message).await
    }

    pub(crate) async fn delete_link(&self, link: &Link) -> Result<(), NetError> {
        let deleted = self.0.link().del(link.index).execute().await;
        missing_is_fine(deleted.map_err(|error| NetError::netlink(format!("delete link \"{}\"", link.name), error)))
    }

    /// Makes sure that the link has the address, as /32.
    pub(crate) async fn ensure_address(
        &self,
        link: u32,
        address: Ipv4Addr,
        scope: AddressScope,
    ) -> Result<(), NetError> {
        let mut request = self.0.address().add(link, address.into(), 32).replace();
        request.message_mut().header.scope = scope;
        let added = request.execute().await;
        added.map_err(|error| NetError::netlink(format!("add address {address} to link {link}"), error))
    }

    pub(crate) async fn delete_address(&self, link: u32, address: Ipv4Addr) -> Result<(), NetError> {
        let action = || format!("delete address {address}");
        let mut found = std::pin::pin!(
            self.0
                .address()
                .get()
                .set_link_index_filter(link)
                .set_prefix_length_filter(32)
                .set_address_filter(address.into())
                .execute()
        );
        while let Some(message) = found.try_next().await.map_err(|error| NetError::netlink(action(), error))? {
            let deleted = self.0.address().del(message).execute().await;
            missing_is_fine(deleted.map_err(|error| NetError::netlink(action(), error)))?;
        }
        Ok(())
    }

    /// Returns the addresses of a link that can be reached from anywhere, in the kernel's order.
    pub(crate) async fn global_addresses(&self, link: Option<u32>) -> Result<Vec<(u32, Ipv4Addr)>, NetError> {
        let messages: Vec<_> = self
            .0
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| NetError::netlink("list addresses", error))?;
        Ok(messages
            .iter()
            .filter(|message| message.header.scope == AddressScope::Universe)
            .filter(|message| link.is_none_or(|link| message.header.index == link))
            .filter_map(|message| {
                message.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Local(IpAddr::V4(address)) => Some((message.header.index, *address)),
                    _ => None,
                })
            })
            .collect())
    }

    pub(crate) async fn ensure_route(&self, route: Route) -> Result<(), NetError> {
        let replaced = self.0.route().add(route.message()).replace().execute().await;
        replaced.map_err(|error| NetError::netlink(format!("set the route to {}", route.destination), error))
    }

    pub(crate) async fn delete_route(&self, route: Route) -> Result<(), NetError> {
        let deleted = self.0.route().del(route.message()).execute().await;
        missing_is_fine(
            deleted.map_err(|error| NetError::netlink(format!("delete the route to {}", route.destination), error)),
        )
    }

    /// Returns the routes of the main table.
    pub(crate) async fn routes(&self) -> Result<Vec<rtnetlink::packet_route::route::RouteMessage>, NetError> {
        let filter = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes = self.0.route().get(filter).execute().try_collect().await;
        routes.map_err(|error| NetError::netlink("list routes", error))
    }
}

impl Route {
    fn message(self) -> rtnetlink::packet_route::route::RouteMessage {
        let mut builder = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(self.destination.network(), self.destination.prefix_length())
            .output_interface(self.link)
            .protocol(ROUTE_PROTOCOL);
        if let Some(gateway) = self.gateway {
            builder = builder.gateway(gateway).onlink();
        } else {
            builder = builder.scope(RouteScope::Link);
        }
        if let Some(source) = self.source {
            builder = builder.pref_source(source);
        }
        if self.local {
            builder = builder.kind(RouteType::Local).scope(RouteScope::Host).table_id(LOCAL_TABLE);
        }
        builder.build()
    }
}

/// `RT_TABLE_LOCAL`: the machine's own addresses.
const LOCAL_TABLE: u32 = 255;

fn missing_is_fine(result: Result<(), NetError>) -> Result<(), NetError> {
    match result {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}
