//! `maru up --detach`: Maru in the background.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;

use crate::arguments::{GlobalArguments, UpArguments};
use crate::instance::Instance;
use crate::report::Report;
use crate::settings::{Paths, Settings};

/// How long a start may take: images are never pulled in it.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Starts Maru in the background and returns when it is ready.
pub(crate) async fn start(global: &GlobalArguments, up: &UpArguments, report: Report) -> anyhow::Result<u8> {
    let paths = Paths::new(&global.data);
    if let Some(running) = Instance::running(&paths) {
        anyhow::bail!(
            "Maru already runs on \"{}\" (process {}); stop it with \"maru down\"",
            paths.data.display(),
            running.pid
        );
    }
    // The same checks as in the foreground, told here and not in a log file.
    let settings = crate::up::settings(global, up, report)?;
    crate::up::check(&settings, report)?;
    spawn(global, up, &settings)?;
    let deadline = tokio::time::Instant::now() + START_TIME_MAX;
    loop {
        if let Some(running) = Instance::running(&paths).filter(|running| running.ready) {
            report.line(format_args!(
                "Maru runs in the background (process {}), API https://{}",
                running.pid, running.api
            ));
            report.line(format_args!("its log: {}", paths.logs().join("maru.log").display()));
            let link = crate::console::greeting_link(&paths, &running.console)?;
            report.line(format_args!("the console: {link}"));
            let mut value = serde_json::to_value(&running)?;
            value["link"] = link.into();
            report.value(&value);
            return Ok(0);
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "Maru is not ready after {} s; its log ends with:\n{}",
            START_TIME_MAX.as_secs(),
            log_end(&paths)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(code) = exited() {
            anyhow::bail!("Maru stopped with {code}; its log ends with:\n{}", log_end(&paths));
        }
    }
}

fn spawn(global: &GlobalArguments, up: &UpArguments, settings: &Settings) -> anyhow::Result<()> {
    let folder = settings.paths.logs();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create \"{}\"", folder.display()))?;
    let log = std::fs::File::options().create(true).append(true).open(folder.join("maru.log"))?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("--data").arg(&settings.paths.data);
    if let Some(filter) = &global.log {
        command.arg("--log").arg(filter);
    }
    command
        .args(["up", "--node-name", &settings.node_name, "--bind", &up.bind.to_string()])
        .args(["--api-port", &up.api_port.to_string(), "--http-port", &up.http_port.to_string()])
        .args(["--https-port", &up.https_port.to_string(), "--metrics-port", &up.metrics_port.to_string()])
        .args(["--alerts-port", &up.alerts_port.to_string()])
        .args(["--pod-cidr", &up.pod_cidr.to_string(), "--service-cidr", &up.service_cidr.to_string()])
        .args(["--console-listen", &up.console_listen.to_string()])
        .args(up.console_host.iter().flat_map(|name| ["--console-host", name]))
        .args(up.log_json.then_some("--log-json"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in this terminal is not meant for the background.
        .process_group(0);
    if let Some(folder) = &up.console_assets {
        command.arg("--console-assets").arg(std::path::absolute(folder)?);
    }
    command.spawn().context("cannot start Maru in the background")?;
    Ok(())
}

/// Returns how the child ended, if it did.
fn exited() -> Option<String> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(format!("exit code {code}")),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("signal {signal}")),
        _ => None,
    }
}

fn log_end(paths: &Paths) -> String {
    let text = std::fs::read_to_string(paths.logs().join("maru.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
}
