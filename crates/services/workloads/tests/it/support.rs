//! A cluster of one test: API server, controllers and a driver that does what a node would.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt as _};
use maru_apiserver::testing::{self, TestServer};
use maru_auth::Identity;
use maru_task::Scope;
use maru_workloads::WorkloadOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) const NODE: &str = "node-1";
pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const WAIT: Duration = Duration::from_secs(120);

/// A running cluster; everything ends when it is dropped.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) directory: tempfile::TempDir,
    scope: Scope,
    controllers: Scope,
    server: TestServer,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

impl Cluster {
    /// Starts everything, with one ready node and the namespace `shop`.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = testing::start(directory.path()).await;
        let client = maru_client::in_process(&server.handler, &Identity::new("test", &[Identity::MASTERS]));
        let scope = Scope::root("test");
        drop(scope.spawn_until_cancelled("node", drive_node(client.clone())));
        let mut cluster = Self { client, directory, controllers: scope.child("workloads"), scope, server };
        cluster.start_controllers();
        cluster.make_node().await;
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
        Api::<Namespace>::all(cluster.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        cluster
    }

    fn start_controllers(&mut self) {
        self.controllers = self.scope.child("workloads");
        let options = WorkloadOptions::new(NODE, self.directory.path().join("volumes"), "the authority");
        let running = maru_workloads::run(self.controllers.clone(), self.client.clone(), options);
        drop(self.scope.spawn("workloads", running));
    }

    /// Stops the controllers wherever they are, and starts others when nothing of the old ones is under way any more: as
    /// when a process ends and the next one starts.
    pub(crate) async fn restart_controllers(&mut self) {
        self.controllers.shutdown(WAIT).await.unwrap();
        // A write that was given up may still be in the store's queue; it is done when a later one is.
        let barrier = serde_json::from_value(json!({"metadata": {"generateName": "barrier-"}})).unwrap();
        self.api::<k8s_openapi::api::core::v1::ConfigMap>().create(&PostParams::default(), &barrier).await.unwrap();
        self.start_controllers();
    }

    /// The revision of the newest write.
    pub(crate) fn revision(&self) -> u64 {
        self.server.store.progress().0
    }

    async fn make_node(&self) {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        let nodes = Api::<Node>::all(self.client.clone());
        let made = nodes.create(&PostParams::default(), &node).await.unwrap();
        nodes.replace_status(NODE, &PostParams::default(), &Node { status: node.status, ..made }).await.unwrap();
    }

    pub(crate) fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Makes an object of `shop`.
    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api::<K>().create(&PostParams::default(), &object).await.unwrap()
    }

    pub(crate) async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Waits until the object is as told, and returns it.
    pub(crate) async fn wait<K>(&self, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let last = Arc::new(std::sync::Mutex::new(String::new()));
        let probe = async {
            loop {
                let found = self.api::<K>().get_opt(name).await.unwrap();
                if let Some(found) = found.clone().filter(|found| is(found)) {
                    return found;
                }
                *last.lock().unwrap() = format!("{found:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(WAIT, probe).await {
            Ok(found) => found,
            Err(_) => panic!("{name}: {what}: not within {WAIT:?}; it is {}", last.lock().unwrap()),
        }
    }

    /// Waits until the object is gone.
    pub(crate) async fn wait_gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        maru_testkit::wait_until(WAIT, format!("{name} is gone"), || async {
            api.get_metadata_opt(name).await.unwrap().is_none()
        })
        .await;
    }

    /// Waits until the list of objects of the kind is as told.
    pub(crate) async fn wait_list<K>(&self, what: &str, is: impl Fn(&[K]) -> bool) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        maru_testkit::wait_for(WAIT, what, || async {
            let found = self.list::<K>().await;
            is(&found).then_some(found)
        })
        .await
    }

    pub(crate) async fn list<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().list(&ListParams::default()).await.unwrap().items
    }

    /// The reasons of the events about an object, oldest first.
    pub(crate) async fn wait_event(&self, name: &str, reason: &str) -> String {
        maru_testkit::wait_for(WAIT, format!("event {reason} of {name}"), || async {
            let events = self.list::<k8s_openapi::api::core::v1::Event>().await;
            let found = events.into_iter().find(|event| {
                event.involved_object.name.as_deref() == Some(name) && event.reason.as_deref() == Some(reason)
            });
            found.and_then(|event| event.message)
        })
        .await
    }
}

/// Does what a node would: bound pods run, exit or end as their annotations say.
///
/// `test/exit: "N"` ends the pod's containers with that code; `test/ready: "false"` keeps it from becoming ready.
async fn drive_node(client: Client) {
    let all = Api::<Pod>::all(client.clone());
    let addresses = AtomicU32::new(2);
    loop {
        let Ok(list) = all.list(&ListParams::default()).await else { continue };
        for pod in &list.items {
            step(&client, &addresses, pod).await;
        }
        let revision = list.metadata.resource_version.unwrap_or_default();
        let Ok(events) = all.watch(&WatchParams::default(), &revision).await else { continue };
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            if let WatchEvent::Added(pod) | WatchEvent::Modified(pod) = event {
                step(&client, &addresses, &pod).await;
            }
        }
    }
}

async fn step(client: &Client, addresses: &AtomicU32, pod: &Pod) {
    if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(NODE) {
        return;
    }
    let api = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    if pod.metadata.deletion_timestamp.is_some() {
        let finished =
            matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
        if !finished && pod.finalizers().iter().any(|one| one == "batch.kubernetes.io/job-tracking") {
            patch_status(&api, pod, json!({"phase": "Failed"})).await;
        }
        drop(
            api.delete(&pod.name_any(), &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() })
                .await,
        );
        return;
    }
    if pod.status.as_ref().and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase != "Pending") {
        return;
    }
    let now = Timestamp::from_second(maru_time::Clock::now(&maru_time::SystemClock).as_second()).unwrap();
    if let Some(code) = pod.annotations().get("test/exit").and_then(|code| code.parse::<i32>().ok()) {
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let terminated = json!({"exitCode": code, "startedAt": now, "finishedAt": now});
        let container = json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}});
        patch_status(&api, pod, json!({"phase": phase, "startTime": now, "containerStatuses": [container]})).await;
        return;
    }
    let ready = if pod.annotations().get("test/ready").map(String::as_str) == Some("false") { "False" } else { "True" };
    let ip = format!("10.42.0.{}", addresses.fetch_add(1, Ordering::Relaxed));
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
    let status = json!({
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": now,
        "conditions": [condition("Ready", ready), condition("PodScheduled", "True")],
    });
    patch_status(&api, pod, status).await;
}

async fn patch_status(api: &Api<Pod>, pod: &Pod, status: Value) {
    // The pod may be gone already.
    drop(api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&json!({"status": status}))).await);
}

/// A pod template with one container.
pub(crate) fn template(app: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}
