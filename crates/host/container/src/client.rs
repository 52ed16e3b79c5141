//! The daemon's side of a shim: one short connection per request, so that a `Shim` is a path and can be cloned freely.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::cgroup::Cgroup;
use crate::config::{ContainerConfig, Namespace};
use crate::connection::Connection;
use crate::error::ShimError;
use crate::program::{AttachHandle, ExecConfig, ExecHandle, TerminalSize, exec_on_terminal, exec_started};
use crate::protocol::{CONTAINERS, LogOrder, OPTIONS, Request, Response, SOCKET, STATE, ShimSetup, StartOrder};
use crate::spec::{self, SpecInput};
use crate::status::{ContainerId, ContainerState, PodState, Started};
use crate::stream::ContainerStream;

/// How a pod's shim is started.
#[derive(Debug, Clone)]
pub struct ShimOptions {
    /// The program whose `main` calls `helper_main` first; `None` means this very program.
    pub executable: Option<PathBuf>,
    /// The pod's directory: socket, state files, bundles. Made when missing (0700).
    pub directory: PathBuf,
    /// The pod's uid; prefixes container ids.
    pub pod_uid: String,
    /// The pod's cgroup below the controllers' roots, such as `/maru-default/pod1234`. Containers get a child of it.
    pub cgroup: String,
    /// Which program makes the containers.
    pub runtime: RuntimeKind,
}

/// Which program makes the containers.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum RuntimeKind {
    /// The built-in one.
    #[default]
    Embedded,
    /// An OCI runtime with runc's command line, by name or path (`runc`, `crun`, `runsc`).
    External(PathBuf),
}

/// Limits of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// The file is rotated before it grows beyond this size.
    pub bytes_max: u64,
    /// Number of files kept, the current one included; at least 1. Rotated files are named `<path>.1` (newest) upwards.
    pub files_max: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { bytes_max: 10 * 1024 * 1024, files_max: 5 }
    }
}

/// A container to start.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Its identity; an attempt can be started once.
    pub id: ContainerId,
    /// Its root file system, mounted by the caller, who unmounts it after `remove`.
    pub rootfs: PathBuf,
    /// What it is.
    pub config: ContainerConfig,
    /// Where its output goes in CRI form (`<time> stdout F <line>`); the directory must exist. `None` drops the output.
    pub log_path: Option<PathBuf>,
    /// When the log is rotated.
    pub log_limits: LogLimits,
}

/// A connection to the shim of one pod. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Shim {
    directory: Arc<Path>,
    setup: Arc<ShimSetup>,
}

impl Shim {
    /// Starts the shim of a pod. It outlives this process.
    ///
    /// # Errors
    /// When the shim cannot start, with what it said.
    pub async fn spawn(options: ShimOptions) -> Result<Self, ShimError> {
        let setup = ShimSetup {
            directory: options.directory,
            pod_uid: options.pod_uid,
            cgroup: options.cgroup,
            runtime: options.runtime,
        };
        let executable = options.executable.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let setup = blocking(move || {
            launch(&executable, &setup)?;
            Ok(setup)
        })
        .await?;
        Ok(Self { directory: Arc::from(setup.directory.as_path()), setup: Arc::new(setup) })
    }

    /// Finds the shim that an earlier process left in a pod's directory.
    ///
    /// # Errors
    /// `ShimError::Gone` when none answers; `ShimError::Version` when it is too old or too new.
    pub async fn connect(directory: &Path) -> Result<Self, ShimError> {
        // Says hello, too.
        drop(Connection::open(directory).await?);
        let path = directory.join(OPTIONS);
        let setup = blocking(move || {
            let failed = |source| ShimError::Io { doing: "read", path: path.clone(), source };
            let text = std::fs::read(&path).map_err(failed)?;
            serde_json::from_slice::<ShimSetup>(&text).map_err(|error| failed(error.into()))
        })
        .await?;
        Ok(Self { directory: Arc::from(directory), setup: Arc::new(setup) })
    }

    /// Returns the pod's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the uid of the pod.
    #[must_use]
    pub fn pod_uid(&self) -> &str {
        &self.setup.pod_uid
    }

    /// Returns the pod's cgroup.
    #[must_use]
    pub fn cgroup(&self) -> Cgroup {
        Cgroup::at(self.setup.cgroup.clone())
    }

    /// Returns the cgroup of a container of the pod.
    #[must_use]
    pub fn container_cgroup(&self, id: &ContainerId) -> Cgroup {
        self.cgroup().child(&id.to_string())
    }

    /// Creates and starts a container; returns once its program runs.
    ///
    /// # Errors
    /// `ShimError::Start` with the cause when the container cannot be made or its program not be executed; the container then
    /// is in phase `Failed` until removed. `ShimError::Config` when the configuration cannot be used; then there is no
    /// container.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the start: the container appears in `states`.
    pub async fn start(&self, request: StartRequest) -> Result<Started, ShimError> {
        let order = self.prepare(request, false).await?;
        let mut connection = Connection::open(&self.directory).await?;
        connection.send(&Request::Start(order), &[]).await?;
        started(&mut connection, "starting a container").await
    }

    /// Starts a container on the given streams. It ends, and the shim with it, when the returned connection is dropped.
    pub(crate) async fn start_held(
        &self,
        request: StartRequest,
        stdio: &[BorrowedFd<'_>],
    ) -> Result<(Started, Connection), ShimError> {
        let order = self.prepare(request, true).await?;
        let mut connection = Connection::open(&self.directory).await?;
        connection.send(&Request::Start(order), stdio).await?;
        let started = started(&mut connection, "starting a container").await?;
        Ok((started, connection))
    }

    /// Makes the bundle of a container.
    async fn prepare(&self, request: StartRequest, hold: bool) -> Result<StartOrder, ShimError> {
        let bundle = self.directory.join(CONTAINERS).join(request.id.to_string());
        let cgroup = self.container_cgroup(&request.id);
        blocking(move || {
            let config = &request.config;
            let spec = spec::build(&SpecInput { rootfs: &request.rootfs, cgroup: cgroup.path(), config })?;
            let failed = |source| ShimError::Io { doing: "write", path: bundle.clone(), source };
            match std::fs::create_dir(&bundle) {
                // What a start left that never reached a shim is used again; the shim writes the state first thing.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !bundle.join(STATE).exists() => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(ShimError::Refused { message: format!("container {} was started before", request.id) });
                }
                result => result.map_err(failed)?,
            }
            std::fs::write(bundle.join("config.json"), spec.to_string()).map_err(failed)?;
            Ok(StartOrder {
                log: request.log_path.map(|path| LogOrder {
                    path,
                    bytes_max: request.log_limits.bytes_max,
                    files_max: request.log_limits.files_max,
                }),
                tty: config.tty,
                stdin: config.stdin,
                stdin_once: config.stdin_once,
                own_pids: config.namespaces.pid == Namespace::New,
                hold,
                id: request.id,
            })
        })
        .await
    }

    /// Returns the state of every container that was not removed.
    ///
    /// # Errors
    /// When the shim does not answer.
    pub async fn states(&self) -> Result<PodState, ShimError> {
        self.ask_states(&Request::States, "listing containers").await
    }

    /// Waits until the state is newer than `generation` (0 returns at once). Cancel safe.
    ///
    /// # Errors
    /// When the shim ends: `Gone` or `Disconnected`.
    pub async fn wait_change(&self, generation: u64) -> Result<PodState, ShimError> {
        self.ask_states(&Request::Wait { generation }, "waiting for a change").await
    }

    async fn ask_states(&self, request: &Request, doing: &'static str) -> Result<PodState, ShimError> {
        let mut connection = Connection::open(&self.directory).await?;
        connection.send(request, &[]).await?;
        let mut containers = Vec::new();
        loop {
            match connection.receive(doing).await?.0 {
                Response::State(state) => containers.push(state),
                Response::End { generation } => return Ok(PodState { generation, containers }),
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Sends a signal by number to the container's first process. A container that ended already is no error.
    ///
    /// # Errors
    /// `Refused` when there is no such container.
    pub async fn signal(&self, id: &ContainerId, signal: i32) -> Result<(), ShimError> {
        self.order(&Request::Signal { id: id.clone(), signal }, "sending a signal").await
    }

    /// Kills what is left of a container and deletes its cgroup, bundle and state. Its log and root file system stay.
    /// Removing what does not exist is no error.
    ///
    /// # Errors
    /// When something cannot be deleted; calling again continues.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), ShimError> {
        self.order(&Request::Remove { id: id.clone() }, "removing a container").await
    }

    /// Runs a program in a running container.
    ///
    /// # Errors
    /// `ShimError::Exec` with the cause when it cannot be started; `Refused` when the container does not run.
    pub async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecHandle, ShimError> {
        let process = self.prepare_exec(id, &config).await?;
        let mut connection = Connection::open(&self.directory).await?;
        let request = Request::Exec { id: id.clone(), process, tty: config.tty, kill_on_close: config.kill_on_drop };
        if config.tty {
            connection.send(&request, &[]).await?;
            return exec_on_terminal(connection, &config).await;
        }
        let (stdin, container_stdin) = if config.stdin { pipe_in()? } else { (None, null()?) };
        let (stdout, container_stdout) = pipe_out()?;
        let (stderr, container_stderr) = pipe_out()?;
        let passed = [container_stdin.as_fd(), container_stdout.as_fd(), container_stderr.as_fd()];
        connection.send(&request, &passed).await?;
        drop((container_stdin, container_stdout, container_stderr));
        let started = exec_started(&mut connection).await?.0;
        let (stdout, stderr) = (Some(stdout), Some(stderr));
        Ok(ExecHandle { stdin, stdout, stderr, pid: started.pid, connection, exited: None, terminal: None })
    }

    /// Writes the process file of a program; returns its path below the pod's directory.
    async fn prepare_exec(&self, id: &ContainerId, config: &ExecConfig) -> Result<PathBuf, ShimError> {
        let name = Path::new(CONTAINERS).join(id.to_string());
        let directory = self.directory.join(&name);
        let (id, config) = (id.clone(), config.clone());
        blocking(move || {
            let text = std::fs::read(directory.join("config.json"))
                .map_err(|_| ShimError::Refused { message: format!("the pod has no container {id}") })?;
            let spec =
                serde_json::from_slice(&text).map_err(|error| ShimError::Protocol { message: error.to_string() })?;
            let process = spec::exec_process(&spec, &config)?;
            let file = format!("exec-{}.json", maru_ids::random_suffix(12));
            let path = directory.join(&file);
            std::fs::write(&path, process.to_string()).map_err(|source| ShimError::Io {
                doing: "write",
                path,
                source,
            })?;
            Ok(name.join(file))
        })
        .await
    }

    /// Connects to the standard streams of a running container: output from now on, and input when the container has it.
    ///
    /// # Errors
    /// `Refused` when the container does not run.
    pub async fn attach(&self, id: &ContainerId, stdin: bool) -> Result<AttachHandle, ShimError> {
        let mut connection = Connection::open(&self.directory).await?;
        let (stdout, far_stdout) = pipe_out()?;
        let (stderr, far_stderr) = pipe_out()?;
        let (near_stdin, far_stdin) =
            if stdin { pipe_in().map(|(near, far)| (near, Some(far)))? } else { (None, None) };
        let mut passed = vec![far_stdout.as_fd(), far_stderr.as_fd()];
        passed.extend(far_stdin.as_ref().map(|stdin| stdin.as_fd()));
        connection.send(&Request::Attach { id: id.clone() }, &passed).await?;
        drop((far_stdout, far_stderr, far_stdin));
        match connection.receive("attaching").await?.0 {
            Response::Attached { stdin } => {
                Ok(AttachHandle { stdin: near_stdin.filter(|_| stdin), stdout, stderr, _connection: connection })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Changes the size of a container's terminal.
    ///
    /// # Errors
    /// `Refused` when the container has none.
    pub async fn resize(&self, id: &ContainerId, size: TerminalSize) -> Result<(), ShimError> {
        self.order(&Request::Resize { id: id.clone(), size }, "resizing a terminal").await
    }

    /// Kills and removes all containers and the pod's cgroup and ends the shim. Its directory stays, without what the shim made.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub async fn shutdown(&self) -> Result<(), ShimError> {
        self.order(&Request::Shutdown, "shutting the pod down").await
    }

    async fn order(&self, request: &Request, doing: &'static str) -> Result<(), ShimError> {
        let mut connection = Connection::open(&self.directory).await?;
        connection.send(request, &[]).await?;
        match connection.receive(doing).await?.0 {
            Response::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}

async fn started(connection: &mut Connection, doing: &'static str) -> Result<Started, ShimError> {
    match connection.receive(doing).await?.0 {
        Response::Started(started) => Ok(started),
        Response::Failed { message } => Err(ShimError::Start { message }),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn unexpected(response: Response) -> ShimError {
    match response {
        Response::Refused { message } | Response::Failed { message } => ShimError::Refused { message },
        other => ShimError::Protocol { message: format!("unexpected {other:?}") },
    }
}

/// An error of this process's own descriptors.
pub(crate) fn local(source: io::Error) -> ShimError {
    ShimError::Io { doing: "make", path: PathBuf::from("a pipe"), source }
}

/// Returns our reading end and the writing end for the container.
fn pipe_out() -> Result<(ContainerStream, OwnedFd), ShimError> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|error| local(error.into()))?;
    Ok((ContainerStream::new(read).map_err(local)?, write))
}

/// Returns our writing end and the reading end for the container.
fn pipe_in() -> Result<(Option<ContainerStream>, OwnedFd), ShimError> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|error| local(error.into()))?;
    Ok((Some(ContainerStream::new(write).map_err(local)?), read))
}

fn null() -> Result<OwnedFd, ShimError> {
    std::fs::File::open("/dev/null").map(OwnedFd::from).map_err(local)
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ShimError> + Send + 'static,
) -> Result<T, ShimError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ShimError::Disconnected { doing: "the runtime was shutting down" }),
        },
    }
}

/// Runs the launcher until the shim accepts connections. Blocking.
fn launch(executable: &Path, setup: &ShimSetup) -> Result<(), ShimError> {
    let failed = |message: String| ShimError::Spawn { message };
    let argument = serde_json::to_string(setup).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(executable);
    command
        .arg0("maru-shim")
        .args(["__shim", &argument])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command.output().map_err(|error| failed(format!("{}: {error}", executable.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
}

/// Reads what a shim that died left behind: phases other than the final ones are reported as `Lost`, after the pod's remaining
/// processes were killed. Does nothing to a shim that lives (`Refused`). Blocking.
///
/// # Errors
/// When the shim lives.
pub fn stored_states(directory: &Path) -> Result<Vec<ContainerState>, ShimError> {
    if crate::connection::is_alive(directory) {
        let message = format!("the shim at {} lives; connect to it", directory.join(SOCKET).display());
        return Err(ShimError::Refused { message });
    }
    let setup = std::fs::read(directory.join(OPTIONS)).ok();
    if let Some(setup) = setup.and_then(|text| serde_json::from_slice::<ShimSetup>(&text).ok()) {
        Cgroup::at(setup.cgroup).kill_all();
    }
    Ok(crate::state::read_all(directory))
}
