//! OTLP metrics in both encodings, translated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_prom::otlp::{Delta, ExportMetricsRequest, NameTranslation, OtlpOptions, translate};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let read = if choice & 1 == 0 { ExportMetricsRequest::from_protobuf(body) } else { ExportMetricsRequest::from_json(body) };
    let Ok(request) = read else { return };
    let options = OtlpOptions {
        names: if choice & 2 == 0 { NameTranslation::default() } else { NameTranslation::NoUtf8EscapingWithSuffixes },
        histograms_become_native: choice & 4 == 0,
        promotes_scope: choice & 8 == 0,
        delta: if choice & 16 == 0 { Delta::Keep } else { Delta::Refuse },
        ..OtlpOptions::default()
    };
    for sample in translate(&request, &options).samples {
        assert!(!sample.labels.metric_name().is_empty());
    }
});
