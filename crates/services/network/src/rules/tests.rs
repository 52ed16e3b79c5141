//! Rules of small clusters, read as text.

use std::sync::Arc;

use super::*;
use crate::model::{Endpoint, Peer, PolicyModel, PolicyPort, PolicyRule, Selector, Traffic};
use crate::test_cluster::{cluster, endpoint, options, pod, service, with};
use crate::{EndpointPort, HostPort, InProcess, ServicePort};

fn map(compiled: &Compiled, name: &str) -> Vec<(String, String)> {
    let elements = &compiled.ruleset.sets[name].elements;
    elements.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())).collect()
}

/// Follows an element to its chain.
fn chain<'a>(compiled: &'a Compiled, map: &str, key: &str) -> &'a [String] {
    let verdict = compiled.ruleset.sets[map].elements[key].as_deref().unwrap();
    &compiled.ruleset.chains[verdict.strip_prefix("goto ").unwrap()].rules
}

#[test]
fn a_service_picks_among_its_ready_endpoints() {
    let mut starting = endpoint(7, 8080);
    starting.ready = false;
    let compiled = compile(
        &cluster(vec![service("web", 20, vec![endpoint(5, 8080), endpoint(6, 8080), starting])], Vec::new()),
        &options(),
    );
    assert_eq!(
        chain(&compiled, "service_ports", "10.96.0.20 . tcp . 80"),
        ["numgen random mod 2 vmap { 0 : goto ep-tcp-10.42.0.5/8080, 1 : goto ep-tcp-10.42.0.6/8080 }"]
    );
    assert_eq!(
        compiled.ruleset.chains["ep-tcp-10.42.0.5/8080"].rules,
        ["ip saddr 10.42.0.5 meta mark set meta mark or 0x4000", "meta l4proto tcp dnat to 10.42.0.5:8080"]
    );
    assert!(!compiled.ruleset.chains.contains_key("ep-tcp-10.42.0.7/8080"));
}

#[test]
fn endpoints_that_end_are_better_than_none() {
    let mut ending = endpoint(5, 8080);
    (ending.ready, ending.terminating) = (false, true);
    let alone = compile(&cluster(vec![service("web", 20, vec![ending.clone()])], Vec::new()), &options());
    assert_eq!(chain(&alone, "service_ports", "10.96.0.20 . tcp . 80"), ["goto ep-tcp-10.42.0.5/8080"]);
    let both = compile(&cluster(vec![service("web", 20, vec![ending, endpoint(6, 8080)])], Vec::new()), &options());
    assert_eq!(chain(&both, "service_ports", "10.96.0.20 . tcp . 80"), ["goto ep-tcp-10.42.0.6/8080"]);
}

#[test]
fn services_without_endpoints_or_served_in_process_have_no_element() {
    let mut options = options();
    options.in_process.push(InProcess { address: Ipv4Addr::new(10, 96, 0, 1), protocol: Protocol::Tcp, port: 80 });
    let dns = with(service("kube-dns", 10, vec![endpoint(5, 53)]), |service| {
        service.ports = [Protocol::Tcp, Protocol::Udp]
            .map(|protocol| ServicePort { name: "http".to_owned(), protocol, port: 53, node_port: None })
            .to_vec();
    });
    let services = vec![service("kubernetes", 1, vec![endpoint(5, 6443)]), service("idle", 21, Vec::new()), dns];
    let compiled = compile(&cluster(services, Vec::new()), &options);
    assert_eq!(map(&compiled, "service_ports"), []);
    let in_process: Vec<String> = compiled.ruleset.sets["in_process"].elements.keys().cloned().collect();
    assert_eq!(in_process, ["10.96.0.1 . tcp . 80", "10.96.0.10 . tcp . 53", "10.96.0.10 . udp . 53"]);
}

#[test]
fn services_of_another_proxy_are_let_in_untranslated() {
    let entry = with(service("gate", 30, vec![endpoint(5, 80)]), |service| service.other_proxy = true);
    let compiled = compile(&cluster(vec![entry], Vec::new()), &options());
    assert_eq!(map(&compiled, "service_ports"), []);
    assert!(compiled.ruleset.sets["in_process"].elements.contains_key("10.96.0.30 . tcp . 80"));
}

#[test]
fn affinity_keeps_clients_in_sets_with_a_timeout() {
    let entry = with(service("web", 20, vec![endpoint(5, 80), endpoint(6, 80)]), |service| {
        service.affinity_seconds = Some(600)
    });
    let compiled = compile(&cluster(vec![entry], Vec::new()), &options());
    let rules = chain(&compiled, "service_ports", "10.96.0.20 . tcp . 80");
    assert_eq!(rules.len(), 3);
    assert!(rules[0].starts_with("ip saddr @aff-") && rules[2].starts_with("numgen"), "{rules:?}");
    let sets: Vec<&Set> =
        compiled.ruleset.sets.iter().filter(|(name, _)| name.starts_with("aff-")).map(|(_, set)| set).collect();
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[0].declaration, "type ipv4_addr; flags dynamic,timeout; timeout 600s;");
}

#[test]
fn node_ports_and_external_addresses_obey_their_traffic_policy() {
    let elsewhere = Endpoint { node: Some("node-2".to_owned()), ..endpoint(6, 8080) };
    let entry = with(service("web", 20, vec![endpoint(5, 8080), elsewhere]), |service| {
        service.ports[0].node_port = Some(30080);
        service.external_addresses = vec![Ipv4Addr::new(192, 0, 2, 9)];
        service.external_traffic = Traffic::Local;
    });
    let compiled = compile(&cluster(vec![entry], Vec::new()), &options());
    assert_eq!(chain(&compiled, "node_ports", "tcp . 30080"), ["goto ep-tcp-10.42.0.5/8080"]);
    assert_eq!(chain(&compiled, "service_ports", "192.0.2.9 . tcp . 80"), ["goto ep-tcp-10.42.0.5/8080"]);
    assert!(chain(&compiled, "service_ports", "10.96.0.20 . tcp . 80")[0].starts_with("numgen random mod 2"));
}

#[test]
fn endpoints_outside_the_pod_network_get_a_translated_source() {
    let mut outside = endpoint(5, 5432);
    outside.address = Ipv4Addr::new(192, 0, 2, 50);
    let compiled = compile(&cluster(vec![service("db", 20, vec![outside])], Vec::new()), &options());
    assert_eq!(compiled.ruleset.chains["ep-tcp-192.0.2.50/5432"].rules[0], "meta mark set meta mark or 0x4000");
}

#[test]
fn host_ports_lead_to_their_pod() {
    let mut web = pod("web", 5, &[]);
    web.host_ports = vec![
        HostPort { address: None, protocol: Protocol::Tcp, host_port: 8080, pod_port: 80 },
        HostPort { address: Some(Ipv4Addr::new(192, 0, 2, 1)), protocol: Protocol::Udp, host_port: 53, pod_port: 5353 },
    ];
    let compiled = compile(&cluster(Vec::new(), vec![web]), &options());
    assert_eq!(map(&compiled, "node_ports"), [("tcp . 8080".to_owned(), "goto ep-tcp-10.42.0.5/80".to_owned())]);
    assert_eq!(
        chain(&compiled, "service_ports", "192.0.2.1 . udp . 53").last().unwrap(),
        "meta l4proto udp dnat to 10.42.0.5:5353"
    );
    assert_eq!(compiled.udp.keys().copied().collect::<Vec<_>>(), [(Some(Ipv4Addr::new(192, 0, 2, 1)), 53)]);
}

fn selector(key: &str, value: &str) -> Selector {
    Selector::from(k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        match_expressions: None,
    })
}

fn policies(policies: Vec<PolicyModel>) -> Compiled {
    let mut db = pod("db", 5, &[("app", "db")]);
    db.named_ports = vec![EndpointPort { name: "sql".to_owned(), protocol: Protocol::Tcp, port: 5432 }];
    let mut cluster = cluster(Vec::new(), vec![db, pod("web", 6, &[("app", "web")]), pod("job", 7, &[])]);
    for (number, mut policy) in policies.into_iter().enumerate() {
        policy.namespace = "shop".to_owned();
        cluster.policies.insert(("shop".to_owned(), format!("policy-{number}")), Arc::new(policy));
    }
    compile(&cluster, &options())
}

#[test]
fn without_policies_only_invalid_packets_are_filtered() {
    let compiled = policies(Vec::new());
    assert_eq!(compiled.ruleset.chains["forward"].rules, ["ct state invalid drop"]);
    assert!(!compiled.ruleset.sets.contains_key("policy_ingress"));
}

#[test]
fn policies_of_a_pod_add_up_and_the_rest_is_dropped() {
    let from_web = PolicyRule {
        peers: Some(vec![Peer::Pods { namespaces: None, pods: Some(selector("app", "web")) }]),
        ports: Some(vec![PolicyPort::Named { protocol: Protocol::Tcp, name: "sql".to_owned() }]),
    };
    let from_office = PolicyRule {
        peers: Some(vec![Peer::Block {
            cidr: "192.0.2.0/24".parse().unwrap(),
            except: vec!["192.0.2.8/29".parse().unwrap()],
        }]),
        ports: Some(vec![
            PolicyPort::Range { protocol: Protocol::Udp, first: 100, last: 200 },
            PolicyPort::All { protocol: Protocol::Tcp },
        ]),
    };
    let policy = |rules: Vec<PolicyRule>| PolicyModel {
        pods: selector("app", "db"),
        ingress: Some(rules),
        ..PolicyModel::default()
    };
    let compiled = policies(vec![policy(vec![from_web]), policy(vec![from_office]), policy(Vec::new())]);
    assert_eq!(
        map(&compiled, "policy_ingress"),
        [("10.42.0.5".to_owned(), "jump policy-ingress-10.42.0.5".to_owned())]
    );
    assert_eq!(map(&compiled, "policy_egress"), []);
    assert_eq!(
        compiled.ruleset.chains["policy-ingress-10.42.0.5"].rules,
        [
            "ip saddr { 10.42.0.6 } meta l4proto tcp th dport 5432 return",
            "ip saddr 192.0.2.0/24 ip saddr != { 192.0.2.8/29 } meta l4proto udp th dport 100-200 return",
            "ip saddr 192.0.2.0/24 ip saddr != { 192.0.2.8/29 } meta l4proto tcp return",
            "drop",
        ]
    );
}

#[test]
fn egress_names_ports_of_the_pods_it_reaches() {
    let rule = PolicyRule {
        peers: Some(vec![Peer::Pods { namespaces: Some(selector("kubernetes.io/metadata.name", "shop")), pods: None }]),
        ports: Some(vec![PolicyPort::Named { protocol: Protocol::Tcp, name: "sql".to_owned() }]),
    };
    let nobody = PolicyRule {
        peers: Some(vec![Peer::Pods { namespaces: None, pods: Some(selector("app", "nobody")) }]),
        ports: None,
    };
    let policy =
        PolicyModel { pods: selector("app", "web"), egress: Some(vec![rule, nobody]), ..PolicyModel::default() };
    let compiled = policies(vec![policy]);
    assert_eq!(
        compiled.ruleset.chains["policy-egress-10.42.0.6"].rules,
        ["ip daddr 10.42.0.5 meta l4proto tcp th dport 5432 return", "drop"]
    );
    assert!(
        compiled.ruleset.chains["input"]
            .rules
            .iter()
            .any(|rule| rule.contains("10.96.0.10 . udp . 53") && rule.ends_with("accept"))
    );
}

#[test]
fn selectors_follow_their_operators() {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let matches = |key: &str, operator: &str, values: &[&str]| {
        let requirement = LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        Selector::from(LabelSelector { match_labels: None, match_expressions: Some(vec![requirement]) })
            .matches(&labels)
    };
    assert!(Selector::default().matches(&labels));
    assert!(matches("app", "In", &["web", "db"]) && !matches("app", "In", &["db"]) && !matches("tier", "In", &["web"]));
    assert!(matches("app", "NotIn", &["db"]) && matches("tier", "NotIn", &["x"]) && !matches("app", "NotIn", &["web"]));
    assert!(
        matches("app", "Exists", &[]) && matches("tier", "DoesNotExist", &[]) && !matches("app", "Nonsense", &["web"])
    );
}
