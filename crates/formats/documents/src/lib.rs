//! Documents that people read and sign: one content, written as HTML, DOCX, XLSX or HWPX.
//!
//! Owns: the content model and its writers; the four documents of a project; the same content gives the same bytes.
//! Never: does IO, fetches what a document mentions, reads a clock, decides a verdict, lets data become markup, script or formula.
//! Source: HTML; ECMA-376 (DOCX, XLSX); KS X 6101 (OWPML, HWPX); PKWARE APPNOTE 6.3 (ZIP).

mod content;
mod error;
mod outline;
mod phrases;
mod reports;
mod svg;
mod write;
mod xml;
mod zip;

pub use content::{
    Block, Cell, CellRole, Date, Document, Heading, Image, Language, List, ListItem, ListKind, Metadata, Numbering,
    Orientation, Paragraph, ParagraphStyle, Row, Run, RunStyle, Table, Tone,
};
pub use error::DocumentError;
pub use reports::{
    Approver, AuditItem, AuditMatrix, Case, CaseOutcome, Cover, Defect, EvidenceRef, Figure, Kind, Measurement,
    NamedValue, Orphan, Priority, RequirementEntry, RequirementsDefinition, Revision, Subject, Suite, Term, TestResult,
    TraceRow, TraceabilityMatrix, Verdict, audit_matrix, requirements_definition, test_result, traceability_matrix,
};
pub use svg::check_svg;
pub use write::{Format, write};
pub use zip::{from_zip, to_zip};
