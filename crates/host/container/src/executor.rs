//! The last steps inside a new container: system-call filter, capabilities, execve; with errors a person can act on.
//!
//! libcontainer runs these in the container's first process after namespaces, mounts and user are in place. It is given a
//! specification without capabilities, because a filter without no-new-privileges can only be installed while CAP_SYS_ADMIN is
//! there: so the capabilities are dropped here, afterwards.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use maru_sys::{BpfInstruction, CapabilitySets};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, execve};
use serde_json::Value;

use crate::capabilities::CapabilitySet;

/// What a program may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Privileges {
    pub(crate) filters: Vec<Vec<BpfInstruction>>,
    pub(crate) bounding: CapabilitySet,
    pub(crate) effective: CapabilitySet,
    pub(crate) inheritable: CapabilitySet,
    pub(crate) ambient: CapabilitySet,
    pub(crate) no_new_privileges: bool,
}

impl Privileges {
    /// Reads them from a specification and the process in question, which may be another than the specification's.
    pub(crate) fn read(spec: &Value, process: &Value) -> Result<Self, String> {
        let set = |name: &str| {
            let names = process.pointer(&format!("/capabilities/{name}")).and_then(Value::as_array);
            CapabilitySet::from_names(names.into_iter().flatten().filter_map(Value::as_str))
        };
        Ok(Self {
            filters: crate::seccomp::compile_from_spec(spec)?,
            bounding: set("bounding"),
            effective: set("effective"),
            inheritable: set("inheritable"),
            ambient: set("ambient"),
            no_new_privileges: process.get("noNewPrivileges").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// Gives up for good what is not granted.
    fn apply(&self) -> Result<(), String> {
        // With no-new-privileges a filter needs no privilege and comes last, so that it need not allow these steps.
        if !self.no_new_privileges {
            self.install_filters()?;
        }
        self.drop_capabilities().map_err(|error| format!("could not drop capabilities: {error}"))?;
        if self.no_new_privileges {
            self.install_filters()?;
        }
        Ok(())
    }

    fn install_filters(&self) -> Result<(), String> {
        self.filters.iter().try_for_each(|filter| {
            maru_sys::install_seccomp_filter(filter)
                .map_err(|error| format!("could not install the seccomp filter: {error}"))
        })
    }

    fn drop_capabilities(&self) -> std::io::Result<()> {
        let ours = maru_sys::read_capabilities()?;
        for number in 0..64 {
            if self.bounding.bits() & (1 << number) == 0 && maru_sys::has_bounding(number) {
                maru_sys::drop_bounding(number)?;
            }
        }
        let permitted = self.effective.bits() & ours.permitted;
        let inheritable = self.inheritable.bits() & permitted;
        maru_sys::set_capabilities(CapabilitySets { effective: permitted, permitted, inheritable })?;
        maru_sys::clear_ambient()?;
        (0..64)
            .filter(|number| self.ambient.bits() & inheritable & (1 << number) != 0)
            .try_for_each(maru_sys::raise_ambient)
    }
}

/// Runs the program of a specification with the given privileges and tells a pipe why it could not.
#[derive(Debug, Clone)]
pub(crate) struct ConfinedExecutor {
    pub(crate) privileges: Rc<Privileges>,
    /// Closed by a successful execve.
    pub(crate) failures: Rc<File>,
}

/// Marks the line with the final cause among the diagnostics.
pub(crate) const CAUSE_MARK: &str = "cause: ";

impl ConfinedExecutor {
    fn tell(&self, message: &str) {
        // Nothing can be done about a reader that is gone.
        drop((&*self.failures).write_all(format!("{CAUSE_MARK}{message}\n").as_bytes()));
    }

    fn run(&self, spec: &Spec) -> Result<std::convert::Infallible, String> {
        let (program, args, env) = program(spec)?;
        maru_sys::reset_signals();
        self.privileges.apply()?;
        let path = CString::new(program.as_os_str().as_encoded_bytes()).map_err(|_| nul("the program's path"))?;
        execve(&path, &args, &env).map_err(|error| explain(&program, error))
    }
}

impl Executor for ConfinedExecutor {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        match self.run(spec) {
            Ok(never) => match never {},
            Err(message) => {
                self.tell(&message);
                Err(ExecutorError::Other(message))
            }
        }
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        program(spec).map(|_| ()).map_err(|message| {
            self.tell(&message);
            ExecutorValidationError::ArgValidationError(message)
        })
    }

    /// The environment is handed to execve as it is, in its order.
    fn setup_envs(&self, _envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

type Program = (PathBuf, Vec<CString>, Vec<CString>);

/// Finds the program of a specification as the user that will run it.
fn program(spec: &Spec) -> Result<Program, String> {
    let process = spec.process().as_ref().ok_or("the specification has no process")?;
    let args = process.args().clone().unwrap_or_default();
    let env = process.env().clone().unwrap_or_default();
    let name = args.first().ok_or("the container has no command")?;
    let search = env.iter().find_map(|line| line.strip_prefix("PATH=")).unwrap_or_default();
    let path = find(name, search)?;
    let args =
        args.iter().map(|arg| CString::new(arg.as_str())).collect::<Result<_, _>>().map_err(|_| nul("an argument"))?;
    let env = env
        .iter()
        .map(|line| CString::new(line.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| nul("the environment"))?;
    Ok((path, args, env))
}

fn nul(what: &str) -> String {
    format!("{what} contains a NUL character")
}

fn find(name: &str, search: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match access(name, AccessFlags::X_OK) {
            Ok(()) if Path::new(name).is_dir() => Err(format!("executable {name:?} is a directory")),
            Ok(()) => Ok(PathBuf::from(name)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(format!("executable {name:?} not found: no such file")),
            Err(Errno::EACCES) => Err(denied(name)),
            Err(error) => Err(format!("executable {name:?}: {}", error.desc())),
        };
    }
    let mut refused = None;
    for directory in search.split(':') {
        let path = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match access(&path, AccessFlags::X_OK) {
            Ok(()) if path.is_file() => return Ok(path),
            Err(Errno::EACCES) => refused = Some(path),
            Ok(()) | Err(_) => {}
        }
    }
    match refused {
        Some(path) => Err(denied(&path.display().to_string())),
        None => Err(format!("executable {name:?} not found in $PATH")),
    }
}

fn denied(name: &str) -> String {
    format!("executable {name:?}: permission denied; its file or a directory above is not executable for the user")
}

fn explain(program: &Path, error: Errno) -> String {
    let name = program.display().to_string();
    match error {
        Errno::ENOENT => {
            format!("executable {name:?}: the interpreter or dynamic loader that it names is not in the image")
        }
        Errno::ENOEXEC => {
            format!("executable {name:?}: exec format error; it is for another processor, or a script without \"#!\"")
        }
        Errno::EACCES => denied(&name),
        Errno::EPERM => format!("executable {name:?}: operation not permitted; the seccomp profile may forbid execve"),
        other => format!("executable {name:?}: {}", other.desc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_name_the_program() {
        assert_eq!(find("sh", "/nowhere:/bin").unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("foo", "/bin").unwrap_err(), "executable \"foo\" not found in $PATH");
        assert_eq!(find("/no/foo", "").unwrap_err(), "executable \"/no/foo\" not found: no such file");
        assert_eq!(find("/etc/", "").unwrap_err(), "executable \"/etc/\" is a directory");
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        assert!(find(plain.to_str().unwrap(), "").unwrap_err().contains("permission denied"));
        assert!(find("plain", directory.path().to_str().unwrap()).unwrap_err().contains("permission denied"));
    }
}
