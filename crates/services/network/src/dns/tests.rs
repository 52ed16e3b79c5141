//! Answers, read by an independent decoder.

use hickory_proto::op::{Message, MessageType, Query as Question, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;

use super::answer::{Reply, Terms, answer};
use super::name::to_wire;
use super::wire::{Query, UDP_BYTES_MAX};
use super::*;
use crate::test_cluster::{cluster, endpoint, options, service, with};

fn names() -> Names {
    let mut first = endpoint(5, 8080);
    first.hostname = Some("db-0".to_owned());
    let mut starting = endpoint(7, 8080);
    starting.ready = false;
    let headless = |entry| with(entry, |service| (service.cluster_ip, service.headless) = (None, true));
    let external = |name: &str, target: &str| {
        with(service(name, 0, Vec::new()), |service| {
            (service.cluster_ip, service.external_name) = (None, Some(target.to_owned()));
        })
    };
    let services = vec![
        service("web", 20, vec![endpoint(5, 8080)]),
        headless(service("db", 0, vec![first.clone(), endpoint(6, 8080), starting.clone()])),
        with(headless(service("peers", 0, vec![starting])), |service| service.publish_not_ready = true),
        external("elsewhere", "example.com"),
        external("alias", "web.shop.svc.cluster.local"),
        external("circle", "circle.shop.svc.cluster.local"),
        headless(service("wide", 0, (20..220).map(|last| endpoint(last, 80)).collect())),
    ];
    Names::build(&cluster(services, Vec::new()), &options(), 3)
}

fn reply(name: &str, kind: RecordType) -> Reply {
    let mut message = Message::query();
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    let query = Query::parse(&message.to_vec().unwrap()).unwrap();
    let zone = to_wire("cluster.local").unwrap();
    answer(Some(&names()), &zone, &query, Terms { limit: UDP_BYTES_MAX, ttl: 5, rotation: 0 })
}

fn ask(name: &str, kind: RecordType) -> Message {
    match reply(name, kind) {
        Reply::Ready(_, packet) => Message::from_bytes(&packet).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn names_of_services_lead_to_their_address() {
    let message = ask("web.shop.svc.cluster.local.", RecordType::A);
    assert_eq!((message.metadata.response_code, message.metadata.authoritative), (ResponseCode::NoError, true));
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert_eq!(data(&message), ["10.96.0.20"]);
    assert_eq!(message.answers[0].ttl, 5);
    assert_eq!(data(&ask("WEB.Shop.svc.CLUSTER.local.", RecordType::A)), ["10.96.0.20"]);
    assert_eq!(
        data(&ask("alias.shop.svc.cluster.local.", RecordType::A)),
        ["web.shop.svc.cluster.local.", "10.96.0.20"]
    );
    assert_eq!(data(&ask("alias.shop.svc.cluster.local.", RecordType::CNAME)), ["web.shop.svc.cluster.local."]);
    assert_eq!(ask("circle.shop.svc.cluster.local.", RecordType::A).metadata.response_code, ResponseCode::NoError);
}

#[test]
fn headless_services_lead_to_what_is_ready() {
    assert_eq!(data(&ask("db.shop.svc.cluster.local.", RecordType::A)), ["10.42.0.5", "10.42.0.6"]);
    assert_eq!(data(&ask("db-0.db.shop.svc.cluster.local.", RecordType::A)), ["10.42.0.5"]);
    assert_eq!(data(&ask("10-42-0-6.db.shop.svc.cluster.local.", RecordType::A)), ["10.42.0.6"]);
    assert_eq!(data(&ask("peers.shop.svc.cluster.local.", RecordType::A)), ["10.42.0.7"]);
    assert_eq!(
        ask("10-42-0-7.db.shop.svc.cluster.local.", RecordType::A).metadata.response_code,
        ResponseCode::NXDomain
    );
}

#[test]
fn ports_with_names_have_records() {
    assert_eq!(
        data(&ask("_http._tcp.web.shop.svc.cluster.local.", RecordType::SRV)),
        ["0 100 80 web.shop.svc.cluster.local."]
    );
    let message = ask("_http._tcp.db.shop.svc.cluster.local.", RecordType::SRV);
    assert_eq!(
        data(&message),
        ["0 100 8080 db-0.db.shop.svc.cluster.local.", "0 100 8080 10-42-0-6.db.shop.svc.cluster.local."]
    );
    assert!(matches!(message.answers[0].data, RData::SRV(_)));
}

#[test]
fn addresses_lead_back_to_names() {
    assert_eq!(data(&ask("20.0.96.10.in-addr.arpa.", RecordType::PTR)), ["web.shop.svc.cluster.local."]);
    assert_eq!(data(&ask("5.0.42.10.in-addr.arpa.", RecordType::PTR)), ["db-0.db.shop.svc.cluster.local."]);
    assert_eq!(ask("99.0.96.10.in-addr.arpa.", RecordType::PTR).metadata.response_code, ResponseCode::NXDomain);
    assert!(matches!(reply("1.2.0.192.in-addr.arpa.", RecordType::PTR), Reply::Forward));
}

#[test]
fn no_such_name_differs_from_no_such_data() {
    let none = |name: &str, kind| {
        let message = ask(name, kind);
        assert_eq!(message.answers.len(), 0, "{name}");
        assert_eq!(message.authorities.len(), 1, "negative answers can be kept only with the zone's authority: {name}");
        message.metadata.response_code
    };
    // Names that exist, also because others are beneath them.
    for name in ["web.shop.svc", "db.shop.svc", "shop.svc", "svc", "pod", "shop.pod", "_tcp.web.shop.svc"] {
        assert_eq!(none(&format!("{name}.cluster.local."), RecordType::AAAA), ResponseCode::NoError, "{name}");
    }
    assert_eq!(none("cluster.local.", RecordType::A), ResponseCode::NoError);
    // What the search path makes of outside names.
    for name in
        ["example.com.shop.svc", "example.com.svc", "example.com", "web.nowhere.svc", "x.web.shop.svc", "nowhere.pod"]
    {
        assert_eq!(none(&format!("{name}.cluster.local."), RecordType::A), ResponseCode::NXDomain, "{name}");
    }
}

#[test]
fn pods_have_names_of_their_address() {
    assert_eq!(data(&ask("10-42-0-9.shop.pod.cluster.local.", RecordType::A)), ["10.42.0.9"]);
    assert_eq!(
        ask("10-42-0-9.shop.pod.cluster.local.", RecordType::AAAA).metadata.response_code,
        ResponseCode::NoError
    );
    for wrong in ["10-42-0.shop.pod", "10-42-0-9.nowhere.pod", "10-42-0-9.x.shop.pod"] {
        assert_eq!(
            ask(&format!("{wrong}.cluster.local."), RecordType::A).metadata.response_code,
            ResponseCode::NXDomain
        );
    }
}

#[test]
fn the_zone_describes_itself() {
    assert_eq!(data(&ask("dns-version.cluster.local.", RecordType::TXT)), ["1.1.0"]);
    assert_eq!(data(&ask("cluster.local.", RecordType::NS)), ["ns.dns.cluster.local."]);
    assert_eq!(data(&ask("ns.dns.cluster.local.", RecordType::A)), ["10.96.0.10"]);
    assert_eq!(ask("cluster.local.", RecordType::SOA).answers.len(), 1);
    assert_eq!(ask("cluster.local.", RecordType::AXFR).metadata.response_code, ResponseCode::Refused);
}

#[test]
fn other_names_are_for_others() {
    assert!(matches!(reply("example.com.", RecordType::A), Reply::Forward));
    // Ends with the zone's letters, but is another name.
    assert!(matches!(reply("mycluster.local.", RecordType::A), Reply::Forward));
    let Reply::Follow { target, .. } = reply("elsewhere.shop.svc.cluster.local.", RecordType::A) else {
        panic!("an alias")
    };
    assert_eq!(target, to_wire("example.com").unwrap());
}

#[test]
fn long_answers_are_cut_and_say_so() {
    let message = ask("wide.shop.svc.cluster.local.", RecordType::A);
    assert!(message.metadata.truncation);
    assert!(message.answers.len() > 10);
}

#[test]
fn before_the_first_snapshot_nothing_is_said_about_the_cluster() {
    let mut message = Message::query();
    message.add_query(Question::query(Name::from_ascii("web.shop.svc.cluster.local.").unwrap(), RecordType::A));
    let query = Query::parse(&message.to_vec().unwrap()).unwrap();
    let zone = to_wire("cluster.local").unwrap();
    let Reply::Ready(code, _) = answer(None, &zone, &query, Terms { limit: 512, ttl: 5, rotation: 0 }) else {
        panic!("an answer")
    };
    assert_eq!(code, Code::ServerFailure);
}

#[test]
fn addresses_take_turns() {
    let names = names();
    let mut message = Message::query();
    message.add_query(Question::query(Name::from_ascii("db.shop.svc.cluster.local.").unwrap(), RecordType::A));
    let query = Query::parse(&message.to_vec().unwrap()).unwrap();
    let first = |rotation| {
        let terms = Terms { limit: 512, ttl: 5, rotation };
        let Reply::Ready(_, packet) = answer(Some(&names), names.zone(), &query, terms) else { panic!("an answer") };
        data(&Message::from_bytes(&packet).unwrap())[0].clone()
    };
    assert_eq!([first(0), first(1), first(2)], ["10.42.0.5", "10.42.0.6", "10.42.0.5"]);
}
