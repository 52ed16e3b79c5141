//! Samples coming in.

use maru_prom::remote_write::Version;
use maru_prom::snappy;
use serde_json::json;

use crate::{NOW, Running, labels, request};

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_are_taken_and_version_two_is_told_the_counts() {
    let server = Running::start().await;
    let series = labels(&[("__name__", "up"), ("job", "a"), ("한글", "값")]);
    let body = request(Version::V1, &[(series.clone(), vec![((NOW - 15) * 1000, 1.0)])]);
    let (status, headers, text) =
        server.post("/api/v1/write", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!((status, text.as_str()), (204, ""));
    assert!(headers.get("x-prometheus-remote-write-samples-written").is_none());
    let body = request(Version::V2, &[(series, vec![(NOW * 1000, 2.0)])]);
    let (status, headers, text) = server.post("/api/v1/write", &[("content-type", V2)], body).await;
    assert_eq!((status, text.as_str()), (204, ""));
    for (name, count) in [("samples", "1"), ("histograms", "0"), ("exemplars", "0")] {
        assert_eq!(headers[format!("x-prometheus-remote-write-{name}-written").as_str()], count);
    }
    assert_eq!(server.query("up[1m]").await[0]["values"], json!([[NOW - 15, "1"], [NOW, "2"]]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_samples_of_a_bad_request_are_stored() {
    let server = Running::start().await;
    let good = labels(&[("__name__", "good")]);
    let late = labels(&[("__name__", "late")]);
    server.write(&[(late.clone(), vec![(NOW * 1000, 1.0)])]).await;
    let series = [(good, vec![(NOW * 1000, 1.0)]), (late, vec![((NOW - 3600) * 1000, 5.0)])];
    for (version, kind) in [(Version::V1, "application/x-protobuf"), (Version::V2, V2)] {
        let (status, headers, text) =
            server.post("/api/v1/write", &[("content-type", kind)], request(version, &series)).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("out of order sample: 1") && text.contains("late"), "{text}");
        if version == Version::V2 {
            assert_eq!(headers["x-prometheus-remote-write-samples-written"], "1");
        }
    }
    assert_eq!(server.query("good").await[0]["value"][1], "1");
    // The same moment with another value is refused, with the same it is nothing new.
    let again = |value| request(Version::V1, &[(labels(&[("__name__", "good")]), vec![(NOW * 1000, value)])]);
    assert_eq!(server.post("/api/v1/write", &[], again(1.0)).await.0, 204);
    let (status, _, text) = server.post("/api/v1/write", &[], again(2.0)).await;
    assert!(status == 400 && text.contains("duplicate sample for timestamp"), "{status} {text}");
    server.stop().await;
}

/// Returns a request of remote write 1.0 with labels just as they are given: one sample at [`NOW`].
fn raw_request(series: &[&[(&str, &str)]]) -> Vec<u8> {
    fn field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
        out.extend_from_slice(&[number << 3 | 2, u8::try_from(content.len()).unwrap()]);
        out.extend_from_slice(content);
    }
    let mut request = Vec::new();
    for pairs in series {
        let mut message = Vec::new();
        for (name, value) in *pairs {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut message, 1, &label);
        }
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&1_f64.to_le_bytes());
        sample.push(2 << 3);
        let mut at = u64::try_from(NOW * 1000).unwrap();
        while at >= 0x80 {
            sample.push(u8::try_from(at & 0x7f).unwrap() | 0x80);
            at >>= 7;
        }
        sample.push(u8::try_from(at).unwrap());
        field(&mut message, 2, &sample);
        field(&mut request, 1, &message);
    }
    snappy::compress(&request)
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_no_series_can_have_are_refused_and_the_others_stored() {
    let server = Running::start().await;
    let good: &[(&str, &str)] = &[("__name__", "fine"), ("a", "1")];
    for (bad, why) in [
        (&[("__name__", "up"), ("b", "1"), ("a", "2")][..], "not sorted"),
        (&[("__name__", "up"), ("a", "1"), ("a", "2")][..], "twice"),
        (&[("a", "1")][..], "no metric name"),
        (&[("", "1"), ("__name__", "up")][..], "no name"),
    ] {
        let (status, _, text) = server.post("/api/v1/write", &[], raw_request(&[bad, good])).await;
        assert_eq!(status, 400, "{why}: {text}");
        assert!(text.contains(why) && text.contains("1 of 2 samples were refused"), "{why}: {text}");
        assert_eq!(server.query("fine").await.as_array().unwrap().len(), 1);
        assert_eq!(server.query("up").await, json!([]));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_requests_are_refused() {
    let server = Running::with(|options| {
        options.limits.write_bytes_max = 10_000;
        options.limits.write_decompressed_bytes_max = 20_000;
    })
    .await;
    let cases: Vec<(&str, &str, Vec<u8>, u16)> = vec![
        ("application/x-protobuf", "snappy", b"not snappy at all".to_vec(), 400),
        ("application/x-protobuf", "snappy", snappy::compress(&[0xff; 40]), 400),
        ("application/x-protobuf", "snappy", snappy::compress(&vec![0; 30_000]), 400),
        ("application/x-protobuf", "snappy", vec![7; 20_000], 413),
        ("application/x-protobuf", "gzip", Vec::new(), 415),
        ("application/json", "snappy", Vec::new(), 415),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", Vec::new(), 415),
    ];
    for (kind, encoding, body, expected) in cases {
        let headers = [("content-type", kind), ("content-encoding", encoding)];
        let (status, _, text) = server.post("/api/v1/write", &headers, body).await;
        assert_eq!(status, expected, "{kind} {encoding}: {text}");
        assert!(!text.is_empty());
    }
    assert_eq!(server.get("/api/v1/write").await.0, 405);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_series_than_allowed_are_refused_while_others_go_on() {
    let server = Running::with(|options| options.scope_series_max = 3).await;
    let series = |prefix: &str, count: usize| -> Vec<_> {
        (0..count).map(|n| (labels(&[("__name__", prefix), ("n", &n.to_string())]), vec![(NOW * 1000, 1.0)])).collect()
    };
    let send = async |tenant: &str, count| {
        let body = request(Version::V1, &series(tenant, count));
        server.post("/api/v1/write", &[("x-scope-orgid", tenant)], body).await
    };
    let (status, _, text) = send("wild", 10).await;
    assert!(status == 400 && text.contains("limit of series reached: 7"), "{status} {text}");
    assert_eq!(send("calm", 3).await.0, 204);
    assert_eq!(server.query("count(calm)").await[0]["value"][1], "3");
    assert_eq!(server.query("count(wild)").await[0]["value"][1], "3");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_there_after_a_restart() {
    let folder = maru_testkit::TempDir::new();
    let path = folder.join("store");
    let own = path.clone();
    let server = Running::with(|options| options.directory = own).await;
    server.write_example().await;
    let before = server.query("sum by (instance) (requests_total)").await;
    server.stop().await;
    let server = Running::with(|options| options.directory = path).await;
    assert_eq!(server.query("sum by (instance) (requests_total)").await, before);
    server.stop().await;
}
