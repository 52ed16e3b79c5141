//! The protocol around objects: discovery, shapes, watches, deletions, limits.

use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use maru_auth::Identity;
use serde_json::{Value, json};

use crate::support::Cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
const METADATA: (&str, &str) = (
    "accept",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
);

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": {"a": "1"}})
}

fn admin() -> Identity {
    Identity::new("admin", &[Identity::MASTERS])
}

/// Reads the lines of a watch one by one.
struct Lines {
    body: http_body_util::BodyStream<maru_http::Body>,
    buffer: Vec<u8>,
}

impl Lines {
    async fn open(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = http::Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(maru_http::empty()).unwrap();
        request.extensions_mut().insert(admin());
        let response = cluster.server.handler.call(request).await;
        assert_eq!(response.status(), 200);
        Self { body: http_body_util::BodyStream::new(response.into_body()), buffer: Vec::new() }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(3600), self.body.next()).await.expect("the watch goes on")?;
            self.buffer.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
    }
}

#[tokio::test]
async fn discovery_has_a_legacy_and_an_aggregated_form() {
    let cluster = Cluster::start().await;
    let (_, legacy) = cluster.get("/apis").await;
    let groups: Vec<&str> =
        legacy["groups"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(groups.contains(&"apps") && groups.contains(&"rbac.authorization.k8s.io"), "{groups:?}");
    let (_, core) = cluster.get("/api/v1").await;
    let pods = core["resources"].as_array().unwrap().iter().find(|one| one["name"] == "pods").unwrap();
    assert_eq!(
        (&pods["shortNames"], &pods["singularName"], &pods["categories"]),
        (&json!(["po"]), &json!("pod"), &json!(["all"]))
    );
    let eviction = core["resources"].as_array().unwrap().iter().find(|one| one["name"] == "pods/eviction").unwrap();
    assert_eq!((&eviction["group"], &eviction["kind"]), (&json!("policy"), &json!("Eviction")));

    let (status, headers, body) = cluster.send_as(&admin(), "GET", "/apis", &[("accept", AGGREGATED)], "").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let document: Value = serde_json::from_slice(&body).unwrap();
    let apps = document["items"].as_array().unwrap().iter().find(|one| one["metadata"]["name"] == "apps").unwrap();
    let deployments = apps["versions"][0]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["resource"] == "deployments")
        .unwrap();
    assert_eq!(
        deployments["subresources"][0]["responseKind"],
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    );
    let tag = headers["etag"].to_str().unwrap();
    let (status, ..) =
        cluster.send_as(&admin(), "GET", "/apis", &[("accept", AGGREGATED), ("if-none-match", tag)], "").await;
    assert_eq!(status, 304);
    insta::assert_json_snapshot!("core_v1", core);
}

#[tokio::test]
async fn objects_come_as_tables_and_as_metadata() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a")).await;
    let (_, table) = cluster.send("GET", MAPS, &[TABLE], "").await;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let (_, list) = cluster.send("GET", MAPS, &[METADATA], "").await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!((&list["items"][0]["metadata"]["name"], &list["items"][0]["data"]), (&json!("a"), &Value::Null));
    let mut lines = Lines::open(&cluster, &format!("{MAPS}?watch=true"), &[TABLE]).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("Table")), "{event}");
}

#[tokio::test]
async fn a_watch_list_ends_with_its_bookmark_and_later_ones_move_on() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a")).await;
    tokio::time::pause();
    let path = format!(
        "{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=90"
    );
    let mut lines = Lines::open(&cluster, &path, &[]).await;
    let first = lines.next().await.unwrap();
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    let end = lines.next().await.unwrap();
    assert_eq!((&end["type"], &end["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    tokio::time::resume();
    cluster.post("/api/v1/namespaces/kube-system/configmaps", &map("elsewhere")).await;
    tokio::time::pause();
    let later = lines.next().await.unwrap();
    assert_eq!(later["type"], "BOOKMARK");
    let version =
        |event: &Value| event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&later) > version(&end), "{end} {later}");
    let mut last = Some(later);
    while let Some(next) = lines.next().await {
        last = Some(next);
    }
    assert_eq!(last.unwrap()["type"], "BOOKMARK", "the time is over: the last word is where to go on");
}

#[tokio::test]
async fn versions_too_old_or_too_new_are_refused() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a")).await;
    let (status, body) = cluster.get(&format!("{MAPS}?resourceVersion=99999999999")).await;
    assert_eq!((status, &body["details"]["causes"][0]["reason"]), (504, &json!("ResourceVersionTooLarge")), "{body}");
    let (_, list) = cluster.get(MAPS).await;
    let old = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    cluster.post(MAPS, &map("b")).await;
    let (_, then) = cluster.get(&format!("{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact")).await;
    assert_eq!(then["items"].as_array().unwrap().len(), 1, "as it was then");
    cluster.server.store.compact(cluster.server.store.progress());
    let (status, body) = cluster.get(&format!("{MAPS}?watch=true&resourceVersion={old}")).await;
    assert_eq!((status, &body["reason"]), (410, &json!("Expired")), "{body}");
}

#[tokio::test]
async fn large_answers_are_compressed_when_asked() {
    let cluster = Cluster::start().await;
    let mut large = map("large");
    large["data"]["a"] = "x".repeat(300_000).into();
    cluster.post(MAPS, &large).await;
    let (_, headers, body) = cluster.send_as(&admin(), "GET", MAPS, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(body.len() < 30_000);
    let (_, headers, _) = cluster.send_as(&admin(), "GET", MAPS, &[], "").await;
    assert!(!headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn bodies_come_as_yaml_and_wrong_ones_are_explained() {
    let cluster = Cluster::start().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: 'yes'}\n";
    let (status, body) = cluster.send("POST", MAPS, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!((status, &body["data"]["a"]), (201, &json!("yes")), "{body}");
    let json = [("content-type", "application/json")];
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("POST", MAPS, &json, "{", 400, "BadRequest"),
        ("POST", MAPS, &json, "[]", 400, "BadRequest"),
        ("POST", MAPS, &[("content-type", "text/plain")], "x", 415, "UnsupportedMediaType"),
        ("POST", MAPS, &json, r#"{"kind":"Pod","apiVersion":"v1"}"#, 400, "BadRequest"),
        ("POST", MAPS, &json, r#"{"kind":"ConfigMap","apiVersion":"v2"}"#, 400, "BadRequest"),
        ("POST", MAPS, &json, r#"{"metadata":{"name":"x","namespace":"other"}}"#, 400, "BadRequest"),
        ("POST", MAPS, &json, r#"{"metadata":{"name":"X Y"}}"#, 422, "Invalid"),
        ("POST", MAPS, &json, r#"{"metadata":{}}"#, 422, "Invalid"),
        ("POST", MAPS, &json, r#"{"metadata":{"name":"x","resourceVersion":"1"}}"#, 400, "BadRequest"),
        ("POST", "/api/v1/configmaps", &json, r#"{"metadata":{"name":"x"}}"#, 405, "MethodNotAllowed"),
        ("GET", "/api/v1/nothings", &[], "", 404, "NotFound"),
        ("GET", "/apis/none/v1", &[], "", 404, "NotFound"),
        ("GET", "/api/v1/pods?fieldSelector=spec.color=red", &[], "", 400, "BadRequest"),
        ("GET", "/api/v1/pods?labelSelector=a%3D%3Db%2C%3D", &[], "", 400, "BadRequest"),
        ("GET", "/api/v1/pods?limit=many", &[], "", 400, "BadRequest"),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/m",
            &[("content-type", "application/json")],
            "{}",
            415,
            "UnsupportedMediaType",
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/m",
            &[("content-type", "application/json-patch+json")],
            r#"[{"op":"test","path":"/data/a","value":"no"}]"#,
            422,
            "Invalid",
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/m",
            &[("content-type", "application/apply-patch+yaml")],
            "{}",
            400,
            "BadRequest",
        ),
        ("DELETE", "/api/v1/namespaces/default/configmaps/none", &[], "", 404, "NotFound"),
        ("POST", "/api/v1/namespaces/default/pods/p/exec?command=ls", &[], "", 404, "NotFound"),
    ];
    for (method, path, headers, body, code, reason) in cases {
        let (status, answer) = cluster.send(method, path, headers, body).await;
        assert_eq!(
            (status, answer["reason"].as_str().unwrap_or_default()),
            (code, reason),
            "{method} {path} {body}: {answer}"
        );
        assert_eq!((&answer["kind"], &answer["status"]), (&json!("Status"), &json!("Failure")));
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    let (status, answer) = cluster.send("POST", MAPS, &json, &large).await;
    assert_eq!((status, &answer["reason"]), (413, &json!("RequestEntityTooLarge")));
    let (status, _) = cluster.send("POST", MAPS, &json, &"[".repeat(100_000)).await;
    assert_eq!(status, 400, "depth is limited");
}

#[tokio::test]
async fn deletions_check_what_is_there_and_mark_for_the_collector() {
    let cluster = Cluster::start().await;
    let (_, created) = cluster.post(MAPS, &map("a")).await;
    let json = [("content-type", "application/json")];
    let path = format!("{MAPS}/a");
    let wrong = json!({"preconditions": {"uid": "other"}}).to_string();
    let (status, body) = cluster.send("DELETE", &path, &json, &wrong).await;
    assert_eq!((status, &body["reason"]), (409, &json!("Conflict")), "{body}");
    let (status, body) = cluster.send("DELETE", &format!("{path}?dryRun=All"), &json, "{}").await;
    assert_eq!((status, &body["status"]), (200, &json!("Success")));
    let foreground =
        json!({"propagationPolicy": "Foreground", "preconditions": {"uid": created["metadata"]["uid"]}}).to_string();
    let (status, marked) = cluster.send("DELETE", &path, &json, &foreground).await;
    assert_eq!(status, 200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]), "{marked}");
    let (_, again) = cluster.send("DELETE", &path, &json, "{}").await;
    assert_eq!(again["metadata"]["resourceVersion"], marked["metadata"]["resourceVersion"], "nothing new to write");
    let more = json!({"metadata": {"finalizers": ["foregroundDeletion", "example.com/late"]}});
    let (status, body) = cluster.merge(&path, &more).await;
    assert_eq!(status, 422, "{body}");
    let (status, _) = cluster.merge(&path, &json!({"metadata": {"finalizers": []}})).await;
    assert_eq!(status, 200);
    assert_eq!(cluster.get(&path).await.0, 404);

    for name in ["b", "c", "d"] {
        cluster.post(MAPS, &map(name)).await;
    }
    let (status, gone) = cluster.delete(&format!("{MAPS}?labelSelector=app%20in%20(b,c)")).await;
    assert_eq!((status, gone["items"].as_array().unwrap().len()), (200, 2), "{gone}");
    let (_, left) = cluster.get(MAPS).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn events_of_both_groups_are_one() {
    let cluster = Cluster::start().await;
    let newer = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "i", "action": "Go",
        "reason": "Went", "note": "it went", "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    });
    let (status, body) = cluster.post("/apis/events.k8s.io/v1/namespaces/default/events", &newer).await;
    assert_eq!((status, &body["note"]), (201, &json!("it went")), "{body}");
    let (_, list) = cluster.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=p").await;
    let event = &list["items"][0];
    assert_eq!(
        (&event["apiVersion"], &event["message"], &event["involvedObject"]["kind"]),
        (&json!("v1"), &json!("it went"), &json!("Pod"))
    );
    let (_, list) =
        cluster.get("/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name=p").await;
    assert_eq!(
        (&list["items"][0]["apiVersion"], &list["items"][0]["note"]),
        (&json!("events.k8s.io/v1"), &json!("it went")),
        "{list}"
    );
}

#[tokio::test]
async fn evictions_respect_budgets() {
    let cluster = Cluster::start().await;
    let pod = json!({"metadata": {"name": "p", "labels": {"app": "p"}}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    let (status, body) = cluster.post("/api/v1/namespaces/default/pods", &pod).await;
    assert_eq!(status, 201, "{body}");
    cluster.merge("/api/v1/namespaces/default/pods/p/status", &json!({"status": {"phase": "Running"}})).await;
    let budget =
        json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}});
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let (status, body) = cluster.post(budgets, &budget).await;
    assert_eq!(status, 201, "{body}");
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let (status, body) = cluster.post("/api/v1/namespaces/default/pods/p/eviction", &eviction).await;
    assert_eq!((status, &body["details"]["causes"][0]["reason"]), (429, &json!("DisruptionBudget")), "{body}");
    cluster.merge(&format!("{budgets}/b/status"), &json!({"status": {"disruptionsAllowed": 1}})).await;
    let (status, body) = cluster.post("/api/v1/namespaces/default/pods/p/eviction", &eviction).await;
    assert_eq!(status, 201, "{body}");
    let (_, pod) = cluster.get("/api/v1/namespaces/default/pods/p").await;
    assert!(pod["metadata"]["deletionTimestamp"].is_string(), "{pod}");
    let (_, budget) = cluster.get(&format!("{budgets}/b")).await;
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
}

#[tokio::test]
async fn metrics_count_requests_by_resource() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a")).await;
    cluster.get("/api/v1/unheardof").await;
    let (_, _, body) = cluster.send_as(&admin(), "GET", "/metrics", &[], "").await;
    let text = String::from_utf8(body.to_vec()).unwrap();
    let line = "apiserver_request_total{verb=\"CREATE\",group=\"\",version=\"v1\",resource=\"configmaps\",subresource=\"\",code=\"201\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("unheardof"), "unknown names are not labels");
}

#[tokio::test]
async fn a_body_streams_until_the_server_stops() {
    let cluster = Cluster::start().await;
    let mut request = http::Request::get(format!("{MAPS}?watch=true")).body(maru_http::empty()).unwrap();
    request.extensions_mut().insert(admin());
    let response = cluster.server.handler.call(request).await;
    cluster.server.scope.cancel();
    let collected =
        tokio::time::timeout(Duration::from_secs(10), response.into_body().collect()).await.expect("the watch ends");
    assert!(collected.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn old_events_go() {
    let directory = tempfile::tempdir().unwrap();
    let clock = maru_time::TestClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let mut options = maru_apiserver::testing::options(directory.path());
    options.clock = clock.clone();
    let server = maru_apiserver::testing::start_with(options).await;
    let client = maru_client::in_process(&server.handler, &admin());
    let events: kube::Api<k8s_openapi::api::core::v1::Event> = kube::Api::namespaced(client, "default");
    for (name, seen) in [("old", "2026-01-01T00:00:00Z"), ("recurring", "2026-01-01T01:30:00Z")] {
        let event = json!({"metadata": {"name": name}, "involvedObject": {"kind": "Pod"}, "lastTimestamp": seen});
        let event = serde_json::from_value(event).unwrap();
        events.create(&kube::api::PostParams::default(), &event).await.unwrap();
    }
    clock.advance(Duration::from_secs(2 * 3600));
    tokio::time::pause();
    let gone = async {
        while events.get_opt("old").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), gone).await.expect("the old event is removed");
    assert!(events.get_opt("recurring").await.unwrap().is_some());
}
