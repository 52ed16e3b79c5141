//! How a requirement is checked: which measurement, in which environment.

use std::fmt;

use serde::{Deserialize, Serialize};

use maru_requirements::{Ratio, Span};

/// One entry of `verify`: what measures, where, and how sure it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Check {
    /// What measures.
    pub by: Means,
    /// The environment whose running subjects count; none: any.
    pub environment: Option<String>,
    /// The confidence that the interval must have; none: the project's.
    pub confidence: Option<Ratio>,
    /// How long a piece of evidence counts at most; none: as long as it says itself.
    pub valid_for: Option<Span>,
}

/// What measures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Means {
    /// Windows of a service level objective.
    Slo(String),
    /// Tests whose suite and case match; `*` stands for any run of characters.
    Test {
        /// The suite's name.
        suite: String,
        /// The case's name; none: all cases of the suite.
        case: Option<String>,
    },
    /// A person in a role.
    Approval {
        /// The role.
        role: String,
    },
    /// A scan by a tool (or any, `*`).
    Scan(String),
    /// A run of load.
    Load(String),
    /// A drill: a recovery, a failover.
    Drill(String),
    /// A measured installation.
    Install(String),
    /// A survey of what is there.
    Survey(String),
    /// A proof of concept.
    Experiment(String),
    /// A list of parts with their licences and vulnerabilities.
    Bom(String),
    /// How what runs came to be: signed statements of a builder, by his id (or of any, `*`).
    Provenance(String),
}

impl Means {
    /// Returns the entry's name: `slo`, `test`, `approval` …
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slo(_) => "slo",
            Self::Test { .. } => "test",
            Self::Approval { .. } => "approval",
            Self::Scan(_) => "scan",
            Self::Load(_) => "load",
            Self::Drill(_) => "drill",
            Self::Install(_) => "install",
            Self::Survey(_) => "survey",
            Self::Experiment(_) => "experiment",
            Self::Bom(_) => "bom",
            Self::Provenance(_) => "provenance",
        }
    }

    /// Returns the name that evidence must carry: the objective, the suite, the role, the tool, the scenario.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Test { suite, .. } => suite,
            Self::Approval { role } => role,
            Self::Slo(name)
            | Self::Scan(name)
            | Self::Load(name)
            | Self::Drill(name)
            | Self::Install(name)
            | Self::Survey(name)
            | Self::Experiment(name)
            | Self::Bom(name)
            | Self::Provenance(name) => name,
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test { suite, case: Some(case) } => write!(formatter, "test {suite} {case}"),
            _ => write!(formatter, "{} {}", self.kind(), self.name()),
        }
    }
}

/// A check that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Nothing measures.
    #[error(
        "verify has an entry without a measurement; write one of slo, test, approval, scan, load, drill, install, survey, experiment, bom, provenance"
    )]
    Nothing,
    /// Two things measure.
    #[error("verify has an entry with \"{first}\" and \"{second}\"; make two entries of it")]
    Two {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A name is empty.
    #[error("verify: {what} has no name; write it")]
    NoName {
        /// Which measurement.
        what: &'static str,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFields {
    suite: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalFields {
    role: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<TestFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drill: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    install: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survey: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    experiment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bom: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provenance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#in: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<Ratio>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_for: Option<Span>,
}

impl TryFrom<Fields> for Check {
    type Error = CheckError;

    fn try_from(fields: Fields) -> Result<Self, CheckError> {
        let means = [
            fields.slo.map(Means::Slo),
            fields.test.map(|test| Means::Test { suite: test.suite, case: test.case }),
            fields.approval.map(|approval| Means::Approval { role: approval.role }),
            fields.scan.map(Means::Scan),
            fields.load.map(Means::Load),
            fields.drill.map(Means::Drill),
            fields.install.map(Means::Install),
            fields.survey.map(Means::Survey),
            fields.experiment.map(Means::Experiment),
            fields.bom.map(Means::Bom),
            fields.provenance.map(Means::Provenance),
        ];
        let mut found = means.into_iter().flatten();
        let by = found.next().ok_or(CheckError::Nothing)?;
        if let Some(second) = found.next() {
            return Err(CheckError::Two { first: by.kind(), second: second.kind() });
        }
        if by.name().trim().is_empty() {
            return Err(CheckError::NoName { what: by.kind() });
        }
        Ok(Self { by, environment: fields.r#in, confidence: fields.confidence, valid_for: fields.valid_for })
    }
}

impl From<Check> for Fields {
    fn from(check: Check) -> Self {
        let mut fields = Self {
            r#in: check.environment,
            confidence: check.confidence,
            valid_for: check.valid_for,
            ..Self::default()
        };
        match check.by {
            Means::Slo(name) => fields.slo = Some(name),
            Means::Test { suite, case } => fields.test = Some(TestFields { suite, case }),
            Means::Approval { role } => fields.approval = Some(ApprovalFields { role }),
            Means::Scan(name) => fields.scan = Some(name),
            Means::Load(name) => fields.load = Some(name),
            Means::Drill(name) => fields.drill = Some(name),
            Means::Install(name) => fields.install = Some(name),
            Means::Survey(name) => fields.survey = Some(name),
            Means::Experiment(name) => fields.experiment = Some(name),
            Means::Bom(name) => fields.bom = Some(name),
            Means::Provenance(name) => fields.provenance = Some(name),
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_read_and_write_back() {
        for written in [
            json!({"slo": "orders-latency", "in": "prod"}),
            json!({"test": {"suite": "orders", "case": "contract/*"}, "in": "test", "validFor": "30d"}),
            json!({"approval": {"role": "customer"}}),
            json!({"load": "orders-50", "in": "test", "confidence": 0.99}),
            json!({"drill": "restore"}),
            json!({"provenance": "https://builder.example/v1", "in": "prod"}),
        ] {
            let check: Check = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&check).unwrap(), written);
        }
    }

    #[test]
    fn unclear_entries_are_refused() {
        for (written, expected) in [
            (json!({"in": "prod"}), "verify has an entry without a measurement"),
            (
                json!({"slo": "a", "drill": "b"}),
                "verify has an entry with \"slo\" and \"drill\"; make two entries of it",
            ),
            (json!({"slo": " "}), "verify: slo has no name"),
            (json!({"slos": "a"}), "unknown field `slos`"),
        ] {
            let message = serde_json::from_value::<Check>(written).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
