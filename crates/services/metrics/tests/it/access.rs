//! Tokens, scopes, origins.

use maru_metrics::{Access, AccessScope, TokenFile, TokenRecord};
use maru_time::Timestamp;

use crate::{NOW, Running, labels, request};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_reach_as_far_as_their_scopes() {
    let folder = maru_testkit::TempDir::new();
    let file = TokenFile::new(folder.join("tokens.json"));
    let own = file.clone();
    let server = Running::with(|options| {
        options.access = Access::Tokens { file: own, delegate: None };
        options.admin_api = true;
    })
    .await;
    let token = |name: &str, scope| {
        let record = TokenRecord {
            name: name.to_owned(),
            scopes: vec![scope],
            series_max: None,
            created: Timestamp::UNIX_EPOCH,
        };
        format!("Bearer {}", file.create(record).unwrap().reveal())
    };
    let (reader, writer, admin) =
        (token("grafana", AccessScope::Read), token("agent", AccessScope::Write), token("ops", AccessScope::Admin));
    let status = async |method: reqwest::Method, path: &str, token: &str| {
        let body =
            request(maru_prom::remote_write::Version::V1, &[(labels(&[("__name__", "up")]), vec![(NOW * 1000, 1.0)])]);
        let mut request = server.client.request(method, format!("{}{path}", server.url)).body(body);
        if !token.is_empty() {
            request = request.header("authorization", token);
        }
        request.send().await.unwrap().status().as_u16()
    };
    use reqwest::Method;
    let (query, write, delete) =
        ("/api/v1/query?query=1", "/api/v1/write", "/api/v1/admin/tsdb/delete_series?match[]=up");
    for (method, path, token, expected) in [
        (Method::GET, query, "", 401),
        (Method::GET, query, "Bearer guess", 401),
        (Method::GET, query, &reader, 200),
        (Method::GET, query, &writer, 403),
        (Method::GET, query, &admin, 200),
        (Method::POST, write, "", 401),
        (Method::POST, write, &reader, 403),
        (Method::POST, write, &writer, 204),
        (Method::POST, delete, &writer, 403),
        (Method::POST, delete, &admin, 204),
        (Method::GET, "/metrics", "", 401),
        (Method::GET, "/-/ready", "", 200),
    ] {
        assert_eq!(status(method.clone(), path, token).await, expected, "{method} {path}");
    }
    // Who wrote is told by the token's name.
    let told = server.client.get(format!("{}/api/v1/status/cardinality", server.url)).header("authorization", &reader);
    let told: serde_json::Value = serde_json::from_slice(&told.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(told["data"]["added"][0]["scope"]["token"], "agent", "{told}");
    assert!(file.delete("grafana").unwrap());
    assert_eq!(status(Method::GET, query, &reader).await, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_read_only_where_it_is_harmless() {
    let server = Running::start().await;
    let allowed = async |origin: &str| {
        let request = server.client.request(reqwest::Method::OPTIONS, format!("{}/api/v1/query", server.url));
        let response = request.header("origin", origin).send().await.unwrap();
        assert_eq!(response.status(), 204);
        response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    };
    // Open to everybody on loopback: a page from elsewhere must not read through a person's browser.
    assert_eq!(allowed("http://localhost:3000").await.as_deref(), Some("*"));
    assert_eq!(allowed("https://evil.example").await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_token_speaks_tls() {
    let folder = maru_testkit::TempDir::new();
    let authority =
        maru_auth::CertificateAuthority::load_or_create(&folder.join("ca"), maru_time::system_clock()).unwrap();
    let file = TokenFile::new(folder.join("tokens.json"));
    let record = TokenRecord {
        name: "agent".to_owned(),
        scopes: vec![AccessScope::Read, AccessScope::Write],
        series_max: None,
        created: Timestamp::UNIX_EPOCH,
    };
    let token = file.create(record).unwrap();
    let server =
        Running::with_tls(|options| options.access = Access::Tokens { file, delegate: None }, Some(authority)).await;
    assert!(server.url.starts_with("https://"));
    let body =
        request(maru_prom::remote_write::Version::V1, &[(labels(&[("__name__", "up")]), vec![(NOW * 1000, 1.0)])]);
    // As a header, and as the password of basic authentication as some clients send it.
    let bearer = format!("Bearer {}", token.reveal());
    assert_eq!(server.post("/api/v1/write", &[("authorization", &bearer)], body.clone()).await.0, 204);
    let query = format!("{}/api/v1/query?query=up&time={NOW}", server.url);
    let answer = server.client.get(&query).basic_auth("anybody", Some(token.reveal())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    assert!(answer.text().await.unwrap().contains("\"1\""));
    assert_eq!(server.post("/api/v1/write", &[], body).await.0, 401);
    // Who does not know the authority is not fooled, and nobody talks to it without TLS.
    let stranger = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    assert!(stranger.get(&query).bearer_auth(token.reveal()).send().await.is_err());
    assert!(stranger.get(query.replace("https://", "http://")).send().await.is_err());
    server.stop().await;
}
