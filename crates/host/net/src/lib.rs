//! Links, routes, nftables and connection tracking of this machine.
//!
//! Owns: the namespaces, links and routes of pods; the node's own address and the local route of the service range; one
//! nftables table per instance; all under names of the instance, so that teardown removes these and nothing else.
//! Never: decides which pod or service exists; runs a process inside a namespace; needs the `ip` program.
//! Source: rtnetlink(7); nft(8); Linux `nfnetlink`, `nf_tables` and `nf_conntrack` netlink interfaces.
//!
//! Pods are point-to-point: a veth pair each, the pod's address as /32, the default route through a link-local gateway on
//! the host end, a host route /32 to the pod. No bridge, as traffic between ports of a bridge passes by connection tracking
//! unless `br_netfilter` is on, which is global and changes other software's bridges.
//!
//! nftables is driven through the `nft` program: of the crates, one spawns it as well, one is GPL-3, one links C libraries.
//! IPv4 today; addresses are `IpAddr` where a second family will come.

mod cidr;
mod conntrack;
mod dial;
mod error;
mod firewall;
mod host;
mod netfilter;
mod netlink;
mod nft;
mod pods;
mod sysctl;
mod uplink;

pub use cidr::{Cidr, CidrError};
pub use conntrack::{Flow, each_flow, flush_flows};
pub use dial::connect_within;
pub use error::NetError;
pub use firewall::{Firewall, ForeignDrop, foreign_drops};
pub use host::{HostLinkOptions, HostLinks};
pub use nft::{Chain, Hook, HookKind, HookPoint, Nft, NftError, NftOptions, Policy, Ruleset, Set, SetKind};
pub use pods::{POD_LINK_PREFIX, PodAttachment, PodNamespaces, PodNetworkOptions, PodNetworks};
pub use uplink::{Uplink, detect_uplink};
