//! What a person types at a Kubernetes API: apply, get, describe, logs, exec, delete, wait, status.
//!
//! Owns: how answers look in a terminal, and as JSON with `--json`.
//! Never: reaches into another room or the data directory; it is a client of the API like any other.
//! Source: Kubernetes API concepts ("Receiving resources as Tables", server-side apply).

mod apply;
mod delete;
mod describe;
mod error;
mod exec;
mod get;
mod logs;
mod manifests;
mod resources;
mod status;
mod terminal;
mod wait;

pub use apply::{Applied, ApplyCommand, apply_documents};
pub use delete::DeleteCommand;
pub use describe::DescribeCommand;
pub use error::CliError;
pub use exec::ExecCommand;
pub use get::GetCommand;
pub use logs::LogsCommand;
pub use manifests::{Manifest, read_manifests};
pub use status::StatusCommand;
pub use terminal::{Printer, table};
pub use wait::{WaitCommand, wait_until_ready};

/// What a person can type at a running API server.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create or change objects from files, as their field manager "maru" (server-side apply)
    Apply(ApplyCommand),
    /// List objects, or show one
    Get(GetCommand),
    /// Show an object in full, with its events
    Describe(DescribeCommand),
    /// Print what a container wrote
    Logs(LogsCommand),
    /// Run a command in a container
    Exec(ExecCommand),
    /// Delete objects by name, selector or file
    Delete(DeleteCommand),
    /// Wait until workloads are ready or objects are gone
    Wait(WaitCommand),
    /// Show what runs on this Maru
    Status(StatusCommand),
}

/// What holds for every command.
#[derive(Clone)]
pub struct Context {
    /// Reaches the API server.
    pub client: maru_client::Client,
    /// The namespace where none is named.
    pub namespace: String,
    /// Where answers go.
    pub printer: Printer,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Runs one command; returns the exit code that it asks for (a command run by `exec` may have one of its own).
///
/// # Errors
/// When the API server refuses or cannot be reached, or when a file cannot be read.
pub async fn run(command: Command, context: &Context) -> Result<u8, CliError> {
    match command {
        Command::Apply(command) => apply::run(&command, context).await,
        Command::Get(command) => get::run(&command, context).await,
        Command::Describe(command) => describe::run(&command, context).await,
        Command::Logs(command) => logs::run(&command, context).await,
        Command::Exec(command) => exec::run(&command, context).await,
        Command::Delete(command) => delete::run(&command, context).await,
        Command::Wait(command) => wait::run(&command, context).await,
        Command::Status(command) => status::run(&command, context).await,
    }
}
