//! Document objects: the files of a document, as blobs, made again when what they are made of is another.

use std::str::FromStr as _;

use maru_api::{
    BaselineSpec, BaselineStatus, Digest, DocumentFile, DocumentSpec, DocumentStatus, DocumentType, GlossarySpec,
    LocalText, ModelSpec, ProjectSpec, RequirementSpec, Spec as _, WorkItemSpec, canonical_json,
};
use maru_documents::{Date, Format};
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::baseline::Content;
use crate::gates::Room;
use crate::ledger::{Ledger, LedgerError};
use crate::material::Material;
use crate::seal::chain_of;

/// A document of now is not made again sooner: verdicts may change many times a second.
const PAUSE_SECONDS: i64 = 60;

/// What a document is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// The content of a baseline.
    Baseline(Digest),
    /// Requirements and glossaries as they are now.
    Now(Vec<Value>),
}

/// What is to be done about a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing: its files are there.
    Nothing,
    /// The status is to say what is missing.
    Tell(Box<DocumentStatus>),
    /// Its files are to be made.
    Make(Box<Order>),
}

/// A document that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) project: String,
    described: ProjectSpec,
    pub(crate) spec: DocumentSpec,
    pub(crate) source: Source,
    /// The digest of all that the files depend on.
    content: Digest,
    now: Timestamp,
}

/// Returns the name of a document's file, without its ending.
fn file_name(kind: DocumentType) -> &'static str {
    match kind {
        DocumentType::RequirementsDefinition => "requirements-definition",
        DocumentType::TraceabilityMatrix => "traceability-matrix",
        DocumentType::TestResult => "test-result",
        DocumentType::AuditMatrix => "audit-matrix",
    }
}

/// Decides what to do about a document.
pub(crate) fn plan(object: &Value, room: &Room, now: Timestamp) -> Step {
    let status = object.get("status").cloned().unwrap_or_default();
    let status: DocumentStatus = serde_json::from_value(status).unwrap_or_default();
    let language = room.project_spec().language;
    let wrong = |text: LocalText| {
        let wanted = DocumentStatus { reason: text.get(language).to_owned(), ..status.clone() };
        if wanted == status { Step::Nothing } else { Step::Tell(Box::new(wanted)) }
    };
    let spec = object.get("spec").cloned().unwrap_or_default();
    let spec: DocumentSpec = match serde_json::from_value(spec) {
        Ok(spec) => spec,
        Err(error) => {
            return wrong(LocalText::both(format!("읽을 수 없음: {error}"), format!("it cannot be read: {error}")));
        }
    };
    let source = match &spec.baseline {
        Some(name) => match taken(room, name) {
            Some(content) => Source::Baseline(content),
            None => {
                return wrong(LocalText::both(
                    format!("서명된 기준선 \"{name}\"이 없습니다"),
                    format!("there is no signed baseline \"{name}\""),
                ));
            }
        },
        None => {
            let kinds = [GlossarySpec::KIND, ModelSpec::KIND, RequirementSpec::KIND, WorkItemSpec::KIND];
            let objects = kinds.into_iter().flat_map(|kind| room.of_kind(kind));
            Source::Now(objects.map(|object| (**object).clone()).collect())
        }
    };
    let made_of = match &source {
        Source::Baseline(digest) => json!(digest),
        Source::Now(objects) => {
            objects.iter().map(|one| json!([one["metadata"]["name"], one["spec"], one["status"]])).collect()
        }
    };
    let described = room.project_spec();
    let words = [&described.title, &described.goal, &described.organisation, &described.author];
    let content = Digest::of(canonical_json(&json!([spec, made_of, words])).as_bytes());
    if status.content == Some(content) {
        return Step::Nothing;
    }
    let is_fresh = status.at.is_some_and(|at| now.as_second() - at.as_second() < PAUSE_SECONDS);
    if is_fresh && matches!(source, Source::Now(_)) && !status.files.is_empty() {
        return Step::Nothing;
    }
    Step::Make(Box::new(Order { project: room.project.clone(), described, spec, source, content, now }))
}

/// Returns the content's digest of a signed baseline.
fn taken(room: &Room, name: &str) -> Option<Digest> {
    let object = room.find(BaselineSpec::KIND, name)?;
    let status: BaselineStatus = serde_json::from_value(object.get("status")?.clone()).ok()?;
    status.envelope.and(status.content)
}

/// Makes the files and stores them; what cannot be made is told in the status. Blocks.
pub(crate) fn make(order: &Order, ledger: &Ledger) -> DocumentStatus {
    let mut status = DocumentStatus { content: Some(order.content), at: Some(order.now), ..DocumentStatus::default() };
    let (material, at) = match material(order, ledger) {
        Ok(found) => found,
        Err(error) => {
            // The next look tries again.
            status.content = None;
            status.reason = chain_of(&error);
            return status;
        }
    };
    let wanted = file_name(order.spec.kind);
    let day = day_of(at);
    let documents = day.map(|day| material.documents(order.spec.language, day)).unwrap_or_default();
    let Some((_, document)) = documents.into_iter().find(|(name, _)| *name == wanted) else {
        status.reason = "the document has no date".to_owned();
        return status;
    };
    let mut problems = Vec::new();
    let html = ["html".to_owned()];
    for name in if order.spec.formats.is_empty() { &html[..] } else { &order.spec.formats } {
        let written = Format::from_str(name).and_then(|format| maru_documents::write(&document, format));
        let stored = written.map_err(|error| chain_of(&error)).and_then(|content| {
            let digest = ledger.put(&content).map_err(|error| chain_of(&error))?;
            Ok(DocumentFile { format: name.clone(), digest, bytes: content.len() as u64 })
        });
        match stored {
            Ok(file) => status.files.push(file),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    status.reason = problems.join("; ");
    status
}

fn material(order: &Order, ledger: &Ledger) -> Result<(Material, Timestamp), LedgerError> {
    let (objects, content) = match &order.source {
        Source::Baseline(digest) => {
            let content = Content::load(ledger, *digest)?;
            let material = Material::of_baseline(ledger, &content, order.spec.language)?;
            return Ok((material, content.at));
        }
        Source::Now(objects) => (objects.clone(), order.now),
    };
    let material = Material::of_objects(ledger, &order.project, objects)?;
    Ok((material.described(&order.described, order.spec.language), content))
}

fn day_of(at: Timestamp) -> Option<Date> {
    let day: String = rfc3339_seconds(at).chars().take(10).collect();
    Date::from_str(&day).ok()
}
