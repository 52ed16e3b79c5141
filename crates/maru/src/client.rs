//! Commands that talk to an API server.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::arguments::GlobalArguments;
use crate::report::Report;
use crate::settings::Paths;

/// Returns the kubeconfig that holds: the one that is named, else the one that `maru up` wrote.
fn kubeconfig_path(global: &GlobalArguments) -> PathBuf {
    global.kubeconfig.clone().unwrap_or_else(|| Paths::new(&global.data).kubeconfig())
}

/// Connects to the API server of the kubeconfig.
pub(crate) async fn connect(global: &GlobalArguments, report: Report) -> anyhow::Result<maru_cli::Context> {
    let path = kubeconfig_path(global);
    anyhow::ensure!(
        path.exists(),
        "there is no kubeconfig at \"{}\"; start Maru with \"sudo maru up\", or name one with --kubeconfig",
        path.display()
    );
    Ok(maru_cli::Context {
        client: maru_client::connect_kubeconfig(&path).await?,
        namespace: global.namespace.clone(),
        printer: report.0,
    })
}

pub(crate) async fn run(global: &GlobalArguments, command: maru_cli::Command, report: Report) -> anyhow::Result<u8> {
    let context = connect(global, report).await?;
    Ok(maru_cli::run(command, &context).await?)
}

pub(crate) fn print_kubeconfig(global: &GlobalArguments, report: Report) -> anyhow::Result<u8> {
    let path = kubeconfig_path(global);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read \"{}\"; \"sudo maru up\" writes it, and only root can read it", path.display())
    })?;
    report.raw(text.trim_end());
    Ok(0)
}
