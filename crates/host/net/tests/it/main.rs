//! Pods, host links, nftables and connection tracking on real kernels, in namespaces of the tests' own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, also in its helpers")]

mod firewall;
mod nft;
mod pods;
