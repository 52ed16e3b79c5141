//! Requests and both forms of answers come back; damage is found.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Histogram, Labels, ResetHint, Span, stale_marker};

fn request() -> ReadRequest {
    let matcher = |operator, value| Matcher::new("job", operator, value).unwrap();
    ReadRequest {
        queries: vec![ReadQuery {
            start_ms: -5,
            end_ms: 1_000,
            matchers: vec![
                matcher(MatcherOperator::Equal, "a"),
                matcher(MatcherOperator::NotEqual, "b"),
                matcher(MatcherOperator::Matches, "a|c"),
                matcher(MatcherOperator::NotMatches, "d.*"),
            ],
            hints: Some(ReadHints {
                step_ms: 15_000,
                function: "rate".into(),
                start_ms: 1,
                end_ms: 2,
                grouping: vec!["job".into()],
                by: true,
                range_ms: 300_000,
            }),
        }],
        accepted_response_types: vec![9, 1, 0],
    }
}

#[test]
fn requests_come_back_and_name_the_first_form_that_is_known() {
    let decoded = ReadRequest::decode(&request().encode()).unwrap();
    assert_eq!(decoded, request());
    assert_eq!(decoded.response_type(), Ok(ResponseType::StreamedXorChunks));
    assert_eq!(ReadRequest::default().response_type(), Ok(ResponseType::Samples));
    let unknown = ReadRequest { accepted_response_types: vec![7], ..ReadRequest::default() };
    assert_eq!(unknown.response_type(), Err(ReadError::ResponseType(vec![7])));
}

fn histogram(count: f64, hint: ResetHint) -> Arc<Histogram> {
    Arc::new(Histogram {
        reset_hint: hint,
        schema: 2,
        zero_threshold: 2.0_f64.powi(-128),
        zero_count: 1.0,
        count,
        sum: count * 1.5,
        positive_spans: vec![Span { offset: -3, length: 1 }, Span { offset: 4, length: 1 }],
        negative_spans: vec![],
        positive_buckets: vec![count - 3.5, 2.5],
        negative_buckets: vec![],
        custom_values: vec![],
    })
}

fn marker() -> Arc<Histogram> {
    Arc::new(Histogram {
        sum: stale_marker(),
        count: 0.0,
        zero_count: 0.0,
        zero_threshold: 0.0,
        schema: 0,
        positive_spans: vec![],
        positive_buckets: vec![],
        ..histogram(4.0, ResetHint::Unknown).as_ref().clone()
    })
}

#[test]
fn floats_and_histograms_come_back_from_both_forms() {
    let labels = Labels::from_pairs([("__name__", "x"), ("job", "a")]);
    let timestamps: Vec<i64> = (0..300).map(|index| index * 15_000 + index % 7).collect();
    let values: Vec<f64> = (0..300).map(|index| f64::from(index) * 0.1).collect();
    let custom = Arc::new(Histogram {
        schema: crate::CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        zero_count: 0.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, 3.0],
        custom_values: vec![0.005, 0.1 + 0.2, 1e9],
        count: 4.0,
        ..histogram(4.0, ResetHint::Unknown).as_ref().clone()
    });
    let histograms = vec![
        (1_000_i64, histogram(6.0, ResetHint::Unknown)),
        (2_000, histogram(8.0, ResetHint::NotCounterReset)),
        (3_000, marker()),
        (4_000, histogram(5.0, ResetHint::Unknown)),
        (5_000_000, histogram(4.0, ResetHint::CounterReset)),
        (5_001_000, histogram(9.0, ResetHint::Gauge)),
        (5_002_000, histogram(5.0, ResetHint::Gauge)),
        (5_003_000, custom),
    ];
    let series = ReadSeries { labels: &labels, timestamps: &timestamps, values: &values, histograms: &histograms };

    let mut stream = Vec::new();
    chunked_series(3, &series, 300, &mut stream);
    let frames = decode_frames(&stream).unwrap();
    assert!(frames.len() > 1, "{} frames", frames.len());
    assert!(frames.iter().all(|frame| frame.labels == labels && frame.query_index == 3));
    let all: Vec<i64> = frames.iter().flat_map(|frame| frame.timestamps.clone()).collect();
    assert_eq!(all, timestamps);
    let all: Vec<f64> = frames.iter().flat_map(|frame| frame.values.clone()).collect();
    assert_eq!(all, values);
    let all: Vec<_> = frames.iter().flat_map(|frame| frame.histograms.clone()).collect();
    assert_eq!(format!("{all:?}"), format!("{histograms:?}"));

    let mut response = SamplesResponse::new();
    response.end_query();
    response.series(&series);
    response.end_query();
    let decoded = SamplesResponse::decode(&response.finish()).unwrap();
    assert!(decoded[0].is_empty());
    let (own, floats, decoded) = &decoded[1][0];
    assert_eq!((own, floats.len()), (&labels, 300));
    assert!(floats.iter().zip(&timestamps).zip(&values).all(|((own, time), value)| *own == (*time, *value)));
    assert_eq!(decoded.len(), histograms.len());
}

#[test]
fn the_checksum_is_castagnolis_and_damage_is_found() {
    // RFC 3720 B.4.
    assert_eq!(super::chunks::checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(super::chunks::checksum(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(super::chunks::checksum(b"123456789"), 0xe306_9283);
    let labels = Labels::from_pairs([("a", "b")]);
    let series = ReadSeries { labels: &labels, timestamps: &[1, 2], values: &[1.0, 2.0], histograms: &[] };
    let mut stream = Vec::new();
    chunked_series(0, &series, 1 << 20, &mut stream);
    let last = stream.len() - 1;
    stream[last] ^= 1;
    assert_eq!(decode_frames(&stream), Err(FrameError::Checksum(stream.len() - 5)));
}

#[test]
fn a_chunk_has_prometheus_bits() {
    // Written out by hand from the format's description: count 2; timestamp 1 as zigzag; 1.0 whole; difference 1; equal value.
    let chunk = super::xor::encode(&[1, 2], &[1.0, 1.0]);
    assert_eq!(chunk, [0, 2, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 1, 0]);
}

proptest! {
    #[test]
    fn chunks_are_lossless(samples in proptest::collection::btree_map(any::<i64>(), any::<u64>(), 1..200)) {
        let timestamps: Vec<i64> = samples.keys().copied().collect();
        let values: Vec<f64> = samples.values().map(|bits| f64::from_bits(*bits)).collect();
        let (mut out_times, mut out_values) = (Vec::new(), Vec::new());
        super::xor::decode(&super::xor::encode(&timestamps, &values), &mut out_times, &mut out_values).unwrap();
        prop_assert_eq!(out_times, timestamps);
        prop_assert!(out_values.iter().zip(&values).all(|(left, right)| left.to_bits() == right.to_bits()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        std::hint::black_box(ReadRequest::decode(&bytes).is_ok());
        std::hint::black_box(SamplesResponse::decode(&bytes).is_ok());
        std::hint::black_box(decode_frames(&bytes).is_ok());
        std::hint::black_box(super::xor::decode(&bytes, &mut Vec::new(), &mut Vec::new()).is_ok());
        std::hint::black_box(super::histogram_chunk::decode(&bytes, &mut Vec::new()).is_ok());
    }
}
