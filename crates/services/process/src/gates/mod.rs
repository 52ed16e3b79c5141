//! The loop of gates: approvals and baselines become evidence, documents are made, gates open and close.
//!
//! It looks after verdicts were written, never before: whatever it knows of evidence and verdicts stands in objects.

mod judge;
#[cfg(test)]
mod speed;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{
    ApprovalSpec, ApprovalStatus, BaselineSpec, Digest, DocumentSpec, GROUP, GateSpec, LocalText, MethodSpec,
    ProjectSpec, ProjectStatus, Spec, VERSION,
};
use maru_client::Client;
use maru_evidence::Draft;
use maru_task::Scope;
use maru_time::{SharedClock, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::ledger::{Ledger, LedgerError};
use crate::merge::{difference, of_gates};
use crate::seal::chain_of;
use crate::{approve, baseline, documents};

use judge::{Inputs, Links, Terms, judge};
use world::World;
pub(crate) use world::{Noted, Room, name_of, object_of, subject_of};

/// Changes that come together are taken together; a look that takes long is not repeated at once.
const COALESCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// What could not be written is tried again, and what time changes is looked at again.
const RESYNC: Duration = Duration::from_secs(30);

/// Starts to look at gates, approvals, baselines and documents of all projects; ends with the scope.
pub(crate) fn start(scope: &Scope, client: &Client, ledger: &Ledger, clock: &SharedClock) {
    let changed = Arc::new(Notify::new());
    let gates = Gates {
        world: World::follow(scope, client, &changed),
        client: client.clone(),
        ledger: ledger.clone(),
        clock: SharedClock::clone(clock),
        changed,
        minds: BTreeMap::new(),
    };
    drop(scope.spawn("gates", gates.run(scope.clone())));
}

/// What is remembered of a project from look to look.
#[derive(Debug, Default)]
struct Mind {
    links: Links,
    terms: Terms,
    last: Option<baseline::Last>,
}

struct Gates {
    world: World,
    client: Client,
    ledger: Ledger,
    clock: SharedClock,
    changed: Arc<Notify>,
    minds: BTreeMap<String, Mind>,
}

/// One status that is to be as it should be.
struct Wanted {
    kind: &'static str,
    plural: &'static str,
    name: String,
    observed: Value,
    wanted: Value,
}

impl Wanted {
    fn new<S: Spec>(object: &Value, status: &impl serde::Serialize) -> Self {
        Self {
            kind: S::KIND,
            plural: S::PLURAL,
            name: name_of(object).to_owned(),
            observed: object.get("status").cloned().unwrap_or_default(),
            wanted: serde_json::to_value(status).unwrap_or_default(),
        }
    }
}

impl Gates {
    async fn run(mut self, scope: Scope) {
        let mut again: BTreeSet<String> = BTreeSet::new();
        let mut pause = COALESCE.0;
        loop {
            let all = tokio::select! {
                () = scope.cancelled() => return,
                () = self.changed.notified() => {
                    tokio::time::sleep(pause).await;
                    false
                }
                () = tokio::time::sleep(RESYNC) => true,
            };
            if !self.world.is_synced() {
                continue;
            }
            let started = tokio::time::Instant::now();
            let mut touched = self.world.take();
            touched.append(&mut again);
            let projects = self.world.projects();
            self.minds.retain(|project, _| projects.contains(project));
            for project in projects.into_iter().filter(|project| all || touched.contains(project)) {
                let looked = tokio::select! {
                    () = scope.cancelled() => return,
                    looked = self.look(&scope, &project) => looked,
                };
                if let Err(error) = looked {
                    tracing::warn!(
                        namespace = project,
                        error = chain_of(&error),
                        "a project could not be looked at; trying again"
                    );
                    again.insert(project);
                }
            }
            pause = started.elapsed().clamp(COALESCE.0, COALESCE.1);
        }
    }

    /// Looks at one project: records what people said, freezes, judges, makes documents.
    async fn look(&mut self, scope: &Scope, project: &str) -> Result<(), DeskError> {
        let room = self.world.room(project);
        let now = self.clock.now();
        let desk = Desk::new(self.client.clone(), self.ledger.clone(), project);
        self.record_approvals(&desk, &room, now).await?;
        let words = {
            let room = room.clone();
            scope.spawn_blocking(move || approve::words(&room, now))
        };
        let Ok(words) = words.await else { return Ok(()) };
        let mind = self.minds.entry(project.to_owned()).or_default();
        let last = baseline::last_taken(&room);
        if last.as_ref().map(|(_, digest)| *digest) != mind.last.as_ref().map(|last| last.digest) {
            mind.last = last.and_then(|(name, digest)| {
                let loaded = baseline::Content::load(&self.ledger, digest);
                let failed =
                    |error: &LedgerError| tracing::warn!(name, error = chain_of(error), "a baseline cannot be read");
                let content = loaded.inspect_err(failed).ok()?;
                Some(baseline::Last { name, digest, content: Arc::new(content) })
            });
        }
        self.take_baselines(scope, &desk, &room, &words, now).await?;
        self.judge(scope, &room, &words, now).await;
        self.make_documents(scope, &room, now).await;
        Ok(())
    }

    async fn record_approvals(&self, desk: &Desk, room: &Room, now: Timestamp) -> Result<(), DeskError> {
        for object in room.of_kind(ApprovalSpec::KIND) {
            let status = match approve::plan(object, &room.evidence) {
                approve::Step::Nothing => continue,
                approve::Step::Tell(status) => status,
                approve::Step::Record { draft, raw } => {
                    let evidence = record_once(desk, *draft, &raw, now).await?;
                    ApprovalStatus { evidence: Some(evidence), reason: String::new() }
                }
            };
            self.write(&room.project, Wanted::new::<ApprovalSpec>(object, &status)).await;
        }
        Ok(())
    }

    async fn take_baselines(
        &self,
        scope: &Scope,
        desk: &Desk,
        room: &Room,
        words: &[approve::Word],
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let last = self.minds.get(&room.project).and_then(|mind| mind.last.as_ref());
        for object in baseline::asked(room) {
            let head = self.ledger.head(&room.project)?;
            let (own, wanted, words, last) = (room.clone(), Arc::clone(object), words.to_vec(), last.cloned());
            // Thousands of fingerprints.
            let planning = scope.spawn_blocking(move || {
                let with = baseline::Circumstances { words: &words, last: last.as_ref(), head, now };
                baseline::plan(&wanted, &own, &with)
            });
            let Ok(step) = planning.await else { return Ok(()) };
            let (content, envelope) = match step {
                baseline::Step::Nothing => continue,
                baseline::Step::Tell(status) => {
                    self.write(&room.project, Wanted::new::<BaselineSpec>(object, &status)).await;
                    continue;
                }
                baseline::Step::Settle { content, envelope } => (content, envelope),
                baseline::Step::Take { content, parameters } => {
                    let (draft, raw) = baseline::draft(&content, parameters);
                    (Digest::of(&raw), record_once(desk, draft, &raw, now).await?)
                }
            };
            let taken = baseline::Content::load(&self.ledger, content)?;
            let previous = taken.previous.map(|digest| baseline::Content::load(&self.ledger, digest)).transpose()?;
            let status = baseline::settled(&taken, content, envelope, previous.as_ref());
            self.write(&room.project, Wanted::new::<BaselineSpec>(object, &status)).await;
            // The next one follows on this one: it is looked at when this one is seen as signed.
            break;
        }
        Ok(())
    }

    /// Judges on a blocking thread: terms may take some tens of milliseconds each.
    async fn judge(&mut self, scope: &Scope, room: &Room, words: &[approve::Word], now: Timestamp) {
        let mut mind = self.minds.remove(&room.project).unwrap_or_default();
        let approvals = approve::views(words);
        let own = room.clone();
        let judging = scope.spawn_blocking(move || {
            let found = baseline_status(mind.last.as_ref(), &own);
            let inputs = Inputs::new(&own, &found, approvals, &mut mind.links, now);
            let judged = judge(&own, &method_of(&own), &inputs, &mut mind.terms);
            (mind, found, judged)
        });
        let Ok((mind, found, judged)) = judging.await else { return };
        self.minds.insert(room.project.clone(), mind);
        for object in room.of_kind(GateSpec::KIND) {
            if let Some(result) = judged.objects.get(name_of(object)) {
                self.write(&room.project, Wanted::new::<GateSpec>(object, result)).await;
            }
        }
        for object in room.of_kind(ProjectSpec::KIND) {
            // The rest of the status is the plan's.
            let before = object.get("status").cloned().unwrap_or_default();
            let before: ProjectStatus = serde_json::from_value(before).unwrap_or_default();
            let status = ProjectStatus {
                stage: judged.stage.clone(),
                gates: judged.gates.clone(),
                baseline: found.baseline.clone(),
                change_count: found.change_count,
                changes: found.changes.clone(),
                ..before
            };
            if status.stage != name_in(object, "/status/stage") {
                tracing::info!(namespace = room.project, stage = status.stage, "stage changed");
            }
            let mut wanted = Wanted::new::<ProjectSpec>(object, &status);
            (wanted.observed, wanted.wanted) = (of_gates(&wanted.observed), of_gates(&wanted.wanted));
            self.write(&room.project, wanted).await;
        }
    }

    async fn make_documents(&self, scope: &Scope, room: &Room, now: Timestamp) {
        for object in room.of_kind(DocumentSpec::KIND) {
            let (own, wanted) = (room.clone(), Arc::clone(object));
            let Ok(step) = scope.spawn_blocking(move || documents::plan(&wanted, &own, now)).await else { return };
            let status = match step {
                documents::Step::Nothing => continue,
                documents::Step::Tell(status) => *status,
                documents::Step::Make(order) => {
                    let ledger = self.ledger.clone();
                    match scope.spawn_blocking(move || documents::make(&order, &ledger)).await {
                        Ok(status) => status,
                        Err(_) => return,
                    }
                }
            };
            self.write(&room.project, Wanted::new::<DocumentSpec>(object, &status)).await;
        }
    }

    async fn write(&self, project: &str, wanted: Wanted) {
        let Some(patch) = difference(&wanted.observed, &wanted.wanted) else { return };
        let kind =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, wanted.kind), wanted.plural);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), project, &kind);
        let patch = Patch::Merge(json!({"status": patch}));
        match api.patch_status(&wanted.name, &PatchParams::default(), &patch).await {
            Ok(_) => {}
            // It is gone, or the namespace is.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let (kind, name) = (wanted.kind, &wanted.name);
                tracing::warn!(kind, namespace = project, name, %error, "a status could not be written; trying again");
            }
        }
    }
}

/// Records something that must be in the chain once, however often it is tried.
async fn record_once(desk: &Desk, draft: Draft, raw: &[u8], now: Timestamp) -> Result<Digest, DeskError> {
    desk.repair().await?;
    let known = desk.evidence().await?.into_iter().find(|one| {
        let parameters = draft.producer.parameters;
        one.spec.predicate_type == draft.kind.predicate_type()
            && (one.spec.raw == draft.raw || (parameters.is_some() && one.spec.producer.parameters == parameters))
    });
    if let Some(known) = known {
        return Ok(known.spec.envelope);
    }
    desk.ledger().put(raw)?;
    Ok(desk.record(draft, now).await?.envelope)
}

fn baseline_status(last: Option<&baseline::Last>, room: &Room) -> ProjectStatus {
    let Some(last) = last else { return ProjectStatus::default() };
    let (change_count, changes) = baseline::changes_since(last, room);
    ProjectStatus { baseline: last.name.clone(), change_count, changes, ..ProjectStatus::default() }
}

/// Returns the method that a project follows.
fn method_of(room: &Room) -> Result<MethodSpec, LocalText> {
    let name = room.project_spec().method;
    if name.is_empty() || name == "maru" {
        return MethodSpec::maru().map_err(|error| error.to_string().into());
    }
    let Some(object) = room.find(MethodSpec::KIND, &name) else {
        return Err(LocalText::both(
            format!("방법 \"{name}\"이 없습니다: Method 객체를 만들거나 spec.method를 지우십시오"),
            format!("there is no Method \"{name}\"; make one, or remove spec.method"),
        ));
    };
    let spec = object.get("spec").cloned().unwrap_or_default();
    serde_json::from_value(spec).map_err(|error| {
        LocalText::both(
            format!("방법 \"{name}\"을 읽을 수 없습니다: {error}"),
            format!("the Method \"{name}\" cannot be read: {error}"),
        )
    })
}

fn name_in<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
