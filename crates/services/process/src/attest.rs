//! Reports become evidence: which requirements they are about, under which name, and what was measured.

use std::collections::BTreeMap;

use maru_api::{Digest, Requirement, Span, Subject, SubjectKind, Window};
use maru_evidence::readers::{self, Circumstances, Format, Report};
use maru_evidence::{Draft, EvidenceKind, ForeignKey};
use maru_time::Timestamp;

use crate::desk::Desk;
use crate::desk_error::{DeskError, place};
use crate::ledger::Appended;
use crate::plan;

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// How the report is read.
    pub format: Format,
    /// The report as the tool wrote it.
    pub content: Vec<u8>,
    /// The requirements that it is about; none: those whose checks ask for it.
    pub requirements: Vec<String>,
    /// Where it was measured.
    pub environment: Option<String>,
    /// The images that were measured; none: those that run there now.
    pub images: Vec<Subject>,
    /// What checks ask for it by; none: as the report says, or the requirement's own check.
    pub name: Option<String>,
    /// How long it counts.
    pub valid_for: Option<Span>,
    /// The commit that was measured, as git names it.
    pub commit: Option<String>,
    /// The digest of what the tool was told: its script, its configuration.
    pub parameters: Option<Digest>,
    /// Public keys of whoever signed what is inside of the report: what they did not sign does not count.
    pub keys: Vec<ForeignKey>,
}

impl Attestation {
    /// Records a report about whatever asks for it.
    #[must_use]
    pub fn new(format: Format, content: Vec<u8>) -> Self {
        Self {
            format,
            content,
            requirements: Vec::new(),
            environment: None,
            images: Vec::new(),
            name: None,
            valid_for: None,
            commit: None,
            parameters: None,
            keys: Vec::new(),
        }
    }
}

impl Desk {
    /// Signs what a report says and records it: one record for all requirements where the report says the same about
    /// all, else one for each.
    ///
    /// # Errors
    /// When the report cannot be read, nothing asks for it, or it cannot be stored.
    pub async fn attest(&self, wanted: &Attestation, now: Timestamp) -> Result<Vec<Appended>, DeskError> {
        self.repair().await?;
        let mut report = readers::read(wanted.format, &wanted.content)?;
        if !wanted.keys.is_empty() {
            report.trust(&wanted.keys)?;
        }
        let requirements = self.requirements().await?;
        let rules = plan::rules(&self.project().await?.map(|project| project.spec).unwrap_or_default());
        let parts = self.parts(wanted, &report, &requirements)?;
        let running = match &wanted.environment {
            Some(environment) if wanted.images.is_empty() => Some(self.runs_in(environment).await?),
            _ => None,
        };
        self.ledger().put(&wanted.content)?;
        let mut appended = Vec::new();
        for part in parts {
            let images = running.as_deref().unwrap_or(&wanted.images);
            let draft = draft(wanted, &report, &part, images, rules.confidence.as_f64(), now);
            appended.push(self.record(draft, now).await?);
        }
        Ok(appended)
    }

    /// Returns the records that are to be made: under which name, about which requirements.
    fn parts<'a>(
        &self,
        wanted: &Attestation,
        report: &Report,
        requirements: &'a [Requirement],
    ) -> Result<Vec<Part<'a>>, DeskError> {
        let mut names = wanted.name.clone().map_or_else(|| report.names(), |name| vec![name]);
        if names.is_empty() && report.is_of_project() {
            names.push(report.kind.word().to_owned());
        }
        let about: Vec<&Requirement> = if wanted.requirements.is_empty() {
            requirements.iter().collect()
        } else {
            let named = |name: &String| {
                let found = requirements.iter().find(|one| one.metadata.name == *name);
                found.ok_or_else(|| DeskError::NoRequirement { project: self.name().to_owned(), name: name.clone() })
            };
            wanted.requirements.iter().map(named).collect::<Result<_, _>>()?
        };
        let mut by_name: BTreeMap<String, Vec<&Requirement>> = BTreeMap::new();
        for one in about {
            let asked = asked_names(one, report.kind, &names, wanted.environment.as_deref());
            if asked.is_empty() && !wanted.requirements.is_empty() {
                return Err(not_asked(one, report.kind, &names, wanted.environment.as_deref()));
            }
            // Without a name of its own, a report is about what was named only.
            if names.is_empty() && wanted.requirements.is_empty() {
                continue;
            }
            for name in asked {
                by_name.entry(name).or_default().push(one);
            }
        }
        if report.is_of_project() && wanted.requirements.is_empty() {
            // Stages of the project ask for it, whoever else does.
            for name in &names {
                by_name.entry(name.clone()).or_default();
            }
        }
        if by_name.is_empty() {
            return Err(DeskError::NobodyAsks {
                project: self.name().to_owned(),
                kind: report.kind.word(),
                name: names.join("\", \""),
                environment: wanted.environment.clone(),
            });
        }
        let is_same_for_all =
            matches!(wanted.format, Format::Junit | Format::Sarif | Format::Approval) || report.is_of_project();
        Ok(by_name
            .into_iter()
            .flat_map(|(name, about)| {
                let groups =
                    if is_same_for_all { vec![about] } else { about.into_iter().map(|one| vec![one]).collect() };
                groups.into_iter().map(move |about| Part { name: name.clone(), about })
            })
            .collect())
    }
}

fn subject_of(requirement: &Requirement) -> Subject {
    Subject {
        kind: SubjectKind::Requirement,
        name: requirement.metadata.name.clone(),
        digest: requirement.fingerprint(),
    }
}

/// One record that is to be made.
struct Part<'a> {
    name: String,
    about: Vec<&'a Requirement>,
}

fn draft(
    wanted: &Attestation,
    report: &Report,
    part: &Part<'_>,
    images: &[Subject],
    confidence: f64,
    now: Timestamp,
) -> Draft {
    let is_allocated = |name: &String| part.about.iter().any(|one| one.spec.allocated_to.contains(name));
    let mut subjects: Vec<Subject> = part.about.iter().map(|one| subject_of(one)).collect();
    let commit =
        |id: &String| Subject { kind: SubjectKind::Commit, name: id.clone(), digest: Digest::of(id.as_bytes()) };
    subjects.extend(wanted.commit.iter().map(commit));
    match report.kind {
        EvidenceKind::Approval => {}
        // It says itself what was built: where that runs, it is about the component.
        EvidenceKind::Provenance => {
            for own in report.subjects(&part.name, &wanted.content) {
                let runs = |image: &&Subject| image.kind == SubjectKind::Image && image.digest == own.digest;
                subjects.extend(images.iter().filter(runs).cloned());
                subjects.push(own);
            }
            // An image may have several names.
            subjects.sort();
            subjects.dedup();
        }
        _ => {
            let named = !wanted.images.is_empty();
            subjects.extend(images.iter().filter(|image| named || is_allocated(&image.name)).cloned());
            subjects.extend(report.subjects(&part.name, &wanted.content));
        }
    }
    let criterion = match part.about.as_slice() {
        [only] => only.spec.criterion.as_ref(),
        _ => None,
    };
    let checks = part.about.iter().flat_map(|one| &one.spec.verify);
    let asked = checks.filter_map(|check| check.confidence).map(|ratio| ratio.as_f64()).fold(confidence, f64::max);
    let window = report.window.unwrap_or(Window { from: now, to: now });
    let until = |span: Span| {
        let span = jiff::SignedDuration::try_from(span.to_std()).unwrap_or(jiff::SignedDuration::MAX);
        window.to.checked_add(span).unwrap_or(Timestamp::MAX)
    };
    let circumstances = Circumstances {
        name: Some(part.name.clone()),
        subjects,
        environment: wanted.environment.clone(),
        parameters: wanted.parameters,
        window,
        valid_until: wanted.valid_for.map(until),
        confidence: asked,
    };
    report.draft(&wanted.content, criterion, circumstances)
}

/// Returns the names by which a requirement asks for evidence of this kind, among those that there are.
fn asked_names(one: &Requirement, kind: EvidenceKind, names: &[String], environment: Option<&str>) -> Vec<String> {
    let mut asked = Vec::new();
    for check in &one.spec.verify {
        let fits = EvidenceKind::of_means(&check.by) == Some(kind)
            && check.environment.as_deref().is_none_or(|own| Some(own) == environment);
        if !fits {
            continue;
        }
        let own = check.by.name();
        if own == "*" {
            asked.extend(names.iter().cloned());
        } else if names.is_empty() || names.iter().any(|name| name == own) {
            // A report that does not know what it is called is called as the check calls it.
            asked.push(own.to_owned());
        }
    }
    asked.sort();
    asked.dedup();
    asked
}

fn not_asked(one: &Requirement, kind: EvidenceKind, names: &[String], environment: Option<&str>) -> DeskError {
    let checks: Vec<String> = one
        .spec
        .verify
        .iter()
        .map(|check| {
            let place = check.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
            format!("{}{place}", check.by)
        })
        .collect();
    DeskError::NotAsked {
        name: one.metadata.name.clone(),
        asks: if checks.is_empty() { "nothing".to_owned() } else { checks.join("; ") },
        found: format!("{} \"{}\"{}", kind.word(), names.join("\", \""), place(environment)),
    }
}
