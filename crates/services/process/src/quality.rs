//! What is told of a requirement's text without any evidence: its class, its findings, what a change of it reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maru_api::{Class, LintFinding};
use maru_requirements::{Finding, Glossary, History, Item, Kind, LintContext, Linter, Origin, Term};
use maru_time::Timestamp;

use crate::follow::SeenRequirement;
use crate::view::{View, within};

const SECONDS_A_DAY: i64 = 86_400;
const DAYS_COUNTED: i64 = 90;
/// Findings of one requirement that its status holds.
const FINDINGS_MAX: usize = 50;
/// Latest changes that a status remembers: as many as tell that a requirement is volatile.
pub(crate) const CHANGES_MAX: usize = 6;

/// What is told of one requirement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) class: Class,
    pub(crate) lint: Vec<LintFinding>,
}

/// What is told of the requirements of one project.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    told: BTreeMap<String, Told>,
    linter: Linter,
}

impl Quality {
    pub(crate) fn told(&self, name: &str) -> Option<&Told> {
        self.told.get(name)
    }

    /// Reads all requirements of a project again; returns of which something else is told now.
    pub(crate) fn look(
        &mut self,
        view: &View,
        project: &str,
        requirements: &BTreeMap<String, Arc<SeenRequirement>>,
    ) -> BTreeSet<String> {
        let items: Vec<Arc<Item>> = requirements.values().filter_map(|one| one.item.as_ref().ok()).cloned().collect();
        let look = self.linter.look(&items, &context(view, project));
        let mut before = std::mem::take(&mut self.told);
        let mut changed = BTreeSet::new();
        let mut tell = |all: &mut BTreeMap<String, Told>, name: &str, told: Told, before: Option<Told>| {
            if before.is_none_or(|before| before != told) {
                changed.insert(name.to_owned());
            }
            all.insert(name.to_owned(), told);
        };
        for found in look.found {
            let impact = look.graph.reach(found.name());
            let is_same = |told: &Told| !found.is_other() && told.class.impact == impact as u64;
            if before.get(found.name()).is_some_and(is_same) {
                self.told.extend(before.remove_entry(found.name()));
                continue;
            }
            let lint = found.findings().into_iter().take(FINDINGS_MAX).map(finding_of).collect();
            let told = Told { class: class_of(found.class().clone(), impact), lint };
            tell(&mut self.told, found.name(), told, before.remove(found.name()));
        }
        for (name, one) in requirements {
            if let Err(errors) = &one.item {
                let lint = errors.iter().take(FINDINGS_MAX).map(|error| LintFinding {
                    rule: "unreadable-item".to_owned(),
                    severity: "error".to_owned(),
                    message: error.message.clone().into(),
                    ..LintFinding::default()
                });
                tell(&mut self.told, name, Told { class: Class::default(), lint: lint.collect() }, before.remove(name));
            }
        }
        changed.extend(before.into_keys());
        changed
    }
}

/// The words of the project's glossary and contexts, and the components that its architectures know.
fn context(view: &View, project: &str) -> LintContext {
    let mut terms = Vec::new();
    let mut components: Option<BTreeSet<String>> = None;
    for (_, one) in within(&view.architectures, project) {
        let Ok(spec) = &one.spec else { continue };
        components.get_or_insert_default().extend(spec.services.iter().map(|service| service.name.clone()));
        let words = spec.contexts.iter().flat_map(|context| &context.terms);
        terms.extend(words.map(|word| Term { term: word.as_str().into(), ..Term::default() }));
    }
    for (_, one) in within(&view.glossaries, project) {
        let words = one.spec.iter().flat_map(|spec| &spec.terms);
        terms.extend(words.map(|one| Term {
            term: one.term.clone(),
            definition: one.definition.clone(),
            aliases: one.aliases.clone(),
        }));
    }
    // What contexts speak of is no glossary: alone it does not make other words unknown.
    let has_glossary = within(&view.glossaries, project).next().is_some();
    LintContext { glossary: Glossary::new(if has_glossary { terms } else { Vec::new() }), components }
}

pub(crate) fn class_of(class: maru_requirements::Class, impact: usize) -> Class {
    let kind = match class.kind {
        Kind::Functional => "functional",
        Kind::NonFunctional => "nonFunctional",
    };
    let origin = match class.origin {
        Origin::Source => "source",
        Origin::Derived => "derived",
    };
    Class {
        kind: kind.to_owned(),
        category: class.category.map(str::to_owned),
        why: class.why,
        volatility: None,
        origin: Some(origin.to_owned()),
        impact: impact as u64,
    }
}

pub(crate) fn finding_of(finding: Finding) -> LintFinding {
    let place = match (finding.place.field.as_str(), finding.phrase.as_str()) {
        (field, "") => field.to_owned(),
        (field, phrase) => format!("{field}: \"{phrase}\""),
    };
    LintFinding {
        rule: finding.rule.to_owned(),
        severity: finding.severity.name().to_owned(),
        place,
        message: finding.message,
        fix: Some(finding.fix),
    }
}

/// Returns how much a requirement moves: as git tells, else as this server has seen it change.
pub(crate) fn volatility(one: &SeenRequirement, changed: &[Timestamp], now: Timestamp) -> Option<String> {
    let (first, later) = match one.history.split_first() {
        Some((first, later)) => (*first, later),
        None => (one.created?, changed),
    };
    let days = |from: Timestamp| (now.as_second() - from.as_second()) / SECONDS_A_DAY;
    let recent = later.iter().filter(|at| days(**at) <= DAYS_COUNTED).count();
    let history = History {
        changes_in_90_days: u32::try_from(recent).unwrap_or(u32::MAX),
        age_days: u32::try_from(days(first)).unwrap_or_default(),
    };
    Some(history.volatility().name().to_owned())
}
