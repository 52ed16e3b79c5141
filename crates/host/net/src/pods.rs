//! The namespaces and links of pods.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::address::AddressScope;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{LinkUnspec, LinkVeth};
use serde::{Deserialize, Serialize};

use crate::netlink::{Connection, Link, Route, on_thread, requests};
use crate::{Cidr, NetError, sysctl};

/// The host ends of pods' links have names that start with this, so that one nftables rule can speak of all of them.
pub const POD_LINK_PREFIX: &str = "mv";

/// The pod's end of its link.
const POD_LINK: &str = "eth0";
const RECORD_FILE: &str = "attachment.json";
const NAMESPACES: [(&str, CloneFlags); 3] =
    [("net", CloneFlags::CLONE_NEWNET), ("ipc", CloneFlags::CLONE_NEWIPC), ("uts", CloneFlags::CLONE_NEWUTS)];

/// How pods are attached.
#[derive(Debug, Clone)]
pub struct PodNetworkOptions {
    /// Distinguishes this instance's links from another's on the same machine.
    pub instance: String,
    /// Where the namespaces are pinned, a directory for each pod; best beneath `/run`.
    pub directory: PathBuf,
    /// The pods' default gateway, the same for all, on the host end of each link.
    pub gateway: Ipv4Addr,
    /// The source of what the machine itself sends to pods; see [`HostLinkOptions`](crate::HostLinkOptions).
    pub node_address: Ipv4Addr,
    /// The largest packet in bytes; that of the uplink.
    pub mtu: u32,
}

impl PodNetworkOptions {
    /// The gateway that pods see: link-local, as it is the same on each of their links.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
}

/// What a pod wants of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodAttachment {
    /// The pod's uid.
    pub uid: String,
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's host name, at most 63 bytes.
    pub hostname: String,
    /// Kernel settings of the pod's own namespaces, such as `net.core.somaxconn`.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
}

/// Where a pod's namespaces are pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodNamespaces {
    /// The network namespace.
    pub net: PathBuf,
    /// The IPC namespace.
    pub ipc: PathBuf,
    /// The UTS namespace, which holds the host name.
    pub uts: PathBuf,
}

/// Makes and removes the namespaces and links of pods. They outlive this value and the process.
#[derive(Debug, Clone)]
pub struct PodNetworks {
    options: Arc<PodNetworkOptions>,
}

impl PodNetworks {
    /// Uses a runtime directory, which is created with the first pod.
    #[must_use]
    pub fn new(options: PodNetworkOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// Attaches a pod, or repairs what is not as wanted: namespaces that exist are kept with all that runs in them.
    ///
    /// # Errors
    /// When the kernel refuses, or when an argument cannot be used. What was made remains; a second call goes on from there.
    ///
    /// # Cancel safety
    /// What was begun is finished in the background.
    pub async fn attach(&self, pod: &PodAttachment) -> Result<PodNamespaces, NetError> {
        check(pod)?;
        let (options, pod) = (Arc::clone(&self.options), pod.clone());
        on_thread("attach a pod", move || Attaching { options: &options, pod: &pod }.run()).await
    }

    /// Removes a pod's link and namespaces; nothing happens when there are none.
    ///
    /// # Errors
    /// When the kernel refuses.
    ///
    /// # Cancel safety
    /// What was begun is finished in the background.
    pub async fn detach(&self, uid: &str) -> Result<(), NetError> {
        check_uid(uid)?;
        let (options, uid) = (Arc::clone(&self.options), uid.to_owned());
        on_thread("detach a pod", move || {
            requests(async |connection| match connection.link(&options.link_name(&uid)).await? {
                Some(link) if link.alias.as_deref() == Some(&options.alias(&uid)) => {
                    connection.delete_link(&link).await
                }
                _ => Ok(()),
            })?;
            remove_directory(&options.pod_directory(&uid))
        })
        .await
    }

    /// Returns the pods whose namespaces are there, with what they were attached as; for adoption after a restart.
    ///
    /// Directories without a usable record or namespace (after a reboot, or a crash in the middle) are not listed:
    /// `attach` mends them, `detach` removes them.
    ///
    /// # Errors
    /// When the runtime directory cannot be read.
    pub fn existing(&self) -> Result<Vec<PodAttachment>, NetError> {
        let mut found: Vec<PodAttachment> = self
            .directories()?
            .into_iter()
            .filter(|directory| is_namespace(&directory.join("net")))
            .filter_map(|directory| read_record(&directory))
            .collect();
        found.sort_by(|one, other| one.uid.cmp(&other.uid));
        Ok(found)
    }

    /// Returns the uids of all pods of which there is anything, also what a crash or a reboot left half; for removing what no
    /// pod owns any more.
    ///
    /// # Errors
    /// When the runtime directory cannot be read.
    pub fn remains(&self) -> Result<Vec<String>, NetError> {
        let names = self.directories()?.into_iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        let mut uids: Vec<String> = names.filter(|name| check_uid(name).is_ok()).collect();
        uids.sort();
        Ok(uids)
    }

    /// Returns where the namespaces of a pod are, or would be.
    #[must_use]
    pub fn namespaces(&self, uid: &str) -> PodNamespaces {
        namespaces(&self.options.pod_directory(uid))
    }

    /// Returns the name of the host end of a pod's link.
    #[must_use]
    pub fn link_name(&self, uid: &str) -> String {
        self.options.link_name(uid)
    }

    /// Removes all links and namespaces of this instance, also those without a record.
    ///
    /// # Errors
    /// When the kernel refuses.
    ///
    /// # Cancel safety
    /// What was begun is finished in the background.
    pub async fn teardown(&self) -> Result<(), NetError> {
        let directories = self.directories()?;
        let options = Arc::clone(&self.options);
        on_thread("remove all pods' links", move || {
            requests(async |connection| {
                let prefix = options.alias("");
                for link in connection.links().await? {
                    if link.alias.as_deref().is_some_and(|alias| alias.starts_with(&prefix)) {
                        connection.delete_link(&link).await?;
                    }
                }
                Ok(())
            })?;
            directories.iter().try_for_each(|directory| remove_directory(directory))
        })
        .await
    }

    fn directories(&self) -> Result<Vec<PathBuf>, NetError> {
        let path = self.options.directory.clone();
        match std::fs::read_dir(&path) {
            Ok(entries) => Ok(entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path())
                .collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(NetError::File { action: "read", path, source }),
        }
    }
}

impl PodNetworkOptions {
    fn pod_directory(&self, uid: &str) -> PathBuf {
        self.directory.join(uid)
    }

    /// At most 15 bytes, as the kernel wants.
    fn link_name(&self, uid: &str) -> String {
        format!("{POD_LINK_PREFIX}{}", maru_ids::short_hash(&self.alias(uid), 12))
    }

    /// What marks a link as ours: `ip link` shows it too.
    fn alias(&self, uid: &str) -> String {
        format!("maru/{}/pod/{uid}", self.instance)
    }
}

fn check_uid(uid: &str) -> Result<(), NetError> {
    let plain = uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if uid.is_empty() || uid.len() > 64 || !plain {
        let reason = "1 to 64 letters, digits and dashes are expected";
        return Err(NetError::Argument { what: "the pod uid", value: uid.to_owned(), reason });
    }
    Ok(())
}

fn check(pod: &PodAttachment) -> Result<(), NetError> {
    check_uid(&pod.uid)?;
    if pod.address.is_ipv6() {
        let reason = "only IPv4 pods are supported";
        return Err(NetError::Argument { what: "the pod address", value: pod.address.to_string(), reason });
    }
    if pod.hostname.is_empty() || pod.hostname.len() > 63 {
        let reason = "1 to 63 bytes are expected";
        return Err(NetError::Argument { what: "the host name", value: pod.hostname.clone(), reason });
    }
    for name in pod.sysctls.keys() {
        let namespaced = name.starts_with("net.")
            || name.starts_with("kernel.shm")
            || name.starts_with("kernel.msg")
            || name == "kernel.sem"
            || name.starts_with("fs.mqueue.");
        if !namespaced || name.contains("..") || name.contains('/') {
            let reason = "only settings of a pod's own namespaces can be set (net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*)";
            return Err(NetError::Argument { what: "the sysctl", value: name.clone(), reason });
        }
    }
    Ok(())
}

fn namespaces(directory: &Path) -> PodNamespaces {
    PodNamespaces { net: directory.join("net"), ipc: directory.join("ipc"), uts: directory.join("uts") }
}

/// Tells whether a namespace is pinned on a file: after a reboot it is an empty file.
fn is_namespace(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::NSFS_MAGIC)
}

fn read_record(directory: &Path) -> Option<PodAttachment> {
    let text = std::fs::read(directory.join(RECORD_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn remove_directory(directory: &Path) -> Result<(), NetError> {
    for (kind, _) in NAMESPACES {
        let path = directory.join(kind);
        // More than once when a crash left a mount upon a mount.
        while is_namespace(&path) {
            umount2(&path, MntFlags::MNT_DETACH)
                .map_err(|source| NetError::kernel(format!("unmount \"{}\"", path.display()), source))?;
        }
    }
    match std::fs::remove_dir_all(directory) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(NetError::File { action: "remove", path: directory.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn open_own_namespace(kind: &str) -> Result<OwnedFd, NetError> {
    let path = format!("/proc/thread-self/ns/{kind}");
    File::open(&path).map(OwnedFd::from).map_err(|source| NetError::File { action: "open", path: path.into(), source })
}

fn enter(namespace: BorrowedFd<'_>, kind: CloneFlags) -> Result<(), NetError> {
    setns(namespace, kind).map_err(|source| NetError::kernel("enter a namespace", source))
}

/// One attachment, on a thread of its own that leaves its namespaces and comes back to the host's network for the host end.
struct Attaching<'a> {
    options: &'a PodNetworkOptions,
    pod: &'a PodAttachment,
}

impl Attaching<'_> {
    fn run(&self) -> Result<PodNamespaces, NetError> {
        let host = open_own_namespace("net")?;
        let directory = self.options.pod_directory(&self.pod.uid);
        self.enter_or_create(&directory)?;
        nix::unistd::sethostname(&self.pod.hostname)
            .map_err(|source| NetError::kernel(format!("set the host name \"{}\"", self.pod.hostname), source))?;
        self.configure_pod_settings()?;
        let link_name = self.options.link_name(&self.pod.uid);
        requests(async |inside| self.configure_pod_end(&inside, &link_name, host.as_fd()).await)?;
        enter(host.as_fd(), CloneFlags::CLONE_NEWNET)?;
        requests(async |outside| self.configure_host_end(&outside, &link_name).await)?;
        self.write_record(&directory)?;
        Ok(namespaces(&directory))
    }

    /// Enters the pod's namespaces, which may exist from an earlier run; makes those that do not.
    fn enter_or_create(&self, directory: &Path) -> Result<(), NetError> {
        std::fs::create_dir_all(directory).map_err(|source| NetError::File {
            action: "create",
            path: directory.to_owned(),
            source,
        })?;
        for (kind, flag) in NAMESPACES {
            let path = directory.join(kind);
            let file_error = |action, source| NetError::File { action, path: path.clone(), source };
            if is_namespace(&path) {
                let pinned = File::open(&path).map_err(|source| file_error("open", source))?;
                enter(pinned.as_fd(), flag)?;
                continue;
            }
            unshare(flag)
                .map_err(|source| NetError::kernel(format!("make a {kind} namespace (needs root)"), source))?;
            File::create(&path).map_err(|source| file_error("create", source))?;
            let own = format!("/proc/thread-self/ns/{kind}");
            mount(Some(own.as_str()), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(|source| NetError::kernel(format!("pin a namespace on \"{}\"", path.display()), source))?;
        }
        Ok(())
    }

    /// Settings of the pod's network namespace: containers without privileges may ping and listen on low ports, as
    /// everywhere; redirects are not believed; then what the pod asks for.
    fn configure_pod_settings(&self) -> Result<(), NetError> {
        sysctl::ensure_if_present("net/ipv4/ping_group_range", "0\t2147483647");
        sysctl::ensure_if_present("net/ipv4/ip_unprivileged_port_start", "0");
        sysctl::ensure_if_present("net/ipv4/conf/all/accept_redirects", "0");
        sysctl::ensure_if_present("net/ipv4/conf/default/accept_redirects", "0");
        self.pod.sysctls.iter().try_for_each(|(name, value)| sysctl::ensure(&name.replace('.', "/"), value))
    }

    async fn configure_pod_end(
        &self,
        inside: &Connection,
        link_name: &str,
        host: BorrowedFd<'_>,
    ) -> Result<(), NetError> {
        let lo = expect_link(inside, "lo").await?;
        inside.up(&lo).await?;
        if inside.link(POD_LINK).await?.is_none() {
            let pair = LinkVeth::new(POD_LINK, link_name).mtu(self.options.mtu).build();
            inside.add_link(POD_LINK, pair).await?;
        }
        // Still here after a crash in the middle of an earlier call.
        if let Some(host_end) = inside.link(link_name).await? {
            inside.move_link(&host_end, host).await?;
        }
        let link = expect_link(inside, POD_LINK).await?;
        if link.mtu != Some(self.options.mtu) {
            let message = LinkUnspec::new_with_index(link.index).mtu(self.options.mtu).build();
            inside.change_link(POD_LINK, message).await?;
        }
        for (_, address) in inside.global_addresses(Some(link.index)).await? {
            if address != self.address()? {
                inside.delete_address(link.index, address).await?;
            }
        }
        inside.ensure_address(link.index, self.address()?, AddressScope::Universe).await?;
        inside.up(&link).await?;
        let route = |destination, gateway| Route { destination, link: link.index, gateway, source: None, local: false };
        inside.ensure_route(route(Cidr::new(self.options.gateway, 32), None)).await?;
        inside.ensure_route(route(Cidr::new(Ipv4Addr::UNSPECIFIED, 0), Some(self.options.gateway))).await
    }

    async fn configure_host_end(&self, outside: &Connection, link_name: &str) -> Result<(), NetError> {
        let link = expect_link(outside, link_name).await?;
        let alias = self.options.alias(&self.pod.uid);
        if link.alias.as_ref() != Some(&alias) || link.mtu != Some(self.options.mtu) {
            let message = LinkUnspec::new_with_index(link.index)
                .mtu(self.options.mtu)
                .append_extra_attribute(LinkAttribute::IfAlias(alias))
                .build();
            outside.change_link(link_name, message).await?;
        }
        configure_host_settings(link_name)?;
        // The link's own scope: the address is never chosen as a source beyond the link.
        outside.ensure_address(link.index, self.options.gateway, AddressScope::Link).await?;
        outside.up(&link).await?;
        outside
            .ensure_route(Route {
                destination: Cidr::new(self.address()?, 32),
                link: link.index,
                gateway: None,
                source: Some(self.options.node_address),
                local: false,
            })
            .await
    }

    fn address(&self) -> Result<Ipv4Addr, NetError> {
        match self.pod.address {
            IpAddr::V4(address) => Ok(address),
            IpAddr::V6(_) => check(self.pod).map(|()| Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Last, and by renaming: a record says that the pod is attached.
    fn write_record(&self, directory: &Path) -> Result<(), NetError> {
        let (path, next) = (directory.join(RECORD_FILE), directory.join(format!("{RECORD_FILE}.next")));
        let text = serde_json::to_vec(self.pod).expect("strings and an address are valid JSON");
        std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &path)).map_err(|source| NetError::File {
            action: "write",
            path,
            source,
        })
    }
}

/// Settings of the host end. The services' nftables rules drop what a pod sends to 127.0.0.0/8 or from an address that is
/// not its own; `route_localnet` lets the machine reach node ports over its loopback address.
fn configure_host_settings(link_name: &str) -> Result<(), NetError> {
    let setting = |name: &str| format!("net/ipv4/conf/{link_name}/{name}");
    sysctl::ensure(&setting("forwarding"), "1")?;
    sysctl::ensure_if_present(&setting("route_localnet"), "1");
    sysctl::ensure_if_present(&setting("send_redirects"), "0");
    sysctl::ensure_if_present(&setting("accept_redirects"), "0");
    // No neighbour discovery and no router solicitations on a link that carries IPv4 only.
    sysctl::ensure_if_present(&format!("net/ipv6/conf/{link_name}/disable_ipv6"), "1");
    Ok(())
}

async fn expect_link(connection: &Connection, name: &str) -> Result<Link, NetError> {
    connection.link(name).await?.ok_or_else(|| NetError::Protocol {
        action: format!("look up link \"{name}\""),
        reason: "it is gone; somebody else removed it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> PodAttachment {
        PodAttachment {
            uid: "8f7c0f7e-1111-4222-8333-444455556666".to_owned(),
            address: "10.42.0.5".parse().unwrap(),
            hostname: "web-0".to_owned(),
            sysctls: BTreeMap::new(),
        }
    }

    #[test]
    fn arguments_that_would_leave_the_directory_or_the_namespace_are_refused() {
        assert!(check(&pod()).is_ok());
        assert!(check(&PodAttachment { uid: "../x".to_owned(), ..pod() }).is_err());
        assert!(check(&PodAttachment { uid: String::new(), ..pod() }).is_err());
        assert!(check(&PodAttachment { hostname: "x".repeat(64), ..pod() }).is_err());
        assert!(check(&PodAttachment { address: "fd00::1".parse().unwrap(), ..pod() }).is_err());
        for (name, fine) in [
            ("net.core.somaxconn", true),
            ("vm.swappiness", false),
            ("net...kernel.panic", false),
            ("kernel.panic", false),
        ] {
            let sysctls = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
            assert_eq!(check(&PodAttachment { sysctls, ..pod() }).is_ok(), fine, "{name}");
        }
    }

    #[test]
    fn link_names_fit_the_kernel_and_differ_between_instances() {
        let options = |instance: &str| PodNetworkOptions {
            instance: instance.to_owned(),
            directory: PathBuf::new(),
            gateway: PodNetworkOptions::GATEWAY,
            node_address: Ipv4Addr::new(10, 42, 0, 1),
            mtu: 1500,
        };
        let (one, other) = (options("a").link_name(&pod().uid), options("b").link_name(&pod().uid));
        assert_ne!(one, other);
        assert!(one.len() < 16 && one.starts_with(POD_LINK_PREFIX));
    }
}
