//! Claims and volumes, made and given.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::support::{Cluster, WAIT};

fn claim(name: &str, class: Option<&str>) -> Value {
    json!({"metadata": {"name": name}, "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
}

fn pod_with(claim: &str) -> Value {
    json!({"metadata": {"name": "db"}, "spec": {
        "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
    }})
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

#[tokio::test]
async fn a_claim_gets_a_directory_when_a_pod_needs_it_and_loses_it_when_deleted() {
    let cluster = Cluster::start().await;
    maru_testkit::wait_until(WAIT, "the default class", || async {
        Api::<k8s_openapi::api::storage::v1::StorageClass>::all(cluster.client.clone())
            .get_opt("local-path")
            .await
            .unwrap()
            .is_some()
    })
    .await;
    cluster.create::<PersistentVolumeClaim>(claim("data", None)).await;
    assert_eq!(
        cluster.wait_event("data", "WaitForFirstConsumer").await,
        "waiting for first consumer to be created before binding"
    );
    cluster.create::<Pod>(pod_with("data")).await;
    let bound = cluster.wait::<PersistentVolumeClaim>("data", "bound", is_bound).await;
    cluster
        .wait::<Pod>("db", "running", |pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        })
        .await;
    let name = bound.spec.unwrap().volume_name.unwrap();
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    let volume = volumes.get(&name).await.unwrap();
    let path = volume.spec.unwrap().host_path.unwrap().path;
    assert!(path.starts_with(cluster.directory.path().to_str().unwrap()), "{path}");
    std::fs::write(format!("{path}/file"), "content").unwrap();

    cluster.api::<PersistentVolumeClaim>().delete("data", &DeleteParams::default()).await.unwrap();
    let held = cluster.api::<PersistentVolumeClaim>().get("data").await.unwrap();
    assert!(held.metadata.deletion_timestamp.is_some(), "a claim in use stays");
    cluster.api::<Pod>().delete("db", &DeleteParams::default()).await.unwrap();
    cluster.wait_gone::<PersistentVolumeClaim>("data").await;
    maru_testkit::wait_until(WAIT, "the volume is gone", || async { volumes.get_opt(&name).await.unwrap().is_none() })
        .await;
    assert!(!std::path::Path::new(&path).exists());
}

#[tokio::test]
async fn a_static_volume_is_bound_and_kept() {
    let cluster = Cluster::start().await;
    let directory = cluster.directory.path().join("static");
    std::fs::create_dir(&directory).unwrap();
    let volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": "disk"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "storageClassName": "manual", "hostPath": {"path": directory}, "persistentVolumeReclaimPolicy": "Retain"},
    }))
    .unwrap();
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    volumes.create(&PostParams::default(), &volume).await.unwrap();
    cluster.create::<PersistentVolumeClaim>(claim("data", Some("manual"))).await;
    let bound = cluster.wait::<PersistentVolumeClaim>("data", "bound", is_bound).await;
    assert_eq!(bound.spec.unwrap().volume_name.as_deref(), Some("disk"));
    cluster.api::<PersistentVolumeClaim>().delete("data", &DeleteParams::default()).await.unwrap();
    cluster.wait_gone::<PersistentVolumeClaim>("data").await;
    maru_testkit::wait_until(WAIT, "the volume is released", || async {
        volumes.get("disk").await.unwrap().status.and_then(|status| status.phase).as_deref() == Some("Released")
    })
    .await;
    assert!(directory.exists());
    assert_eq!(volumes.get("disk").await.unwrap().name_any(), "disk");
}
