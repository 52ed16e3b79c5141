//! The table is what was asked for, step by step, and comes back when somebody removes it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use maru_net::{
    Chain, Hook, HookKind, HookPoint, Nft, NftError, NftOptions, Policy, Ruleset, Set, SetKind, each_flow, flush_flows,
};
use maru_task::Scope;
use maru_testkit::{Host, nft_tables, require_root_or_skip, wait_until};

/// Services by number, each with its endpoints.
fn ruleset(services: &[(u8, &[u8])]) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let hook = Hook { kind: HookKind::Nat, point: HookPoint::Output, priority: -100, policy: Policy::Accept };
    let entry = "ip daddr . meta l4proto . th dport vmap @services".to_owned();
    ruleset.chains.insert("output".to_owned(), Chain { hook: Some(hook), rules: vec![entry] });
    let mut elements = BTreeMap::new();
    for (service, endpoints) in services {
        let rules = endpoints
            .iter()
            .map(|endpoint| format!("meta l4proto udp dnat to 127.0.0.1:{}", 9000 + u16::from(*endpoint)));
        ruleset.chains.insert(format!("svc-{service}"), Chain { hook: None, rules: rules.collect() });
        elements.insert(format!("10.96.0.{service} . udp . 53"), Some(format!("goto svc-{service}")));
    }
    let declaration = "type ipv4_addr . inet_proto . inet_service : verdict;".to_owned();
    ruleset.sets.insert("services".to_owned(), Set { kind: SetKind::Map, declaration, elements });
    ruleset
}

/// What the kernel has, without handles.
fn listed(host: &Host) -> String {
    let text = host.output("nft", &["list", "ruleset"]);
    let mut lines: Vec<String> = text.split([',', '\n']).map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn any_step_between_rulesets_gives_what_the_whole_would() {
    require_root_or_skip!();
    let steps: [&[(u8, &[u8])]; 6] =
        [&[], &[(1, &[1, 2])], &[(1, &[1]), (2, &[3])], &[(2, &[3]), (3, &[])], &[(1, &[2])], &[]];
    let (host, fresh) = (Host::new(), Host::new());
    let nft = Nft::new(NftOptions::for_instance("t"));
    for from in steps {
        for to in steps {
            host.block_on(async {
                nft.apply(ruleset(from)).await.unwrap();
                nft.apply(ruleset(to)).await.unwrap();
            });
            fresh.block_on(async { Nft::new(NftOptions::for_instance("t")).apply(ruleset(to)).await }).unwrap();
            assert_eq!(listed(&host), listed(&fresh), "{from:?} to {to:?}");
        }
    }
    host.block_on(nft.teardown()).unwrap();
    assert_eq!(listed(&host), "");
    host.block_on(nft.teardown()).unwrap();
}

#[test]
fn a_table_that_is_flushed_comes_back() {
    require_root_or_skip!();
    let host = Host::new();
    host.block_on(async {
        let scope = Scope::root("test");
        let nft = Nft::new(NftOptions::for_instance("t"));
        let (guard, guarded) = (nft.clone(), scope.clone());
        let task = scope.spawn("guard", async move { guard.guard(&guarded).await });
        nft.apply(ruleset(&[(1, &[1])])).await.unwrap();
        let before = listed(&host);
        for damage in [
            &["flush", "ruleset"] as &[&str],
            &["delete", "table", "ip", "maru_t"],
            &["flush", "chain", "ip", "maru_t", "svc-1"],
            &["flush", "map", "ip", "maru_t", "services"],
        ] {
            host.output("nft", damage);
            wait_until(Duration::from_secs(5), "the table is back", || {
                let same = listed(&host) == before;
                async move { same }
            })
            .await;
        }
        // Another's table is none of our business, and our own changes are not undone.
        host.output("nft", &["add", "table", "ip", "other"]);
        nft.apply(ruleset(&[(2, &[1])])).await.unwrap();
        nft.apply(ruleset(&[(2, &[2])])).await.unwrap();
        assert!(listed(&host).contains("svc-2"));
        host.output("nft", &["delete", "table", "ip", "other"]);
        nft.teardown().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(listed(&host), "", "what was torn down stays away");
        scope.cancel();
        task.await.unwrap().unwrap();
    });
}

#[test]
fn changes_by_others_inside_the_table_do_not_stop_us() {
    require_root_or_skip!();
    let host = Host::new();
    host.block_on(async {
        let nft = Nft::new(NftOptions::for_instance("t"));
        nft.apply(ruleset(&[(1, &[1])])).await.unwrap();
        host.output("nft", &["delete", "table", "ip", "maru_t"]);
        nft.apply(ruleset(&[(1, &[2])])).await.unwrap();
        assert_eq!(host.run(|| nft_tables("maru_")), ["ip maru_t"]);
        nft.teardown().await.unwrap();
    });
}

#[test]
fn errors_name_the_package_or_the_rule() {
    require_root_or_skip!();
    let host = Host::new();
    host.block_on(async {
        let missing =
            Nft::new(NftOptions { program: "nft-that-is-not-there".to_owned(), ..NftOptions::for_instance("t") });
        let error = missing.apply(Ruleset::default()).await.unwrap_err();
        assert!(error.to_string().contains("install the package \"nftables\""), "{error}");
        let nft = Nft::new(NftOptions::for_instance("t"));
        let mut wrong = ruleset(&[]);
        wrong.chains.insert("broken".to_owned(), Chain { hook: None, rules: vec!["no such rule".to_owned()] });
        let error = nft.apply(wrong).await.unwrap_err();
        assert!(matches!(&error, NftError::Refused { .. }), "{error}");
        assert_eq!(host.run(|| nft_tables("maru_")), [] as [String; 0], "a refused script changes nothing");
    });
}

#[test]
fn a_flow_that_is_forgotten_goes_to_the_new_endpoint() {
    require_root_or_skip!();
    let host = Host::new();
    host.block_on(async {
        host.output("ip", &["route", "add", "local", "10.96.0.0/16", "dev", "lo"]);
        let nft = Nft::new(NftOptions::for_instance("t"));
        nft.apply(ruleset(&[(1, &[1])])).await.unwrap();
        let servers = [9001, 9002].map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let received_by = |server: usize| {
            client.send_to(b"x", "10.96.0.1:53").unwrap();
            servers[server].set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            servers[server].recv_from(&mut [0; 8]).is_ok()
        };
        assert!(received_by(0));
        nft.apply(ruleset(&[(1, &[2])])).await.unwrap();
        assert!(received_by(0), "the kernel keeps the flow where it was");
        let vip = Ipv4Addr::new(10, 96, 0, 1);
        let endpoint = Ipv4Addr::LOCALHOST;
        let mut seen = Vec::new();
        each_flow(|flow| seen.push(flow)).await.unwrap();
        let ours = seen.iter().filter(|flow| flow.destination == vip);
        let ours: Vec<_> =
            ours.map(|flow| (flow.protocol, flow.source, flow.destination_port, flow.endpoint)).collect();
        assert_eq!(ours, [(17, Ipv4Addr::LOCALHOST, 53, endpoint)]);
        let forgotten = flush_flows(&|flow| {
            flow.protocol == 17 && flow.destination == vip && flow.destination_port == 53 && flow.endpoint == endpoint
        })
        .await
        .unwrap();
        assert_eq!(forgotten, 1);
        assert!(received_by(1));
        nft.teardown().await.unwrap();
    });
}
