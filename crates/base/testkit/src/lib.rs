//! What tests share: isolated hosts, temporary directories, waiting with a deadline, and proof that nothing is left.
//!
//! Owns: the namespaces, links and directories that a test makes through it; all of them end with the test, also by a panic.
//! Never: is used outside tests; sends anything beyond the namespaces it made. It panics instead of returning errors,
//! as a test has nobody to hand them to.
//!
//! A test that touches the kernel looks like this; it is a plain `#[test]`, not a `#[tokio::test]`:
//! ```no_run
//! # fn pod_gets_an_address() {
//! maru_testkit::require_root_or_skip!();
//! let host = maru_testkit::Host::new();
//! host.block_on(async {
//!     // Everything here, also threads and child processes, lives in the host's own namespaces.
//! });
//! # }
//! ```

mod directory;
mod host;
mod leftovers;
mod link;
mod wait;

pub use directory::TempDir;
pub use host::{ContainedChild, Host, in_network};
pub use leftovers::{Leftovers, links, mounts_under, nft_tables, processes_in_cgroup};
pub use wait::{free_port, is_root, wait_for, wait_until, wait_until_blocking};

/// Leaves the test function, with a line that says so, unless it runs as root.
#[macro_export]
macro_rules! require_root_or_skip {
    () => {
        if !$crate::is_root() {
            println!("skipped: needs root for namespaces, mounts and nftables");
            return;
        }
    };
}
