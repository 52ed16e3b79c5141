//! Seccomp profiles: the default one, profiles in JSON, and their translation into filters.
//!
//! libcontainer without its C library ignores the profile of a specification. So it is compiled here and installed by `executor`
//! right before the program is executed. External runtimes read the same profile from the specification.

use std::collections::{BTreeMap, BTreeSet};

use maru_sys::BpfInstruction;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;
use crate::config::Seccomp;
use crate::error::ConfigError;
use crate::syscalls;

/// A profile in the form of the OCI runtime specification (`linux.seccomp`), with the additions that container engines make in
/// profile files. Unknown members are ignored as they are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    default_action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    /// The older spelling of one name.
    #[serde(default, skip_serializing)]
    name: Option<String>,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    args: Vec<Argument>,
    #[serde(default, skip_serializing)]
    includes: Condition,
    #[serde(default, skip_serializing)]
    excludes: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// When a rule of an engine's profile file counts. (`minKernel` is ignored: all supported kernels are newer.)
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Condition {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<Argument>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// Returns the profile that a container gets; `None` when it is not confined.
pub(crate) fn profile(wanted: &Seccomp, granted: CapabilitySet) -> Result<Option<Profile>, ConfigError> {
    match wanted {
        Seccomp::Unconfined => Ok(None),
        Seccomp::RuntimeDefault => Ok(Some(runtime_default(granted))),
        Seccomp::Localhost(path) => {
            let failed = |message: String| ConfigError::Seccomp { path: path.clone(), message };
            let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let mut profile: Profile = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
            profile.select(granted);
            profile.compile().map_err(failed)?;
            Ok(Some(profile))
        }
    }
}

/// System calls that administer the host, with the capabilities of which one gives them back. Without any: never allowed.
const GUARDED: &[(&str, &[&str])] = &[
    ("_sysctl", &[]),
    ("acct", &["SYS_PACCT"]),
    ("add_key", &[]),
    ("afs_syscall", &[]),
    ("bpf", &["SYS_ADMIN", "BPF"]),
    ("chroot", &["SYS_CHROOT"]),
    ("clock_settime", &["SYS_TIME"]),
    ("delete_module", &["SYS_MODULE"]),
    ("fanotify_init", &["SYS_ADMIN"]),
    ("finit_module", &["SYS_MODULE"]),
    ("fsconfig", &["SYS_ADMIN"]),
    ("fsmount", &["SYS_ADMIN"]),
    ("fsopen", &["SYS_ADMIN"]),
    ("fspick", &["SYS_ADMIN"]),
    ("get_mempolicy", &["SYS_NICE"]),
    ("init_module", &["SYS_MODULE"]),
    ("io_uring_enter", &[]),
    ("io_uring_register", &[]),
    ("io_uring_setup", &[]),
    ("ioperm", &["SYS_RAWIO"]),
    ("iopl", &["SYS_RAWIO"]),
    ("kcmp", &["SYS_PTRACE"]),
    ("kexec_file_load", &["SYS_BOOT"]),
    ("kexec_load", &["SYS_BOOT"]),
    ("keyctl", &[]),
    ("listmount", &["SYS_ADMIN"]),
    ("lookup_dcookie", &["SYS_ADMIN"]),
    ("lsm_set_self_attr", &["SYS_ADMIN"]),
    ("mbind", &["SYS_NICE"]),
    ("migrate_pages", &["SYS_NICE"]),
    ("modify_ldt", &[]),
    ("mount", &["SYS_ADMIN"]),
    ("mount_setattr", &["SYS_ADMIN"]),
    ("move_mount", &["SYS_ADMIN"]),
    ("move_pages", &["SYS_NICE"]),
    ("nfsservctl", &[]),
    ("open_by_handle_at", &["DAC_READ_SEARCH"]),
    ("open_tree", &["SYS_ADMIN"]),
    ("open_tree_attr", &["SYS_ADMIN"]),
    ("perf_event_open", &["SYS_ADMIN", "PERFMON"]),
    ("pidfd_getfd", &["SYS_PTRACE"]),
    ("pivot_root", &[]),
    ("process_madvise", &["SYS_PTRACE", "SYS_NICE"]),
    ("process_vm_readv", &["SYS_PTRACE"]),
    ("process_vm_writev", &["SYS_PTRACE"]),
    ("quotactl", &["SYS_ADMIN"]),
    ("quotactl_fd", &["SYS_ADMIN"]),
    ("reboot", &["SYS_BOOT"]),
    ("request_key", &[]),
    ("set_mempolicy", &["SYS_NICE"]),
    ("set_mempolicy_home_node", &["SYS_NICE"]),
    ("setdomainname", &["SYS_ADMIN"]),
    ("sethostname", &["SYS_ADMIN"]),
    ("setns", &["SYS_ADMIN"]),
    ("settimeofday", &["SYS_TIME"]),
    ("statmount", &["SYS_ADMIN"]),
    ("swapoff", &[]),
    ("swapon", &[]),
    ("sysfs", &[]),
    ("syslog", &["SYS_ADMIN", "SYSLOG"]),
    ("umount2", &["SYS_ADMIN"]),
    ("unshare", &["SYS_ADMIN"]),
    ("uselib", &[]),
    ("userfaultfd", &[]),
    ("ustat", &[]),
    ("vhangup", &["SYS_TTY_CONFIG"]),
    ("vserver", &[]),
];

/// The flags with which clone(2) makes namespaces.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// The address family of host-to-virtual-machine sockets, which reach beyond the network namespace.
const AF_VSOCK: u64 = 40;
/// Values of personality(2) that do not weaken anything: Linux, 32-bit Linux, both with the old kernel version, and the query.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Allows everything known to be safe; the rest answers EPERM, and what is newer than the table ENOSYS, so that programs use
/// their fallback.
fn runtime_default(granted: CapabilitySet) -> Profile {
    let administrator = granted.contains("SYS_ADMIN");
    let denied: BTreeSet<&str> = GUARDED
        .iter()
        .filter(|(_, capabilities)| !capabilities.iter().any(|name| granted.contains(name)))
        .map(|(name, _)| *name)
        .collect();
    let special: &[&str] =
        if administrator { &["personality", "socket"] } else { &["clone", "clone3", "personality", "socket"] };
    let plain = syscalls::names().filter(|name| !denied.contains(name) && !special.contains(name));
    let allow = |names: Vec<String>, args: Vec<Argument>| Rule {
        names,
        action: "SCMP_ACT_ALLOW".into(),
        args,
        ..Rule::default()
    };
    let compare = |op: &str, value, value_two| vec![Argument { index: 0, value, value_two, op: op.into() }];
    let mut rules = vec![
        allow(plain.map(str::to_owned).collect(), Vec::new()),
        allow(vec!["socket".into()], compare("SCMP_CMP_NE", AF_VSOCK, 0)),
    ];
    rules.extend(PERSONALITIES.map(|value| allow(vec!["personality".into()], compare("SCMP_CMP_EQ", value, 0))));
    if !administrator {
        rules.push(allow(vec!["clone".into()], compare("SCMP_CMP_MASKED_EQ", CLONE_NAMESPACES, 0)));
        // Its flags are in memory, out of a filter's sight; the C library falls back to clone.
        let errno_ret = Some(libc::ENOSYS.unsigned_abs());
        rules.push(Rule {
            names: vec!["clone3".into()],
            action: "SCMP_ACT_ERRNO".into(),
            errno_ret,
            ..Rule::default()
        });
    }
    Profile {
        default_action: "SCMP_ACT_ERRNO".into(),
        default_errno_ret: Some(libc::EPERM.unsigned_abs()),
        syscalls: rules,
    }
}

impl Profile {
    /// Keeps the rules that count for the capabilities and this architecture, in the specification's own form.
    fn select(&mut self, granted: CapabilitySet) {
        let here = if cfg!(target_arch = "x86_64") { ["amd64", "x86_64"] } else { ["arm64", "aarch64"] };
        let of_here = |arches: &[String]| arches.iter().any(|arch| here.contains(&arch.as_str()));
        self.syscalls.retain_mut(|rule| {
            rule.names.extend(rule.name.take());
            let included = (rule.includes.caps.is_empty()
                || rule.includes.caps.iter().any(|name| granted.contains(name)))
                && (rule.includes.arches.is_empty() || of_here(&rule.includes.arches));
            let excluded =
                rule.excludes.caps.iter().any(|name| granted.contains(name)) || of_here(&rule.excludes.arches);
            (rule.includes, rule.excludes) = (Condition::default(), Condition::default());
            included && !excluded
        });
    }

    /// Translates into filters, to be installed in order. The kernel takes the strictest answer of all of them, so that each
    /// filter has two answers only: the first one the default and "allow", the others one action each and "allow".
    pub(crate) fn compile(&self) -> Result<Vec<Vec<BpfInstruction>>, String> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        let mut listed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        let mut actions: BTreeMap<u32, (SeccompAction, BTreeMap<i64, Vec<SeccompRule>>)> = BTreeMap::new();
        for rule in &self.syscalls {
            let action = action(&rule.action, rule.errno_ret)?;
            if action == default {
                continue;
            }
            let conditions = rule.conditions()?;
            for number in rule.names.iter().filter_map(|name| syscalls::number(name)) {
                add(&mut listed, number, conditions.as_ref());
                if action != SeccompAction::Allow {
                    let entry =
                        actions.entry(u32::from(action.clone())).or_insert_with(|| (action.clone(), BTreeMap::new()));
                    add(&mut entry.1, number, conditions.as_ref());
                }
            }
        }
        let mut filters = Vec::new();
        if default != SeccompAction::Allow {
            filters.push(filter(listed, default.clone(), SeccompAction::Allow)?);
        }
        for (_, (action, rules)) in actions {
            filters.push(filter(rules, SeccompAction::Allow, action)?);
        }
        if matches!(default, SeccompAction::Errno(_)) {
            filters.push(unknown_is_not_implemented());
        }
        Ok(filters)
    }
}

impl Rule {
    fn conditions(&self) -> Result<Option<SeccompRule>, String> {
        if self.args.is_empty() {
            return Ok(None);
        }
        let conditions = self.args.iter().map(Argument::condition).collect::<Result<Vec<_>, _>>()?;
        SeccompRule::new(conditions).map(Some).map_err(|error| error.to_string())
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, String> {
        let (op, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_LT" => (SeccompCmpOp::Lt, self.value),
            "SCMP_CMP_LE" => (SeccompCmpOp::Le, self.value),
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_GE" => (SeccompCmpOp::Ge, self.value),
            "SCMP_CMP_GT" => (SeccompCmpOp::Gt, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            other => return Err(format!("no comparison {other:?}")),
        };
        SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, op, value).map_err(|error| error.to_string())
    }
}

/// Adds a rule for a system call; one without conditions absorbs the others (an empty list matches always).
fn add(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, number: i64, condition: Option<&SeccompRule>) {
    match (rules.get_mut(&number), condition) {
        (Some(known), Some(condition)) => {
            if !known.is_empty() {
                known.push(condition.clone());
            }
        }
        (None, Some(condition)) => {
            rules.insert(number, vec![condition.clone()]);
        }
        (_, None) => {
            rules.insert(number, Vec::new());
        }
    }
}

fn action(name: &str, errno: Option<u32>) -> Result<SeccompAction, String> {
    let data = errno.unwrap_or(libc::EPERM.unsigned_abs());
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(data),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(data),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        other => return Err(format!("action {other:?} is not supported")),
    })
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<Vec<BpfInstruction>, String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(|error| error.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|error| error.to_string())?;
    Ok(program
        .iter()
        .map(|line| BpfInstruction { code: line.code, jump_true: line.jt, jump_false: line.jf, operand: line.k })
        .collect())
}

/// Answers ENOSYS to what is newer than the table. Installed last, its answer wins over the default's error number.
fn unknown_is_not_implemented() -> Vec<BpfInstruction> {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS; the number is at offset 0 of seccomp_data
    const JUMP_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let line = |code, jump_false, operand| BpfInstruction { code, jump_true: 0, jump_false, operand };
    vec![
        line(LOAD_NUMBER, 0, 0),
        line(JUMP_GREATER, 1, syscalls::highest()),
        line(RETURN, 0, u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))),
        line(RETURN, 0, u32::from(SeccompAction::Allow)),
    ]
}

/// Reads the profile of a specification and compiles it.
pub(crate) fn compile_from_spec(spec: &serde_json::Value) -> Result<Vec<Vec<BpfInstruction>>, String> {
    match spec.pointer("/linux/seccomp") {
        None | Some(serde_json::Value::Null) => Ok(Vec::new()),
        Some(profile) => Profile::deserialize(profile).map_err(|error| error.to_string())?.compile(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(profile: &Profile) -> BTreeSet<String> {
        profile
            .syscalls
            .iter()
            .filter(|rule| rule.action == "SCMP_ACT_ALLOW")
            .flat_map(|rule| rule.names.clone())
            .collect()
    }

    #[test]
    fn the_default_profile_follows_the_capabilities() {
        let plain = allowed(&runtime_default(CapabilitySet::container_default()));
        assert!(plain.contains("openat") && plain.contains("execve") && plain.contains("futex_wait"));
        assert!(!plain.contains("mount") && !plain.contains("bpf") && !plain.contains("keyctl"));
        let administrator = allowed(&runtime_default(CapabilitySet::all()));
        assert!(
            administrator.contains("mount") && administrator.contains("clone3") && !administrator.contains("keyctl")
        );
    }

    #[test]
    fn guarded_names_are_system_calls_and_sorted() {
        assert!(GUARDED.is_sorted_by_key(|(name, _)| *name));
        #[cfg(target_arch = "x86_64")]
        for (name, _) in GUARDED {
            assert!(syscalls::number(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_default_profile_compiles_and_fits_the_kernel() {
        let filters = runtime_default(CapabilitySet::container_default()).compile().unwrap();
        assert_eq!(filters.len(), 3);
        assert!(
            filters.iter().all(|filter| filter.len() < 4096),
            "{:?}",
            filters.iter().map(Vec::len).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_profile_file_of_an_engine_is_understood() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.json");
        let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[],"syscalls":[
            {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"args":null,"comment":"","includes":{},"excludes":{}},
            {"name":"sync","action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["mount"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}}]}"#;
        std::fs::write(&path, text).unwrap();
        let profile = profile(&Seccomp::Localhost(path.clone()), CapabilitySet::all()).unwrap().unwrap();
        assert_eq!(profile.syscalls.len(), 2);
        assert_eq!(profile.compile().unwrap().len(), 2);
        std::fs::write(&path, r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#).unwrap();
        let error = super::profile(&Seccomp::Localhost(path), CapabilitySet::all()).unwrap_err();
        assert!(error.to_string().contains("SCMP_ACT_NOTIFY"), "{error}");
    }
}
