//! What the binary says to the person who started it.

use maru_cli::Printer;
use serde_json::{Value, json};

use crate::preflight::{Finding, Severity};

/// Speaks to a person, or in JSON to a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report(pub(crate) Printer);

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self(Printer { json })
    }

    /// A line of an answer for people.
    pub(crate) fn line(self, text: impl std::fmt::Display) {
        self.0.line(text);
    }

    /// An answer as it is, in both modes.
    pub(crate) fn raw(self, text: impl std::fmt::Display) {
        self.0.raw(text);
    }

    /// An answer for programs.
    pub(crate) fn value(self, value: &Value) {
        self.0.value(value);
    }

    /// Progress, beside the answer.
    pub(crate) fn progress(self, text: impl std::fmt::Display) {
        self.0.note(text);
    }

    /// What went wrong, with its causes.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let causes = causes(error);
        if self.0.json {
            self.0.note(json!({"error": causes}));
        } else {
            self.0.note(format_args!("maru: {causes}"));
        }
    }

    /// Findings about the machine; good ones only where all are wanted.
    pub(crate) fn findings(self, findings: &[Finding], with_good: bool) {
        for one in findings.iter().filter(|one| with_good || one.severity != Severity::Good) {
            let sign = match one.severity {
                Severity::Good => "ok     ",
                Severity::Warning => "warning",
                Severity::Missing => "missing",
            };
            self.line(format_args!("  {sign}  {:<12} {}", one.what, one.message));
            if !one.mend.is_empty() {
                self.line(format_args!("           {:<12} → {}", "", one.mend));
            }
        }
    }
}

/// An error with its causes; of an API server's refusal, what it says, once.
fn causes(error: &anyhow::Error) -> String {
    let mut said = Vec::new();
    for cause in error.chain() {
        let boxed = cause.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
        if let Some(kube::Error::Api(status)) = cause.downcast_ref::<kube::Error>().or(boxed)
            && !status.message.is_empty()
        {
            said.push(status.message.clone());
            break;
        }
        said.push(cause.to_string());
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_refusal_is_told_once() {
        let refusal = || {
            kube::Error::Api(Box::new(kube::core::Status {
                message: "slo \"nothing\" not found".to_owned(),
                reason: "NotFound".to_owned(),
                code: 404,
                ..kube::core::Status::default()
            }))
        };
        for error in [anyhow::Error::from(refusal()), anyhow::Error::from(Box::new(refusal()))] {
            let error = Err::<(), _>(error).context("could not read it").unwrap_err();
            assert_eq!(causes(&error), "could not read it: slo \"nothing\" not found");
        }
        let other = anyhow::Error::msg("a").context("b");
        assert_eq!(causes(&other), "b: a");
    }
}
