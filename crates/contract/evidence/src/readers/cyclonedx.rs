//! Lists of parts with their licences and vulnerabilities: CycloneDX 1, JSON.
//!
//! Licences are SPDX expressions against the set that is allowed. A part without a licence is not known, not allowed.
//! Source: CycloneDX 1.6 (ECMA-424); SPDX 3, annex "License expressions".

use maru_api::{Criterion, Measured, Outcome};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, note, noted, too_many};
use crate::record::{Case, EvidenceKind};

const EXPRESSION_DEPTH_MAX: u32 = 32;

/// What something is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parts {
    parts: Vec<Part>,
    /// None: the list does not say whether anybody looked.
    vulnerabilities: Option<Vec<Vulnerability>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    name: String,
    /// All of these hold.
    licences: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Vulnerability {
    id: String,
    severity: Severity,
    /// Resolved, not reachable, or none at all.
    harmless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Low,
    Medium,
    /// Not rated: weighed like a high one, as nobody knows.
    High,
    Critical,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    bom_format: String,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default)]
    vulnerabilities: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    licenses: Vec<Choice>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    license: Option<Licence>,
    #[serde(default)]
    expression: Option<String>,
}

#[derive(Deserialize)]
struct Licence {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    id: String,
    #[serde(default)]
    ratings: Vec<Rating>,
    #[serde(default)]
    analysis: Option<Analysis>,
}

#[derive(Deserialize)]
struct Rating {
    #[serde(default)]
    severity: Option<String>,
}

#[derive(Deserialize)]
struct Analysis {
    #[serde(default)]
    state: Option<String>,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let text = report.strip_prefix(b"\xef\xbb\xbf").unwrap_or(report).trim_ascii_start();
    if text.starts_with(b"<") {
        return Err(malformed(Format::CycloneDx, "XML is not supported: let the tool write JSON"));
    }
    let bom: Bom = from_json(Format::CycloneDx, report)?;
    if bom.bom_format != "CycloneDX" {
        return Err(malformed(Format::CycloneDx, "its bomFormat is not \"CycloneDX\""));
    }
    let mut parts = Vec::new();
    let mut open = bom.components;
    while let Some(component) = open.pop() {
        if parts.len() >= REPORT_ITEMS_MAX || open.len() >= REPORT_ITEMS_MAX {
            return Err(too_many(Format::CycloneDx, "components"));
        }
        let name = match &component.version {
            Some(version) => note(&format!("{}@{version}", component.name)),
            None => note(&component.name),
        };
        let licences = component.licenses.into_iter().filter_map(|choice| {
            let named = choice.license.and_then(|licence| licence.id.or(licence.name));
            choice.expression.or(named).map(|text| note(&text)).filter(|text| !text.is_empty())
        });
        parts.push(Part { name, licences: licences.collect() });
        open.extend(component.components);
    }
    parts.sort_by(|left, right| left.name.cmp(&right.name));
    if bom.vulnerabilities.as_ref().is_some_and(|list| list.len() > REPORT_ITEMS_MAX) {
        return Err(too_many(Format::CycloneDx, "vulnerabilities"));
    }
    let vulnerabilities = bom.vulnerabilities.map(|list| list.into_iter().map(vulnerability).collect());
    Ok(Report {
        kind: EvidenceKind::Bom,
        tool: "cyclonedx".to_owned(),
        version: String::new(),
        window: None,
        content: Content::Parts(Parts { parts, vulnerabilities }),
    })
}

fn vulnerability(found: Found) -> Vulnerability {
    let severity =
        found.ratings.iter().filter_map(|rating| rating.severity.as_deref()).map(|severity| match severity {
            "critical" => Severity::Critical,
            "medium" => Severity::Medium,
            "low" | "info" | "none" => Severity::Low,
            _ => Severity::High,
        });
    let state = found.analysis.and_then(|analysis| analysis.state);
    Vulnerability {
        id: note(&found.id),
        severity: severity.max().unwrap_or(Severity::High),
        harmless: matches!(
            state.as_deref(),
            Some("resolved" | "resolved_with_pedigree" | "false_positive" | "not_affected")
        ),
    }
}

impl Parts {
    pub(super) fn measure(&self, criterion: Option<&Criterion>) -> (Measured, Vec<Case>) {
        match criterion {
            Some(Criterion::Licence { allowed, .. }) => self.licences(allowed),
            _ => self.vulnerabilities(),
        }
    }

    fn licences(&self, allowed: &[String]) -> (Measured, Vec<Case>) {
        if self.parts.is_empty() {
            return (noted(Outcome::Insufficient, "the list has no parts"), Vec::new());
        }
        let of = |part: &Part| match part.licences.as_slice() {
            [] => (Outcome::Insufficient, "no licence is said".to_owned()),
            licences if licences.iter().all(|licence| is_allowed(licence, allowed)) => {
                (Outcome::Met, licences.join(", "))
            }
            licences => (Outcome::Violated, licences.join(", ")),
        };
        let cases: Vec<Case> = self
            .parts
            .iter()
            .map(|part| {
                let (outcome, note) = of(part);
                Case { name: part.name.clone(), outcome, note }
            })
            .collect();
        (summary(&cases), cases)
    }

    fn vulnerabilities(&self) -> (Measured, Vec<Case>) {
        let Some(list) = &self.vulnerabilities else {
            return (
                noted(Outcome::Insufficient, "the list does not say whether vulnerabilities were looked for"),
                Vec::new(),
            );
        };
        let harmful = |least: Severity| list.iter().find(|found| !found.harmless && found.severity >= least);
        let rule = |name: &str, least: Severity| {
            let found = harmful(least);
            Case {
                name: name.to_owned(),
                outcome: if found.is_some() { Outcome::Violated } else { Outcome::Met },
                note: found.map(|found| found.id.clone()).unwrap_or_default(),
            }
        };
        let mut cases = vec![
            rule("no-critical-vulnerabilities", Severity::Critical),
            rule("no-high-vulnerabilities", Severity::High),
            rule("no-vulnerabilities", Severity::Low),
        ];
        let high = harmful(Severity::High);
        let mut result = match high {
            Some(found) => noted(Outcome::Violated, found.id.clone()),
            None => Measured::plain(Outcome::Met),
        };
        result.samples = Some(self.parts.len() as u64);
        cases.extend(list.iter().map(|found| Case {
            name: found.id.clone(),
            outcome: if found.harmless { Outcome::Met } else { Outcome::Violated },
            note: format!("{:?}", found.severity).to_lowercase(),
        }));
        (result, cases)
    }
}

fn summary(cases: &[Case]) -> Measured {
    let worst = cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Insufficient);
    let mut result = Measured::plain(worst);
    result.samples = Some(cases.len() as u64);
    if worst != Outcome::Met {
        let shown = cases.iter().filter(|case| case.outcome == worst).take(3);
        result.notes = shown.map(|case| format!("{}: {}", case.name, case.note)).collect();
    }
    result
}

/// Tells whether an SPDX expression can be fulfilled by licences that are allowed. What cannot be read is not.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    if allowed.iter().any(|licence| licence == expression) {
        return true;
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed, 0) == Some(true) && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[String], depth: u32) -> Option<bool> {
    let mut good = all(words, allowed, depth)?;
    while let Some((word, rest)) = words.split_first()
        && word.eq_ignore_ascii_case("OR")
    {
        *words = rest;
        good |= all(words, allowed, depth)?;
    }
    Some(good)
}

fn all(words: &mut &[&str], allowed: &[String], depth: u32) -> Option<bool> {
    let mut good = one(words, allowed, depth)?;
    while let Some((word, rest)) = words.split_first()
        && word.eq_ignore_ascii_case("AND")
    {
        *words = rest;
        good &= one(words, allowed, depth)?;
    }
    Some(good)
}

fn one(words: &mut &[&str], allowed: &[String], depth: u32) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    if *first == "(" {
        if depth >= EXPRESSION_DEPTH_MAX {
            return None;
        }
        let good = any(words, allowed, depth + 1)?;
        let (close, rest) = words.split_first()?;
        *words = rest;
        return (*close == ")").then_some(good);
    }
    let mut good = allowed.iter().any(|licence| licence == first || first.strip_suffix('+') == Some(licence));
    if let [with, exception, rest @ ..] = words
        && with.eq_ignore_ascii_case("WITH")
    {
        // An exception only adds permissions; it may also be asked for by its whole name.
        good |= allowed.iter().any(|licence| *licence == format!("{first} WITH {exception}"));
        *words = rest;
    }
    Some(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_weighed() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
        for good in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "(MIT AND Apache-2.0)",
            "Apache-2.0 WITH LLVM-exception",
            "MIT+",
            "(MIT or X) and MIT",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "(MIT", "MIT MIT", "OR MIT", "mit", ")"] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
        assert!(!is_allowed(&"(".repeat(10_000), &allowed));
    }
}
