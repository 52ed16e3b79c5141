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
