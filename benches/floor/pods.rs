//! One container's start and end, beside `runc run` on the same root file system.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use maru_benches::{Row, median_millis};
use maru_container::{ContainerConfig, ContainerId, LogLimits, RuntimeKind, Shim, ShimOptions, StartRequest};
use maru_testkit::TempDir;
use tokio::time::Instant;

const RUNS: u32 = 40;

pub(super) fn run() -> Vec<Row> {
    let folder = TempDir::new();
    let rootfs = folder.join("rootfs");
    std::fs::create_dir_all(rootfs.join("bin")).expect("the folder can be written");
    let busybox = maru_tests::find_program("busybox").expect("checked before");
    std::fs::copy(busybox, rootfs.join("bin/true")).expect("busybox can be copied");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let mut ours = runtime.block_on(shim(&folder, &rootfs));
    let peer =
        maru_tests::find_program("runc").map(|_| ("runc".to_owned(), median_millis(&mut runc(&folder, &rootfs))));
    vec![Row {
        what: "container start to started (runc: run -d), p50 of 40, ms".to_owned(),
        maru: median_millis(&mut ours),
        peer,
        budget: "150 a pod".to_owned(),
    }]
}

async fn shim(folder: &TempDir, rootfs: &Path) -> Vec<Duration> {
    let instance = maru_ids::random_suffix(6);
    let directory = folder.join("pod");
    std::fs::create_dir_all(&directory).expect("the folder can be written");
    let shim = Shim::spawn(ShimOptions {
        executable: Some(maru_tests::binary()),
        directory,
        pod_uid: "bench".to_owned(),
        cgroup: format!("/maru-bench-{instance}/pod"),
        runtime: RuntimeKind::default(),
    })
    .await
    .expect("the shim starts");
    let mut durations = Vec::new();
    for attempt in 0..RUNS {
        let config = ContainerConfig { args: vec!["/bin/true".to_owned()], ..ContainerConfig::default() };
        let id = ContainerId { name: "main".to_owned(), attempt };
        let request = StartRequest {
            id: id.clone(),
            rootfs: rootfs.to_owned(),
            config,
            log_path: None,
            log_limits: LogLimits::default(),
        };
        let started = Instant::now();
        shim.start(request).await.expect("the container starts");
        durations.push(started.elapsed());
        // Removal waits for the end by itself or is tried again.
        while shim.remove(&id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    shim.shutdown().await.expect("the shim stops");
    if let Some(parent) = shim.cgroup().parent() {
        parent.remove().expect("the cgroup can be removed");
    }
    durations
}

fn runc(folder: &TempDir, rootfs: &Path) -> Vec<Duration> {
    let bundle = folder.join("bundle");
    std::fs::create_dir_all(&bundle).expect("the folder can be written");
    let done = Command::new("runc").arg("spec").current_dir(&bundle).status().expect("runc runs");
    assert!(done.success(), "runc spec ended with {done}");
    let path = bundle.join("config.json");
    let text = std::fs::read_to_string(&path).expect("runc wrote it");
    let mut spec: serde_json::Value = serde_json::from_str(&text).expect("runc wrote JSON");
    spec["process"]["args"] = serde_json::json!(["/bin/true"]);
    spec["process"]["terminal"] = serde_json::json!(false);
    spec["process"]["rlimits"] = serde_json::json!([]);
    spec["root"]["path"] = serde_json::json!(rootfs);
    std::fs::write(&path, spec.to_string()).expect("the folder can be written");
    let root = folder.join("runc");
    let runc = |arguments: &[&str]| {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&root).args(arguments).current_dir(&bundle);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("runc runs").success()
    };
    let mut durations = Vec::new();
    for number in 0..RUNS {
        let name = format!("maru-bench-{number}");
        let started = Instant::now();
        assert!(runc(&["run", "-d", &name]), "runc run failed");
        durations.push(started.elapsed());
        assert!(runc(&["delete", "--force", &name]), "runc delete failed");
    }
    durations
}
