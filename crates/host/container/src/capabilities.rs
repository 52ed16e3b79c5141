//! Sets of capabilities by name.

use crate::config::Capabilities;
use crate::error::ConfigError;

/// Names in the order of their numbers (capabilities(7)).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What programs in images commonly expect of root. MKNOD is left out, unlike elsewhere: device rules alone, which some hosts
/// cannot enforce, would stand between a container and the host's disks, and hardly a program makes device nodes.
const DEFAULT: [&str; 13] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// A set of capabilities; bit n is the capability with number n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CapabilitySet(u64);

impl CapabilitySet {
    /// Returns every capability that is known.
    pub(crate) fn all() -> Self {
        Self((1 << NAMES.len()) - 1)
    }

    /// Returns what a container has unless told otherwise.
    pub(crate) fn container_default() -> Self {
        Self(DEFAULT.iter().filter_map(|name| number(name)).fold(0, |bits, number| bits | 1 << number))
    }

    /// Applies a container's wishes to the default set: drops first, then adds.
    pub(crate) fn of(wanted: &Capabilities, privileged: bool) -> Result<Self, ConfigError> {
        if privileged {
            return Ok(Self::all());
        }
        let mut set = Self::container_default();
        for name in &wanted.drop {
            set.0 &= !Self::named(name)?.0;
        }
        for name in &wanted.add {
            set.0 |= Self::named(name)?.0;
        }
        Ok(set)
    }

    /// Reads names in the OCI spelling; those that are not known are left out.
    pub(crate) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(number).fold(0, |bits, number| bits | 1 << number))
    }

    /// Tells whether a name, with or without `CAP_`, is in the set.
    pub(crate) fn contains(self, name: &str) -> bool {
        number(name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// Returns the names in the OCI spelling.
    pub(crate) fn names(self) -> Vec<String> {
        (0..)
            .zip(NAMES)
            .filter(|(number, _)| self.0 & (1_u64 << number) != 0)
            .map(|(_, name)| format!("CAP_{name}"))
            .collect()
    }

    /// Returns the bits as the kernel's interface wants them.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    fn named(name: &str) -> Result<Self, ConfigError> {
        if name.eq_ignore_ascii_case("ALL") {
            return Ok(Self::all());
        }
        number(name).map(|number| Self(1 << number)).ok_or_else(|| ConfigError::Capability { name: name.to_owned() })
    }
}

fn number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    (0..).zip(NAMES).find(|(_, known)| *known == bare).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_the_kernel() {
        assert_eq!(number("CAP_CHOWN"), Some(0));
        assert_eq!(number("net_admin"), Some(12));
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("CHECKPOINT_RESTORE"), Some(40));
    }

    #[test]
    fn drops_come_before_adds() {
        let wanted = Capabilities { add: vec!["net_admin".into()], drop: vec!["ALL".into()] };
        assert_eq!(CapabilitySet::of(&wanted, false).unwrap().names(), ["CAP_NET_ADMIN"]);
        let all = Capabilities { add: vec!["ALL".into()], drop: vec!["KILL".into()] };
        assert_eq!(CapabilitySet::of(&all, false).unwrap(), CapabilitySet::all());
        let wrong = Capabilities { add: vec!["CAP_FLY".into()], drop: Vec::new() };
        assert!(matches!(CapabilitySet::of(&wrong, false), Err(ConfigError::Capability { name }) if name == "CAP_FLY"));
    }

    #[test]
    fn device_nodes_cannot_be_made_by_default() {
        assert!(!CapabilitySet::container_default().contains("MKNOD"));
        assert!(CapabilitySet::of(&Capabilities::default(), true).unwrap().contains("MKNOD"));
    }
}
