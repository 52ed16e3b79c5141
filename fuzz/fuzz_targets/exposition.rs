//! All exposition formats; what the strict check accepts, the reader must, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_prom::exposition::{CreatedLines, Dialect, Entry, TextParser, check_open_metrics, decode_families};

fuzz_target!(|data: &[u8]| {
    let is_strict = check_open_metrics(data).is_ok();
    for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
        for created in [CreatedLines::Series, CreatedLines::StartTimestamps] {
            let Ok(mut parser) = TextParser::new(data, dialect, created) else { return };
            let ended = loop {
                match parser.next_entry() {
                    Ok(Some(Entry::Series(line))) => {
                        line.labels().ok();
                        line.exemplar.map(|exemplar| exemplar.labels().ok());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            assert!(ended || !is_strict || dialect == Dialect::Prometheus);
        }
    }
    assert!(decode_families(data, true).count() <= data.len());
});
