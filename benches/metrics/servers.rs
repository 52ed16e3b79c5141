//! Starting, stopping and looking at the servers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use maru_testkit::{TempDir, free_port};

use crate::wire::{Connection, try_get};
use crate::{PATIENCE, now};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Maru,
    Prometheus,
    Victoria,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Maru, Self::Prometheus, Self::Victoria];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Maru => "Maru",
            Self::Prometheus => "Prometheus",
            Self::Victoria => "VictoriaMetrics",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Maru => "maru",
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        match self {
            Self::Maru => true,
            Self::Prometheus => maru_tests::find_program("prometheus").is_some(),
            Self::Victoria => maru_tests::find_program("victoria-metrics").is_some(),
        }
    }

    /// Changes a path so that no cached result is measured.
    pub(crate) fn query_path(self, path: &str) -> String {
        if self == Self::Victoria { format!("{path}&nocache=1") } else { path.to_owned() }
    }
}

/// A running server with its data.
pub(crate) struct Server {
    kind: Kind,
    child: Child,
    port: u16,
    folder: TempDir,
    /// From the start of the process to its first answer.
    pub(crate) start_seconds: f64,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        let (folder, port) = (TempDir::new(), free_port());
        let started = now();
        let child = spawn(kind, folder.path(), port);
        let mut server = Self { kind, child, port, folder, start_seconds: 0.0 };
        server.wait("/api/v1/query?query=1", |status, _| status == 200);
        server.start_seconds = started.elapsed().as_secs_f64();
        server
    }

    /// Ends the server by a signal, starts it on the same data and waits until it knows its series again.
    pub(crate) fn restart(&mut self, probe: &str) {
        self.terminate();
        let started = now();
        self.child = spawn(self.kind, self.folder.path(), self.port);
        let probe = self.kind.query_path(probe);
        self.wait(&probe, |status, body| status == 200 && !String::from_utf8_lossy(body).contains("\"result\":[]"));
        self.start_seconds = started.elapsed().as_secs_f64();
    }

    fn wait(&self, path: &str, good: impl Fn(u16, &[u8]) -> bool) {
        let started = now();
        loop {
            if try_get(self.port, path).is_some_and(|(status, body)| good(status, &body)) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{} does not answer {path}", self.kind.name());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes what was written visible to queries, where that takes more than waiting.
    pub(crate) fn show_written(&self) {
        if self.kind == Kind::Victoria {
            self.get("/internal/force_flush");
        }
    }

    /// Brings the data into its final form on disk and returns its bytes.
    pub(crate) fn close_blocks(&self) -> f64 {
        match self.kind {
            Kind::Maru => {
                self.post("/api/v1/admin/tsdb/flush");
                folder_bytes(&self.folder.join("metrics/blocks"))
            }
            Kind::Prometheus => {
                self.post("/api/v1/admin/tsdb/snapshot");
                folder_bytes(&self.folder.join("data/snapshots"))
            }
            Kind::Victoria => {
                self.get("/internal/force_merge");
                // The merge runs on; parts get fewer until it is done.
                let (mut last, mut same) = (f64::NAN, 0);
                while same < 10 {
                    std::thread::sleep(Duration::from_millis(200));
                    let bytes = self.bytes_on_disk();
                    same = if (bytes - last).abs() < 1.0 { same + 1 } else { 0 };
                    last = bytes;
                }
                last
            }
        }
    }

    fn get(&self, path: &str) {
        let (status, body) = Connection::open(self.port).get(path);
        assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&body));
    }

    fn post(&self, path: &str) {
        let (status, body) = Connection::open(self.port).post(path, "", &[]);
        assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&body));
    }

    /// Returns the bytes of blocks that hold no sample of their own, but minima, maxima, sums and counts for fast long ranges.
    pub(crate) fn downsampled_bytes(&self) -> f64 {
        if self.kind != Kind::Maru {
            return 0.0;
        }
        let (_, body) = Connection::open(self.port).get("/api/v1/status/tsdb/blocks");
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let blocks = answer["data"]["blocks"].as_array().cloned().unwrap_or_default();
        let own = blocks.iter().filter(|block| block["resolution"].as_i64().unwrap_or_default() > 0);
        own.map(|block| block["stats"]["numBytes"].as_f64().unwrap_or_default()).sum()
    }

    pub(crate) fn bytes_on_disk(&self) -> f64 {
        folder_bytes(self.folder.path())
    }

    /// Returns the most memory that was resident at one time.
    pub(crate) fn peak_megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    fn terminate(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap_or_default();
        drop(self.child.wait());
    }

    pub(crate) fn stop(mut self) {
        self.terminate();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(kind: Kind, folder: &Path, port: u16) -> Child {
    let (address, path) = (format!("127.0.0.1:{port}"), folder.to_string_lossy().into_owned());
    let mut command = match kind {
        Kind::Maru => {
            let mut command = Command::new(maru_tests::binary());
            command.args([
                "metrics",
                "--data",
                &path,
                "--listen",
                &address,
                "--no-authentication",
                "--enable-admin-api",
            ]);
            command
        }
        Kind::Prometheus => {
            let configuration = folder.join("prometheus.yml");
            std::fs::write(&configuration, "global: {}\n").expect("the folder is writable");
            let mut command = Command::new("prometheus");
            command.args([
                &format!("--config.file={}", configuration.display()),
                &format!("--storage.tsdb.path={path}/data"),
                &format!("--web.listen-address={address}"),
                "--web.enable-remote-write-receiver",
                "--web.enable-admin-api",
                "--log.level=error",
            ]);
            command
        }
        Kind::Victoria => {
            let mut command = Command::new("victoria-metrics");
            command.args([
                &format!("-storageDataPath={path}/data"),
                &format!("-httpListenAddr={address}"),
                "-search.latencyOffset=0s",
                "-retentionPeriod=1",
                "-loggerLevel=ERROR",
            ]);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the server starts")
}

/// Returns the bytes that a folder takes on disk, as the file system counts them.
fn folder_bytes(folder: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(entries) = std::fs::read_dir(folder) else { return 0.0 };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.metadata().ok().map(|metadata| (entry.path(), metadata)))
        .map(|(path, metadata)| {
            if metadata.is_dir() {
                folder_bytes(&path)
            } else {
                f64::from(u32::try_from(metadata.blocks()).unwrap_or(u32::MAX)) * 512.0
            }
        })
        .sum()
}
