//! Requests of both versions come back; wrong labels are named; damage never panics.

use proptest::prelude::*;

use super::*;
use crate::{Labels, Span, stale_marker};

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "http_requests_total"), ("job", "shop"), ("instance", "10.0.0.1:80")])
}

fn histogram() -> Histogram {
    Histogram {
        reset_hint: crate::ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 3.0,
        sum: 5.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: vec![],
        positive_buckets: vec![1.0, 2.0],
        negative_buckets: vec![],
        custom_values: vec![],
    }
}

fn write(version: Version) -> Vec<u8> {
    let mut writer = RequestWriter::new(version);
    let metadata = Metadata { metric_type: MetricType::Counter, unit: "requests".into(), help: "All.".into() };
    writer.metadata("http_requests", &metadata);
    let samples = [
        Sample { timestamp_ms: 1_000, value: 1.5, start_timestamp_ms: 10 },
        Sample { timestamp_ms: -1, value: stale_marker(), start_timestamp_ms: 0 },
    ];
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 2.0, timestamp_ms: 999 };
    let parts = SeriesParts {
        samples: &samples,
        histograms: &[(2_000, 11, &histogram())],
        exemplars: &[exemplar],
        metadata: Some(&metadata),
    };
    writer.series(&labels(), &parts);
    writer.finish()
}

fn check(version: Version) {
    let body = write(version);
    let request = Request::new(version, &body).unwrap();
    let mut said = None;
    let mut seen = 0;
    for entry in request.entries() {
        match entry.unwrap() {
            Entry::Metadata { family, metadata } => {
                assert_eq!(family, "http_requests");
                said = Some(metadata);
            }
            Entry::Series(series) => {
                seen += 1;
                assert_eq!(series.counts(), Counts { samples: 2, histograms: 1, exemplars: 1 });
                assert_eq!(series.labels().to_labels().unwrap(), labels());
                assert!(series.labels().are_sorted().unwrap());
                let samples: Vec<Sample> = series.samples().map(Result::unwrap).collect();
                assert_eq!((samples[0].timestamp_ms, samples[0].value), (1_000, 1.5));
                assert_eq!(samples[1].timestamp_ms, -1);
                assert!(crate::is_stale_marker(samples[1].value));
                let histograms: Vec<HistogramSample> = series.histograms().map(Result::unwrap).collect();
                assert_eq!((histograms[0].timestamp_ms, histograms[0].histogram.clone()), (2_000, Ok(histogram())));
                let exemplars: Vec<Exemplar> = series.exemplars().map(|one| one.unwrap().unwrap()).collect();
                assert_eq!(exemplars[0].labels.get("trace_id"), Some("abc"));
                assert_eq!((exemplars[0].value, exemplars[0].timestamp_ms), (2.0, 999));
                if version == Version::V2 {
                    assert_eq!((samples[0].start_timestamp_ms, histograms[0].start_timestamp_ms), (10, 11));
                    said = series.metadata().unwrap().unwrap();
                }
            }
        }
    }
    let said = said.unwrap();
    assert_eq!(
        (seen, said.metric_type, said.unit.as_str(), said.help.as_str()),
        (1, MetricType::Counter, "requests", "All.")
    );
}

#[test]
fn what_is_written_is_read_in_both_versions() {
    check(Version::V1);
    check(Version::V2);
}

#[test]
fn the_key_of_a_series_is_the_same_in_both_versions() {
    let keys: Vec<Vec<u8>> = [Version::V1, Version::V2]
        .into_iter()
        .map(|version| {
            let body = write(version);
            let request = Request::new(version, &body).unwrap();
            let mut scratch = Vec::new();
            let key = request.entries().find_map(|entry| match entry.unwrap() {
                Entry::Series(series) => Some(series.key(&mut scratch).unwrap().to_vec()),
                Entry::Metadata { .. } => None,
            });
            key.unwrap()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
}

fn v1_series(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = crate::wire::Writer::default();
    writer.message(1, |series| {
        pairs.iter().for_each(|(name, value)| labels::write_label(name.as_bytes(), value.as_bytes(), series));
        series.message(2, |sample| sample.double(1, 1.0));
    });
    writer.bytes
}

fn first_labels(body: &[u8], version: Version) -> Result<Labels, LabelError> {
    let request = Request::new(version, body).unwrap();
    let Some(Ok(Entry::Series(series))) = request.entries().next() else { panic!("no series") };
    series.labels().to_labels()
}

#[test]
fn unsorted_labels_are_sorted_and_wrong_ones_named() {
    let unsorted = v1_series(&[("b", "2"), ("__name__", "up"), ("empty", "")]);
    assert_eq!(first_labels(&unsorted, Version::V1).unwrap(), Labels::from_pairs([("__name__", "up"), ("b", "2")]));
    let request = Request::new(Version::V1, &unsorted).unwrap();
    let Some(Ok(Entry::Series(series))) = request.entries().next() else { panic!("no series") };
    assert!(!series.labels().are_sorted().unwrap());

    let error = |pairs| first_labels(&v1_series(pairs), Version::V1).unwrap_err();
    assert!(
        matches!(error(&[("__name__", "up"), ("a", "1"), ("a", "1")]), LabelError::Duplicate { name, .. } if name == "a")
    );
    assert!(matches!(error(&[("a", "1")]), LabelError::NoMetricName { .. }));
    assert!(matches!(error(&[("__name__", "")]), LabelError::NoMetricName { .. }));
    assert!(matches!(error(&[("", "1"), ("__name__", "up")]), LabelError::NoName { .. }));
    let mut broken = v1_series(&[("__name__", "up"), ("a", "xy")]);
    let place = broken.iter().position(|byte| *byte == b'x').unwrap();
    broken[place] = 0xff;
    assert_eq!(first_labels(&broken, Version::V1).unwrap_err(), LabelError::NotUtf8("value"));
}

#[test]
fn labels_that_stand_apart_are_one_set() {
    let mut writer = crate::wire::Writer::default();
    writer.message(1, |series| {
        labels::write_label(b"__name__", b"up", series);
        series.message(2, |sample| sample.double(1, 1.0));
        labels::write_label(b"job", b"a", series);
        series.message(2, |sample| sample.double(1, 2.0));
    });
    let request = Request::new(Version::V1, &writer.bytes).unwrap();
    let Some(Ok(Entry::Series(series))) = request.entries().next() else { panic!("no series") };
    assert_eq!(series.labels().to_labels().unwrap(), Labels::from_pairs([("__name__", "up"), ("job", "a")]));
    assert_eq!(series.samples().map(|sample| sample.unwrap().value).collect::<Vec<_>>(), [1.0, 2.0]);
}

#[test]
fn symbols_that_are_not_there_are_named() {
    let mut writer = crate::wire::Writer::default();
    writer.blob(4, b"");
    writer.blob(4, b"__name__");
    writer.message(5, |series| series.packed_numbers(1, [1, 7]));
    assert_eq!(first_labels(&writer.bytes, Version::V2), Err(LabelError::NoSymbol { reference: 7, symbols: 2 }));
    let mut writer = crate::wire::Writer::default();
    writer.blob(4, b"");
    writer.message(5, |series| series.packed_numbers(1, [0]));
    assert_eq!(first_labels(&writer.bytes, Version::V2), Err(LabelError::OddReferences(1)));
}

#[test]
fn content_types_name_the_version() {
    let of = Version::of_content_type;
    assert_eq!(of("application/x-protobuf"), Some(Version::V1));
    assert_eq!(of("application/x-protobuf;proto=prometheus.WriteRequest"), Some(Version::V1));
    assert_eq!(of(Version::V2.content_type()), Some(Version::V2));
    assert_eq!(of("application/x-protobuf; proto=\"io.prometheus.write.v2.Request\""), Some(Version::V2));
    assert_eq!(of("application/x-protobuf;proto=other"), None);
    assert_eq!(of("application/json"), None);
}

/// Reads everything that a receiver would.
fn read_all(version: Version, body: &[u8]) -> Result<usize, WireError> {
    let request = Request::new(version, body)?;
    let (mut items, mut scratch) = (0, Vec::new());
    for entry in request.entries() {
        if let Entry::Series(series) = entry? {
            std::hint::black_box(series.key(&mut scratch).is_ok());
            std::hint::black_box(series.labels().to_labels().is_ok());
            items += series.samples().collect::<Result<Vec<_>, _>>()?.len();
            items += series.histograms().collect::<Result<Vec<_>, _>>()?.len();
            items += series.exemplars().collect::<Result<Vec<_>, _>>()?.len();
            std::hint::black_box(series.metadata()?.is_ok());
        }
    }
    Ok(items)
}

proptest! {
    #[test]
    fn arbitrary_and_damaged_bytes_never_panic(bytes: Vec<u8>, place: prop::sample::Index, byte: u8) {
        for version in [Version::V1, Version::V2] {
            std::hint::black_box(read_all(version, &bytes).is_ok());
            let mut damaged = write(version);
            let place = place.index(damaged.len());
            damaged[place] = byte;
            std::hint::black_box(read_all(version, &damaged).is_ok());
            std::hint::black_box(read_all(version, &damaged[..place]).is_ok());
        }
    }
}
