//! Tables of plans and statuses.

use serde_json::{Value, json};

use super::*;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn pod_of(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec})).unwrap()
}

/// A pod of two init containers (one of them a sidecar) and two main ones.
fn full_pod(restart_policy: &str) -> Pod {
    pod_of(json!({
        "restartPolicy": restart_policy, "terminationGracePeriodSeconds": 30,
        "initContainers": [{"name": "init"}, {"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    }))
}

fn single(restart_policy: &str) -> Pod {
    pod_of(
        json!({"restartPolicy": restart_policy, "terminationGracePeriodSeconds": 30, "containers": [{"name": "a", "image": "i"}]}),
    )
}

fn exit(code: i32, second: i64) -> Exit {
    Exit {
        attempt: 0,
        code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
        message: None,
        started_at: Some(at(0)),
        finished_at: at(second),
    }
}

fn seen(life: Life) -> ContainerObserved {
    let attempts = match &life {
        Life::Never => 0,
        Life::Starting | Life::Running { .. } | Life::Stopping { .. } | Life::Exited(_) => 1,
    };
    ContainerObserved {
        life,
        attempts,
        image: Image::Present,
        started: true,
        ready: true,
        ..ContainerObserved::default()
    }
}

fn running() -> ContainerObserved {
    seen(Life::Running { attempt: 0, at: at(1), hook: Hook::Done })
}

fn stopping(deadline: i64) -> ContainerObserved {
    seen(Life::Stopping { attempt: 0, at: at(1), deadline: at(deadline) })
}

fn ended(code: i32) -> ContainerObserved {
    seen(Life::Exited(exit(code, 50)))
}

fn never() -> ContainerObserved {
    seen(Life::Never)
}

fn observed(containers: Vec<(&str, ContainerObserved)>) -> Observed {
    Observed {
        sandbox: Part::Ready,
        volumes: Part::Ready,
        containers: containers.into_iter().map(|(name, one)| (name.to_owned(), one)).collect(),
        ending_since: None,
        start_time: at(0),
        initialized: false,
    }
}

fn run(pod: &Pod, observed: &Observed, now: i64) -> Plan {
    plan(observed, &Desired { pod, wish: Wish::Run }, at(now))
}

fn delete(pod: &Pod, observed: &Observed, now: i64) -> Plan {
    plan(observed, &Desired { pod, wish: Wish::Delete }, at(now))
}

/// Writes actions shortly: `start a`, `stop a`.
fn words(plan: &Plan) -> Vec<String> {
    plan.actions
        .iter()
        .map(|action| match action {
            Action::PrepareSandbox => "sandbox".to_owned(),
            Action::PrepareVolumes => "volumes".to_owned(),
            Action::EnsureImage { container } => format!("image {container}"),
            Action::Start { container, attempt } => format!("start {container} {attempt}"),
            Action::Stop { container, deadline, .. } => {
                format!("stop {container} by {}", deadline.as_second() - 1_800_000_000)
            }
            Action::RemoveSandbox => "remove".to_owned(),
            Action::Finish => "finish".to_owned(),
        })
        .collect()
}

fn status_of(pod: &Pod, observed: &Observed, plan: &Plan, now: i64) -> PodStatus {
    let facts = Facts {
        host_addresses: vec!["192.0.2.1".parse().unwrap()],
        pod_addresses: vec!["10.42.0.5".parse().unwrap()],
        now: at(now),
    };
    status(pod, observed, plan, &facts)
}

fn waiting_reason(status: &PodStatus, index: usize) -> Option<String> {
    status.container_statuses.as_ref()?.get(index)?.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> &'a k8s_openapi::api::core::v1::PodCondition {
    status.conditions.as_ref().unwrap().iter().find(|one| one.type_ == kind).unwrap()
}

#[test]
fn a_new_pod_gets_everything_at_once() {
    let pod = single("Always");
    let mut fresh = observed(vec![]);
    fresh.sandbox = Part::Absent;
    fresh.volumes = Part::Absent;
    let plan = run(&pod, &fresh, 0);
    assert_eq!(words(&plan), ["sandbox", "volumes", "image a"]);
    let status = status_of(&pod, &fresh, &plan, 0);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(waiting_reason(&status, 0).as_deref(), Some("ContainerCreating"));
    assert_eq!(condition(&status, "Initialized").status, "True");
    assert_eq!(condition(&status, "PodReadyToStartContainers").status, "False");
    assert_eq!(status.pod_ip, None);
}

#[test]
fn containers_start_only_when_all_around_them_is_ready() {
    let pod = single("Always");
    for (sandbox, volumes, image, expected) in [
        (Part::Ready, Part::Ready, Image::Present, vec!["start a 0"]),
        (Part::Working, Part::Ready, Image::Present, vec![]),
        (Part::Ready, Part::Working, Image::Present, vec![]),
        (Part::Ready, Part::Ready, Image::Pulling, vec![]),
        (Part::Failed { message: String::new(), retry_at: at(5) }, Part::Ready, Image::Present, vec![]),
        (Part::Failed { message: String::new(), retry_at: at(0) }, Part::Ready, Image::Present, vec!["sandbox"]),
    ] {
        let mut now = observed(vec![("a", ContainerObserved { image, ..never() })]);
        now.sandbox = sandbox;
        now.volumes = volumes;
        assert_eq!(words(&run(&pod, &now, 1)), expected, "{now:?}");
    }
}

#[test]
fn init_containers_run_in_order_before_main_ones() {
    let pod = full_pod("Always");
    let start = |name: &str| vec![format!("start {name} 0")];
    for (containers, expected, initialized) in [
        (vec![("init", never())], start("init"), false),
        (vec![("init", running())], vec![], false),
        (vec![("init", ended(0)), ("side", never())], start("side"), false),
        (vec![("init", ended(0)), ("side", ContainerObserved { started: false, ..running() })], vec![], false),
        (
            vec![("init", ended(0)), ("side", running()), ("a", never()), ("b", never())],
            vec!["start a 0".to_owned(), "start b 0".to_owned()],
            true,
        ),
    ] {
        let plan = run(&pod, &observed(containers.clone()), 60);
        assert_eq!((words(&plan), plan.initialized), (expected, initialized), "{containers:?}");
    }
}

#[test]
fn a_failed_init_container_restarts_or_ends_the_pod() {
    let again = run(&full_pod("Always"), &observed(vec![("init", ended(1))]), 60);
    assert_eq!(words(&again), ["start init 1"]);
    let again = run(&full_pod("OnFailure"), &observed(vec![("init", ended(1))]), 60);
    assert_eq!(words(&again), ["start init 1"]);
    let pod = full_pod("Never");
    let now = observed(vec![("init", ended(1))]);
    let plan = run(&pod, &now, 60);
    assert_eq!(words(&plan), ["remove"]);
    assert_eq!(status_of(&pod, &now, &plan, 60).phase.as_deref(), Some("Failed"));
}

#[test]
fn init_containers_do_not_run_again_once_done() {
    let mut now = observed(vec![("init", never()), ("side", ended(1)), ("a", running()), ("b", running())]);
    now.initialized = true;
    assert_eq!(words(&run(&full_pod("Always"), &now, 60)), ["start side 1"]);
}

#[test]
fn restart_policies_decide_what_ended_containers_do() {
    for (policy, code, expected, phase) in [
        ("Always", 0, vec!["start a 1"], "Running"),
        ("Always", 1, vec!["start a 1"], "Running"),
        ("OnFailure", 0, vec!["remove"], "Succeeded"),
        ("OnFailure", 1, vec!["start a 1"], "Running"),
        ("Never", 0, vec!["remove"], "Succeeded"),
        ("Never", 1, vec!["remove"], "Failed"),
    ] {
        let pod = single(policy);
        let now = observed(vec![("a", ended(code))]);
        let plan = run(&pod, &now, 60);
        assert_eq!(words(&plan), expected, "{policy} {code}");
        assert_eq!(status_of(&pod, &now, &plan, 60).phase.as_deref(), Some(phase), "{policy} {code}");
    }
}

#[test]
fn one_ended_main_container_waits_for_the_others() {
    let pod = pod_of(json!({"restartPolicy": "Never", "containers": [{"name": "a"}, {"name": "b"}]}));
    let now = observed(vec![("a", ended(1)), ("b", running())]);
    let plan = run(&pod, &now, 60);
    assert_eq!((words(&plan), plan.course.clone()), (vec![], Course::Live));
    let status = status_of(&pod, &now, &plan, 60);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(condition(&status, "Ready").message.as_deref(), Some("containers with unready status: [a]"));
}

#[test]
fn a_crashing_container_waits_with_crash_loop_back_off() {
    let pod = single("Always");
    let mut crashed = ended(1);
    crashed.backoff.restarted(at(30));
    crashed.backoff.restarted(at(45));
    crashed.attempts = 3;
    let now = observed(vec![("a", crashed.clone())]);
    let plan = run(&pod, &now, 55);
    assert_eq!(words(&plan), Vec::<String>::new());
    assert_eq!(plan.wake_at, Some(at(70)));
    let status = status_of(&pod, &now, &plan, 55);
    assert_eq!(waiting_reason(&status, 0).as_deref(), Some("CrashLoopBackOff"));
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(
        container.state.as_ref().unwrap().waiting.as_ref().unwrap().message.as_deref(),
        Some("back-off 20s restarting failed container=a pod=p_n(u)")
    );
    assert_eq!(container.restart_count, 2);
    assert_eq!(container.last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 1);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(words(&run(&pod, &now, 70)), ["start a 3"]);
}

#[test]
fn a_program_that_cannot_run_is_first_shown_by_name() {
    let pod = single("Always");
    let mut crashed = seen(Life::Exited(Exit {
        reason: "ContainerCannotRun".to_owned(),
        message: Some("no such file".to_owned()),
        ..exit(127, 50)
    }));
    crashed.backoff.restarted(at(40));
    let now = observed(vec![("a", crashed)]);
    let reason = |second| {
        let plan = run(&pod, &now, second);
        waiting_reason(&status_of(&pod, &now, &plan, second), 0)
    };
    assert_eq!(reason(51).as_deref(), Some("RunContainerError"));
    assert_eq!(reason(54).as_deref(), Some("CrashLoopBackOff"));
}

#[test]
fn images_that_fail_are_tried_again_with_back_off() {
    let pod = single("Always");
    let image = Image::Failed {
        reason: "ErrImagePull".to_owned(),
        message: "no such image".to_owned(),
        at: at(10),
        retry_at: at(20),
    };
    let now = observed(vec![("a", ContainerObserved { image, ..never() })]);
    for (second, reason, actions) in
        [(11, "ErrImagePull", vec![]), (14, "ImagePullBackOff", vec![]), (20, "ImagePullBackOff", vec!["image a"])]
    {
        let plan = run(&pod, &now, second);
        assert_eq!(words(&plan), actions, "{second}");
        assert_eq!(waiting_reason(&status_of(&pod, &now, &plan, second), 0).as_deref(), Some(reason), "{second}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_shown_and_tried_again() {
    let pod = single("Always");
    let problem = Problem {
        reason: "CreateContainerConfigError".to_owned(),
        message: "secret \"s\" not found".to_owned(),
        retry_at: at(20),
    };
    let now = observed(vec![("a", ContainerObserved { problem: Some(problem), ..never() })]);
    let plan = run(&pod, &now, 15);
    assert_eq!(words(&plan), Vec::<String>::new());
    assert_eq!(plan.wake_at, Some(at(20)));
    assert_eq!(waiting_reason(&status_of(&pod, &now, &plan, 15), 0).as_deref(), Some("CreateContainerConfigError"));
    assert_eq!(words(&run(&pod, &now, 20)), ["start a 0"]);
}

#[test]
fn probes_and_hooks_stop_a_container_within_their_grace() {
    let pod = single("Always");
    let unhealthy = |grace| Unhealthy { probe: "liveness", grace };
    for (container, expected) in [
        (ContainerObserved { unhealthy: Some(unhealthy(None)), ..running() }, vec!["stop a by 90"]),
        (
            ContainerObserved { unhealthy: Some(unhealthy(Some(Duration::from_secs(5)))), ..running() },
            vec!["stop a by 65"],
        ),
        (ContainerObserved { changed: true, ..running() }, vec!["stop a by 90"]),
        (seen(Life::Running { attempt: 0, at: at(1), hook: Hook::Failed(String::new()) }), vec!["stop a by 90"]),
        (seen(Life::Running { attempt: 0, at: at(1), hook: Hook::Pending }), vec![]),
        (stopping(90), vec![]),
    ] {
        assert_eq!(words(&run(&pod, &observed(vec![("a", container.clone())]), 60)), expected, "{container:?}");
    }
}

#[test]
fn deletion_stops_main_containers_then_sidecars_then_cleans_up() {
    let pod = full_pod("Always");
    let state = |side, a, b, since| {
        let mut now = observed(vec![("init", ended(0)), ("side", side), ("a", a), ("b", b)]);
        now.initialized = true;
        now.ending_since = Some(at(since));
        now
    };
    for (now, second, expected) in [
        (state(running(), running(), running(), 100), 100, vec!["stop a by 130", "stop b by 130"]),
        (state(running(), stopping(130), ended(0), 100), 110, vec![]),
        (state(running(), ended(0), ended(0), 100), 110, vec!["stop side by 130"]),
        // The grace period is over: nobody waits for an order any more.
        (state(running(), stopping(130), ended(0), 100), 131, vec!["stop side by 130"]),
        (state(ended(0), ended(0), ended(0), 100), 120, vec!["remove"]),
    ] {
        assert_eq!(words(&delete(&pod, &now, second)), expected, "{now:?}");
    }
    let mut clean = state(ended(0), ended(0), ended(0), 100);
    clean.sandbox = Part::Absent;
    clean.volumes = Part::Absent;
    let plan = delete(&pod, &clean, 121);
    assert_eq!((words(&plan), plan.course), (vec!["finish".to_owned()], Course::Ended(EndReason::Deleted)));
}

#[test]
fn several_sidecars_stop_the_last_one_first() {
    let pod = pod_of(json!({
        "initContainers": [{"name": "one", "restartPolicy": "Always"}, {"name": "two", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}], "restartPolicy": "Never", "terminationGracePeriodSeconds": 30,
    }));
    let mut now = observed(vec![("one", running()), ("two", running()), ("a", ended(0))]);
    now.initialized = true;
    let plan = run(&pod, &now, 60);
    assert_eq!(words(&plan), ["stop two by 90"]);
    // It counts as running until the last of it has stopped.
    assert_eq!(status_of(&pod, &now, &plan, 60).phase.as_deref(), Some("Running"));
    now.containers.insert("two".to_owned(), ended(0));
    now.ending_since = Some(at(60));
    assert_eq!(words(&run(&pod, &now, 65)), ["stop one by 90"]);
}

#[test]
fn a_shorter_grace_period_moves_the_deadline() {
    let mut pod = single("Always");
    let mut now = observed(vec![("a", stopping(130))]);
    now.ending_since = Some(at(100));
    assert_eq!(words(&delete(&pod, &now, 101)), Vec::<String>::new());
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(101)));
    pod.metadata.deletion_grace_period_seconds = Some(2);
    assert_eq!(words(&delete(&pod, &now, 101)), ["stop a by 102"]);
}

#[test]
fn the_active_deadline_fails_the_pod() {
    let mut pod = single("Always");
    pod.spec.as_mut().unwrap().active_deadline_seconds = Some(10);
    let now = observed(vec![("a", running())]);
    let early = run(&pod, &now, 5);
    assert_eq!((words(&early), early.wake_at), (vec![], Some(at(10))));
    let plan = run(&pod, &now, 10);
    assert_eq!(words(&plan), ["stop a by 40"]);
    let mut over = observed(vec![("a", ended(143))]);
    over.sandbox = Part::Absent;
    over.volumes = Part::Absent;
    let plan = run(&pod, &over, 12);
    let status = status_of(&pod, &over, &plan, 12);
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
}

#[test]
fn a_finished_pod_stays_as_it_is() {
    let mut pod = single("Always");
    pod.status = Some(PodStatus { phase: Some("Succeeded".to_owned()), ..PodStatus::default() });
    let mut now = observed(vec![("a", never())]);
    now.sandbox = Part::Absent;
    now.volumes = Part::Absent;
    let plan = run(&pod, &now, 5);
    assert_eq!((words(&plan), plan.course.clone()), (vec![], Course::Ended(EndReason::Completed)));
    assert_eq!(status_of(&pod, &now, &plan, 5).phase.as_deref(), Some("Succeeded"));
}

#[test]
fn readiness_follows_probes_and_gates() {
    let mut pod = single("Always");
    let ready = |pod: &Pod, container: ContainerObserved| {
        let now = observed(vec![("a", container)]);
        let plan = run(pod, &now, 60);
        let status = status_of(pod, &now, &plan, 60);
        let of = |kind: &str| (condition(&status, kind).status.clone(), condition(&status, kind).reason.clone());
        (of("ContainersReady"), of("Ready"))
    };
    let yes = ("True".to_owned(), None);
    let no = |reason: &str| ("False".to_owned(), Some(reason.to_owned()));
    assert_eq!(ready(&pod, running()), (yes.clone(), yes.clone()));
    let unready = ContainerObserved { ready: false, ..running() };
    assert_eq!(ready(&pod, unready), (no("ContainersNotReady"), no("ContainersNotReady")));
    pod.spec.as_mut().unwrap().readiness_gates =
        Some(vec![k8s_openapi::api::core::v1::PodReadinessGate { condition_type: "example.com/gate".to_owned() }]);
    assert_eq!(ready(&pod, running()), (yes.clone(), no("ReadinessGatesNotReady")));
    let gate = k8s_openapi::api::core::v1::PodCondition {
        type_: "example.com/gate".to_owned(),
        status: "True".to_owned(),
        ..Default::default()
    };
    pod.status = Some(PodStatus { conditions: Some(vec![gate]), ..PodStatus::default() });
    assert_eq!(ready(&pod, running()), (yes.clone(), yes));
}

#[test]
fn a_running_pod_shows_addresses_ids_and_times() {
    let pod = single("Always");
    let now = observed(vec![(
        "a",
        ContainerObserved { image_id: Some("docker.io/library/i@sha256:1".to_owned()), ..running() },
    )]);
    let plan = run(&pod, &now, 60);
    let status = status_of(&pod, &now, &plan, 60);
    assert_eq!((status.pod_ip.as_deref(), status.host_ip.as_deref()), (Some("10.42.0.5"), Some("192.0.2.1")));
    assert_eq!((status.phase.as_deref(), status.qos_class.as_deref()), (Some("Running"), Some("BestEffort")));
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert!(container.container_id.as_ref().unwrap().starts_with("maru://"));
    assert_eq!((container.ready, container.started, container.restart_count), (true, Some(true), 0));
    assert_eq!(container.state.as_ref().unwrap().running.as_ref().unwrap().started_at.as_ref().unwrap().0, at(1));
}

#[test]
fn an_unchanged_pod_has_an_unchanged_status() {
    let mut pod = full_pod("Always");
    let mut now = observed(vec![("init", ended(0)), ("side", running()), ("a", running()), ("b", ended(1))]);
    now.initialized = true;
    let plan = run(&pod, &now, 60);
    let first = status_of(&pod, &now, &plan, 60);
    pod.status = Some(first.clone());
    assert_eq!(status_of(&pod, &now, &plan, 90), first);
}

#[test]
fn ephemeral_containers_start_beside_running_ones_and_never_again() {
    let mut pod = single("Always");
    pod.spec.as_mut().unwrap().ephemeral_containers =
        Some(vec![serde_json::from_value(json!({"name": "debug", "image": "i"})).unwrap()]);
    let fresh = observed(vec![("a", running()), ("debug", never())]);
    assert_eq!(words(&run(&pod, &fresh, 60)), ["start debug 0"]);
    let over = observed(vec![("a", running()), ("debug", ended(1))]);
    let plan = run(&pod, &over, 60);
    assert_eq!(words(&plan), Vec::<String>::new());
    assert_eq!(status_of(&pod, &over, &plan, 60).phase.as_deref(), Some("Running"));
}
