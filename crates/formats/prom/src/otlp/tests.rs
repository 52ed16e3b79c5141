//! A request in JSON, the same in protobuf, and what options change.

use std::collections::HashSet;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{Labels, MetricType, ResetHint, Span, is_stale_marker};

const REQUEST: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.namespace","value":{"stringValue":"demo"}},
    {"key":"service.instance.id","value":{"stringValue":"i1"}},{"key":"host.name","value":{"stringValue":"h"}},
    {"key":"tags","value":{"arrayValue":{"values":[{"stringValue":"<a>"},{"intValue":"5"},{"doubleValue":1.5},{"boolValue":true}]}}}]},
  "scopeMetrics":[{"scope":{"name":"lib","version":"1.2"},"schemaUrl":"u","futureField":[1],"metrics":[
    {"name":"http.requests","unit":"1","description":"All.","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
      {"attributes":[{"key":"http.method","value":{"stringValue":"GET"}},{"key":"http_method","value":{"stringValue":"x"}}],
       "startTimeUnixNano":"1000000000","timeUnixNano":"61000000000","asInt":"12",
       "exemplars":[{"timeUnixNano":"60000000000","asDouble":2.5,"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}]}]}},
    {"name":"temp","unit":"Cel","gauge":{"dataPoints":[{"timeUnixNano":"61000000000","asDouble":"NaN"},{"timeUnixNano":61000000000,"flags":1,
       "attributes":[{"key":"a","value":{"intValue":7}}]}]}},
    {"name":"latency","unit":"s","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[
      {"timeUnixNano":"61000000000","count":"6","sum":4.5,"bucketCounts":["1","0","5"],"explicitBounds":[0.5,1],
       "exemplars":[{"asDouble":0.75},{"asDouble":9}]}]}},
    {"name":"exp","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"61000000000","count":"7","sum":9,
       "scale":1,"zeroCount":"1","positive":{"offset":-1,"bucketCounts":["1","0","0","0","3"]},"negative":{"offset":2,"bucketCounts":["2"]}}]}},
    {"name":"old","summary":{"dataPoints":[{"timeUnixNano":"61000000000","count":"2","sum":3,"quantileValues":[{"quantile":0.5,"value":1}]}]}},
    {"name":"delta","sum":{"aggregationTemporality":1,"dataPoints":[{"asInt":1},{"asInt":2}]}},
    {"name":"empty","gauge":{}}]}]}]}"#;

fn samples_of<'a>(translation: &'a Translation, name: &str) -> Vec<&'a OtlpSample> {
    translation.samples.iter().filter(|sample| sample.labels.metric_name() == name).collect()
}

fn float(sample: &OtlpSample) -> f64 {
    match &sample.value {
        OtlpValue::Float(value) => *value,
        OtlpValue::Histogram(_) => panic!("{sample:?} is a histogram"),
    }
}

#[test]
fn json_is_translated_as_prometheus_does_by_default() {
    let request = ExportMetricsRequest::from_json(REQUEST.as_bytes()).unwrap();
    let translation = translate(&request, &OtlpOptions::default());

    let counter = samples_of(&translation, "http_requests_total");
    let labels =
        [("__name__", "http_requests_total"), ("http_method", "GET;x"), ("instance", "i1"), ("job", "demo/shop")];
    assert_eq!(counter[0].labels, Labels::from_pairs(labels));
    assert_eq!((counter[0].timestamp_ms, counter[0].start_timestamp_ms, float(counter[0])), (61_000, 1_000, 12.0));
    let exemplar = &counter[0].exemplars[0];
    assert_eq!(exemplar.labels.get("trace_id"), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!((exemplar.labels.get("span_id"), exemplar.timestamp_ms), (Some("b7ad6b7169203331"), 60_000));

    let gauge = samples_of(&translation, "temp_celsius");
    assert!(float(gauge[0]).is_nan() && !is_stale_marker(float(gauge[0])));
    assert!(is_stale_marker(float(gauge[1])));
    assert_eq!(gauge[1].labels.get("a"), Some("7"));

    let buckets: Vec<_> = samples_of(&translation, "latency_seconds_bucket")
        .into_iter()
        .map(|sample| (sample.labels.get("le").unwrap_or_default().to_owned(), float(sample), sample.exemplars.len()))
        .collect();
    assert_eq!(buckets, [("0.5".to_owned(), 1.0, 0), ("1".to_owned(), 1.0, 1), ("+Inf".to_owned(), 6.0, 1)]);
    assert_eq!(float(samples_of(&translation, "latency_seconds_sum")[0]), 4.5);
    assert_eq!(float(samples_of(&translation, "latency_seconds_count")[0]), 6.0);

    let OtlpValue::Histogram(histogram) = &samples_of(&translation, "exp")[0].value else { panic!("no histogram") };
    assert_eq!((histogram.schema, histogram.zero_count, histogram.count), (1, 1.0, 7.0));
    assert_eq!(histogram.positive_spans, [Span { offset: 0, length: 1 }, Span { offset: 3, length: 1 }]);
    assert_eq!(
        (histogram.positive_buckets.as_slice(), histogram.negative_buckets.as_slice()),
        ([1.0, 3.0].as_slice(), [2.0].as_slice())
    );
    assert_eq!((histogram.negative_spans[0].offset, histogram.reset_hint), (3, ResetHint::Unknown));

    assert_eq!(samples_of(&translation, "old")[0].labels.get("quantile"), Some("0.5"));
    let target = samples_of(&translation, "target_info");
    let labels = [
        ("__name__", "target_info"),
        ("host_name", "h"),
        ("instance", "i1"),
        ("job", "demo/shop"),
        ("tags", "[\"\\u003ca\\u003e\",5,1.5,true]"),
    ];
    assert_eq!(target.last().unwrap().labels, Labels::from_pairs(labels));
    assert_eq!(translation.refused_points(), 2);
    assert!(translation.refusals[0].reason.contains("cumulative"), "{:?}", translation.refusals);
    assert_eq!(translation.warnings, ["the metric \"empty\" has no points"]);
    let said = translation.metadata.iter().find(|(name, _)| name == "http_requests_total").unwrap();
    assert_eq!((said.1.metric_type, said.1.help.as_str()), (MetricType::Counter, "All."));
}

#[test]
fn options_change_names_labels_and_histograms() {
    let request = ExportMetricsRequest::from_json(REQUEST.as_bytes()).unwrap();
    let options = OtlpOptions {
        names: NameTranslation::NoUtf8EscapingWithSuffixes,
        promotion: Promotion::Only(HashSet::from(["host.name".to_owned()])),
        histograms_become_native: true,
        promotes_scope: true,
        delta: Delta::Keep,
        ..OtlpOptions::default()
    };
    let translation = translate(&request, &options);
    let counter = samples_of(&translation, "http.requests_total");
    let labels = [
        ("__name__", "http.requests_total"),
        ("host.name", "h"),
        ("http.method", "GET"),
        ("http_method", "x"),
        ("instance", "i1"),
        ("job", "demo/shop"),
        ("otel_scope_name", "lib"),
        ("otel_scope_schema_url", "u"),
        ("otel_scope_version", "1.2"),
    ];
    assert_eq!(counter[0].labels, Labels::from_pairs(labels));
    let OtlpValue::Histogram(histogram) = &samples_of(&translation, "latency_seconds")[0].value else {
        panic!("no histogram")
    };
    assert_eq!(
        (histogram.schema, histogram.custom_values.as_slice()),
        (crate::CUSTOM_BUCKETS_SCHEMA, [0.5, 1.0].as_slice())
    );
    assert_eq!(histogram.positive_spans, [Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }]);
    assert_eq!(translation.refused_points(), 0);
    assert_eq!(samples_of(&translation, "delta").len(), 2);
    let said = translation.metadata.iter().find(|(name, _)| name == "delta").unwrap();
    assert_eq!(said.1.metric_type, MetricType::Unknown);
}

#[test]
fn protobuf_is_the_same_request() {
    let request = ExportMetricsRequest::from_json(REQUEST.as_bytes()).unwrap();
    let decoded = ExportMetricsRequest::from_protobuf(&request.encode_to_vec()).unwrap();
    let options = OtlpOptions::default();
    let (left, right) = (translate(&request, &options), translate(&decoded, &options));
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
    assert!(ExportMetricsRequest::from_protobuf(b"\x0a\xff").is_err());
    assert!(ExportMetricsRequest::from_json(b"{\"resourceMetrics\":1}").is_err());
}

#[test]
fn answers_name_what_was_refused() {
    assert!(protobuf_response(0, "").is_empty());
    assert_eq!(protobuf_response(3, "no"), [10, 6, 8, 3, 18, 2, b'n', b'o']);
    assert_eq!(json_response(0, ""), serde_json::json!({}));
    assert_eq!(json_response(3, "no")["partialSuccess"]["rejectedDataPoints"], "3");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, place: prop::sample::Index, byte: u8) {
        let request = ExportMetricsRequest::from_json(REQUEST.as_bytes()).unwrap();
        let mut damaged = request.encode_to_vec();
        let place = place.index(damaged.len());
        damaged[place] = byte;
        let mut text = REQUEST.as_bytes().to_vec();
        let at = place % text.len();
        text[at] = byte;
        let options = OtlpOptions { histograms_become_native: byte & 1 == 1, ..OtlpOptions::default() };
        let protobuf = [bytes.as_slice(), &damaged].map(ExportMetricsRequest::from_protobuf);
        let json = [bytes.as_slice(), &text].map(ExportMetricsRequest::from_json);
        for request in protobuf.into_iter().chain(json).flatten() {
            prop_assert!(translate(&request, &options).samples.len() < 100_000);
        }
    }
}
