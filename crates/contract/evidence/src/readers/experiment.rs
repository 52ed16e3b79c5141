//! A proof of concept: what was tried, and what came out against the criteria that were written before.
//!
//! The outcome follows from the criteria; what the authors conclude is noted and decides nothing.

use jiff::Timestamp;
use maru_api::{Measured, Outcome, Window};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, malformed, note, noted, text_of, too_many, written};
use crate::record::{Case, EvidenceKind};

const KIND: &str = "maru.dev/experiment/v1";

/// What an experiment came to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Experiment {
    kind: String,
    pub(super) name: String,
    from: Timestamp,
    to: Timestamp,
    #[serde(default)]
    by: String,
    #[serde(default, rename = "hypothesis")]
    _hypothesis: String,
    #[serde(default)]
    criteria: Vec<Wanted>,
    #[serde(default)]
    conclusion: String,
}

/// One criterion, and what was measured of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    name: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    at_most: Option<f64>,
    #[serde(default)]
    at_least: Option<f64>,
    #[serde(default)]
    measured: Option<f64>,
    /// Between which numbers the measured one is believed to lie.
    #[serde(default)]
    low: Option<f64>,
    #[serde(default)]
    high: Option<f64>,
    /// What has no number: whether it was so.
    #[serde(default)]
    passed: Option<bool>,
    #[serde(default)]
    note: String,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let experiment: Experiment = written(Format::Experiment, &text_of(Format::Experiment, report)?)?;
    if experiment.kind != KIND {
        return Err(malformed(Format::Experiment, format!("its kind is not \"{KIND}\"")));
    }
    if experiment.to < experiment.from {
        return Err(malformed(Format::Experiment, "it ends before it begins"));
    }
    if experiment.criteria.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Experiment, "criteria"));
    }
    for one in &experiment.criteria {
        one.check().map_err(|why| malformed(Format::Experiment, format!("criterion \"{}\" {why}", note(&one.name))))?;
    }
    let tool = if experiment.by.trim().is_empty() { "person".to_owned() } else { note(&experiment.by) };
    Ok(Report {
        kind: EvidenceKind::Experiment,
        tool,
        version: String::new(),
        window: Some(Window { from: experiment.from, to: experiment.to }),
        content: Content::Experiment(experiment),
    })
}

impl Wanted {
    fn check(&self) -> Result<(), &'static str> {
        let numbers = [self.measured, self.low, self.high];
        match (self.at_most, self.at_least) {
            (None, None) if numbers.iter().any(Option::is_some) => {
                Err("has a number, but neither \"atMost\" nor \"atLeast\"")
            }
            (Some(most), Some(least)) if most < least => Err("has an \"atMost\" below its \"atLeast\""),
            (None, None) => Ok(()),
            _ if self.passed.is_some() => Err("has a bound, so it passes by what was measured: remove \"passed\""),
            _ if self.low.zip(self.high).is_some_and(|(low, high)| low > high) => {
                Err("has a \"low\" above its \"high\"")
            }
            _ => Ok(()),
        }
    }

    /// What was measured, as an interval: wholly inside is met, wholly outside is violated, across is too little.
    fn case(&self) -> Case {
        let said = note(&self.note);
        let told = |outcome: Outcome, text: String| {
            let note = if said.is_empty() { text } else { format!("{text}; {said}") };
            Case { name: self.name.clone(), outcome, note }
        };
        if self.at_most.is_none() && self.at_least.is_none() {
            return match self.passed {
                Some(true) => told(Outcome::Met, "it was so".to_owned()),
                Some(false) => told(Outcome::Violated, "it was not so".to_owned()),
                None => told(Outcome::Insufficient, "it was not tried".to_owned()),
            };
        }
        let (Some(low), Some(high)) = (self.low.or(self.measured), self.high.or(self.measured)) else {
            return told(Outcome::Insufficient, "it was not measured".to_owned());
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", note(&self.unit)) };
        let outside = self.at_most.is_some_and(|most| low > most) || self.at_least.is_some_and(|least| high < least);
        let inside = self.at_most.is_none_or(|most| high <= most) && self.at_least.is_none_or(|least| low >= least);
        #[expect(clippy::float_cmp, reason = "one number stands for both bounds when there is no interval")]
        let value = if low == high { format!("{low}{unit}") } else { format!("between {low} and {high}{unit}") };
        let most = self.at_most.map(|most| format!(", at most {most}{unit}")).unwrap_or_default();
        let least = self.at_least.map(|least| format!(", at least {least}{unit}")).unwrap_or_default();
        let outcome = match (inside, outside) {
            (true, _) => Outcome::Met,
            (_, true) => Outcome::Violated,
            _ => Outcome::Insufficient,
        };
        told(outcome, format!("{value}{least}{most}"))
    }
}

impl Experiment {
    pub(super) fn measure(&self) -> (Measured, Vec<Case>) {
        let cases: Vec<Case> = self.criteria.iter().map(Wanted::case).collect();
        let first = |outcome: Outcome| cases.iter().find(|case| case.outcome == outcome);
        let concluded =
            if self.conclusion.is_empty() { String::new() } else { format!("; concluded: {}", note(&self.conclusion)) };
        let result = if let Some(case) = first(Outcome::Violated) {
            noted(Outcome::Violated, note(&format!("{}: {}{concluded}", case.name, case.note)))
        } else if let Some(case) = first(Outcome::Insufficient) {
            noted(Outcome::Insufficient, note(&format!("{}: {}{concluded}", case.name, case.note)))
        } else if cases.is_empty() {
            noted(Outcome::Insufficient, "it has no criteria: nothing says what would have been a success")
        } else {
            noted(Outcome::Met, note(&format!("{} criteria met{concluded}", cases.len())))
        };
        (result, cases)
    }
}
