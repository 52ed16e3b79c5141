//! What holds all the way: bounds, nothing twice after restarts, nothing written when idle.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::{Value, json};

use crate::support::{Cluster, WAIT, template};

fn deployment(image: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", image)},
    })
}

/// Waits until nothing is written for a while.
async fn settled(cluster: &Cluster) -> u64 {
    maru_testkit::wait_for(WAIT, "nothing is written any more", || async {
        let before = cluster.revision();
        tokio::time::sleep(Duration::from_secs(1)).await;
        (cluster.revision() == before).then_some(before)
    })
    .await
}

#[tokio::test]
async fn a_settled_cluster_writes_nothing() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Service>(
            json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        )
        .await;
    cluster.create::<Deployment>(deployment("v1")).await;
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template("db", "v1")}});
    cluster.create::<StatefulSet>(set).await;
    cluster.wait_list::<Pod>("all pods", |pods| pods.len() == 8).await;
    let before = settled(&cluster).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(cluster.revision(), before);
}

#[tokio::test]
async fn restarts_in_the_middle_make_nothing_twice() {
    let mut cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment("v1")).await;
    let work = json!({"metadata": {"name": "work"}, "spec": {"completions": 12, "parallelism": 3, "template": {
        "metadata": {"annotations": {"test/exit": "0"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    }}});
    cluster.create::<Job>(work).await;
    for round in 0..12 {
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        cluster.restart_controllers().await;
        if round == 6 {
            cluster.patch::<Deployment>("web", json!({"spec": {"template": template("web", "v2")}})).await;
        }
    }
    let is_done = |job: &Job| {
        job.status.as_ref().is_some_and(|status| status.succeeded == Some(12) && status.completion_time.is_some())
    };
    cluster.wait::<Job>("work", "complete", is_done).await;
    let is_rolled_out = |one: &Deployment| {
        let status = one.status.clone().unwrap_or_default();
        status.observed_generation == one.metadata.generation
            && status.updated_replicas == Some(6)
            && status.available_replicas == Some(6)
            && status.replicas == Some(6)
    };
    cluster.wait::<Deployment>("web", "rolled out", is_rolled_out).await;
    settled(&cluster).await;
    let pods = cluster.list::<Pod>().await;
    let of = |kind: &str| {
        pods.iter().filter(|pod| pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == kind)).count()
    };
    assert_eq!((of("ReplicaSet"), of("Job")), (6, 12));
    assert_eq!(cluster.list::<ReplicaSet>().await.len(), 2);
}

#[tokio::test]
async fn a_rolling_update_keeps_its_bounds_all_the_way() {
    let cluster = Cluster::start().await;
    let mut strict = deployment("v1");
    strict["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    cluster.create::<Deployment>(strict).await;
    let ready = |pods: &[Pod]| {
        let is_ready = |pod: &&Pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            pod.metadata.deletion_timestamp.is_none()
                && conditions.clone().any(|one| one.type_ == "Ready" && one.status == "True")
        };
        pods.iter().filter(is_ready).count()
    };
    cluster.wait_list::<Pod>("six ready pods", |pods| ready(pods) == 6).await;
    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("web", "v2")}})).await;
    cluster
        .wait_list::<Pod>("six new pods", |pods| {
            let living = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count();
            assert!(ready(pods) >= 6 && living <= 7, "{} ready of {living}", ready(pods));
            pods.len() == 6
                && pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v2"))
        })
        .await;
}
