//! `__shim`: the process that stands between the daemon and a pod's containers and outlives the daemon.
//!
//! One thread, one poll loop, no timers while idle. It holds the containers' standard streams, writes their logs, reaps them and
//! writes down how they ended.

mod ending;
mod operation;
mod request;
mod server;
mod streams;

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;

use maru_sys::Forked;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::cgroup::Cgroup;
use crate::protocol::{CONTAINERS, OPTIONS, RUNTIME_ROOT, SOCKET, ShimSetup};
use server::{Resources, Server};

/// Name of the file that a living shim holds locked.
const LOCK: &str = "lock";
/// Name of the file with what a shim has to complain about.
const LOG: &str = "shim.log";

/// Runs the subcommand with its one argument. The calling process returns once the shim accepts connections; what went wrong
/// until then is on its standard error.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let setup =
        args.first().and_then(|text| text.to_str()).and_then(|text| serde_json::from_str::<ShimSetup>(text).ok());
    let Some(setup) = setup else { return ExitCode::from(2) };
    match prepare(&setup) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(resources)) => match Server::new(setup, resources).run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("the shim ends: {error}"));
                ExitCode::FAILURE
            }
        },
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, which is the shim's log file.
pub(super) fn complain(message: &str) {
    // There is nobody else to tell.
    drop(writeln!(io::stderr(), "{message}"));
}

/// Makes everything that can fail, then forks: `None` in the process that was started, resources in the shim.
fn prepare(setup: &ShimSetup) -> Result<Option<Resources>, String> {
    let directory = &setup.directory;
    let failed =
        |doing: &str, error: &dyn std::fmt::Display| format!("could not {doing} in {}: {error}", directory.display());
    umask(Mode::from_bits_truncate(0o077));
    for path in [directory.clone(), directory.join(CONTAINERS), directory.join(RUNTIME_ROOT)] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed("make directories", &error))?;
    }
    chdir(directory).map_err(|error| failed("work", &error))?;
    let lock = open(Path::new(LOCK)).map_err(|error| failed("open the lock", &error))?;
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .map_err(|_| failed("start", &"a shim runs there already"))?;
    let log = open(Path::new(LOG)).map_err(|error| failed("open the log", &error))?;
    write_setup(setup).map_err(|error| failed("write the options", &error))?;
    let listener = listener().map_err(|error| failed("listen", &error))?;
    let signals = signals().map_err(|error| failed("take signals", &error))?;
    match maru_sys::fork_single_threaded().map_err(|error| failed("fork", &error))? {
        Forked::Parent { .. } => {
            // The lock belongs to the open file, which the child has too: it must not be unlocked here.
            std::mem::forget(lock);
            Ok(None)
        }
        Forked::Child => {
            detach(log).map_err(|error| failed("detach", &error))?;
            // Out of the daemon's cgroup, so that stopping the daemon's service does not stop the pods.
            if let Some(parent) = Cgroup::at(&setup.cgroup).parent() {
                parent.child("shims").join_self();
            }
            Ok(Some(Resources { listener, signals, _lock: lock }))
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn write_setup(setup: &ShimSetup) -> io::Result<()> {
    let temporary = Path::new("shim.json.new");
    std::fs::write(temporary, serde_json::to_vec(setup)?)?;
    std::fs::rename(temporary, OPTIONS)
}

/// The path is relative to the working directory, so that the pod's directory may be deep.
fn listener() -> io::Result<UnixListener> {
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // The standard library makes stream sockets only; accepting is the same.
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    // The file mode mask makes it 0700: only root may connect. The peer's credentials are checked as well.
    bind(listener.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(UnixListener::from(listener))
}

/// Blocks the signals that end a process by default, and takes them, with SIGCHLD, as a file. They are blocked rather than
/// ignored because programs inherit ignoring; the standard library unblocks all signals in what it starts.
fn signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

fn detach(log: File) -> io::Result<()> {
    setsid()?;
    nix::sys::prctl::set_child_subreaper(true)?;
    nix::sys::prctl::set_name(c"maru-shim")?;
    let null = File::open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    Ok(())
}
