//! A network of nothing but loopback, for steps that must not reach anything.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rtnetlink::LinkUnspec;

use crate::error::{BuildError, io_error};

/// Index of the loopback link, the first of every network namespace.
const LOOPBACK: u32 = 1;

/// A network namespace whose loopback is up. It lives as long as this value, by a thread of its own.
#[derive(Debug)]
pub(crate) struct LoopbackNetwork {
    path: PathBuf,
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl LoopbackNetwork {
    /// Makes one. Blocks for some milliseconds.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let (stop, stopped) = mpsc::channel();
        let (answer, answered) = mpsc::sync_channel(1);
        let work = move || {
            let made = make();
            let ready = made.is_ok();
            if answer.send(made).is_ok() && ready {
                // Nothing is ever sent: the end of the channel is the sign.
                std::iter::from_fn(|| stopped.recv().ok()).for_each(|()| {});
            }
        };
        let failed = |action| io_error(action, Path::new("a network namespace"));
        let thread = std::thread::Builder::new()
            .name("build-network".to_owned())
            .spawn(work)
            .map_err(failed("start a thread for"))?;
        let path = answered.recv().map_err(|_| BuildError::Interrupted)?.map_err(failed("make"))?;
        Ok(Self { path, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the file that names the namespace.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopbackNetwork {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            drop(thread.join());
        }
    }
}

fn make() -> std::io::Result<PathBuf> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let change = handle.link().set(LinkUnspec::new_with_index(LOOPBACK).up().build()).execute();
        tokio::select! {
            () = connection => Err(std::io::Error::other("the netlink socket closed")),
            changed = change => changed.map_err(std::io::Error::other),
        }
    })?;
    Ok(PathBuf::from(format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid())))
}
