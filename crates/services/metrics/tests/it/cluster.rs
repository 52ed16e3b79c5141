//! Objects of a real API server, followed.

use std::time::Duration;

use maru_apiserver::testing::{self, TestServer};
use maru_auth::Identity;
use maru_client::Client;
use maru_metrics::ClusterOptions;
use maru_testkit::{TempDir, wait_for};
use maru_time::system_clock;
use serde_json::{Value, json};

use crate::Running;

const PATIENCE: Duration = Duration::from_secs(60);
const RULES: &str = "/apis/monitoring.coreos.com/v1/namespaces/default/prometheusrules/r";
const MONITOR: &str = "/apis/monitoring.coreos.com/v1/namespaces/default/podmonitors/m";

struct House {
    api: TestServer,
    client: Client,
    folder: TempDir,
}

impl House {
    async fn start() -> Self {
        let folder = TempDir::new();
        let api = testing::start(folder.path()).await;
        let client = maru_client::as_user(&api.handler, "admin", &[Identity::MASTERS]);
        let house = Self { api, client, folder };
        for definition in maru_metrics::crds() {
            let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            house.apply(&path, &definition).await;
        }
        house
    }

    /// Starts a store that follows this API with the room's own rights.
    async fn measure(&self) -> Running {
        let directory = self.folder.join("metrics");
        let running = Running::with(|options| {
            options.directory = directory;
            options.clock = system_clock();
        })
        .await;
        let client = maru_client::as_user(&self.api.handler, "system:maru:metrics", &[]);
        maru_metrics::follow_cluster(
            &running.scope,
            &running.metrics,
            ClusterOptions::new(client, "n", system_clock()),
        );
        running
    }

    async fn apply(&self, path: &str, object: &Value) {
        let request = http::Request::patch(format!("{path}?fieldManager=test&force=true"))
            .header("content-type", "application/apply-patch+yaml")
            .body(object.to_string().into_bytes())
            .unwrap();
        self.client.request::<Value>(request).await.unwrap();
    }

    async fn condition(&self, path: &str, status: &str) -> String {
        wait_for(PATIENCE, format!("{path} to be accepted: {status}"), async || {
            let request = http::Request::get(path).body(Vec::new()).unwrap();
            let object: Value = self.client.request(request).await.unwrap();
            let condition = &object["status"]["conditions"][0];
            let is_fresh = condition["observedGeneration"] == object["metadata"]["generation"];
            (is_fresh && condition["status"] == status).then(|| condition["message"].as_str().unwrap().to_owned())
        })
        .await
    }
}

/// Returns a rule with an expression of this text.
fn rule(expression: &str) -> Value {
    json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "r"},
        "spec": {"groups": [{"name": "g", "interval": "1s", "rules": [{"alert": "Always", "expr": expression}]}]}})
}

fn monitor(interval: &str) -> Value {
    json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "m"},
        "spec": {"selector": {}, "podMetricsEndpoints": [{"port": "m", "interval": interval}]}})
}

async fn groups(running: &Running) -> Vec<Value> {
    running.data("/api/v1/rules", &[]).await["groups"].as_array().unwrap().clone()
}

async fn pools(running: &Running) -> Vec<Value> {
    running.data("/api/v1/scrape_pools", &[]).await["scrapePools"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_became_wrong_goes_on_as_it_was() {
    let house = House::start().await;
    let running = house.measure().await;
    house.apply(RULES, &rule("vector(1)")).await;
    house.apply(MONITOR, &monitor("15s")).await;
    assert_eq!(house.condition(RULES, "True").await, "");
    house.condition(MONITOR, "True").await;
    wait_for(PATIENCE, "the alert to fire", async || {
        groups(&running).await.first().is_some_and(|group| group["rules"][0]["state"] == "firing").then_some(())
    })
    .await;

    house.apply(RULES, &rule("vector(")).await;
    house.apply(MONITOR, &monitor("soon")).await;
    let told = house.condition(RULES, "False").await;
    assert!(told.contains("groups[0].rules[0].expr") && told.ends_with("what generation 1 said goes on"), "{told}");
    assert!(house.condition(MONITOR, "False").await.contains("\"soon\": it is no duration"));
    let after = groups(&running).await;
    assert_eq!(after[0]["rules"][0]["state"], "firing", "{after:?}");
    assert_eq!(after[0]["rules"][0]["query"], "vector(1)");
    assert_eq!(after[0]["problem"], told);
    assert!(pools(&running).await.contains(&json!("podMonitor/default/m/0")));

    // A restart does not lose it either.
    running.stop().await;
    let running = house.measure().await;
    let group =
        wait_for(PATIENCE, "the group to be there again", async || groups(&running).await.first().cloned()).await;
    assert_eq!((&group["rules"][0]["query"], &group["problem"]), (&json!("vector(1)"), &json!(told)));

    house.apply(RULES, &rule("vector(2)")).await;
    assert_eq!(house.condition(RULES, "True").await, "");
    let after = groups(&running).await;
    assert_eq!((&after[0]["rules"][0]["query"], &after[0]["problem"]), (&json!("vector(2)"), &Value::Null));

    let request = http::Request::delete(RULES).body(Vec::new()).unwrap();
    house.client.request::<Value>(request).await.unwrap();
    wait_for(PATIENCE, "the group to end", async || groups(&running).await.is_empty().then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_are_applied_and_checked() {
    let house = House::start().await;
    for (path, object) in maru_metrics::built_in_objects() {
        house.apply(&path, &object).await;
    }
    let running = house.measure().await;
    let boards = "/apis/maru.dev/v1alpha1/namespaces/maru-system/boards";
    for name in ["machine", "maru", "objectives", "pods", "services"] {
        assert_eq!(house.condition(&format!("{boards}/{name}"), "True").await, "");
    }
    let wrong = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Board", "metadata": {"name": "wrong"}, "spec": {
        "title": "Wrong", "rows": [{"panels": [
            {"kind": "stat", "title": "a", "queries": [{"query": "sum("}]},
            {"kind": "stat", "title": "b", "queries": [{"query": "up{job=\"$job\"}"}]}]}]}});
    house.apply(&format!("{boards}/wrong"), &wrong).await;
    let told = house.condition(&format!("{boards}/wrong"), "False").await;
    assert!(told.contains("row 1, panel \"a\": \"sum(\"") && told.contains("there is no variable \"job\""), "{told}");
    // Whoever is signed in may read them.
    let reader = maru_client::as_user(&house.api.handler, "somebody", &["system:authenticated"]);
    let request = http::Request::get(boards).body(Vec::new()).unwrap();
    assert_eq!(reader.request::<Value>(request).await.unwrap()["items"].as_array().unwrap().len(), 6);
    running.stop().await;
}
