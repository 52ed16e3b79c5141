//! The formats against the programs that people use: Prometheus as scraper, remote-write sender and remote-read client, and
//! promtool as judge of our text. Skips with one line where the programs are not installed.

mod peer;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use maru_prom::exposition::{Escaping, FamilyHead, ScrapeProtocol, Writer, check_open_metrics};
use maru_prom::remote_read::ReadSeries;
use maru_prom::{Exemplar, Histogram, Labels, MetricType, ResetHint, Span};

use peer::{Answers, Prometheus, Received, serve};

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn is_installed(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        println!("skipped: {program} is not installed");
    }
    is_there
}

/// Returns an exposition with every kind of line.
fn exposition(protocol: ScrapeProtocol) -> Vec<u8> {
    let mut writer = Writer::new(protocol, Escaping::AllowUtf8);
    let help = "All \"requests\" \\ of\nall.";
    writer.family(&FamilyHead { name: "shop_requests_total", metric_type: MetricType::Counter, help, unit: "" });
    let labels = Labels::from_pairs([("__name__", "shop_requests_total"), ("path", "/\"a\"\\b\nc")]);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 0.5, timestamp_ms: 0 };
    writer.sample_with_exemplar(&labels, &[("zone", "z")], 12_345_678.5, None, Some(&exemplar));
    let head =
        FamilyHead { name: "shop_latency_seconds", metric_type: MetricType::Histogram, help: "L.", unit: "seconds" };
    writer.family(&head);
    let custom = Histogram {
        reset_hint: ResetHint::Unknown,
        schema: maru_prom::CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 6.0,
        sum: 7.5,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        negative_spans: vec![],
        positive_buckets: vec![2.0, 1.0, 3.0],
        negative_buckets: vec![],
        custom_values: vec![0.5, 1.0],
    };
    writer.histogram(&Labels::from_pairs([("__name__", "shop_latency_seconds")]), &[], &custom, None);
    writer.family(&FamilyHead { name: "shop_load", metric_type: MetricType::Gauge, help: "Load.", unit: "" });
    writer.sample(&Labels::from_pairs([("__name__", "shop_load")]), &[], f64::NEG_INFINITY, None);
    writer.finish()
}

#[test]
fn promtool_finds_nothing_in_our_text() {
    if !is_installed("promtool") {
        return;
    }
    check_open_metrics(&exposition(ScrapeProtocol::OpenMetricsText1_0_0)).unwrap();
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = exposition(ScrapeProtocol::PrometheusText0_0_4);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&text));
}

/// Samples that the peer reads from us: regular and irregular times, unusual values.
fn remote_samples(now_ms: i64) -> (Vec<i64>, Vec<f64>) {
    let timestamps = (0..300).map(|index| now_ms - 3_000_000 + index * 10_000 + index % 3).collect();
    let values = (0..300_u32).map(|index| match index % 5 {
        0 => f64::from(index) * 0.1,
        1 => -1e-9,
        2 => 1e21,
        3 => f64::INFINITY,
        _ => 1.0 / f64::from(index),
    });
    (timestamps, values.collect())
}

#[test]
fn prometheus_scrapes_sends_and_reads() {
    if !is_installed("prometheus") {
        return;
    }
    let now_ms = peer::now_ms();
    let (timestamps, values) = remote_samples(now_ms);
    let labels = Labels::from_pairs([("__name__", "remote_series"), ("job", "far")]);
    let answers = Answers {
        exposition: exposition(ScrapeProtocol::OpenMetricsText1_0_0),
        content_type: ScrapeProtocol::OpenMetricsText1_0_0.content_type(Escaping::AllowUtf8),
        remote: (labels.clone(), timestamps.clone(), values.clone()),
    };
    let received = Arc::new(Received::default());
    let address = serve(answers, Arc::clone(&received));
    let prometheus = Prometheus::start(&address);

    // Scraped by Prometheus, sent to us: what it understood is what we wrote.
    let expected = [
        (vec![("__name__", "shop_requests_total"), ("path", "/\"a\"\\b\nc"), ("zone", "z")], 12_345_678.5),
        (vec![("__name__", "shop_latency_seconds_bucket"), ("le", "0.5")], 2.0),
        (vec![("__name__", "shop_latency_seconds_bucket"), ("le", "+Inf")], 6.0),
        (vec![("__name__", "shop_latency_seconds_sum")], 7.5),
        (vec![("__name__", "shop_load")], f64::NEG_INFINITY),
        (vec![("__name__", "up")], 1.0),
    ];
    for (mut pairs, value) in expected {
        pairs.extend([("instance", address.as_str()), ("job", "ours")]);
        let wanted = Labels::from_pairs(pairs);
        received.wait_for(Duration::from_secs(60), &format!("{wanted:?} = {value}"), |received| {
            received.samples.iter().any(|(labels, sample)| *labels == wanted && sample.value == value)
        });
    }
    received.wait_for(Duration::from_secs(90), "metadata of shop_requests", |received| {
        received.metadata.iter().any(|(family, metadata)| {
            family == "shop_requests"
                && metadata.metric_type == MetricType::Counter
                && metadata.help.contains("\"requests\"")
        })
    });

    // Read by Prometheus from us: it answers with what we gave it.
    let series = ReadSeries { labels: &labels, timestamps: &timestamps, values: &values, histograms: &[] };
    let answer = prometheus.query("remote_series[2h]", now_ms);
    let row = &answer["data"]["result"][0];
    assert_eq!(row["metric"]["job"], "far", "{answer}");
    let rows = row["values"].as_array().unwrap();
    assert_eq!(rows.len(), series.timestamps.len());
    for ((row, timestamp), value) in rows.iter().zip(&timestamps).zip(&values) {
        let mut text = String::new();
        maru_prom::number::push_json_float(*value, &mut text);
        assert_eq!(row[1], text.as_str());
        let seconds = row[0].as_f64().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of today are exact")]
        let expected = *timestamp as f64 / 1000.0;
        assert!((seconds - expected).abs() < 1e-6, "{seconds} {expected}");
    }
}
