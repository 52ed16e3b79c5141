//! Other runtimes on the same bundles.

use std::path::PathBuf;

use maru_container::{Capabilities, ContainerConfig, ContainerId, Resources, RuntimeKind, ShimError, User};

use crate::pod::{Pod, program, sh, skip};

fn installed() -> Vec<PathBuf> {
    ["/usr/sbin/runc", "/usr/bin/runc", "/usr/bin/crun"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| path.exists())
        .collect()
}

/// crun refuses hosts with both versions of cgroups.
fn can_run(runtime: &std::path::Path) -> bool {
    let hybrid = std::path::Path::new("/sys/fs/cgroup/unified").exists();
    !(hybrid && runtime.ends_with("crun"))
}

#[tokio::test]
async fn an_external_runtime_does_the_same() {
    if skip() {
        return;
    }
    let runtimes: Vec<PathBuf> = installed().into_iter().filter(|runtime| can_run(runtime)).collect();
    if runtimes.is_empty() {
        println!("tests of external runtimes are skipped: neither runc nor crun can run here (apt-get install runc)");
        return;
    }
    for runtime in runtimes {
        let pod = Pod::with(RuntimeKind::External(runtime)).await;
        let config = ContainerConfig {
            user: User { user: "app".into(), ..User::default() },
            capabilities: Capabilities { drop: vec!["ALL".into()], add: Vec::new() },
            no_new_privileges: true,
            resources: Resources::default().memory_limit(32 * 1024 * 1024),
            ..sh("id -u; grep -E 'CapBnd|Seccomp:' /proc/self/status; unshare -U true; sleep 0.3; exit 3")
        };
        pod.start("app", config).await.unwrap();
        let stats = pod.shim.container_cgroup(&ContainerId::new("app", 0)).stats().unwrap();
        assert_eq!(stats.memory_limit_bytes, Some(32 * 1024 * 1024));
        let (status, output, _) = pod.exec("app", program(&["sh", "-c", "id -u; exit 4"])).await;
        assert_eq!((status.code, output.as_str()), (4, "1000\n"));
        assert_eq!(pod.exit("app").await.code, 3);
        let output = pod.output("app");
        assert!(output.starts_with("1000\nCapBnd:\t0000000000000000\nSeccomp:\t2\n"), "{output}");
        assert!(output.contains("unshare(0x10000000): Operation not permitted"), "{output}");

        let error =
            pod.start("missing", ContainerConfig { args: vec!["foo".into()], ..ContainerConfig::default() }).await;
        assert!(matches!(&error, Err(ShimError::Start { message }) if message.contains("foo")), "{error:?}");
        let tty = ContainerConfig { tty: true, ..sh("tty; sleep 1000") };
        pod.start("tty", tty).await.unwrap();
        maru_testkit::wait_until(crate::pod::PATIENCE, "output", || async { pod.output("tty").contains("/dev/") })
            .await;
        pod.finish().await;
    }
}
