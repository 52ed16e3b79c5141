//! `/etc/hosts`, `/etc/resolv.conf` and the host name of a pod.

use std::fmt::Write as _;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use crate::pod;

/// Longest host name that the kernel takes is 64; a DNS label has 63.
const HOSTNAME_MAX: usize = 63;

/// Returns the pod's host name and, with a subdomain, its full name.
pub(crate) fn hostname(pod: &Pod, cluster_domain: &str) -> (String, Option<String>) {
    let spec = pod::spec(pod);
    let mut host = spec
        .hostname_override
        .clone()
        .or_else(|| spec.hostname.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| pod::name(pod).to_owned());
    if host.len() > HOSTNAME_MAX {
        host = host.chars().take(HOSTNAME_MAX).collect::<String>().trim_end_matches(['-', '.']).to_owned();
    }
    let full = spec
        .subdomain
        .as_deref()
        .filter(|subdomain| !subdomain.is_empty())
        .map(|subdomain| format!("{host}.{subdomain}.{}.svc.{cluster_domain}", pod::namespace(pod)));
    match &full {
        Some(full) if spec.set_hostname_as_fqdn == Some(true) => (full.clone(), Some(full.clone())),
        _ => (host, full),
    }
}

/// What `/etc/hosts` is made of.
#[derive(Debug)]
pub(crate) struct HostsInput<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) cluster_domain: &'a str,
    /// The machine's own file, for pods in the host's network.
    pub(crate) host_file: &'a str,
}

/// Returns the content of `/etc/hosts`.
pub(crate) fn hosts(input: &HostsInput<'_>) -> String {
    let mut out = String::from("# Written by Maru for this pod.\n");
    if pod::is_host_network(input.pod) {
        out.push_str(input.host_file);
        if !out.ends_with('\n') {
            out.push('\n');
        }
    } else {
        out.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        out.push_str(
            "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
        );
        let (host, full) = hostname(input.pod, input.cluster_domain);
        for address in input.addresses {
            let names = match &full {
                Some(full) if *full != host => format!("{full}\t{host}"),
                _ => host.clone(),
            };
            writeln!(out, "{address}\t{names}").expect("writing to a String succeeds");
        }
    }
    let aliases = pod::spec(input.pod).host_aliases.iter().flatten();
    for (index, alias) in aliases.enumerate() {
        if index == 0 {
            out.push_str("\n# Entries of the pod's hostAliases.\n");
        }
        let names = alias.hostnames.clone().unwrap_or_default().join("\t");
        writeln!(out, "{}\t{names}", alias.ip).expect("writing to a String succeeds");
    }
    out
}

/// Resolvers, search domains and options.
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

/// Returns the content of `/etc/resolv.conf`; `host_file` is the machine's own.
pub(crate) fn resolv_conf(pod: &Pod, cluster_dns: &[IpAddr], cluster_domain: &str, host_file: &str) -> String {
    let spec = pod::spec(pod);
    let host = parse(host_file);
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let cluster_first = match policy {
        "ClusterFirstWithHostNet" => true,
        "ClusterFirst" => !pod::is_host_network(pod),
        _ => false,
    };
    let mut resolver = if policy == "None" {
        Resolver::default()
    } else if cluster_first && !cluster_dns.is_empty() {
        let namespace = pod::namespace(pod);
        let mut search = vec![
            format!("{namespace}.svc.{cluster_domain}"),
            format!("svc.{cluster_domain}"),
            cluster_domain.to_owned(),
        ];
        search.extend(host.search);
        Resolver {
            servers: cluster_dns.iter().map(ToString::to_string).collect(),
            search,
            options: vec!["ndots:5".to_owned()],
        }
    } else {
        host
    };
    if let Some(config) = &spec.dns_config {
        resolver.servers.extend(config.nameservers.clone().unwrap_or_default());
        resolver.search.extend(config.searches.clone().unwrap_or_default());
        for option in config.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            resolver.options.retain(|present| present.split(':').next() != Some(name.as_str()));
            resolver.options.push(match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.clone(),
            });
        }
    }
    write(&resolver)
}

fn parse(file: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in file.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            Some("search" | "domain") => {
                resolver.search = words.filter(|word| *word != ".").map(str::to_owned).collect()
            }
            Some("options") => resolver.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    resolver
}

fn write(resolver: &Resolver) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for domain in &resolver.search {
        if !unique.contains(&domain.as_str()) {
            unique.push(domain);
        }
    }
    let mut out = String::new();
    if !unique.is_empty() {
        writeln!(out, "search {}", unique.join(" ")).expect("writing to a String succeeds");
    }
    for server in &resolver.servers {
        writeln!(out, "nameserver {server}").expect("writing to a String succeeds");
    }
    if !resolver.options.is_empty() {
        writeln!(out, "options {}", resolver.options.join(" ")).expect("writing to a String succeeds");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web-0", "namespace": "shop"}, "spec": spec})).unwrap()
    }

    #[test]
    fn resolvers_follow_the_policy() {
        let host = "nameserver 192.0.2.53\nsearch example.net .\noptions edns0\n";
        let dns = ["10.96.0.10".parse().unwrap()];
        let cluster = "search shop.svc.cluster.local svc.cluster.local cluster.local example.net\nnameserver 10.96.0.10\noptions ndots:5\n";
        let own = "search example.net\nnameserver 192.0.2.53\noptions edns0\n";
        for (spec, expected) in [
            (json!({"containers": []}), cluster),
            (json!({"containers": [], "dnsPolicy": "Default"}), own),
            (json!({"containers": [], "hostNetwork": true}), own),
            (json!({"containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}), cluster),
            (
                json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["198.51.100.1"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}}),
                "search x\nnameserver 198.51.100.1\noptions ndots:2 rotate\n",
            ),
            (
                json!({"containers": [], "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}),
                "search shop.svc.cluster.local svc.cluster.local cluster.local example.net\nnameserver 10.96.0.10\noptions ndots:1\n",
            ),
        ] {
            assert_eq!(resolv_conf(&pod(spec), &dns, "cluster.local", host), expected);
        }
    }

    #[test]
    fn host_names_follow_hostname_and_subdomain() {
        for (spec, expected) in [
            (json!({"containers": []}), ("web-0", None)),
            (json!({"containers": [], "hostname": "h"}), ("h", None)),
            (json!({"containers": [], "subdomain": "web"}), ("web-0", Some("web-0.web.shop.svc.cluster.local"))),
            (
                json!({"containers": [], "subdomain": "web", "setHostnameAsFQDN": true}),
                ("web-0.web.shop.svc.cluster.local", Some("web-0.web.shop.svc.cluster.local")),
            ),
        ] {
            let (host, full) = hostname(&pod(spec), "cluster.local");
            assert_eq!((host.as_str(), full.as_deref()), expected);
        }
    }

    #[test]
    fn hosts_name_the_pod_and_its_aliases() {
        let pod = pod(
            json!({"containers": [], "subdomain": "web", "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}]}),
        );
        let addresses = ["10.42.0.3".parse().unwrap()];
        let text =
            hosts(&HostsInput { pod: &pod, addresses: &addresses, cluster_domain: "cluster.local", host_file: "" });
        assert!(text.contains("10.42.0.3\tweb-0.web.shop.svc.cluster.local\tweb-0\n"), "{text}");
        assert!(text.ends_with("192.0.2.9\ta\tb\n"), "{text}");
    }
}
