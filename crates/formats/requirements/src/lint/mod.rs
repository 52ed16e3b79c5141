//! The quality of items: each rule with its place, what is wrong and what to do, in both languages.

mod criterion;
mod linter;
mod structure;
mod text;
mod words;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::Serialize;

pub use linter::{Found, Linter, Look};

use crate::glossary::Glossary;
use crate::graph::Graph;
use crate::item::{Item, Place};
use crate::text::{Language, LocalText};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may be meant so.
    Note,
    /// It should be better.
    Warning,
    /// It cannot stay.
    Error,
}

impl Severity {
    /// Returns the word as SARIF and objects carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A rule: what it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: &'static str,
    /// How bad its findings are.
    pub severity: Severity,
    /// What it looks for, in Korean.
    pub ko: &'static str,
    /// What it looks for, in English.
    pub en: &'static str,
}

const fn rule(id: &'static str, severity: Severity, ko: &'static str, en: &'static str) -> Rule {
    Rule { id, severity, ko, en }
}

/// All rules.
pub const RULES: [Rule; 19] = [
    rule("compound", Severity::Warning, "한 문장에 의무가 둘 이상이다", "A statement has more than one duty."),
    rule(
        "criterion-mismatch",
        Severity::Error,
        "문장과 판단 기준의 수가 다르다",
        "Statement and criterion disagree in a number.",
    ),
    rule("cycle", Severity::Error, "항목이 자기 자신에서 파생된다", "An item is derived from itself."),
    rule("duplicate", Severity::Warning, "같은 말을 하는 항목이 둘 있다", "Two items say the same."),
    rule(
        "languages-disagree",
        Severity::Error,
        "한국어와 영어 문장의 수가 다르다",
        "The Korean and the English statement disagree in a number.",
    ),
    rule("missing-bound", Severity::Error, "판단 기준에 한계값이 없다", "A criterion lacks its bound."),
    rule("missing-load", Severity::Warning, "어떤 부하에서 지켜야 하는지 없다", "A response time has no load."),
    rule(
        "missing-percentile",
        Severity::Warning,
        "요청의 몇 %가 지켜야 하는지 없다",
        "A response time has no percentile.",
    ),
    rule("missing-unit", Severity::Error, "수에 단위가 없다", "A number has no unit."),
    rule("missing-window", Severity::Warning, "어느 기간에 판단하는지 없다", "A share or response time has no window."),
    rule("no-obligation", Severity::Warning, "문장에 의무가 없다", "A statement says no duty."),
    rule("no-verification", Severity::Warning, "어떻게 확인하는지 없다", "Nothing verifies an item."),
    rule("orphan", Severity::Warning, "출처도 상위 항목도 없다", "An item has neither a source nor a parent."),
    rule("passive-without-actor", Severity::Warning, "누가 하는지 말하지 않는다", "A statement does not say who acts."),
    rule(
        "suspect-link",
        Severity::Warning,
        "검토한 뒤에 상위 항목이 바뀌었다",
        "A parent changed after its link was reviewed.",
    ),
    rule("unallocated", Severity::Warning, "어느 구성 요소가 맡는지 없다", "No component fulfils an item."),
    rule("undefined-term", Severity::Warning, "용어집에 없는 말이다", "A term is not in the glossary."),
    rule("unknown-parent", Severity::Error, "상위 항목이 없다", "A parent does not exist."),
    rule("vague-word", Severity::Warning, "확인할 수 없는 말이다", "A word says nothing that can be checked."),
];

/// Something wrong with an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The item's name.
    pub item: String,
    /// Where.
    pub place: Place,
    /// The words that it is about; empty when something is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phrase: String,
    /// What is wrong.
    pub message: LocalText,
    /// What to do.
    pub fix: LocalText,
}

/// What the lint knows beside the items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LintContext {
    /// The words that the project has agreed on.
    pub glossary: Glossary,
    /// The components of the architecture; none: they are not known.
    pub components: Option<BTreeSet<String>>,
}

/// A finding in a text that has no place yet.
#[derive(Debug, Clone)]
struct Hit {
    rule: &'static str,
    start: usize,
    end: usize,
    message: LocalText,
    fix: LocalText,
}

fn hit(rule: &'static str, start: usize, end: usize, message: (String, String), fix: (&str, &str)) -> Hit {
    Hit { rule, start, end, message: LocalText::both(message.0, message.1), fix: LocalText::both(fix.0, fix.1) }
}

fn severity_of(rule: &str) -> Severity {
    RULES.iter().find(|one| one.id == rule).map_or(Severity::Warning, |one| one.severity)
}

fn finding(
    rule: &'static str,
    item: &Item,
    place: Place,
    phrase: String,
    message: LocalText,
    fix: LocalText,
) -> Finding {
    Finding { rule, severity: severity_of(rule), item: item.name.clone(), place, phrase, message, fix }
}

/// Checks items against all rules; findings come in the order of files and lines.
#[must_use]
pub fn lint(items: &[Item], context: &LintContext) -> Vec<Finding> {
    let own: Vec<Own> = items.iter().map(|item| Own::read(item, context)).collect();
    let mut findings = among(&Graph::new(items), &own.iter().collect::<Vec<_>>(), context);
    let mut all: Vec<Finding> = own.into_iter().flat_map(|own| own.findings).collect();
    all.append(&mut findings);
    sort(&mut all);
    all
}

/// What an item's own words bring up, whatever the other items say.
#[derive(Debug)]
struct Own {
    findings: Vec<Finding>,
    /// Its statements without what does not change their meaning: items that share one say the same.
    said: Vec<String>,
    fingerprint: OnceLock<String>,
}

impl Own {
    fn read(item: &Item, context: &LintContext) -> Self {
        let mut findings = Vec::new();
        texts(item, context, &mut findings);
        criterion::gaps(item, &mut findings);
        structure::languages(item, &mut findings);
        Self { findings, said: structure::said(item), fingerprint: OnceLock::new() }
    }

    fn fingerprint(&self, item: &Item) -> &str {
        self.fingerprint.get_or_init(|| item.fingerprint())
    }
}

/// What the rules about several items find; `own` has what each of the graph's items brings up alone.
fn among(graph: &Graph<'_>, own: &[&Own], context: &LintContext) -> Vec<Finding> {
    let mut findings = Vec::new();
    structure::check(graph, own, context, &mut findings);
    findings
}

/// Brings findings into the order of files and lines.
fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| (&one.place, &one.item, one.rule).cmp(&(&other.place, &other.item, other.rule)));
}

/// Checks one text with the rules that need nothing else: rule, byte range, message, fix.
#[must_use]
pub fn lint_text(text: &str, language: Language) -> Vec<(&'static str, std::ops::Range<usize>, LocalText, LocalText)> {
    text::check(text, language, text::Known::default())
        .into_iter()
        .map(|hit| (hit.rule, hit.start..hit.end, hit.message, hit.fix))
        .collect()
}

fn texts(item: &Item, context: &LintContext, findings: &mut Vec<Finding>) {
    let known = text::Known { has_criterion: item.criterion.is_some() };
    let local = matches!(item.statement, LocalText::Local { .. });
    for (language, text) in item.statement.parts() {
        let field = match (local, language) {
            (false, _) => "statement",
            (true, Language::Ko) => "statement.ko",
            (true, Language::En) => "statement.en",
        };
        let mut hits = text::check(text, language, known);
        if let Some(criterion) = &item.criterion {
            hits.extend(criterion::mismatches(text, criterion));
        }
        hits.extend(structure::terms(item, text, language, context));
        for hit in hits {
            let place = item.place_in(field, text, hit.start, hit.end);
            let phrase = text.get(hit.start..hit.end).unwrap_or_default().to_owned();
            findings.push(finding(hit.rule, item, place, phrase, hit.message, hit.fix));
        }
    }
}

#[cfg(test)]
mod tests;
