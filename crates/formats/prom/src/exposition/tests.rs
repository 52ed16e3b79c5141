//! Texts and messages read, written and refused; the cases of the OpenMetrics suite.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, Labels, MetricType, ResetHint, Span};

fn parse(text: &str, dialect: Dialect, created: CreatedLines) -> Result<Vec<Entry<'_>>, ExpositionError> {
    let mut parser = TextParser::new(text.as_bytes(), dialect, created)?;
    let mut entries = Vec::new();
    while let Some(entry) = parser.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn series(text: &str, dialect: Dialect, created: CreatedLines) -> Vec<SeriesLine<'_>> {
    let entries = parse(text, dialect, created).unwrap();
    entries.into_iter().filter_map(|entry| if let Entry::Series(line) = entry { Some(line) } else { None }).collect()
}

#[test]
fn all_cases_of_the_open_metrics_suite_are_judged_rightly() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::vars().find(|(name, _)| name == "MARU_TESTDATA").map(|(_, value)| value.into());
    let root = given.unwrap_or_else(|| manifest.join("../../../../shared/testdata"));
    let Ok(cases) = std::fs::read_dir(root.join("openmetrics/parsers")) else {
        println!("skipped: no OpenMetrics parser cases in {}", root.display());
        return;
    };
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in cases {
        let directory = case.unwrap().path();
        let text = std::fs::read(directory.join("metrics")).unwrap();
        let description = std::fs::read_to_string(directory.join("test.json")).unwrap();
        let description: serde_json::Value = serde_json::from_str(&description).unwrap();
        let should_parse = description["shouldParse"].as_bool().unwrap();
        let result = check_open_metrics(&text);
        count += 1;
        if result.is_ok() != should_parse {
            wrong.push(format!("{}: {result:?}", directory.file_name().unwrap().to_string_lossy()));
        }
    }
    wrong.sort();
    assert!(count > 200, "only {count} cases in {}", root.display());
    assert!(wrong.is_empty(), "{} of {count} are judged wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn prometheus_text_is_read_with_all_its_freedom() {
    let text = "# HELP http_requests_total The \\\\ total\\nnumber.\n# TYPE http_requests_total counter\n\
        http_requests_total{method=\"post\",code=\"200\",} 1027 1395066363000\n\
        \thttp_requests_total { method = \"a\\\"b\\\\c\\nd\\x\" } 3\n\n# a comment\n#another\n\
        {\"my.metric\",\"a b\"=\"c\"} +Inf\nnan NaN\nlast 1e3";
    let entries = parse(text, Dialect::Prometheus, CreatedLines::Series).unwrap();
    assert!(
        matches!(&entries[0], Entry::Help { family, help } if family == "http_requests_total" && help == "The \\ total\nnumber.")
    );
    assert!(matches!(&entries[1], Entry::Type { metric_type: MetricType::Counter, .. }));
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Comment(_))).count(), 2);
    let lines = series(text, Dialect::Prometheus, CreatedLines::Series);
    assert_eq!((lines[0].value, lines[0].timestamp_ms), (1027.0, Some(1_395_066_363_000)));
    assert_eq!(lines[0].series, "http_requests_total{method=\"post\",code=\"200\",}");
    let first = [("__name__", "http_requests_total"), ("code", "200"), ("method", "post")];
    assert_eq!(lines[0].labels().unwrap(), Labels::from_pairs(first));
    assert_eq!(lines[1].labels().unwrap().get("method"), Some("a\"b\\c\nd\\x"));
    assert_eq!(lines[2].labels().unwrap(), Labels::from_pairs([("__name__", "my.metric"), ("a b", "c")]));
    assert_eq!(lines[3].value.to_bits(), crate::number::NORMAL_NAN_BITS);
    assert_eq!((lines[4].value, lines.len()), (1000.0, 5));
}

#[test]
fn wrong_prometheus_text_is_named_with_its_line() {
    let cases = [
        ("a\n", "expected a value"),
        ("a{b='c'} 1\n", "in quotes"),
        ("a{b=\"c\" 1\n", "expected a label name"),
        ("{b=\"c\"} 1\n", "no metric name"),
        ("a 1 2 3\n", "end of the line"),
        ("a 1 1.5\n", "timestamp"),
        ("# TYPE a foo\n", "no metric type"),
        ("<html>\n", "metric name"),
        ("a 0x10\n", "expected a value"),
        ("a{\"b\",\"c\"} 1\n", "expected ="),
        ("1a 1\n", "metric name"),
        ("# TYPE a\n", "no metric type"),
        ("# HELP 1 a\n", "metric name"),
        ("a_b-c 1\n", "value"),
    ];
    for (text, reason) in cases {
        let text = format!("ok 1\n{text}");
        match parse(&text, Dialect::Prometheus, CreatedLines::Series) {
            Err(error) => assert!(error.line == 2 && error.reason.contains(reason), "{text:?}: {error}"),
            Ok(_) => panic!("{text:?} was read"),
        }
    }
    let error = TextParser::new(b"a 1\nb{c=\"\xff\"} 1\n", Dialect::Prometheus, CreatedLines::Series).unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (2, "the text is not UTF-8"));
    let twice = series("a{b=\"1\",b=\"2\"} 1\n", Dialect::Prometheus, CreatedLines::Series);
    assert!(twice[0].labels().unwrap_err().reason.contains("twice"));
}

#[test]
fn bounds_and_quantiles_have_one_spelling() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e-3\"} 1\nh_bucket{le=\"+Inf\"} 2\n# TYPE s summary\n\
        s{quantile=\"0\",le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n";
    let lines = series(text, Dialect::Prometheus, CreatedLines::Series);
    let of = |index: usize, name| lines[index].labels().unwrap().get(name).map(str::to_owned);
    assert_eq!(of(0, "le").as_deref(), Some("1.0"));
    assert_eq!(of(1, "le").as_deref(), Some("0.001"));
    assert_eq!(of(2, "le").as_deref(), Some("+Inf"));
    assert_eq!((of(3, "quantile").as_deref(), of(3, "le").as_deref()), (Some("0.0"), Some("1")));
    assert_eq!(of(4, "le").as_deref(), Some("1"));
}

const OPEN_METRICS: &str = "# HELP a_seconds The a.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
    a_seconds_total{x=\"1\"} 17.0 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879607.1\n\
    a_seconds_created{x=\"1\"} 1520872607.123\na_seconds_total{x=\"2\"} 1\n\
    # TYPE h histogram\nh_bucket{le=\"1\",p=\"q\"} 1\nh_bucket{le=\"+Inf\",p=\"q\"} 2\nh_count{p=\"q\"} 2\nh_sum{p=\"q\"} 3\n\
    h_created{p=\"q\"} 5\n# TYPE g gauge\ng_created 5\n# EOF\n";

#[test]
fn exemplars_timestamps_and_starts_of_open_metrics_are_read() {
    let lines = series(OPEN_METRICS, Dialect::OpenMetrics, CreatedLines::Series);
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0].timestamp_ms, Some(1_520_879_607_789));
    let exemplar = lines[0].exemplar.unwrap();
    assert_eq!((exemplar.value, exemplar.timestamp_ms), (0.67, Some(1_520_879_607_100)));
    assert_eq!(exemplar.labels().unwrap(), Labels::from_pairs([("trace_id", "KOO5S4vxi0o")]));

    let lines = series(OPEN_METRICS, Dialect::OpenMetrics, CreatedLines::StartTimestamps);
    let starts: Vec<_> = lines.iter().map(|line| line.start_timestamp_ms).collect();
    let (first, histogram) = (Some(1_520_872_607_123), Some(5_000));
    assert_eq!(starts, [first, None, histogram, histogram, histogram, histogram, None]);
    assert_eq!(lines[6].series, "g_created");
}

#[test]
fn known_series_are_recognised_in_place() {
    let text = "a{b=\"c\"} 1\na{b=\"d\"} 2.5 7\na 3\n";
    let mut parser = TextParser::new(text.as_bytes(), Dialect::Prometheus, CreatedLines::Series).unwrap();
    assert_eq!(parser.next_of("a{b=\"d\"}").unwrap(), None);
    assert_eq!(parser.next_of("a").unwrap(), None);
    assert_eq!(parser.next_of("a{b=\"c\"}").unwrap().unwrap().value, 1.0);
    let line = parser.next_of("a{b=\"d\"}").unwrap().unwrap();
    assert_eq!((line.value, line.timestamp_ms), (2.5, Some(7)));
    assert_eq!(parser.next_of("a").unwrap().unwrap().value, 3.0);
    assert_eq!(parser.next_entry().unwrap(), None);
}

fn custom() -> Histogram {
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 6.0,
        sum: 7.5,
        positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
        negative_spans: vec![],
        positive_buckets: vec![2.0, 4.0],
        negative_buckets: vec![],
        custom_values: vec![0.5, 1.0],
    }
}

fn native() -> Histogram {
    Histogram { schema: 1, custom_values: vec![], zero_threshold: 0.01, zero_count: 1.0, ..custom() }
}

fn write(protocol: ScrapeProtocol, escaping: Escaping) -> Vec<u8> {
    let mut writer = Writer::new(protocol, escaping);
    let help = "All \"requests\" \\ of\nall.";
    writer.family(&FamilyHead { name: "a_seconds_total", metric_type: MetricType::Counter, help, unit: "seconds" });
    let labels = Labels::from_pairs([("__name__", "a_seconds_total"), ("path", "/\"x\"\\\n"), ("in stance", "y")]);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 0.25, timestamp_ms: 1_500 };
    writer.sample_with_exemplar(&labels, &[("instance", "me"), ("path", "no")], 12.5, Some(1_234_567), Some(&exemplar));
    writer.family(&FamilyHead { name: "my.gauge", metric_type: MetricType::Gauge, ..FamilyHead::default() });
    writer.sample(&Labels::from_pairs([("__name__", "my.gauge")]), &[], 1e6, None);
    writer.family(&FamilyHead { name: "h", metric_type: MetricType::Histogram, ..FamilyHead::default() });
    assert!(writer.histogram(&Labels::from_pairs([("__name__", "h"), ("a", "b")]), &[], &custom(), None));
    writer.family(&FamilyHead { name: "n", metric_type: MetricType::Histogram, ..FamilyHead::default() });
    let is_shown = writer.histogram(&Labels::from_pairs([("__name__", "n")]), &[], &native(), Some(5));
    assert_eq!(is_shown, protocol == ScrapeProtocol::PrometheusProto);
    writer.finish()
}

#[test]
fn texts_are_written_as_readers_want_them() {
    let text = String::from_utf8(write(ScrapeProtocol::PrometheusText1_0_0, Escaping::AllowUtf8)).unwrap();
    assert_eq!(
        text,
        "# HELP a_seconds_total All \"requests\" \\\\ of\\nall.\n# TYPE a_seconds_total counter\n\
         a_seconds_total{\"in stance\"=\"y\",path=\"/\\\"x\\\"\\\\\\n\",instance=\"me\"} 12.5 1234567\n\
         # TYPE \"my.gauge\" gauge\n{\"my.gauge\"} 1e+06\n# TYPE h histogram\n\
         h_bucket{a=\"b\",le=\"0.5\"} 2\nh_bucket{a=\"b\",le=\"1.0\"} 2\nh_bucket{a=\"b\",le=\"+Inf\"} 6\nh_sum{a=\"b\"} 7.5\n\
         h_count{a=\"b\"} 6\n# TYPE n histogram\n"
    );
    assert_eq!(series(&text, Dialect::Prometheus, CreatedLines::Series).len(), 7);

    let open = write(ScrapeProtocol::OpenMetricsText1_0_0, Escaping::Underscores);
    check_open_metrics(&open).unwrap();
    let open = String::from_utf8(open).unwrap();
    assert!(open.contains("# UNIT a_seconds seconds\n"), "{open}");
    assert!(open.contains(" 12.5 1234.567 # {trace_id=\"abc\"} 0.25 1.5\n"), "{open}");
    assert!(open.contains("my_gauge 1e+06\n"), "{open}");
}

#[test]
fn protobuf_comes_back() {
    let body = write(ScrapeProtocol::PrometheusProto, Escaping::AllowUtf8);
    let families: Vec<Family> = decode_families(&body, false).map(Result::unwrap).collect();
    let names: Vec<_> = families.iter().map(|family| (family.name.as_str(), family.metric_type)).collect();
    let expected = [
        ("a_seconds_total", MetricType::Counter),
        ("my.gauge", MetricType::Gauge),
        ("h", MetricType::Histogram),
        ("n", MetricType::Histogram),
    ];
    assert_eq!(names, expected);
    assert_eq!(families[0].unit, "seconds");
    let sample = &families[0].samples[0];
    assert_eq!((sample.timestamp_ms, sample.labels.get("instance")), (Some(1_234_567), Some("me")));
    assert_eq!(sample.exemplars[0].timestamp_ms, 1_500);
    let parts: Vec<_> =
        families[2].samples.iter().map(|sample| (sample.labels.metric_name(), sample.labels.get("le"))).collect();
    let bucket = |le| ("h_bucket", Some(le));
    assert_eq!(parts, [("h_count", None), ("h_sum", None), bucket("0.5"), bucket("1.0"), bucket("+Inf")]);
    assert!(matches!(&families[3].samples[0].value, FamilyValue::Histogram(histogram) if **histogram == native()));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "[a-z{}\"=,#\\\\ \n0-9.TYPEHELUNIOF_]{0,200}") {
        for body in [bytes.as_slice(), text.as_bytes()] {
            for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
                for created in [CreatedLines::Series, CreatedLines::StartTimestamps] {
                    if let Ok(mut parser) = TextParser::new(body, dialect, created) {
                        while let Ok(Some(entry)) = parser.next_entry() {
                            if let Entry::Series(line) = entry {
                                std::hint::black_box(line.labels().is_ok());
                                std::hint::black_box(line.exemplar.map(|exemplar| exemplar.labels()));
                            }
                        }
                    }
                }
            }
            std::hint::black_box(check_open_metrics(body).is_ok());
            std::hint::black_box(decode_families(body, true).count());
        }
    }

    #[test]
    fn what_is_written_is_read(pairs in proptest::collection::btree_map("\\PC{1,9}", "[\\PC\n]{1,9}", 0..5), name in "\\PC{1,9}", bits: u64) {
        let mut pairs: Vec<(String, String)> = pairs.into_iter().filter(|(name, _)| !name.starts_with("__")).collect();
        pairs.push(("__name__".to_owned(), name.clone()));
        let labels = Labels::from_pairs(pairs);
        let value = f64::from_bits(bits);
        for (protocol, dialect) in [
            (ScrapeProtocol::PrometheusText1_0_0, Dialect::Prometheus), (ScrapeProtocol::OpenMetricsText1_0_0, Dialect::OpenMetrics),
        ] {
            let mut writer = Writer::new(protocol, Escaping::AllowUtf8);
            writer.family(&FamilyHead { name: &name, metric_type: MetricType::Unknown, ..FamilyHead::default() });
            writer.sample(&labels, &[], value, Some(1_234));
            let text = String::from_utf8(writer.finish()).unwrap();
            let lines = series(&text, dialect, CreatedLines::Series);
            prop_assert_eq!(&lines[0].labels().unwrap(), &labels, "{}", text);
            prop_assert!(lines[0].value.to_bits() == bits || value.is_nan(), "{}", text);
            prop_assert_eq!(lines[0].timestamp_ms, Some(1_234));
        }
    }
}
