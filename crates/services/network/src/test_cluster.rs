//! A small cluster that unit tests speak about.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::{
    Cluster, DnsOptions, Endpoint, EndpointPort, Namespace, NetworkOptions, Pod, Protocol, ServiceEntry, ServiceModel,
    ServicePort,
};

pub(crate) fn options() -> NetworkOptions {
    NetworkOptions {
        instance: "test".to_owned(),
        node_name: "node-1".to_owned(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        pod_cidr: "10.42.0.0/24".parse().unwrap(),
        node_address: Ipv4Addr::new(10, 42, 0, 1),
        in_process: Vec::new(),
        dns: DnsOptions::on(Ipv4Addr::new(10, 96, 0, 10)),
        registry: maru_telemetry::Registry::default(),
    }
}

pub(crate) fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::new(10, 42, 0, last),
        hostname: None,
        node: Some("node-1".to_owned()),
        ready: true,
        serving: true,
        terminating: false,
        ports: vec![EndpointPort { name: "http".to_owned(), protocol: Protocol::Tcp, port }],
    }
}

pub(crate) fn service(name: &str, last: u8, endpoints: Vec<Endpoint>) -> ServiceEntry {
    let ports = vec![ServicePort { name: "http".to_owned(), protocol: Protocol::Tcp, port: 80, node_port: None }];
    let service = ServiceModel {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        cluster_ip: Some(Ipv4Addr::new(10, 96, 0, last)),
        ports,
        ..ServiceModel::default()
    };
    ServiceEntry { service: Arc::new(service), endpoints }
}

/// Changes a service on its way into a cluster.
pub(crate) fn with(mut entry: ServiceEntry, change: impl FnOnce(&mut ServiceModel)) -> ServiceEntry {
    change(Arc::make_mut(&mut entry.service));
    entry
}

pub(crate) fn pod(name: &str, last: u8, labels: &[(&str, &str)]) -> Pod {
    Pod {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        address: Some(Ipv4Addr::new(10, 42, 0, last)),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Pod::default()
    }
}

pub(crate) fn cluster(services: Vec<ServiceEntry>, pods: Vec<Pod>) -> Cluster {
    let mut cluster = Cluster::default();
    for name in ["shop", "kube-system"] {
        let labels = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into();
        cluster.namespaces.insert(name.to_owned(), Arc::new(Namespace { name: name.to_owned(), labels }));
    }
    for entry in services {
        cluster.services.insert((entry.service.namespace.clone(), entry.service.name.clone()), entry);
    }
    for pod in pods {
        cluster.pods.insert((pod.namespace.clone(), pod.name.clone()), Arc::new(pod));
    }
    cluster
}
