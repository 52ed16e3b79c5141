//! Columns of services, endpoints, ingresses and nodes.

use serde_json::{Value, json};

use super::{Column, Row, labels, selector};

/// Endpoints shown of one object.
const ENDPOINTS_MAX: usize = 3;
/// Bytes of a load balancer's addresses that are shown.
const LOAD_BALANCER_WIDTH: usize = 16;

pub(super) fn service() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Type", |row| json!(row.text_or("/spec/type", "ClusterIP"))),
        Column::text("Cluster-IP", |row| json!(row.text_or("/spec/clusterIP", "<none>"))),
        Column::text("External-IP", |row| json!(external_address(row))),
        Column::text("Port(s)", |row| json!(service_ports(row))),
        Column::age(),
        Column::wide("Selector", |row| json!(labels(row.at("/spec/selector")))),
    ]
}

fn external_address(row: Row<'_>) -> String {
    let mut addresses: Vec<&str> = row.list("/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    match row.text("/spec/type") {
        "ExternalName" => row.text_or("/spec/externalName", "<none>").to_owned(),
        "LoadBalancer" => {
            let balancer = load_balancer(row);
            if !balancer.is_empty() {
                addresses.insert(0, &balancer);
            }
            if addresses.is_empty() { "<pending>".to_owned() } else { addresses.join(",") }
        }
        _ if addresses.is_empty() => "<none>".to_owned(),
        _ => addresses.join(","),
    }
}

fn load_balancer(row: Row<'_>) -> String {
    let each = |ingress: &Value| {
        let address = ingress["ip"].as_str().filter(|ip| !ip.is_empty()).or_else(|| ingress["hostname"].as_str());
        address.unwrap_or_default().to_owned()
    };
    let mut addresses: Vec<String> = row.list("/status/loadBalancer/ingress").iter().map(each).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let text = addresses.join(",");
    if text.len() <= LOAD_BALANCER_WIDTH {
        return text;
    }
    let shown: String = text.chars().take(LOAD_BALANCER_WIDTH - 3).collect();
    format!("{shown}...")
}

fn service_ports(row: Row<'_>) -> String {
    let port = |port: &Value| {
        let number = port["port"].as_i64().unwrap_or_default();
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64() {
            Some(node_port) if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    let ports: Vec<String> = row.list("/spec/ports").iter().map(port).collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

pub(super) fn endpoints() -> Vec<Column> {
    vec![Column::name(), Column::text("Endpoints", |row| json!(endpoints_text(row))), Column::age()]
}

fn endpoints_text(row: Row<'_>) -> String {
    let mut texts = Vec::new();
    for subset in row.list("/subsets") {
        let addresses = || subset["addresses"].as_array().into_iter().flatten().filter_map(|a| a["ip"].as_str());
        let ports = subset["ports"].as_array().map_or(&[][..], Vec::as_slice);
        if ports.is_empty() {
            texts.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            texts.extend(addresses().map(|ip| join_host_port(ip, port["port"].as_i64().unwrap_or_default())));
        }
    }
    shortened(&texts)
}

fn join_host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn shortened(texts: &[String]) -> String {
    let shown = texts.iter().take(ENDPOINTS_MAX).cloned().collect::<Vec<_>>().join(",");
    match texts.len() {
        0 => "<none>".to_owned(),
        count if count > ENDPOINTS_MAX => format!("{shown} + {} more...", count - ENDPOINTS_MAX),
        _ => shown,
    }
}

pub(super) fn endpoint_slice() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("AddressType", |row| json!(row.text("/addressType"))),
        Column::text("Ports", |row| {
            let port = |port: &Value| port["port"].as_i64().map_or_else(|| "*".to_owned(), |n| n.to_string());
            let ports: Vec<String> = row.list("/ports").iter().map(port).collect();
            json!(if ports.is_empty() { "<unset>".to_owned() } else { shortened(&ports) })
        }),
        Column::text("Endpoints", |row| {
            let addresses = row.list("/endpoints").iter().flat_map(|e| e["addresses"].as_array().into_iter().flatten());
            let addresses: Vec<String> = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
            json!(if addresses.is_empty() { "<unset>".to_owned() } else { shortened(&addresses) })
        }),
        Column::age(),
    ]
}

pub(super) fn ingress() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Class", |row| {
            let old = || row.at("/metadata/annotations/kubernetes.io~1ingress.class").as_str();
            json!(row.at("/spec/ingressClassName").as_str().or_else(old).unwrap_or("<none>"))
        }),
        Column::text("Hosts", |row| {
            let hosts =
                row.list("/spec/rules").iter().filter_map(|rule| rule["host"].as_str()).filter(|h| !h.is_empty());
            let hosts: Vec<String> = hosts.map(str::to_owned).collect();
            json!(if hosts.is_empty() { "*".to_owned() } else { shortened(&hosts) })
        }),
        Column::text("Address", |row| json!(load_balancer(row))),
        Column::text("Ports", |row| json!(if row.count("/spec/tls") > 0 { "80, 443" } else { "80" })),
        Column::age(),
    ]
}

pub(super) fn ingress_class() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Controller", |row| json!(row.text("/spec/controller"))),
        Column::text("Parameters", |row| {
            let parameters = row.at("/spec/parameters");
            let (Some(kind), Some(name)) = (parameters["kind"].as_str(), parameters["name"].as_str()) else {
                return json!("<none>");
            };
            let group = parameters["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
            json!(format!("{kind}{group}/{name}"))
        }),
        Column::age(),
    ]
}

pub(super) fn network_policy() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Pod-Selector", |row| json!(selector(row.at("/spec/podSelector")))),
        Column::age(),
    ]
}

pub(super) fn node() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Status", |row| {
            let mut status = match row.condition("Ready") {
                Some("True") => "Ready",
                Some(_) => "NotReady",
                None => "Unknown",
            }
            .to_owned();
            if row.at("/spec/unschedulable") == true {
                status.push_str(",SchedulingDisabled");
            }
            json!(status)
        }),
        Column::text("Roles", |row| json!(roles(row))),
        Column::age(),
        Column::text("Version", |row| json!(row.text("/status/nodeInfo/kubeletVersion"))),
        Column::wide("Internal-IP", |row| json!(node_address(row, "InternalIP"))),
        Column::wide("External-IP", |row| json!(node_address(row, "ExternalIP"))),
        Column::wide("OS-Image", |row| json!(row.text_or("/status/nodeInfo/osImage", "<unknown>"))),
        Column::wide("Kernel-Version", |row| json!(row.text_or("/status/nodeInfo/kernelVersion", "<unknown>"))),
        Column::wide("Container-Runtime", |row| {
            json!(row.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>"))
        }),
    ]
}

fn roles(row: Row<'_>) -> String {
    let labels = row.at("/metadata/labels").as_object();
    let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
        None => None,
    };
    let mut roles: Vec<String> =
        labels.into_iter().flatten().filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn node_address(row: Row<'_>, kind: &str) -> String {
    let found = row.list("/status/addresses").iter().find(|address| address["type"] == kind);
    found.and_then(|address| address["address"].as_str()).unwrap_or("<none>").to_owned()
}
