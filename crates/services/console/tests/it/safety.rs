//! What pages of others try.

use http::header::HeaderName;
use serde_json::json;

use crate::support::Desk;

#[tokio::test]
async fn nothing_is_changed_for_another_site() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let namespace = json!({"metadata": {"name": "made"}}).to_string();
    let (own, path) = (desk.origin(), "/api/v1/namespaces");
    let other_port = own.replace(&desk.address.port().to_string(), "8080");
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", &other_port)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
    ];
    for headers in foreign {
        let mut all = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        all.extend(*headers);
        let reply = desk.bare("POST", path, &all, &namespace).await;
        assert_eq!(reply.status, 403, "{headers:?} {}", reply.text());
        for (method, path) in [
            ("POST", "/console/v1/logout"),
            ("POST", "/console/v1/login"),
            ("DELETE", "/console/v1/sessions"),
            ("POST", "/alertmanager/api/v2/silences"),
            ("DELETE", "/api/v1/namespaces/default"),
        ] {
            assert_eq!(desk.bare(method, path, &all, "{}").await.status, 403, "{method} {path} {headers:?}");
        }
    }
    assert_eq!(desk.get(&cookie, "/api/v1/namespaces/made").await.status, 404);
    let reply = desk
        .bare("POST", path, &[("cookie", &cookie), ("origin", &own), ("content-type", "application/json")], &namespace)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

#[tokio::test]
async fn other_sites_read_nothing_and_run_nothing_of_it() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-dest", "script", 403),
        ("sec-fetch-dest", "style", 403),
        ("sec-fetch-dest", "image", 403),
        ("sec-fetch-dest", "iframe", 403),
        ("sec-fetch-dest", "object", 403),
        ("sec-fetch-dest", "serviceworker", 403),
        ("sec-fetch-dest", "document", 200),
        ("sec-fetch-site", "none", 200),
    ] {
        let reply = desk.bare("GET", "/api/v1/namespaces", &[("cookie", &cookie), (name, value)], "").await;
        assert_eq!(reply.status, status, "{name}: {value}");
        assert!(reply.header("content-security-policy").contains("sandbox"), "{:?}", reply.headers);
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn every_answer_is_framed_by_nobody() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    for path in [
        "/",
        "/login?code=x",
        "/console/v1/session",
        "/console/v1/none",
        "/api/v1/namespaces",
        "/assets/none.js",
        "/prometheus/",
        "/workloads",
    ] {
        for cookie in [cookie.as_str(), ""] {
            let reply = desk.bare("GET", path, &[("cookie", cookie), ("accept", "text/html")], "").await;
            let policy = reply.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{path}: {policy}"
            );
            for (name, value) in [
                ("x-frame-options", "DENY"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(reply.header(name), value, "{path} {name}");
            }
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{path}");
        }
    }
}

#[tokio::test]
async fn names_that_were_pointed_here_are_not_answered() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    for host in ["evil.example", "evil.example:7080", "localhost.evil.example", "127.0.0.1.nip.example"] {
        for path in ["/", "/api/v1/namespaces", "/console/v1/session", "/login?code=x"] {
            let reply = desk.bare("GET", path, &[("host", host), ("cookie", &cookie)], "").await;
            assert_eq!(reply.status, 421, "{host} {path}");
        }
    }
    for host in ["localhost", "127.0.0.1:7080", "[::1]:7080", "box.example:7080"] {
        assert_eq!(
            desk.bare("GET", "/console/v1/session", &[("host", host), ("cookie", &cookie)], "").await.status,
            200,
            "{host}"
        );
    }
}

#[tokio::test]
async fn nobody_brings_an_identity_in() {
    let desk = Desk::start().await;
    let cookie = desk.login("nobody", &[]).await;
    let token = maru_auth::BearerTokens::load_or_create(&desk.directory.path().join("other")).unwrap();
    let token = format!("Bearer {}", token.first_admin_token().unwrap().reveal());
    for (name, value) in [
        ("authorization", token.as_str()),
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("impersonate-user", "admin"),
        ("impersonate-group", "system:masters"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-scopes", "all"),
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
        ("x-forwarded-user", "admin"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
    ] {
        let reply = desk.send(&cookie, "GET", "/api/v1/namespaces", &[(name, value)], "").await;
        assert_eq!(reply.status, 403, "{name}");
        assert!(reply.text().contains("User \\\"nobody\\\" cannot list"), "{name}: {}", reply.text());
        // Nor without a session.
        assert_eq!(desk.send("", "GET", "/api/v1/namespaces", &[(name, value)], "").await.status, 401, "{name}");
    }
    // The administrator cannot act as somebody else from the page either: what is there is the session's user.
    let admin = desk.admin().await;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let headers = [("impersonate-user", "kim"), ("content-type", "application/json")];
    let reply = desk.send(&admin, "POST", path, &headers, &review.to_string()).await;
    assert_eq!(reply.json()["status"]["userInfo"]["username"], "admin", "{}", reply.text());
}

#[tokio::test]
async fn other_rooms_see_the_user_and_set_no_cookies() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let headers = [("authorization", "Bearer x"), ("x-scope-orgid", "other"), ("te", "trailers")];
    let reply = desk.send(&cookie, "GET", "/prometheus/api/v1/query?query=up%7Ba%3D%22b%22%7D", &headers, "").await;
    let said = reply.json();
    assert_eq!((&said["uri"], &said["user"]), (&json!("/api/v1/query?query=up%7Ba%3D%22b%22%7D"), &json!("admin")));
    assert_eq!(said["headers"], json!(["host"]), "{said}");
    for name in [http::header::SET_COOKIE, http::header::ACCESS_CONTROL_ALLOW_ORIGIN] {
        let name: HeaderName = name;
        assert!(!reply.headers.contains_key(&name), "{name}");
    }
    assert_eq!(desk.get(&cookie, "/prometheus").await.json()["uri"], "/");
    assert_eq!(desk.get(&cookie, "/prometheusx").await.status, 404);
    assert_eq!(desk.get(&cookie, "/prometheus/../api/v1/namespaces").await.json()["user"], "admin");
}
