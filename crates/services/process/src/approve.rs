//! Approvals: which count, and how a person's word becomes evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_api::{Approval, ApprovalSpec, ApprovalStatus, Decision, Digest, Outcome, Spec as _, Window, canonical_json};
use maru_evidence::readers::{self, Circumstances, Format};
use maru_evidence::{Draft, EvidenceKind};
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::gates::{Noted, Room, name_of, object_of, subject_of};

/// A person's word that counts: the last of this role about this object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) role: String,
    pub(crate) by: String,
    pub(crate) comment: String,
    pub(crate) decision: Decision,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) fingerprint: Digest,
    /// Whether the object still is what was decided about.
    pub(crate) is_current: bool,
    evidence: Arc<Noted>,
}

/// Returns the words that count: of each role about each object the last one, from evidence that stands.
pub(crate) fn words(room: &Room, now: Timestamp) -> Vec<Word> {
    let mut approvals: Vec<&Arc<Noted>> =
        room.evidence.iter().filter(|one| one.kind == Some(EvidenceKind::Approval) && one.counts(now)).collect();
    approvals.sort_by_key(|one| (one.spec.window.to, one.sequence));
    let mut last: BTreeMap<(String, String, String), Word> = BTreeMap::new();
    for one in approvals {
        let said = one.spec.result.notes.first().map(String::as_str).unwrap_or_default();
        let (by, comment) = said.split_once(": ").unwrap_or((said, ""));
        let decision = match one.spec.result.outcome {
            Outcome::Met => Decision::Approved,
            Outcome::Violated | Outcome::Insufficient => Decision::Rejected,
        };
        for subject in &one.spec.subjects {
            let Some((kind, name)) = object_of(subject) else { continue };
            let current = room.find(kind, name).and_then(|object| room.fingerprint(object));
            let word = Word {
                role: one.spec.name.clone(),
                by: by.to_owned(),
                comment: comment.to_owned(),
                decision,
                kind: kind.to_owned(),
                name: name.to_owned(),
                fingerprint: subject.digest,
                is_current: current == Some(subject.digest),
                evidence: Arc::clone(one),
            };
            last.insert((word.role.clone(), word.kind.clone(), word.name.clone()), word);
        }
    }
    last.into_values().collect()
}

/// Returns the approvals as terms of gates see them: words about objects that still are what was decided about.
pub(crate) fn views(words: &[Word]) -> Vec<Arc<Value>> {
    let mut by_evidence: BTreeMap<&str, Vec<&Word>> = BTreeMap::new();
    for word in words.iter().filter(|word| word.is_current) {
        by_evidence.entry(&word.evidence.name).or_default().push(word);
    }
    let view = |words: Vec<&Word>| {
        let first = words.first()?;
        let of: Vec<Value> = words
            .iter()
            .map(|word| json!({"kind": word.kind, "name": word.name, "fingerprint": word.fingerprint}))
            .collect();
        Some(Arc::new(json!({
            "kind": ApprovalSpec::KIND,
            "metadata": {"name": first.evidence.name},
            "spec": {"role": first.role, "by": first.by, "comment": first.comment, "decision": first.decision, "of": of,
                     "at": rfc3339_seconds(first.evidence.spec.window.to)},
            "status": {"evidence": first.evidence.spec.envelope},
        })))
    };
    by_evidence.into_values().filter_map(view).collect()
}

/// What is to be done about an approval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing: its status says it all.
    Nothing,
    /// It has its evidence; the status is to say so.
    Tell(ApprovalStatus),
    /// It is to be recorded; the report is the approval as it stands.
    Record { draft: Box<Draft>, raw: Vec<u8> },
}

/// Decides what to do about an approval.
pub(crate) fn plan(object: &Value, evidence: &[Arc<Noted>]) -> Step {
    let status: ApprovalStatus =
        object.get("status").cloned().and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default();
    if status.evidence.is_some() {
        return Step::Nothing;
    }
    let wrong = |reason: String| {
        let wanted = ApprovalStatus { evidence: None, reason };
        if wanted == status { Step::Nothing } else { Step::Tell(wanted) }
    };
    let mut plain = object.clone();
    if let Some(fields) = plain.as_object_mut() {
        fields.remove("status");
    }
    let approval: Approval = match serde_json::from_value(plain) {
        Ok(approval) => approval,
        Err(error) => return wrong(format!("the approval cannot be read: {error}")),
    };
    let raw = report(&approval);
    let digest = Digest::of(&raw);
    if let Some(known) = evidence.iter().find(|one| one.spec.raw == Some(digest)) {
        return Step::Tell(ApprovalStatus { evidence: Some(known.spec.envelope), reason: String::new() });
    }
    match draft(object, &approval, &raw) {
        Ok(draft) => Step::Record { draft: Box::new(draft), raw },
        Err(reason) => wrong(reason),
    }
}

/// The approval as it is kept beside its evidence: its uid makes it one of a kind.
fn report(approval: &Approval) -> Vec<u8> {
    let metadata = &approval.metadata;
    canonical_json(&json!({
        "apiVersion": approval.api_version,
        "kind": approval.kind,
        "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
        "spec": approval.spec,
    }))
    .into_bytes()
}

fn draft(object: &Value, approval: &Approval, raw: &[u8]) -> Result<Draft, String> {
    let report = readers::read(Format::Approval, raw).map_err(|error| error.to_string())?;
    let mut subjects = Vec::new();
    for one in &approval.spec.of {
        let fingerprint = one.fingerprint.ok_or_else(|| {
            format!(
                "spec.of does not say which {} \"{}\" was decided about; its fingerprint is missing",
                one.kind, one.name
            )
        })?;
        subjects.push(subject_of(&one.kind, &one.name, fingerprint));
    }
    if subjects.is_empty() {
        return Err("spec.of names nothing that was decided about".to_owned());
    }
    // The moment that the server saw, not the one that somebody wrote.
    let made = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let at: Timestamp = made.and_then(|made| made.parse().ok()).ok_or("the object does not say when it was made")?;
    let window = Window { from: at, to: at };
    let circumstances = Circumstances {
        name: Some(approval.spec.role.clone()),
        subjects,
        environment: None,
        parameters: None,
        window,
        valid_until: None,
        confidence: 0.95,
    };
    Ok(Draft { window, ..report.draft(raw, None, circumstances) })
}

/// Returns the command with which somebody decides about an object.
pub(crate) fn command(project: &str, kind: &str, name: &str, role: &str) -> String {
    format!("maru -n {project} project approve {kind}/{name} --role {role}")
}

/// Returns the last word of a role about an object as it is now.
pub(crate) fn about<'a>(words: &'a [Word], role: &str, object: &Value) -> Option<&'a Word> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    words.iter().find(|word| word.role == role && word.kind == kind && word.name == name_of(object))
}
