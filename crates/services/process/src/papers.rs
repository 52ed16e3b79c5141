//! The four documents of a project, from its requirements and what evidence says about them.

use std::collections::BTreeSet;

use serde_json::Value;

use maru_api::{GlossaryTerm, Language, LocalText, Priority, Requirement, SubjectKind, Verdict, WorkItem};
use maru_documents as documents;
use maru_evidence::{EvidenceKind, Statement};
use maru_time::{Timestamp, rfc3339_seconds};

use crate::material::Material;

impl Material {
    /// Returns the four documents with the names of their files. Pure: the same material and day give the same documents.
    #[must_use]
    pub fn documents(&self, language: Language, day: documents::Date) -> Vec<(&'static str, documents::Document)> {
        let paper = Paper { material: self, language, day };
        let words = match language {
            Language::Ko => documents::Language::Ko,
            Language::En => documents::Language::En,
        };
        vec![
            ("requirements-definition", documents::requirements_definition(&paper.definition(), words)),
            ("traceability-matrix", documents::traceability_matrix(&paper.matrix(), words)),
            ("test-result", documents::test_result(&paper.tests(), words)),
            ("audit-matrix", documents::audit_matrix(&paper.audit(), words)),
        ]
    }
}

pub(crate) fn word(language: Language, ko: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

/// Git's ids are long; twelve digits tell commits apart.
fn short(commit: &str) -> String {
    commit.chars().take(12).collect()
}

pub(crate) struct Paper<'a> {
    pub(crate) material: &'a Material,
    pub(crate) language: Language,
    day: documents::Date,
}

fn priority(of: Priority) -> documents::Priority {
    match of {
        Priority::Must => documents::Priority::Must,
        Priority::Should => documents::Priority::Should,
        Priority::Could => documents::Priority::Could,
        Priority::Wont => documents::Priority::Wont,
    }
}

fn verdict(of: Verdict) -> documents::Verdict {
    match of {
        Verdict::Conforming => documents::Verdict::Conforming,
        Verdict::Nonconforming => documents::Verdict::Nonconforming,
        Verdict::NotMeasured => documents::Verdict::NotMeasured,
    }
}

fn verdict_of(one: &Requirement) -> Option<documents::Verdict> {
    one.status.as_ref().and_then(|status| status.verdict).map(verdict)
}

fn source_of(one: &Requirement) -> String {
    let Some(source) = &one.spec.source else { return String::new() };
    match &source.clause {
        Some(clause) => format!("{} §{clause}", source.document),
        None => source.document.clone(),
    }
}

fn parents_of(one: &Requirement) -> Vec<String> {
    one.spec.derived_from.iter().map(|link| link.name.clone()).collect()
}

/// Returns a criterion as people read it: its indicator and its fields.
fn criterion_of(one: &Requirement) -> String {
    let Some(criterion) = &one.spec.criterion else { return String::new() };
    let fields = serde_json::to_value(criterion).unwrap_or_default();
    let mut parts = vec![criterion.indicator().to_owned()];
    for (name, value) in fields.as_object().into_iter().flatten() {
        if name == "indicator" {
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Object(fields) => fields.values().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            other => other.to_string(),
        };
        parts.push(format!("{name} {text}"));
    }
    parts.join(", ")
}

impl Paper<'_> {
    fn cover(&self, number: &str) -> documents::Cover {
        let material = self.material;
        let project = if material.title.is_empty() { material.project.clone() } else { material.title.clone() };
        documents::Cover {
            project,
            number: format!("{}-{number}", material.project.to_uppercase()),
            version: material.baseline.clone().unwrap_or_default(),
            date: self.day,
            organisation: material.organisation.clone(),
            author: material.author.clone(),
            baseline: material.baseline.clone(),
            approvers: material.approvers.clone(),
            revisions: material.revisions.clone(),
        }
    }

    fn title(&self, one: &Requirement) -> String {
        one.spec.title.get(self.language).to_owned()
    }

    fn reason(&self, one: &Requirement) -> String {
        let status = one.status.as_ref();
        let text = status.and_then(|status| status.reason_text.as_ref());
        text.map(|text| text.get(self.language).to_owned()).unwrap_or_default()
    }

    fn definition(&self) -> documents::RequirementsDefinition {
        let entry = |one: &Requirement| {
            let status = one.status.clone().unwrap_or_default();
            let class = status.class.unwrap_or_default();
            let is_functional = class.kind != "nonFunctional";
            documents::RequirementEntry {
                id: one.metadata.name.clone(),
                title: self.title(one),
                statement: one.spec.statement.get(self.language).to_owned(),
                kind: if is_functional { documents::Kind::Functional } else { documents::Kind::NonFunctional },
                category: class.category.unwrap_or_default(),
                priority: priority(one.spec.priority),
                source: source_of(one),
                stakeholders: one.spec.stakeholders.clone(),
                derived_from: parents_of(one),
                allocated_to: one.spec.allocated_to.clone(),
                criterion: criterion_of(one),
                verification: one.spec.verify.iter().map(|check| check.by.to_string()).collect(),
                fingerprint: one.fingerprint().to_string(),
                findings: status.lint.iter().map(|finding| finding.message.get(self.language).to_owned()).collect(),
                conflicts: status.conflicts.iter().map(|names| names.join(", ")).collect(),
            }
        };
        let term = |one: &GlossaryTerm| documents::Term {
            word: one.term.get(Language::Ko).to_owned(),
            english: match &one.term {
                LocalText::Local { en: Some(english), .. } => english.clone(),
                _ => String::new(),
            },
            meaning: one.definition.get(self.language).to_owned(),
        };
        documents::RequirementsDefinition {
            cover: self.cover("RD"),
            purpose: Some(self.material.goal.clone()).filter(|goal| !goal.is_empty()).into_iter().collect(),
            scope: Vec::new(),
            figures: self.figures(),
            requirements: self.material.requirements.iter().map(entry).collect(),
            glossary: self.material.glossary.iter().map(term).collect(),
        }
    }

    fn evidence_of(&self, one: &Requirement) -> Vec<documents::EvidenceRef> {
        let checks = one.status.iter().flat_map(|status| &status.checks);
        checks
            .filter_map(|check| {
                let digest = check.evidence?;
                let statement = self.material.statements.get(&digest);
                let time = |at: Option<Timestamp>| at.map(rfc3339_seconds).unwrap_or_default();
                Some(documents::EvidenceRef {
                    digest: digest.to_string(),
                    kind: statement.map(|found| found.kind.word().to_owned()).unwrap_or_default(),
                    at: time(check.at),
                    valid_until: time(check.expires),
                    summary: check.reason.get(self.language).to_owned(),
                })
            })
            .collect()
    }

    fn matrix(&self) -> documents::TraceabilityMatrix {
        let of_kind = |one: &Requirement, kinds: &[&str]| {
            let checks = one.spec.verify.iter().filter(|check| kinds.contains(&check.by.kind()));
            checks.map(|check| check.by.to_string()).collect::<Vec<_>>()
        };
        let row = |one: &Requirement| documents::TraceRow {
            requirement: one.metadata.name.clone(),
            title: self.title(one),
            priority: priority(one.spec.priority),
            source: source_of(one),
            derived_from: parents_of(one),
            components: one.spec.allocated_to.clone(),
            models: self.models_of(one),
            work: self.material.work.iter().filter(|item| item.serves(&one.metadata.name)).map(Self::work_of).collect(),
            code: self.commits_of(one),
            tests: of_kind(
                one,
                &["test", "load", "drill", "scan", "bom", "install", "survey", "experiment", "provenance", "approval"],
            ),
            objectives: of_kind(one, &["slo"]),
            evidence: self.evidence_of(one),
            verdict: verdict_of(one),
            reason: self.reason(one),
            suspect: one.status.iter().flat_map(|status| &status.suspect).map(|link| link.name.clone()).collect(),
        };
        documents::TraceabilityMatrix {
            cover: self.cover("TM"),
            rows: self.material.requirements.iter().map(row).collect(),
            orphans: [self.lonely_models(), self.lonely_work()].concat(),
        }
    }

    fn work_of(item: &WorkItem) -> String {
        let state = item.spec.state.as_str();
        if state.is_empty() { item.metadata.name.clone() } else { format!("{} ({state})", item.metadata.name) }
    }

    fn commits_of(&self, one: &Requirement) -> Vec<String> {
        let items = self.material.work.iter().filter(|item| item.serves(&one.metadata.name));
        let mut commits: Vec<String> = items.flat_map(|item| item.spec.commits.iter().map(|id| short(id))).collect();
        commits.sort();
        commits.dedup();
        commits
    }

    /// Work that serves no requirement of the project.
    fn lonely_work(&self) -> Vec<documents::Orphan> {
        let names = self.material.requirements.iter().map(|one| one.metadata.name.as_str());
        let names: BTreeSet<&str> = names.collect();
        let is_lonely = |item: &&WorkItem| !item.spec.requirements.iter().any(|name| names.contains(name.as_str()));
        let orphan = |item: &WorkItem| documents::Orphan {
            kind: word(self.language, "작업 항목", "work item").to_owned(),
            name: item.metadata.name.clone(),
            reason: word(self.language, "요구사항과 이어지지 않음", "names no requirement").to_owned(),
        };
        self.material.work.iter().filter(is_lonely).map(orphan).collect()
    }

    fn tests(&self) -> documents::TestResult {
        let statements = &self.material.statements;
        let about = |statement: &Statement| -> Vec<String> {
            let requirements = statement.subjects.iter().filter(|one| one.kind == SubjectKind::Requirement);
            requirements.map(|one| one.name.clone()).collect()
        };
        let suites = statements.values().filter(|one| one.kind == EvidenceKind::Test).map(|statement| {
            let case = |case: &maru_evidence::Case| documents::Case {
                name: case.name.clone(),
                outcome: match case.outcome {
                    maru_api::Outcome::Met => documents::CaseOutcome::Passed,
                    maru_api::Outcome::Violated => documents::CaseOutcome::Failed,
                    maru_api::Outcome::Insufficient => documents::CaseOutcome::Skipped,
                },
                requirements: self.asking(&statement.record.name, &case.name),
                duration_ms: None,
                message: case.note.clone(),
            };
            documents::Suite {
                name: statement.record.name.clone(),
                tool: statement.record.producer.tool.clone(),
                started_at: rfc3339_seconds(statement.record.window.from),
                cases: statement.record.cases.iter().map(case).collect(),
            }
        });
        let mut subjects: Vec<(String, String)> = statements
            .values()
            .flat_map(|statement| &statement.subjects)
            .filter(|one| one.kind == SubjectKind::Image)
            .map(|one| (one.name.clone(), one.digest.to_string()))
            .collect();
        subjects.sort();
        subjects.dedup();
        let subject = |(name, digest)| documents::Subject { kind: "image".to_owned(), name, digest };
        let mut places: Vec<String> = statements.values().filter_map(|one| one.record.environment.clone()).collect();
        places.sort();
        places.dedup();
        let label = match self.language {
            Language::Ko => "환경",
            Language::En => "environment",
        };
        let evidence = statements.iter().map(|(digest, statement)| documents::EvidenceRef {
            digest: digest.to_string(),
            kind: statement.kind.word().to_owned(),
            at: rfc3339_seconds(statement.record.window.to),
            valid_until: statement.record.valid_until.map(rfc3339_seconds).unwrap_or_default(),
            summary: format!("{} ({})", statement.record.name, about(statement).join(", ")),
        });
        documents::TestResult {
            cover: self.cover("TR"),
            environment: places
                .into_iter()
                .map(|value| documents::NamedValue { name: label.to_owned(), value })
                .collect(),
            subjects: subjects.into_iter().map(subject).collect(),
            suites: suites.collect(),
            measurements: self.measurements(),
            defects: Vec::new(),
            evidence: evidence.collect(),
            conclusion: Vec::new(),
        }
    }

    /// The requirements whose checks a case answers.
    fn asking(&self, suite: &str, case: &str) -> Vec<String> {
        let asks = |one: &&Requirement| {
            one.spec.verify.iter().any(|check| match &check.by {
                maru_api::Means::Test { suite: own, case: pattern } => {
                    own == suite && pattern.as_deref().is_none_or(|glob| maru_evidence::matches(glob, case))
                }
                _ => false,
            })
        };
        self.material.requirements.iter().filter(asks).map(|one| one.metadata.name.clone()).collect()
    }

    fn measurements(&self) -> Vec<documents::Measurement> {
        let mut all = Vec::new();
        for one in &self.material.requirements {
            let (Some(criterion), Some(status)) = (&one.spec.criterion, &one.status) else { continue };
            for check in &status.checks {
                let statement = check.evidence.and_then(|digest| self.material.statements.get(&digest));
                let Some(result) = statement.map(|statement| &statement.record.result) else { continue };
                if result.value.is_none() && result.low.is_none() {
                    continue;
                }
                let text = |value: f64| format!("{value:.6} {}", result.unit);
                all.push(documents::Measurement {
                    requirement: one.metadata.name.clone(),
                    indicator: criterion.indicator().to_owned(),
                    criterion: criterion_of(one),
                    value: result.value.map(text),
                    interval: result.low.zip(result.high).map(|(low, high)| (text(low), text(high))),
                    confidence: result.confidence,
                    samples: result.samples,
                    verdict: match check.outcome {
                        maru_api::Outcome::Met => documents::Verdict::Conforming,
                        maru_api::Outcome::Violated => documents::Verdict::Nonconforming,
                        maru_api::Outcome::Insufficient => documents::Verdict::NotMeasured,
                    },
                    reason: check.reason.get(self.language).to_owned(),
                });
            }
        }
        all
    }

    fn audit(&self) -> documents::AuditMatrix {
        let item = |one: &Requirement| {
            let class = one.status.as_ref().and_then(|status| status.class.clone()).unwrap_or_default();
            Some(documents::AuditItem {
                id: one.metadata.name.clone(),
                area: class.category.unwrap_or(class.kind),
                item: one.spec.statement.get(self.language).to_owned(),
                basis: source_of(one),
                requirements: vec![one.metadata.name.clone()],
                verdict: verdict_of(one)?,
                reason: self.reason(one),
                evidence: self.evidence_of(one),
                finding: String::new(),
                action: String::new(),
                owner: String::new(),
                due: String::new(),
            })
        };
        documents::AuditMatrix {
            cover: self.cover("AM"),
            items: self.material.requirements.iter().filter_map(item).collect(),
        }
    }
}
