//! A pod for a test: directory, root file system with busybox, cgroup, shim; all gone afterwards.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use maru_container::{
    Cgroup, ContainerConfig, ContainerId, ContainerPhase, ExecConfig, ExitStatus, LogLimits, Resources, RuntimeKind,
    Shim, ShimError, ShimOptions, StartRequest, Started,
};
use tokio::io::AsyncReadExt as _;

pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_maru-container-helper");
const BUSYBOX: &str = "/bin/busybox";
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Says why the tests cannot run here, once.
pub(crate) fn skip() -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "they need root"
    } else if !Path::new(BUSYBOX).exists() {
        "they need /bin/busybox (apt-get install busybox-static)"
    } else {
        return false;
    };
    println!("container tests are skipped: {reason}");
    true
}

/// Makes a root file system in which busybox is everything.
pub(crate) fn make_rootfs(root: &Path) {
    for directory in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    let applets = "sh cat echo sleep true false id mkdir ls kill env stty head tail seq dd mount umount chmod hostname touch \
                   wc yes grep tr tty printf mknod unshare pwd ulimit dmesg date su chown";
    for applet in applets.split_ascii_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n").unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nlogs:x:50:app\n").unwrap();
}

/// A running pod.
pub(crate) struct Pod {
    pub(crate) shim: Shim,
    pub(crate) cgroup: Cgroup,
    directory: tempfile::TempDir,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Returns a cgroup path no other test uses. Its parent holds the shims' cgroup and is removed with it.
pub(crate) fn unique_cgroup() -> (Cgroup, Cgroup) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let parent = Cgroup::at(format!("/maru-test-{}-{number}", std::process::id()));
    let pod = parent.child("pod1");
    (parent, pod)
}

impl Pod {
    pub(crate) async fn new() -> Self {
        Self::with(RuntimeKind::Embedded).await
    }

    pub(crate) async fn with(runtime: RuntimeKind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (_, cgroup) = unique_cgroup();
        make_rootfs(&directory.path().join("rootfs"));
        std::fs::create_dir(directory.path().join("logs")).unwrap();
        cgroup.create(&Resources::default()).unwrap();
        let shim = Shim::spawn(Self::options(directory.path(), &cgroup, runtime)).await.unwrap();
        Self { shim, cgroup, directory }
    }

    fn options(directory: &Path, cgroup: &Cgroup, runtime: RuntimeKind) -> ShimOptions {
        ShimOptions {
            executable: Some(PathBuf::from(HELPER)),
            directory: directory.join("pod"),
            pod_uid: "0000-1111".into(),
            cgroup: cgroup.path().into(),
            runtime,
        }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log_path(&self, id: &ContainerId) -> PathBuf {
        self.directory.path().join("logs").join(format!("{id}.log"))
    }

    pub(crate) fn request(&self, id: &ContainerId, config: ContainerConfig) -> StartRequest {
        StartRequest {
            id: id.clone(),
            rootfs: self.rootfs(),
            config,
            log_path: Some(self.log_path(id)),
            log_limits: LogLimits::default(),
        }
    }

    pub(crate) async fn start(&self, name: &str, config: ContainerConfig) -> Result<Started, ShimError> {
        self.shim.start(self.request(&ContainerId::new(name, 0), config)).await
    }

    /// Waits for the end of a container.
    pub(crate) async fn exit(&self, name: &str) -> ExitStatus {
        let id = ContainerId::new(name, 0);
        let mut generation = 0;
        let wait = async {
            loop {
                let state = self.shim.wait_change(generation).await.unwrap();
                generation = state.generation;
                let phase = state.containers.into_iter().find(|state| state.id == id).map(|state| state.phase);
                match phase {
                    Some(ContainerPhase::Exited(status)) => return status,
                    Some(ContainerPhase::Failed { message, .. }) => panic!("{name} failed: {message}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name} does not end"))
    }

    /// Runs a shell script in a container to its end; returns how it ended and what it wrote, both streams in order.
    pub(crate) async fn script(&self, name: &str, script: &str, config: ContainerConfig) -> (ExitStatus, String) {
        let args = vec!["/bin/sh".into(), "-c".into(), script.into()];
        self.start(name, ContainerConfig { args, ..config }).await.unwrap();
        let status = self.exit(name).await;
        (status, self.output(name))
    }

    /// Returns the text of a container's log without its marks.
    pub(crate) fn output(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.log_path(&ContainerId::new(name, 0))).unwrap_or_default();
        log.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(|line| format!("{line}\n")).collect()
    }

    /// Runs a program in a container; returns how it ended, its output and its errors.
    pub(crate) async fn exec(&self, name: &str, config: ExecConfig) -> (ExitStatus, String, String) {
        let mut handle = self.shim.exec(&ContainerId::new(name, 0), config).await.unwrap();
        let (mut output, mut errors) = (String::new(), String::new());
        if let Some(stdout) = &mut handle.stdout {
            stdout.read_to_string(&mut output).await.unwrap();
        }
        if let Some(stderr) = &mut handle.stderr {
            stderr.read_to_string(&mut errors).await.unwrap();
        }
        let status = tokio::time::timeout(PATIENCE, handle.exit()).await.unwrap().unwrap();
        (status, output, errors)
    }

    /// Returns the process id of the shim.
    pub(crate) fn shim_pid(&self) -> i32 {
        let directory = std::fs::canonicalize(self.shim.directory()).unwrap();
        let processes =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        processes
            .into_iter()
            .find(|pid: &i32| {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"));
                name == "maru-shim\n" && cwd.is_ok_and(|cwd| cwd == directory)
            })
            .expect("the shim runs")
    }

    pub(crate) fn kill_shim(&self) {
        let pid = self.shim_pid();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        maru_testkit::wait_until_blocking(PATIENCE, "the shim's end", || !is_alive(pid));
    }

    /// Starts a shim in the same directory.
    pub(crate) async fn try_respawn(&self) -> Result<Shim, ShimError> {
        Shim::spawn(Self::options(self.directory.path(), &self.cgroup, RuntimeKind::Embedded)).await
    }

    pub(crate) async fn respawn(mut self) -> Self {
        self.shim = self.try_respawn().await.unwrap();
        self
    }

    /// Shuts the pod down and checks that nothing is left of it.
    pub(crate) async fn finish(self) {
        tokio::time::timeout(PATIENCE, self.shim.shutdown()).await.expect("the shim does not shut down").unwrap();
        assert!(!self.cgroup.exists(), "{} is left", self.cgroup.path());
        let left: Vec<_> =
            std::fs::read_dir(self.shim.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "left in the pod's directory: {left:?}");
        let mounts = maru_testkit::mounts_under(self.directory.path());
        assert!(mounts.is_empty(), "left mounted: {mounts:?}");
    }
}

impl Drop for Pod {
    /// Also after a failed test nothing stays.
    fn drop(&mut self) {
        if let Some(parent) = self.cgroup.parent()
            && let Err(error) = parent.remove()
        {
            eprintln!("{error}");
        }
    }
}

pub(crate) fn sh(script: &str) -> ContainerConfig {
    ContainerConfig { args: vec!["/bin/sh".into(), "-c".into(), script.into()], ..ContainerConfig::default() }
}

pub(crate) fn program(args: &[&str]) -> ExecConfig {
    ExecConfig { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..ExecConfig::default() }
}

/// Tells whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
