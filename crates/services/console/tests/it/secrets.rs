//! Values of Secrets: masked until one is asked for, and asking is recorded.

use serde_json::{Value, json};

use crate::support::{Desk, administrator, closed, let_view, next_text};

/// `secret` in base64.
const VALUE: &str = "c2VjcmV0";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

async fn with_secret() -> (Desk, String) {
    let desk = Desk::start().await;
    let secret = json!({
        "metadata": {"name": "s", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":{{\"password\":\"{VALUE}\"}}}}"),
        }},
        "data": {"password": VALUE},
    });
    desk.create("/api/v1/namespaces/default/secrets", &secret).await;
    let cookie = desk.admin().await;
    (desk, cookie)
}

#[tokio::test]
async fn no_answer_has_values_that_nobody_asked_for() {
    let (desk, cookie) = with_secret().await;
    let one = "/api/v1/namespaces/default/secrets/s";
    let merge = [("content-type", "application/merge-patch+json"), ("maru-reveal", "true")];
    for (method, path, headers, body, status) in [
        ("GET", "/api/v1/secrets", &[("accept", "application/json")][..], "", 403),
        ("GET", one, &[][..], "", 403),
        ("GET", one, &[("accept", "*/*")][..], "", 403),
        ("GET", "/api/v1/namespaces/default/%73ecrets/s", &[][..], "", 403),
        ("GET", "/api/v1//namespaces/default/secrets/s", &[][..], "", 403),
        ("GET", "/api/v1/namespaces/default/secrets", &[("maru-reveal", "true")][..], "", 403),
        ("GET", "/api/v1/secrets?watch=true", &[("maru-reveal", "true")][..], "", 403),
        ("GET", "/api/v1/secrets?watch=1", &[("accept", TABLE)][..], "", 403),
        ("GET", "/api/v1/secrets?includeObject=Object", &[("accept", TABLE)][..], "", 200),
        ("GET", "/api/v1/secrets", &[("accept", METADATA)][..], "", 200),
        ("GET", one, &[("maru-reveal", "keys")][..], "", 200),
        ("GET", "/api/v1/secrets", &[("maru-reveal", "keys"), ("accept-encoding", "gzip")][..], "", 200),
        ("PATCH", one, &merge[..], "{}", 200),
        ("PATCH", "/api/v1/namespaces/default/secrets/s?dryRun=All", &merge[..], "{}", 200),
        ("DELETE", one, &[("maru-reveal", "true")][..], "", 200),
    ] {
        let reply = desk.send(&cookie, method, path, headers, body).await;
        let text = reply.text();
        assert_eq!(reply.status, status, "{method} {path} {headers:?}: {text}");
        assert!(!text.contains(VALUE), "{method} {path} {headers:?}: {text}");
        if status == 403 && !path.contains("watch") {
            assert!(text.contains("Maru-Reveal"), "{text}");
        }
    }
    let (_, events) = desk.direct(&administrator(), "GET", "/api/v1/events", &Value::Null).await;
    assert!(!events.to_string().contains("SecretRevealed"), "{events}");
}

#[tokio::test]
async fn keys_are_shown_without_values() {
    let (desk, cookie) = with_secret().await;
    let path = "/api/v1/namespaces/default/secrets/s";
    let reply = desk.send(&cookie, "GET", path, &[("maru-reveal", "keys")], "").await;
    assert_eq!(reply.json()["data"], json!({"password": null}));
    let table = desk.send(&cookie, "GET", "/api/v1/secrets", &[("accept", TABLE)], "").await.json();
    assert_eq!(table["rows"][0]["cells"][0], "s", "{table}");
}

#[tokio::test]
async fn looking_is_recorded_before_anything_is_shown() {
    let (desk, cookie) = with_secret().await;
    let path = "/api/v1/namespaces/default/secrets/s";
    let reply = desk.send(&cookie, "GET", path, &[("maru-reveal", "true")], "").await;
    assert_eq!((reply.status, &reply.json()["data"]["password"]), (200, &json!(VALUE)));
    assert_eq!(reply.header("cache-control"), "no-store");
    let (_, events) = desk.direct(&administrator(), "GET", "/api/v1/namespaces/default/events", &Value::Null).await;
    let event = &events["items"][0];
    assert_eq!((&event["reason"], &event["involvedObject"]["name"]), (&json!("SecretRevealed"), &json!("s")));
    assert_eq!(event["involvedObject"]["uid"], reply.json()["metadata"]["uid"]);
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("user \"admin\"") && !event.to_string().contains(VALUE), "{event}");

    // Who may not read it is told so, and nothing is recorded.
    let_view(&desk, "kim").await;
    let kim = desk.login("kim", &[]).await;
    let refused = desk.send(&kim, "GET", path, &[("maru-reveal", "true")], "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("User \\\"kim\\\" cannot get"), "{}", refused.text());
    let (_, events) = desk.direct(&administrator(), "GET", "/api/v1/namespaces/default/events", &Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_record_nothing_is_shown() {
    // A room that may not write events.
    let desk = Desk::start_with(|options| {
        options.client = maru_client::as_user(&options.api, "nobody", &[]);
    })
    .await;
    desk.create("/api/v1/namespaces/default/secrets", &json!({"metadata": {"name": "s"}, "data": {"p": VALUE}})).await;
    let cookie = desk.admin().await;
    let reply = desk.send(&cookie, "GET", "/api/v1/namespaces/default/secrets/s", &[("maru-reveal", "true")], "").await;
    assert_eq!(reply.status, 503);
    assert!(!reply.text().contains(VALUE) && reply.text().contains("could not be recorded"), "{}", reply.text());
}

#[tokio::test]
async fn a_watch_tells_of_changes_and_not_of_values() {
    let (desk, cookie) = with_secret().await;
    let (code, reason) = closed(&mut desk.socket(&cookie, "/api/v1/secrets?watch=true").await).await;
    assert_eq!(code, 4403);
    assert!(reason.contains("masked"), "{reason}");
    for (form, kind) in [("metadata", "PartialObjectMetadata"), ("table&includeObject=Object", "Table")] {
        let mut socket = desk.socket(&cookie, &format!("/api/v1/secrets?watch=true&as={form}")).await;
        let text = next_text(&mut socket).await;
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!(kind)), "{text}");
        assert!(!text.contains(VALUE), "{text}");
    }
}
