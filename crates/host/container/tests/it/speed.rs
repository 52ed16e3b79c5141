//! How long a start takes; run with `--ignored --nocapture`.

use maru_container::{ContainerConfig, ContainerId, RuntimeKind};

use crate::pod::{Pod, program, skip};

#[tokio::test]
#[ignore = "a measurement"]
async fn start_time() {
    if skip() {
        return;
    }
    measure(RuntimeKind::Embedded).await;
    if std::path::Path::new("/usr/sbin/runc").exists() {
        measure(RuntimeKind::External("/usr/sbin/runc".into())).await;
    }
}

async fn measure(runtime: RuntimeKind) {
    println!("{runtime:?}");
    let pod = Pod::with(runtime).await;
    let (mut starts, mut removals, mut execs) = (Vec::new(), Vec::new(), Vec::new());
    pod.start("base", ContainerConfig { args: vec!["sleep".into(), "1000".into()], ..ContainerConfig::default() })
        .await
        .unwrap();
    for number in 0..30 {
        let config = ContainerConfig { args: vec!["true".into()], ..ContainerConfig::default() };
        let name = format!("c{number}");
        let before = tokio::time::Instant::now();
        pod.start(&name, config).await.unwrap();
        starts.push(before.elapsed());
        pod.exit(&name).await;
        let before = tokio::time::Instant::now();
        pod.shim.remove(&ContainerId::new(name, 0)).await.unwrap();
        removals.push(before.elapsed());
        let before = tokio::time::Instant::now();
        pod.exec("base", program(&["true"])).await;
        execs.push(before.elapsed());
    }
    for (what, mut times) in [("start", starts), ("remove", removals), ("exec to end", execs)] {
        times.sort();
        println!("{what}: p50 {:?} p95 {:?} min {:?}", times[15], times[28], times[0]);
    }
    pod.finish().await;
}
