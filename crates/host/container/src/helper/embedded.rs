//! The built-in runtime: libcontainer.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use serde_json::Value;

use super::devices::DeviceRules;
use super::diagnostics::Diagnostics;
use super::{Runtime, read_json, write_json};
use crate::executor::{ConfinedExecutor, Privileges};
use crate::protocol::HelperTask;

/// libcontainer in this process.
#[derive(Debug)]
pub(super) struct Embedded;

impl Runtime for Embedded {
    fn run(&self, task: &HelperTask, stdio: Option<[OwnedFd; 3]>) -> Result<i32, String> {
        let spec = read_json(&task.bundle.join("config.json"))?;
        let process = match &task.process {
            Some(path) => read_json(path)?,
            None => spec.get("process").cloned().unwrap_or_default(),
        };
        let privileges = Rc::new(Privileges::read(&spec, &process)?);
        let sysctls = sysctls(&spec);
        let diagnostics = Diagnostics::install()?;
        let failures = diagnostics.writer().ok_or("the diagnostics are closed")?;
        let builder = builder(task, stdio, ConfinedExecutor { privileges, failures });
        let result = match &task.process {
            None => start(&task.bundle, spec, builder),
            Some(path) => exec(process, path, builder),
        };
        match result {
            Err(failure) => {
                let mut message = diagnostics.describe(&failure);
                if message.contains("procfs") || message.contains("sysctl") {
                    message.push_str(&sysctls);
                }
                Err(message)
            }
            Ok(pid) => match diagnostics.wait() {
                Some(cause) => Err(cause),
                None => Ok(pid),
            },
        }
    }
}

fn builder(
    task: &HelperTask,
    stdio: Option<[OwnedFd; 3]>,
    executor: ConfinedExecutor,
) -> Result<ContainerBuilder, String> {
    let mut builder = ContainerBuilder::new(task.container.clone(), SyscallType::default())
        .with_root_path(&task.root)
        .map_err(|error| error.to_string())?
        .with_console_socket(task.console.as_ref())
        .with_executor(executor);
    if let Some([input, output, errors]) = stdio {
        builder = builder.with_stdin(input).with_stdout(output).with_stderr(errors);
    }
    builder.validate_id().map_err(|error| error.to_string())
}

fn start(bundle: &Path, spec: Value, builder: Result<ContainerBuilder, String>) -> Result<i32, String> {
    let bundle = own_bundle(bundle);
    std::fs::create_dir_all(&bundle).map_err(|error| format!("could not make {}: {error}", bundle.display()))?;
    let devices = DeviceRules::read(&spec);
    write_json(&bundle.join("config.json"), &without_privileges(spec))?;
    let mut container = builder?
        .as_init(&bundle)
        .with_systemd(false)
        .as_sibling(true)
        .with_detach(true)
        .build()
        .map_err(|error| format!("could not create the container: {error}"))?;
    let pid = container.pid().ok_or("the container has no process")?;
    // The program does not run yet, and its cgroup exists.
    if let Err(message) = devices.enforce() {
        // Whatever is left of it is deleted with the container.
        drop(maru_sys::send_signal(pid.as_raw(), libc::SIGKILL));
        return Err(message);
    }
    container.start().map_err(|error| format!("could not start the container: {error}"))?;
    Ok(pid.as_raw())
}

fn exec(process: Value, path: &Path, builder: Result<ContainerBuilder, String>) -> Result<i32, String> {
    let mut stripped = without_privileges(serde_json::json!({ "process": process }));
    let process = stripped.get_mut("process").map(Value::take).unwrap_or_default();
    let own = path.with_extension("embedded.json");
    write_json(&own, &process)?;
    let result = builder?
        .as_tenant()
        .with_process(Some(&own))
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(|error| format!("could not run the program: {error}"));
    // The container's removal deletes what is left.
    drop(std::fs::remove_file(&own));
    result.map(i32::from)
}

/// libcontainer does not say which kernel parameter it could not set.
fn sysctls(spec: &Value) -> String {
    let names = spec.pointer("/linux/sysctl").and_then(Value::as_object).into_iter().flat_map(|all| all.keys());
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; is one of these sysctls unknown to the kernel? {}", names.join(" "))
    }
}

/// The executor applies them; see there.
fn without_privileges(mut spec: Value) -> Value {
    if let Some(process) = spec.get_mut("process").and_then(Value::as_object_mut) {
        process.remove("capabilities");
    }
    if let Some(linux) = spec.get_mut("linux").and_then(Value::as_object_mut) {
        linux.remove("seccomp");
    }
    spec
}

fn own_bundle(bundle: &Path) -> PathBuf {
    bundle.join("embedded")
}
