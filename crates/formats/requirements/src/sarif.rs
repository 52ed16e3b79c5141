//! Findings as SARIF 2.1.0, so that editors and code hosts show them at their places.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use crate::lint::{Finding, RULES, Rule};
use crate::read::ItemError;
use crate::text::{Language, LocalText};

/// What may not stand in the path of a URI (RFC 3986 §3.3).
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b':');

const UNREADABLE: &str = "unreadable-item";

/// Writes findings, and errors of reading, as one SARIF log; messages are in `language`.
#[must_use]
pub fn sarif(findings: &[Finding], errors: &[ItemError], language: Language, version: &str) -> Value {
    sarif_log(vec![sarif_run("maru req lint", &RULES, findings, errors, language, version)])
}

/// Returns a SARIF log of runs.
#[must_use]
pub fn sarif_log(runs: Vec<Value>) -> Value {
    json!({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs})
}

/// Returns what one tool found by its rules, as a run of a SARIF log.
#[must_use]
pub fn sarif_run(
    tool: &str,
    rules: &[Rule],
    findings: &[Finding],
    errors: &[ItemError],
    language: Language,
    version: &str,
) -> Value {
    let described = |rule: &Rule| {
        let text = LocalText::both(rule.ko, rule.en);
        json!({
            "id": rule.id,
            "shortDescription": {"text": text.get(language)},
            "defaultConfiguration": {"level": rule.severity.name()},
        })
    };
    let mut descriptions: Vec<Value> = rules.iter().map(described).collect();
    let unreadable = LocalText::both("항목을 읽을 수 없다", "An item cannot be read.");
    descriptions.push(json!({
        "id": UNREADABLE,
        "shortDescription": {"text": unreadable.get(language)},
        "defaultConfiguration": {"level": "error"},
    }));
    let mut results: Vec<Value> = errors
        .iter()
        .map(|error| {
            json!({
                "ruleId": UNREADABLE, "ruleIndex": rules.len(), "level": "error",
                "message": {"text": error.message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&error.file)},
                    "region": {"startLine": error.line.max(1), "startColumn": error.column.max(1)},
                }}],
            })
        })
        .collect();
    results.extend(findings.iter().map(|finding| result(rules, finding, language)));
    json!({
        "tool": {"driver": {"name": tool, "semanticVersion": version, "rules": descriptions}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    })
}

fn result(rules: &[Rule], finding: &Finding, language: Language) -> Value {
    let place = &finding.place;
    let mut location = json!({"logicalLocations": [{"name": finding.item, "kind": "object"}]});
    if !place.file.is_empty() {
        let mut region = json!({"startLine": place.line.max(1), "startColumn": place.column.max(1)});
        if (place.end_line, place.end_column) > (place.line, place.column) {
            region["endLine"] = json!(place.end_line);
            region["endColumn"] = json!(place.end_column);
        }
        location["physicalLocation"] = json!({"artifactLocation": {"uri": uri(&place.file)}, "region": region});
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.iter().position(|rule| rule.id == finding.rule),
        "level": finding.severity.name(),
        "message": {"text": format!("{}; {}", finding.message.get(language), finding.fix.get(language))},
        "locations": [location],
        "properties": {"item": finding.item, "phrase": finding.phrase, "message": finding.message, "fix": finding.fix},
    })
}

fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(path, PATH))
}
