//! A table's content as data, and the scripts that make it so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a table holds. Equal rulesets behave equally; the order of chains and sets does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Chains by name.
    pub chains: BTreeMap<String, Chain>,
    /// Sets and maps by name.
    pub sets: BTreeMap<String, Set>,
}

/// A list of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where packets enter; chains without one are jumped to.
    pub hook: Option<Hook>,
    /// Rules in nft's language, in order.
    pub rules: Vec<String>,
}

/// Where a base chain is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// What the chain does.
    pub kind: HookKind,
    /// At which point of a packet's way.
    pub point: HookPoint,
    /// Order among the chains of all tables at this point; smaller comes first.
    pub priority: i32,
    /// What happens to packets that no rule decides about.
    pub policy: Policy,
}

/// What a base chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of each connection and may translate it.
    Nat,
}

/// A point of a packet's way through the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// Received, before routing.
    Prerouting,
    /// For this machine.
    Input,
    /// Passing through.
    Forward,
    /// Sent by this machine.
    Output,
    /// About to leave.
    Postrouting,
}

/// What happens to packets that no rule decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They go on.
    Accept,
    /// They end here.
    Drop,
}

/// A named set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Set or map.
    pub kind: SetKind,
    /// What follows `type` and other properties, such as `type ipv4_addr . inet_proto . inet_service : verdict;`.
    pub declaration: String,
    /// Elements: the key, and for maps the value. Empty for those that rules fill.
    pub elements: BTreeMap<String, Option<String>>,
}

/// Whether elements have values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// Keys only.
    Set,
    /// Keys with values.
    Map,
}

impl Ruleset {
    /// Returns the script that replaces a table by this, whatever is there.
    #[must_use]
    pub fn whole(&self, table: &str) -> String {
        let mut script = format!("add table ip {table}\ndelete table ip {table}\nadd table ip {table}\n");
        script.push_str(&Self::default().difference(self, table).expect("an empty ruleset has no hooks that differ"));
        script
    }

    /// Returns the script that makes `next` of this; empty when they are equal, `None` when only a whole replacement can
    /// (a hook or a declaration has changed).
    #[must_use]
    pub fn difference(&self, next: &Self, table: &str) -> Option<String> {
        let same_shape = |name: &String, chain: &Chain| self.chains.get(name).is_none_or(|old| old.hook == chain.hook);
        let same_type = |name: &String, set: &Set| {
            self.sets.get(name).is_none_or(|old| (old.kind, &old.declaration) == (set.kind, &set.declaration))
        };
        if !next.chains.iter().all(|(name, chain)| same_shape(name, chain))
            || !next.sets.iter().all(|(name, set)| same_type(name, set))
        {
            return None;
        }
        let mut script = Script { text: String::new(), table };
        // Containers first, then what refers to things that go, then those things, then what is new.
        script.add_containers(self, next);
        for (name, old) in &self.sets {
            let kept = next.sets.get(name);
            script.elements("delete", name, old, |key, value| {
                kept.is_some_and(|set| set.elements.get(key) != Some(value))
            });
        }
        for (name, old) in &self.chains {
            if next.chains.get(name).is_none_or(|chain| chain.rules != old.rules) {
                script.line(format_args!("flush chain ip {table} {name}"));
            }
        }
        script.delete_containers(self, next);
        for (name, chain) in &next.chains {
            if self.chains.get(name).is_none_or(|old| old.rules != chain.rules) {
                for rule in &chain.rules {
                    script.line(format_args!("add rule ip {table} {name} {rule}"));
                }
            }
        }
        for (name, set) in &next.sets {
            let old = self.sets.get(name);
            script.elements("add", name, set, |key, value| old.is_none_or(|set| set.elements.get(key) != Some(value)));
        }
        Some(script.text)
    }
}

/// Elements in one command; a longer line would only be harder to read in an error.
const ELEMENTS_PER_COMMAND: usize = 200;

struct Script<'a> {
    text: String,
    table: &'a str,
}

impl Script<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a string does not fail");
    }

    fn add_containers(&mut self, old: &Ruleset, next: &Ruleset) {
        let table = self.table;
        for (name, chain) in &next.chains {
            if old.chains.contains_key(name) {
                continue;
            }
            match chain.hook {
                None => self.line(format_args!("add chain ip {table} {name}")),
                Some(hook) => self.line(format_args!("add chain ip {table} {name} {{ {} }}", hook.text())),
            }
        }
        for (name, set) in &next.sets {
            if !old.sets.contains_key(name) {
                let kind = set.kind.text();
                self.line(format_args!("add {kind} ip {table} {name} {{ {} }}", set.declaration));
            }
        }
    }

    fn delete_containers(&mut self, old: &Ruleset, next: &Ruleset) {
        let table = self.table;
        for (name, set) in &old.sets {
            if !next.sets.contains_key(name) {
                self.line(format_args!("delete {} ip {table} {name}", set.kind.text()));
            }
        }
        for name in old.chains.keys() {
            if !next.chains.contains_key(name) {
                self.line(format_args!("delete chain ip {table} {name}"));
            }
        }
    }

    fn elements(&mut self, verb: &str, name: &str, set: &Set, wanted: impl Fn(&String, &Option<String>) -> bool) {
        let table = self.table;
        let elements: Vec<String> = set
            .elements
            .iter()
            .filter(|(key, value)| wanted(key, value))
            .map(|(key, value)| match value {
                Some(value) => format!("{key} : {value}"),
                None => key.clone(),
            })
            .collect();
        for some in elements.chunks(ELEMENTS_PER_COMMAND) {
            self.line(format_args!("{verb} element ip {table} {name} {{ {} }}", some.join(", ")));
        }
    }
}

impl Hook {
    fn text(self) -> String {
        let kind = match self.kind {
            HookKind::Filter => "filter",
            HookKind::Nat => "nat",
        };
        let point = match self.point {
            HookPoint::Prerouting => "prerouting",
            HookPoint::Input => "input",
            HookPoint::Forward => "forward",
            HookPoint::Output => "output",
            HookPoint::Postrouting => "postrouting",
        };
        let policy = match self.policy {
            Policy::Accept => "accept",
            Policy::Drop => "drop",
        };
        format!("type {kind} hook {point} priority {}; policy {policy};", self.priority)
    }
}

impl SetKind {
    fn text(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Map => "map",
        }
    }
}
