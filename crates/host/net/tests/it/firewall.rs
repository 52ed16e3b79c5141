//! Pods get through the firewalls of others, and nothing of ours stays there.

use std::time::Duration;

use maru_net::{Firewall, foreign_drops};
use maru_task::Scope;
use maru_testkit::{Host, require_root_or_skip, wait_until};

fn rules(host: &Host) -> String {
    host.output("iptables", &["-S"])
}

#[test]
fn pods_are_let_through_when_a_firewall_starts_and_nothing_stays() {
    require_root_or_skip!();
    if std::process::Command::new("iptables").arg("--version").output().is_err() {
        println!("skipped: iptables is not installed");
        return;
    }
    let host = Host::new();
    host.block_on(async {
        let firewall = Firewall::new("t", "10.96.0.0/16".parse().unwrap());
        firewall.open().await.unwrap();
        assert_eq!(
            rules(&host),
            "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n",
            "an open machine is left alone"
        );

        let scope = Scope::root("test");
        let (guard, guarded) = (firewall.clone(), scope.clone());
        let task = scope.spawn("guard", async move { guard.guard(&guarded).await });
        for command in [&["-P", "FORWARD", "DROP"] as &[&str], &["-P", "INPUT", "DROP"], &["-A", "INPUT", "-j", "LOG"]]
        {
            host.output("iptables", command);
        }
        wait_until(Duration::from_secs(10), "pods are let through", || {
            let text = rules(&host);
            let all = text.matches("--comment maru-t -j ACCEPT").count() == 3;
            async move { all }
        })
        .await;
        assert!(rules(&host).contains("-A INPUT -d 10.96.0.0/16 -i mv+"), "{}", rules(&host));
        firewall.open().await.unwrap();
        assert_eq!(rules(&host).matches("maru-t").count(), 3, "opening twice changes nothing");
        scope.cancel();
        task.await.unwrap().unwrap();
        firewall.close().await.unwrap();
        assert_eq!(rules(&host), "-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-A INPUT -j LOG\n");
    });
}

#[test]
fn chains_of_nft_are_named_only() {
    require_root_or_skip!();
    let host = Host::new();
    host.block_on(async {
        assert_eq!(foreign_drops().await.unwrap(), []);
        host.output("nft", &["add", "table", "inet", "office"]);
        host.output(
            "nft",
            &["add", "chain", "inet", "office", "passing", "{ type filter hook forward priority 0; policy drop; }"],
        );
        let found = foreign_drops().await.unwrap();
        assert_eq!(found.iter().map(|one| one.table.as_str()).collect::<Vec<_>>(), ["inet office"]);
    });
}
