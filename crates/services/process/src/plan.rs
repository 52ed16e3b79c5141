//! Decides what every status says: the same objects, evidence and time give the same statuses, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maru_api::{
    Class, Digest, EnvironmentSpec, EvidenceSpec, EvidenceStatus, Language, LocalText, ProjectSpec, ProjectStatus,
    RequirementSpec, RequirementStatus, Spec, Subject, Suspect, Verdict,
};
use maru_evidence::{EvidenceKind, Index, Piece, Rules, Verified};
use maru_time::Timestamp;
use serde_json::Value;

use crate::follow::{Key, Seen};
use crate::running::{self, PodImages};
use crate::seal::Sealed;

/// Everything that verdicts depend on, as the API server has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) requirements: BTreeMap<Key, Arc<Seen<RequirementSpec>>>,
    pub(crate) evidence: BTreeMap<Key, Arc<Seen<EvidenceSpec>>>,
    pub(crate) projects: BTreeMap<Key, Arc<Seen<ProjectSpec>>>,
    pub(crate) environments: BTreeMap<Key, Arc<Seen<EnvironmentSpec>>>,
    /// The labels of each namespace.
    pub(crate) namespaces: BTreeMap<Key, Arc<BTreeMap<String, String>>>,
    pub(crate) pods: BTreeMap<Key, Arc<PodImages>>,
}

/// One status to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) observed: Value,
    pub(crate) wanted: Value,
}

/// What is to be written, and when time alone changes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) writes: Vec<Write>,
    pub(crate) wake: Option<Timestamp>,
}

const PROJECT_LABEL: &str = "maru.dev/project";
const ENVIRONMENT_LABEL: &str = "maru.dev/environment";

/// The verdicts of all projects, kept up to date: what did not change is not judged again.
#[derive(Debug, Default)]
pub(crate) struct Projects {
    judged: BTreeMap<String, Judged>,
}

/// What one project was judged by at last.
#[derive(Debug, Default)]
struct Judged {
    index: Index,
    requirements: BTreeMap<String, Arc<Seen<RequirementSpec>>>,
    pieces: BTreeMap<String, Result<Digest, String>>,
    environments: BTreeSet<String>,
}

impl Projects {
    /// Returns the statuses that are to be written; of all objects with `whole`, else of those that may differ.
    pub(crate) fn plan(&mut self, view: &View, sealed: &Sealed, now: Timestamp, whole: bool) -> Plan {
        let mut plan = Plan::default();
        let mut names: BTreeSet<&str> = view.requirements.keys().map(|(project, _)| project.as_str()).collect();
        names.extend(view.projects.keys().map(|(project, _)| project.as_str()));
        self.judged.retain(|project, _| names.contains(project.as_str()));
        for project in names {
            let judged = self.judged.entry(project.to_owned()).or_default();
            judged.update(view, sealed, project, now, whole, &mut plan);
            plan.wake = [plan.wake, judged.index.next_change()].into_iter().flatten().min();
        }
        for (key, one) in &view.evidence {
            if says_verified(&one.status, sealed.records.get(key)) {
                continue;
            }
            push::<EvidenceSpec>(&mut plan, key, &one.status, &evidence_status(sealed, key));
        }
        for (key, one) in &view.projects {
            let (conforming, nonconforming, not_measured) =
                self.judged.get(&key.0).map(|judged| judged.index.totals()).unwrap_or_default();
            // Stage, gates and changes are found by the loop of gates.
            let before: ProjectStatus = serde_json::from_value(one.status.clone()).unwrap_or_default();
            let mut wanted = ProjectStatus {
                conforming,
                nonconforming,
                not_measured,
                chain_head: None,
                chain_length: 0,
                key_id: String::new(),
                reason: String::new(),
                ..before
            };
            if let Some(chain) = sealed.chains.get(&key.0) {
                wanted.chain_head = chain.head.head;
                wanted.chain_length = chain.head.length;
                wanted.key_id.clone_from(&chain.key_id);
                wanted.reason.clone_from(&chain.reason);
            }
            if let Err(error) = &one.object {
                wanted.reason = format!("the project cannot be read: {error}");
            }
            push::<ProjectSpec>(&mut plan, key, &one.status, &wanted);
        }
        plan
    }
}

fn push<S: Spec>(plan: &mut Plan, key: &Key, observed: &Value, wanted: &impl serde::Serialize) {
    let wanted = serde_json::to_value(wanted).unwrap_or_default();
    if *observed != wanted {
        let (namespace, name) = key.clone();
        plan.writes.push(Write {
            kind: S::KIND,
            plural: S::PLURAL,
            namespace,
            name,
            observed: observed.clone(),
            wanted,
        });
    }
}

/// Tells at little cost that a status is as it should be, as nearly all are.
fn says_verified(status: &Value, record: Option<&Result<Arc<Verified>, String>>) -> bool {
    let Some(Ok(verified)) = record else { return false };
    let field = |name: &str| status.get(name);
    field("verified") == Some(&Value::Bool(true))
        && field("reason").is_none()
        && field("sequence").and_then(Value::as_u64) == Some(verified.statement.record.sequence)
}

fn evidence_status(sealed: &Sealed, key: &Key) -> EvidenceStatus {
    match sealed.records.get(key) {
        Some(Ok(verified)) => {
            EvidenceStatus { verified: true, reason: String::new(), sequence: Some(verified.statement.record.sequence) }
        }
        Some(Err(reason)) => EvidenceStatus { verified: false, reason: reason.clone(), sequence: None },
        None => EvidenceStatus::default(),
    }
}

impl Judged {
    fn update(&mut self, view: &View, sealed: &Sealed, project: &str, now: Timestamp, whole: bool, plan: &mut Plan) {
        let spec = project_spec(view, project);
        if self.has_lost_evidence(sealed, project) {
            // Evidence goes with its namespace only; should it ever go otherwise, all is judged anew.
            *self = Self::default();
        }
        self.index.set_rules(rules(&spec));
        self.take_evidence(view, sealed, project);
        let running = environments(view, project);
        for gone in self.environments.iter().filter(|name| !running.contains_key(*name)) {
            self.index.set_running(gone, Vec::new());
        }
        self.environments = running.keys().cloned().collect();
        for (environment, subjects) in running {
            self.index.set_running(&environment, subjects);
        }
        let mut touched = self.take_requirements(view, project);
        for (name, _) in self.index.refresh(now) {
            touched.insert(name.to_string());
        }
        for (name, one) in &self.requirements {
            if whole || touched.contains(name) {
                let status = self.status_of(name, one, spec.language, now);
                push::<RequirementSpec>(plan, &(project.to_owned(), name.clone()), &one.status, &status);
            }
        }
    }

    /// Takes what is new or another; returns whose status may differ.
    fn take_requirements(&mut self, view: &View, project: &str) -> BTreeSet<String> {
        let current: BTreeMap<String, Arc<Seen<RequirementSpec>>> = view
            .requirements
            .range((project.to_owned(), String::new())..)
            .take_while(|((namespace, _), _)| namespace == project)
            .map(|((_, name), one)| (name.clone(), Arc::clone(one)))
            .collect();
        let mut touched = BTreeSet::new();
        let mut links = false;
        for name in self.requirements.keys().filter(|name| !current.contains_key(*name)) {
            self.index.remove_requirement(name);
            links = true;
        }
        for (name, one) in &current {
            if self.requirements.get(name).is_some_and(|known| Arc::ptr_eq(known, one)) {
                continue;
            }
            let before = self.index.fingerprint(name);
            match &one.object {
                Ok(object) => self.index.set_requirement(name, object.spec.clone()),
                Err(_) => self.index.remove_requirement(name),
            }
            links |= before != self.index.fingerprint(name);
            touched.insert(name.clone());
        }
        self.requirements = current;
        // Another fingerprint may make any link to it suspect.
        if links { self.requirements.keys().cloned().collect() } else { touched }
    }

    fn has_lost_evidence(&self, sealed: &Sealed, project: &str) -> bool {
        self.pieces.keys().any(|name| !sealed.records.contains_key(&(project.to_owned(), name.clone())))
    }

    fn take_evidence(&mut self, view: &View, sealed: &Sealed, project: &str) {
        let records = || {
            let from = (project.to_owned(), String::new());
            sealed.records.range(from..).take_while(|((namespace, _), _)| namespace == project)
        };
        let current: BTreeMap<String, Result<Digest, String>> = records()
            .map(|((_, name), record)| (name.clone(), record.as_ref().map(|one| one.digest).map_err(Clone::clone)))
            .collect();
        if self.pieces == current {
            return;
        }
        let stands: BTreeSet<Digest> = current.values().filter_map(|one| one.as_ref().ok().copied()).collect();
        for (key, record) in records() {
            if self.pieces.get(&key.1) == current.get(&key.1) {
                continue;
            }
            let Some(Ok(object)) = view.evidence.get(key).map(|one| &one.object) else { continue };
            match record {
                Ok(verified) => self.index.add(Piece::from(Verified::clone(verified))),
                // A copy of what stands changes nothing; it has its own status.
                Err(_) if stands.contains(&object.spec.envelope) => {}
                Err(reason) => self.index.add(refused(object.spec.clone(), reason)),
            }
        }
        self.pieces = current;
    }

    fn status_of(
        &self,
        name: &str,
        one: &Seen<RequirementSpec>,
        language: Language,
        now: Timestamp,
    ) -> RequirementStatus {
        let before: RequirementStatus = serde_json::from_value(one.status.clone()).unwrap_or_default();
        let mut status = match &one.object {
            Ok(object) => {
                let found = self.index.status(name);
                RequirementStatus {
                    fingerprint: self.index.fingerprint(name),
                    class: Some(class_of(&object.spec)),
                    suspect: self.suspects(&object.spec),
                    verdict: found.and_then(|found| found.verdict),
                    reason: found.map(|found| found.reason.get(language).to_owned()).unwrap_or_default(),
                    reason_text: found.map(|found| found.reason.clone()),
                    checks: found.map(|found| found.checks.clone()).unwrap_or_default(),
                    ..RequirementStatus::default()
                }
            }
            Err(error) => {
                let reason = LocalText::both(format!("읽을 수 없음: {error}"), format!("it cannot be read: {error}"));
                RequirementStatus {
                    verdict: Some(Verdict::NotMeasured),
                    reason: reason.get(language).to_owned(),
                    reason_text: Some(reason),
                    ..RequirementStatus::default()
                }
            }
        };
        status.since = match before.since {
            Some(since) if before.verdict == status.verdict => Some(since),
            _ => status.verdict.map(|_| now),
        };
        // What other rooms find is theirs.
        status.lint = before.lint;
        status.conflicts = before.conflicts;
        status.observed_generation = one.generation;
        status
    }

    /// Links whose parent is another than when a person looked at the link, or is gone.
    fn suspects(&self, spec: &RequirementSpec) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        for link in &spec.derived_from {
            let current = self.index.fingerprint(&link.name);
            if current.is_none() || link.fingerprint.is_some_and(|reviewed| Some(reviewed) != current) {
                suspects.push(Suspect { name: link.name.clone(), reviewed: link.fingerprint, current });
            }
        }
        suspects
    }
}

fn refused(object: EvidenceSpec, reason: &str) -> Piece {
    Piece {
        digest: object.envelope,
        kind: EvidenceKind::of_predicate(&object.predicate_type),
        name: object.name,
        environment: object.environment,
        subjects: object.subjects,
        window: object.window,
        sequence: 0,
        result: object.result,
        cases: Vec::new(),
        valid_until: object.valid_until,
        refused: Some(reason.to_owned()),
    }
}

fn class_of(spec: &RequirementSpec) -> Class {
    let origin = if spec.derived_from.is_empty() { "source" } else { "derived" };
    let (kind, category, why) = match &spec.criterion {
        None => ("functional", None, "it asks for no quantity".to_owned()),
        Some(criterion) => match criterion.category() {
            Some(category) => {
                let why = format!("the criterion is about {category}: {}", criterion.indicator());
                ("nonFunctional", Some(category.to_owned()), why)
            }
            None => ("functional", None, format!("the criterion is about {}", criterion.indicator())),
        },
    };
    Class { kind: kind.to_owned(), category, why, volatility: None, origin: Some(origin.to_owned()) }
}

fn project_spec(view: &View, project: &str) -> ProjectSpec {
    let mut of_project = view.projects.range((project.to_owned(), String::new())..);
    let first = of_project.next().filter(|((namespace, _), _)| namespace == project);
    first.and_then(|(_, one)| one.object.as_ref().ok()).map(|object| object.spec.clone()).unwrap_or_default()
}

pub(crate) fn rules(spec: &ProjectSpec) -> Rules {
    let rules = Rules { valid_for: spec.evidence_valid_for, ..Rules::default() };
    Rules { confidence: spec.confidence.unwrap_or(rules.confidence), ..rules }
}

/// Returns what runs in each environment of a project, by the environment's name.
pub(crate) fn environments(view: &View, project: &str) -> BTreeMap<String, Vec<Subject>> {
    let mut namespaces: BTreeMap<String, String> = BTreeMap::new();
    for ((name, _), labels) in view.namespaces.iter().map(|((_, name), labels)| ((name, ()), labels)) {
        if let (Some(of), Some(environment)) = (labels.get(PROJECT_LABEL), labels.get(ENVIRONMENT_LABEL))
            && of == project
        {
            namespaces.insert(environment.clone(), name.clone());
        }
    }
    for ((namespace, name), one) in &view.environments {
        if namespace == project
            && let Ok(object) = &one.object
        {
            namespaces.insert(name.clone(), object.spec.namespace.clone());
        }
    }
    for ((namespace, _), one) in &view.projects {
        if namespace == project
            && let Ok(object) = &one.object
        {
            for environment in &object.spec.environments {
                let default = format!("{project}-{}", environment.name);
                let place = environment.namespace.clone().unwrap_or(default);
                namespaces.insert(environment.name.clone(), place);
            }
        }
    }
    namespaces
        .into_iter()
        .map(|(environment, place)| {
            let pods = view.pods.range((place.clone(), String::new())..).take_while(|((of, _), _)| *of == place);
            (environment, running::subjects(pods.map(|(_, pod)| &**pod)))
        })
        .collect()
}
