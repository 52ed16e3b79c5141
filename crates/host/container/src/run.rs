//! One-off containers: made, run, removed; for the steps of an image build.
//!
//! Each has a shim of its own whose life hangs on the connection of the caller: whatever becomes of the caller, nothing is left.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::io::AsyncReadExt as _;

use crate::client::{LogLimits, RuntimeKind, Shim, ShimOptions, StartRequest};
use crate::config::ContainerConfig;
use crate::connection::Connection;
use crate::error::ShimError;
use crate::protocol::Response;
use crate::status::{ContainerId, ExitStatus};
use crate::stream::ContainerStream;

/// Read at once from an output.
const READ_BYTES: usize = 16 * 1024;
/// How long output is waited for after the container's end: only a process outside of its process namespace can still write.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// A container that is run once and removed.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The program whose `main` calls `helper_main` first; `None` means this very program.
    pub executable: Option<PathBuf>,
    /// An empty or missing directory for the container's bundle and state; emptied afterwards.
    pub directory: PathBuf,
    /// Its root file system.
    pub rootfs: PathBuf,
    /// What it is. `tty` and `stdin` are not supported here.
    pub container: ContainerConfig,
    /// A cgroup of its own, removed afterwards, such as `/maru-default/builds/17`.
    pub cgroup: String,
    /// Which program makes it.
    pub runtime: RuntimeKind,
    /// When it is killed; never when `None`.
    pub timeout: Option<Duration>,
}

/// From which of its streams an output came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Runs a container to its end and passes its output on as it comes.
///
/// # Errors
/// `ShimError::Start` with the cause when it cannot be started. A timeout is no error: the status then is signal 9.
///
/// # Cancel safety
/// Dropping the future kills the container and cleans up in the background, also when this process dies.
pub async fn run<F>(config: RunConfig, mut output: F) -> Result<ExitStatus, ShimError>
where
    F: FnMut(OutputStream, &[u8]) + Send,
{
    if config.container.tty || config.container.stdin {
        return Err(ShimError::Refused { message: "a one-off container has neither terminal nor input".to_owned() });
    }
    let options = ShimOptions {
        executable: config.executable,
        directory: config.directory,
        pod_uid: "run".to_owned(),
        cgroup: config.cgroup,
        runtime: config.runtime,
    };
    let shim = Shim::spawn(options).await?;
    let result = run_in(&shim, config.rootfs, config.container, config.timeout, &mut output).await;
    // After the connection's end the shim ends by itself; this waits for it, and starts it when there was no connection.
    match shim.shutdown().await {
        Ok(()) | Err(ShimError::Gone { .. } | ShimError::Disconnected { .. } | ShimError::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    wait_gone(&shim).await;
    result
}

async fn run_in<F>(
    shim: &Shim,
    rootfs: PathBuf,
    container: ContainerConfig,
    timeout: Option<Duration>,
    output: &mut F,
) -> Result<ExitStatus, ShimError>
where
    F: FnMut(OutputStream, &[u8]) + Send,
{
    let pipe = || -> Result<_, ShimError> {
        let failed = |source| ShimError::Io { doing: "make", path: PathBuf::from("a pipe"), source };
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|error| failed(error.into()))?;
        Ok((ContainerStream::new(read).map_err(failed)?, write))
    };
    let ((stdout, far_stdout), (stderr, far_stderr)) = (pipe()?, pipe()?);
    let null = std::fs::File::open("/dev/null").map_err(|source| ShimError::Io {
        doing: "open",
        path: PathBuf::from("/dev/null"),
        source,
    })?;
    let id = ContainerId::new("run", 0);
    let request =
        StartRequest { id: id.clone(), rootfs, config: container, log_path: None, log_limits: LogLimits::default() };
    let passed = [null.as_fd(), far_stdout.as_fd(), far_stderr.as_fd()];
    let (_, mut connection) = shim.start_held(request, &passed).await?;
    drop((far_stdout, far_stderr));
    let mut streams = Streams { stdout: Some(stdout), stderr: Some(stderr) };
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    let status = follow(shim, &id, &mut connection, &mut streams, deadline, output).await?;
    // What cannot be waited for is lost with the process that holds the stream.
    drop(tokio::time::timeout(LAST_OUTPUT, streams.drain(output)).await);
    Ok(status)
}

async fn follow<F>(
    shim: &Shim,
    id: &ContainerId,
    connection: &mut Connection,
    streams: &mut Streams,
    deadline: Option<tokio::time::Instant>,
    output: &mut F,
) -> Result<ExitStatus, ShimError>
where
    F: FnMut(OutputStream, &[u8]) + Send,
{
    let mut killed = false;
    loop {
        let too_late = async {
            match deadline {
                Some(deadline) if !killed => tokio::time::sleep_until(deadline).await,
                Some(_) | None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = connection.receive("running a container") => {
                return match message?.0 {
                    Response::Exited(status) => Ok(status),
                    other => Err(ShimError::Protocol { message: format!("unexpected {other:?}") }),
                };
            }
            () = streams.next(output), if !streams.ended() => {}
            () = too_late => {
                shim.signal(id, libc::SIGKILL).await?;
                killed = true;
            }
        }
    }
}

struct Streams {
    stdout: Option<ContainerStream>,
    stderr: Option<ContainerStream>,
}

impl Streams {
    fn ended(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    async fn drain<F: FnMut(OutputStream, &[u8])>(&mut self, output: &mut F) {
        while !self.ended() {
            self.next(output).await;
        }
    }

    /// Passes on what is read next from either stream. Cancel safe: what was read is passed on at once.
    async fn next<F: FnMut(OutputStream, &[u8])>(&mut self, output: &mut F) {
        let (mut first, mut second) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        tokio::select! {
            count = read(&mut self.stdout, &mut first) => pass(&mut self.stdout, count, &first, OutputStream::Stdout, output),
            count = read(&mut self.stderr, &mut second) => pass(&mut self.stderr, count, &second, OutputStream::Stderr, output),
        }
    }
}

async fn read(stream: &mut Option<ContainerStream>, buffer: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn pass<F: FnMut(OutputStream, &[u8])>(
    stream: &mut Option<ContainerStream>,
    count: usize,
    buffer: &[u8],
    from: OutputStream,
    output: &mut F,
) {
    match buffer.get(..count).filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => output(from, bytes),
        None => *stream = None,
    }
}

/// Waits until the shim does not answer any more: then its cgroup and files are gone.
async fn wait_gone(shim: &Shim) {
    while shim.states().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
