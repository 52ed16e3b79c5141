//! Evaluating queries.

use serde_json::json;

use crate::{NOW, Running, encode};

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_query_answers_as_prometheus_does() {
    let server = Running::start().await;
    server.write_example().await;
    assert_eq!(
        server.data("/api/v1/query", &[("query", "sum(requests_total)"), ("time", &NOW.to_string())]).await,
        json!({"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "3600"]}]})
    );
    assert_eq!(
        server.query("temperature > 1").await,
        json!([
            {"metric": {"__name__": "temperature", "instance": "b", "job": "api"}, "value": [NOW, "2"]},
            {"metric": {"__name__": "temperature", "instance": "c", "job": "api"}, "value": [NOW, "3"]},
        ])
    );
    let scalar = server.data("/api/v1/query", &[("query", "1/0"), ("time", "1.5")]).await;
    assert_eq!(scalar, json!({"resultType": "scalar", "result": [1.5, "+Inf"]}));
    let text = server.data("/api/v1/query", &[("query", "\"a\\\"b\""), ("time", "1970-01-01T00:00:01Z")]).await;
    assert_eq!(text, json!({"resultType": "string", "result": [1, "a\"b"]}));
    // Without a time it is now, by the server's clock.
    assert_eq!(server.data("/api/v1/query", &[("query", "time()")]).await["result"], json!([NOW, NOW.to_string()]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_query_has_a_point_for_each_step() {
    let server = Running::start().await;
    server.write_example().await;
    let form = encode(&[
        ("query", "sum by (job) (temperature)"),
        ("start", &(NOW - 60).to_string()),
        ("end", &NOW.to_string()),
        ("step", "30s"),
    ]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let (status, _, text) = server.post("/api/v1/query_range", &headers, form.into_bytes()).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        json!({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"job": "api"}, "values": [[NOW - 60, "6"], [NOW - 30, "6"], [NOW, "6"]]}]}})
    );
    let raw = server.query("temperature{instance=\"a\"}[30s]").await;
    // The window does not hold its own start.
    assert_eq!(raw[0]["values"], json!([[NOW - 15, "1"], [NOW, "1"]]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_as_prometheus_does() {
    let server = Running::start().await;
    let now = NOW.to_string();
    let range = |start: &'static str, end: &'static str, step: &'static str| {
        vec![("query", "up"), ("start", start), ("end", end), ("step", step)]
    };
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("/api/v1/query", vec![("query", "sum(")], 400, "bad_data", "invalid parameter \"query\": 1:5: parse error"),
        ("/api/v1/query", vec![], 400, "bad_data", "invalid parameter \"query\""),
        (
            "/api/v1/query",
            vec![("query", "up"), ("time", "x")],
            400,
            "bad_data",
            "cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/api/v1/query",
            vec![("query", "up"), ("timeout", "x")],
            400,
            "bad_data",
            "cannot parse \"x\" to a valid duration",
        ),
        ("/api/v1/query", vec![("query", "up"), ("limit", "-1")], 400, "bad_data", "limit must be non-negative"),
        ("/api/v1/query_range", range("2", "1", "1"), 400, "bad_data", "end timestamp must not be before start time"),
        ("/api/v1/query_range", range("1", "2", "0"), 400, "bad_data", "zero or negative query resolution step widths"),
        ("/api/v1/query_range", range("1", "2", ""), 400, "bad_data", "invalid parameter \"step\""),
        (
            "/api/v1/query_range",
            range("0", "11001", "1"),
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points",
        ),
        (
            "/api/v1/query_range",
            vec![("query", "up[1m]"), ("start", "0"), ("end", "1"), ("step", "1")],
            400,
            "bad_data",
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
        ("/api/v1/series", vec![], 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series", vec![("match[]", "{}")], 400, "bad_data", "invalid parameter \"match[]\""),
        ("/api/v1/nothing", vec![], 404, "not_found", "/api/v1/nothing"),
    ];
    for (path, mut parameters, status, kind, part) in cases {
        parameters.push(("unused", &now));
        let (got, answer) = server.ask(path, &parameters).await;
        assert_eq!(
            (got, answer["status"].as_str(), answer["errorType"].as_str()),
            (status, Some("error"), Some(kind)),
            "{path} {parameters:?}: {answer}"
        );
        assert!(answer["error"].as_str().unwrap().contains(part), "{path} {parameters:?}: {answer}");
    }
    let (status, answer) = server.ask("/api/v1/query_range", &range("0", "11000", "1")).await;
    assert_eq!(status, 200, "{answer}");
    let response = server.client.delete(format!("{}/api/v1/query", server.url)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_execution_are_422_and_limits_say_their_name() {
    let server = Running::with(|options| options.limits.query_samples_max = 50).await;
    server.write_example().await;
    let at = NOW.to_string();
    let (status, answer) =
        server.ask("/api/v1/query", &[("query", "temperature + on(job) temperature"), ("time", &at)]).await;
    assert_eq!((status, answer["errorType"].as_str()), (422, Some("execution")), "{answer}");
    let (status, answer) = server.ask("/api/v1/query", &[("query", "temperature[10m]"), ("time", &at)]).await;
    assert_eq!((status, answer["errorType"].as_str()), (422, Some("execution")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("samples"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_for_more_series_than_allowed_is_refused() {
    let server = Running::with(|options| options.limits.query_series_max = 5).await;
    server.write_example().await;
    let at = NOW.to_string();
    let (status, answer) = server.ask("/api/v1/query", &[("query", "{job=\"api\"}"), ("time", &at)]).await;
    assert_eq!((status, answer["errorType"].as_str()), (422, Some("execution")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains('5'), "{answer}");
    let (status, answer) = server.ask("/api/v1/series", &[("match[]", "{job=\"api\"}")]).await;
    assert_eq!(status, 422, "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_statistics_notes_and_that_it_was_cut() {
    let server = Running::start().await;
    server.write_example().await;
    let at = NOW.to_string();
    let (_, answer) = server.ask("/api/v1/query", &[("query", "temperature"), ("time", &at), ("limit", "2")]).await;
    assert_eq!(answer["data"]["result"].as_array().unwrap().len(), 2);
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
    let (_, answer) =
        server.ask("/api/v1/query", &[("query", "rate(temperature[5m])"), ("time", &at), ("stats", "all")]).await;
    assert!(answer["infos"][0].as_str().unwrap().contains("PromQL info: metric might not be a counter"), "{answer}");
    let stats = &answer["data"]["stats"];
    assert_eq!(stats["samples"]["totalQueryableSamples"], 60, "{stats}");
    assert_eq!(stats["samples"]["totalQueryableSamplesPerStep"], json!([[NOW, 60]]));
    assert!(stats["timings"]["execTotalTime"].as_f64().unwrap() > 0.0, "{stats}");
    let (_, answer) = server.ask("/api/v1/query", &[("query", "up"), ("time", &at)]).await;
    assert!(answer["data"].get("stats").is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_have_its_own_look_back() {
    let server = Running::start().await;
    server.write_example().await;
    let late = (NOW + 200).to_string();
    let count = async |lookback: &str| {
        let parameters = [("query", "temperature"), ("time", late.as_str()), ("lookback_delta", lookback)];
        server.data("/api/v1/query", &parameters).await["result"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("100s").await, count("201").await), (3, 0, 3));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_laid_out_and_taken_apart() {
    let server = Running::start().await;
    let formatted = server.data("/api/v1/format_query", &[("query", "sum  by(job)(rate(up[5m]))")]).await;
    assert_eq!(formatted, "sum by (job) (rate(up[5m]))");
    let tree = server.data("/api/v1/parse_query", &[("query", "foo / bar")]).await;
    assert_eq!((&tree["type"], &tree["op"]), (&json!("binaryExpr"), &json!("/")), "{tree}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_for_those_who_take_it() {
    use std::io::Read as _;

    let server = Running::start().await;
    server.write_example().await;
    let path = format!("{}/api/v1/query_range?query=temperature&start={}&end={NOW}&step=1", server.url, NOW - 600);
    let plain = server.client.get(&path).send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.bytes().await.unwrap();
    let packed = server.client.get(&path).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain && packed.len() * 4 < plain.len());
    server.stop().await;
}
