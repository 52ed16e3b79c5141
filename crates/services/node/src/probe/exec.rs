//! Runs a program in the container: code 0 is success.

use std::time::Duration;

use k8s_openapi::api::core::v1::ExecAction;
use maru_container::{ContainerStream, ExecConfig};
use tokio::io::AsyncReadExt as _;

use super::Target;

/// Output that is kept for the event.
const OUTPUT_MAX: u64 = 10 * 1024;

pub(super) async fn run(action: &ExecAction, target: &Target, timeout: Duration) -> Result<(), String> {
    let args = action.command.clone().unwrap_or_default();
    let shown = args.join(" ");
    let config = ExecConfig { args, kill_on_drop: true, ..ExecConfig::default() };
    match tokio::time::timeout(timeout, run_to_end(config, target)).await {
        Ok(result) => result,
        Err(_) => Err(format!("command timed out: \"{shown}\" timed out after {}s", timeout.as_secs())),
    }
}

async fn run_to_end(config: ExecConfig, target: &Target) -> Result<(), String> {
    let shim = target.shim.as_ref().ok_or("no program can be run in the container")?;
    let mut handle = shim.exec(&target.id, config).await.map_err(|error| error.to_string())?;
    let (stdout, stderr) = (handle.stdout.take(), handle.stderr.take());
    let ((mut output, errors), exit) = tokio::join!(async { tokio::join!(read(stdout), read(stderr)) }, handle.exit(),);
    let exit = exit.map_err(|error| error.to_string())?;
    if exit.is_success() {
        return Ok(());
    }
    output.extend(errors);
    let words = String::from_utf8_lossy(&output).trim().to_owned();
    Err(if words.is_empty() { format!("command terminated with exit code {}", exit.code) } else { words })
}

async fn read(stream: Option<ContainerStream>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        let mut limited = (&mut stream).take(OUTPUT_MAX);
        if limited.read_to_end(&mut kept).await.is_ok() {
            // The rest is read so that the program does not block, and dropped.
            drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        }
    }
    kept
}
