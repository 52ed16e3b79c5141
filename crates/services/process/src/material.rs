//! What documents are made of: requirements, evidence, words, work and models, of now or of a baseline.

use std::collections::{BTreeMap, BTreeSet};

use maru_api::{
    Digest, GlossarySpec, GlossaryTerm, Language, LocalText, ModelSpec, ProjectSpec, Requirement, RequirementSpec,
    Spec as _, WorkItem, WorkItemSpec,
};
use maru_documents as documents;
use maru_evidence::Statement;
use maru_models::{Model, read_models};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::baseline::{Content, project_of};
use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::ledger::{Ledger, LedgerError};
use crate::mirror::Need;
use crate::seal::chain_of;
use crate::versions::{approvers_of, revisions_of};

/// What documents are made of.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The project's name.
    pub project: String,
    /// Its name for people.
    pub title: String,
    /// The requirements with their statuses.
    pub requirements: Vec<Requirement>,
    /// The evidence that statuses name, by envelope.
    pub statements: BTreeMap<Digest, Statement>,
    /// The words that the project has agreed on.
    pub glossary: Vec<GlossaryTerm>,
    /// The baseline that it is of; none: of now.
    pub baseline: Option<String>,
    /// The baselines up to it, the oldest first: the documents' versions.
    pub revisions: Vec<documents::Revision>,
    /// Who approved the baseline.
    pub approvers: Vec<documents::Approver>,
    /// What the project is for.
    pub goal: String,
    /// Whose project it is.
    pub organisation: String,
    /// Who writes its documents.
    pub author: String,
    /// The conceptual models.
    pub models: Vec<Model>,
    /// Files with models that cannot be read, and why.
    pub unread: Vec<(String, String)>,
    /// What is done for requirements.
    pub work: Vec<WorkItem>,
}

impl Material {
    /// Gathers what a project has now.
    ///
    /// # Errors
    /// When the API server or the disk fails. Evidence that does not stand is left out: no status rests on it.
    pub async fn gather(desk: &Desk, language: Language) -> Result<Self, DeskError> {
        let requirements = desk.requirements().await?;
        let described = desk.project().await?.map(|one| one.spec).unwrap_or_default();
        let project = desk.name().to_owned();
        let desk = desk.clone().with_evidence(&Need::Envelopes(named_by(&requirements))).await?;
        let statements = standing(desk.ledger(), &project, &requirements)?;
        let glossary = desk.glossary().await?;
        let work = desk.list::<WorkItemSpec>().await?;
        let (models, unread) = models_of(desk.list::<ModelSpec>().await?.into_iter().map(|one| one.spec));
        let material = Self { project, requirements, statements, glossary, work, models, unread, ..Self::default() };
        Ok(material.described(&described, language))
    }

    /// Takes from a project what stands on covers and in purposes.
    #[must_use]
    pub fn described(self, project: &ProjectSpec, language: Language) -> Self {
        let text = |text: &LocalText| text.get(language).to_owned();
        Self {
            title: text(&project.title),
            goal: text(&project.goal),
            organisation: text(&project.organisation),
            author: text(&project.author),
            ..self
        }
    }

    /// Gathers what objects of now say. Blocks on the disk.
    pub(crate) fn of_objects(ledger: &Ledger, project: &str, objects: Vec<Value>) -> Result<Self, LedgerError> {
        let (glossary, work) = (terms_of(&objects), all_of(&objects, WorkItemSpec::KIND));
        let (models, unread) = models_of(all_of(&objects, ModelSpec::KIND).into_iter().map(|one: ModelText| one.spec));
        let requirements: Vec<Requirement> = all_of(&objects, RequirementSpec::KIND);
        let statements = standing(ledger, project, &requirements)?;
        let project = project.to_owned();
        Ok(Self { project, requirements, statements, glossary, work, models, unread, ..Self::default() })
    }

    /// Gathers what a baseline holds: the same at any later time. Blocks on the disk.
    ///
    /// # Errors
    /// When the disk fails, or the content is not what it was.
    pub fn of_baseline(ledger: &Ledger, content: &Content, language: Language) -> Result<Self, LedgerError> {
        let objects = content.objects.get(RequirementSpec::KIND).into_iter().flatten();
        let requirements: Vec<Requirement> =
            objects.filter_map(|object| serde_json::from_value(object.clone()).ok()).collect();
        // A document that lacked something would be another one.
        let read = |(digest, opened): (Digest, Result<Statement, String>)| match opened {
            Ok(statement) => Ok((digest, statement)),
            Err(why) => Err(LedgerError::Digest(format!("{digest} ({why})"))),
        };
        let statements = statements_of(ledger, &content.project, &requirements)?;
        let statements = statements.into_iter().map(read).collect::<Result<_, _>>()?;
        let texts = content.objects.get(ModelSpec::KIND).map(|all| all_of(all, ModelSpec::KIND)).unwrap_or_default();
        let (models, unread) = models_of(texts.into_iter().map(|one: ModelText| one.spec));
        let material = Self {
            project: content.project.clone(),
            models,
            unread,
            requirements,
            statements,
            glossary: content.objects.get(GlossarySpec::KIND).map(|all| terms_of(all)).unwrap_or_default(),
            work: content
                .objects
                .get(WorkItemSpec::KIND)
                .map(|all| all_of(all, WorkItemSpec::KIND))
                .unwrap_or_default(),
            baseline: Some(content.name.clone()),
            revisions: revisions_of(ledger, content, language)?,
            approvers: approvers_of(content, language),
            ..Self::default()
        };
        Ok(material.described(&project_of(content), language))
    }
}

/// Returns the objects of a kind among others, as far as they can be read.
fn all_of<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<T> {
    let own = objects.iter().filter(|one| one.get("kind").and_then(Value::as_str) == Some(kind));
    own.filter_map(|object| T::deserialize(object).ok()).collect()
}

/// A `Model` object; `Model` alone is one that was read.
type ModelText = maru_api::Model;

/// Reads the texts of models.
fn models_of(texts: impl Iterator<Item = ModelSpec>) -> (Vec<Model>, Vec<(String, String)>) {
    let (mut models, mut unread) = (Vec::new(), Vec::new());
    for text in texts {
        match read_models(&text.file, &text.text) {
            Ok(found) => models.extend(found),
            Err(problems) => {
                let first = problems.first().map(|one| format!("{}:{}: {}", one.line, one.column, one.message));
                unread.push((text.file, first.unwrap_or_default()));
            }
        }
    }
    (models, unread)
}

/// Returns the terms of glossaries among objects.
fn terms_of(objects: &[Value]) -> Vec<GlossaryTerm> {
    let glossaries = objects.iter().filter(|one| one.get("kind").and_then(Value::as_str) == Some(GlossarySpec::KIND));
    let specs = glossaries.filter_map(|one| serde_json::from_value::<GlossarySpec>(one.get("spec")?.clone()).ok());
    specs.flat_map(|spec| spec.terms).collect()
}

/// Returns the evidence that statuses name, as far as it stands.
fn standing(
    ledger: &Ledger,
    project: &str,
    requirements: &[Requirement],
) -> Result<BTreeMap<Digest, Statement>, LedgerError> {
    let mut statements = BTreeMap::new();
    for (digest, opened) in statements_of(ledger, project, requirements)? {
        match opened {
            Ok(statement) => drop(statements.insert(digest, statement)),
            Err(error) => tracing::warn!(%digest, error, "evidence is left out of the documents"),
        }
    }
    Ok(statements)
}

/// The envelopes that statuses name.
fn named_by(requirements: &[Requirement]) -> BTreeSet<Digest> {
    let statuses = requirements.iter().filter_map(|one| one.status.as_ref());
    statuses.flat_map(|status| status.checks.iter().filter_map(|check| check.evidence)).collect()
}

/// Envelopes, and what each says or why it does not stand.
type Opened = Vec<(Digest, Result<Statement, String>)>;

/// Opens the evidence that the statuses of requirements name.
fn statements_of(ledger: &Ledger, project: &str, requirements: &[Requirement]) -> Result<Opened, LedgerError> {
    let verifier = ledger.verifier(project)?;
    let open = |digest: Digest| {
        let envelope = ledger.get(digest).map_err(|error| chain_of(&error))?;
        let opened = maru_evidence::open(&verifier, digest, &envelope).map_err(|error| chain_of(&error))?;
        Ok(opened.statement)
    };
    Ok(named_by(requirements).into_iter().map(|digest| (digest, open(digest))).collect())
}
