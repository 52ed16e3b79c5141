//! Remote write of both versions: the first byte chooses the version and whether the body is packed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_prom::remote_write::{Entry, Request, Version};
use maru_prom::snappy;

/// What a body may unpack to.
const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let mut buffer = Vec::new();
    let unpacked = if choice & 2 == 0 { Ok(body) } else { snappy::decompress(body, BYTES_MAX, &mut buffer) };
    let Ok(body) = unpacked else { return };
    let version = if choice & 1 == 0 { Version::V1 } else { Version::V2 };
    let Ok(request) = Request::new(version, body) else { return };
    let mut scratch = Vec::new();
    for entry in request.entries() {
        let Ok(Entry::Series(series)) = entry else { continue };
        let has_key = series.key(&mut scratch).is_ok();
        if let Ok(labels) = series.labels().to_labels() {
            assert!(has_key && !labels.metric_name().is_empty());
        }
        let counts = series.counts();
        assert!(series.samples().count() <= counts.samples);
        assert!(series.histograms().count() <= counts.histograms);
        assert!(series.exemplars().count() <= counts.exemplars);
        series.metadata().ok();
    }
});
