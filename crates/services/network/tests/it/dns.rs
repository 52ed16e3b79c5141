//! DNS with real packets, and with `dig` where it is installed.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;
use maru_testkit::{in_network, require_root_or_skip, wait_until};
use serde_json::json;

use crate::machine::Machine;

const SERVER: &str = "10.96.0.10:53";

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn exchange(message: &Message) -> std::io::Result<Message> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(8)))?;
    socket.connect(SERVER.parse::<SocketAddr>().unwrap())?;
    socket.send(&message.to_vec().unwrap())?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    Ok(Message::from_bytes(&buffer[..length]).unwrap())
}

fn lookup(name: &str) -> (ResponseCode, Vec<String>) {
    let message = exchange(&question(name, RecordType::A)).unwrap();
    (message.metadata.response_code, message.answers.iter().map(|record| record.data.to_string()).collect())
}

/// A server for all other names at 127.0.0.1:53 that counts what it is asked.
fn upstream(asked: Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            asked.fetch_add(1, Ordering::SeqCst);
            let query = Message::from_bytes(&buffer[..length]).unwrap();
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.metadata.message_type = MessageType::Response;
            let asked_for = query.queries[0].clone();
            let name = asked_for.name().clone();
            answer.add_query(asked_for);
            if name.to_ascii().contains("missing") {
                answer.metadata.response_code = ResponseCode::NXDomain;
            } else {
                answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 80))));
            }
            drop(socket.send_to(&answer.to_vec().unwrap(), client));
        }
    });
}

#[test]
fn pods_resolve_names_of_the_cluster_and_of_the_world() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let pod = running.pod(5).await;
        let ports = json!([{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080 }]);
        machine.service("web", json!({ "clusterIP": "10.96.0.20", "ports": ports }), &[6]);
        machine.service("alias", json!({ "type": "ExternalName", "externalName": "Example.com", "ports": [] }), &[]);
        let web = "web.shop.svc.cluster.local.";
        wait_until(Duration::from_secs(10), "the name is known", || {
            std::future::ready(
                in_network(&pod, || lookup(web)) == (ResponseCode::NoError, vec!["10.96.0.20".to_owned()]),
            )
        })
        .await;
        let in_pod = |name: &'static str| in_network(&pod, || lookup(name));
        assert_eq!(in_pod("web.other.svc.cluster.local.").0, ResponseCode::NXDomain);
        assert_eq!(in_pod("example.com.shop.svc.cluster.local.").0, ResponseCode::NXDomain);

        // Nobody to ask: said at once, not after a timeout.
        let start = tokio::time::Instant::now();
        assert_eq!(in_pod("example.com.").0, ResponseCode::ServFail);
        assert!(start.elapsed() < Duration::from_secs(1));

        let asked = Arc::new(AtomicUsize::new(0));
        upstream(Arc::clone(&asked));
        machine.directory.write("resolv.conf", "nameserver 10.96.0.10\nnameserver 127.0.0.1\n");
        wait_until(Duration::from_secs(10), "the file is read again", || {
            std::future::ready(in_pod("example.com.").0 == ResponseCode::NoError)
        })
        .await;
        let before = asked.load(Ordering::SeqCst);
        for _ in 0..10 {
            assert_eq!(in_pod("EXAMPLE.com."), (ResponseCode::NoError, vec!["192.0.2.80".to_owned()]));
        }
        assert_eq!(asked.load(Ordering::SeqCst), before, "what is kept is not asked again");
        assert_eq!(
            in_pod("alias.shop.svc.cluster.local."),
            (ResponseCode::NoError, vec!["example.com.".to_owned(), "192.0.2.80".to_owned()])
        );
        assert_eq!(in_pod("missing.example.").0, ResponseCode::NXDomain);
        let text = machine.registry.render();
        for name in [
            "coredns_dns_requests_total",
            "coredns_cache_hits_total",
            "coredns_dns_responses_total{zone=\"cluster\",rcode=\"NXDOMAIN\"}",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
        running.stop(&machine).await;
    });
}

#[test]
fn dig_agrees() {
    require_root_or_skip!();
    if Command::new("dig").arg("-v").output().is_err() {
        println!("skipped: dig is not installed");
        return;
    }
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let pod = running.pod(5).await;
        let ports = json!([{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080 }]);
        let all: Vec<u8> = (20..180).collect();
        machine.service("wide", json!({ "clusterIP": "None", "ports": ports }), &all);
        let dig = |arguments: &[&str]| {
            let output = in_network(&pod, || {
                Command::new("dig").args(["@10.96.0.10", "+time=3", "+tries=1"]).args(arguments).output()
            });
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let wide = "wide.shop.svc.cluster.local";
        wait_until(Duration::from_secs(10), "the name is known", || {
            std::future::ready(dig(&["+short", wide]).lines().count() == 160)
        })
        .await;
        let over_udp = dig(&["+ignore", wide]);
        assert!(over_udp.contains("flags: qr aa tc rd ra"), "{over_udp}");
        assert!(dig(&["+tcp", "+short", wide]).lines().count() == 160, "over TCP");
        assert!(dig(&["+noedns", wide, "AAAA"]).contains("status: NOERROR"));
        assert!(dig(&["+edns=1", "+noednsneg", wide]).contains("BADVERS"));
        assert!(dig(&["-x", "10.96.77.77"]).contains("NXDOMAIN"));
        assert!(
            dig(&["_http._tcp.wide.shop.svc.cluster.local", "SRV", "+short", "+tcp"])
                .contains("0 100 8080 10-42-0-20.wide.shop.svc.cluster.local.")
        );
        assert!(
            dig(&["cluster.local", "SOA", "+short"]).starts_with("ns.dns.cluster.local. hostmaster.cluster.local.")
        );
        // Several questions on one connection.
        let two =
            dig(&["+tcp", "+keepopen", "+short", "dns-version.cluster.local", "TXT", "ns.dns.cluster.local", "A"]);
        assert!(two.contains("\"1.1.0\"") && two.contains("10.96.0.10"), "{two}");
        running.stop(&machine).await;
    });
}
