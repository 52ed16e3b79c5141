//! What a person asked for that could not be done, and what to do.

use maru_evidence::readers::ReadError;

use crate::ledger::LedgerError;

/// Something that a person asked for could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The API server refused or did not answer.
    #[error("could not {action}")]
    Api {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The report cannot be read.
    #[error(transparent)]
    Report(#[from] ReadError),
    /// The requirement asks for something else.
    #[error(
        "requirement \"{name}\" asks for {asks}; the report is {found}: say with --name and --environment what it is, or change the requirement's verify"
    )]
    NotAsked {
        /// The requirement.
        name: String,
        /// What its checks ask for.
        asks: String,
        /// What the report is.
        found: String,
    },
    /// No requirement of that name.
    #[error("project \"{project}\" has no requirement \"{name}\"; \"maru -n {project} req list\" shows what there is")]
    NoRequirement {
        /// The project.
        project: String,
        /// What was typed.
        name: String,
    },
    /// Nothing asks for it.
    #[error("no requirement of project \"{project}\" asks for {kind} \"{name}\"{}; name one with --requirement, or write it into the requirement's verify", place(.environment.as_deref()))]
    NobodyAsks {
        /// The project.
        project: String,
        /// Which kind of evidence.
        kind: &'static str,
        /// Under which name.
        name: String,
        /// From which environment.
        environment: Option<String>,
    },
    /// The environment is not known.
    #[error(
        "project \"{project}\" has no environment \"{environment}\"; label a namespace with maru.dev/project={project},maru.dev/environment={environment}, or list it in the Project"
    )]
    NoEnvironment {
        /// The project.
        project: String,
        /// What was typed.
        environment: String,
    },
    /// Somebody else was faster.
    #[error("requirement \"{name}\" was changed by somebody else meanwhile; look at it and decide again")]
    Changed {
        /// Its name.
        name: String,
    },
    /// What stands behind an object cannot be read.
    #[error("could not read the {what} of \"{name}\": {why}")]
    Content {
        /// What was asked for.
        what: String,
        /// Of which object.
        name: String,
        /// Why it failed.
        why: String,
    },
    /// An object cannot be read.
    #[error("{kind} \"{name}\" cannot be read: {why}")]
    Object {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

pub(crate) fn place(environment: Option<&str>) -> String {
    environment.map(|name| format!(" in \"{name}\"")).unwrap_or_default()
}
