//! One-off containers.

use std::path::Path;
use std::time::Duration;

use maru_container::{Cgroup, ContainerConfig, OutputStream, RunConfig, RuntimeKind, ShimError, run};
use maru_testkit::wait_until;

use crate::pod::{HELPER, PATIENCE, make_rootfs, sh, skip, unique_cgroup};

struct Place {
    directory: tempfile::TempDir,
    parent: Cgroup,
    cgroup: Cgroup,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_rootfs(&directory.path().join("rootfs"));
        let (parent, cgroup) = unique_cgroup();
        Self { directory, parent, cgroup }
    }

    fn config(&self, container: ContainerConfig) -> RunConfig {
        RunConfig {
            executable: Some(HELPER.into()),
            directory: self.directory.path().join("run"),
            rootfs: self.directory.path().join("rootfs"),
            container,
            cgroup: self.cgroup.path().into(),
            runtime: RuntimeKind::Embedded,
            timeout: None,
        }
    }

    fn is_clean(&self) -> bool {
        let empty = |path: &Path| std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        !self.cgroup.exists() && empty(&self.directory.path().join("run"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = self.parent.remove() {
            eprintln!("{error}");
        }
    }
}

#[tokio::test]
async fn output_is_streamed_and_nothing_is_left() {
    if skip() {
        return;
    }
    let place = Place::new();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let take = |stream, bytes: &[u8]| match stream {
        OutputStream::Stdout => output.extend_from_slice(bytes),
        OutputStream::Stderr => errors.extend_from_slice(bytes),
    };
    let status = run(place.config(sh("seq 1 50000; echo bad >&2; touch /made; exit 2")), take).await.unwrap();
    assert_eq!((status.code, String::from_utf8(errors).unwrap().as_str()), (2, "bad\n"));
    let text = String::from_utf8(output).unwrap();
    assert_eq!(text.lines().count(), 50_000);
    assert!(text.ends_with("\n50000\n"));
    assert!(place.directory.path().join("rootfs/made").exists());
    assert!(place.is_clean());
    // The same directory and cgroup again.
    let status = run(place.config(sh("true")), |_, _| {}).await.unwrap();
    assert!(status.is_success() && place.is_clean());
}

#[tokio::test]
async fn a_failure_says_why_and_leaves_nothing() {
    if skip() {
        return;
    }
    let place = Place::new();
    let config = ContainerConfig { args: vec!["foo".into()], ..ContainerConfig::default() };
    let error = run(place.config(config), |_, _| {}).await.unwrap_err();
    assert!(
        matches!(&error, ShimError::Start { message } if message == "executable \"foo\" not found in $PATH"),
        "{error}"
    );
    assert!(place.is_clean());
    let error = run(place.config(ContainerConfig::default()), |_, _| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "the container has no command");
    assert!(place.is_clean());
}

#[tokio::test]
async fn a_timeout_kills_everything() {
    if skip() {
        return;
    }
    let place = Place::new();
    let config = RunConfig { timeout: Some(Duration::from_millis(300)), ..place.config(sh("sleep 1000 & sleep 1000")) };
    let status = run(config, |_, _| {}).await.unwrap();
    assert_eq!(status.signal, Some(9));
    assert!(place.is_clean());
}

#[tokio::test]
async fn a_dropped_run_kills_everything() {
    if skip() {
        return;
    }
    let place = Place::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    let running = run(place.config(sh("echo up; sleep 1000")), |_, _| {
        if let Some(sender) = sender.take() {
            sender.send(()).unwrap();
        }
    });
    tokio::select! {
        _ = running => panic!("it ended"),
        up = receiver => up.unwrap(),
    }
    assert!(place.cgroup.exists());
    wait_until(PATIENCE, "the clean-up", || async { place.is_clean() }).await;
}
