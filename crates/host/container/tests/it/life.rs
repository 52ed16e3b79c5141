//! Starting, ending, signals, logs.

use maru_container::{ContainerConfig, ContainerId, ContainerPhase, LogLimits, Resources, ShimError};

use crate::pod::{Pod, sh, skip};

#[tokio::test]
async fn a_container_runs_and_its_end_is_known() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let started = pod.start("app", sh("echo out; echo err >&2; exit 3")).await.unwrap();
    assert!(started.pid > 1);
    let status = pod.exit("app").await;
    assert_eq!((status.code, status.signal, status.oom_killed), (3, None, false));
    assert!(status.finished_at >= status.started_at);
    let log = std::fs::read_to_string(pod.log_path(&ContainerId::new("app", 0))).unwrap();
    assert!(log.contains(" stdout F out\n") && log.contains(" stderr F err\n"), "{log}");
    pod.finish().await;
}
