//! The store's own chunks: damaged bytes are refused, never trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_series::chunk::{decode_floats, decode_histograms};

fuzz_target!(|data: &[u8]| {
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    if decode_floats(data, &mut timestamps, &mut values).is_ok() {
        assert_eq!(timestamps.len(), values.len());
    }
    decode_histograms(data, &mut Vec::new()).ok();
});
