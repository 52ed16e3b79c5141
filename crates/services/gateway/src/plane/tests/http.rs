//! Plain HTTP: routing, headers, errors, limits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::upstreams::{Upstream, header, nowhere};
use super::{AccessLogOptions, Serving, client};
use crate::fixtures::{add_gateway, add_http_route, add_ingress, add_service, world};

#[tokio::test]
async fn a_request_reaches_its_service_and_says_who_asked() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, Some("shop.example"), "/", "a");
    let serving = Serving::start(&inputs).await;
    let url = format!("http://{}/x/y?q=1", serving.http);
    let request = client()
        .post(url)
        .header("host", "Shop.Example:81")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .header("x-forwarded-for", "6.6.6.6")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        .body("hello");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let said: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!((&said["method"], &said["uri"]), (&json!("POST"), &json!("/x/y?q=1")));
    assert_eq!(said["body_bytes"], 5);
    assert_eq!(header(&said, "host"), Some("Shop.Example:81"));
    assert_eq!(header(&said, "x-secret"), None);
    assert_eq!(header(&said, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&said, "x-forwarded-proto"), Some("http"));
    assert_eq!(header(&said, "x-forwarded-port"), Some("81"));
    let trace = header(&said, "traceparent").unwrap();
    assert!(
        trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && !trace.contains("b7ad6b7169203331"),
        "{trace}"
    );

    let hop = serving.get("shop.example", "/hop").await;
    assert!(hop.headers().get("keep-alive").is_none() && hop.headers()["x-kept"] == "yes");
    assert_eq!(serving.get("shop.example", "/chunks").await.text().await.unwrap(), "one two three");
    assert_eq!(serving.get("shop.example", "/teapot").await.status(), 418);
    assert_eq!(serving.get("other.example", "/").await.status(), 404);
    serving.stop().await;
}

#[tokio::test]
async fn filters_change_requests_and_responses() {
    let (a, b) = (Upstream::start("a").await, Upstream::start("b").await);
    let mut inputs = world();
    add_service(&mut inputs, "a", &[a.address], None);
    add_service(&mut inputs, "b", &[b.address], None);
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    let backend = json!([{"name": "a", "port": 80}]);
    let rules = json!([
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
            "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                    "set": [{"name": "x-set", "value": "1"}], "add": [{"name": "accept", "value": "b"}], "remove": ["x-gone"],
                }},
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-by", "value": "maru"}]}},
                {"type": "URLRewrite", "urlRewrite": {
                    "hostname": "inner.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"},
                }},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 80}}},
            ],
            "backendRefs": backend,
        },
        {
            "matches": [{"path": {"value": "/old"}}],
            "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}],
        },
        {"matches": [{"path": {"value": "/nowhere"}}], "backendRefs": []},
        {"matches": [{"path": {"value": "/broken"}}], "backendRefs": [{"name": "missing", "port": 80}]},
    ]);
    add_http_route(&mut inputs, "shop", json!(["shop.example"]), rules);
    let serving = Serving::start(&inputs).await;
    let url = format!("http://{}/api/items?x=1", serving.http);
    let response = client().get(url).header("host", "shop.example").header("x-gone", "1").send().await.unwrap();
    assert_eq!(response.headers()["x-by"], "maru");
    let said: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(said["uri"], "/v2/items?x=1");
    assert_eq!(header(&said, "host"), Some("inner.example"));
    assert_eq!((header(&said, "x-set"), header(&said, "x-gone")), (Some("1"), None));
    maru_testkit::wait_until(Duration::from_secs(5), "the mirrored request", || async {
        b.requests.load(Ordering::Relaxed) == 1
    })
    .await;

    let moved = serving.get("shop.example", "/old/x?y").await;
    assert_eq!(moved.status(), 301);
    assert_eq!(moved.headers()["location"], "https://shop.example/old/x?y");
    assert_eq!(serving.get("shop.example", "/nowhere").await.status(), 500);
    assert_eq!(serving.get("shop.example", "/broken").await.status(), 500);
    serving.stop().await;
}

#[tokio::test]
async fn weights_share_the_requests() {
    let (a, b) = (Upstream::start("a").await, Upstream::start("b").await);
    let mut inputs = world();
    add_service(&mut inputs, "a", &[a.address], None);
    add_service(&mut inputs, "b", &[b.address], None);
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    let backends = json!([{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80, "weight": 1}]);
    add_http_route(&mut inputs, "shop", json!([]), json!([{"backendRefs": backends}]));
    let serving = Serving::start(&inputs).await;
    let client = client();
    for _ in 0..300 {
        client.get(format!("http://{}/", serving.http)).send().await.unwrap();
    }
    let share = b.requests.load(Ordering::Relaxed);
    assert!((5..80).contains(&share), "{share} of 300 went to the one with a tenth of the weight");
    serving.stop().await;
}

#[tokio::test]
async fn failing_endpoints_are_passed_over_and_missing_ones_told() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[nowhere(), upstream.address, nowhere()], None);
    add_service(&mut inputs, "empty", &[], None);
    add_service(&mut inputs, "dead", &[nowhere()], None);
    add_ingress(&mut inputs, Some("a"), "/", "a");
    add_ingress(&mut inputs, Some("empty"), "/", "empty");
    add_ingress(&mut inputs, Some("dead"), "/", "dead");
    let serving = Serving::start(&inputs).await;
    for _ in 0..20 {
        let url = format!("http://{}/", serving.http);
        let response = client().post(url).header("host", "a").body("not sent yet, so sent again").send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(serving.get("empty", "/").await.status(), 503);
    assert_eq!(serving.get("dead", "/").await.status(), 502);
    serving.stop().await;
}

#[tokio::test]
async fn upstreams_that_close_cost_no_request() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, None, "/", "a");
    let serving = Serving::start(&inputs).await;
    let client = client();
    for turn in 0..50 {
        let path = if turn % 2 == 0 { "/close" } else { "/" };
        let response = client.get(format!("http://{}{path}", serving.http)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
    }
    serving.stop().await;
}

#[tokio::test]
async fn an_early_answer_blocks_nobody_else() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, None, "/", "a");
    let serving = Serving::start(&inputs).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        // The upload never ends, and the upstream does not wait for it.
        let mut stream = tokio::net::TcpStream::connect(serving.http).await.unwrap();
        let head = "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbeginning";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0u8; 4096];
        let count = stream.read(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer[..count]).starts_with("HTTP/1.1 200"));
        slow.push(stream);
    }
    let client = client();
    let others = async {
        for _ in 0..20 {
            assert_eq!(client.get(format!("http://{}/", serving.http)).send().await.unwrap().status(), 200);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), others).await.expect("others are answered meanwhile");
    drop(slow);
    serving.stop().await;
}

#[tokio::test]
async fn slow_upstreams_are_given_up_in_time() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    let backends = json!([{"name": "a", "port": 80}]);
    add_http_route(
        &mut inputs,
        "shop",
        json!(["whole"]),
        json!([{"timeouts": {"request": "100ms"}, "backendRefs": backends}]),
    );
    add_http_route(
        &mut inputs,
        "shop",
        json!(["try"]),
        json!([{"timeouts": {"backendRequest": "100ms"}, "backendRefs": backends}]),
    );
    add_http_route(&mut inputs, "shop", json!(["default"]), json!([{"backendRefs": backends}]));
    let serving =
        Serving::start_with(&inputs, None, |options| options.response_head_timeout = Duration::from_millis(200)).await;
    for host in ["whole", "try", "default"] {
        let started = tokio::time::Instant::now();
        assert_eq!(serving.get(host, "/slow").await.status(), 504, "{host}");
        assert!(started.elapsed() < Duration::from_secs(2), "{host}");
    }
    serving.stop().await;
}

/// Sends bytes and returns the first line of what comes back.
async fn raw(serving: &Serving, text: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(serving.http).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0u8; 4096];
    let count = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    answer.lines().next().unwrap_or("closed").to_owned()
}

#[tokio::test]
async fn ambiguous_requests_are_refused_or_disambiguated() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, None, "/", "a");
    let serving = Serving::start(&inputs).await;
    let refused = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Bad : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
    ];
    for request in refused {
        let line = raw(&serving, request).await;
        assert!(line.starts_with("HTTP/1.1 400") || line.starts_with("HTTP/1.0 400"), "{request:?}: {line}");
    }
    assert_eq!(upstream.requests.load(Ordering::Relaxed), 0, "no refused request was passed on");
    assert!(raw(&serving, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await.contains("405"));
    // RFC 9112 §6.3: Transfer-Encoding overrides Content-Length, which is not passed on.
    let both =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut stream = tokio::net::TcpStream::connect(serving.http).await.unwrap();
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut answer = vec![0u8; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]);
    assert!(answer.contains("\"body_bytes\":3") && !answer.contains("content-length\",\"40"), "{answer}");
    serving.stop().await;
}

#[tokio::test]
async fn metrics_and_log_tell_what_happened() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, Some("shop.example"), "/", "a");
    let directory = maru_testkit::TempDir::new();
    let path = directory.join("access.log");
    let log = AccessLogOptions { path: path.clone(), bytes_max: 1 << 20 };
    let serving = Serving::start_with(&inputs, Some(log), |_| {}).await;
    for path in ["/x?secret=1", "/teapot"] {
        serving.get("shop.example", path).await.bytes().await.unwrap();
    }
    serving.get("nobody", "/").await.bytes().await.unwrap();
    let registry = serving.registry.clone();
    let text = registry.render();
    for line in [
        r#"maru_gateway_requests_total{route="ingress/shop/ingress0",service="shop/a:80",code="200"} 1"#,
        r#"maru_gateway_requests_total{route="ingress/shop/ingress0",service="shop/a:80",code="418"} 1"#,
        r#"maru_gateway_requests_total{route="none",service="none",code="404"} 1"#,
        r#"maru_gateway_request_duration_seconds_count{route="ingress/shop/ingress0",service="shop/a:80"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    inputs.ingresses.clear();
    serving.apply(&inputs);
    assert!(!registry.render().contains("ingress0"), "a route that is gone leaves no series");
    serving.stop().await;
    let lines = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    // Each worker hands over its own lines: they are in no order.
    let line_of =
        |path: &str, host: &str| lines.iter().find(|line| line["path"] == path && line["host"] == host).unwrap();
    let first = line_of("/x", "shop.example");
    assert_eq!((&first["code"], &first["tries"]), (&json!(200), &json!(1)));
    assert_eq!(first["upstream"], upstream.address.to_string());
    assert_eq!(first["trace_id"].as_str().unwrap().len(), 32);
    assert!(first["bytes_sent"].as_u64().unwrap() > 10);
    assert_eq!(line_of("/", "nobody")["error"], "no route is for this host and path");
}
