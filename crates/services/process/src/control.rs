//! Follows the objects of all projects and writes what evidence says about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{
    ArchitectureSpec, Digest, EnvironmentSpec, EvidenceSpec, GROUP, GlossarySpec, ProjectSpec, RequirementSpec, Spec,
    VERSION,
};
use maru_client::Client;
use maru_task::Scope;
use maru_time::SharedClock;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::analysis;
use crate::follow::{Followed, Seen, SeenRequirement, follow, read, read_requirement};
use crate::gates;
use crate::ledger::Ledger;
use crate::merge::difference;
use crate::objectives;
use crate::plan::{Plan, Projects};
use crate::running::{self, PodRuns};
use crate::seal::Seals;
use crate::view::{Changes, View};

/// Changes that come together are taken together.
const COALESCE: Duration = Duration::from_millis(20);
/// Statuses that could not be written are tried again, and files of evidence are looked at again.
const ROUND: Duration = Duration::from_secs(30);
/// Nothing is judged by time more often than this.
const WAKE_MIN: Duration = Duration::from_millis(100);

/// What the room is started with.
#[derive(Debug, Clone)]
pub struct ProcessOptions {
    /// Where envelopes, reports and keys are.
    pub ledger: Ledger,
    /// Tells the time.
    pub clock: SharedClock,
}

/// Starts to follow all projects; ends with the scope.
pub fn start(scope: &Scope, client: Client, options: ProcessOptions) {
    let changed = Arc::new(Notify::new());
    let world = World::follow(scope, &client, &changed);
    let judged = Arc::new(Notify::new());
    analysis::start(scope, &client, &options.ledger, &judged);
    gates::start(scope, &client, &options.ledger, &options.clock);
    objectives::start(scope, &client, &options.ledger, &options.clock);
    let control = Control {
        client,
        world,
        changed,
        judged,
        clock: options.clock,
        judge: Judge { seals: Seals::new(options.ledger), ..Judge::default() },
        again: Changes::default(),
    };
    drop(scope.spawn("process", control.run(scope.clone())));
}

/// Returns how the API names a kind of ours.
pub(crate) fn resource<S: Spec>() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, S::KIND), S::PLURAL)
}

#[derive(Default)]
struct World {
    requirements: Arc<Followed<SeenRequirement>>,
    evidence: Arc<Followed<Seen<EvidenceSpec>>>,
    projects: Arc<Followed<Seen<ProjectSpec>>>,
    environments: Arc<Followed<Seen<EnvironmentSpec>>>,
    architectures: Arc<Followed<Seen<ArchitectureSpec>>>,
    glossaries: Arc<Followed<Seen<GlossarySpec>>>,
    namespaces: Arc<Followed<BTreeMap<String, String>>>,
    pods: Arc<Followed<PodRuns>>,
    config_maps: Arc<Followed<Digest>>,
}

impl World {
    fn follow(scope: &Scope, client: &Client, changed: &Arc<Notify>) -> Self {
        let world = Self::default();
        macro_rules! follow {
            ($field:ident, $api:expr, $keep:expr) => {
                let following = follow($api, Arc::clone(&world.$field), Arc::clone(changed), $keep);
                drop(scope.spawn_until_cancelled(stringify!($field), following));
            };
        }
        macro_rules! follow_ours {
            ($field:ident, $spec:ty, $keep:expr) => {
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<$spec>());
                follow!($field, api, $keep);
            };
        }
        follow_ours!(requirements, RequirementSpec, read_requirement);
        follow_ours!(evidence, EvidenceSpec, read::<EvidenceSpec>);
        follow_ours!(projects, ProjectSpec, read::<ProjectSpec>);
        follow_ours!(environments, EnvironmentSpec, read::<EnvironmentSpec>);
        follow_ours!(architectures, ArchitectureSpec, read::<ArchitectureSpec>);
        follow_ours!(glossaries, GlossarySpec, read::<GlossarySpec>);
        follow!(namespaces, Api::<Namespace>::all(client.clone()), |namespace: &Namespace| {
            Some(namespace.metadata.labels.clone().unwrap_or_default())
        });
        follow!(pods, Api::<Pod>::all(client.clone()), running::runs_of);
        follow!(config_maps, Api::<ConfigMap>::all(client.clone()), running::content_of);
        world
    }

    /// Judging by half of the objects would say that evidence is missing.
    fn is_synced(&self) -> bool {
        self.requirements.is_synced()
            && self.evidence.is_synced()
            && self.projects.is_synced()
            && self.environments.is_synced()
            && self.architectures.is_synced()
            && self.glossaries.is_synced()
            && self.namespaces.is_synced()
            && self.pods.is_synced()
            && self.config_maps.is_synced()
    }

    /// Brings the view up to date; returns what changed.
    fn take(&self, view: &mut View) -> Changes {
        let mut changes = Changes {
            requirements: self.requirements.take(&mut view.requirements),
            evidence: self.evidence.take(&mut view.evidence),
            projects: self.projects.take(&mut view.projects),
            environments: self.environments.take(&mut view.environments),
            words: self.architectures.take(&mut view.architectures),
            running: false,
        };
        changes.words.extend(self.glossaries.take(&mut view.glossaries));
        // Each is brought up to date, whatever the others say.
        let others = [
            self.namespaces.take_other(&mut view.namespaces),
            self.pods.take_other(&mut view.pods),
            self.config_maps.take_other(&mut view.config_maps),
        ];
        changes.running = others.contains(&true);
        changes
    }
}

/// What was seen and what was decided by it.
#[derive(Default)]
struct Judge {
    view: View,
    seals: Seals,
    projects: Projects,
}

struct Control {
    client: Client,
    world: World,
    changed: Arc<Notify>,
    /// Told when verdicts were written.
    judged: Arc<Notify>,
    clock: SharedClock,
    judge: Judge,
    /// What could not be written.
    again: Changes,
}

impl Control {
    async fn run(mut self, scope: Scope) {
        let mut round = Instant::now() + ROUND;
        let mut wake = round;
        loop {
            tokio::select! {
                () = scope.cancelled() => return,
                () = self.changed.notified() => tokio::time::sleep(COALESCE).await,
                () = tokio::time::sleep_until(wake.min(round)) => {}
            }
            let is_round = Instant::now() >= round;
            if is_round {
                round = Instant::now() + ROUND;
            }
            if !self.world.is_synced() {
                continue;
            }
            let now = self.clock.now();
            let mut judge = std::mem::take(&mut self.judge);
            let mut changes = self.world.take(&mut judge.view);
            if is_round {
                changes.extend(std::mem::take(&mut self.again));
            }
            // Envelopes are read from the disk.
            let judged = scope.spawn_blocking(move || {
                if is_round {
                    judge.seals.look_again();
                }
                let sealed = judge.seals.look(&judge.view, &changes.evidence, &changes.projects);
                let plan = judge.projects.plan(&judge.view, &changes, sealed, now);
                (judge, plan)
            });
            let Ok((judge, plan)) = judged.await else { return };
            self.judge = judge;
            wake = Instant::now() + wake_after(&plan, now);
            if !plan.writes.is_empty() {
                self.write(plan).await;
                self.judged.notify_one();
            }
        }
    }

    async fn write(&mut self, plan: Plan) {
        for write in plan.writes {
            let Some(patch) = difference(&write.observed, &write.wanted) else { continue };
            let kind =
                ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, write.kind), write.plural);
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &write.namespace, &kind);
            let patch = Patch::Merge(json!({"status": patch}));
            match api.patch_status(&write.name, &PatchParams::default(), &patch).await {
                Ok(_) => {
                    let verdict = write.wanted.get("verdict").and_then(Value::as_str);
                    if write.observed.get("verdict").and_then(Value::as_str) != verdict {
                        let (namespace, name) = (&write.namespace, &write.name);
                        tracing::info!(namespace, name, verdict, "verdict changed");
                    }
                }
                // It is gone, or the namespace is.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => {
                    let (kind, namespace, name) = (write.kind, &write.namespace, &write.name);
                    tracing::warn!(kind, namespace, name, %error, "a status could not be written; trying again");
                    self.again.extend(Changes::of(&write));
                }
            }
        }
    }
}

/// Evidence expires by time alone.
fn wake_after(plan: &Plan, now: maru_time::Timestamp) -> Duration {
    let until = plan.wake.map(|at| at.duration_since(now));
    let until = until.and_then(|span| Duration::try_from(span).ok().or(Some(Duration::ZERO)));
    until.map_or(ROUND, |until| until.clamp(WAKE_MIN, ROUND))
}
