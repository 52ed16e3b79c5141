//! Lives beside the firewalls of others.
//!
//! Another table's verdict to drop is final, whatever ours says. Docker and ufw drop what passes through the machine, ufw also
//! what is sent to it; both write with iptables. So pods are let through there, as narrowly as services need: what pods send,
//! what services send to pods, and the service range. Tables of others that were written with nft itself are never changed:
//! they are named, for a person to decide.

use std::process::Stdio;
use std::time::Duration;

use maru_task::Scope;
use tokio::process::Command;

use crate::nft::{Monitor, Seen};
use crate::pods::POD_LINK_PREFIX;
use crate::{Cidr, NetError};

/// Time for one call of a program.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A firewall's start is many changes; look when they are done.
const SETTLE: Duration = Duration::from_millis(500);
const CHAINS: [&str; 2] = ["FORWARD", "INPUT"];
/// Searched after the search path, which may lack them.
const ADMIN_DIRECTORY: &str = "/usr/sbin";

/// Lets an instance's pods through.
#[derive(Debug, Clone)]
pub struct Firewall {
    comment: String,
    service_cidr: Cidr,
}

/// A chain of somebody else that drops what it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignDrop {
    /// Family and name of the table, such as `inet filter`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// `forward` or `input`.
    pub point: String,
}

impl Firewall {
    /// Names the instance, whose rules bear its name as a comment.
    #[must_use]
    pub fn new(instance: &str, service_cidr: Cidr) -> Self {
        let name: String =
            instance.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        Self { comment: format!("maru-{name}"), service_cidr }
    }

    /// Lets pods through chains of iptables that have rules or drop by default. Nothing happens on machines without iptables.
    ///
    /// # Errors
    /// When a program fails.
    pub async fn open(&self) -> Result<(), NetError> {
        let service_cidr = self.service_cidr.to_string();
        let pods = format!("{POD_LINK_PREFIX}+");
        let rules: [(&str, &[&str]); 3] = [
            ("FORWARD", &["-i", &pods]),
            // Connections that were translated, and replies: not what outsiders send to a pod's own address.
            ("FORWARD", &["-o", &pods, "-m", "conntrack", "--ctstate", "DNAT,RELATED,ESTABLISHED"]),
            ("INPUT", &["-i", &pods, "-d", &service_cidr]),
        ];
        for chain in CHAINS {
            let Some(listed) = iptables(&["-S", chain]).await? else { return Ok(()) };
            if !needs_rules(&listed) {
                continue;
            }
            for (_, rule) in rules.iter().filter(|(owner, _)| *owner == chain) {
                self.ensure(chain, rule).await?;
            }
        }
        Ok(())
    }

    async fn ensure(&self, chain: &str, rule: &[&str]) -> Result<(), NetError> {
        let tail = ["-m", "comment", "--comment", &self.comment, "-j", "ACCEPT"];
        let with = |verb: &'static str| [&[verb, chain], rule, &tail].concat();
        if succeeds(&with("-C")).await? {
            return Ok(());
        }
        tracing::info!(chain, "letting pods through this machine's firewall");
        iptables(&with("-I")).await.map(drop)
    }

    /// Removes the rules, all that bear the instance's comment.
    ///
    /// # Errors
    /// When a program fails.
    pub async fn close(&self) -> Result<(), NetError> {
        for chain in CHAINS {
            let Some(listed) = iptables(&["-S", chain]).await? else { return Ok(()) };
            for rule in listed.lines() {
                let words: Vec<&str> = rule.split_whitespace().map(|word| word.trim_matches('"')).collect();
                let ours = words.windows(2).any(|pair| pair == ["--comment", self.comment.as_str()]);
                if let (true, ["-A", rest @ ..]) = (ours, words.as_slice()) {
                    iptables(&[&["-D"], rest].concat()).await?;
                }
            }
        }
        Ok(())
    }

    /// Opens, and again whenever somebody changes the rules, until the scope ends: a firewall may start later than Maru.
    /// Names chains of others that would drop pods' packets.
    ///
    /// # Errors
    /// When the kernel's notices cannot be received.
    pub async fn guard(&self, scope: &Scope) -> Result<(), NetError> {
        let mut monitor = Monitor::for_others()?;
        let mut named = Vec::new();
        loop {
            if let Err(error) = self.open().await {
                tracing::warn!(%error, "pods may not get through this machine's firewall");
            }
            let drops = foreign_drops().await.unwrap_or_default();
            for found in drops.iter().filter(|found| !named.contains(*found)) {
                tracing::warn!(table = %found.table, chain = %found.chain, point = %found.point,
                    "an nftables chain drops what it does not know; pods need an accept rule there for links \"mv*\"");
            }
            named = drops;
            // What iptables changed above is noticed too; it leads to one more look, which then changes nothing.
            tokio::select! {
                () = scope.cancelled() => return Ok(()),
                // Cancel safe.
                seen = monitor.next() => match seen? { Seen::Changed { .. } | Seen::Overrun => {} },
            }
            tokio::time::sleep(SETTLE).await;
            monitor.drain();
        }
    }
}

/// Tells whether a chain's listing does more than accept everything.
fn needs_rules(listed: &str) -> bool {
    listed.lines().any(|line| line.starts_with("-A") || line.ends_with(" DROP"))
}

/// Returns the chains of tables that are neither ours nor iptables' and drop by default at the points that pods' packets pass.
///
/// # Errors
/// When `nft` fails; a missing one finds nothing.
pub async fn foreign_drops() -> Result<Vec<ForeignDrop>, NetError> {
    let listed = call("nft", &["list", "chains"]).await?;
    Ok(listed.map(|(_, text)| parse_drops(&text)).unwrap_or_default())
}

fn parse_drops(listed: &str) -> Vec<ForeignDrop> {
    let (mut table, mut chain) = (String::new(), String::new());
    let mut found = Vec::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["table", family, name, ..] => table = format!("{family} {name}"),
            ["chain", name, ..] => (*name).clone_into(&mut chain),
            ["type", "filter", "hook", point @ ("forward" | "input"), .., "policy", "drop;"] => {
                // iptables writes into "ip filter"; IPv6 is not ours.
                let concerns_us = table != "ip filter" && !table.starts_with("ip maru_") && !table.starts_with("ip6 ");
                if concerns_us {
                    found.push(ForeignDrop { table: table.clone(), chain: chain.clone(), point: (*point).to_owned() });
                }
            }
            _ => {}
        }
    }
    found
}

/// Runs iptables and returns its output; `None` where it is not installed.
async fn iptables(arguments: &[&str]) -> Result<Option<String>, NetError> {
    match call("iptables", &[&["-w", "5"], arguments].concat()).await? {
        Some((true, text)) => Ok(Some(text)),
        Some((false, text)) => {
            let action = format!("run iptables {}", arguments.join(" "));
            Err(NetError::Protocol { action, reason: text.trim().to_owned() })
        }
        None => Ok(None),
    }
}

async fn succeeds(arguments: &[&str]) -> Result<bool, NetError> {
    let called = call("iptables", &[&["-w", "5"], arguments].concat()).await?;
    Ok(called.is_some_and(|(success, _)| success))
}

/// Runs a program; returns whether it succeeded and its output, or what it complained about. `None` when it is missing.
async fn call(program: &str, arguments: &[&str]) -> Result<Option<(bool, String)>, NetError> {
    let fallback = format!("{ADMIN_DIRECTORY}/{program}");
    for candidate in [program, &fallback] {
        let running = Command::new(candidate).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        let action = || format!("run {program} {}", arguments.join(" "));
        match tokio::time::timeout(CALL_TIMEOUT, running).await {
            Ok(Ok(output)) => {
                let success = output.status.success();
                let text = if success { output.stdout } else { output.stderr };
                return Ok(Some((success, String::from_utf8_lossy(&text).into_owned())));
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Ok(Err(source)) => return Err(NetError::kernel(action(), source)),
            Err(_) => return Err(NetError::Protocol { action: action(), reason: "it took too long".to_owned() }),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_others_that_drop_are_found() {
        let listed = "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n\
            table inet office {\n\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\
            \tchain out {\n\t\ttype filter hook output priority filter; policy drop;\n\t}\n\
            \tchain fwd {\n\t\ttype filter hook forward priority 0; policy accept;\n\t}\n}\n";
        let expected =
            ForeignDrop { table: "inet office".to_owned(), chain: "in".to_owned(), point: "input".to_owned() };
        assert_eq!(parse_drops(listed), [expected]);
    }

    #[test]
    fn an_open_chain_needs_nothing() {
        assert!(!needs_rules("-P FORWARD ACCEPT\n"));
        assert!(needs_rules("-P FORWARD DROP\n"));
        assert!(needs_rules("-P FORWARD ACCEPT\n-A FORWARD -j REJECT\n"));
    }
}
