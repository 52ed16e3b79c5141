//! Where targets come from.

use std::time::Duration;

use maru_prom::Labels;
use maru_prom::exposition::is_legacy_label_name;
use maru_yaml::Cursor;

use super::http::{HttpClientConfig, read_client, read_url};
use super::values::duration_or;

/// Addresses with labels of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetGroup {
    /// The label sets of targets, `__address__` among them.
    pub targets: Vec<Labels>,
    /// Labels that all of them have.
    pub labels: Labels,
    /// What tells the group from others of the same source.
    pub source: String,
}

/// One source of targets.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    /// Targets that are written down.
    Static(Vec<TargetGroup>),
    /// Files of targets.
    File {
        /// Paths; the last part may have `*` in it.
        files: Vec<String>,
        /// How often they are read again at least.
        refresh_interval: Duration,
    },
    /// A server that answers a list of targets.
    Http {
        /// The address.
        url: String,
        /// How often it is asked.
        refresh_interval: Duration,
        /// How it is reached.
        client: Box<HttpClientConfig>,
    },
    /// Names in the DNS.
    Dns {
        /// The names.
        names: Vec<String>,
        /// The type of their records.
        record: DnsRecord,
        /// The port of targets, where records say none.
        port: u16,
        /// How often they are looked up.
        refresh_interval: Duration,
    },
    /// Objects of a Kubernetes API.
    Kubernetes(Box<KubernetesDiscovery>),
}

/// A type of records in the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DnsRecord {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Services with ports.
    Srv,
    /// Mail exchangers.
    Mx,
    /// Name servers.
    Ns,
}

/// What is looked for in a Kubernetes API.
#[derive(Debug, Clone, PartialEq)]
pub struct KubernetesDiscovery {
    /// The kind of objects that become targets.
    pub role: KubernetesRole,
    /// The API's address; that of the process's own cluster when absent.
    pub api_server: Option<String>,
    /// A kubeconfig to reach it by.
    pub kubeconfig_file: Option<String>,
    /// How `api_server` is reached.
    pub client: HttpClientConfig,
    /// Namespaces; all when empty.
    pub namespaces: Vec<String>,
    /// Whether the namespace of the process counts too.
    pub own_namespace: bool,
    /// Selectors of objects.
    pub selectors: Vec<KubernetesSelector>,
    /// Whether pods get the labels of their node.
    pub attach_node: bool,
    /// Whether targets get the labels of their namespace.
    pub attach_namespace: bool,
}

/// A kind of objects that become targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KubernetesRole {
    /// One target a node.
    Node,
    /// One target a port of a Service.
    Service,
    /// One target a port of a container.
    Pod,
    /// One target an address of an Endpoints object.
    Endpoints,
    /// One target an address of an EndpointSlice.
    EndpointSlice,
    /// One target a path of an Ingress.
    Ingress,
}

impl KubernetesRole {
    /// Returns the name that configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }
}

const ROLES: &[(&str, KubernetesRole)] = &[
    ("node", KubernetesRole::Node),
    ("service", KubernetesRole::Service),
    ("pod", KubernetesRole::Pod),
    ("endpoints", KubernetesRole::Endpoints),
    ("endpointslice", KubernetesRole::EndpointSlice),
    ("ingress", KubernetesRole::Ingress),
];

/// Selects objects of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSelector {
    /// The role.
    pub role: KubernetesRole,
    /// A selector of labels.
    pub label: String,
    /// A selector of fields.
    pub field: String,
}

const LACKING: &[&str] = &[
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

const INSTEAD: &str = "; write the targets into a file for file_sd_configs, or serve them for http_sd_configs";

/// Reads all `…_sd_configs` and `static_configs` of an object. The caller finishes the object.
pub(super) fn read_discoveries(of: &Cursor<'_>) -> Vec<Discovery> {
    of.unsupported(LACKING, INSTEAD);
    let mut all = Vec::new();
    let items = of.field("static_configs").list();
    // With rules an address may be anything: they make one of it, as for a blackbox exporter.
    if of.field("relabel_configs").list().is_empty() {
        items.iter().for_each(check_addresses);
    }
    let groups: Vec<TargetGroup> = items.iter().enumerate().map(|(index, item)| read_group(item, index)).collect();
    if !groups.is_empty() {
        all.push(Discovery::Static(groups));
    }
    all.extend(of.field("file_sd_configs").list().iter().map(read_file));
    all.extend(of.field("http_sd_configs").list().iter().map(read_http));
    all.extend(of.field("dns_sd_configs").list().iter().map(read_dns));
    all.extend(of.field("kubernetes_sd_configs").list().iter().map(read_kubernetes));
    all
}

fn check_addresses(group: &Cursor<'_>) {
    for target in group.field("targets").list() {
        let address = target.string().unwrap_or_default();
        if address.contains('/') {
            target.problem(format!(
                "\"{address}\" is no host and port; the scheme and the path have fields of their own"
            ));
        }
    }
}

fn read_group(item: &Cursor<'_>, index: usize) -> TargetGroup {
    if !item.is_present() {
        item.problem("the group is empty");
    }
    let mut group = TargetGroup { source: index.to_string(), ..TargetGroup::default() };
    let targets = item.field("targets");
    for target in targets.list() {
        let Some(address) = target.string() else { continue };
        group.targets.push(Labels::from_pairs([("__address__", address)]));
    }
    group.labels = read_labels(&item.field("labels"));
    item.finish();
    group
}

/// Reads labels and checks their names.
pub(super) fn read_labels(of: &Cursor<'_>) -> Labels {
    let pairs = of.string_map();
    for (name, _) in pairs.iter().filter(|(name, _)| name.is_empty()) {
        of.problem(format!("\"{name}\" is no name of a label"));
    }
    Labels::from_pairs(pairs)
}

/// Reads the groups of a target file or of a discovery server's answer: a list of `{targets, labels}`, YAML or JSON.
///
/// # Errors
/// All that is wrong.
pub fn read_target_groups(text: &str, source: &str) -> Result<Vec<TargetGroup>, Vec<maru_yaml::Problem>> {
    let document = maru_yaml::Document::parse(text, maru_yaml::ParseLimits { nodes: 2_000_000, ..Default::default() });
    let top = document.top();
    let mut groups: Vec<TargetGroup> =
        top.list().iter().enumerate().map(|(index, item)| read_group(item, index)).collect();
    let problems = document.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    for (index, group) in groups.iter_mut().enumerate() {
        group.source = format!("{source}:{index}");
    }
    Ok(groups)
}

fn read_file(item: &Cursor<'_>) -> Discovery {
    let files = item.field("files").required();
    for file in files.list() {
        let name = file.string().unwrap_or_default();
        let last = name.rsplit('/').next().unwrap_or_default();
        let is_known = [".json", ".yml", ".yaml"].iter().any(|end| last.ends_with(end));
        let folder = name.strip_suffix(last).unwrap_or_default();
        if !is_known || folder.contains('*') || last.matches('*').count() > 1 {
            file.problem(format!(
                "\"{name}\" is no path that ends with .json, .yml or .yaml, with at most one * in its last part"
            ));
        }
    }
    let files = files.strings();
    let refresh_interval = duration_or(&item.field("refresh_interval"), Duration::from_secs(300));
    item.finish();
    Discovery::File { files, refresh_interval }
}

fn read_http(item: &Cursor<'_>) -> Discovery {
    let discovery = Discovery::Http {
        url: read_url(&item.field("url")),
        refresh_interval: duration_or(&item.field("refresh_interval"), Duration::from_secs(60)),
        client: Box::new(read_client(item)),
    };
    item.finish();
    discovery
}

fn read_dns(item: &Cursor<'_>) -> Discovery {
    let names = item.field("names").required().strings();
    let types = [
        ("A", DnsRecord::A),
        ("AAAA", DnsRecord::Aaaa),
        ("SRV", DnsRecord::Srv),
        ("MX", DnsRecord::Mx),
        ("NS", DnsRecord::Ns),
    ];
    let kind = item.field("type");
    let record = kind.read(|text| {
        let upper = text.to_uppercase();
        let found = types.iter().find(|(name, _)| *name == upper).map(|(_, record)| *record);
        found.ok_or("it is none of A, AAAA, SRV, MX, NS")
    });
    let record = record.unwrap_or(DnsRecord::Srv);
    let port = item.field("port");
    let number = port.count();
    let number =
        number.and_then(|number| u16::try_from(number).map_err(|_| port.problem("a port is at most 65535")).ok());
    if number.unwrap_or_default() == 0 && record != DnsRecord::Srv {
        item.problem("a port is needed for records that are not SRV");
    }
    let refresh_interval = duration_or(&item.field("refresh_interval"), Duration::from_secs(30));
    item.finish();
    Discovery::Dns { names, record, port: number.unwrap_or_default(), refresh_interval }
}

fn read_kubernetes(item: &Cursor<'_>) -> Discovery {
    let role = item.field("role").required().one_of(ROLES).unwrap_or(KubernetesRole::Pod);
    let api_server = item.field("api_server");
    let has_api_server = api_server.is_present();
    let api_server = if has_api_server { Some(read_url(&api_server)) } else { None };
    let kubeconfig_file = item.field("kubeconfig_file").string().filter(|path| !path.is_empty());
    if api_server.is_some() && kubeconfig_file.is_some() {
        item.problem("api_server and kubeconfig_file exclude each other");
    }
    let is_elsewhere = has_api_server || kubeconfig_file.is_some();
    let namespaces = item.field("namespaces");
    let names = namespaces.field("names").strings();
    let own_namespace = namespaces.field("own_namespace").boolean().unwrap_or_default();
    if own_namespace && is_elsewhere {
        namespaces
            .problem("own_namespace is that of a pod in its own cluster; leave out api_server and kubeconfig_file");
    }
    namespaces.finish();
    let selectors = read_selectors(item, role);
    let attach = item.field("attach_metadata");
    let (attach_node, attach_namespace) =
        (attach.field("node").boolean().unwrap_or_default(), attach.field("namespace").boolean().unwrap_or_default());
    attach.finish();
    let client = read_client(item);
    if !has_api_server && client != HttpClientConfig::default() {
        item.problem("to use credentials or TLS, give api_server too");
    }
    item.finish();
    Discovery::Kubernetes(Box::new(KubernetesDiscovery {
        role,
        api_server,
        kubeconfig_file,
        client,
        namespaces: names,
        own_namespace,
        selectors,
        attach_node,
        attach_namespace,
    }))
}

fn read_selectors(of: &Cursor<'_>, role: KubernetesRole) -> Vec<KubernetesSelector> {
    let mut selectors: Vec<KubernetesSelector> = Vec::new();
    for selector in of.field("selectors").list() {
        let field = selector.field("field");
        let read = KubernetesSelector {
            role: selector.field("role").required().one_of(ROLES).unwrap_or(role),
            label: selector.field("label").string().unwrap_or_default(),
            field: field.string().unwrap_or_default(),
        };
        let others: &[KubernetesRole] = match role {
            KubernetesRole::Endpoints | KubernetesRole::EndpointSlice => {
                &[KubernetesRole::Service, KubernetesRole::Pod]
            }
            KubernetesRole::Pod => &[KubernetesRole::Node],
            KubernetesRole::Node | KubernetesRole::Service | KubernetesRole::Ingress => &[],
        };
        if role != read.role && !others.contains(&read.role) {
            selector.problem(format!("the role {} cannot be selected by {}", role.name(), read.role.name()));
        }
        if selectors.iter().any(|other| other.role == read.role) {
            selector.problem(format!("there is another selector of the role {}", read.role.name()));
        }
        if read.field.split(',').any(|term| !term.is_empty() && !term.contains('=')) {
            field.problem(format!("\"{}\" is no selector of fields; write for example spec.nodeName=a", read.field));
        }
        selector.finish();
        selectors.push(read);
    }
    selectors
}

/// Tells whether a name may be a label of older Prometheus.
pub(super) fn is_label_name(name: &str) -> bool {
    is_legacy_label_name(name)
}
