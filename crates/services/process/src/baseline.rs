//! Baselines: what a project is at a moment, frozen and signed, and what changed since.
//!
//! The content of a baseline is a blob (canonical JSON); its envelope is a record of the project's chain. Documents are
//! made again from the content and the evidence that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maru_api::{
    ApprovalSpec, ArchitectureSpec, BaselineItem, BaselineSpec, BaselineStatus, Change, ChangeKind, Decision, Digest,
    GlossarySpec, LocalText, Measured, MethodSpec, ModelSpec, Outcome, Producer, ProjectSpec, RequirementSpec,
    ServiceLevelObjectiveSpec, Spec as _, Window, WorkItemSpec, canonical_json, fingerprint_of,
};
use maru_evidence::{Draft, EvidenceKind};
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::approve::{self, Word};
use crate::gates::{Noted, Room, name_of, subject_of};
use crate::ledger::{Head, Ledger, LedgerError};

/// What the content of a baseline says it is.
const FORMAT: &str = "https://maru.dev/baseline/v1";
/// Changes that a status lists, and names behind each.
const CHANGES_MAX: usize = 100;
const IMPACTS_MAX: usize = 50;
/// Items that an envelope lists; the content always has all.
const SUBJECTS_MAX: usize = 10_000;
/// The kinds that a baseline holds.
pub(crate) const HELD: [(&str, &str); 7] = [
    (ArchitectureSpec::KIND, ArchitectureSpec::PLURAL),
    (GlossarySpec::KIND, GlossarySpec::PLURAL),
    (MethodSpec::KIND, MethodSpec::PLURAL),
    (ModelSpec::KIND, ModelSpec::PLURAL),
    (ProjectSpec::KIND, ProjectSpec::PLURAL),
    (RequirementSpec::KIND, RequirementSpec::PLURAL),
    (ServiceLevelObjectiveSpec::KIND, ServiceLevelObjectiveSpec::PLURAL),
];

/// The end of the chain when a baseline was taken, and the evidence that verdicts rested on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenEvidence {
    /// The last record; none of an empty chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// How many records there were.
    pub length: u64,
    /// The envelopes that statuses name.
    pub envelopes: Vec<Digest>,
}

/// What a baseline holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// What this is.
    pub format: String,
    /// The project.
    pub project: String,
    /// The baseline's name.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub title: LocalText,
    /// Why it differs from the one before it.
    #[serde(default)]
    pub change: LocalText,
    /// The content of the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// When it was taken.
    pub at: Timestamp,
    /// Kind, name and fingerprint of each object.
    pub items: Vec<BaselineItem>,
    /// The objects with their statuses, by kind and name.
    pub objects: BTreeMap<String, Vec<Value>>,
    /// The evidence.
    pub evidence: FrozenEvidence,
}

impl Content {
    /// Reads the content of a baseline from the ledger.
    ///
    /// # Errors
    /// When the blob is missing or damaged, or holds something else.
    pub fn load(ledger: &Ledger, digest: Digest) -> Result<Self, LedgerError> {
        let bytes = ledger.get(digest)?;
        let wrong = |why: String| LedgerError::Digest(format!("{digest} (no baseline: {why})"));
        let content: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if content.format == FORMAT { Ok(content) } else { Err(wrong(content.format)) }
    }

    /// Returns the bytes that its digest is taken of.
    fn bytes(&self) -> Vec<u8> {
        canonical_json(&json!(self)).into_bytes()
    }

    /// Returns what it holds, for comparing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let requirements = self.objects.get(RequirementSpec::KIND).map(Vec::as_slice).unwrap_or_default();
        Snapshot { items: self.items.clone(), children: children_of(requirements.iter()) }
    }
}

/// The objects of a project at some moment: their fingerprints, and what derives from what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    items: Vec<BaselineItem>,
    children: BTreeMap<String, Vec<String>>,
}

fn children_of<'a>(requirements: impl Iterator<Item = &'a Value>) -> BTreeMap<String, Vec<String>> {
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in requirements {
        for link in one.pointer("/spec/derivedFrom").and_then(Value::as_array).into_iter().flatten() {
            if let Some(parent) = link.get("name").and_then(Value::as_str) {
                children.entry(parent.to_owned()).or_default().push(name_of(one).to_owned());
            }
        }
    }
    children
}

impl Snapshot {
    /// Returns what objects of a project come to; other kinds than those that baselines hold are passed over.
    #[must_use]
    pub fn of<'a>(objects: impl Iterator<Item = &'a Value>) -> Self {
        Self::with(objects.map(|object| (object, fingerprint_of(object).ok())))
    }

    /// The same of the objects that a look has.
    pub(crate) fn of_room(room: &Room) -> Self {
        let held = HELD.iter().flat_map(|(kind, _)| room.of_kind(kind));
        Self::with(held.map(|object| (&**object, room.fingerprint(object))))
    }

    fn with<'a>(objects: impl Iterator<Item = (&'a Value, Option<Digest>)>) -> Self {
        let (mut items, mut requirements) = (Vec::new(), Vec::new());
        for (object, fingerprint) in objects {
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
            if kind == RequirementSpec::KIND {
                requirements.push(object);
            }
            if let Some(fingerprint) = fingerprint.filter(|_| HELD.iter().any(|(own, _)| *own == kind)) {
                items.push(BaselineItem { kind: kind.to_owned(), name: name_of(object).to_owned(), fingerprint });
            }
        }
        items.sort_by(|left, right| (&left.kind, &left.name).cmp(&(&right.kind, &right.name)));
        Self { items, children: children_of(requirements.into_iter()) }
    }

    /// Returns the digest of all fingerprints: what an approval of a baseline is about.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(canonical_json(&json!(self.items)).as_bytes())
    }

    fn requirements(&self) -> u64 {
        self.items.iter().filter(|item| item.kind == RequirementSpec::KIND).count() as u64
    }

    /// Returns what became of this until another snapshot.
    #[must_use]
    pub fn changes_to(&self, later: &Self) -> Vec<Change> {
        let keyed = |items: &[BaselineItem]| -> BTreeMap<(String, String), Digest> {
            items.iter().map(|item| ((item.kind.clone(), item.name.clone()), item.fingerprint)).collect()
        };
        let (before, after) = (keyed(&self.items), keyed(&later.items));
        let mut changes = Vec::new();
        for (key, to) in &after {
            let from = before.get(key).copied();
            if from != Some(*to) {
                let change = if from.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
                changes.push(later.change(change, key, from, Some(*to)));
            }
        }
        for (key, from) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            changes.push(later.change(ChangeKind::Removed, key, Some(*from), None));
        }
        changes
    }

    fn change(
        &self,
        change: ChangeKind,
        (kind, name): &(String, String),
        from: Option<Digest>,
        to: Option<Digest>,
    ) -> Change {
        let is_requirement = kind == RequirementSpec::KIND;
        let impacts = if is_requirement { self.below(name) } else { Vec::new() };
        Change { change, kind: kind.clone(), name: name.clone(), from, to, impacts }
    }

    /// Returns all that derives from a requirement, however far.
    fn below(&self, name: &str) -> Vec<String> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            for child in self.children.get(next).into_iter().flatten() {
                if found.len() < IMPACTS_MAX && child != name && found.insert(child) {
                    open.push(child);
                }
            }
        }
        found.into_iter().map(str::to_owned).collect()
    }
}

/// The last baseline that is signed.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) content: Arc<Content>,
}

/// Returns the name and the content's digest of the last baseline that is signed.
pub(crate) fn last_taken(room: &Room) -> Option<(String, Digest)> {
    let taken = room.of_kind(BaselineSpec::KIND).iter().filter_map(|object| {
        let status = status_of(object);
        status.envelope?;
        Some((status.at?, name_of(object).to_owned(), status.content?))
    });
    taken.max().map(|(_, name, digest)| (name, digest))
}

fn status_of(object: &Value) -> BaselineStatus {
    object.get("status").cloned().and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default()
}

/// What is to be done about a baseline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing: its status says it all.
    Nothing,
    /// The status is to say what is missing.
    Tell(Box<BaselineStatus>),
    /// It is signed already; the status is to say so.
    Settle {
        /// The content's digest.
        content: Digest,
        /// The envelope's digest.
        envelope: Digest,
    },
    /// It is to be frozen and signed.
    Take { content: Box<Content>, parameters: Digest },
}

/// What decisions about baselines need beside the objects.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances<'a> {
    pub(crate) words: &'a [Word],
    pub(crate) last: Option<&'a Last>,
    pub(crate) head: Head,
    pub(crate) now: Timestamp,
}

/// Returns baselines in the order in which they were asked for.
pub(crate) fn asked(room: &Room) -> Vec<&Arc<Value>> {
    let mut all: Vec<&Arc<Value>> =
        room.of_kind(BaselineSpec::KIND).iter().filter(|one| status_of(one).envelope.is_none()).collect();
    let made = |one: &Value| one.pointer("/metadata/creationTimestamp").and_then(Value::as_str).map(str::to_owned);
    all.sort_by_key(|one| (made(one), name_of(one).to_owned()));
    all
}

/// Decides what to do about a baseline that is not signed yet.
pub(crate) fn plan(object: &Value, room: &Room, with: &Circumstances<'_>) -> Step {
    let observed = status_of(object);
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let parameters = Digest::of(uid.as_bytes());
    if let Some(known) = recorded(&room.evidence, parameters) {
        let settle = |content| Step::Settle { content, envelope: known.spec.envelope };
        return known.spec.raw.map_or(Step::Nothing, settle);
    }
    let project = room.project_spec();
    let snapshot = Snapshot::of_room(room);
    let mut wanted = BaselineStatus {
        fingerprint: Some(snapshot.fingerprint()),
        requirements: snapshot.requirements(),
        previous: with.last.map(|last| last.name.clone()),
        ..BaselineStatus::default()
    };
    if let Some(last) = with.last {
        let changes = last.content.snapshot().changes_to(&snapshot);
        (wanted.change_count, wanted.changes) = listed(changes);
    }
    let spec = object.get("spec").cloned().unwrap_or_default();
    let spec: Result<BaselineSpec, _> = serde_json::from_value(spec);
    let missing = match &spec {
        Ok(spec) => missing(object, spec, room, &snapshot, &project, with),
        Err(error) => Some(LocalText::both(format!("읽을 수 없음: {error}"), format!("it cannot be read: {error}"))),
    };
    match (spec, missing) {
        (Ok(spec), None) => {
            let content = content(object, &spec, room, snapshot, with);
            Step::Take { content: Box::new(content), parameters }
        }
        (_, missing) => {
            wanted.reason = missing.unwrap_or_default().get(project.language).to_owned();
            if wanted == observed { Step::Nothing } else { Step::Tell(Box::new(wanted)) }
        }
    }
}

/// Returns the status of a baseline that is signed.
pub(crate) fn settled(
    content: &Content,
    digest: Digest,
    envelope: Digest,
    previous: Option<&Content>,
) -> BaselineStatus {
    let snapshot = content.snapshot();
    let changes = previous.map(|previous| previous.snapshot().changes_to(&snapshot)).unwrap_or_default();
    let (change_count, changes) = listed(changes);
    BaselineStatus {
        content: Some(digest),
        envelope: Some(envelope),
        at: Some(content.at),
        fingerprint: Some(snapshot.fingerprint()),
        previous: previous.map(|previous| previous.name.clone()),
        requirements: snapshot.requirements(),
        change_count,
        changes,
        reason: String::new(),
    }
}

/// Returns the record of a baseline that was signed before its status could say so.
fn recorded(evidence: &[Arc<Noted>], parameters: Digest) -> Option<&Arc<Noted>> {
    evidence
        .iter()
        .find(|one| one.kind == Some(EvidenceKind::Baseline) && one.spec.producer.parameters == Some(parameters))
}

/// Returns the changes that a status lists, after how many there are.
pub(crate) fn listed(mut changes: Vec<Change>) -> (u64, Vec<Change>) {
    let count = changes.len() as u64;
    changes.truncate(CHANGES_MAX);
    (count, changes)
}

/// Returns what keeps a baseline from being taken.
fn missing(
    object: &Value,
    spec: &BaselineSpec,
    room: &Room,
    snapshot: &Snapshot,
    project: &ProjectSpec,
    with: &Circumstances<'_>,
) -> Option<LocalText> {
    let name = name_of(object);
    if snapshot.requirements() == 0 {
        return Some(LocalText::both("요구사항이 없어 고정할 것이 없습니다", "there are no requirements to freeze"));
    }
    for item in &spec.items {
        let now = snapshot.items.iter().find(|own| own.kind == item.kind && own.name == item.name);
        if now.map(|own| own.fingerprint) != Some(item.fingerprint) {
            let (kind, name) = (&item.kind, &item.name);
            let current = now.map_or_else(|| "-".to_owned(), |own| own.fingerprint.to_string());
            return Some(LocalText::both(
                format!("spec.items의 {kind} \"{name}\"이 지금과 다릅니다: 지금은 {current}"),
                format!("spec.items says another {kind} \"{name}\" than there is: it is {current} now"),
            ));
        }
    }
    let last = with.last?;
    if let Some(previous) = spec.previous.as_ref().filter(|previous| **previous != last.name) {
        return Some(LocalText::both(
            format!("spec.previous가 \"{previous}\"이지만 마지막 기준선은 \"{}\"입니다", last.name),
            format!("spec.previous is \"{previous}\", and the last baseline is \"{}\"", last.name),
        ));
    }
    if spec.change.is_empty() {
        return Some(LocalText::both(
            format!("기준선 \"{}\" 이후 왜 바뀌었는지 spec.change에 쓰십시오", last.name),
            format!("say in spec.change why it differs from baseline \"{}\"", last.name),
        ));
    }
    let role = project.policy.as_ref().and_then(|policy| policy.changes_approved_by.as_deref())?;
    let command = approve::command(&room.project, BaselineSpec::KIND, name, role);
    let word = approve::about(with.words, role, object).filter(|word| word.fingerprint == snapshot.fingerprint());
    match word {
        Some(word) if word.decision == Decision::Approved => None,
        Some(word) => Some(LocalText::both(
            format!("{role} 역할의 {}가 거부했습니다: {}", word.by, word.comment),
            format!("{} rejected it as {role}: {}", word.by, word.comment),
        )),
        None => Some(LocalText::both(
            format!("{role} 역할의 승인을 기다립니다: {command}"),
            format!("it waits for the approval of {role}: {command}"),
        )),
    }
}

fn content(object: &Value, spec: &BaselineSpec, room: &Room, snapshot: Snapshot, with: &Circumstances<'_>) -> Content {
    let mut objects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut envelopes = BTreeSet::new();
    for (kind, _) in HELD {
        for one in room.of_kind(kind) {
            let checks = one.pointer("/status/checks").and_then(Value::as_array).into_iter().flatten();
            let named = checks.filter_map(|check| check.get("evidence")?.as_str()?.parse::<Digest>().ok());
            envelopes.extend(named);
            objects.entry(kind.to_owned()).or_default().push(frozen(one));
        }
    }
    // Who approved it is part of it; what people say later is not.
    let about = |word: &&Word| word.is_current && word.kind == BaselineSpec::KIND && word.name == name_of(object);
    let words: Vec<Word> = with.words.iter().filter(about).cloned().collect();
    let approvals = approve::views(&words).into_iter().map(|one| (*one).clone()).collect();
    objects.insert(ApprovalSpec::KIND.to_owned(), approvals);
    // What is done changes every day, and needs nobody's approval; documents tell how it was.
    let work = room.of_kind(WorkItemSpec::KIND).iter().map(|one| frozen(one)).collect();
    objects.insert(WorkItemSpec::KIND.to_owned(), work);
    // What the status says of gates and changes goes with the project, not with its state.
    for project in objects.get_mut(ProjectSpec::KIND).into_iter().flatten() {
        if let Some(fields) = project.as_object_mut() {
            fields.remove("status");
        }
    }
    Content {
        format: FORMAT.to_owned(),
        project: room.project.clone(),
        name: name_of(object).to_owned(),
        title: spec.title.clone(),
        change: spec.change.clone(),
        previous: with.last.map(|last| last.digest),
        at: with.now,
        items: snapshot.items,
        objects,
        evidence: FrozenEvidence {
            head: with.head.head,
            length: with.head.length,
            envelopes: envelopes.into_iter().collect(),
        },
    }
}

/// Returns an object without what only this server's storage knows.
fn frozen(object: &Value) -> Value {
    let metadata = |name: &str| object.pointer(&format!("/metadata/{name}")).cloned();
    let mut kept = serde_json::Map::new();
    for name in ["name", "namespace", "labels", "annotations", "creationTimestamp", "generation"] {
        if let Some(value) = metadata(name) {
            kept.insert(name.to_owned(), value);
        }
    }
    json!({
        "apiVersion": maru_api::API_VERSION,
        "kind": object.get("kind").cloned().unwrap_or_default(),
        "metadata": kept,
        "spec": object.get("spec").cloned().unwrap_or_default(),
        "status": object.get("status").cloned().unwrap_or_default(),
    })
}

/// Returns the record of a baseline, and the bytes of its content.
pub(crate) fn draft(content: &Content, parameters: Digest) -> (Draft, Vec<u8>) {
    let raw = content.bytes();
    let digest = Digest::of(&raw);
    let mut subjects = vec![subject_of(BaselineSpec::KIND, &content.name, digest)];
    if content.items.len() <= SUBJECTS_MAX {
        subjects.extend(content.items.iter().map(|item| subject_of(&item.kind, &item.name, item.fingerprint)));
    }
    let draft = Draft {
        kind: EvidenceKind::Baseline,
        subjects,
        name: content.name.clone(),
        environment: None,
        producer: Producer { tool: "maru".to_owned(), version: String::new(), parameters: Some(parameters) },
        window: Window { from: content.at, to: content.at },
        result: Measured::plain(Outcome::Met),
        cases: Vec::new(),
        raw: Some(digest),
        valid_until: None,
    };
    (draft, raw)
}

/// Returns what a project changed since its last baseline, as its status lists it.
pub(crate) fn changes_since(last: &Last, room: &Room) -> (u64, Vec<Change>) {
    let now = Snapshot::of_room(room);
    listed(last.content.snapshot().changes_to(&now))
}

/// Returns the project as a baseline holds it.
pub(crate) fn project_of(content: &Content) -> ProjectSpec {
    let project = content.objects.get(ProjectSpec::KIND).and_then(|all| all.first());
    let spec = project.and_then(|project| project.get("spec").cloned());
    spec.and_then(|spec| serde_json::from_value(spec).ok()).unwrap_or_default()
}
