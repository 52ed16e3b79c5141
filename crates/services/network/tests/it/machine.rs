//! A machine with pods that answer.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use maru_net::{HostLinkOptions, HostLinks, PodAttachment, PodNetworkOptions, PodNetworks};
use maru_network::{DnsOptions, InProcess, Network, NetworkOptions, Protocol};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_testkit::{Host, Leftovers, TempDir, in_network};
use serde_json::{Value, json};

use crate::api::Api;

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
pub(crate) const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
const TIMEOUT: Duration = Duration::from_secs(3);

/// A host with the node's links, and where its parts are.
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) directory: TempDir,
    pub(crate) api: Api,
    pub(crate) registry: Registry,
}

/// What runs on a machine.
pub(crate) struct Running {
    pub(crate) networks: PodNetworks,
    pub(crate) network: Network,
    pub(crate) links: HostLinks,
    pub(crate) scope: Scope,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine =
            Self { host: Host::new(), directory: TempDir::new(), api: Api::new(), registry: Registry::default() };
        for name in ["shop", "kube-system"] {
            let labels = json!({ "kubernetes.io/metadata.name": name });
            machine.api.put(
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }),
            );
        }
        machine.directory.write("resolv.conf", "");
        machine
    }

    pub(crate) fn options(&self) -> NetworkOptions {
        let mut dns = DnsOptions::on(DNS);
        dns.resolv_conf = self.directory.join("resolv.conf");
        NetworkOptions {
            instance: "test".to_owned(),
            node_name: "node-1".to_owned(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.42.0.0/24".parse().unwrap(),
            node_address: NODE,
            in_process: vec![InProcess { address: API, protocol: Protocol::Tcp, port: 443 }],
            dns,
            registry: self.registry.clone(),
        }
    }

    /// Starts all rooms of the network; call it inside the host.
    pub(crate) async fn start(&self) -> Running {
        let directory = self.directory.join("run");
        let links = HostLinkOptions {
            directory: directory.clone(),
            node_address: NODE,
            service_cidr: "10.96.0.0/16".parse().unwrap(),
        };
        let links = HostLinks::prepare(links).await.unwrap();
        let networks = PodNetworks::new(PodNetworkOptions {
            instance: "test".to_owned(),
            directory: directory.join("pods"),
            gateway: PodNetworkOptions::GATEWAY,
            node_address: NODE,
            mtu: 1500,
        });
        let running = self.start_unsynced(networks, links).await;
        running.network.synced().await;
        running
    }

    /// Starts the rooms upon links that are there, without waiting for the API.
    pub(crate) async fn start_unsynced(&self, networks: PodNetworks, links: HostLinks) -> Running {
        let scope = Scope::root("test");
        let network = Network::start(&scope, self.api.client(), self.options()).await.unwrap();
        Running { networks, network, links, scope }
    }

    pub(crate) fn leftovers(&self) -> Leftovers {
        Leftovers {
            mounts_under: vec![self.directory.path().to_owned()],
            empty_directories: vec![self.directory.join("run/pods")],
            nft_prefixes: vec!["maru_".to_owned()],
            link_prefixes: vec!["mv".to_owned()],
            cgroups: Vec::new(),
        }
    }

    /// Creates a service with endpoints, as the control plane would.
    pub(crate) fn service(&self, name: &str, spec: Value, endpoints: &[u8]) {
        let metadata = json!({ "name": name, "namespace": "shop" });
        self.api.put(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec }));
        self.endpoints(name, spec["ports"].clone(), endpoints);
    }

    /// Sets a service's endpoints; target ports are the service's `targetPort`.
    pub(crate) fn endpoints(&self, service: &str, ports: Value, endpoints: &[u8]) {
        let of_port =
            |port: &Value| json!({ "name": port["name"], "protocol": port["protocol"], "port": port["targetPort"] });
        let ports: Vec<Value> = ports.as_array().unwrap().iter().map(of_port).collect();
        let of_endpoint = |last: &u8| json!({ "addresses": [format!("10.42.0.{last}")], "conditions": { "ready": true }, "nodeName": "node-1" });
        let endpoints: Vec<Value> = endpoints.iter().map(of_endpoint).collect();
        self.api.put(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": format!("{service}-1"), "namespace": "shop", "labels": { "kubernetes.io/service-name": service } },
            "endpoints": endpoints, "ports": ports,
        }));
    }
}

impl Running {
    /// Attaches a pod; returns its network namespace.
    pub(crate) async fn pod(&self, last: u8) -> PathBuf {
        let pod = PodAttachment {
            uid: format!("pod-{last}"),
            address: Ipv4Addr::new(10, 42, 0, last).into(),
            hostname: format!("pod-{last}"),
            sysctls: BTreeMap::new(),
        };
        self.networks.attach(&pod).await.unwrap().net
    }

    /// Removes everything and checks that it is gone.
    pub(crate) async fn stop(self, machine: &Machine) {
        self.scope.shutdown(Duration::from_secs(5)).await.unwrap();
        self.networks.teardown().await.unwrap();
        self.network.teardown().await.unwrap();
        self.links.teardown().await.unwrap();
        machine.leftovers().assert_none();
    }
}

/// Answers every TCP connection in a pod with `<name> <the client's address>` and what the client then sends.
pub(crate) fn serve_tcp(pod: &std::path::Path, port: u16, name: &str) {
    let listener = in_network(pod, || TcpListener::bind(("0.0.0.0", port))).unwrap();
    let name = name.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), name) = (stream, name.clone()) else { return };
            std::thread::spawn(move || {
                let peer = stream.peer_addr().unwrap().ip();
                drop(stream.write_all(format!("{name} {peer}\n").as_bytes()));
                let mut buffer = [0; 1024];
                while let Ok(length) = stream.read(&mut buffer) {
                    if length == 0 || stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Answers every datagram in a pod with `<name> <the client's address>`.
pub(crate) fn serve_udp(pod: &std::path::Path, port: u16, name: &str) {
    let socket = in_network(pod, || UdpSocket::bind(("0.0.0.0", port))).unwrap();
    let name = name.to_owned();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(format!("{name} {}", peer.ip()).as_bytes(), peer));
        }
    });
}

/// Connects and returns the first line.
pub(crate) fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = connect(address)?;
    first_line(&mut stream)
}

pub(crate) fn connect(address: &str) -> std::io::Result<TcpStream> {
    let address: SocketAddr = address.parse().unwrap();
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

pub(crate) fn first_line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    Ok(String::from_utf8(line).unwrap())
}

/// Sends a datagram and returns the answer.
pub(crate) fn ask_udp(socket: &UdpSocket, address: &str) -> std::io::Result<String> {
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"x", address)?;
    let mut buffer = [0; 1024];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
