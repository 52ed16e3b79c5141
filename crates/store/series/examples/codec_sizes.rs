//! Prints bytes and nanoseconds a sample of each family of the test data: `cargo run --release --example codec_sizes`.
#![allow(
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    dead_code,
    reason = "a tool for measuring"
)]

#[path = "../tests/blocks/data.rs"]
mod data;

use std::collections::BTreeMap;
use std::time::Instant;

use maru_series::chunk::{decode_floats, encode_floats};

fn main() {
    let steps = 1440;
    let rows: Vec<data::Row> = (0..20).flat_map(|target| data::target(target, steps)).collect();
    for length in [120, 480, 1440] {
        let mut families: BTreeMap<&str, (usize, usize, f64, f64, BTreeMap<u8, usize>)> = BTreeMap::new();
        let (mut all, mut packed_all, mut encode_all, mut decode_all) = (0, 0, 0.0, 0.0);
        for row in &rows {
            let entry = families.entry(row.family).or_default();
            for start in (0..steps).step_by(length) {
                let values = &row.values[start..start + length];
                let times: Vec<i64> =
                    (start..start + length).map(|i| 1_700_000_000_000 + i as i64 * data::STEP_MS).collect();
                let begin = Instant::now();
                let chunk = encode_floats(&times, values).unwrap();
                let encode = begin.elapsed().as_secs_f64();
                let bytes = chunk.to_bytes();
                let (mut t, mut v) = (Vec::with_capacity(length), Vec::with_capacity(length));
                let begin = Instant::now();
                decode_floats(&bytes, &mut t, &mut v).unwrap();
                let decode = begin.elapsed().as_secs_f64();
                assert!(v.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()) && t == times);
                entry.0 += length;
                entry.1 += bytes.len();
                entry.2 += encode;
                entry.3 += decode;
                *entry.4.entry(chunk.values[0]).or_default() += 1;
                all += length;
                packed_all += bytes.len();
                encode_all += encode;
                decode_all += decode;
            }
        }
        println!("{length} samples a chunk");
        for (family, (samples, bytes, encode, decode, kinds)) in families {
            let n = samples as f64;
            println!(
                "  {family:14} {:6.3} B  encode {:6.1} ns  decode {:5.2} ns  {kinds:?}",
                bytes as f64 / n,
                encode * 1e9 / n,
                decode * 1e9 / n
            );
        }
        let n = all as f64;
        println!(
            "  all            {:6.3} B  encode {:6.1} ns  decode {:5.2} ns",
            packed_all as f64 / n,
            encode_all * 1e9 / n,
            decode_all * 1e9 / n
        );
    }
}
