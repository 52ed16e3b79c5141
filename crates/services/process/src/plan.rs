//! Decides what every status says: the same objects, evidence and time give the same statuses, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use maru_api::{
    Class, Digest, EnvironmentSpec, EnvironmentStatus, EvidenceSpec, EvidenceStatus, Language, LocalText, ProjectSpec,
    ProjectStatus, RequirementSpec, RequirementStatus, Spec, Subject, Suspect, Verdict,
};
use maru_evidence::{EvidenceKind, Index, Piece, Rules};
use maru_time::Timestamp;
use serde_json::Value;

use crate::follow::{Key, SeenRequirement};
use crate::merge::of_verdicts;
use crate::quality::{CHANGES_MAX, Quality, volatility};
use crate::seal::{ChainState, Found, Sealed};
use crate::view::{Changes, View, environments, project_spec, within};

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

/// The verdicts of all projects, kept up to date: what did not change is not judged again.
#[derive(Debug, Default)]
pub(crate) struct Projects {
    judged: BTreeMap<String, Judged>,
}

/// What one project was judged by at last.
#[derive(Debug, Default)]
struct Judged {
    index: Index,
    quality: Quality,
    language: Language,
    requirements: BTreeMap<String, Arc<SeenRequirement>>,
    /// The evidence by its object's name; of what does not stand, why.
    pieces: BTreeMap<String, Arc<Piece>>,
    /// What is said of each object: its place in the chain, or why it does not stand.
    records: BTreeMap<String, Result<u64, String>>,
    running: BTreeMap<String, Vec<Subject>>,
    chain: ChainState,
}

/// What changed of one project.
#[derive(Debug, Default)]
struct Part {
    requirements: BTreeSet<String>,
    evidence: BTreeSet<String>,
    environments: BTreeSet<String>,
    found: BTreeMap<String, Found>,
    project: bool,
    words: bool,
}

impl Projects {
    /// Returns the statuses that are to be written: of those objects that may have another one now.
    pub(crate) fn plan(&mut self, view: &View, changes: &Changes, sealed: Sealed, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let mut parts = parts(changes, sealed.records);
        for (project, state) in sealed.chains {
            parts.entry(project.clone()).or_default().project = true;
            self.judged.entry(project).or_default().chain = state;
        }
        let touched: Vec<String> = parts.keys().cloned().collect();
        for project in &touched {
            self.judged.entry(project.clone()).or_default();
        }
        for (project, judged) in &mut self.judged {
            let part = parts.remove(project).unwrap_or_default();
            judged.update(view, project, part, changes.running, now, &mut plan);
            plan.wake = [plan.wake, judged.index.next_change()].into_iter().flatten().min();
        }
        for project in touched {
            if self.judged.get(&project).is_some_and(|judged| judged.is_empty(view, &project)) {
                self.judged.remove(&project);
            }
        }
        plan
    }
}

fn parts(changes: &Changes, found: BTreeMap<Key, Found>) -> BTreeMap<String, Part> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (project, name) in &changes.requirements {
        parts.entry(project.clone()).or_default().requirements.insert(name.clone());
    }
    for (project, name) in &changes.evidence {
        parts.entry(project.clone()).or_default().evidence.insert(name.clone());
    }
    for (project, name) in &changes.environments {
        parts.entry(project.clone()).or_default().environments.insert(name.clone());
    }
    for (project, _) in &changes.projects {
        parts.entry(project.clone()).or_default().project = true;
    }
    for (project, _) in &changes.words {
        parts.entry(project.clone()).or_default().words = true;
    }
    for ((project, name), found) in found {
        let part = parts.entry(project).or_default();
        part.evidence.insert(name.clone());
        part.found.insert(name, found);
    }
    parts
}

fn push<S: Spec>(plan: &mut Plan, project: &str, name: &str, observed: &Value, wanted: &impl serde::Serialize) {
    let wanted = serde_json::to_value(wanted).unwrap_or_default();
    if *observed != wanted {
        plan.writes.push(Write {
            kind: S::KIND,
            plural: S::PLURAL,
            namespace: project.to_owned(),
            name: name.to_owned(),
            observed: observed.clone(),
            wanted,
        });
    }
}

impl Judged {
    fn is_empty(&self, view: &View, project: &str) -> bool {
        self.requirements.is_empty()
            && self.pieces.is_empty()
            && within(&view.projects, project).next().is_none()
            && within(&view.environments, project).next().is_none()
    }

    fn update(&mut self, view: &View, project: &str, part: Part, running: bool, now: Timestamp, plan: &mut Plan) {
        let mut touched = BTreeSet::new();
        if part.project {
            let spec = project_spec(view, project);
            self.index.set_rules(rules(&spec));
            if std::mem::replace(&mut self.language, spec.language) != self.language {
                touched.extend(self.requirements.keys().cloned());
            }
        }
        self.take_evidence(view, project, part.found);
        let is_elsewhere = running || part.project || !part.environments.is_empty();
        if is_elsewhere {
            self.take_running(environments(view, project));
        }
        let is_reworded = self.is_reworded(view, project, &part.requirements);
        touched.extend(self.take_requirements(view, project, &part.requirements));
        if is_reworded || part.words {
            touched.extend(self.quality.look(view, project, &self.requirements));
        }
        let decided = self.index.refresh(now);
        let is_other = !decided.is_empty() || !touched.is_empty() || part.project;
        touched.extend(decided.into_iter().map(|(name, _)| name.to_string()));
        for name in touched {
            let Some(one) = self.requirements.get(&name) else { continue };
            let status = self.status_of(&name, one, now);
            push::<RequirementSpec>(plan, project, &name, &one.seen.status, &status);
        }
        for name in part.evidence {
            self.say_of_evidence(view, project, &name, plan);
        }
        for (name, one) in within(&view.environments, project).filter(|_| is_elsewhere) {
            let subjects = self.running.get(name).cloned().unwrap_or_default();
            let reason = one.spec.as_ref().err().map(|error| format!("the environment cannot be read: {error}"));
            let wanted = EnvironmentStatus { subjects, reason: reason.unwrap_or_default() };
            push::<EnvironmentSpec>(plan, project, name, &one.status, &wanted);
        }
        if is_other {
            self.say_of_project(view, project, plan);
        }
    }

    fn say_of_evidence(&self, view: &View, project: &str, name: &str, plan: &mut Plan) {
        let Some(one) = view.evidence.get(&(project.to_owned(), name.to_owned())) else { return };
        let wanted = match self.records.get(name) {
            Some(Ok(sequence)) => EvidenceStatus { verified: true, reason: String::new(), sequence: Some(*sequence) },
            Some(Err(reason)) => EvidenceStatus { verified: false, reason: reason.clone(), sequence: None },
            None => return,
        };
        push::<EvidenceSpec>(plan, project, name, &one.status, &wanted);
    }

    fn say_of_project(&self, view: &View, project: &str, plan: &mut Plan) {
        for (name, one) in within(&view.projects, project) {
            let (conforming, nonconforming, not_measured) = self.index.totals();
            // What other parts of the room say of a project is theirs.
            let before: ProjectStatus = serde_json::from_value(one.status.clone()).unwrap_or_default();
            let mut wanted = ProjectStatus { conforming, nonconforming, not_measured, ..before };
            wanted.chain_head = self.chain.head.head;
            wanted.chain_length = self.chain.head.length;
            wanted.key_id.clone_from(&self.chain.key_id);
            wanted.reason.clone_from(&self.chain.reason);
            if let Err(error) = &one.spec {
                wanted.reason = format!("the project cannot be read: {error}");
            }
            let wanted = of_verdicts(&serde_json::to_value(wanted).unwrap_or_default());
            push::<ProjectSpec>(plan, project, name, &of_verdicts(&one.status), &wanted);
        }
    }

    fn take_running(&mut self, running: BTreeMap<String, Vec<Subject>>) {
        for gone in self.running.keys().filter(|name| !running.contains_key(*name)) {
            self.index.set_running(gone, Vec::new());
        }
        for (environment, subjects) in &running {
            if self.running.get(environment) != Some(subjects) {
                self.index.set_running(environment, subjects.clone());
            }
        }
        self.running = running;
    }

    /// Tells whether a text is another: most changes of requirements are of their statuses.
    fn is_reworded(&self, view: &View, project: &str, names: &BTreeSet<String>) -> bool {
        names.iter().any(|name| {
            let now = view.requirements.get(&(project.to_owned(), name.clone()));
            now.map(|one| &one.item) != self.requirements.get(name).map(|one| &one.item)
        })
    }

    /// Takes what is new or another; returns whose status may differ.
    fn take_requirements(&mut self, view: &View, project: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
        let mut links = false;
        for name in names {
            let before = self.index.fingerprint(name);
            match view.requirements.get(&(project.to_owned(), name.clone())) {
                Some(one) => {
                    match &one.seen.spec {
                        Ok(spec) => self.index.set_requirement(name, spec.clone()),
                        Err(_) => self.index.remove_requirement(name),
                    }
                    self.requirements.insert(name.clone(), Arc::clone(one));
                }
                None => {
                    self.index.remove_requirement(name);
                    self.requirements.remove(name);
                }
            }
            links |= before != self.index.fingerprint(name);
        }
        // Another fingerprint may make any link to it suspect.
        let has_link = |one: &SeenRequirement| {
            let links = one.seen.spec.iter().flat_map(|spec| &spec.derived_from);
            links.into_iter().any(|link| names.contains(&link.name))
        };
        let mut touched = names.clone();
        if links {
            touched.extend(self.requirements.iter().filter(|(_, one)| has_link(one)).map(|(name, _)| name.clone()));
        }
        touched
    }

    fn take_evidence(&mut self, view: &View, project: &str, found: BTreeMap<String, Found>) {
        let is_less = found.iter().any(|(name, found)| match (found, self.pieces.get(name)) {
            (_, None) => false,
            (Found::Stands(verified), Some(known)) => known.digest != verified.digest,
            (Found::Refused(_) | Found::Gone, Some(_)) => true,
        });
        let mut new = Vec::new();
        for (name, found) in found {
            self.pieces.remove(&name);
            self.records.remove(&name);
            let piece = match found {
                Found::Gone => continue,
                Found::Stands(verified) => {
                    self.records.insert(name.clone(), Ok(verified.statement.record.sequence));
                    Piece::from(Arc::unwrap_or_clone(verified))
                }
                Found::Refused(reason) => {
                    self.records.insert(name.clone(), Err(reason.clone()));
                    let object = view.evidence.get(&(project.to_owned(), name.clone()));
                    let Some(Ok(spec)) = object.map(|one| &one.spec) else { continue };
                    refused(spec.clone(), &reason)
                }
            };
            let piece = Arc::new(piece);
            new.push(Arc::clone(&piece));
            self.pieces.insert(name, piece);
        }
        if is_less {
            // What was believed is not any more: all is judged anew.
            self.index = Index::new(rules(&project_spec(view, project)));
            for (name, one) in &self.requirements {
                if let Ok(spec) = &one.seen.spec {
                    self.index.set_requirement(name, spec.clone());
                }
            }
            for (environment, subjects) in &self.running {
                self.index.set_running(environment, subjects.clone());
            }
            new = self.pieces.values().cloned().collect();
        }
        let standing: HashSet<Digest> = if new.iter().any(|piece| piece.refused.is_some()) {
            self.pieces.values().filter(|piece| piece.refused.is_none()).map(|piece| piece.digest).collect()
        } else {
            HashSet::new()
        };
        for piece in new {
            // A copy of what stands changes nothing; it has its own status.
            if piece.refused.is_none() || !standing.contains(&piece.digest) {
                self.index.add(piece);
            }
        }
    }

    fn status_of(&self, name: &str, one: &SeenRequirement, now: Timestamp) -> RequirementStatus {
        let before: RequirementStatus = serde_json::from_value(one.seen.status.clone()).unwrap_or_default();
        let mut status = match &one.seen.spec {
            Ok(spec) => {
                let found = self.index.status(name);
                RequirementStatus {
                    fingerprint: self.index.fingerprint(name),
                    suspect: self.suspects(spec),
                    verdict: found.and_then(|found| found.verdict),
                    reason: found.map(|found| found.reason.get(self.language).to_owned()).unwrap_or_default(),
                    reason_text: found.map(|found| found.reason.clone()),
                    checks: found.map(|found| found.checks.clone()).unwrap_or_default(),
                    ..RequirementStatus::default()
                }
            }
            Err(error) => {
                let reason = LocalText::both(format!("읽을 수 없음: {error}"), format!("it cannot be read: {error}"));
                RequirementStatus {
                    verdict: Some(Verdict::NotMeasured),
                    reason: reason.get(self.language).to_owned(),
                    reason_text: Some(reason),
                    ..RequirementStatus::default()
                }
            }
        };
        status.since = match before.since {
            Some(since) if before.verdict == status.verdict => Some(since),
            _ => status.verdict.map(|_| now),
        };
        status.changed = before.changed;
        if before.fingerprint.is_some() && before.fingerprint != status.fingerprint {
            status.changed.push(now);
            let forgotten = status.changed.len().saturating_sub(CHANGES_MAX);
            status.changed.drain(..forgotten);
        }
        if let Some(told) = self.quality.told(name) {
            let volatility = volatility(one, &status.changed, now);
            status.class = one.item.is_ok().then(|| Class { volatility, ..told.class.clone() });
            status.lint.clone_from(&told.lint);
        }
        // What other rooms find is theirs.
        status.conflicts = before.conflicts;
        status.observed_generation = one.seen.generation;
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

pub(crate) fn rules(spec: &ProjectSpec) -> Rules {
    let rules = Rules { valid_for: spec.evidence_valid_for, ..Rules::default() };
    Rules { confidence: spec.confidence.unwrap_or(rules.confidence), ..rules }
}
