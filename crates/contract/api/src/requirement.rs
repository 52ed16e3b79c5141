//! Requirements, and what their verdict is.

use jiff::Timestamp;
use maru_requirements::{LocalText, Meaning, Priority, Source};
use serde::{Deserialize, Serialize};

use crate::criterion::Criterion;
use crate::digest::Digest;
use crate::object::{Object, Spec};
use crate::verify::Check;

/// A requirement.
pub type Requirement = Object<RequirementSpec>;

/// A link to another requirement, as it was when a person last looked at the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// The other requirement.
    pub name: String,
    /// Its fingerprint at the last review; another one now makes the link suspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
}

/// What is required and how it is checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementSpec {
    /// A short name for lists.
    #[serde(default)]
    pub title: LocalText,
    /// The sentence.
    pub statement: LocalText,
    /// How much it matters.
    #[serde(default)]
    pub priority: Priority,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stakeholders: Vec<String>,
    /// Where it was taken from, when it has no parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Its parents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived_from: Vec<Link>,
    /// The components that fulfil it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocated_to: Vec<String>,
    /// What is asked for, as a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Criterion>,
    /// How it is checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<Check>,
}

impl RequirementSpec {
    /// Returns what the fingerprint is taken of: canonical JSON of what a verdict depends on (docs/formats/evidence.md).
    #[must_use]
    pub fn canonical_form(&self) -> String {
        let parents: Vec<&str> = self.derived_from.iter().map(|link| link.name.as_str()).collect();
        let meaning = Meaning {
            statement: &self.statement,
            priority: self.priority,
            criterion: self.criterion.as_ref(),
            derived_from: &parents,
            allocated_to: &self.allocated_to,
            verify: &self.verify,
        };
        meaning.canonical_form()
    }

    /// Returns the digest of the canonical form.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.canonical_form().as_bytes())
    }
}

impl Spec for RequirementSpec {
    const KIND: &'static str = "Requirement";
    const PLURAL: &'static str = "requirements";
    type Status = RequirementStatus;
}

impl Requirement {
    /// Returns the digest of what a verdict depends on; evidence is made for one fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.spec.fingerprint()
    }
}

/// What evidence says about a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// All checks are met. 적합
    Conforming,
    /// Evidence is missing or says too little. 미측정
    NotMeasured,
    /// A check is violated. 부적합
    Nonconforming,
}

impl Verdict {
    /// Returns the word that Korean documents use.
    #[must_use]
    pub fn korean(self) -> &'static str {
        match self {
            Self::Conforming => "적합",
            Self::Nonconforming => "부적합",
            Self::NotMeasured => "미측정",
        }
    }

    /// Returns the word as objects carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Conforming => "Conforming",
            Self::Nonconforming => "Nonconforming",
            Self::NotMeasured => "NotMeasured",
        }
    }
}

/// What one check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Inside the criterion.
    Met,
    /// Too little is known.
    Insufficient,
    /// Outside the criterion.
    Violated,
}

/// What the controller writes about a requirement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementStatus {
    /// The generation that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The digest of what the verdict depends on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// What kind of requirement it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What is wrong with the text.
    #[serde(default)]
    pub lint: Vec<LintFinding>,
    /// Links whose other end changed.
    #[serde(default)]
    pub suspect: Vec<Suspect>,
    /// What evidence says; none for requirements that are not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, in the project's language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in both languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<LocalText>,
    /// What each check came to.
    #[serde(default)]
    pub checks: Vec<CheckStatus>,
    /// Minimal sets of requirements that cannot hold together, of which this is one.
    #[serde(default)]
    pub conflicts: Vec<Vec<String>>,
    /// When the verdict became what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When its meaning changed at last, latest last; the first version is no change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Timestamp>,
}

/// What kind of requirement it is, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// `functional` or `nonFunctional`.
    pub kind: String,
    /// The quality: performance, security …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How it was told.
    #[serde(default)]
    pub why: LocalText,
    /// How often it changes, by its history: `stable`, `moderate`, `volatile`, `new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volatility: Option<String>,
    /// `source` or `derived`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// How many requirements are derived from it, directly or not: they become suspect when it changes.
    #[serde(default)]
    pub impact: u64,
}

/// Something wrong with a requirement's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintFinding {
    /// The rule's id.
    pub rule: String,
    /// `error`, `warning` or `note`.
    #[serde(default)]
    pub severity: String,
    /// Where: the field, and the words that it is about.
    #[serde(default)]
    pub place: String,
    /// What is wrong.
    pub message: LocalText,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<LocalText>,
}

/// A link whose other end changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspect {
    /// The other requirement.
    pub name: String,
    /// What it was when the link was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Digest>,
    /// What it is now; none when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Digest>,
}

/// What one check came to, by which evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// The place in `verify`, from 0.
    pub check: usize,
    /// What it came to.
    pub outcome: Outcome,
    /// Why.
    pub reason: LocalText,
    /// The envelope's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// When it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Until when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requirement() -> Requirement {
        serde_json::from_value(json!({
            "apiVersion": "maru.dev/v1alpha1", "kind": "Requirement", "metadata": {"name": "nfr-007", "namespace": "shop"},
            "spec": {
                "title": "주문 응답 시간",
                "statement": "사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.",
                "priority": "must", "stakeholders": ["customer-operations"],
                "source": {"document": "RFP-2026-11", "clause": "3.2"},
                "derivedFrom": [{"name": "goal-002"}], "allocatedTo": ["orders"],
                "criterion": {"indicator": "latency", "of": {"service": "orders", "route": "POST /orders"},
                              "quantile": 0.999, "atMost": "100ms", "window": "1d", "atLoad": "50/s"},
                "verify": [{"slo": "orders-latency", "in": "prod"}, {"approval": {"role": "customer"}}]
            }
        }))
        .unwrap()
    }

    #[test]
    fn the_canonical_form_is_as_documented() {
        assert_eq!(
            requirement().spec.canonical_form(),
            concat!(
                r#"{"allocatedTo":["orders"],"criterion":{"atLoad":"50/s","atMost":"100ms","indicator":"latency","#,
                r#""of":{"route":"POST /orders","service":"orders"},"quantile":0.999,"window":"1d"},"derivedFrom":["goal-002"],"#,
                r#""priority":"must","statement":"사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.","#,
                r#""verify":[{"in":"prod","slo":"orders-latency"},{"approval":{"role":"customer"}}]}"#
            )
        );
    }

    #[test]
    fn the_fingerprint_follows_meaning_only() {
        let before = requirement();
        let change = |edit: &dyn Fn(&mut RequirementSpec)| {
            let mut after = requirement();
            edit(&mut after.spec);
            after.fingerprint() != before.fingerprint()
        };
        assert!(!change(&|spec| spec.title = "other".into()));
        assert!(!change(&|spec| spec.stakeholders.clear()));
        assert!(!change(&|spec| spec.source = None));
        assert!(!change(&|spec| spec.derived_from[0].fingerprint = Some(Digest::of(b"reviewed"))));
        assert!(!change(&|spec| spec.allocated_to.push("orders".to_owned())));
        assert!(change(&|spec| spec.statement = "other".into()));
        assert!(change(&|spec| spec.priority = Priority::Should));
        assert!(change(&|spec| spec.criterion = None));
        assert!(change(&|spec| spec.derived_from.clear()));
        assert!(change(&|spec| spec.allocated_to.push("payments".to_owned())));
        assert!(change(&|spec| spec.verify.truncate(1)));
        let mut spelled = serde_json::to_value(requirement()).unwrap();
        spelled["spec"]["criterion"]["atMost"] = json!("0.1s");
        let spelled: Requirement = serde_json::from_value(spelled).unwrap();
        assert_eq!(spelled.fingerprint(), before.fingerprint());
    }

    #[test]
    fn items_in_files_and_objects_have_one_fingerprint() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/shop/.maru/requirements");
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        let items = maru_requirements::read_folder(&files).unwrap().items;
        assert!(items.len() >= 20, "{}", items.len());
        for item in items {
            let object: Requirement = serde_json::from_value(item.to_object("shop")).unwrap();
            assert_eq!(object.spec.canonical_form(), item.canonical_form(), "{}", item.name);
            assert_eq!(object.fingerprint().to_string(), item.fingerprint(), "{}", item.name);
        }
    }

    #[test]
    fn objects_keep_what_they_do_not_know_of_metadata() {
        let mut value = serde_json::to_value(requirement()).unwrap();
        value["metadata"]["finalizers"] = json!(["x"]);
        let read: Requirement = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), value);
    }
}
