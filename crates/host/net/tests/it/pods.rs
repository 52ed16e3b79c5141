//! Pods reach each other, the machine and back; everything is kept, repaired and removed as promised.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use maru_net::{
    HostLinkOptions, HostLinks, PodAttachment, PodNamespaces, PodNetworkOptions, PodNetworks, detect_uplink,
};
use maru_testkit::{Host, Leftovers, TempDir, in_network, links, require_root_or_skip};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);

struct Machine {
    host: Host,
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { host: Host::new(), directory: TempDir::new() }
    }

    fn host_options(&self) -> HostLinkOptions {
        HostLinkOptions {
            directory: self.directory.join("run"),
            node_address: NODE,
            service_cidr: "10.96.0.0/16".parse().unwrap(),
        }
    }

    fn networks(&self) -> PodNetworks {
        PodNetworks::new(PodNetworkOptions {
            instance: "test".to_owned(),
            directory: self.directory.join("run/pods"),
            gateway: PodNetworkOptions::GATEWAY,
            node_address: NODE,
            mtu: 1400,
        })
    }

    fn leftovers(&self) -> Leftovers {
        Leftovers {
            mounts_under: vec![self.directory.path().to_owned()],
            empty_directories: vec![self.directory.join("run/pods")],
            link_prefixes: vec!["mv".to_owned()],
            ..Leftovers::default()
        }
    }
}

fn pod(number: u8) -> PodAttachment {
    PodAttachment {
        uid: format!("pod-{number}"),
        address: IpAddr::V4(Ipv4Addr::new(10, 42, 0, number)),
        hostname: format!("web-{number}"),
        sysctls: BTreeMap::from([("net.core.somaxconn".to_owned(), "777".to_owned())]),
    }
}

/// Listens in a pod and answers one connection with the address that it came from.
fn answer_once(pod: &PodNamespaces, port: u16) -> std::thread::JoinHandle<SocketAddr> {
    let listener = in_network(&pod.net, || TcpListener::bind(("0.0.0.0", port))).unwrap();
    std::thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        peer
    })
}

fn ask(address: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(5)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn pods_reach_each_other_and_the_machine_and_nothing_is_left() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let forwards = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        let before = forwards();
        let links = HostLinks::prepare(machine.host_options()).await.unwrap();
        let networks = machine.networks();
        let first = networks.attach(&pod(5)).await.unwrap();
        let second = networks.attach(&pod(6)).await.unwrap();

        let server = answer_once(&second, 80);
        assert_eq!(in_network(&first.net, || ask("10.42.0.6:80")), "hello");
        assert_eq!(server.join().unwrap().ip(), pod(5).address);

        let server = answer_once(&second, 80);
        assert_eq!(ask("10.42.0.6:80"), "hello");
        assert_eq!(server.join().unwrap().ip(), NODE, "the machine speaks with the node's address");

        // A process of the machine that binds a service address sees the pod's own address.
        let listener = TcpListener::bind("10.96.0.10:53").unwrap();
        let asking = in_network(&first.net, || {
            TcpStream::connect_timeout(&"10.96.0.10:53".parse().unwrap(), Duration::from_secs(5))
        });
        assert_eq!(listener.accept().unwrap().1.ip(), pod(5).address);
        drop(asking.unwrap());

        for uid in ["pod-5", "pod-6", "pod-7"] {
            networks.detach(uid).await.unwrap();
        }
        links.teardown().await.unwrap();
        assert!(TcpListener::bind("10.96.0.10:53").is_err(), "the service range is not local any more");
        assert!(TcpListener::bind("10.42.0.1:53").is_err(), "the node's address is gone");
        assert_eq!(forwards(), before, "forwarding is as it was");
        machine.leftovers().assert_none();
    });
}

#[test]
fn namespaces_have_name_settings_and_limits_of_their_own() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let _links = HostLinks::prepare(machine.host_options()).await.unwrap();
        let networks = machine.networks();
        let namespaces = networks.attach(&pod(5)).await.unwrap();
        let read = |name: &str| {
            in_network(&namespaces.net, || {
                std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned()
            })
        };
        assert_eq!(read("core/somaxconn"), "777");
        assert_eq!(read("ipv4/ip_unprivileged_port_start"), "0");
        let route = in_network(&namespaces.net, || std::fs::read_to_string("/proc/thread-self/net/route").unwrap());
        assert_eq!(route.lines().count(), 3, "the default route and the gateway's: {route}");
        let hostname = std::process::Command::new("nsenter")
            .arg(format!("--uts={}", namespaces.uts.display()))
            .arg("hostname")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&hostname.stdout).trim(), "web-5");
        networks.teardown().await.unwrap();
    });
}

#[test]
fn attaching_again_keeps_the_namespace_and_repairs_the_link() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let _links = HostLinks::prepare(machine.host_options()).await.unwrap();
        let networks = machine.networks();
        let namespaces = networks.attach(&pod(5)).await.unwrap();
        let server = answer_once(&namespaces, 80);

        // A second daemon finds the pod and attaches it again: nothing changes for who listens.
        let adopted = machine.networks();
        assert_eq!(adopted.existing().unwrap(), [pod(5)]);
        assert_eq!(adopted.attach(&pod(5)).await.unwrap(), namespaces);
        assert_eq!(links("mv").len(), 1);

        // Somebody deletes the link: attaching makes a new one, in the same namespace.
        let link = networks.link_name("pod-5");
        machine.host.output("ip", &["link", "del", &link]);
        networks.attach(&pod(5)).await.unwrap();
        assert_eq!(ask("10.42.0.5:80"), "hello");
        server.join().unwrap();

        // Another address: the old one is gone.
        let moved = PodAttachment { address: "10.42.0.77".parse().unwrap(), ..pod(5) };
        networks.attach(&moved).await.unwrap();
        let server = answer_once(&namespaces, 80);
        assert_eq!(ask("10.42.0.77:80"), "hello");
        server.join().unwrap();
        assert_eq!(networks.existing().unwrap(), [moved]);

        // After a reboot there are files but no namespaces.
        networks.detach("pod-5").await.unwrap();
        machine.directory.write("run/pods/pod-9/net", "");
        assert_eq!(networks.existing().unwrap(), []);
        assert_eq!(networks.remains().unwrap(), ["pod-9"]);
        networks.attach(&pod(9)).await.unwrap();
        assert_eq!(networks.existing().unwrap(), [pod(9)]);
        networks.teardown().await.unwrap();
        assert_eq!(networks.existing().unwrap(), []);
        assert_eq!(links("mv"), [] as [String; 0]);
    });
}

#[test]
fn teardown_leaves_another_instance_alone() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let _links = HostLinks::prepare(machine.host_options()).await.unwrap();
        let networks = machine.networks();
        let other = PodNetworks::new(PodNetworkOptions {
            instance: "other".to_owned(),
            directory: machine.directory.join("other"),
            gateway: PodNetworkOptions::GATEWAY,
            node_address: NODE,
            mtu: 1500,
        });
        networks.attach(&pod(5)).await.unwrap();
        other.attach(&pod(6)).await.unwrap();
        networks.teardown().await.unwrap();
        assert_eq!(other.existing().unwrap(), [pod(6)]);
        assert_eq!(links("mv"), [other.link_name("pod-6")]);
        other.teardown().await.unwrap();
    });
}

#[test]
fn many_pods_at_once() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let _links = HostLinks::prepare(machine.host_options()).await.unwrap();
        let networks = machine.networks();
        let pods: Vec<PodAttachment> = (5..25).map(pod).collect();
        let start = tokio::time::Instant::now();
        let results = futures::future::join_all(pods.iter().map(|pod| networks.attach(pod))).await;
        results.into_iter().for_each(|result| drop(result.unwrap()));
        println!("20 pods attached in {:?}", start.elapsed());
        assert_eq!(networks.existing().unwrap().len(), 20);
        networks.teardown().await.unwrap();
    });
}

#[test]
fn the_uplink_is_the_default_routes_link() {
    require_root_or_skip!();
    let (host, outside) = (Host::new(), Host::new());
    assert_eq!(host.block_on(detect_uplink()).unwrap(), None);
    host.connect("eth0", Ipv4Addr::new(192, 0, 2, 1), &outside, "eth0", Ipv4Addr::new(192, 0, 2, 2), 24);
    host.connect("eth1", Ipv4Addr::new(198, 51, 100, 1), &outside, "eth1", Ipv4Addr::new(198, 51, 100, 2), 24);
    let uplink = host.block_on(detect_uplink()).unwrap().unwrap();
    assert_eq!((uplink.link.as_str(), uplink.address), ("eth0", Ipv4Addr::new(192, 0, 2, 1)));
    host.add_route(Ipv4Addr::UNSPECIFIED, 0, Ipv4Addr::new(198, 51, 100, 2));
    let uplink = host.block_on(detect_uplink()).unwrap().unwrap();
    assert_eq!((uplink.link.as_str(), uplink.mtu), ("eth1", 1500));
}
