//! Chunks: round trips of histograms and arbitrary samples, sizes, damage.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of tests are small")]

use maru_prom::{ResetHint, Span};
use proptest::prelude::*;

use super::*;

pub(crate) fn histogram(seed: u64, buckets: usize, schema: i32) -> Histogram {
    let scale = seed as f64;
    Histogram {
        reset_hint: [ResetHint::Unknown, ResetHint::CounterReset, ResetHint::NotCounterReset, ResetHint::Gauge]
            [seed as usize % 4],
        schema,
        zero_threshold: 0.001,
        zero_count: scale,
        count: scale * 10.0,
        sum: scale * 0.37,
        positive_spans: vec![Span { offset: -3, length: buckets as u32 }],
        negative_spans: if seed.is_multiple_of(5) { vec![Span { offset: 2, length: 1 }] } else { Vec::new() },
        positive_buckets: (0..buckets).map(|bucket| scale * bucket as f64).collect(),
        negative_buckets: if seed.is_multiple_of(5) { vec![scale] } else { Vec::new() },
        custom_values: if schema == maru_prom::CUSTOM_BUCKETS_SCHEMA { vec![0.5; buckets] } else { Vec::new() },
    }
}

fn check_histograms(samples: &[(i64, Arc<Histogram>)]) -> usize {
    let mut back = Vec::new();
    let mut bytes = 0;
    for chunk in encode_histograms(samples).unwrap() {
        let packed = chunk.to_bytes();
        bytes += packed.len();
        decode_histograms(&packed, &mut back).unwrap();
    }
    assert_eq!(format!("{back:?}"), format!("{samples:?}"));
    bytes
}

#[test]
fn histograms_come_back_and_steady_ones_are_small() {
    let steady: Vec<_> = (1..=240)
        .map(|i| (i * 15_000, Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..histogram(i as u64 * 5, 20, 3) })))
        .collect();
    let bytes = check_histograms(&steady);
    assert!(bytes < 240 * 4, "{bytes}");
    let mut mixed: Vec<_> =
        (1..=60).map(|i| (i * 15_000, Arc::new(histogram(i as u64, (i as usize) % 7, 0)))).collect();
    mixed.push((61 * 15_000, Arc::new(histogram(61, 4, maru_prom::CUSTOM_BUCKETS_SCHEMA))));
    mixed.push((62 * 15_000, Arc::new(Histogram { sum: maru_prom::stale_marker(), ..histogram(1, 0, 0) })));
    check_histograms(&mixed);
    // More numbers than one chunk may hold: several chunks.
    let wide: Vec<_> = (1..=3).map(|i| (i, Arc::new(histogram(i as u64, CELLS_MAX / 2, 1)))).collect();
    assert!(encode_histograms(&wide).unwrap().len() > 1);
    check_histograms(&wide);
}

#[test]
fn sizes_out_of_limits_are_refused() {
    assert_eq!(encode_floats(&[], &[]), Err(ChunkError::Size(0)));
    assert_eq!(encode_floats(&[1], &[]), Err(ChunkError::Lengths { timestamps: 1, values: 0 }));
    assert!(encode_floats(&vec![0; SAMPLES_MAX + 1], &vec![0.0; SAMPLES_MAX + 1]).is_err());
    assert!(encode_histograms(&[(0, Arc::new(histogram(1, CELLS_MAX, 0)))]).is_err());
}

/// Every flipped bit and every cut is an error or other samples, never a panic.
fn damage(bytes: &[u8]) {
    for cut in 0..bytes.len() {
        assert!(EncodedChunk::from_bytes(&bytes[..cut]).is_err());
        assert!(decode_floats(&bytes[..cut], &mut Vec::new(), &mut Vec::new()).is_err());
        assert!(decode_histograms(&bytes[..cut], &mut Vec::new()).is_err());
    }
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (mut timestamps, mut values, mut histograms) = (vec![7], vec![7.0], Vec::new());
        let floats = decode_floats(&flipped, &mut timestamps, &mut values);
        assert_eq!(timestamps.len(), values.len());
        assert!(floats.is_ok() || timestamps == [7]);
        assert!(timestamps.len() <= SAMPLES_MAX + 1);
        drop(decode_histograms(&flipped, &mut histograms));
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn damaged_chunks_do_no_harm() {
    let timestamps: Vec<i64> = (0..150).map(|i| i * 15_000 + i % 3).collect();
    let columns: [Box<dyn Fn(i64) -> f64>; 5] = [
        Box::new(|_| 1.0),
        Box::new(|i| i as f64 * 3.0),
        Box::new(|i| (i as f64).sin()),
        Box::new(|i| if i % 20 == 0 { maru_prom::stale_marker() } else { (i * 7 % 13) as f64 / 10.0 }),
        Box::new(|i| (i / 30) as f64 * std::f64::consts::PI),
    ];
    for column in columns {
        let values: Vec<f64> = (0..150).map(column).collect();
        damage(&encode_floats(&timestamps, &values).unwrap().to_bytes());
    }
    let histograms: Vec<_> = (0..20).map(|i| (i, Arc::new(histogram(i as u64, 6, 2)))).collect();
    damage(&encode_histograms(&histograms).unwrap()[0].to_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn any_samples_come_back(samples in proptest::collection::vec((any::<i64>(), any::<u64>()), 1..300)) {
        let timestamps: Vec<i64> = samples.iter().map(|(t, _)| *t).collect();
        let values: Vec<f64> = samples.iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        let chunk = encode_floats(&timestamps, &values).unwrap();
        let mut bytes = chunk.to_bytes();
        let length = bytes.len();
        bytes.extend_from_slice(b"behind");
        prop_assert_eq!(EncodedChunk::from_bytes(&bytes).unwrap(), (chunk, length));
        let (mut t, mut v) = (Vec::new(), Vec::new());
        decode_floats(&bytes, &mut t, &mut v).unwrap();
        prop_assert_eq!(t, timestamps);
        let bits: Vec<u64> = v.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(bits, samples.into_iter().map(|(_, bits)| bits).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_a_chunk_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400), column in 0_u8..7) {
        let bytes: Vec<u8> = std::iter::once(column).chain(bytes).collect();
        drop(decode_floats(&bytes, &mut Vec::new(), &mut Vec::new()));
        drop(decode_histograms(&bytes, &mut Vec::new()));
    }

    #[test]
    fn any_histogram_values_are_histograms_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400), count in 1_usize..50) {
        drop(decode_histogram_values(&bytes, count));
    }
}
