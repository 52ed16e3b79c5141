//! Vectors, limits and properties of the codec.

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    DecodeError, Decoder, Encoder, Frame, GoAwayStatus, Headers, Limits, Received, ResetStatus, Session, Setting,
    StreamId,
};

fn stream(number: u32) -> StreamId {
    StreamId::new(number)
}

fn bytes(text: &str) -> Vec<u8> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn decode_all(bytes: &[u8], step: usize) -> Result<Vec<Frame>, DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    let mut frames = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        decoder.push(chunk);
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn encode_all(frames: &[Frame]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    for frame in frames {
        encoder.encode(frame, &mut out).unwrap();
    }
    out
}

/// Two streams of a port-forward; the header blocks were made by zlib with the dictionary, one stream for both.
const PORT_FORWARD: &str = concat!(
    "800300010100003d0000000100000000000078bbe3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c6061606100a4398b20d198",
    "094ade8c0600000000ffff",
    "800300010000001800000003000000000000c2aa19540e2512d60b000000ffff"
);

fn opening(number: u32, kind: &str, finished: bool) -> Frame {
    Frame::SynStream {
        stream: stream(number),
        associated: stream(0),
        priority: 0,
        finished,
        unidirectional: false,
        headers: [("streamtype", kind), ("port", "8080"), ("requestid", "0")].into_iter().collect(),
    }
}

#[test]
fn blocks_of_zlib_with_the_dictionary_are_read_at_any_cut() {
    let wanted = vec![opening(1, "error", true), opening(3, "data", false)];
    for step in [1, 2, 7, 60, 1000] {
        assert_eq!(decode_all(&bytes(PORT_FORWARD), step), Ok(wanted.clone()), "in steps of {step}");
    }
}

/// Every kind with its flags (§2.6).
fn every_kind() -> Vec<Frame> {
    vec![
        Frame::Settings { clear: true, settings: vec![Setting { flags: 1, id: 4, value: 100 }] },
        opening(1, "data", true),
        Frame::SynReply { stream: stream(1), finished: false, headers: Headers::default() },
        Frame::Headers { stream: stream(1), finished: true, headers: [("a", "b")].into_iter().collect() },
        Frame::RstStream { stream: stream(1), status: ResetStatus::RefusedStream },
        Frame::RstStream { stream: stream(0x7fff_ffff), status: ResetStatus::Other(77) },
        Frame::Ping { id: 0xffff_fffe },
        Frame::WindowUpdate { stream: stream(0), delta: 0x7fff_ffff },
        Frame::Data { stream: stream(1), finished: true, data: Bytes::from_static(b"content") },
        Frame::Data { stream: stream(1), finished: true, data: Bytes::new() },
        Frame::GoAway { last: stream(1), status: GoAwayStatus::ProtocolError },
    ]
}

#[test]
fn frames_have_the_bytes_of_the_specification() {
    assert_eq!(encode_all(&[Frame::Ping { id: 1 }]), bytes("800300060000000400000001"));
    let reset = Frame::RstStream { stream: stream(3), status: ResetStatus::Cancel };
    assert_eq!(encode_all(&[reset]), bytes("80030003000000080000000300000005"));
    let away = Frame::GoAway { last: stream(5), status: GoAwayStatus::Ok };
    assert_eq!(encode_all(&[away]), bytes("80030007000000080000000500000000"));
    let data = Frame::Data { stream: stream(1), finished: true, data: Bytes::from_static(b"hi") };
    assert_eq!(encode_all(&[data]), bytes("00000001010000026869"));
    assert_eq!(encode_all(&every_kind()[..1]), bytes("800300040100000c000000010100000400000064"));
    assert_eq!(decode_all(&encode_all(&every_kind()), 4096), Ok(every_kind()));
}

#[test]
fn unknown_kinds_are_skipped_and_wrong_lengths_refused() {
    let with_unknown = bytes("8003000a00000002aaaa800300060000000400000001");
    assert_eq!(decode_all(&with_unknown, 3), Ok(vec![Frame::Ping { id: 1 }]));
    for (text, words) in [
        ("800200060000000400000001", "version 2"),
        ("8003000600000003000000", "PING frame cannot have 3 bytes"),
        ("80030003000000040000000300", "RST_STREAM frame cannot have"),
        ("80030004000000080000000201000004", "SETTINGS frame cannot have"),
        ("8003000100ffffff", "16777215 bytes is longer than the limit of 16384"),
        ("0000000000000000", "data frame names stream 0"),
        ("80030001000000040000000000", "SYN_STREAM frame names stream 0"),
        ("8003000200000006000000010000", "cut off"),
        ("800300020000000a00000001789ce3c6a7c2", "does not use the dictionary"),
        ("800300020000000a0000000178bb00000000", "another dictionary"),
        ("800300020000000b0000000178bbe3c6a7c2ff", "not deflated data"),
    ] {
        let error = decode_all(&bytes(text), 4096).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn long_header_blocks_are_refused_and_end_the_session() {
    let long = "x".repeat(20_000);
    let frame = Frame::Headers { stream: stream(1), finished: false, headers: [("a", &*long)].into_iter().collect() };
    let encoded = encode_all(&[frame, Frame::Ping { id: 1 }]);
    assert!(encoded.len() < 200, "it is small on the wire");
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(&encoded);
    assert_eq!(decoder.next_frame(), Err(DecodeError::HeadersTooLong { limit: 16 * 1024 }));
    decoder.push(&encoded);
    assert_eq!(decoder.next_frame(), Err(DecodeError::Ended));
}

#[test]
fn headers_have_many_values_and_no_second_name() {
    let mut headers: Headers = [("Stream-Type", "a")].into_iter().collect();
    headers.insert("stream-type", "b");
    assert_eq!(headers.all("stream-type").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((headers.get("stream-type"), headers.get("none")), (Some("a"), None));
    for (block, words) in [
        ("00000001", "cut off"),
        ("00000001000000016100000005", "cut off"),
        ("00000001000000000000000161", "empty"),
        ("0000000100000001410000000162", "lower case"),
        ("0000000200000001610000000162000000016100000000", "twice"),
        ("00000001000000016100000001ff", "UTF-8"),
        ("0000000000", "follow"),
    ] {
        let error = Headers::read(&bytes(block)).unwrap_err();
        assert!(error.to_string().contains(words), "{block}: {error}");
    }
}

#[test]
fn content_is_given_on_before_its_frame_has_come() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(&bytes("00000001"));
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.push(&bytes("01ffffff"));
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.push(b"some");
    let piece = Frame::Data { stream: stream(1), finished: false, data: Bytes::from_static(b"some") };
    assert_eq!(decoder.next_frame(), Ok(Some(piece)));
    decoder.push(&vec![0; 0x00ff_ffff - 4]);
    let Ok(Some(Frame::Data { finished: true, data, .. })) = decoder.next_frame() else { panic!("the rest") };
    assert_eq!(data.len(), 0x00ff_fffb);
}

#[test]
fn sessions_know_which_streams_are_open() {
    let limits = Limits { streams_max: 2, ..Limits::default() };
    let mut session = Session::new(limits);
    let answer = |stream, status| Received::Answer(Frame::RstStream { stream, status });
    let data = |number, finished| Frame::Data { stream: stream(number), finished, data: Bytes::from_static(b"x") };
    assert!(matches!(session.receive(opening(1, "error", true)), Received::Opened { finished: true, .. }));
    assert!(matches!(session.receive(opening(5, "data", false)), Received::Opened { finished: false, .. }));
    assert_eq!(session.receive(opening(7, "data", false)), answer(stream(7), ResetStatus::RefusedStream));
    assert_eq!(session.receive(opening(5, "data", false)), answer(stream(5), ResetStatus::ProtocolError));
    assert_eq!(session.receive(opening(8, "data", false)), answer(stream(8), ResetStatus::ProtocolError));
    assert_eq!(session.receive(data(9, false)), answer(stream(9), ResetStatus::InvalidStream));
    assert_eq!(session.receive(data(7, false)), Received::Nothing, "it was refused");
    assert!(matches!(session.receive(data(5, false)), Received::Data { finished: false, .. }));
    // Half-closed by the client: the server may still send.
    assert!(matches!(session.receive(data(5, true)), Received::Data { finished: true, .. }));
    session.sent(&data(1, true));
    assert_eq!(session.streams(), 1);
    session.sent(&data(5, true));
    assert_eq!(session.streams(), 0);
    assert_eq!(session.receive(data(5, false)), Received::Nothing, "it was on its way");
    assert!(matches!(session.receive(opening(9, "data", false)), Received::Opened { .. }));
    let reset = Frame::RstStream { stream: stream(9), status: ResetStatus::Cancel };
    assert!(matches!(session.receive(reset.clone()), Received::Reset { .. }));
    assert_eq!(session.receive(reset), Received::Nothing);
    assert_eq!(session.receive(Frame::Ping { id: 3 }), Received::Answer(Frame::Ping { id: 3 }));
    assert_eq!(session.receive(Frame::Ping { id: 2 }), Received::Nothing);
    let away = session.go_away(GoAwayStatus::Ok);
    assert_eq!(away, Frame::GoAway { last: stream(9), status: GoAwayStatus::Ok });
    assert_eq!(session.receive(away), Received::GoingAway);
}

fn any_headers() -> impl Strategy<Value = Headers> {
    prop::collection::btree_map("[a-z0-9-]{1,12}", "[ -~가-힣]{0,40}", 0..6)
        .prop_map(|map| map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let id = || (1u32..0x8000_0000).prop_map(StreamId::new);
    prop_oneof![
        (id(), any::<(u32, bool, bool)>(), 0u8..8, any_headers()).prop_map(
            |(stream, (associated, finished, unidirectional), priority, headers)| Frame::SynStream {
                stream,
                associated: StreamId::new(associated),
                priority,
                finished,
                unidirectional,
                headers
            }
        ),
        (id(), any::<bool>(), any_headers()).prop_map(|(stream, finished, headers)| Frame::SynReply {
            stream,
            finished,
            headers
        }),
        (id(), any::<bool>(), any_headers()).prop_map(|(stream, finished, headers)| Frame::Headers {
            stream,
            finished,
            headers
        }),
        (id(), any::<u32>())
            .prop_map(|(stream, number)| Frame::RstStream { stream, status: ResetStatus::from_number(number) }),
        any::<u32>().prop_map(|id| Frame::Ping { id }),
        (id(), any::<u32>())
            .prop_map(|(last, number)| Frame::GoAway { last, status: GoAwayStatus::from_number(number) }),
        (id(), 0u32..0x8000_0000).prop_map(|(stream, delta)| Frame::WindowUpdate { stream, delta }),
        (any::<bool>(), prop::collection::vec(any::<(u8, u32, u32)>(), 0..5)).prop_map(|(clear, settings)| {
            let setting = |&(flags, id, value): &(u8, u32, u32)| Setting { flags, id: id & 0x00ff_ffff, value };
            Frame::Settings { clear, settings: settings.iter().map(setting).collect() }
        }),
        (id(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(stream, finished, data)| Frame::Data { stream, finished, data: data.into() }),
    ]
}

/// Puts the pieces of each data frame together again.
fn joined(frames: Vec<Frame>) -> Vec<(Vec<u8>, bool)> {
    let mut out: Vec<(Vec<u8>, bool)> = Vec::new();
    for frame in frames {
        let Frame::Data { data, finished, .. } = frame else { continue };
        match out.last_mut() {
            Some((before, false)) => {
                before.extend(data);
                out.last_mut().unwrap().1 = finished;
            }
            _ => out.push((data.to_vec(), finished)),
        }
    }
    out
}

proptest! {
    #[test]
    fn frames_survive_the_wire(frames in prop::collection::vec(any_frame(), 0..12)) {
        prop_assert_eq!(decode_all(&encode_all(&frames), usize::MAX), Ok(frames));
    }

    #[test]
    fn cuts_do_not_matter(frames in prop::collection::vec(any_frame(), 0..8), step in 1usize..50) {
        let cut = decode_all(&encode_all(&frames), step).unwrap();
        let control = |frames: &[Frame]| frames.iter().filter(|frame| !matches!(frame, Frame::Data { .. })).cloned().collect::<Vec<_>>();
        prop_assert_eq!(control(&cut), control(&frames));
        prop_assert_eq!(joined(cut), joined(frames));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1usize..100) {
        drop(decode_all(&bytes, step));
    }

    #[test]
    fn damaged_sessions_never_panic(frames in prop::collection::vec(any_frame(), 1..6), place in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = encode_all(&frames);
        let index = place.index(bytes.len());
        bytes[index] = byte;
        let mut session = Session::new(Limits::default());
        for frame in decode_all(&bytes, 64).unwrap_or_default() {
            session.receive(frame);
            prop_assert!(session.streams() <= 256);
        }
    }

    #[test]
    fn arbitrary_blocks_never_exceed_the_limit(block in prop::collection::vec(any::<u8>(), 0..500)) {
        let mut frame = vec![0x80, 3, 0, 2, 0];
        let body = [&[0, 0, 0, 1, 0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2][..], &block].concat();
        frame.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        frame.extend(body);
        drop(decode_all(&frame, 4096));
    }
}
