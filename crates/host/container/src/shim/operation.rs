//! Helper processes under way.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{pipe2, read};

use crate::protocol::{HelperTask, Report};

/// A helper that works longer is killed.
const HELPER_PATIENCE: Duration = Duration::from_secs(120);

/// A helper that was started and has not reported yet.
#[derive(Debug)]
pub(super) struct Operation {
    /// The helper's process id.
    pub(super) pid: i32,
    pub(super) report: OwnedFd,
    received: Vec<u8>,
    started: Duration,
    pub(super) console: Option<Console>,
    pub(super) purpose: Purpose,
}

/// What a helper was started for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To start the container with this key.
    Start { container: u64, connection: u64 },
    /// To run a program; its process file is deleted afterwards.
    Exec { connection: u64, process: PathBuf, kill_on_close: bool },
}

/// A socket on which a runtime hands over a terminal.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) path: PathBuf,
    listener: UnixListener,
}

impl Console {
    /// Listens at a path that does not exist yet, in the working directory: the path of a socket is limited to 107 bytes.
    pub(super) fn listen(path: PathBuf) -> io::Result<Self> {
        let listener = UnixListener::bind(path.file_name().map_or(path.as_path(), Path::new))?;
        listener.set_nonblocking(true)?;
        Ok(Self { path, listener })
    }

    /// Takes the terminal that the runtime has sent before it reported.
    pub(super) fn terminal(&self) -> io::Result<OwnedFd> {
        let (connection, _) = self.listener.accept()?;
        let (_, descriptors) = maru_sys::receive_packet(&connection, &mut [0; 4096])?;
        descriptors.into_iter().next().ok_or_else(|| io::Error::other("the runtime sent no terminal"))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // The pod's directory is deleted as a whole later.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Operation {
    /// Starts a helper. `stdio` are the container's ends of its standard streams.
    pub(super) fn spawn(
        mut task: HelperTask,
        stdio: Option<[OwnedFd; 3]>,
        console: Option<Console>,
        purpose: Purpose,
    ) -> io::Result<Self> {
        let (report, write_end) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&report, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        task.report = inherit(&write_end)?;
        task.stdio = match &stdio {
            Some([input, output, errors]) => Some([inherit(input)?, inherit(output)?, inherit(errors)?]),
            None => None,
        };
        task.console = console.as_ref().map(|console| console.path.clone());
        let argument = serde_json::to_string(&task)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("maru-oci").args(["__oci", &argument]).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::inherit()).spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self { pid, report, received: Vec::new(), started: uptime(), console, purpose })
    }

    /// Tells whether the helper has taken longer than anything it does can take, so that it hangs.
    pub(super) fn is_overdue(&self) -> bool {
        uptime().saturating_sub(self.started) > HELPER_PATIENCE
    }

    /// Reads what the helper reports; `None` until it has ended.
    pub(super) fn receive(&mut self) -> Option<Result<i32, String>> {
        let mut buffer = [0; 4096];
        loop {
            match read(&self.report, &mut buffer) {
                Ok(0) => break,
                Ok(count) => self.received.extend_from_slice(buffer.get(..count).unwrap_or(&buffer)),
                Err(Errno::EAGAIN) => return None,
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        Some(match serde_json::from_slice(&self.received) {
            Ok(Report::Pid(pid)) => Ok(pid),
            Ok(Report::Error(message)) => Err(message),
            Err(_) => Err("the container helper died or was killed; see shim.log in the pod's directory".to_owned()),
        })
    }
}

/// Returns the time since the machine's start.
fn uptime() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

/// Lets the next program started have the descriptor, under its number. There is one thread: nothing else is started meanwhile.
fn inherit(descriptor: &OwnedFd) -> io::Result<i32> {
    fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(descriptor.as_raw_fd())
}

/// The two ends of a container's standard streams.
#[derive(Debug)]
pub(super) struct Pipes {
    /// For the container: input, output, errors.
    pub(super) container: [OwnedFd; 3],
    /// For the shim: input if wanted, output, errors.
    pub(super) input: Option<OwnedFd>,
    pub(super) outputs: [OwnedFd; 2],
}

impl Pipes {
    /// Makes them; standard input is `/dev/null` unless wanted.
    pub(super) fn make(stdin: bool) -> io::Result<Self> {
        let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (in_read, in_write) = if stdin {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            (read, Some(write))
        } else {
            (OwnedFd::from(File::open(Path::new("/dev/null"))?), None)
        };
        for own in [Some(&out_read), Some(&err_read), in_write.as_ref()].into_iter().flatten() {
            super::streams::set_nonblocking(own)?;
        }
        Ok(Self { container: [in_read, out_write, err_write], input: in_write, outputs: [out_read, err_read] })
    }
}
