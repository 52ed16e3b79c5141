//! Services as clients see them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use maru_testkit::{Host, in_network, require_root_or_skip, wait_until};
use serde_json::{Value, json};

use crate::machine::{Machine, NODE, ask, ask_udp, connect, first_line, serve_tcp, serve_udp};

const SOON: Duration = Duration::from_secs(10);

fn http(service_port: u16) -> Value {
    json!([{ "name": "http", "protocol": "TCP", "port": service_port, "targetPort": 8080 }])
}

async fn until_answers(what: &str, ask: impl Fn() -> std::io::Result<String>, wanted: impl Fn(&str) -> bool) {
    wait_until(SOON, what, || std::future::ready(ask().is_ok_and(|answer| wanted(&answer)))).await;
}

#[test]
fn pods_and_the_machine_reach_services_and_see_each_others_addresses() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, first, second) = (running.pod(5).await, running.pod(6).await, running.pod(7).await);
        serve_tcp(&first, 8080, "first");
        serve_tcp(&second, 8080, "second");
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": http(80) }), &[6, 7]);
        let from_client = || in_network(&client, || ask("10.96.0.20:80"));
        until_answers("the service answers", from_client, |_| true).await;

        let answers: BTreeSet<String> = (0..40).map(|_| from_client().unwrap()).collect();
        assert_eq!(answers, BTreeSet::from(["first 10.42.0.5".to_owned(), "second 10.42.0.5".to_owned()]));
        let from_host: BTreeSet<String> = (0..40).map(|_| ask("10.96.0.20:80").unwrap()).collect();
        assert_eq!(from_host, BTreeSet::from([format!("first {NODE}"), format!("second {NODE}")]));

        // Hairpin: a pod that is its own backend sees the node, never itself.
        let hairpin: BTreeSet<String> = (0..40).map(|_| in_network(&first, || ask("10.96.0.20:80")).unwrap()).collect();
        assert_eq!(hairpin, BTreeSet::from([format!("first {NODE}"), "second 10.42.0.6".to_owned()]));

        // A service that nobody has, a port that it has not, and a service without endpoints refuse at once.
        machine.service("idle", json!({ "clusterIP": "10.96.0.21", "ports": http(80) }), &[]);
        let listener = TcpListener::bind("0.0.0.0:8443").unwrap();
        for address in ["10.96.0.21:80", "10.96.0.20:81", "10.96.0.99:80", "10.96.0.99:8443"] {
            assert_eq!(ask(address).unwrap_err().kind(), ErrorKind::ConnectionRefused, "{address}");
            let error = in_network(&client, || ask(address)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address} from a pod");
        }
        drop(listener);

        // The API's address ends in a process of this machine.
        let listener = TcpListener::bind("10.96.0.1:443").unwrap();
        let stream = in_network(&client, || connect("10.96.0.1:443")).unwrap();
        assert_eq!(listener.accept().unwrap().1, stream.local_addr().unwrap());

        machine.api.delete(
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "shop" } }),
        );
        wait_until(SOON, "the service is gone", || std::future::ready(from_client().is_err())).await;
        running.stop(&machine).await;
    });
}

#[test]
fn connections_go_on_while_endpoints_change() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, first, second) = (running.pod(5).await, running.pod(6).await, running.pod(7).await);
        serve_tcp(&first, 8080, "first");
        serve_tcp(&second, 8080, "second");
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": http(80) }), &[6]);
        until_answers("the service answers", || in_network(&client, || ask("10.96.0.20:80")), |_| true).await;

        let mut open = in_network(&client, || connect("10.96.0.20:80")).unwrap();
        assert_eq!(first_line(&mut open).unwrap(), "first 10.42.0.5");
        for round in 0..20u8 {
            machine.endpoints("web", http(80), if round.is_multiple_of(2) { &[6, 7] } else { &[7] });
            let answer = in_network(&client, || ask("10.96.0.20:80"));
            assert!(answer.is_ok(), "a new connection never fails while endpoints change: {answer:?}");
            open.write_all(&[round]).unwrap();
            let mut echo = [0xff];
            open.read_exact(&mut echo).unwrap();
            assert_eq!(echo, [round], "the open connection goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        machine.endpoints("web", http(80), &[7]);
        until_answers(
            "only the second answers",
            || in_network(&client, || ask("10.96.0.20:80")),
            |answer| answer.starts_with("second"),
        )
        .await;
        running.stop(&machine).await;
    });
}

#[test]
fn node_ports_are_reached_from_outside_and_see_the_client() {
    require_root_or_skip!();
    let machine = Machine::new();
    let outside = Host::new();
    outside.connect("eth0", Ipv4Addr::new(192, 0, 2, 2), &machine.host, "eth0", Ipv4Addr::new(192, 0, 2, 1), 24);
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, server) = (running.pod(5).await, running.pod(6).await);
        serve_tcp(&server, 8080, "server");
        let ports = json!([{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080 }]);
        machine.service("web", json!({ "type": "NodePort", "clusterIP": "10.96.0.20", "ports": ports }), &[6]);
        let from_outside = || outside.run(|| ask("192.0.2.1:30080"));
        until_answers("the node port answers", from_outside, |_| true).await;

        assert_eq!(from_outside().unwrap(), "server 192.0.2.2");
        assert_eq!(ask("192.0.2.1:30080").unwrap(), "server 192.0.2.1");
        assert_eq!(ask("127.0.0.1:30080").unwrap(), format!("server {NODE}"));
        assert_eq!(in_network(&client, || ask("10.42.0.1:30080")).unwrap(), "server 10.42.0.5");
        assert_eq!(in_network(&server, || ask("192.0.2.1:30080")).unwrap(), format!("server {NODE}"));

        // Pods leave through the machine's address; who they are outside is the machine.
        let listener = outside.run(|| TcpListener::bind("192.0.2.2:80")).unwrap();
        let stream = in_network(&client, || connect("192.0.2.2:80")).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), Ipv4Addr::new(192, 0, 2, 1));
        drop(stream);
        running.stop(&machine).await;
    });
}

#[test]
fn pods_cannot_send_from_other_addresses_or_to_the_machines_loopback() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (honest, liar) = (running.pod(5).await, running.pod(6).await);
        let receiver = UdpSocket::bind((NODE, 9999)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let sent = |pod: &std::path::Path, from: &str| {
            let from = from.to_owned();
            in_network(pod, || UdpSocket::bind((from.as_str(), 0)).unwrap().send_to(b"x", (NODE, 9999)).unwrap());
            receiver.recv_from(&mut [0; 8]).map(|(_, peer)| peer.ip().to_string())
        };
        assert_eq!(sent(&honest, "0.0.0.0").unwrap(), "10.42.0.5");
        machine.host.output(
            "nsenter",
            &[&format!("--net={}", liar.display()), "ip", "addr", "add", "10.42.0.5/32", "dev", "lo"],
        );
        assert!(sent(&liar, "10.42.0.5").is_err(), "a pod sends from its own address only");

        let loopback = TcpListener::bind("127.0.0.1:7777").unwrap();
        loopback.set_nonblocking(true).unwrap();
        for arguments in [
            ["addr", "del", "127.0.0.1/8", "dev", "lo", "", ""],
            ["route", "add", "127.0.0.1", "via", "169.254.1.1", "dev", "eth0"],
        ] {
            let mut command = vec!["--net", liar.to_str().unwrap(), "ip"];
            let net = format!("--net={}", liar.display());
            command = std::iter::once(net.as_str()).chain(command.drain(2..)).collect();
            command.extend(arguments.iter().filter(|argument| !argument.is_empty()));
            machine.host.output("nsenter", &command);
        }
        in_network(&liar, || std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")).unwrap();
        assert!(in_network(&liar, || connect("127.0.0.1:7777")).is_err());
        assert!(loopback.accept().is_err());
        running.stop(&machine).await;
    });
}

#[test]
fn udp_flows_leave_an_endpoint_that_goes() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, first, second) = (running.pod(5).await, running.pod(6).await, running.pod(7).await);
        serve_udp(&first, 5353, "first");
        serve_udp(&second, 5353, "second");
        let ports = json!([{ "name": "log", "protocol": "UDP", "port": 514, "targetPort": 5353 }]);
        machine.service("log", json!({ "clusterIP": "10.96.0.22", "ports": ports.clone() }), &[6]);
        let socket = in_network(&client, || UdpSocket::bind("0.0.0.0:0")).unwrap();
        until_answers(
            "the service answers",
            || ask_udp(&socket, "10.96.0.22:514"),
            |answer| answer == "first 10.42.0.5",
        )
        .await;
        machine.endpoints("log", ports, &[7]);
        // The same socket: the kernel would keep its flow at the first.
        until_answers(
            "the other one answers",
            || ask_udp(&socket, "10.96.0.22:514"),
            |answer| answer == "second 10.42.0.5",
        )
        .await;
        assert!(machine.registry.render().contains("maru_network_flows_forgotten_total 1\n"));
        running.stop(&machine).await;
    });
}

#[test]
fn clients_keep_their_endpoint_when_the_service_says_so() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let client = running.pod(5).await;
        for last in 6..10 {
            serve_tcp(&running.pod(last).await, 8080, &format!("pod-{last}"));
        }
        let spec = json!({ "clusterIP": "10.96.0.23", "sessionAffinity": "ClientIP", "ports": http(80) });
        machine.service("cart", spec, &[6, 7, 8, 9]);
        let from_client = || in_network(&client, || ask("10.96.0.23:80"));
        until_answers("the service answers", from_client, |_| true).await;
        let kept = from_client().unwrap();
        for _ in 0..20 {
            assert_eq!(from_client().unwrap(), kept);
        }
        // Another endpoint goes: the client stays where it is.
        let rest: Vec<u8> =
            [6, 7, 8, 9].into_iter().filter(|last| kept.starts_with(&format!("pod-{last}")) || *last > 7).collect();
        machine.endpoints("cart", http(80), &rest);
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            assert_eq!(from_client().unwrap(), kept);
        }
        running.stop(&machine).await;
    });
}

#[test]
fn rules_come_back_and_survive_a_restart() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let server = running.pod(6).await;
        serve_tcp(&server, 8080, "server");
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": http(80) }), &[6]);
        until_answers("the service answers", || ask("10.96.0.20:80"), |_| true).await;
        machine.host.output("nft", &["flush", "ruleset"]);
        let start = tokio::time::Instant::now();
        until_answers("the service answers again", || ask("10.96.0.20:80"), |_| true).await;
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        running.stop(&machine).await;
    });
}

#[test]
fn services_go_on_while_the_room_restarts() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, server) = (running.pod(5).await, running.pod(6).await);
        serve_tcp(&server, 8080, "server");
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": http(80) }), &[6]);
        let from_client = || in_network(&client, || ask("10.96.0.20:80"));
        until_answers("the service answers", from_client, |_| true).await;

        running.scope.shutdown(SOON).await.unwrap();
        assert!(from_client().is_ok(), "rules outlive the process");
        machine.api.set_open(false);
        let again = machine.start_unsynced(running.networks, running.links).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(from_client().is_ok(), "rules stay until the API was heard");
        machine.endpoints("web", http(80), &[]);
        machine.api.set_open(true);
        again.network.synced().await;
        assert_eq!(from_client().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        again.stop(&machine).await;
    });
}

#[test]
fn a_firewall_that_drops_what_passes_does_not_stop_pods() {
    require_root_or_skip!();
    if std::process::Command::new("iptables").arg("--version").output().is_err() {
        println!("skipped: iptables is not installed");
        return;
    }
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (client, server) = (running.pod(5).await, running.pod(6).await);
        serve_tcp(&server, 8080, "server");
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": http(80) }), &[6]);
        for chain in ["FORWARD", "INPUT"] {
            machine.host.output("iptables", &["-P", chain, "DROP"]);
        }
        until_answers("the service answers", || in_network(&client, || ask("10.96.0.20:80")), |_| true).await;
        assert!(in_network(&client, || connect("10.96.0.10:53")).is_ok(), "DNS answers");
        assert!(in_network(&client, || connect("10.42.0.1:53")).is_err(), "the rest of the machine stays closed");
        machine.host.output("iptables", &["-P", "INPUT", "ACCEPT"]);
        running.stop(&machine).await;
        assert!(!machine.host.output("iptables", &["-S"]).contains("maru"));
    });
}

#[test]
fn a_thousand_services_are_written_in_a_moment() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let server = running.pod(6).await;
        serve_tcp(&server, 8080, "server");
        let start = tokio::time::Instant::now();
        for number in 0..1000u16 {
            let [high, low] = (number + 256).to_be_bytes();
            machine.service(
                &format!("web-{number}"),
                json!({ "clusterIP": format!("10.96.{high}.{low}"), "ports": http(80) }),
                &[6],
            );
        }
        until_answers("the last service answers", || ask("10.96.4.231:80"), |_| true).await;
        println!("1000 services in {:?}", start.elapsed());
        let start = tokio::time::Instant::now();
        machine.service("one-more", json!({ "clusterIP": "10.96.200.1", "ports": http(80) }), &[6]);
        until_answers("one more answers", || ask("10.96.200.1:80"), |_| true).await;
        println!("one more in {:?}", start.elapsed());
        running.stop(&machine).await;
    });
}
