//! What a container may and may not do.

use std::collections::BTreeMap;

use maru_container::{
    Capabilities, Cgroup, ContainerConfig, ContainerId, ContainerPhase, Device, Mount, MountSource, Namespace,
    Namespaces, Propagation, Resources, Rlimit, Seccomp, User,
};

use crate::pod::{Pod, program, sh, skip};

fn plain() -> ContainerConfig {
    ContainerConfig::default()
}

#[tokio::test]
async fn running_out_of_memory_is_reported() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let resources = Resources::default().memory_limit(16 * 1024 * 1024);
    let hog = ContainerConfig { resources, ..sh("exec tail /dev/zero") };
    pod.start("hog", hog.clone()).await.unwrap();
    let status = pod.exit("hog").await;
    assert_eq!((status.code, status.signal, status.oom_killed), (137, Some(9), true));
    // A child that is killed marks the container, too.
    pod.start("parent", ContainerConfig { args: sh("tail /dev/zero; exit 0").args, ..hog }).await.unwrap();
    let status = pod.exit("parent").await;
    assert_eq!((status.code, status.oom_killed), (0, true));
    assert!(pod.cgroup.stats().unwrap().oom_kills >= 2);
    pod.finish().await;
}

#[tokio::test]
async fn limits_and_uses_are_those_of_the_cgroup() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.cgroup.create(&Resources::default().memory_limit(256 * 1024 * 1024).cpu_request_millis(500)).unwrap();
    assert_eq!(pod.cgroup.stats().unwrap().memory_limit_bytes, Some(256 * 1024 * 1024));
    // Again, higher and lower.
    for mebibytes in [512, 128] {
        pod.cgroup.create(&Resources::default().memory_limit(mebibytes * 1024 * 1024)).unwrap();
        assert_eq!(pod.cgroup.stats().unwrap().memory_limit_bytes, Some(mebibytes * 1024 * 1024));
    }
    let mut resources =
        Resources::default().memory_limit(64 * 1024 * 1024).cpu_limit_millis(250).cpu_request_millis(100);
    resources.pids_max = Some(20);
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000";
    pod.start("app", ContainerConfig { resources, ..sh(script) }).await.unwrap();
    maru_testkit::wait_until(crate::pod::PATIENCE, "work", || async { pod.output("app").contains("done") }).await;
    let stats = pod.shim.container_cgroup(&ContainerId::new("app", 0)).stats().unwrap();
    assert_eq!(stats.memory_limit_bytes, Some(64 * 1024 * 1024));
    assert!(stats.memory_current_bytes > 0 && stats.memory_current_bytes >= stats.memory_working_set_bytes);
    assert!(stats.cpu_usage.as_millis() > 1, "{stats:?}");
    assert!((1..=2).contains(&stats.pids));
    let (status, _, errors) = pod.exec("app", program(&["sh", "-c", "for i in $(seq 40); do sleep 5 & done"])).await;
    assert!(status.code != 0 && errors.contains("can't fork"), "{status:?} {errors}");
    assert!(Cgroup::at("/maru-test-none").stats().is_err());
    pod.finish().await;
}

/// The default profile is in force with and without no-new-privileges, for root and for others.
#[tokio::test]
async fn blocked_system_calls_fail_and_others_work() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    // unshare(1) needs no capability for a user namespace: only the filter refuses it.
    let script = "exec 2>&1; unshare -U true; echo $?; grep Seccomp: /proc/self/status; mkdir /tmp/$0 && echo made";
    let args = |name: &str| vec!["/bin/sh".into(), "-c".into(), script.into(), name.to_owned()];
    std::fs::set_permissions(pod.path("rootfs/tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let mut number = 0;
    for no_new_privileges in [false, true] {
        for user in ["", "app"] {
            number += 1;
            let name = format!("confined{number}");
            let user = User { user: user.into(), ..User::default() };
            pod.start(&name, ContainerConfig { args: args(&name), no_new_privileges, user, ..plain() }).await.unwrap();
            pod.exit(&name).await;
            let output = pod.output(&name);
            assert!(output.contains("unshare(0x10000000): Operation not permitted"), "{output}");
            assert!(output.ends_with("1\nSeccomp:\t2\nmade\n"), "{output}");
        }
    }
    // Also for programs in the container.
    pod.start("base", sh("sleep 1000")).await.unwrap();
    let (status, _, errors) = pod.exec("base", program(&["unshare", "-U", "true"])).await;
    assert!(status.code == 1 && errors.contains("Operation not permitted"), "{status:?} {errors}");
    // The name of a system call that this container's profile does not have is as good as none.
    let (_, output) = pod
        .script("free", "unshare -U true; echo $?", ContainerConfig { seccomp: Seccomp::Unconfined, ..plain() })
        .await;
    assert_eq!(output, "0\n");
    pod.finish().await;
}

#[tokio::test]
async fn a_profile_of_the_host_is_enforced() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let profile = pod.path("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1},
        {"names":["kill"],"action":"SCMP_ACT_ERRNO","errnoRet":22,"args":[{"index":1,"value":10,"op":"SCMP_CMP_EQ"}]}]}"#;
    std::fs::write(&profile, text).unwrap();
    let script = "mkdir /tmp/x; kill -USR1 $$; trap '' USR2; kill -USR2 $$ && echo alive";
    for (name, no_new_privileges) in [("one", false), ("two", true)] {
        let seccomp = Seccomp::Localhost(profile.clone());
        let (status, output) =
            pod.script(name, script, ContainerConfig { seccomp, no_new_privileges, ..plain() }).await;
        assert!(output.contains("can't create directory '/tmp/x': Operation not permitted"), "{output}");
        assert!(output.contains("Invalid argument") && output.contains("alive\n"), "{output}");
        assert_eq!(status.code, 0);
    }
    pod.finish().await;
}

#[tokio::test]
async fn capabilities_are_those_granted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '";
    std::os::unix::fs::symlink("busybox", pod.rootfs().join("bin/cut")).unwrap();
    let sets = |capabilities: Capabilities| ContainerConfig { capabilities, ..plain() };
    // The default of container engines without MKNOD (bit 27).
    let (none, default) = ("0000000000000000", "00000000a00425fb");
    let (_, output) = pod.script("default", script, plain()).await;
    let words: Vec<&str> = output.split_ascii_whitespace().collect();
    assert_eq!(
        words,
        [none, "00000000a00425fb", "00000000a00425fb", "00000000a00425fb", none].map(|text| text),
        "{default}"
    );
    let dropped = sets(Capabilities { drop: vec!["ALL".into()], add: vec!["NET_BIND_SERVICE".into()] });
    let (_, output) = pod.script("few", script, dropped).await;
    let words: Vec<&str> = output.split_ascii_whitespace().collect();
    assert_eq!(words[1..4], ["0000000000000400"; 3]);
    let user = User { user: "app".into(), ..User::default() };
    let (_, output) = pod.script("user", script, ContainerConfig { user, ..plain() }).await;
    let words: Vec<&str> = output.split_ascii_whitespace().collect();
    assert_eq!(words, [none, none, none, default, none]);
    let (status, output) = pod.script("mknod", "mknod /tmp/disk b 8 0", plain()).await;
    assert!(status.code == 1 && output.contains("Operation not permitted"), "{output}");
    pod.finish().await;
}

#[tokio::test]
async fn the_user_and_groups_are_those_of_the_image() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let as_user = |user: User| ContainerConfig { user, ..plain() };
    let app = User { user: "app".into(), additional_groups: vec![2000], ..User::default() };
    let (_, output) = pod.script("app", "id -u; id -g; id -G; echo $HOME", as_user(app)).await;
    assert_eq!(output, "1000\n1001\n1001 50 2000\n/home/app\n");
    // The daemon's own supplementary groups are not inherited.
    let number = User { user: "4711:12".into(), ..User::default() };
    let (_, output) = pod.script("number", "id -u; id -G; echo $HOME", as_user(number)).await;
    assert_eq!(output, "4711\n12\n/\n");
    pod.finish().await;
}

#[tokio::test]
async fn file_systems_are_protected() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    for directory in ["volume", "readonly"] {
        std::fs::create_dir(pod.path(directory)).unwrap();
    }
    let config = ContainerConfig {
        read_only_root: true,
        working_directory: "/data/new/place".into(),
        mounts: vec![
            Mount::bind(pod.path("volume"), "/data"),
            Mount::bind(pod.path("readonly"), "/fixed").read_only(),
            Mount {
                source: MountSource::Tmpfs { size_bytes: Some(1024 * 1024) },
                target: "/scratch".into(),
                read_only: false,
                propagation: Propagation::Private,
                options: vec!["noexec".into()],
            },
        ],
        ..plain()
    };
    let script = "pwd; touch /x; touch /fixed/x; touch here && echo written; head -c 2000000 /dev/zero > /scratch/x; \
                  cat /proc/kcore | wc -c; echo 1 > /proc/sys/kernel/panic; touch /sys/x; ls -d /dev/pts/ptmx; \
                  echo null > /dev/null && echo null works; grep -c ' /sys/fs/cgroup' /proc/mounts";
    let (_, output) = pod.script("app", script, config).await;
    for expected in [
        "/data/new/place\n",
        "touch: /x: Read-only file system\n",
        "touch: /fixed/x: Read-only file system\n",
        "written\n",
        "head: standard output: ",
        "/proc/sys/kernel/panic: Read-only file system\n",
        "touch: /sys/x: ",
        "/dev/pts/ptmx\n",
        "null works\n",
    ] {
        assert!(output.contains(expected), "no {expected:?} in {output}");
    }
    assert!(output.contains("\n0\n"), "kcore is not masked: {output}");
    assert!(pod.path("volume/new/place/here").exists());
    pod.finish().await;
}

#[tokio::test]
async fn namespaces_are_new_shared_or_the_hosts() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let script = "for n in net ipc uts pid cgroup mnt; do readlink /proc/self/ns/$n; done; hostname";
    std::os::unix::fs::symlink("busybox", pod.rootfs().join("bin/readlink")).unwrap();
    let host: Vec<String> = ["net", "ipc", "uts", "pid", "cgroup", "mnt"]
        .map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string())
        .to_vec();
    let hostname = Some("inside".to_owned());
    let (_, output) = pod.script("own", script, ContainerConfig { hostname: hostname.clone(), ..plain() }).await;
    let own: Vec<&str> = output.lines().collect();
    assert!((0..6).all(|at| own[at] != host[at]), "{output}");
    assert_eq!(own[6], "inside");
    let namespaces = Namespaces {
        network: Namespace::Host,
        ipc: Namespace::Host,
        uts: Namespace::Host,
        pid: Namespace::Host,
        cgroup: Namespace::New,
    };
    let (_, output) = pod.script("host", script, ContainerConfig { namespaces, hostname, ..plain() }).await;
    let shared: Vec<&str> = output.lines().collect();
    assert!((0..4).all(|at| shared[at] == host[at]), "{output}");
    assert_ne!(shared[6], "inside");
    // A process in the host's process namespace does not outlive its container.
    let namespaces = Namespaces { pid: Namespace::Host, ..Namespaces::default() };
    let (_, output) = pod.script("leaver", "sleep 1000 & echo $!", ContainerConfig { namespaces, ..plain() }).await;
    let pid: i32 = output.trim().parse().unwrap();
    maru_testkit::wait_until(crate::pod::PATIENCE, "its end", || async { !crate::pod::is_alive(pid) }).await;

    let first = pod.start("first", sh("sleep 1000")).await.unwrap();
    let path = |name: &str| Namespace::Path(format!("/proc/{}/ns/{name}", first.pid).into());
    let namespaces = Namespaces {
        network: path("net"),
        ipc: path("ipc"),
        uts: path("uts"),
        pid: path("pid"),
        ..Namespaces::default()
    };
    let sysctls = BTreeMap::from([("net.core.somaxconn".to_owned(), "777".to_owned())]);
    let script = "cat /proc/1/comm /proc/sys/net/core/somaxconn; readlink /proc/self/ns/net";
    let (_, output) = pod.script("second", script, ContainerConfig { namespaces, sysctls, ..plain() }).await;
    let net = std::fs::read_link(format!("/proc/{}/ns/net", first.pid)).unwrap();
    assert_eq!(output, format!("sleep\n777\n{}\n", net.display()));
    pod.finish().await;
}

#[tokio::test]
async fn limits_of_processes_are_clamped() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let nofile = |soft, hard| Rlimit { kind: "RLIMIT_NOFILE".into(), soft, hard };
    let config = ContainerConfig {
        rlimits: vec![nofile(100, 200)],
        oom_score_adjustment: Some(900),
        umask: Some(0o027),
        ..plain()
    };
    let script = "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; umask";
    let (_, output) = pod.script("low", script, config).await;
    assert_eq!(output, "100\n200\n900\n0027\n");
    // More than is permitted here is no error.
    let high = ContainerConfig {
        rlimits: vec![nofile(u64::from(u32::MAX), u64::from(u32::MAX))],
        oom_score_adjustment: Some(-999),
        ..plain()
    };
    let (status, _) = pod.script("high", "true", high).await;
    assert_eq!(status.code, 0);
    let states = pod.shim.states().await.unwrap();
    assert!(states.containers.iter().all(|state| matches!(state.phase, ContainerPhase::Exited(_))));
    pod.finish().await;
}

#[tokio::test]
async fn a_privileged_container_sees_the_hosts_devices() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let script = "grep Seccomp: /proc/self/status; mount -t tmpfs none /tmp && echo mounted; mknod /tmp/null c 1 3 && echo made; \
                  touch /proc/sys/kernel/hostname && echo writable";
    let (_, output) = pod.script("app", script, ContainerConfig { privileged: true, ..plain() }).await;
    assert_eq!(output, "Seccomp:\t0\nmounted\nmade\nwritable\n");
    pod.finish().await;
}

#[tokio::test]
async fn devices_are_those_granted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    // The kernel's log: in no container unless granted.
    let config = |devices: Vec<Device>| ContainerConfig {
        capabilities: Capabilities { add: vec!["MKNOD".into(), "SYSLOG".into()], drop: Vec::new() },
        devices,
        ..plain()
    };
    let script = "mknod /tmp/$0 c 1 11 && echo made; (: < /tmp/$0) && echo opened; (: < /dev/zero) && echo usual";
    let args = |name: &str| vec!["/bin/sh".into(), "-c".into(), script.into(), name.to_owned()];
    pod.start("none", ContainerConfig { args: args("none"), ..config(Vec::new()) }).await.unwrap();
    pod.exit("none").await;
    let output = pod.output("none");
    assert!(output.contains("made\n") && output.contains("usual\n") && !output.contains("opened"), "{output}");
    assert!(output.contains("Operation not permitted"), "{output}");
    let kmsg = Device {
        host_path: "/dev/kmsg".into(),
        container_path: "/dev/log-of-kernel".into(),
        permissions: "rwm".into(),
    };
    pod.start("some", ContainerConfig { args: args("some"), ..config(vec![kmsg]) }).await.unwrap();
    pod.exit("some").await;
    let output = pod.output("some");
    assert!(output.contains("opened\n"), "{output}");
    pod.finish().await;
}
