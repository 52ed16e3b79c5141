//! Answers for the architectures of all projects: asks again when what an answer depends on has changed, and writes the
//! answers into statuses. Never blocks verdicts: it looks after they were written, and questions are answered on a
//! blocking thread, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::watcher::{self, watcher};
use maru_api::{ArchitectureSpec, ArchitectureStatus, Feasibility, Language, LocalText, RequirementSpec, Spec};
use maru_client::Client;
use maru_solver::Stop;
use maru_task::Scope;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::reader::{Reader, Seen, spec_of};
use super::status::status_of_error;
use super::{Effort, Question, analyse};
use crate::control::resource;
use crate::ledger::Ledger;
use crate::merge::difference;

/// How long one question may take.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Changes that come together are taken together: verdicts first. A look that takes long is not repeated at once.
const COALESCE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// What could not be written or read is looked at again.
const RESYNC: Duration = Duration::from_secs(60);
/// Pause after a watch that failed.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// Starts to analyse architectures; ends with the scope. `judged` is told when verdicts were written.
pub(crate) fn start(scope: &Scope, client: &Client, ledger: &Ledger, judged: &Arc<Notify>) {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<ArchitectureSpec>());
    drop(scope.spawn_until_cancelled("architectures", tell_changes(api, Arc::clone(judged))));
    let watch = Watch { reader: Reader::new(client), ledger: ledger.clone(), changed: Arc::clone(judged) };
    drop(scope.spawn("analysis", watch.run(scope.clone())));
}

async fn tell_changes(api: Api<DynamicObject>, changed: Arc<Notify>) {
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(_) => changed.notify_one(),
            Err(error) => {
                tracing::debug!(%error, "the watch of architectures failed; trying again");
                tokio::time::sleep(WATCH_RETRY).await;
            }
        }
    }
}

struct Watch {
    reader: Reader,
    ledger: Ledger,
    changed: Arc<Notify>,
}

/// The sets that each requirement is part of.
type Conflicts = BTreeMap<String, BTreeSet<Vec<String>>>;

impl Watch {
    async fn run(self, scope: Scope) {
        let mut pause = COALESCE.0;
        // Projects whose requirements may carry conflicts.
        let mut known: Option<BTreeSet<String>> = None;
        loop {
            tokio::select! {
                () = scope.cancelled() => return,
                () = self.changed.notified() => tokio::time::sleep(pause).await,
                () = tokio::time::sleep(RESYNC) => {}
            }
            let started = Instant::now();
            let looked = tokio::select! {
                () = scope.cancelled() => return,
                looked = self.look_at_all(&scope, &mut known) => looked,
            };
            if let Err(error) = looked {
                tracing::debug!(%error, "architectures could not be looked at; trying again");
            }
            pause = (started.elapsed() * 4).clamp(COALESCE.0, COALESCE.1);
        }
    }

    async fn look_at_all(&self, scope: &Scope, known: &mut Option<BTreeSet<String>>) -> Result<(), kube::Error> {
        let mut by_project: BTreeMap<String, Vec<DynamicObject>> = BTreeMap::new();
        for object in self.reader.everywhere::<ArchitectureSpec>().await? {
            by_project.entry(object.metadata.namespace.clone().unwrap_or_default()).or_default().push(object);
        }
        let mut projects: BTreeSet<String> = by_project.keys().cloned().collect();
        match known {
            // What is left of architectures that went while nobody looked.
            None => projects.extend(self.reader.projects().await?),
            Some(known) => projects.extend(known.iter().cloned()),
        }
        let mut carrying = BTreeSet::new();
        for project in projects {
            let requirements = self.reader.requirements(&project).await?;
            let mut conflicts = Conflicts::new();
            for object in by_project.get(&project).into_iter().flatten() {
                let status = self.look(scope, &project, object, &requirements).await?;
                for set in &status.conflicts {
                    for name in &set.requirements {
                        conflicts.entry(name.clone()).or_default().insert(set.requirements.clone());
                    }
                }
            }
            if by_project.contains_key(&project) || !conflicts.is_empty() {
                carrying.insert(project.clone());
            }
            self.write_conflicts(&project, &requirements, &conflicts).await;
        }
        *known = Some(carrying);
        Ok(())
    }

    /// Returns what the status of an architecture says, after it was brought up to date.
    async fn look(
        &self,
        scope: &Scope,
        project: &str,
        object: &DynamicObject,
        requirements: &[Seen],
    ) -> Result<ArchitectureStatus, kube::Error> {
        let observed = object.data.get("status").cloned().unwrap_or_default();
        let before: ArchitectureStatus = serde_json::from_value(observed.clone()).unwrap_or_default();
        let mut status = match spec_of::<ArchitectureSpec>(object) {
            Err(error) => unreadable(&error),
            Ok(architecture) => {
                let question = self.reader.question(project, architecture, requirements).await?;
                let digest = question.digest();
                if before.question == Some(digest) && before.observed_generation == object.metadata.generation {
                    return Ok(before);
                }
                let mut status = self.answer(scope, question).await;
                status.question = Some(digest);
                status
            }
        };
        let language = self.reader.project(project).await?.map(|spec| spec.language).unwrap_or_default();
        status.observed_generation = object.metadata.generation;
        status.reason = status.reason_text.as_ref().map(|text| text.get(language).to_owned()).unwrap_or_default();
        let wanted = serde_json::to_value(&status).unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        if let Some(patch) = difference(&observed, &wanted)
            && self.patch::<ArchitectureSpec>(project, &name, patch).await
            && before.outcome != status.outcome
        {
            tracing::info!(namespace = project, name, outcome = ?status.outcome, "architecture analysed");
        }
        Ok(status)
    }

    /// Answers on a blocking thread, within the time; stores the certificates.
    async fn answer(&self, scope: &Scope, question: Question) -> ArchitectureStatus {
        let stop = Stop::default();
        let _when_dropped = StopWhenDropped(stop.clone());
        let effort = Effort { stop: stop.clone(), ..Effort::default() };
        let ledger = self.ledger.clone();
        let mut task = scope.spawn_blocking(move || match analyse(&question, &effort) {
            Err(error) => status_of_error(&question, &error),
            Ok(analysis) => {
                let mut status = analysis.status();
                if status.certificate.is_some()
                    && let Err(error) = ledger.put(&analysis.certificate_blob())
                {
                    tracing::warn!(%error, "the certificates of an analysis could not be stored");
                    status.certificate = None;
                }
                status
            }
        });
        let answered = match tokio::time::timeout(TIME_MAX, &mut task).await {
            Ok(answered) => answered,
            Err(_) => {
                stop.stop();
                task.await
            }
        };
        answered.unwrap_or_else(|error| unreadable(&error))
    }

    /// Writes into each requirement of a project the sets that it is part of.
    async fn write_conflicts(&self, project: &str, requirements: &[Seen], conflicts: &Conflicts) {
        for one in requirements {
            let wanted: Vec<Vec<String>> = conflicts.get(&one.name).into_iter().flatten().cloned().collect();
            if one.status.conflicts != wanted {
                let wanted = if wanted.is_empty() { Value::Null } else { json!(wanted) };
                self.patch::<RequirementSpec>(project, &one.name, json!({"conflicts": wanted})).await;
            }
        }
    }

    async fn patch<S: Spec>(&self, project: &str, name: &str, patch: Value) -> bool {
        let api = self.reader.of::<S>(project);
        let patch = Patch::Merge(json!({"status": patch}));
        match api.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => false,
            Err(error) => {
                let (kind, namespace) = (S::KIND, project);
                tracing::warn!(kind, namespace, name, %error, "an analysis could not be written; trying again");
                false
            }
        }
    }
}

/// The search must not outlive whoever waits for it.
struct StopWhenDropped(Stop);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> ArchitectureStatus {
    let reason = LocalText::both(format!("알 수 없음: {error}"), format!("unknown: {error}"));
    ArchitectureStatus {
        outcome: Some(Feasibility::Unknown),
        reason: reason.get(Language::Ko).to_owned(),
        reason_text: Some(reason),
        ..ArchitectureStatus::default()
    }
}
