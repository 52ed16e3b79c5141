//! Targets among the objects of a Kubernetes API, with the labels that Prometheus gives them.
//! Long because each role's labels are one list, to be read beside Prometheus' documentation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::watcher;
use maru_client::Client;
use maru_monitoring::scrape::{Authentication, KubernetesDiscovery, KubernetesRole, SecretSource, TargetGroup};
use maru_prom::{Labels, LabelsBuilder};
use maru_task::Scope;
use serde_json::Value;

use super::Output;
use crate::collect::Shared;
use crate::collect::objects::{Kind, Objects, Seen, list, number, text};
use crate::collect::tls::read_secret;

/// After a change we wait this long for more of them.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two tries to reach the API.
const RETRY: Duration = Duration::from_secs(5);
/// Where a pod finds its own namespace.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

pub(super) async fn run(
    shared: Arc<Shared>,
    options: Box<KubernetesDiscovery>,
    folder: PathBuf,
    scope: Scope,
    mut output: Output,
) {
    let client = loop {
        match client(&shared, &options, &folder).await {
            Ok(client) => break client,
            Err(why) => {
                tracing::warn!(
                    role = options.role.name(),
                    error = why,
                    "no Kubernetes API to find targets by; trying again"
                );
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    let seen = Arc::new(Seen::default());
    let mut namespaces = options.namespaces.clone();
    if options.own_namespace {
        let own = std::fs::read_to_string(OWN_NAMESPACE).map(|text| text.trim().to_owned());
        namespaces.push(own.unwrap_or_else(|_| "default".to_owned()));
    }
    for kind in kinds(&options) {
        let selector = options.selectors.iter().find(|selector| of_role(selector.role) == kind);
        let mut config = watcher::Config::default();
        if let Some(selector) = selector {
            config.label_selector = Some(selector.label.clone()).filter(|text| !text.is_empty());
            config.field_selector = Some(selector.field.clone()).filter(|text| !text.is_empty());
        }
        let namespaces = if kind.is_namespaced() { namespaces.as_slice() } else { &[] };
        seen.watch(&scope, &client, kind, namespaces, config);
    }
    loop {
        seen.changed.notified().await;
        tokio::time::sleep(SETTLE).await;
        if !seen.is_complete() {
            continue;
        }
        let groups = groups(&seen.objects(), &options);
        output.tell(groups).await;
    }
}

fn of_role(role: KubernetesRole) -> Kind {
    match role {
        KubernetesRole::Node => Kind::Node,
        KubernetesRole::Service => Kind::Service,
        KubernetesRole::Pod => Kind::Pod,
        KubernetesRole::Endpoints => Kind::Endpoints,
        KubernetesRole::EndpointSlice => Kind::EndpointSlice,
        KubernetesRole::Ingress => Kind::Ingress,
    }
}

fn kinds(options: &KubernetesDiscovery) -> Vec<Kind> {
    let mut kinds = vec![of_role(options.role)];
    if matches!(options.role, KubernetesRole::Endpoints | KubernetesRole::EndpointSlice) {
        kinds.extend([Kind::Service, Kind::Pod]);
    }
    if options.attach_node && options.role != KubernetesRole::Node {
        kinds.push(Kind::Node);
    }
    if options.attach_namespace && options.role != KubernetesRole::Node {
        kinds.push(Kind::Namespace);
    }
    kinds
}

async fn client(shared: &Shared, options: &KubernetesDiscovery, folder: &Path) -> Result<Client, String> {
    if let Some(path) = &options.kubeconfig_file {
        return maru_client::connect_kubeconfig(&folder.join(path)).await.map_err(|error| error.to_string());
    }
    let config = match &options.api_server {
        None => {
            if let Some(client) = &shared.kube {
                return Ok(client.0.clone());
            }
            kube::Config::incluster().map_err(|error| error.to_string())?
        }
        Some(server) => {
            let mut config = kube::Config::new(server.parse().map_err(|_| format!("\"{server}\" is no address"))?);
            match &options.client.authentication {
                Authentication::None => {}
                Authentication::Basic { username, password } => {
                    config.auth_info.username = Some(read_secret(username, folder)?);
                    config.auth_info.password = Some(read_secret(password, folder)?.into());
                }
                Authentication::Header { credentials: SecretSource::File(path), .. } => {
                    config.auth_info.token_file = Some(folder.join(path).display().to_string());
                }
                Authentication::Header { credentials, .. } => {
                    config.auth_info.token = Some(read_secret(credentials, folder)?.into());
                }
            }
            config.accept_invalid_certs = options.client.tls.insecure_skip_verify;
            config.tls_server_name.clone_from(&options.client.tls.server_name);
            if let Some(authority) = &options.client.tls.ca {
                use rustls::pki_types::pem::PemObject as _;
                let pem = read_secret(authority, folder)?;
                let all = rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes());
                config.root_cert = Some(all.filter_map(Result::ok).map(|one| one.to_vec()).collect());
            }
            config
        }
    };
    Client::try_from(config).map_err(|error| error.to_string())
}

fn host_port(host: &str, port: u64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Returns a name with everything replaced that a label's name may not have.
fn clean(name: &str) -> String {
    name.chars().map(|one| if one.is_ascii_alphanumeric() || one == '_' { one } else { '_' }).collect()
}

/// A label set that is being made; names get `__meta_kubernetes_` in front.
#[derive(Debug, Clone, Default)]
struct Meta(LabelsBuilder);

impl Meta {
    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.set(&format!("__meta_kubernetes_{name}"), value);
        self
    }

    fn address(&mut self, address: &str) -> &mut Self {
        self.0.set("__address__", address);
        self
    }

    /// Adds the labels and annotations of an object.
    fn object(&mut self, prefix: &str, object: &Value) -> &mut Self {
        for (field, short) in [("/metadata/labels", "label"), ("/metadata/annotations", "annotation")] {
            for (name, value) in object.pointer(field).and_then(Value::as_object).into_iter().flatten() {
                let name = clean(name);
                self.set(&format!("{prefix}_{short}_{name}"), value.as_str().unwrap_or_default());
                self.set(&format!("{prefix}_{short}present_{name}"), "true");
            }
        }
        self
    }

    fn labels(&self) -> Labels {
        self.0.build()
    }
}

fn groups(objects: &Objects, options: &KubernetesDiscovery) -> Vec<TargetGroup> {
    let kind = of_role(options.role);
    let all = objects.get(&kind).into_iter().flatten();
    all.map(|((namespace, name), object)| {
        let mut meta = Meta::default();
        if kind.is_namespaced() {
            meta.set("namespace", namespace);
            if options.attach_namespace
                && let Some(space) = find(objects, Kind::Namespace, "", namespace)
            {
                meta.object("namespace", space);
            }
        }
        let targets = match options.role {
            KubernetesRole::Node => node(&mut meta, name, object),
            KubernetesRole::Service => service(&mut meta, object),
            KubernetesRole::Pod => {
                pod_labels(&mut meta, object);
                attach_node(&mut meta, objects, options, text(object, "/spec/nodeName"));
                pod(object)
            }
            KubernetesRole::Endpoints => endpoints(&mut meta, objects, options, object),
            KubernetesRole::EndpointSlice => slice(&mut meta, objects, options, object),
            KubernetesRole::Ingress => ingress(&mut meta, object),
        };
        let source = format!("{}/{namespace}/{name}", options.role.name());
        TargetGroup { targets: targets.iter().map(Meta::labels).collect(), labels: meta.labels(), source }
    })
    .collect()
}

fn find<'a>(objects: &'a Objects, kind: Kind, namespace: &str, name: &str) -> Option<&'a Value> {
    objects.get(&kind)?.get(&(namespace.to_owned(), name.to_owned()))
}

fn attach_node(meta: &mut Meta, objects: &Objects, options: &KubernetesDiscovery, name: &str) {
    if let Some(node) = find(objects, Kind::Node, "", name).filter(|_| options.attach_node) {
        meta.set("node_name", name).object("node", node);
    }
}

fn node(meta: &mut Meta, name: &str, object: &Value) -> Vec<Meta> {
    const ORDER: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];
    meta.set("node_name", name).set("node_provider_id", text(object, "/spec/providerID")).object("node", object);
    let addresses = list(object, "/status/addresses");
    let of_type = |kind: &str| addresses.iter().find(|one| text(one, "/type") == kind).map(|one| text(one, "/address"));
    let Some(address) = ORDER.iter().find_map(|kind| of_type(kind)) else { return Vec::new() };
    let port = number(object, "/status/daemonEndpoints/kubeletEndpoint/Port");
    let mut target = Meta::default();
    target.address(&host_port(address, if port == 0 { 10250 } else { port }));
    target.0.set("instance", name);
    for kind in ORDER {
        target.set(&format!("node_address_{}", clean(kind)), of_type(kind).unwrap_or_default());
    }
    vec![target]
}

fn service(meta: &mut Meta, object: &Value) -> Vec<Meta> {
    service_labels(meta, object);
    let (name, namespace) = (text(object, "/metadata/name"), text(object, "/metadata/namespace"));
    let kind = text(object, "/spec/type");
    let ports = list(object, "/spec/ports").iter().map(|port| {
        let mut target = Meta::default();
        let protocol = text(port, "/protocol");
        let number = number(port, "/port");
        target
            .address(&format!("{name}.{namespace}.svc:{number}"))
            .set("service_port_name", text(port, "/name"))
            .set("service_port_number", &number.to_string())
            .set("service_port_protocol", if protocol.is_empty() { "TCP" } else { protocol })
            .set("service_type", if kind.is_empty() { "ClusterIP" } else { kind });
        if kind == "ExternalName" {
            target.set("service_external_name", text(object, "/spec/externalName"));
        } else {
            target.set("service_cluster_ip", text(object, "/spec/clusterIP"));
        }
        if kind == "LoadBalancer" {
            target.set("service_loadbalancer_ip", text(object, "/spec/loadBalancerIP"));
        }
        target
    });
    ports.collect()
}

fn service_labels(meta: &mut Meta, object: &Value) {
    meta.set("service_name", text(object, "/metadata/name")).object("service", object);
}

fn pod_labels(meta: &mut Meta, object: &Value) {
    let ready = list(object, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
    let ready = ready.map_or("unknown".to_owned(), |one| text(one, "/status").to_lowercase());
    meta.set("pod_name", text(object, "/metadata/name"))
        .set("pod_ip", text(object, "/status/podIP"))
        .set("pod_ready", &ready)
        .set("pod_phase", text(object, "/status/phase"))
        .set("pod_node_name", text(object, "/spec/nodeName"))
        .set("pod_host_ip", text(object, "/status/hostIP"))
        .set("pod_uid", text(object, "/metadata/uid"))
        .object("pod", object);
    let owners = list(object, "/metadata/ownerReferences").iter();
    if let Some(owner) = owners.clone().find(|owner| owner["controller"] == true) {
        meta.set("pod_controller_kind", text(owner, "/kind")).set("pod_controller_name", text(owner, "/name"));
    }
}

/// Goes over the containers of a pod: whether it is an init container, the container, its id.
fn containers(object: &Value) -> impl Iterator<Item = (bool, &Value, &str)> {
    let of = move |list_name: &str, statuses: &'static str, is_init: bool| {
        let all = list(object, list_name).iter();
        all.map(move |container| {
            let status = list(object, statuses).iter().find(|one| one["name"] == container["name"]);
            (is_init, container, status.map(|status| text(status, "/containerID")).unwrap_or_default())
        })
    };
    of("/spec/containers", "/status/containerStatuses", false).chain(of(
        "/spec/initContainers",
        "/status/initContainerStatuses",
        true,
    ))
}

fn protocol(port: &Value) -> &str {
    Some(text(port, "/protocol")).filter(|text| !text.is_empty()).unwrap_or("TCP")
}

fn container_port(meta: &mut Meta, port: &Value) {
    meta.set("pod_container_port_name", text(port, "/name"))
        .set("pod_container_port_number", &number(port, "/containerPort").to_string())
        .set("pod_container_port_protocol", protocol(port));
}

fn pod(object: &Value) -> Vec<Meta> {
    let ip = text(object, "/status/podIP");
    if ip.is_empty() {
        return Vec::new();
    }
    let mut targets = Vec::new();
    for (is_init, container, id) in containers(object) {
        let mut target = Meta::default();
        target
            .set("pod_container_name", text(container, "/name"))
            .set("pod_container_id", id)
            .set("pod_container_image", text(container, "/image"))
            .set("pod_container_init", if is_init { "true" } else { "false" });
        let ports = list(container, "/ports");
        if ports.is_empty() {
            target.address(ip);
            targets.push(target.clone());
        }
        for port in ports {
            let mut target = target.clone();
            container_port(&mut target, port);
            target.address(&host_port(ip, number(port, "/containerPort")));
            targets.push(target);
        }
    }
    targets
}

/// The pods behind endpoints, with the ports that were seen of each.
type Behind<'a> = BTreeMap<&'a str, (&'a Value, Vec<u64>)>;

/// Adds what is known of the pod behind an endpoint.
fn behind<'a>(
    target: &mut Meta,
    objects: &'a Objects,
    namespace: &str,
    reference: &Value,
    port: u64,
    seen: &mut Behind<'a>,
) {
    if text(reference, "/kind") != "Pod" {
        return;
    }
    let own = Some(text(reference, "/namespace")).filter(|own| !own.is_empty()).unwrap_or(namespace);
    let Some(pod) = find(objects, Kind::Pod, own, text(reference, "/name")) else { return };
    pod_labels(target, pod);
    seen.entry(text(pod, "/metadata/uid")).or_insert((pod, Vec::new())).1.push(port);
    for (_, container, _) in containers(pod) {
        if let Some(found) = list(container, "/ports").iter().find(|one| number(one, "/containerPort") == port) {
            target
                .set("pod_container_name", text(container, "/name"))
                .set("pod_container_image", text(container, "/image"));
            container_port(target, found);
        }
    }
}

/// Returns targets for the ports of pods that no endpoint names.
fn other_ports(seen: &Behind<'_>) -> Vec<Meta> {
    let mut targets = Vec::new();
    for (pod, ports) in seen.values() {
        let ip = text(pod, "/status/podIP");
        for (_, container, _) in containers(pod).filter(|_| !ip.is_empty()) {
            for port in list(container, "/ports").iter().filter(|port| !ports.contains(&number(port, "/containerPort")))
            {
                let mut target = Meta::default();
                pod_labels(&mut target, pod);
                target
                    .address(&host_port(ip, number(port, "/containerPort")))
                    .set("pod_container_name", text(container, "/name"))
                    .set("pod_container_image", text(container, "/image"));
                container_port(&mut target, port);
                targets.push(target);
            }
        }
    }
    targets
}

fn endpoints(meta: &mut Meta, objects: &Objects, options: &KubernetesDiscovery, object: &Value) -> Vec<Meta> {
    let (name, namespace) = (text(object, "/metadata/name"), text(object, "/metadata/namespace"));
    meta.set("endpoints_name", name).object("endpoints", object);
    if let Some(service) = find(objects, Kind::Service, namespace, name) {
        service_labels(meta, service);
    }
    let (mut targets, mut seen) = (Vec::new(), Behind::new());
    for subset in list(object, "/subsets") {
        for port in list(subset, "/ports") {
            for (field, ready) in [("/addresses", "true"), ("/notReadyAddresses", "false")] {
                for address in list(subset, field) {
                    let (mut target, number) = (Meta::default(), number(port, "/port"));
                    target
                        .address(&host_port(text(address, "/ip"), number))
                        .set("endpoint_port_name", text(port, "/name"))
                        .set("endpoint_port_protocol", protocol(port))
                        .set("endpoint_ready", ready)
                        .set("endpoint_hostname", text(address, "/hostname"))
                        .set("endpoint_node_name", text(address, "/nodeName"))
                        .set("endpoint_address_target_kind", text(address, "/targetRef/kind"))
                        .set("endpoint_address_target_name", text(address, "/targetRef/name"));
                    behind(&mut target, objects, namespace, &address["targetRef"], number, &mut seen);
                    attach_node(&mut target, objects, options, text(address, "/nodeName"));
                    targets.push(target);
                }
            }
        }
    }
    targets.extend(other_ports(&seen));
    targets
}

fn slice(meta: &mut Meta, objects: &Objects, options: &KubernetesDiscovery, object: &Value) -> Vec<Meta> {
    let namespace = text(object, "/metadata/namespace");
    meta.set("endpointslice_name", text(object, "/metadata/name"))
        .set("endpointslice_address_type", text(object, "/addressType"))
        .object("endpointslice", object);
    let service = object.pointer("/metadata/labels").and_then(|labels| labels["kubernetes.io/service-name"].as_str());
    if let Some(service) = service.and_then(|name| find(objects, Kind::Service, namespace, name)) {
        service_labels(meta, service);
    }
    let (mut targets, mut seen) = (Vec::new(), Behind::new());
    for port in list(object, "/ports") {
        let number = number(port, "/port");
        for endpoint in list(object, "/endpoints") {
            for address in list(endpoint, "/addresses").iter().filter_map(Value::as_str) {
                let mut target = Meta::default();
                target
                    .address(&host_port(address, number))
                    .set("endpointslice_port", &number.to_string())
                    .set("endpointslice_port_name", text(port, "/name"))
                    .set("endpointslice_port_protocol", protocol(port))
                    .set("endpointslice_port_app_protocol", text(port, "/appProtocol"))
                    .set("endpointslice_endpoint_hostname", text(endpoint, "/hostname"))
                    .set("endpointslice_endpoint_node_name", text(endpoint, "/nodeName"))
                    .set("endpointslice_endpoint_zone", text(endpoint, "/zone"))
                    .set("endpointslice_address_target_kind", text(endpoint, "/targetRef/kind"))
                    .set("endpointslice_address_target_name", text(endpoint, "/targetRef/name"));
                for condition in ["ready", "serving", "terminating"] {
                    if let Some(is) = endpoint["conditions"][condition].as_bool() {
                        target.set(&format!("endpointslice_endpoint_conditions_{condition}"), &is.to_string());
                    }
                }
                for (name, value) in endpoint["deprecatedTopology"].as_object().into_iter().flatten() {
                    let name = clean(name);
                    target.set(&format!("endpointslice_endpoint_topology_{name}"), value.as_str().unwrap_or_default());
                    target.set(&format!("endpointslice_endpoint_topology_present_{name}"), "true");
                }
                behind(&mut target, objects, namespace, &endpoint["targetRef"], number, &mut seen);
                attach_node(&mut target, objects, options, text(endpoint, "/nodeName"));
                targets.push(target);
            }
        }
    }
    targets.extend(other_ports(&seen));
    targets
}

fn ingress(meta: &mut Meta, object: &Value) -> Vec<Meta> {
    meta.set("ingress_name", text(object, "/metadata/name"))
        .set("ingress_class_name", text(object, "/spec/ingressClassName"))
        .object("ingress", object);
    let secured: Vec<&str> =
        list(object, "/spec/tls").iter().flat_map(|tls| list(tls, "/hosts")).filter_map(Value::as_str).collect();
    let is_secured = |host: &str| {
        secured.iter().any(|pattern| {
            let tail = |text: &str| text.split_once('.').map(|(_, tail)| tail.to_owned());
            *pattern == host || (pattern.starts_with("*.") && tail(pattern) == tail(host))
        })
    };
    let mut targets = Vec::new();
    for rule in list(object, "/spec/rules") {
        let host = text(rule, "/host");
        let paths = list(rule, "/http/paths").iter().map(|path| text(path, "/path"));
        let mut paths: Vec<&str> = paths.map(|path| if path.is_empty() { "/" } else { path }).collect();
        if paths.is_empty() {
            paths.push("/");
        }
        for path in paths {
            let mut target = Meta::default();
            target
                .address(host)
                .set("ingress_scheme", if is_secured(host) { "https" } else { "http" })
                .set("ingress_host", host)
                .set("ingress_path", path);
            targets.push(target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use maru_monitoring::scrape::{Discovery, read_configuration};
    use serde_json::json;

    use super::*;

    fn options(role: &str) -> KubernetesDiscovery {
        let text = format!("scrape_configs: [{{job_name: a, kubernetes_sd_configs: [{{role: {role}}}]}}]");
        match read_configuration(&text, &|_| None).unwrap().scrape_configs[0].discoveries.remove(0) {
            Discovery::Kubernetes(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn seen(kind: Kind, objects: &[Value]) -> (Kind, BTreeMap<(String, String), Value>) {
        let key = |object: &Value| {
            (text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
        };
        (kind, objects.iter().map(|object| (key(object), object.clone())).collect())
    }

    #[test]
    fn pods_and_endpoints_have_the_labels_of_prometheus() {
        let pod = json!({
            "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app.kubernetes.io/name": "web"},
                "ownerReferences": [{"controller": true, "kind": "ReplicaSet", "name": "web"}]},
            "spec": {"nodeName": "n", "containers": [
                {"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]},
                {"name": "bare", "image": "j"}]},
            "status": {"podIP": "10.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let endpoints = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "subsets": [{"ports": [{"name": "http", "port": 80}],
                "addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"}}]}],
        });
        let service = json!({"metadata": {"name": "web", "namespace": "shop", "labels": {"team": "a"}}});
        let objects: Objects =
            [seen(Kind::Pod, &[pod]), seen(Kind::Endpoints, &[endpoints]), seen(Kind::Service, &[service])].into();
        let found = groups(&objects, &options("pod"));
        assert_eq!(found[0].targets.len(), 3);
        assert_eq!(found[0].labels.get("__meta_kubernetes_pod_label_app_kubernetes_io_name"), Some("web"));
        assert_eq!(found[0].labels.get("__meta_kubernetes_pod_controller_kind"), Some("ReplicaSet"));
        assert_eq!(found[0].labels.get("__meta_kubernetes_pod_ready"), Some("true"));
        assert_eq!(found[0].targets[0].get("__address__"), Some("10.0.0.1:80"));
        assert_eq!(found[0].targets[2].get("__address__"), Some("10.0.0.1"));
        let found = groups(&objects, &options("endpoints"));
        assert_eq!(found[0].labels.get("__meta_kubernetes_service_label_team"), Some("a"));
        let addresses: Vec<_> = found[0].targets.iter().map(|target| target.get("__address__").unwrap()).collect();
        assert_eq!(addresses, ["10.0.0.1:80", "10.0.0.1:81"]);
        assert_eq!(found[0].targets[0].get("__meta_kubernetes_pod_container_port_name"), Some("http"));
        assert_eq!(found[0].targets[0].get("__meta_kubernetes_endpoint_address_target_name"), Some("web-1"));
    }

    #[test]
    fn an_ingress_with_a_certificate_is_https() {
        let ingress = json!({
            "metadata": {"name": "i", "namespace": "shop"},
            "spec": {"tls": [{"hosts": ["*.example.com"]}], "rules": [
                {"host": "a.example.com", "http": {"paths": [{"path": "/x"}]}}, {"host": "b.test"}]},
        });
        let objects: Objects = [seen(Kind::Ingress, &[ingress])].into();
        let found = groups(&objects, &options("ingress"));
        let told: Vec<_> = found[0]
            .targets
            .iter()
            .map(|one| {
                (
                    one.get("__meta_kubernetes_ingress_scheme").unwrap(),
                    one.get("__meta_kubernetes_ingress_path").unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [("https", "/x"), ("http", "/")]);
    }
}
