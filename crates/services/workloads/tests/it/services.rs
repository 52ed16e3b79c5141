//! Endpoints of Services, and what each namespace is given.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

use crate::support::{Cluster, template};

fn ready(slices: &[EndpointSlice]) -> Vec<String> {
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready =
        endpoints.filter(|one| one.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true)));
    ready.flat_map(|one| one.addresses.clone()).collect()
}

#[tokio::test]
async fn endpoints_follow_the_pods_of_a_service() {
    let cluster = Cluster::start().await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    cluster.create::<Service>(service).await;
    let slices = cluster.wait_list::<EndpointSlice>("an empty slice", |slices| slices.len() == 1).await;
    assert!(ready(&slices).is_empty());
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", "v1")},
    });
    cluster.create::<Deployment>(deployment).await;
    let slices = cluster.wait_list::<EndpointSlice>("two ready endpoints", |slices| ready(slices).len() == 2).await;
    assert_eq!(slices[0].ports.as_ref().unwrap()[0].port, Some(8080));
    let old = cluster
        .wait::<Endpoints>("web", "the old form too", |one| {
            one.subsets.as_ref().is_some_and(|subsets| subsets[0].addresses.as_ref().is_some_and(|all| all.len() == 2))
        })
        .await;
    assert_eq!(old.subsets.unwrap()[0].ports.as_ref().unwrap()[0].port, 8080);

    cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 0}})).await;
    cluster.wait_list::<EndpointSlice>("no endpoints", |slices| ready(slices).is_empty()).await;
    cluster.api::<Service>().delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    cluster.wait_list::<EndpointSlice>("no slices", <[EndpointSlice]>::is_empty).await;
    cluster.wait_list::<Endpoints>("no endpoints", <[Endpoints]>::is_empty).await;
}

#[tokio::test]
async fn hand_made_endpoints_are_mirrored() {
    let cluster = Cluster::start().await;
    cluster.create::<Service>(json!({"metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}]}})).await;
    let endpoints = json!({"metadata": {"name": "db"}, "subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}]});
    cluster.create::<Endpoints>(endpoints).await;
    cluster.wait_list::<EndpointSlice>("mirrored", |slices| ready(slices) == ["192.0.2.7"]).await;
}

#[tokio::test]
async fn each_namespace_gets_its_account_and_authority() {
    let cluster = Cluster::start().await;
    cluster.wait::<ServiceAccount>("default", "there", |_| true).await;
    let is_ours = |map: &ConfigMap| {
        map.data.as_ref().is_some_and(|data| data.get("ca.crt").map(String::as_str) == Some("the authority"))
    };
    cluster.wait::<ConfigMap>("kube-root-ca.crt", "there", is_ours).await;
    cluster.patch::<ConfigMap>("kube-root-ca.crt", json!({"data": {"ca.crt": "forged"}})).await;
    cluster.wait::<ConfigMap>("kube-root-ca.crt", "restored", is_ours).await;
    cluster.api::<ServiceAccount>().delete("default", &kube::api::DeleteParams::default()).await.unwrap();
    cluster.wait::<ServiceAccount>("default", "back", |_| true).await;
}
