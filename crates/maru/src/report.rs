//! What the binary says to the person who started it.

use serde_json::{Value, json};

use crate::preflight::{Finding, Severity};

/// Speaks to a person, or in JSON to a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) json: bool,
}

impl Report {
    /// A line of an answer.
    #[expect(clippy::print_stdout, reason = "the binary's one printer")]
    pub(crate) fn line(self, text: impl std::fmt::Display) {
        if !self.json {
            println!("{text}");
        }
    }

    /// An answer as it is, in both modes.
    #[expect(clippy::print_stdout, reason = "the binary's one printer")]
    pub(crate) fn raw(self, text: impl std::fmt::Display) {
        println!("{text}");
    }

    /// An answer for programs.
    pub(crate) fn value(self, value: &Value) {
        if self.json {
            self.raw(value);
        }
    }

    /// Progress, beside the answer.
    #[expect(clippy::print_stderr, reason = "the binary's one printer")]
    pub(crate) fn progress(self, text: impl std::fmt::Display) {
        eprintln!("{text}");
    }

    /// What went wrong, with its causes.
    #[expect(clippy::print_stderr, reason = "the binary's one printer")]
    pub(crate) fn error(self, error: &anyhow::Error) {
        if self.json {
            eprintln!("{}", json!({"error": format!("{error:#}")}));
        } else {
            eprintln!("maru: {error:#}");
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
