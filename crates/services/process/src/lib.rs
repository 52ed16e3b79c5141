//! The spine's controllers: requirements get their verdicts here, gates open here, documents are made here.
//!
//! Owns: the status of requirements, evidence and projects; the ledger of envelopes, reports and keys.
//! Never: measures anything itself; lets anybody type a verdict.
//! Source: docs/guide/spine.md.

mod analysis;
mod approve;
mod attest;
mod baseline;
mod contents;
mod control;
mod desk;
mod desk_error;
mod documents;
mod follow;
mod gates;
mod ledger;
mod material;
mod merge;
mod mirror;
mod objectives;
mod pack;
mod papers;
mod pictures;
mod plan;
mod quality;
mod running;
mod seal;
#[cfg(test)]
mod speed;
mod versions;
mod view;
mod whole;

pub use analysis::{
    Analysis, AnalysisError, Asked, Copies, Decided, DecisionError, Effort, NotAnalysed, Question, Reading, Reasons,
    Tradeoff, Wish, analyse, answers, decide, findings, questions, readings, status_of_error, what_word,
};
pub use attest::Attestation;
pub use baseline::{Content, FrozenEvidence, Snapshot};
pub use contents::contents;
pub use control::{ProcessOptions, start};
pub use desk::{Desk, KeyTime};
pub use desk_error::DeskError;
pub use ledger::{Appended, BLOB_BYTES_MAX, Head, Ledger, LedgerError};
pub use maru_api::crds;
pub use material::Material;
pub use mirror::Need;
pub use objectives::WindowChoice;
pub use pack::{Checked, PackError, Problem, export, summary, verify, verify_folder};
pub use whole::{Parts, export_whole};
