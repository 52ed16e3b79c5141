//! Deployments from the first rollout to the last pod, and pods that do not fit.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::support::{Cluster, template};

fn deployment(replicas: i32, image: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", image)},
    })
}

/// What `kubectl rollout status` waits for.
fn is_rolled_out(deployment: &Deployment) -> bool {
    let (Some(spec), Some(status)) = (&deployment.spec, &deployment.status) else { return false };
    let wanted = spec.replicas.unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
}

fn condition(deployment: &Deployment, kind: &str) -> String {
    let mut conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let found = conditions.find(|condition| condition.type_ == kind);
    found.map(|one| format!("{}/{}", one.status, one.reason.clone().unwrap_or_default())).unwrap_or_default()
}

#[tokio::test]
async fn a_deployment_rolls_out_updates_and_goes_back() {
    let cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment(3, "v1")).await;
    let first = cluster.wait::<Deployment>("web", "rolled out", is_rolled_out).await;
    assert_eq!(condition(&first, "Available"), "True/MinimumReplicasAvailable");
    assert_eq!(condition(&first, "Progressing"), "True/NewReplicaSetAvailable");
    let bound = cluster.list::<Pod>().await;
    assert_eq!(bound.len(), 3);
    assert!(bound.iter().all(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some("node-1")));

    let new_image = json!({"spec": {"template": template("web", "v2")}});
    cluster.patch::<Deployment>("web", new_image).await;
    let is_second = |one: &Deployment| {
        is_rolled_out(one)
            && one.annotations().get("deployment.kubernetes.io/revision").map(String::as_str) == Some("2")
    };
    cluster.wait::<Deployment>("web", "rolled out again", is_second).await;
    let pods = cluster.wait_list::<Pod>("only new pods", |pods| pods.len() == 3).await;
    assert!(pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v2")));

    // As `kubectl rollout undo` does: the template of the older set comes back.
    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("web", "v1")}})).await;
    let is_third = |one: &Deployment| {
        is_rolled_out(one)
            && one.annotations().get("deployment.kubernetes.io/revision").map(String::as_str) == Some("3")
    };
    cluster.wait::<Deployment>("web", "back", is_third).await;
    assert_eq!(cluster.list::<ReplicaSet>().await.len(), 2, "the old set is used again");

    let message = cluster.wait_event("web", "ScalingReplicaSet").await;
    assert!(message.starts_with("Scaled ") && message.contains("replica set web-"), "{message}");
    let pod = cluster.list::<Pod>().await[0].name_any();
    assert_eq!(cluster.wait_event(&pod, "Scheduled").await, format!("Successfully assigned shop/{pod} to node-1"));
}

#[tokio::test]
async fn scaling_pausing_and_deleting() {
    let cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment(1, "v1")).await;
    cluster.wait::<Deployment>("web", "rolled out", is_rolled_out).await;
    cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 5}})).await;
    cluster
        .wait::<Deployment>("web", "scaled up", |one| {
            is_rolled_out(one) && one.status.as_ref().unwrap().replicas == Some(5)
        })
        .await;

    cluster.patch::<Deployment>("web", json!({"spec": {"paused": true, "template": template("web", "v2")}})).await;
    cluster
        .wait::<Deployment>("web", "paused", |one| condition(one, "Progressing") == "Unknown/DeploymentPaused")
        .await;
    assert_eq!(cluster.list::<ReplicaSet>().await.len(), 1);
    cluster.patch::<Deployment>("web", json!({"spec": {"paused": false, "replicas": 2}})).await;
    cluster
        .wait::<Deployment>("web", "resumed", |one| {
            is_rolled_out(one) && one.status.as_ref().unwrap().replicas == Some(2)
        })
        .await;

    cluster.api::<Deployment>().delete("web", &kube::api::DeleteParams::background()).await.unwrap();
    cluster.wait_list::<Pod>("all pods gone", <[Pod]>::is_empty).await;
    cluster.wait_list::<ReplicaSet>("all sets gone", <[ReplicaSet]>::is_empty).await;
}

#[tokio::test]
async fn a_rollout_that_stands_still_is_told_so() {
    let cluster = Cluster::start().await;
    let mut never_ready = deployment(1, "v1");
    never_ready["spec"]["progressDeadlineSeconds"] = json!(1);
    never_ready["spec"]["template"]["metadata"]["annotations"] = json!({"test/ready": "false"});
    cluster.create::<Deployment>(never_ready).await;
    let late = cluster
        .wait::<Deployment>("web", "late", |one| condition(one, "Progressing") == "False/ProgressDeadlineExceeded")
        .await;
    assert_eq!(condition(&late, "Available"), "False/MinimumReplicasUnavailable");
}

#[tokio::test]
async fn recreate_never_has_old_and_new_pods_together() {
    let cluster = Cluster::start().await;
    let mut recreate = deployment(2, "v1");
    recreate["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create::<Deployment>(recreate).await;
    cluster.wait::<Deployment>("web", "rolled out", is_rolled_out).await;
    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("web", "v2")}})).await;
    cluster
        .wait_list::<Pod>("new pods alone", |pods| {
            let images: std::collections::BTreeSet<_> =
                pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone()).collect();
            assert!(images.len() <= 1, "{images:?}");
            pods.len() == 2 && images.contains(&Some("v2".to_owned()))
        })
        .await;
}

#[tokio::test]
async fn pods_that_do_not_fit_say_why() {
    let cluster = Cluster::start().await;
    let pod = json!({"metadata": {"name": "big"}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "64"}}}]}});
    cluster.create::<Pod>(pod).await;
    let waits = |pod: &Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.clone().any(|one| {
            one.type_ == "PodScheduled"
                && one.status == "False"
                && one.message.as_deref().is_some_and(|message| message.contains("Insufficient cpu"))
        })
    };
    cluster.wait::<Pod>("big", "refused", waits).await;
    assert_eq!(cluster.wait_event("big", "FailedScheduling").await, "0/1 nodes are available: 1 Insufficient cpu.");
}
