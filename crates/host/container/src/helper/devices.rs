//! Device rules on hosts with version 2 cgroups, where libcontainer without its C library enforces none.

use std::fs::File;

use maru_sys::{DEVICE_MKNOD, DEVICE_READ, DEVICE_WRITE, DeviceKind, DeviceRule, attach_device_rules};
use serde_json::Value;

use crate::cgroup::Cgroup;

const ALL: u32 = DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE;

/// Character devices that every container may use: null, zero, full, random, urandom, tty, console, ptmx, terminals.
const HARMLESS: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// What a specification says about devices.
#[derive(Debug)]
pub(super) struct DeviceRules {
    cgroup: Cgroup,
    /// `None` when everything is allowed.
    allowed: Option<Vec<DeviceRule>>,
    /// Whether the container could reach devices that it was not given.
    can_make_nodes: bool,
}

impl DeviceRules {
    pub(super) fn read(spec: &Value) -> Self {
        let path = spec.pointer("/linux/cgroupsPath").and_then(Value::as_str).unwrap_or_default();
        let rules = spec.pointer("/linux/resources/devices").and_then(Value::as_array);
        let rules: Vec<&Value> = rules.into_iter().flatten().collect();
        let allows = |rule: &&&Value| rule.get("allow").and_then(Value::as_bool).unwrap_or(false);
        let everything = rules.iter().filter(allows).any(|rule| rule.get("type").is_none());
        let allowed =
            (!everything).then(|| harmless().chain(rules.iter().filter(allows).map(|rule| read_rule(rule))).collect());
        let capabilities = spec.pointer("/process/capabilities/bounding").and_then(Value::as_array);
        let can_make_nodes = capabilities.is_some_and(|names| names.iter().any(|name| name == "CAP_MKNOD"));
        Self { cgroup: Cgroup::at(path), allowed, can_make_nodes }
    }

    /// Puts the rules in force. A kernel that cannot is an error only for a container that could make device nodes.
    pub(super) fn enforce(&self) -> Result<(), String> {
        let (Some(directory), Some(rules)) = (self.cgroup.unified_directory(), &self.allowed) else { return Ok(()) };
        let result = File::open(&directory).and_then(|directory| attach_device_rules(&directory, rules));
        match result {
            Err(error) if self.can_make_nodes => Err(format!(
                "CAP_MKNOD is refused, as this kernel cannot limit devices ({error}); drop it, or run privileged"
            )),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn harmless() -> impl Iterator<Item = DeviceRule> {
    let nodes = [DeviceKind::Block, DeviceKind::Character].map(|kind| DeviceRule {
        kind: Some(kind),
        major: None,
        minor: None,
        access: DEVICE_MKNOD,
    });
    let usual = HARMLESS.map(|(major, minor)| DeviceRule {
        kind: Some(DeviceKind::Character),
        major: Some(major),
        minor,
        access: ALL,
    });
    nodes.into_iter().chain(usual)
}

fn read_rule(rule: &Value) -> DeviceRule {
    let number = |name: &str| rule.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let access = rule.get("access").and_then(Value::as_str).unwrap_or("rwm");
    let bit = |letter: char, bit: u32| if access.contains(letter) { bit } else { 0 };
    DeviceRule {
        kind: match rule.get("type").and_then(Value::as_str) {
            Some("b") => Some(DeviceKind::Block),
            Some("c" | "u") => Some(DeviceKind::Character),
            Some(_) | None => None,
        },
        major: number("major"),
        minor: number("minor"),
        access: bit('m', DEVICE_MKNOD) | bit('r', DEVICE_READ) | bit('w', DEVICE_WRITE),
    }
}
