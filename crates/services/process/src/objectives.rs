//! Windows of objectives become evidence: those that closed by themselves, the open one when a person asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DynamicObject};
use maru_api::{ServiceLevelObjectiveSpec, Span};
use maru_client::Client;
use maru_evidence::EvidenceKind;
use maru_evidence::readers::Format;
use maru_task::Scope;
use maru_time::{SharedClock, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::attest::Attestation;
use crate::control::resource;
use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::follow::{All, Followed, follow};
use crate::ledger::{Appended, Ledger};
use crate::view::{ENVIRONMENT_LABEL, PROJECT_LABEL};

/// A window that could not be recorded is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Which window of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowChoice {
    /// The last one that closed.
    Closed,
    /// The one that is open, as far as it is measured.
    Open,
}

impl WindowChoice {
    fn field(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "current",
        }
    }
}

/// What is needed of an objective.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    namespace: String,
    name: String,
    environment: Option<String>,
    targets: Vec<Value>,
}

impl Seen {
    fn of(object: &DynamicObject) -> Option<Self> {
        let labels = object.metadata.labels.as_ref();
        Some(Self {
            namespace: object.metadata.namespace.clone()?,
            name: object.metadata.name.clone()?,
            environment: labels.and_then(|labels| labels.get(ENVIRONMENT_LABEL)).cloned(),
            targets: object.data.pointer("/status/targets").and_then(Value::as_array).cloned().unwrap_or_default(),
        })
    }

    /// Returns the reports of a window, one for each target, with the end of the window.
    fn reports(&self, choice: WindowChoice) -> Vec<(String, Timestamp, Value)> {
        let is_only = self.targets.len() == 1;
        self.targets
            .iter()
            .filter_map(|target| report(&self.name, is_only, target, target.get(choice.field())?))
            .collect()
    }
}

/// Makes the report that evidence is made of: what was counted for a target in a window.
fn report(objective: &str, is_only: bool, target: &Value, window: &Value) -> Option<(String, Timestamp, Value)> {
    let target_name = target["name"].as_str().unwrap_or_default();
    let name = if is_only { objective.to_owned() } else { format!("{objective}/{target_name}") };
    let to: Timestamp = window["to"].as_str()?.parse().ok()?;
    let mut report = json!({"kind": "maru.dev/slo-window/v1", "objective": name, "version": env!("CARGO_PKG_VERSION"),
        "target": target.get("target")?});
    for field in ["from", "to", "good", "total", "blocks"] {
        report[field] = window.get(field)?.clone();
    }
    if let Some(threshold) = target.get("threshold").filter(|threshold| threshold.is_number()) {
        report["threshold"] = threshold.clone();
    }
    Some((name, to, report))
}

/// Records the windows of all objectives when they have closed; ends with the scope.
pub(crate) fn start(scope: &Scope, client: &Client, ledger: &Ledger, clock: &SharedClock) {
    let changed = Arc::new(Notify::new());
    let followed: Arc<Followed<Seen>> = Arc::default();
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<ServiceLevelObjectiveSpec>());
    let following = follow(api, Arc::clone(&followed), Arc::clone(&changed), Seen::of);
    drop(scope.spawn_until_cancelled("objectives", following));
    let recorder =
        Recorder { client: client.clone(), ledger: ledger.clone(), clock: Arc::clone(clock), done: BTreeSet::new() };
    drop(scope.spawn_until_cancelled("objective windows", recorder.run(followed, changed)));
}

struct Recorder {
    client: Client,
    ledger: Ledger,
    clock: SharedClock,
    /// Namespace, name of the report, end of the window.
    done: BTreeSet<(String, String, Timestamp)>,
}

impl Recorder {
    async fn run(mut self, followed: Arc<Followed<Seen>>, changed: Arc<Notify>) {
        let mut known: All<Seen> = All::default();
        let mut has_failed = false;
        loop {
            if has_failed {
                drop(tokio::time::timeout(RETRY, changed.notified()).await);
            } else {
                changed.notified().await;
            }
            followed.take(&mut known);
            has_failed = false;
            for seen in known.values() {
                has_failed |= !self.record(seen).await;
            }
        }
    }

    /// Records the window that closed last, unless it is recorded; tells whether that is done.
    async fn record(&mut self, seen: &Seen) -> bool {
        for (name, to, report) in seen.reports(WindowChoice::Closed) {
            let key = (seen.namespace.clone(), name, to);
            if self.done.contains(&key) {
                continue;
            }
            match self.record_one(seen, &key.1, to, report).await {
                // No requirement asks for it: an objective may be for people alone.
                Ok(()) | Err(DeskError::NobodyAsks { .. }) => {
                    self.done.retain(|(namespace, name, _)| (namespace, name) != (&key.0, &key.1));
                    self.done.insert(key);
                }
                Err(error) => {
                    let (namespace, objective, _) = key;
                    tracing::warn!(namespace, objective, %error, "a window could not be recorded; trying again");
                    return false;
                }
            }
        }
        true
    }

    async fn record_one(&self, seen: &Seen, name: &str, to: Timestamp, report: Value) -> Result<(), DeskError> {
        let (project, environment) = place(&self.client, seen).await?;
        let desk = Desk::new(self.client.clone(), self.ledger.clone(), &project);
        let is_there = desk.evidence().await?.iter().any(|one| {
            EvidenceKind::of_predicate(&one.spec.predicate_type) == Some(EvidenceKind::SloWindow)
                && one.spec.name == name
                && one.spec.window.to == to
        });
        if !is_there {
            desk.attest(&attestation(report, environment, None), self.clock.now()).await?;
        }
        Ok(())
    }
}

/// Returns the project and the environment that an objective is about.
async fn place(client: &Client, seen: &Seen) -> Result<(String, Option<String>), DeskError> {
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let namespace = namespaces.get_opt(&seen.namespace).await.map_err(|source| DeskError::Api {
        action: format!("read namespace \"{}\"", seen.namespace),
        source: Box::new(source),
    })?;
    let labels = namespace.and_then(|namespace| namespace.metadata.labels).unwrap_or_default();
    let project = labels.get(PROJECT_LABEL).cloned().unwrap_or_else(|| seen.namespace.clone());
    let environment = seen.environment.clone().or_else(|| labels.get(ENVIRONMENT_LABEL).cloned());
    Ok((project, environment))
}

fn attestation(report: Value, environment: Option<String>, valid_for: Option<Span>) -> Attestation {
    Attestation { environment, valid_for, ..Attestation::new(Format::SloWindow, report.to_string().into_bytes()) }
}

impl Desk {
    /// Records what is measured of an objective in the project's namespace.
    ///
    /// # Errors
    /// When there is no such objective, nothing was measured, nothing asks for it, or it cannot be stored.
    pub async fn attest_objective(
        &self,
        name: &str,
        choice: WindowChoice,
        valid_for: Option<Span>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, DeskError> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.name(), &resource::<ServiceLevelObjectiveSpec>());
        let action = format!("read objective \"{name}\" of \"{}\"", self.name());
        let object = api.get(name).await.map_err(|source| DeskError::Api { action, source: Box::new(source) })?;
        let nothing =
            |why: &str| DeskError::Object { kind: "ServiceLevelObjective", name: name.to_owned(), why: why.to_owned() };
        let seen = Seen::of(&object).ok_or_else(|| nothing("it has no name"))?;
        let reports = seen.reports(choice);
        if reports.is_empty() {
            let (what, why) = match choice {
                WindowChoice::Closed => ("closed window", "none has closed yet; --open records the one that is open"),
                WindowChoice::Open => ("open window", "nothing is measured yet; the objective's status says why"),
            };
            return Err(DeskError::Content { what: what.to_owned(), name: name.to_owned(), why: why.to_owned() });
        }
        let (_, environment) = place(&self.client, &seen).await?;
        let mut appended = Vec::new();
        for (_, _, report) in reports {
            appended.extend(self.attest(&attestation(report, environment.clone(), valid_for), now).await?);
        }
        Ok(appended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_evidence::readers;

    fn seen(targets: Value) -> Seen {
        Seen {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
            environment: None,
            targets: targets.as_array().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn a_window_of_the_status_becomes_a_report_that_the_reader_takes() {
        let window = json!({"outcome": "Met", "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z", "good": 2999,
            "total": 3000, "blocks": [[1499, 1500], [1500, 1500]], "ratio": 0.9997, "confidence": 0.95});
        let one = json!({"name": "0", "target": 0.999, "threshold": 0.25, "closed": window});
        let reports = seen(json!([one])).reports(WindowChoice::Closed);
        assert_eq!((reports.len(), reports[0].0.as_str()), (1, "orders"));
        let report = readers::read(Format::SloWindow, reports[0].2.to_string().as_bytes()).unwrap();
        assert_eq!(report.names(), ["orders"]);
        assert!(seen(json!([one])).reports(WindowChoice::Open).is_empty());
        let mut other = one.clone();
        other["name"] = "slow".into();
        let names: Vec<String> =
            seen(json!([one, other])).reports(WindowChoice::Closed).into_iter().map(|one| one.0).collect();
        assert_eq!(names, ["orders/0", "orders/slow"]);
    }
}
