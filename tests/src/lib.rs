//! Starts the built binary on a host of a test's own, and speaks to it as people do.
//!
//! Owns: how a test starts and stops a Maru, and the small image that its pods run.
//! Never: looks inside; everything goes through the command line, the API and the network.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use maru_testkit::{Host, TempDir, wait_until_blocking};
use serde_json::Value;

/// How long anything may take on a slow day.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The image that pods of tests run: a static busybox with its commands.
pub const IMAGE: &str = "test/busybox";

/// Returns the built binary: `MARU_BINARY`, or the one beside the tests.
///
/// # Panics
/// When it has not been built.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
pub fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("MARU_BINARY") {
        return path.into();
    }
    let here = std::env::current_exe().expect("the test's own path is known");
    let folder = here.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
    let path = folder.join("maru");
    let release = if folder.ends_with("release") { " --release" } else { "" };
    assert!(path.exists(), "{} is missing; build it with: cargo build -p maru{release}", path.display());
    path
}

/// Tells whether the test can run here; prints one line when not.
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn can_run(programs: &[&str]) -> bool {
    if !maru_testkit::is_root() {
        println!("skipped: containers need root");
        return false;
    }
    for program in programs {
        if find_program(program).is_none() {
            println!("skipped: the program {program} is not installed");
            return false;
        }
    }
    true
}

/// Returns where a program is.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

/// A running Maru on a host of its own; stopped and looked after when dropped.
#[derive(Debug)]
pub struct System {
    host: Host,
    folder: TempDir,
    server: Option<Child>,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// Prepares a host without starting anything.
    #[must_use]
    pub fn new() -> Self {
        Self { host: Host::new(), folder: TempDir::new(), server: None }
    }

    /// Starts Maru and waits until its node is ready and the test image is there.
    #[must_use]
    pub fn start() -> Self {
        let mut system = Self::new();
        system.build_image();
        system.up();
        system
    }

    /// Returns the data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns a folder for a test's own files.
    #[must_use]
    pub fn folder(&self) -> &TempDir {
        &self.folder
    }

    /// Returns the host that everything runs on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Starts the server and waits until its node is ready; the pods of a server before it are adopted.
    pub fn up(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Returns the server's process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    /// Starts the server.
    ///
    /// # Panics
    /// When its log cannot be written.
    pub fn spawn(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))
            .expect("the log can be written");
        let mut command = self.command(&["up", "--node-name", "node"]);
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log).stdin(Stdio::null());
        self.server = Some(self.host.spawn(&mut command));
    }

    /// Waits until the node is ready.
    ///
    /// # Panics
    /// When the server ends before.
    pub fn wait_ready(&mut self) {
        wait_until_blocking(PATIENCE, "the node to be ready", || {
            if let Some(Ok(Some(status))) = self.server.as_mut().map(Child::try_wait) {
                panic!("the server ended with {status}:\n{}", self.server_log());
            }
            let ready = format!("\"pid\":{},", self.server_pid());
            let lock = self.data().join("lock");
            let lock = self.host.run(|| std::fs::read_to_string(lock).unwrap_or_default());
            if !lock.contains(&ready) || !lock.contains("\"ready\":true") {
                return false;
            }
            let node = self.try_maru(&["--json", "get", "node", "node"]);
            node.status.success() && String::from_utf8_lossy(&node.stdout).contains("\"Ready\"")
        });
    }

    /// Kills the server as a crash would; the pods stay.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().expect("the server can be killed");
        server.wait().expect("the server can be waited for");
    }

    /// Stops the server in good order; the pods stay.
    ///
    /// # Panics
    /// When it is not running, or does not end well.
    pub fn terminate(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        self.host.output("kill", &["-TERM", &server.id().to_string()]);
        let status = server.wait().expect("the server can be waited for");
        assert!(status.success(), "the server ended with {status}:\n{}", self.server_log());
    }

    /// Returns what the server has logged.
    #[must_use]
    pub fn server_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Builds the test image from the machine's static busybox.
    ///
    /// # Panics
    /// When busybox is missing or the build fails.
    pub fn build_image(&self) {
        let busybox = find_program("busybox").expect("busybox is installed: apt-get install busybox-static");
        let context = self.folder.join("image");
        std::fs::create_dir_all(&context).expect("the folder can be written");
        std::fs::copy(busybox, context.join("busybox")).expect("busybox can be copied");
        self.folder.write(
            "image/Dockerfile",
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\nCMD [\"/bin/sh\"]\n",
        );
        self.maru(&["image", "build", "-t", IMAGE, &context.to_string_lossy()]);
    }

    /// Returns a command of the built binary on this host's data.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        Self::command_on(&self.data(), arguments)
    }

    /// Returns a command of the built binary on another data folder.
    #[must_use]
    pub fn command_on(data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.env_remove("KUBECONFIG").arg("--data").arg(data).args(arguments);
        command
    }

    /// Runs the built binary and returns how it ended.
    #[must_use]
    pub fn try_maru(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null());
        self.run(&mut command)
    }

    /// Runs the built binary with these arguments alone and returns how it ended.
    #[must_use]
    pub fn try_maru_as_is(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.env_remove("KUBECONFIG").args(arguments).stdin(Stdio::null());
        self.run(&mut command)
    }

    /// Runs the built binary and returns its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn maru(&self, arguments: &[&str]) -> String {
        self.succeeded("maru", arguments, &self.try_maru(arguments))
    }

    /// Runs the built binary and returns what it complained about.
    ///
    /// # Panics
    /// When it succeeds.
    #[must_use]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.try_maru(arguments);
        assert!(!output.status.success(), "maru {} was to fail", arguments.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs kubectl and returns how it ended.
    #[must_use]
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("kubectl");
        command
            .env("HOME", self.folder.path())
            .arg("--kubeconfig")
            .arg(self.data().join("admin.kubeconfig"))
            .args(arguments)
            .stdin(Stdio::null());
        self.run(&mut command)
    }

    /// Runs kubectl and returns its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.succeeded("kubectl", arguments, &self.try_kubectl(arguments))
    }

    /// Returns a program's output; fails the test with everything that was said when the program failed.
    fn succeeded(&self, program: &str, arguments: &[&str], output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{program} {} ended with {}:\n{}{}\nserver log:\n{}",
            arguments.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr),
            self.server_log()
        );
        text(&output.stdout)
    }

    fn run(&self, command: &mut Command) -> Output {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.host.spawn(command).wait_with_output().expect("the program can be waited for")
    }

    /// Applies manifests.
    pub fn apply(&self, manifests: &str) -> String {
        let path = self.folder.write("manifests.yaml", manifests);
        self.maru(&["apply", "-f", &path.to_string_lossy()])
    }

    /// Returns an object.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn object(&self, namespace: &str, kind: &str, name: &str) -> Value {
        let text = self.maru(&["-n", namespace, "--json", "get", kind, name]);
        serde_json::from_str(&text).expect("the answer is JSON")
    }

    /// Returns the objects of a kind.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn objects(&self, namespace: &str, kind: &str) -> Vec<Value> {
        let text = self.maru(&["-n", namespace, "--json", "get", kind]);
        let list: Value = serde_json::from_str(&text).expect("the answer is JSON");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until `probe` says true.
    pub fn wait(&self, what: &str, probe: impl FnMut() -> bool) {
        wait_until_blocking(PATIENCE, format!("{what}\nserver log:\n{}", self.server_log()), probe);
    }

    /// Asks a URL on this host and returns status and body; status 0 when nobody answers.
    #[must_use]
    pub fn http(&self, url: &str, arguments: &[&str]) -> (u16, String) {
        let mut words = vec!["-s", "-k", "-m", "10", "-w", "\n%{http_code}", url];
        words.extend(arguments);
        let output = self.run(Command::new("curl").args(&words).stdin(Stdio::null()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let output = self.try_maru(&["down", "--delete-data"]);
        if let Some(mut server) = self.server.take() {
            // It has ended with `down`; a kill of what is gone already changes nothing.
            drop(server.kill());
            drop(server.wait());
        }
        if !output.status.success() && !std::thread::panicking() {
            panic!("maru down failed: {}\n{}", String::from_utf8_lossy(&output.stderr), self.server_log());
        }
    }
}
