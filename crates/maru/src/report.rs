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
        if self.0.json {
            self.0.note(json!({"error": format!("{error:#}")}));
        } else {
            self.0.note(format_args!("maru: {error:#}"));
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
