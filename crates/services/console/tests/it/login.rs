//! How people come in and go out.

use std::time::Duration;

use maru_console::SessionFiles;
use serde_json::json;

use crate::support::{Desk, PATIENCE, administrator};

#[tokio::test]
async fn a_link_logs_in_once() {
    let desk = Desk::start().await;
    let link = desk.link("kim", &["viewers"]);
    // What only looks ahead does not use it up.
    assert_eq!(desk.bare("HEAD", &link, &[], "").await.status, 403);
    assert_eq!(desk.bare("GET", &link, &[("sec-purpose", "prefetch;prerender")], "").await.status, 403);
    let reply = desk.bare("GET", &link, &[("user-agent", "test browser")], "").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    let set = reply.header("set-cookie");
    for part in ["maru-session-test=", "; Path=/;", "; HttpOnly", "; SameSite=Strict", "Max-Age=43200"] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let cookie = reply.cookie();

    let session = desk.get(&cookie, "/console/v1/session").await.json();
    assert_eq!((&session["user"], &session["groups"]), (&json!("kim"), &json!(["viewers", "system:authenticated"])));
    assert_eq!((&session["version"], &session["instance"]), (&json!("1.2.3"), &json!("box")));
    assert_eq!((&session["secretsMasked"], &session["rooms"]), (&json!(true), &json!({})));
    assert_eq!(session["expires"], "2026-01-01T12:00:00Z");

    let again = desk.bare("GET", &link, &[], "").await;
    assert_eq!(again.status, 403);
    assert!(
        again.text().contains("maru console link") && !again.headers.contains_key("set-cookie"),
        "{}",
        again.text()
    );
    // The way back in one's own history is no error.
    let back = desk.bare("GET", &link, &[("cookie", &cookie)], "").await;
    assert_eq!((back.status, back.headers.contains_key("set-cookie")), (303, false));
}

#[tokio::test]
async fn a_link_and_a_session_end_by_themselves() {
    let desk = Desk::start().await;
    let old = desk.link("kim", &[]);
    let cookie = desk.login("kim", &[]).await;
    desk.clock.advance(Duration::from_secs(600));
    assert_eq!(desk.bare("GET", &old, &[], "").await.status, 403);
    assert_eq!(desk.get(&cookie, "/console/v1/session").await.status, 200);
    desk.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(desk.get(&cookie, "/console/v1/session").await.status, 401);
    assert_eq!(desk.get(&cookie, "/version").await.status, 401);
}

#[tokio::test]
async fn links_lead_nowhere_else() {
    let desk = Desk::start().await;
    for (next, place) in [
        ("%2Fworkloads%3Fkind%3DPod", "/workloads?kind=Pod"),
        ("%2F%2Fevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2F%0D%0ASet-Cookie%3A%20a%3Db", "/"),
        ("javascript%3Aalert(1)", "/"),
    ] {
        let reply = desk.bare("GET", &format!("{}&next={next}", desk.link("kim", &[])), &[], "").await;
        assert_eq!((reply.status, reply.header("location")), (303, place), "{next}");
    }
}

#[tokio::test]
async fn without_a_session_there_is_no_data() {
    let desk = Desk::start().await;
    let admin = desk.admin().await;
    let wrong = format!("{admin}x");
    let name = admin.split('=').next().unwrap();
    for cookie in ["", "a=b", wrong.as_str(), &format!("{name}="), &format!("other-{admin}")] {
        for path in [
            "/console/v1/session",
            "/console/v1/sessions",
            "/api/v1/namespaces",
            "/version",
            "/prometheus/api/v1/query",
        ] {
            let reply = desk.get(cookie, path).await;
            assert_eq!(reply.status, 401, "{cookie} {path}");
            assert_eq!(reply.json()["reason"], "Unauthorized");
        }
    }
    assert_eq!(desk.get(&admin, "/api/v1/namespaces").await.status, 200);
    assert_eq!(desk.get(&format!("a=b; {admin}; c=d"), "/api/v1/namespaces").await.status, 200);
}

#[tokio::test]
async fn a_token_logs_in_and_its_end_logs_out() {
    let desk = Desk::start().await;
    desk.create("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "robot"}})).await;
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let (status, review) = desk.direct(&administrator(), "POST", path, &json!({"spec": {}})).await;
    assert_eq!(status, 201, "{review}");
    let token = review["status"]["token"].as_str().unwrap();

    for wrong in [json!({"token": "guess"}), json!({"token": format!("{token}x")})] {
        let reply = desk.post("", "/console/v1/login", &wrong).await;
        assert_eq!((reply.status, reply.headers.contains_key("set-cookie")), (401, false));
    }
    for wrong in [json!({}), json!({"token": ""}), json!("x")] {
        assert_eq!(desk.post("", "/console/v1/login", &wrong).await.status, 400);
    }
    let reply = desk.post("", "/console/v1/login", &json!({"token": token})).await;
    assert_eq!((reply.status, &reply.json()["user"]), (200, &json!("system:serviceaccount:default:robot")));
    let cookie = reply.cookie();
    assert_eq!(desk.get(&cookie, "/console/v1/session").await.json()["kind"], "token");

    let (status, _) =
        desk.direct(&administrator(), "DELETE", "/api/v1/namespaces/default/serviceaccounts/robot", &json!(null)).await;
    assert_eq!(status, 200);
    maru_testkit::wait_until(PATIENCE, "the session to end with its token", async || {
        desk.get(&cookie, "/console/v1/session").await.status == 401
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_user() {
    let desk = Desk::start().await;
    let first = desk.login("kim", &[]).await;
    desk.clock.advance(Duration::from_secs(1));
    let second = desk.login("kim", &[]).await;
    let other = desk.login("lee", &[]).await;
    let list = desk.get(&first, "/console/v1/sessions").await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{list}");
    assert_eq!((&items[0]["current"], &items[1]["current"]), (&json!(false), &json!(true)));
    assert!(!list.to_string().contains(first.split_once('=').unwrap().1), "the cookie itself is told to nobody");
    let id = items[0]["id"].as_str().unwrap();

    let foreign = desk.get(&other, "/console/v1/sessions").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.send(&first, "DELETE", &format!("/console/v1/sessions/{foreign}"), &[], "").await.status, 404);
    assert_eq!(desk.send(&first, "DELETE", &format!("/console/v1/sessions/{id}"), &[], "").await.status, 200);
    assert_eq!(desk.get(&second, "/console/v1/session").await.status, 401);
    assert_eq!(desk.get(&first, "/console/v1/session").await.status, 200);

    let out = desk.post(&first, "/console/v1/logout", &json!({})).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert_eq!(desk.get(&first, "/console/v1/session").await.status, 401);

    let cookies = [desk.login("kim", &[]).await, desk.login("kim", &[]).await];
    let ended = desk.send(&cookies[0], "DELETE", "/console/v1/sessions", &[], "").await;
    assert_eq!((ended.status, &ended.json()["ended"]), (200, &json!(2)));
    for cookie in &cookies {
        assert_eq!(desk.get(cookie, "/console/v1/session").await.status, 401);
    }
    assert_eq!(desk.get(&other, "/console/v1/session").await.status, 200);
}

#[tokio::test]
async fn a_restart_logs_nobody_out_and_the_machine_can() {
    let mut desk = Desk::start().await;
    let kim = desk.login("kim", &["viewers"]).await;
    let lee = desk.login("lee", &[]).await;
    let gone = desk.login("kim", &[]).await;
    assert_eq!(desk.post(&gone, "/console/v1/logout", &json!({})).await.status, 204);
    desk.restart().await;
    assert_eq!(desk.get(&kim, "/console/v1/session").await.json()["groups"][0], "viewers");
    assert_eq!(desk.get(&gone, "/console/v1/session").await.status, 401);

    let files = SessionFiles::new(&desk.directory.path().join("console"));
    let stored = files.list().unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(files.end(|one| one.user == "kim").unwrap(), 1);
    maru_testkit::wait_until(PATIENCE, "the session to end", async || {
        desk.get(&kim, "/console/v1/session").await.status == 401
    })
    .await;
    assert_eq!(desk.get(&lee, "/console/v1/session").await.status, 200);
}
