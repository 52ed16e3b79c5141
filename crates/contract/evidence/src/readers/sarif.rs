//! Results of static analysis: SARIF 2.1.0 (OASIS).
//!
//! Errors and warnings that are not suppressed violate; a rule of the tool without results is met; notes change nothing.

use std::collections::BTreeMap;

use maru_api::{Measured, Outcome};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, note, noted, too_many};
use crate::record::{Case, EvidenceKind};

/// What a scanner found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scan {
    rules: BTreeMap<String, (Outcome, String)>,
    /// Why the scan does not count, when it does not.
    unfit: Option<String>,
    violations: u64,
    results: u64,
}

#[derive(Deserialize)]
struct Log {
    version: String,
    #[serde(default)]
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    tool: Tool,
    results: Option<Vec<Finding>>,
    #[serde(default)]
    invocations: Vec<Invocation>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Driver,
    #[serde(default)]
    extensions: Vec<Extension>,
}

/// Queries of their own, as CodeQL's packs are.
#[derive(Deserialize)]
struct Extension {
    #[serde(default)]
    rules: Vec<Rule>,
}

impl Tool {
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.driver.rules.iter().chain(self.extensions.iter().flat_map(|extension| &extension.rules))
    }

    /// The rule of a finding: by its place in the component that it names, unless the rule there bears another id; else by
    /// its id ("CA1000/1" is a finding of "CA1000").
    fn rule<'a>(&'a self, finding: &Finding, by_id: &BTreeMap<&str, &'a Rule>) -> Option<&'a Rule> {
        let reference = finding.rule.as_ref();
        let index = finding.rule_index.or_else(|| reference?.index).and_then(|index| usize::try_from(index).ok());
        let component = reference.and_then(|rule| rule.tool_component.as_ref()?.index);
        let rules = match component {
            Some(index) => usize::try_from(index).ok().and_then(|index| Some(&self.extensions.get(index)?.rules)),
            None => Some(&self.driver.rules),
        };
        let placed = rules.zip(index).and_then(|(rules, index)| rules.get(index));
        let Some(id) = finding.id() else { return placed };
        let is_of = |rule: &&Rule| {
            id.strip_prefix(rule.id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let named = || by_id.get(id).or_else(|| by_id.get(id.rsplit_once('/')?.0)).copied();
        placed.filter(is_of).or_else(named)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    semantic_version: Option<String>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    #[serde(default)]
    default_configuration: Option<Configuration>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    #[serde(default)]
    execution_successful: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    #[serde(default)]
    rule_id: Option<String>,
    #[serde(default)]
    rule: Option<RuleReference>,
    #[serde(default)]
    rule_index: Option<i64>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    suppressions: Option<Vec<Suppression>>,
    #[serde(default)]
    baseline_state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleReference {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: Option<i64>,
    #[serde(default)]
    tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
struct ComponentReference {
    #[serde(default)]
    index: Option<i64>,
}

#[derive(Deserialize, Default)]
struct Message {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Suppression {
    #[serde(default)]
    status: Option<String>,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let log: Log = from_json(Format::Sarif, report)?;
    if !log.version.starts_with("2.1") {
        return Err(malformed(Format::Sarif, format!("its version is \"{}\", not 2.1.0", note(&log.version))));
    }
    let Some(first) = log.runs.first() else { return Err(malformed(Format::Sarif, "it has no run")) };
    let tool = note(&first.tool.driver.name);
    let driver = &first.tool.driver;
    let version = driver.semantic_version.as_deref().or(driver.version.as_deref()).map(note).unwrap_or_default();
    let mut scan = Scan::default();
    let items: usize = log
        .runs
        .iter()
        .map(|run| run.results.as_ref().map_or(0, Vec::len).saturating_add(run.tool.rules().count()))
        .sum();
    if items > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Sarif, "results and rules"));
    }
    for run in log.runs {
        scan.take(run);
    }
    Ok(Report { kind: EvidenceKind::Scan, tool, version, window: None, content: Content::Scan(scan) })
}

impl Scan {
    fn take(&mut self, run: Run) {
        if run.invocations.iter().any(|invocation| invocation.execution_successful == Some(false)) {
            self.unfit = Some("the tool says that its run did not succeed".to_owned());
        }
        let mut by_id: BTreeMap<&str, &Rule> = BTreeMap::new();
        for rule in run.tool.rules() {
            by_id.entry(&rule.id).or_insert(rule);
            self.rules.entry(rule.id.clone()).or_insert((Outcome::Met, String::new()));
        }
        let Some(results) = run.results else {
            self.unfit = Some("the run has no results, not even none: nothing was looked at".to_owned());
            return;
        };
        for finding in results {
            let known = run.tool.rule(&finding, &by_id);
            let id = finding.id().or(known.map(|rule| rule.id.as_str())).unwrap_or_default().to_owned();
            let level = finding
                .level
                .as_deref()
                .or_else(|| known.and_then(|rule| rule.default_configuration.as_ref()?.level.as_deref()));
            let outcome = finding.outcome(level.unwrap_or("warning"));
            self.results += 1;
            self.violations += u64::from(outcome == Outcome::Violated);
            let entry = self.rules.entry(id).or_insert((outcome, String::new()));
            if outcome > entry.0 || entry.1.is_empty() {
                *entry = (entry.0.max(outcome), finding.message.text.as_deref().map(note).unwrap_or_default());
            }
        }
    }

    pub(super) fn measure(&self) -> (Measured, Vec<Case>) {
        let case = |(name, (outcome, note)): (&String, &(Outcome, String))| Case {
            name: name.clone(),
            outcome: *outcome,
            note: if *outcome == Outcome::Met { String::new() } else { note.clone() },
        };
        let cases: Vec<Case> = self.rules.iter().map(case).collect();
        let worst = cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Met);
        let mut result = match &self.unfit {
            // What was found stays found, also by a run that did not finish.
            Some(why) if worst != Outcome::Violated => noted(Outcome::Insufficient, why),
            _ if worst == Outcome::Violated => noted(Outcome::Violated, format!("{} findings", self.violations)),
            _ => Measured::plain(worst),
        };
        result.samples = Some(self.rules.len() as u64);
        let found = cases.iter().filter(|case| case.outcome == Outcome::Violated).take(3);
        result.notes.extend(found.map(|case| format!("{}: {}", case.name, case.note)));
        (result, cases)
    }
}

impl Finding {
    fn id(&self) -> Option<&str> {
        self.rule_id.as_deref().or_else(|| self.rule.as_ref()?.id.as_deref())
    }

    fn outcome(&self, level: &str) -> Outcome {
        let is_suppressed = self.suppressions.as_ref().is_some_and(|list| {
            !list.is_empty() && list.iter().all(|one| one.status.as_deref().is_none_or(|status| status == "accepted"))
        });
        if is_suppressed || self.baseline_state.as_deref() == Some("absent") {
            return Outcome::Met;
        }
        match self.kind.as_deref() {
            None | Some("fail") if matches!(level, "error" | "warning") => Outcome::Violated,
            Some("open" | "review" | "notApplicable") => Outcome::Insufficient,
            _ => Outcome::Met,
        }
    }
}
