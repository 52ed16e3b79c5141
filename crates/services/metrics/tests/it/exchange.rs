//! Remote read in both forms.

use maru_prom::remote_read::{ReadQuery, ReadRequest, SamplesResponse, decode_frames};
use maru_prom::{Matcher, MatcherOperator, snappy};

use crate::{NOW, Running};

fn read_request(types: Vec<u64>) -> Vec<u8> {
    let query = |name: &str| ReadQuery {
        start_ms: (NOW - 60) * 1000,
        end_ms: NOW * 1000,
        matchers: vec![Matcher::new("__name__", MatcherOperator::Equal, name).unwrap()],
        hints: None,
    };
    let request = ReadRequest { queries: vec![query("temperature"), query("nothing")], accepted_response_types: types };
    snappy::compress(&request.encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_come_in_one_message_or_in_frames() {
    let server = Running::start().await;
    server.write_example().await;
    let read = async |types| {
        let request = server.client.post(format!("{}/api/v1/read", server.url)).body(read_request(types));
        let response = request.header("content-encoding", "snappy").send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let encoding = response.headers().get("content-encoding").cloned();
        (response.status().as_u16(), kind, encoding, response.bytes().await.unwrap())
    };
    let (status, kind, encoding, body) = read(Vec::new()).await;
    assert_eq!((status, kind.as_str(), encoding.unwrap().to_str().unwrap()), (200, "application/x-protobuf", "snappy"));
    let mut buffer = Vec::new();
    let results = SamplesResponse::decode(snappy::decompress(&body, 1 << 20, &mut buffer).unwrap()).unwrap();
    assert_eq!((results.len(), results[0].len(), results[1].len()), (2, 3, 0));
    let (labels, floats, _) = &results[0][2];
    assert_eq!(labels.get("instance"), Some("c"));
    // Both ends are in.
    let times: Vec<i64> = floats.iter().map(|(at, _)| at / 1000 - NOW).collect();
    assert_eq!(times, [-60, -45, -30, -15, 0]);
    let (status, kind, encoding, body) = read(vec![1, 0]).await;
    assert_eq!((status, encoding), (200, None));
    assert_eq!(kind, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    let frames = decode_frames(&body).unwrap();
    assert_eq!(frames.len(), 3);
    assert_eq!((&frames[0].labels, frames[0].query_index), (&results[0][0].0, 0));
    assert_eq!(frames[2].values, [3.0; 5]);
    assert_eq!(read(vec![7]).await.0, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_external_labels_and_may_ask_for_them() {
    let server = Running::with(|options| {
        let file = options.directory.parent().unwrap().join("prometheus.yml");
        std::fs::write(&file, "global: {external_labels: {zone: seoul, instance: nobody}}\n").unwrap();
        options.collect.file = Some(file);
    })
    .await;
    let (status, _, text) = server.post("/-/reload", &[], Vec::new()).await;
    assert_eq!(status, 200, "{text}");
    server.write_example().await;
    let read = async |zone: &str, types: Vec<u64>| {
        let matchers = [("__name__", "temperature"), ("zone", zone)]
            .map(|(name, value)| Matcher::new(name, MatcherOperator::Equal, value).unwrap());
        let (start_ms, end_ms) = ((NOW - 60) * 1000, NOW * 1000);
        let query = ReadQuery { start_ms, end_ms, matchers: matchers.into(), hints: None };
        let request = ReadRequest { queries: vec![query], accepted_response_types: types };
        let headers = [("content-encoding", "snappy")];
        let request =
            server.client.post(format!("{}/api/v1/read", server.url)).body(snappy::compress(&request.encode()));
        request.header(headers[0].0, headers[0].1).send().await.unwrap().bytes().await.unwrap()
    };
    let mut buffer = Vec::new();
    let mut samples = async |zone: &str| {
        let body = read(zone, Vec::new()).await;
        SamplesResponse::decode(snappy::decompress(&body, 1 << 20, &mut buffer).unwrap()).unwrap().remove(0)
    };
    let found = samples("seoul").await;
    assert_eq!(found.len(), 3);
    // What a series says itself counts more.
    assert!(found.iter().all(|one| one.0.get("zone") == Some("seoul") && one.0.get("instance") != Some("nobody")));
    assert_eq!(samples("busan").await.len(), 0);
    let frames = decode_frames(&read("seoul", vec![1]).await).unwrap();
    assert!(frames.len() == 3 && frames.iter().all(|frame| frame.labels.get("zone") == Some("seoul")));
    let (status, answer) = server.ask("/federate", &[("match[]", "temperature")]).await;
    let text = answer.as_str().unwrap_or_default();
    assert_eq!((status, text.matches("zone=\"seoul\"").count(), text.contains("nobody")), (200, 3, false), "{text}");
    server.stop().await;
}
