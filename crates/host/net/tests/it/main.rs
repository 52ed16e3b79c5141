//! Pods, host links, nftables and connection tracking on real kernels, in namespaces of the tests' own.

mod nft;
mod pods;
