//! What daemon and shim say to each other: one JSON message per packet of a SOCK_SEQPACKET socket, descriptors beside it.
//!
//! A connection carries one request. The shim speaks first (`Hello`), so that a newer daemon knows how to talk to an older shim.
//! Anything large (specifications) goes through files in the pod's directory.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
