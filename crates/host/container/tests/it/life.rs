//! Starting, ending, signals, logs, survival.

use std::time::Duration;

use maru_container::{ContainerConfig, ContainerId, ContainerPhase, LogLimits, Shim, ShimError, stored_states};
use maru_testkit::wait_until;

use crate::pod::{HELPER, PATIENCE, Pod, is_alive, sh, skip};

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

#[tokio::test]
async fn signals_reach_the_first_process() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let id = ContainerId::new("polite", 0);
    pod.start("polite", sh("trap 'echo bye; exit 7' TERM; echo ready; while true; do sleep 0.1; done")).await.unwrap();
    wait_until(PATIENCE, "the trap", || async { pod.output("polite").contains("ready") }).await;
    pod.shim.signal(&id, libc::SIGTERM).await.unwrap();
    assert_eq!(pod.exit("polite").await.code, 7);
    assert!(pod.output("polite").ends_with("bye\n"));

    pod.start("deaf", sh("exec sleep 1000")).await.unwrap();
    pod.shim.signal(&ContainerId::new("deaf", 0), libc::SIGKILL).await.unwrap();
    let status = pod.exit("deaf").await;
    assert_eq!((status.code, status.signal), (137, Some(9)));
    // One that ended is no error, one that never was is.
    pod.shim.signal(&id, libc::SIGTERM).await.unwrap();
    let error = pod.shim.signal(&ContainerId::new("none", 0), libc::SIGTERM).await.unwrap_err();
    assert_eq!(error.to_string(), "the pod has no container none-0");
    pod.finish().await;
}

#[tokio::test]
async fn programs_start_with_default_signals() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let args = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"].map(str::to_owned).to_vec();
    pod.start("app", ContainerConfig { args, ..ContainerConfig::default() }).await.unwrap();
    pod.exit("app").await;
    let output = pod.output("app");
    assert_eq!(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    pod.finish().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    std::fs::write(pod.rootfs().join("bin/plain"), "text").unwrap();
    let script = pod.rootfs().join("bin/script");
    std::fs::write(&script, "#!/no/interpreter\n").unwrap();
    let binary = pod.rootfs().join("bin/binary");
    std::fs::write(&binary, [0x7f, b'E', b'L', b'F', 9, 9]).unwrap();
    for path in [&script, &binary] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let cases = [
        ("missing", "foo", "executable \"foo\" not found in $PATH"),
        ("path", "/no/foo", "executable \"/no/foo\" not found: no such file"),
        ("plain", "/bin/plain", "executable \"/bin/plain\": permission denied"),
        (
            "script",
            "script",
            "executable \"/bin/script\": the interpreter or dynamic loader that it names is not in the image",
        ),
        ("binary", "binary", "executable \"/bin/binary\": exec format error"),
    ];
    for (name, command, expected) in cases {
        let config = ContainerConfig { args: vec![command.into()], ..ContainerConfig::default() };
        let error = pod.start(name, config).await.unwrap_err();
        assert!(matches!(&error, ShimError::Start { message } if message.starts_with(expected)), "{name}: {error}");
        let states = pod.shim.states().await.unwrap();
        let phase = &states.containers.iter().find(|state| state.id.name == name).unwrap().phase;
        assert!(matches!(phase, ContainerPhase::Failed { .. }), "{phase:?}");
    }
    // A cause that only the kernel knows.
    let sysctls = [("net.no.such".to_owned(), "1".to_owned())].into();
    let error = pod.start("sysctl", ContainerConfig { sysctls, ..sh("true") }).await.unwrap_err();
    assert!(error.to_string().contains("net.no.such"), "{error}");
    let again = pod.start("missing", sh("true")).await.unwrap_err();
    assert_eq!(again.to_string(), "container missing-0 was started before");
    pod.finish().await;
}

#[tokio::test]
async fn logs_are_rotated_and_long_lines_are_parted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let id = ContainerId::new("app", 0);
    let mut request = pod.request(&id, sh("head -c 40000 /dev/zero | tr '\\0' a; echo; seq 1 20000; printf end"));
    request.log_limits = LogLimits { bytes_max: 200_000, files_max: 3 };
    pod.shim.start(request).await.unwrap();
    pod.exit("app").await;
    let read = |suffix: &str| std::fs::read_to_string(format!("{}{suffix}", pod.log_path(&id).display())).unwrap();
    let (newest, middle, oldest) = (read(""), read(".1"), read(".2"));
    assert!(newest.ends_with(" stdout F end\n"), "{newest}");
    assert!(!pod.path("logs/app-0.log.3").exists());
    assert!([&newest, &middle, &oldest].iter().all(|log| log.len() <= 200_000));
    // The rotated files follow each other without a gap.
    let number = |line: Option<&str>| line.unwrap().rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    assert_eq!(number(middle.lines().last()) + 1, number(newest.lines().next()));
    assert_eq!(number(oldest.lines().last()) + 1, number(middle.lines().next()));

    let mut request = pod.request(&ContainerId::new("long", 0), sh("head -c 40000 /dev/zero | tr '\\0' a; echo"));
    request.log_limits = LogLimits::default();
    pod.shim.start(request).await.unwrap();
    pod.exit("long").await;
    let log = std::fs::read_to_string(pod.log_path(&ContainerId::new("long", 0))).unwrap();
    let tags: Vec<&str> = log.lines().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(tags, ["P", "P", "F"]);
    pod.finish().await;
}

#[tokio::test]
async fn changes_are_waited_for_and_removed_containers_are_forgotten() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let first = pod.shim.states().await.unwrap();
    let waiting = pod.shim.wait_change(first.generation);
    let nothing = tokio::time::timeout(Duration::from_millis(100), waiting).await;
    assert!(nothing.is_err(), "nothing changed, yet {nothing:?}");
    let (change, started) = tokio::join!(pod.shim.wait_change(first.generation), pod.start("app", sh("sleep 1000")));
    let started = started.unwrap();
    assert_eq!(change.unwrap().containers.len(), 1);
    assert!(is_alive(started.pid));
    let id = ContainerId::new("app", 0);
    pod.shim.remove(&id).await.unwrap();
    assert!(!is_alive(started.pid));
    assert!(!pod.shim.container_cgroup(&id).exists());
    assert!(pod.shim.states().await.unwrap().containers.is_empty());
    pod.shim.remove(&id).await.unwrap();
    // The name is free again with the next attempt, and even with the same.
    pod.start("app", sh("true")).await.unwrap();
    pod.exit("app").await;
    pod.finish().await;
}

#[tokio::test]
async fn twenty_containers_start_at_once() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let starts = names.iter().map(|name| pod.start(name, sh("echo $HOSTNAME; exit 5")));
    for started in futures::future::join_all(starts).await {
        started.unwrap();
    }
    for name in &names {
        assert_eq!(pod.exit(name).await.code, 5);
    }
    pod.finish().await;
}

/// The daemon's part is played by a copy of this test that is killed.
#[tokio::test]
async fn containers_outlive_the_daemon_and_are_adopted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let setup = serde_json::json!({
        "directory": pod.path("second"), "pod_uid": "2", "cgroup": pod.cgroup.child("second").path(), "runtime": "Embedded",
    });
    // A daemon that starts a shim and is killed right after.
    let mut daemon = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{HELPER} __shim '{setup}' && echo up && kill -9 $$"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    assert!(!daemon.wait().unwrap().success());
    let shim = Shim::connect(&pod.path("second")).await.unwrap();
    assert_eq!(shim.pod_uid(), "2");
    let request = pod.request(&ContainerId::new("app", 0), sh("sleep 0.3; exit 9"));
    let started = shim.start(request).await.unwrap();
    // Another daemon, which knows the directory only.
    drop(shim);
    let shim = Shim::connect(&pod.path("second")).await.unwrap();
    let state = shim.states().await.unwrap();
    assert_eq!(state.containers.first().unwrap().phase, ContainerPhase::Running(started));
    assert!(matches!(stored_states(&pod.path("second")), Err(ShimError::Refused { .. })));
    let end = tokio::time::timeout(PATIENCE, shim.wait_change(state.generation)).await.unwrap().unwrap();
    assert!(matches!(&end.containers[0].phase, ContainerPhase::Exited(status) if status.code == 9), "{end:?}");
    shim.shutdown().await.unwrap();
    assert!(matches!(Shim::connect(&pod.path("second")).await, Err(ShimError::Gone { .. })));
    pod.finish().await;
}

#[tokio::test]
async fn a_killed_shim_leaves_its_states_and_a_new_one_takes_over() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("done", sh("exit 4")).await.unwrap();
    pod.exit("done").await;
    let running = pod.start("running", sh("sleep 1000")).await.unwrap();
    pod.kill_shim();
    let states = stored_states(pod.shim.directory()).unwrap();
    assert!(matches!(&states[0].phase, ContainerPhase::Exited(status) if status.code == 4));
    assert_eq!(states[1].phase, ContainerPhase::Lost { started_at: Some(running.at) });
    wait_until(PATIENCE, "the orphan's end", || async { !is_alive(running.pid) }).await;
    let pod = pod.respawn().await;
    assert_eq!(pod.shim.states().await.unwrap().containers, states);
    pod.finish().await;
}

#[tokio::test]
async fn one_directory_has_one_shim() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let error = pod.try_respawn().await.unwrap_err();
    assert!(error.to_string().contains("a shim runs there already"), "{error}");
    pod.finish().await;
}

#[tokio::test]
async fn a_shim_is_small() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("app", sh("seq 1 1000; sleep 1000")).await.unwrap();
    wait_until(PATIENCE, "output", || async { pod.output("app").ends_with("1000\n") }).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pod.shim_pid())).unwrap();
    let kilobytes = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    };
    println!("shim: anonymous {} kB, resident {} kB", kilobytes("RssAnon:"), kilobytes("VmRSS:"));
    // File pages are shared with the daemon and between shims; without optimisation they are many.
    assert!(kilobytes("RssAnon:") < 3 * 1024, "{status}");
    pod.finish().await;
}

/// A shim of another version is told from one that is gone.
#[tokio::test]
async fn a_shim_that_speaks_another_protocol_is_named() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    use std::os::fd::AsRawFd as _;

    let directory = tempfile::tempdir().unwrap();
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&directory.path().join("shim.sock")).unwrap()).unwrap();
    listen(&listener, Backlog::MAXCONN).unwrap();
    let listener = std::os::unix::net::UnixListener::from(listener);
    let shim = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        maru_sys::send_packet(&client, br#"{"Hello":{"version":99,"pid":1}}"#, &[]).unwrap();
    });
    let error = Shim::connect(directory.path()).await.unwrap_err();
    assert!(matches!(error, ShimError::Version { version: 99, .. }), "{error}");
    shim.join().unwrap();
    let error = Shim::connect(directory.path()).await.unwrap_err();
    assert!(matches!(error, ShimError::Gone { .. }), "{error}");
}
