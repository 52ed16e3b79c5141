//! Asks one running container again and again, until it ends.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::tally::Tally;
use super::{Check, Target, check};

/// What a probe decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    /// Whether the others may begin.
    Startup,
    /// Whether the container must be restarted.
    Liveness,
    /// Whether it may be sent traffic.
    Readiness,
}

impl ProbeKind {
    /// Returns the name as events begin with.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        }
    }
}

/// Something a probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProbeEvent {
    /// The verdict, whenever it is the same or new.
    Verdict { kind: ProbeKind, success: bool, grace: Option<Duration> },
    /// One failing answer, in words.
    Failure { kind: ProbeKind, message: String },
}

/// A probe with all defaults filled in.
#[derive(Debug, Clone)]
struct Settings {
    kind: ProbeKind,
    check: Check,
    initial_delay: Duration,
    period: Duration,
    timeout: Duration,
    successes: u32,
    failures: u32,
    grace: Option<Duration>,
}

impl Settings {
    fn new(kind: ProbeKind, probe: &Probe) -> Option<Self> {
        let seconds = |value: Option<i32>, default: u64, least: u64| {
            Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(default).max(least))
        };
        let number =
            |value: Option<i32>, default: u32| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
        Some(Self {
            kind,
            check: Check::of_probe(probe)?,
            initial_delay: seconds(probe.initial_delay_seconds, 0, 0),
            period: seconds(probe.period_seconds, 10, 1),
            timeout: seconds(probe.timeout_seconds, 1, 1),
            // More than one success makes sense for readiness only.
            successes: if kind == ProbeKind::Readiness { number(probe.success_threshold, 1) } else { 1 },
            failures: number(probe.failure_threshold, 3),
            grace: probe
                .termination_grace_period_seconds
                .filter(|_| kind != ProbeKind::Readiness)
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(Duration::from_secs),
        })
    }
}

/// Which probes a container has.
#[derive(Debug, Clone)]
pub(crate) struct ProbePlan {
    startup: Option<Settings>,
    others: Vec<Settings>,
}

impl ProbePlan {
    pub(crate) fn of(container: &Container) -> Self {
        let one = |kind, probe: &Option<Probe>| probe.as_ref().and_then(|probe| Settings::new(kind, probe));
        let others = [
            one(ProbeKind::Liveness, &container.liveness_probe),
            one(ProbeKind::Readiness, &container.readiness_probe),
        ];
        Self {
            startup: one(ProbeKind::Startup, &container.startup_probe),
            others: others.into_iter().flatten().collect(),
        }
    }

    pub(crate) fn has_startup(&self) -> bool {
        self.startup.is_some()
    }

    pub(crate) fn has_readiness(&self) -> bool {
        self.others.iter().any(|one| one.kind == ProbeKind::Readiness)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.startup.is_none() && self.others.is_empty()
    }
}

/// Asks until dropped. `running_for` is how long the container runs already; `started` skips the startup probe.
pub(crate) async fn run_probes(
    plan: ProbePlan,
    target: Target,
    running_for: Duration,
    started: bool,
    events: mpsc::Sender<ProbeEvent>,
) {
    let (has_started, wait_started) = watch::channel(started || plan.startup.is_none());
    let began = Instant::now();
    let mut all = Vec::new();
    if let Some(startup) = plan.startup.clone().filter(|_| !started) {
        all.push(repeat(startup, target.clone(), began, running_for, Gate::Opens(has_started), events.clone()));
    }
    for settings in plan.others {
        all.push(repeat(
            settings,
            target.clone(),
            began,
            running_for,
            Gate::Waits(wait_started.clone()),
            events.clone(),
        ));
    }
    futures::future::join_all(all).await;
}

/// How the startup probe holds back the others.
enum Gate {
    Opens(watch::Sender<bool>),
    Waits(watch::Receiver<bool>),
}

async fn repeat(
    settings: Settings,
    target: Target,
    began: Instant,
    running_for: Duration,
    gate: Gate,
    events: mpsc::Sender<ProbeEvent>,
) {
    tokio::time::sleep_until(began + settings.initial_delay.saturating_sub(running_for)).await;
    let opens = match gate {
        Gate::Opens(sender) => Some(sender),
        Gate::Waits(mut receiver) => {
            if receiver.wait_for(|started| *started).await.is_err() {
                // The startup probe ended without success: nothing more is asked.
                return;
            }
            None
        }
    };
    let mut tally = Tally::new(settings.successes, settings.failures);
    let mut ticks = tokio::time::interval(settings.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let kind = settings.kind;
    loop {
        ticks.tick().await;
        let answer = check(&settings.check, &target, settings.timeout).await;
        let success = answer.is_ok();
        if let Err(message) = answer
            && events.send(ProbeEvent::Failure { kind, message }).await.is_err()
        {
            return;
        }
        let Some(success) = tally.count(success) else { continue };
        if events.send(ProbeEvent::Verdict { kind, success, grace: settings.grace }).await.is_err() {
            return;
        }
        match (kind, success) {
            (ProbeKind::Startup, true) => {
                if let Some(opens) = opens {
                    opens.send_replace(true);
                }
                return;
            }
            (ProbeKind::Startup | ProbeKind::Liveness, false) => return,
            (ProbeKind::Liveness, true) | (ProbeKind::Readiness, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::target;

    fn container(port: u16) -> Container {
        let tcp = |extra: serde_json::Value| {
            let mut probe = serde_json::json!({"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 2});
            probe.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            probe
        };
        serde_json::from_value(serde_json::json!({
            "name": "c",
            "startupProbe": tcp(serde_json::json!({"failureThreshold": 30})),
            "livenessProbe": tcp(serde_json::json!({"terminationGracePeriodSeconds": 3})),
            "readinessProbe": tcp(serde_json::json!({"successThreshold": 2})),
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn others_begin_after_startup_and_failures_lead_to_verdicts() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mut events) = mpsc::channel(64);
        let plan = ProbePlan::of(&container(port));
        assert!(plan.has_startup() && plan.has_readiness() && !plan.is_empty());
        let target = target("127.0.0.1", serde_json::json!({"name": "c"}));
        let probes = run_probes(plan, target, Duration::from_secs(60), false, sender);
        let watch = async {
            let mut seen = Vec::new();
            let mut listener = Some(listener);
            while let Some(event) = events.recv().await {
                if let ProbeEvent::Verdict { kind, success, grace } = event {
                    let is_new = !seen.iter().any(|(k, s, _)| (*k, *s) == (kind, success));
                    if is_new {
                        seen.push((kind, success, grace));
                    }
                    if seen.len() == 3 {
                        listener = None;
                    }
                    if seen.len() == 5 {
                        break;
                    }
                }
            }
            drop(listener);
            seen
        };
        let seen = tokio::select! {
            () = probes => panic!("probes of a running container do not end"),
            seen = tokio::time::timeout(Duration::from_secs(20), watch) => seen.unwrap(),
        };
        assert_eq!(seen[0], (ProbeKind::Startup, true, None));
        assert!(seen.contains(&(ProbeKind::Readiness, true, None)), "{seen:?}");
        assert!(seen[3..].contains(&(ProbeKind::Readiness, false, None)), "{seen:?}");
        assert!(seen[3..].contains(&(ProbeKind::Liveness, false, Some(Duration::from_secs(3)))), "{seen:?}");
    }
}
