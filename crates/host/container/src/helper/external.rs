//! An OCI runtime with runc's command line: runc, crun, runsc.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Runtime;
use crate::protocol::HelperTask;

/// A runtime program on this host.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) program: PathBuf,
}

impl Runtime for External {
    fn run(&self, task: &HelperTask, stdio: Option<[OwnedFd; 3]>) -> Result<i32, String> {
        let work = task.process.as_deref().unwrap_or(&task.bundle);
        let (pid_file, log) = (work.with_extension("pid"), work.with_extension("runtime.log"));
        let mut command = self.command(&task.root, Some(&log));
        match &task.process {
            None => command.args(["run", "--detach", "--bundle"]).arg(&task.bundle),
            Some(process) => command.args(["exec", "--detach", "--process"]).arg(process),
        };
        command.arg("--pid-file").arg(&pid_file);
        if let Some(console) = &task.console {
            command.arg("--console-socket").arg(console);
        }
        command.arg(&task.container);
        match stdio {
            Some([input, output, errors]) => command.stdin(input).stdout(output).stderr(errors),
            None => command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()),
        };
        let status = command.status().map_err(|error| format!("could not run {}: {error}", self.program.display()));
        let result = status.and_then(|status| {
            let pid = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok());
            match pid {
                Some(pid) if status.success() => Ok(pid),
                Some(_) | None => {
                    Err(last_message(&log).unwrap_or_else(|| format!("{} ended with {status}", self.program.display())))
                }
            }
        });
        for file in [pid_file, log] {
            drop(std::fs::remove_file(file));
        }
        result
    }
}

impl External {
    /// Deletes a container and its processes; the caller deletes cgroup and files in any case.
    pub(crate) fn delete(&self, root: &Path, container: &str) {
        let mut command = self.command(root, None);
        command.args(["delete", "--force", container]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(command.status());
    }

    fn command(&self, root: &Path, log: Option<&Path>) -> Command {
        let mut command = Command::new(&self.program);
        // crun and runc look for systemd's bus in the environment; there is nothing else of use for them in it.
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--root").arg(root);
        if let Some(log) = log {
            command.arg("--log").arg(log).args(["--log-format", "json"]);
        }
        command
    }
}

/// Returns the last error of a runtime's log.
fn last_message(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let errors = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let message = errors
        .filter_map(|line| line.get("msg").and_then(|message| message.as_str()).map(str::to_owned))
        .next_back()?;
    Some(message)
}
