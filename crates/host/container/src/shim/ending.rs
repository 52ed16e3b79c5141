//! Removing containers, and the shim's own end.

use super::complain;
use super::server::Server;
use crate::protocol::{CONTAINERS, Response};

/// How often a removal is tried before its requester is told.
const REMOVAL_TRIES: u32 = 500;

/// A container that is being removed.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) container: u64,
    pub(super) connection: Option<u64>,
    pub(super) tries: u32,
}

/// The shim's own end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) connection: Option<u64>,
    pub(super) tries: u32,
}

impl Server {
    /// Tries again to remove what could not be removed at once.
    pub(super) fn continue_removals(&mut self) {
        for mut removal in std::mem::take(&mut self.removals) {
            match self.try_remove(removal.container) {
                Ok(()) => {
                    if let Some(connection) = removal.connection {
                        self.send(connection, &Response::Done);
                    }
                }
                Err(message) if removal.tries >= REMOVAL_TRIES => {
                    if let Some(connection) = removal.connection {
                        self.refuse(connection, message);
                    }
                }
                Err(_) => {
                    removal.tries += 1;
                    self.removals.push(removal);
                }
            }
        }
    }

    /// Starts the shim's own end: everything is removed first.
    pub(super) fn end(&mut self, connection: Option<u64>) {
        let keys: Vec<u64> = self.containers.keys().copied().collect();
        for container in keys {
            if !self.removals.iter().any(|removal| removal.container == container) {
                self.removals.push(Removal { container, connection: None, tries: 0 });
            }
        }
        if self.ending.is_none() {
            self.ending = Some(Ending { connection, tries: 0 });
        }
    }

    /// Tells whether the shim has ended: nothing of the pod is left.
    pub(super) fn continue_ending(&mut self) -> bool {
        let Some(Ending { connection, tries }) = self.ending.as_mut().map(|ending| {
            ending.tries += 1;
            Ending { connection: ending.connection, tries: ending.tries }
        }) else {
            return false;
        };
        if !self.removals.is_empty() || !self.operations.is_empty() {
            return false;
        }
        match self.pod_cgroup().try_remove() {
            // Killed processes need a moment to end.
            Err(_) if tries < REMOVAL_TRIES => return false,
            Err(error) => complain(&format!("{error}: {}", error.source)),
            Ok(()) => {}
        }
        for file in [crate::protocol::SOCKET, crate::protocol::OPTIONS, super::LOCK, super::LOG] {
            drop(std::fs::remove_file(file));
        }
        for directory in [CONTAINERS, crate::protocol::RUNTIME_ROOT] {
            drop(std::fs::remove_dir_all(directory));
        }
        if let Some(connection) = connection {
            self.send(connection, &Response::Done);
        }
        true
    }
}
