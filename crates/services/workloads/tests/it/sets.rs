//! StatefulSets, DaemonSets and disruption budgets.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Cluster, NODE, template};

fn stateful_set(extra: &Value) -> Value {
    let mut value = json!({
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template("db", "v1"),
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            }}],
        },
    });
    for (key, field) in extra.as_object().unwrap() {
        value["spec"][key] = field.clone();
    }
    value
}

/// What `kubectl rollout status` waits for.
fn is_rolled_out(set: &StatefulSet) -> bool {
    let (Some(spec), Some(status)) = (&set.spec, &set.status) else { return false };
    status.observed_generation >= set.metadata.generation
        && status.ready_replicas == spec.replicas
        && status.current_revision == status.update_revision
        && status.updated_replicas == spec.replicas
}

fn names(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(kube::ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_stateful_set_keeps_names_and_volumes_through_updates() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Service>(
            json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}}}),
        )
        .await;
    cluster.create::<StatefulSet>(stateful_set(&json!({}))).await;
    cluster.wait::<StatefulSet>("db", "rolled out", is_rolled_out).await;
    let pods = cluster.list::<Pod>().await;
    assert_eq!(names(&pods), ["db-0", "db-1", "db-2"]);
    let made: Vec<_> = pods.iter().map(|pod| pod.metadata.creation_timestamp.clone()).collect();
    assert!(made.is_sorted(), "{made:?}");
    let before = cluster.wait_list::<PersistentVolumeClaim>("bound claims", |claims| claims.len() == 3).await;

    cluster.patch::<StatefulSet>("db", json!({"spec": {"template": template("db", "v2")}})).await;
    cluster
        .wait::<StatefulSet>("db", "updated", |set| {
            is_rolled_out(set) && set.status.as_ref().unwrap().observed_generation == Some(2)
        })
        .await;
    let pods = cluster.list::<Pod>().await;
    assert!(pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v2")));
    let after = cluster.list::<PersistentVolumeClaim>().await;
    assert_eq!(
        after.iter().map(|claim| claim.uid()).collect::<Vec<_>>(),
        before.iter().map(|claim| claim.uid()).collect::<Vec<_>>()
    );
    assert_eq!(cluster.list::<ControllerRevision>().await.len(), 2);

    cluster.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}})).await;
    cluster.wait_list::<Pod>("one pod", |pods| names(pods) == ["db-0"]).await;
    assert_eq!(cluster.list::<PersistentVolumeClaim>().await.len(), 3, "claims stay");
    cluster.api::<StatefulSet>().delete("db", &DeleteParams::background()).await.unwrap();
    cluster.wait_list::<Pod>("no pods", <[Pod]>::is_empty).await;
    cluster.wait_list::<ControllerRevision>("no revisions", <[ControllerRevision]>::is_empty).await;
}

#[tokio::test]
async fn claims_go_with_what_is_scaled_away_when_asked_for() {
    let cluster = Cluster::start().await;
    let policy = json!({"replicas": 2, "podManagementPolicy": "Parallel", "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}});
    cluster.create::<StatefulSet>(stateful_set(&policy)).await;
    cluster.wait::<StatefulSet>("db", "rolled out", is_rolled_out).await;
    cluster.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}})).await;
    cluster.wait_gone::<PersistentVolumeClaim>("data-db-1").await;
    assert!(cluster.api::<PersistentVolumeClaim>().get_opt("data-db-0").await.unwrap().is_some());
    cluster.api::<StatefulSet>().delete("db", &DeleteParams::background()).await.unwrap();
    cluster.wait_list::<PersistentVolumeClaim>("no claims", <[PersistentVolumeClaim]>::is_empty).await;
}

#[tokio::test]
async fn a_daemon_runs_once_on_the_node_and_follows_its_labels() {
    let cluster = Cluster::start().await;
    let mut daemon = json!({
        "metadata": {"name": "log"},
        "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": template("log", "v1")},
    });
    daemon["spec"]["template"]["spec"]["nodeSelector"] = json!({"logs": "yes"});
    cluster.create::<DaemonSet>(daemon).await;
    let wanted = |count: i32| {
        move |set: &DaemonSet| {
            set.status.as_ref().is_some_and(|status| {
                status.desired_number_scheduled == count
                    && status.number_ready == count
                    && status.observed_generation == set.metadata.generation
                    && status.updated_number_scheduled.unwrap_or(0) == count
            })
        }
    };
    cluster.wait::<DaemonSet>("log", "not wanted here", wanted(0)).await;
    let nodes = Api::<k8s_openapi::api::core::v1::Node>::all(cluster.client.clone());
    let label = |value: Value| Patch::Merge(json!({"metadata": {"labels": {"logs": value}}}));
    nodes.patch(NODE, &PatchParams::default(), &label(json!("yes"))).await.unwrap();
    cluster.wait::<DaemonSet>("log", "wanted here", wanted(1)).await;
    cluster
        .patch::<DaemonSet>(
            "log",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}),
        )
        .await;
    cluster.wait::<DaemonSet>("log", "updated", |set| set.metadata.generation == Some(2) && wanted(1)(set)).await;
    nodes.patch(NODE, &PatchParams::default(), &label(Value::Null)).await.unwrap();
    cluster.wait_list::<Pod>("gone again", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn a_budget_counts_the_healthy() {
    let cluster = Cluster::start().await;
    let budget =
        json!({"metadata": {"name": "db"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "db"}}}});
    cluster.create::<PodDisruptionBudget>(budget).await;
    cluster.create::<StatefulSet>(stateful_set(&json!({"podManagementPolicy": "Parallel"}))).await;
    let told = cluster
        .wait::<PodDisruptionBudget>("db", "allows one", |budget| {
            budget.status.as_ref().is_some_and(|status| status.disruptions_allowed == Some(1))
        })
        .await;
    let status = told.status.unwrap();
    assert_eq!((status.expected_pods, status.desired_healthy, status.current_healthy), (Some(3), Some(2), Some(3)));
}
