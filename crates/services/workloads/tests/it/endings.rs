//! How owners, orphans and namespaces end.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use crate::support::{Cluster, NAMESPACE, WAIT, template};

fn map(name: &str, owner: Option<&ConfigMap>, blocks: bool) -> Value {
    let owners = owner.map(|owner| {
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid(), "blockOwnerDeletion": blocks}])
    });
    json!({"metadata": {"name": name, "ownerReferences": owners}})
}

#[tokio::test]
async fn dependents_go_after_their_owner_in_the_background() {
    let cluster = Cluster::start().await;
    let owner = cluster.create::<ConfigMap>(map("owner", None, false)).await;
    let child = cluster.create::<ConfigMap>(map("child", Some(&owner), true)).await;
    cluster.create::<ConfigMap>(map("grandchild", Some(&child), true)).await;
    cluster.api::<ConfigMap>().delete("owner", &DeleteParams::background()).await.unwrap();
    cluster.wait_gone::<ConfigMap>("grandchild").await;
    cluster.wait_gone::<ConfigMap>("child").await;
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let cluster = Cluster::start().await;
    let owner = cluster.create::<ConfigMap>(map("owner", None, false)).await;
    let mut held = map("child", Some(&owner), true);
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    cluster.create::<ConfigMap>(held).await;
    cluster.api::<ConfigMap>().delete("owner", &DeleteParams::foreground()).await.unwrap();
    cluster.wait::<ConfigMap>("child", "asked to go", |one| one.metadata.deletion_timestamp.is_some()).await;
    assert!(cluster.api::<ConfigMap>().get_opt("owner").await.unwrap().is_some(), "it waits");
    cluster.patch::<ConfigMap>("child", json!({"metadata": {"finalizers": null}})).await;
    cluster.wait_gone::<ConfigMap>("owner").await;
}

#[tokio::test]
async fn orphans_stay_without_owner() {
    let cluster = Cluster::start().await;
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", "v1")},
    });
    cluster.create::<Deployment>(deployment).await;
    cluster.wait_list::<Pod>("a pod", |pods| pods.len() == 1).await;
    cluster.api::<Deployment>().delete("web", &DeleteParams::orphan()).await.unwrap();
    cluster.wait_gone::<Deployment>("web").await;
    let sets = cluster
        .wait_list::<ReplicaSet>("a free set", |sets| sets.iter().all(|set| set.owner_references().is_empty()))
        .await;
    assert_eq!(sets.len(), 1);
    assert_eq!(cluster.list::<Pod>().await.len(), 1);
}

#[tokio::test]
async fn objects_that_name_an_owner_of_before_go() {
    let cluster = Cluster::start().await;
    let owner = cluster.create::<ConfigMap>(map("owner", None, false)).await;
    cluster.api::<ConfigMap>().delete("owner", &DeleteParams::default()).await.unwrap();
    // The name is taken again, by another object.
    cluster.create::<ConfigMap>(map("owner", None, false)).await;
    cluster.create::<ConfigMap>(map("late", Some(&owner), true)).await;
    cluster.wait_gone::<ConfigMap>("late").await;
    assert!(cluster.api::<ConfigMap>().get_opt("owner").await.unwrap().is_some());
}

async fn define_widgets(cluster: &Cluster) -> Api<DynamicObject> {
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    }))
    .unwrap();
    Api::<CustomResourceDefinition>::all(cluster.client.clone())
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.org", "v1", "Widget"), "widgets");
    let api = Api::<DynamicObject>::namespaced_with(cluster.client.clone(), NAMESPACE, &kind);
    maru_testkit::wait_until(WAIT, "widgets are served", || async { api.list(&Default::default()).await.is_ok() })
        .await;
    api
}

fn widget(name: &str, meta: Value) -> DynamicObject {
    let mut value = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": name}});
    value["metadata"].as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn custom_resources_own_and_are_owned() {
    let cluster = Cluster::start().await;
    let widgets = define_widgets(&cluster).await;
    let owner = widgets.create(&PostParams::default(), &widget("owner", json!({}))).await.unwrap();
    let reference = json!([{"apiVersion": "example.org/v1", "kind": "Widget", "name": "owner", "uid": owner.uid()}]);
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "child", "ownerReferences": reference}})).await;
    widgets.create(&PostParams::default(), &widget("child", json!({"ownerReferences": reference}))).await.unwrap();
    widgets.delete("owner", &DeleteParams::background()).await.unwrap();
    cluster.wait_gone::<ConfigMap>("child").await;
    maru_testkit::wait_until(WAIT, "the child widget is gone", || async {
        widgets.get_opt("child").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let cluster = Cluster::start().await;
    let widgets = define_widgets(&cluster).await;
    let held = widget("held", json!({"finalizers": ["example.org/hold"]}));
    widgets.create(&PostParams::default(), &held).await.unwrap();
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", "v1")},
    });
    cluster.create::<Deployment>(deployment).await;
    cluster.wait_list::<Pod>("pods", |pods| pods.len() == 2).await;
    let namespaces = Api::<Namespace>::all(cluster.client.clone());
    namespaces.delete(NAMESPACE, &DeleteParams::default()).await.unwrap();
    maru_testkit::wait_until(WAIT, "what remains is told", || async {
        let namespace = namespaces.get(NAMESPACE).await.unwrap();
        let conditions = namespace.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.clone().any(|one| {
            one.message.as_deref()
                == Some(
                    "Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances",
                )
        })
    })
    .await;
    assert!(cluster.list::<Pod>().await.is_empty());
    let patch = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    widgets.patch("held", &kube::api::PatchParams::default(), &patch).await.unwrap();
    maru_testkit::wait_until(WAIT, "the namespace is gone", || async {
        namespaces.get_opt(NAMESPACE).await.unwrap().is_none()
    })
    .await;
}
