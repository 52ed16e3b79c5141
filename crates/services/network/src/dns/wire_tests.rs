//! Packets that are whole, damaged and arbitrary.

use super::super::foreign::Foreign;
use super::super::name::{expand_name, to_wire};
use super::*;
use proptest::prelude::*;

fn query(name: &str, kind: u16, edns: bool) -> Vec<u8> {
    let mut packet = header(7, FLAG_RECURSION_DESIRED);
    packet.extend(to_wire(name).unwrap());
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(CLASS_IN.to_be_bytes());
    set_count(&mut packet, 4, 1);
    if edns {
        push_opt(&mut packet, Code::NoError, true);
        set_count(&mut packet, 10, 1);
    }
    packet
}

#[test]
fn queries_are_read_with_their_extension() {
    let read = Query::parse(&query("Web.Shop", KIND_A, true)).unwrap();
    assert_eq!(read.name, b"\x03web\x04shop");
    assert_eq!(read.edns, Some(Edns { udp_bytes: 1232, version: 0, dnssec_ok: true }));
    assert_eq!(read.udp_limit(), 1232);
    assert_eq!(Query::parse(&query("web", KIND_A, false)).unwrap().udp_limit(), 512);
}

#[test]
fn what_is_no_query_is_answered_or_ignored() {
    assert_eq!(Query::parse(b"x"), Err(NotAQuery::Silence));
    let mut response = query("web", KIND_A, false);
    response[2] |= 0x80;
    assert_eq!(Query::parse(&response), Err(NotAQuery::Silence), "answering answers would make loops");
    let mut update = query("web", KIND_A, false);
    update[2] = 5 << 3;
    let Err(NotAQuery::Answer(answer)) = Query::parse(&update) else { panic!("not implemented is said") };
    assert_eq!(answer[3] & 0xf, 4);
    let mut two = query("web", KIND_A, false);
    two[5] = 2;
    assert!(matches!(Query::parse(&two), Err(NotAQuery::Answer(answer)) if answer[3] & 0xf == 1));
    // A question whose name is a pointer to itself.
    let mut pointer = header(7, 0);
    pointer.extend([0xc0, 12, 0, 1, 0, 1]);
    set_count(&mut pointer, 4, 1);
    assert!(matches!(Query::parse(&pointer), Err(NotAQuery::Answer(_))));
}

#[test]
fn answers_that_do_not_fit_are_marked_and_stay_within_the_limit() {
    let query = Query::parse(&query("web.shop", KIND_A, true)).unwrap();
    let mut response = Response::new(&query, Code::NoError, true, 512);
    for last in 0..100 {
        response.push(Section::Answer, None, 5, &Data::Address(Ipv4Addr::new(10, 42, 0, last)));
    }
    let packet = response.finish();
    assert!(packet.len() <= 512, "{}", packet.len());
    assert_eq!(packet[2] & 0x02, 0x02);
}

/// What an upstream server would say: an address with a pointer to the question, an authority, an OPT record.
fn upstream(id: u16, query: &Query, ttl: u32) -> Vec<u8> {
    let mut response = Response::new(query, Code::NoError, false, 4096);
    response.push(Section::Answer, None, ttl, &Data::Address(Ipv4Addr::new(192, 0, 2, 1)));
    response.push(Section::Answer, None, 3600, &Data::Address(Ipv4Addr::new(192, 0, 2, 2)));
    let mut packet = response.finish();
    packet[..2].copy_from_slice(&id.to_be_bytes());
    packet
}

#[test]
fn foreign_answers_are_aged_and_get_the_clients_id_case_and_extension() {
    let asked = Query::parse(&query("example.com", KIND_A, true)).unwrap();
    let foreign = Foreign::parse(&upstream(99, &asked, 60), &asked, 99).unwrap();
    assert_eq!(foreign.ttl_seconds(300, 30), 60);
    assert_eq!(foreign.ttl_seconds(10, 30), 10);
    let mut client = query("eXample.COM", KIND_A, false);
    client[13] = b'e';
    client[14] = b'X';
    let client = Query::parse(&client).unwrap();
    let answer = foreign.answer(&client, 20, 512);
    assert_eq!(u16_at(&answer, 0), Some(7));
    assert!(answer.windows(7).any(|bytes| bytes == b"eXample"));
    let first = Record::read(&answer, HEADER_BYTES + client.question.len()).unwrap();
    assert_eq!(first.ttl, 40);
    assert_eq!(u16_at(&answer, 10), Some(0), "no OPT record for a client without EDNS");
    assert_eq!(Record::read(&answer, first.end).unwrap().end, answer.len());
    assert_eq!(u16_at(&foreign.answer(&asked, 0, 512), 10), Some(1));
    let short = foreign.answer(&client, 0, 40);
    assert_eq!((short[2] & 2, u16_at(&short, 6)), (2, Some(0)));
}

#[test]
fn foreign_answers_to_another_question_are_refused() {
    let asked = Query::parse(&query("example.com", KIND_A, true)).unwrap();
    let other = Query::parse(&query("example.org", KIND_A, true)).unwrap();
    assert!(Foreign::parse(&upstream(99, &other, 60), &asked, 99).is_none());
    assert!(Foreign::parse(&upstream(98, &asked, 60), &asked, 99).is_none());
    assert!(Foreign::parse(&asked.forwarded(99), &asked, 99).is_none(), "a query is no answer");
}

#[test]
fn names_that_cannot_be_are_refused() {
    assert_eq!(to_wire("web.shop."), to_wire("Web.shop"));
    assert_eq!(to_wire(""), Some(Vec::new()));
    for wrong in ["a..b", "..", &"x".repeat(64), &["abcdefghi"; 30].join(".")] {
        assert_eq!(to_wire(wrong), None, "{wrong}");
    }
}

#[test]
fn compressed_names_are_expanded_and_loops_end() {
    let packet = b"\x03com\x00\x07example\xc0\x00\x03www\xc0\x05\xc0\x13\xc0\x17";
    assert_eq!(expand_name(packet, 15).unwrap(), to_wire("www.example.com").unwrap());
    assert_eq!(expand_name(packet, 23), None, "a pointer to itself");
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(packet in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..600) {
        if let Ok(query) = Query::parse(&packet) {
            let answer = error(&query, Code::Refused);
            prop_assert!(Query::parse(&answer).is_err());
            drop(Foreign::parse(&packet, &query, query.id));
        }
        drop(expand_name(&packet, at));
        prop_assert!(Record::read(&packet, at).is_none_or(|record| record.end <= packet.len()));
    }

    #[test]
    fn damaged_upstream_answers_never_panic(position in 0usize..90, value in any::<u8>(), cut in 0usize..120, age in any::<u32>()) {
        let asked = Query::parse(&query("example.com", KIND_A, true)).unwrap();
        let mut packet = upstream(99, &asked, 60);
        if let Some(byte) = packet.get_mut(position) { *byte = value; }
        packet.truncate(cut.max(12));
        if let Some(foreign) = Foreign::parse(&packet, &asked, 99) {
            foreign.ttl_seconds(300, 30);
            drop(foreign.answer(&asked, age, 512));
            let mut response = Response::new(&asked, Code::NoError, true, 512);
            foreign.append_to(&mut response, 5);
            prop_assert!(response.finish().len() <= 512);
        }
    }

    #[test]
    fn damaged_queries_never_panic(position in 0usize..60, value in any::<u8>(), cut in 0usize..80) {
        let mut packet = query("a.b.c.svc.cluster.local", KIND_SRV, true);
        if let Some(byte) = packet.get_mut(position) { *byte = value; }
        packet.truncate(cut);
        if let Ok(query) = Query::parse(&packet) {
            prop_assert!(error(&query, Code::NoError).len() <= 512);
        }
    }
}
