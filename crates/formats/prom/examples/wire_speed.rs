//! Measures what reading each wire format costs: seconds per million samples on one core.
//!
//! `cargo run --release -p maru-prom --example wire_speed`
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::hint::black_box;

use maru_prom::exposition::{CreatedLines, Dialect, Entry, FamilyHead, ScrapeProtocol, TextParser, Writer};
use maru_prom::otlp::{ExportMetricsRequest, OtlpOptions};
use maru_prom::remote_read::{ReadSeries, chunked_series, decode_frames};
use maru_prom::remote_write::{self, Request, RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Labels, Matcher, MatcherOperator, MetricType, snappy};

const SERIES: usize = 2_000;
const ROUNDS: usize = 400;

fn labels(index: usize) -> Labels {
    let instance = format!("10.0.{}.{}:9100", index / 250, index % 250);
    let pod = format!("shop-catalog-7d9f8b6c5-{index:05}");
    Labels::from_pairs([
        ("__name__", "http_requests_total"),
        ("job", "kubernetes-pods"),
        ("instance", instance.as_str()),
        ("pod", pod.as_str()),
        ("namespace", "production"),
        ("method", if index.is_multiple_of(2) { "GET" } else { "POST" }),
        ("code", "200"),
        ("path", "/api/v1/catalog/items"),
    ])
}

/// Returns the nanoseconds for which this thread has had a core: others may be busy on the same machine.
fn processor_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

fn measure(name: &str, rounds: usize, samples: usize, mut work: impl FnMut() -> usize) {
    // One round warms memory and caches up.
    black_box(work());
    let start = processor_time();
    let mut found = 0;
    for _ in 0..rounds {
        found += black_box(work());
    }
    let nanoseconds = processor_time() - start;
    assert_eq!(found, rounds * samples, "{name}");
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let per_million = nanoseconds as f64 / (rounds * samples) as f64 / 1e3;
    println!("{name:<58} {per_million:8.3} s per million");
}

fn remote_write(version: Version, all: &[Labels]) {
    let mut writer = RequestWriter::new(version);
    for (series, value) in all.iter().zip(0_u32..) {
        let sample = Sample { timestamp_ms: 1_700_000_000_000, value: f64::from(value) * 0.5, start_timestamp_ms: 0 };
        writer.series(series, &SeriesParts { samples: &[sample], ..SeriesParts::default() });
    }
    let body = writer.finish();
    let packed = snappy::compress(&body);
    let mut buffer = Vec::new();
    measure(&format!("{version:?} snappy"), ROUNDS, SERIES, || {
        black_box(snappy::decompress(&packed, 1 << 30, &mut buffer)).map_or(0, |_| SERIES)
    });
    let mut scratch = Vec::new();
    measure(&format!("{version:?} walk, keys and samples"), ROUNDS, SERIES, || {
        let mut count = 0;
        let Ok(request) = Request::new(version, &body) else { return 0 };
        for entry in request.entries() {
            let Ok(remote_write::Entry::Series(series)) = entry else { continue };
            black_box(series.key(&mut scratch).map_or(0, <[u8]>::len));
            count += series.samples().filter(|sample| black_box(sample).is_ok()).count();
        }
        count
    });
    measure(&format!("{version:?} walk, labels made and checked"), 50, SERIES, || {
        let Ok(request) = Request::new(version, &body) else { return 0 };
        let entries = request.entries().flatten();
        entries.filter(|entry| matches!(entry, remote_write::Entry::Series(series) if black_box(series.labels().to_labels()).is_ok())).count()
    });
}

fn exposition(all: &[Labels]) {
    for (protocol, dialect) in [
        (ScrapeProtocol::PrometheusText0_0_4, Dialect::Prometheus),
        (ScrapeProtocol::OpenMetricsText1_0_0, Dialect::OpenMetrics),
    ] {
        let write = || {
            let mut writer = Writer::new(protocol, maru_prom::exposition::Escaping::AllowUtf8);
            writer.family(&FamilyHead {
                name: "http_requests_total",
                metric_type: MetricType::Counter,
                ..FamilyHead::default()
            });
            for (series, value) in all.iter().zip(0_u32..) {
                writer.sample(series, &[], f64::from(value) * 13.25, None);
            }
            writer.finish()
        };
        let body = write();
        measure(&format!("{dialect:?} text, written"), 50, SERIES, || black_box(write()).len().min(SERIES));
        let parse = || TextParser::new(&body, dialect, CreatedLines::StartTimestamps);
        measure(&format!("{dialect:?} text, every line read"), ROUNDS, SERIES, || {
            let (Ok(mut parser), mut count) = (parse(), 0) else { return 0 };
            while let Ok(Some(entry)) = parser.next_entry() {
                count += usize::from(matches!(black_box(entry), Entry::Series(_)));
            }
            count
        });
        let mut known = Vec::new();
        if let Ok(mut parser) = parse() {
            while let Ok(Some(entry)) = parser.next_entry() {
                known.push(if let Entry::Series(line) = entry { line.series.to_owned() } else { String::new() });
            }
        }
        measure(&format!("{dialect:?} text, known series"), ROUNDS, SERIES, || {
            let (Ok(mut parser), mut count) = (parse(), 0) else { return 0 };
            for series in &known {
                match parser.next_of(series) {
                    Ok(Some(line)) => count += usize::from(!black_box(line.value).is_nan()),
                    _ => drop(black_box(parser.next_entry())),
                }
            }
            count
        });
    }
}

fn otlp() {
    let points: Vec<String> = (0..SERIES)
        .map(|index| {
            format!(
                r#"{{"attributes":[{{"key":"http.method","value":{{"stringValue":"GET"}}}},{{"key":"host","value":{{"stringValue":"h{index}"}}}}],
                "timeUnixNano":"1700000000000000000","asInt":"{index}"}}"#
            )
        })
        .collect();
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"http.requests","sum":{{"aggregationTemporality":2,"isMonotonic":true,
        "dataPoints":[{}]}}}}]}}]}}]}}"#,
        points.join(",")
    );
    let Ok(request) = ExportMetricsRequest::from_json(json.as_bytes()) else { return };
    let protobuf = prost::Message::encode_to_vec(&request);
    let options = OtlpOptions::default();
    measure("OTLP protobuf, read and translated", 50, SERIES, || {
        ExportMetricsRequest::from_protobuf(&protobuf)
            .map_or(0, |request| maru_prom::otlp::translate(&request, &options).samples.len())
    });
}

fn main() {
    let all: Vec<Labels> = (0..SERIES).map(labels).collect();
    remote_write(Version::V1, &all);
    remote_write(Version::V2, &all);
    exposition(&all);
    otlp();

    let timestamps: Vec<i64> = (0..1_440).map(|step| 1_700_000_000_000 + step * 15_000).collect();
    let values: Vec<f64> = (0_u32..1_440).map(|step| f64::from(step) * 1.5).collect();
    let series = ReadSeries { labels: &all[0], timestamps: &timestamps, values: &values, histograms: &[] };
    let mut stream = Vec::new();
    measure("remote read, chunks made and framed", ROUNDS, timestamps.len(), || {
        stream.clear();
        chunked_series(0, &series, 1 << 20, &mut stream);
        timestamps.len()
    });
    measure("remote read, chunks read", ROUNDS, timestamps.len(), || {
        decode_frames(&stream).map_or(0, |frames| frames.iter().map(|frame| frame.timestamps.len()).sum())
    });

    measure("labels, looked up by name", ROUNDS, SERIES, || {
        all.iter().filter(|labels| labels.get("pod").is_some()).count()
    });
    measure("labels, name left out", 50, SERIES, || {
        all.iter().filter(|labels| !black_box(labels.without_name()).is_empty()).count()
    });
    measure("labels, built", 50, SERIES, || (0..SERIES).filter(|index| !black_box(labels(*index)).is_empty()).count());
    for pattern in ["10\\.0\\.1\\..*", ".*9100", "10.0.(1|2).[0-9]+:9100", ".+"] {
        let Ok(matcher) = Matcher::new("instance", MatcherOperator::Matches, pattern) else { continue };
        let instances: Vec<String> = (0..SERIES).map(|index| format!("10.0.1.{index}:9100")).collect();
        measure(&format!("matcher {pattern}"), ROUNDS, SERIES, || {
            instances.iter().map(|value| usize::from(black_box(matcher.matches(value)))).sum::<usize>().max(SERIES)
        });
    }
}
