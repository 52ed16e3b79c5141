//! Answers for the architectures of all projects: asks again when what an answer depends on has changed, and writes the
//! answers into statuses. Never blocks verdicts: it looks after they were written, and questions are answered on a
//! blocking thread, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::watcher::{self, watcher};
use maru_api::{
    ArchitectureSpec, ArchitectureStatus, Digest, EnvironmentSpec, EvidenceSpec, Feasibility, Language, LocalText,
    Object, ProjectSpec, RequirementSpec, RequirementStatus, Spec,
};
use maru_client::Client;
use maru_solver::Stop;
use maru_task::Scope;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::status::status_of_error;
use super::{Copies, Effort, Question, analyse, readings};
use crate::control::resource;
use crate::desk::object_name;
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
const PROJECT_LABEL: &str = "maru.dev/project";
const ENVIRONMENT_LABEL: &str = "maru.dev/environment";

/// Starts to analyse architectures; ends with the scope. `judged` is told when verdicts were written.
pub(crate) fn start(scope: &Scope, client: &Client, ledger: &Ledger, judged: &Arc<Notify>) {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<ArchitectureSpec>());
    drop(scope.spawn_until_cancelled("architectures", tell_changes(api, Arc::clone(judged))));
    let watch = Watch { client: client.clone(), ledger: ledger.clone(), changed: Arc::clone(judged) };
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
    client: Client,
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
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource::<ArchitectureSpec>());
        let mut by_project: BTreeMap<String, Vec<DynamicObject>> = BTreeMap::new();
        for object in all.list(&ListParams::default()).await? {
            by_project.entry(object.metadata.namespace.clone().unwrap_or_default()).or_default().push(object);
        }
        let mut projects: BTreeSet<String> = by_project.keys().cloned().collect();
        match known {
            // What is left of architectures that went while nobody looked.
            None => projects.extend(self.projects().await?),
            Some(known) => projects.extend(known.iter().cloned()),
        }
        let mut carrying = BTreeSet::new();
        for project in projects {
            let requirements = self.requirements(&project).await?;
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

    async fn projects(&self) -> Result<Vec<String>, kube::Error> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource::<ProjectSpec>());
        let found = all.list(&ListParams::default()).await?;
        Ok(found.into_iter().filter_map(|object| object.metadata.namespace).collect())
    }

    async fn list<S: Spec>(&self, project: &str) -> Result<Vec<DynamicObject>, kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), project, &resource::<S>());
        Ok(api.list(&ListParams::default()).await?.items)
    }

    async fn requirements(&self, project: &str) -> Result<Vec<Seen>, kube::Error> {
        Ok(self.list::<RequirementSpec>(project).await?.into_iter().map(Seen::new).collect())
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
        let spec = serde_json::from_value(object.data.get("spec").cloned().unwrap_or_else(|| json!({})));
        let mut status = match spec {
            Err(error) => unreadable(&error),
            Ok(architecture) => {
                let question = self.question(project, architecture, requirements).await?;
                let digest = question.digest();
                if before.question == Some(digest) && before.observed_generation == object.metadata.generation {
                    return Ok(before);
                }
                let mut status = self.answer(scope, question).await;
                status.question = Some(digest);
                status
            }
        };
        let language = self.project(project).await?.map(|spec| spec.language).unwrap_or_default();
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

    async fn project(&self, project: &str) -> Result<Option<ProjectSpec>, kube::Error> {
        let found = self.list::<ProjectSpec>(project).await?;
        let spec = found.into_iter().next().and_then(|object| object.data.get("spec").cloned());
        Ok(spec.and_then(|spec| serde_json::from_value(spec).ok()))
    }

    /// Asks about an architecture with what is measured of it now.
    async fn question(
        &self,
        project: &str,
        architecture: ArchitectureSpec,
        requirements: &[Seen],
    ) -> Result<Question, kube::Error> {
        let specs = requirements.iter().filter_map(|one| Some((one.name.clone(), one.spec.clone()?))).collect();
        let counted = requirements.iter().flat_map(|one| &one.status.checks).filter_map(|check| check.evidence);
        let evidence = self.evidence(project, counted.collect()).await?;
        let statuses = requirements.iter().map(|one| (one.name.as_str(), &one.status));
        let readings = readings(statuses, |digest| evidence.get(&digest).cloned());
        let question = Question::new(architecture, specs);
        if readings.is_empty() {
            return Ok(question);
        }
        Ok(question.measured(&readings, &copies_of(&self.client, project).await?))
    }

    /// Returns the evidence that was verified.
    async fn evidence(
        &self,
        project: &str,
        wanted: BTreeSet<Digest>,
    ) -> Result<BTreeMap<Digest, EvidenceSpec>, kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), project, &resource::<EvidenceSpec>());
        let mut found = BTreeMap::new();
        for envelope in wanted {
            let Some(object) = api.get_opt(&object_name(envelope)).await? else { continue };
            if object.data.pointer("/status/verified") != Some(&Value::Bool(true)) {
                continue;
            }
            let spec: Option<EvidenceSpec> =
                object.data.get("spec").cloned().and_then(|spec| serde_json::from_value(spec).ok());
            found.extend(spec.filter(|spec| spec.envelope == envelope).map(|spec| (envelope, spec)));
        }
        Ok(found)
    }

    /// Answers on a blocking thread, within the time; stores the certificates.
    async fn answer(&self, scope: &Scope, question: Question) -> ArchitectureStatus {
        let stop = Stop::default();
        let _when_dropped = StopWhenDropped(stop.clone());
        let effort = Effort { stop: stop.clone(), curve_points: 0 };
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
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), project, &resource::<S>());
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

/// A requirement as it is now.
struct Seen {
    name: String,
    spec: Option<RequirementSpec>,
    status: RequirementStatus,
}

impl Seen {
    fn new(object: DynamicObject) -> Self {
        let name = object.metadata.name.clone().unwrap_or_default();
        let mut fields = object.data;
        let status = serde_json::from_value(fields["status"].take()).unwrap_or_default();
        Self { name, spec: serde_json::from_value(fields["spec"].take()).ok(), status }
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

/// Counts the pods of each component in each environment of a project.
///
/// # Errors
/// When the API server refuses.
pub async fn copies_of(client: &Client, project: &str) -> Result<Copies, kube::Error> {
    let mut places: BTreeSet<(String, String)> = BTreeSet::new();
    let labelled = ListParams::default().labels(&format!("{PROJECT_LABEL}={project},{ENVIRONMENT_LABEL}"));
    for namespace in Api::<Namespace>::all(client.clone()).list(&labelled).await? {
        let environment = namespace.metadata.labels.as_ref().and_then(|labels| labels.get(ENVIRONMENT_LABEL)).cloned();
        places.extend(environment.zip(namespace.metadata.name));
    }
    for object in list_of::<EnvironmentSpec>(client, project).await? {
        places.insert((object.metadata.name, object.spec.namespace));
    }
    for object in list_of::<ProjectSpec>(client, project).await? {
        for environment in object.spec.environments {
            let place = environment.namespace.unwrap_or_else(|| format!("{project}-{}", environment.name));
            places.insert((environment.name, place));
        }
    }
    let mut copies = Copies::new();
    for (environment, place) in places {
        for pod in Api::<Pod>::namespaced(client.clone(), &place).list(&ListParams::default()).await? {
            let labels = pod.metadata.labels.unwrap_or_default();
            let component = labels.get("app.kubernetes.io/name").or_else(|| labels.get("app"));
            let runs = pod.status.and_then(|status| status.phase).is_some_and(|phase| phase == "Running");
            if let (Some(component), true, None) = (component, runs, pod.metadata.deletion_timestamp) {
                *copies.entry((environment.clone(), component.clone())).or_default() += 1;
            }
        }
    }
    Ok(copies)
}

async fn list_of<S: Spec>(client: &Client, project: &str) -> Result<Vec<Object<S>>, kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), project, &resource::<S>());
    let read = |object| serde_json::to_value(object).and_then(serde_json::from_value).ok();
    Ok(api.list(&ListParams::default()).await?.into_iter().filter_map(read).collect())
}
