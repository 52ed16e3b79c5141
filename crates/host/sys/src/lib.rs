//! The only room with unsafe code: thin safe functions over system calls.
//!
//! Owns: what the kernel offers and `nix` does not offer safely: adopting inherited descriptors, passing
//! descriptors, forking while single-threaded,
//! terminal sizes, signal dispositions, capability sets, seccomp filters, device rules, resource limits; the allocator's settings.
//! Never: decides anything; keeps state; wraps what `nix` already gives safely.
//! Source: man-pages sections 2 and 7.

#![allow(unsafe_code, reason = "this is the room for it; every block names its obligations")]

mod asynchronous;
mod capability;
mod descriptor;
mod device_filter;
mod heap;
mod passing;
mod process;
mod seccomp;

pub use asynchronous::AsyncDescriptor;
pub use capability::{
    CapabilitySets, clear_ambient, drop_bounding, has_bounding, raise_ambient, read_capabilities, set_capabilities,
};
pub use descriptor::{adopt_descriptor, set_terminal_size, terminal_size};
pub use device_filter::{DEVICE_MKNOD, DEVICE_READ, DEVICE_WRITE, DeviceKind, DeviceRule, attach_device_rules};
pub use heap::bound_heaps;
pub use passing::{PASSED_DESCRIPTORS_MAX, receive_packet, send_packet};
pub use process::{Forked, ResourceLimit, fork_single_threaded, reset_signals, resource_limit, send_signal};
pub use seccomp::{BpfInstruction, install_seccomp_filter};
