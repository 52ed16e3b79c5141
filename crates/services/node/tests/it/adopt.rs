//! Restarts of the node, and what others do to its pods meanwhile.

use serde_json::json;

use crate::host::{container, on_machine, sh};

const COUNT: &str = "i=0; trap 'exit 0' TERM; while true; do i=$((i+1)); echo tick $i; sleep 0.1; done";

#[test]
fn pods_go_on_through_a_restart_of_the_node() {
    on_machine(async |machine| {
        machine.create("steady", json!({"containers": [sh("a", COUNT)]})).await;
        let before = machine.wait_ready("steady").await;
        machine.wait_log("steady", "a", "tick 3\n").await;
        machine.restart().await;
        machine.wait_log("steady", "a", "tick 30\n").await;
        let after = machine.wait_ready("steady").await;
        let state = |pod| (container(pod, 0).container_id, container(pod, 0).restart_count, container(pod, 0).state);
        assert_eq!(state(&before), state(&after));
        assert_eq!(before.status.unwrap().pod_ip, after.status.unwrap().pod_ip);
        // It can still be stopped.
        machine.delete("steady").await;
        machine.wait_gone("steady").await;
    });
}

#[test]
fn what_happened_while_the_node_was_away_is_noticed() {
    on_machine(async |machine| {
        machine.create("deleted", json!({"containers": [sh("a", COUNT)]})).await;
        machine
            .create("ended", json!({"restartPolicy": "Never", "containers": [sh("a", "sleep 2; echo over; exit 4")]}))
            .await;
        machine.wait_ready("deleted").await;
        machine.wait_ready("ended").await;
        machine.stop().await;
        machine
            .pods()
            .delete("deleted", &kube::api::DeleteParams { grace_period_seconds: Some(0), ..Default::default() })
            .await
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        machine.start_again().await;
        let pod = machine.wait_phase("ended", "Failed").await;
        assert_eq!(container(&pod, 0).state.unwrap().terminated.unwrap().exit_code, 4);
        maru_testkit::wait_until(crate::host::PATIENCE, "the deleted pod is stopped", async || {
            machine.networks.existing().unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn a_pod_whose_shim_was_killed_starts_over() {
    on_machine(async |machine| {
        machine.create("lost", json!({"containers": [sh("a", COUNT)]})).await;
        let before = machine.wait_ready("lost").await;
        let shims =
            maru_testkit::wait_for(crate::host::PATIENCE, "the shim's process", async || shim_pids(machine)).await;
        for pid in shims {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        let after = machine
            .wait("lost", "restarted", |pod| container(pod, 0).restart_count == 1 && container(pod, 0).ready)
            .await;
        assert_eq!(before.status.unwrap().pod_ip, after.status.clone().unwrap().pod_ip);
        let ended = container(&after, 0).last_state.unwrap().terminated.unwrap();
        assert_eq!(ended.reason.as_deref(), Some("ContainerStatusUnknown"));
    });
}

/// Finds the shims of this machine by their directory in the command line.
fn shim_pids(machine: &crate::host::Machine) -> Option<Vec<i32>> {
    let directory = machine.directory.join("node/shims");
    let directory = directory.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("__shim") && line.contains(directory) {
            found.push(pid);
        }
    }
    (!found.is_empty()).then_some(found)
}

#[test]
fn what_was_only_half_made_is_removed() {
    on_machine(async |machine| {
        machine.stop().await;
        let pod = machine.directory.join("node/pods/half");
        std::fs::create_dir_all(pod.join("volumes/v")).unwrap();
        let memory = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("none"), &pod.join("volumes/v"), Some("tmpfs"), memory, None::<&str>).unwrap();
        let attachment = maru_net::PodAttachment {
            uid: "network-only".to_owned(),
            address: "10.42.0.77".parse().unwrap(),
            hostname: "lost".to_owned(),
            sysctls: std::collections::BTreeMap::new(),
        };
        machine.networks.attach(&attachment).await.unwrap();
        machine.start_again().await;
        maru_testkit::wait_until(crate::host::PATIENCE, "the remains are removed", async || {
            !pod.exists() && machine.networks.existing().unwrap().is_empty()
        })
        .await;
        machine.assert_clean();
    });
}
