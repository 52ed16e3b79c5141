//! An isolated host: namespaces of its own that end with the test.

use std::fs::File;
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::link;

/// Network, mount, IPC and UTS namespaces of a test's own, with `lo` up.
///
/// Nothing keeps them alive but this value, the threads and processes running inside, and what they mounted or pinned:
/// when a test ends or panics, links, routes, nftables, mounts and sysctls of the host are gone with it.
#[derive(Debug)]
pub struct Host {
    net: OwnedFd,
    mount: OwnedFd,
    ipc: OwnedFd,
    uts: OwnedFd,
}

impl Host {
    /// Creates a host. Needs root: see [`require_root_or_skip`](crate::require_root_or_skip).
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn new() -> Self {
        // In a thread of its own, as a thread that has left its namespaces is of no use to anybody else.
        on_thread(|| {
            let flags = CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWIPC
                | CloneFlags::CLONE_NEWUTS;
            unshare(flags).expect("new namespaces (needs root)");
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                .expect("mounts of the test stay in the test");
            nix::unistd::sethostname("maru-test").expect("the host's name");
            link::loopback_up();
            let open = |kind: &str| {
                OwnedFd::from(File::open(format!("/proc/thread-self/ns/{kind}")).expect("the namespace just made"))
            };
            Self { net: open("net"), mount: open("mnt"), ipc: open("ipc"), uts: open("uts") }
        })
    }

    /// Runs a function inside, on a new thread; threads and processes that it starts are inside too.
    ///
    /// # Panics
    /// When the function does, with its message.
    pub fn run<R: Send>(&self, function: impl FnOnce() -> R + Send) -> R {
        on_thread(|| {
            self.enter();
            function()
        })
    }

    /// Runs a future inside, on a runtime of its own with two worker threads.
    ///
    /// # Panics
    /// When the future does, with its message.
    pub fn block_on<R: Send>(&self, future: impl Future<Output = R> + Send) -> R {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime inside the host");
            let result = runtime.block_on(future);
            runtime.shutdown_timeout(Duration::from_secs(5));
            result
        })
    }

    /// Starts a program inside.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.run(|| command.spawn().unwrap_or_else(|error| panic!("could not start {command:?}: {error}")))
    }

    /// Runs a program inside and returns its standard output.
    ///
    /// # Panics
    /// When it fails; the message holds its standard error.
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(|| Command::new(program).args(arguments).output());
        let output = output.unwrap_or_else(|error| panic!("could not start {program}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {}\n{errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program inside with a process namespace of its own: all its descendants, also daemons, die with the
    /// returned value.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_contained(&self, command: &Command) -> ContainedChild {
        let mut wrapped = Command::new("unshare");
        wrapped.args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            wrapped.current_dir(directory);
        }
        wrapped.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        ContainedChild { wrapper: self.spawn(&mut wrapped) }
    }

    /// Connects two hosts by a pair of links.
    ///
    /// # Panics
    /// When a name is taken.
    pub fn connect(
        &self,
        name: &str,
        address: Ipv4Addr,
        peer: &Self,
        peer_name: &str,
        peer_address: Ipv4Addr,
        prefix_length: u8,
    ) {
        self.run(|| {
            link::add_pair(name, peer_name, peer.net.as_fd());
            link::configure(name, address, prefix_length);
        });
        peer.run(|| link::configure(peer_name, peer_address, prefix_length));
    }

    /// Adds a route through a gateway.
    ///
    /// # Panics
    /// When the gateway cannot be reached over a link of the host.
    pub fn add_route(&self, destination: Ipv4Addr, prefix_length: u8, gateway: Ipv4Addr) {
        self.run(|| link::add_route(destination, prefix_length, gateway));
    }

    fn enter(&self) {
        let directory = std::env::current_dir();
        unshare(CloneFlags::CLONE_FS).expect("a working directory of the thread's own");
        setns(self.mount.as_fd(), CloneFlags::CLONE_NEWNS).expect("the host's mounts");
        setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET).expect("the host's network");
        setns(self.ipc.as_fd(), CloneFlags::CLONE_NEWIPC).expect("the host's IPC");
        setns(self.uts.as_fd(), CloneFlags::CLONE_NEWUTS).expect("the host's name");
        if let Ok(directory) = directory {
            nix::unistd::chdir(&directory).expect("the working directory is there inside as well");
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a function in the network namespace that is pinned on a file, such as a pod's, on a new thread.
///
/// # Panics
/// When there is no namespace, or when the function panics.
pub fn in_network<R: Send>(namespace: &Path, function: impl FnOnce() -> R + Send) -> R {
    on_thread(|| {
        let pinned = File::open(namespace).unwrap_or_else(|error| panic!("{}: {error}", namespace.display()));
        setns(pinned.as_fd(), CloneFlags::CLONE_NEWNET).expect("a network namespace");
        function()
    })
}

fn on_thread<R: Send>(function: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|threads| match threads.spawn(function).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A program in a process namespace of its own, as its first process.
#[derive(Debug)]
pub struct ContainedChild {
    wrapper: Child,
}

impl ContainedChild {
    /// Returns the wrapper, whose standard output and error are the program's (piped) and whose exit is the program's.
    pub fn wrapper(&mut self) -> &mut Child {
        &mut self.wrapper
    }

    /// Returns the program's process id as seen from outside; `None` before it has started or after its end.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let pid = self.wrapper.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Sends a signal to the program.
    ///
    /// # Panics
    /// When it is not running.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the program is running");
        kill(Pid::from_raw(pid), signal).expect("the program is running");
    }
}

impl Drop for ContainedChild {
    fn drop(&mut self) {
        // The kernel kills a process namespace with its first process.
        if let Some(pid) = self.pid() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or_default();
        }
        drop(self.wrapper.kill());
        drop(self.wrapper.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    fn names() -> Vec<String> {
        crate::links("")
    }

    #[test]
    fn a_host_has_only_its_loopback_which_is_up() {
        crate::require_root_or_skip!();
        let host = Host::new();
        host.run(|| {
            assert_eq!(names(), ["lo"]);
            let listener = TcpListener::bind(("127.0.0.1", 80)).unwrap();
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.write_all(b"x").unwrap();
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        });
        // A second visit sees the same namespace; the port is free again.
        host.run(|| TcpListener::bind(("127.0.0.1", 80)).map(drop)).unwrap();
    }

    #[test]
    fn worker_threads_are_inside() {
        crate::require_root_or_skip!();
        let host = Host::new();
        let links = host.block_on(async { tokio::task::spawn_blocking(names).await.unwrap() });
        assert_eq!(links, ["lo"]);
    }

    #[test]
    fn a_panic_inside_reaches_the_test() {
        crate::require_root_or_skip!();
        let host = Host::new();
        let panic =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.run(|| panic!("inside")))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"inside"));
    }

    #[test]
    fn connected_hosts_reach_each_other() {
        crate::require_root_or_skip!();
        let (left, right) = (Host::new(), Host::new());
        left.connect("eth0", Ipv4Addr::new(192, 0, 2, 1), &right, "eth0", Ipv4Addr::new(192, 0, 2, 2), 24);
        let listener = right.run(|| TcpListener::bind(("192.0.2.2", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = left.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(5))).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), Ipv4Addr::new(192, 0, 2, 1));
    }

    #[test]
    fn daemons_of_a_contained_program_die_with_it() {
        crate::require_root_or_skip!();
        let host = Host::new();
        let directory = crate::TempDir::new();
        let file = directory.join("alive");
        let script =
            format!("setsid sh -c 'while :; do date +%s%N > {}; sleep 0.05; done' & sleep 100", file.display());
        let child = host.spawn_contained(Command::new("sh").args(["-c", &script]));
        crate::wait_until_blocking(Duration::from_secs(10), "the daemon writes", || file.exists());
        drop(child);
        std::fs::remove_file(&file).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(!file.exists());
    }
}
