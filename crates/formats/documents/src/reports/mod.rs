//! The four documents of a project, each a function from plain data.

mod audit;
mod cover;
mod definition;
mod matrix;
mod test_result;

pub use audit::{AuditItem, AuditMatrix, audit_matrix};
pub use cover::{Approver, Cover, EvidenceRef, Figure, Priority, Revision, Verdict};
pub use definition::{Kind, RequirementEntry, RequirementsDefinition, Term, requirements_definition};
pub use matrix::{Orphan, TraceRow, TraceabilityMatrix, traceability_matrix};
pub use test_result::{Case, CaseOutcome, Defect, Measurement, NamedValue, Subject, Suite, TestResult, test_result};
