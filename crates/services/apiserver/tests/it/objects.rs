//! Objects are created, read, changed, watched and deleted.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::support::Cluster;

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"key": value}}))
        .unwrap()
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

#[tokio::test]
async fn an_object_lives_from_creation_to_deletion() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let created = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    let error = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.reason == "AlreadyExists" && status.code == 409),
        "{error:?}"
    );

    let mut stale = created.clone();
    let patch = Patch::Merge(json!({"data": {"key": "2", "more": "3"}}));
    let patched = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.as_ref().unwrap()["key"], "2");
    assert_ne!(patched.metadata.resource_version, created.metadata.resource_version);
    stale.data.as_mut().unwrap().insert("key".to_owned(), "9".to_owned());
    let error = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.reason == "Conflict"), "{error:?}");

    let same = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(
        same.metadata.resource_version, patched.metadata.resource_version,
        "a patch without effect writes nothing"
    );

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let error = maps.get("a").await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.reason == "NotFound"), "{error:?}");
}

#[tokio::test]
async fn a_watch_tells_changes_through_its_selector() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let list = maps.list(&ListParams::default().labels("app=a")).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("app=a").timeout(30);
    let mut events = maps.watch(&params, &from).await.unwrap().boxed();
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    maps.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let label = |value: &str| Patch::Merge(json!({"metadata": {"labels": {"app": value}}}));
    maps.patch("a", &PatchParams::default(), &label("x")).await.unwrap();
    maps.patch("b", &PatchParams::default(), &label("a")).await.unwrap();
    maps.delete("b", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.try_next()).await.unwrap().unwrap().unwrap();
        seen.push(match event {
            WatchEvent::Added(object) => format!("+{}", object.metadata.name.unwrap()),
            WatchEvent::Modified(object) => format!("~{}", object.metadata.name.unwrap()),
            WatchEvent::Deleted(object) => format!("-{}", object.metadata.name.unwrap()),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(error) => panic!("{error:?}"),
        });
    }
    assert_eq!(seen, ["+a", "-a", "+b", "-b"]);
}

#[tokio::test]
async fn a_reflector_sees_all_objects_and_changes() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    for config in
        [kube::runtime::watcher::Config::default(), kube::runtime::watcher::Config::default().streaming_lists()]
    {
        let (reader, writer) = kube::runtime::reflector::store();
        let stream = kube::runtime::reflector(writer, kube::runtime::watcher(maps.clone(), config));
        let task = cluster.server.scope.spawn_until_cancelled("reflector", stream.for_each(|_| std::future::ready(())));
        tokio::time::timeout(Duration::from_secs(10), reader.wait_until_ready()).await.unwrap().unwrap();
        assert!(reader.state().iter().any(|map| map.metadata.name.as_deref() == Some("a")));
        task.abort();
    }
}

#[tokio::test]
async fn pages_show_one_revision() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    for index in 0..5 {
        maps.create(&PostParams::default(), &config_map(&format!("m{index}"), "1")).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    maps.delete("m4", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = maps.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.items.iter().map(|map| map.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["m2", "m3", "m4"], "the page is of the first page's revision");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    cluster.server.store.compact(cluster.server.store.progress());
    let (status, body) = cluster.get(&format!("/api/v1/namespaces/default/configmaps?limit=1&continue={token}")).await;
    assert_eq!((status, &body["reason"]), (410, &json!("Expired")), "{body}");
}

#[tokio::test]
async fn status_and_spec_are_written_apart_and_generations_count_specs() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), "default");
    let mut wanted: Deployment = serde_json::from_value(deployment("web")).unwrap();
    wanted.status = Some(serde_json::from_value(json!({"replicas": 7})).unwrap());
    let created = deployments.create(&PostParams::default(), &wanted).await.unwrap();
    assert_eq!(created.metadata.generation, Some(1));
    assert_eq!(created.status.clone().unwrap_or_default().replicas, None, "a creation sets no status");
    assert_eq!(created.spec.as_ref().unwrap().replicas, Some(1));

    let status = Patch::Merge(json!({"status": {"replicas": 3}, "spec": {"replicas": 5}}));
    let after = deployments.patch_status("web", &PatchParams::default(), &status).await.unwrap();
    assert_eq!(after.status.as_ref().unwrap().replicas, Some(3));
    assert_eq!(after.spec.as_ref().unwrap().replicas, Some(1));
    assert_eq!(after.metadata.generation, Some(1));

    let scale = deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 4}})))
        .await
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(4));
    let status = scale.status.unwrap();
    assert_eq!((status.replicas, status.selector.as_deref()), (3, Some("app=web")));
    let after = deployments.get("web").await.unwrap();
    assert_eq!((after.metadata.generation, after.spec.unwrap().replicas), (Some(2), Some(4)));
}

#[tokio::test]
async fn a_strategic_patch_merges_containers_by_name() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), "default");
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment("web")).unwrap()).await.unwrap();
    let patch =
        Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}));
    let after = deployments.patch("web", &PatchParams::default(), &patch).await.unwrap();
    let container = &after.spec.unwrap().template.spec.unwrap().containers[0];
    assert_eq!(container.image.as_deref(), Some("web:2"));
    assert_eq!(container.ports.as_ref().unwrap().len(), 1, "what the patch does not name stays");
}

#[tokio::test]
async fn an_apply_creates_merges_and_tells_conflicts() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), "default");
    let apply = |manager: &str| PatchParams::apply(manager);
    let created = deployments.patch("web", &apply("one"), &Patch::Apply(deployment("web"))).await.unwrap();
    assert_eq!(created.metadata.managed_fields.as_ref().unwrap()[0].manager.as_deref(), Some("one"));
    let mut other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}});
    let after = deployments.patch("web", &apply("two"), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(after.spec.unwrap().replicas, Some(3));
    other["spec"] = json!({"template": {"spec": {"containers": [{"name": "web", "image": "web:9"}]}}});
    let error = deployments.patch("web", &apply("two"), &Patch::Apply(&other)).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let cause = &status.details.as_ref().unwrap().causes[0];
    assert_eq!(cause.reason, "FieldManagerConflict");
    assert_eq!(cause.field, ".spec.template.spec.containers[name=\"web\"].image");
    let after = deployments.patch("web", &apply("two").force(), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(after.spec.unwrap().template.spec.unwrap().containers[0].image.as_deref(), Some("web:9"));
}

#[tokio::test]
async fn a_namespace_ends_after_its_finalizer() {
    let cluster = Cluster::start().await;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let created = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Active"));
    namespaces.delete("a", &DeleteParams::default()).await.unwrap();
    let marked = namespaces.get("a").await.unwrap();
    assert_eq!(marked.status.clone().unwrap().phase.as_deref(), Some("Terminating"));
    let (status, body) = cluster.post("/api/v1/namespaces/a/configmaps", &json!({"metadata": {"name": "x"}})).await;
    assert_eq!((status, &body["details"]["causes"][0]["reason"]), (403, &json!("NamespaceTerminating")), "{body}");
    let mut last = serde_json::to_value(&marked).unwrap();
    last["spec"]["finalizers"] = json!([]);
    let (status, body) = cluster.put("/api/v1/namespaces/a/finalize", &last).await;
    assert_eq!(status, 200, "{body}");
    assert!(namespaces.get_opt("a").await.unwrap().is_none());
    let (status, body) = cluster.delete("/api/v1/namespaces/default").await;
    assert_eq!(status, 403, "{body}");
    let (status, body) =
        cluster.post("/api/v1/namespaces/missing/configmaps", &json!({"metadata": {"name": "x"}})).await;
    assert_eq!((status, &body["message"]), (404, &json!("namespaces \"missing\" not found")));
}

#[tokio::test]
async fn a_pod_gets_its_account_and_ends_gracefully() {
    let cluster = Cluster::start().await;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), "default");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"generateName": "a-", "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }))
    .unwrap();
    let created = pods.create(&PostParams::default(), &pod).await.unwrap();
    let name = created.metadata.name.clone().unwrap();
    assert!(name.starts_with("a-") && name.len() == 7, "{name}");
    let spec = created.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert!(spec.volumes.unwrap()[0].name.starts_with("kube-api-access-"));
    assert_eq!(
        spec.containers[0].volume_mounts.as_ref().unwrap()[0].mount_path,
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Pending"));

    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "n"}});
    let (status, body) = cluster.post(&format!("/api/v1/namespaces/default/pods/{name}/binding"), &binding).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = cluster.post(&format!("/api/v1/namespaces/default/pods/{name}/binding"), &binding).await;
    assert_eq!(status, 409, "{body}");

    let marked = pods.delete(&name, &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
    let held = pods.get(&name).await.unwrap();
    assert_eq!(held.metadata.deletion_grace_period_seconds, Some(0), "the finalizer holds it");
    pods.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert!(pods.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn services_get_addresses_and_ports_of_their_own() {
    let cluster = Cluster::start().await;
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), "default");
    let own = services.get("kubernetes").await.unwrap();
    assert_eq!(own.spec.unwrap().cluster_ip.as_deref(), Some("10.96.0.1"));
    let service = |name: &str, spec: Value| -> Service {
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    };
    let web = service("web", json!({"type": "NodePort", "ports": [{"port": 80}]}));
    let created = services.create(&PostParams::default(), &web).await.unwrap().spec.unwrap();
    let address = created.cluster_ip.clone().unwrap();
    assert!(address.starts_with("10.96."), "{address}");
    let port = created.ports.unwrap()[0].node_port.unwrap();
    assert!((30000..=32767).contains(&port));
    let twice = service("twice", json!({"clusterIP": address, "ports": [{"port": 80}]}));
    let error = services.create(&PostParams::default(), &twice).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 422 && status.message.contains("already allocated")),
        "{error:?}"
    );
    let headless = service("headless", json!({"clusterIP": "None", "ports": [{"port": 80}]}));
    let created = services.create(&PostParams::default(), &headless).await.unwrap().spec.unwrap();
    assert_eq!(created.cluster_ip.as_deref(), Some("None"));
    let back = Patch::Merge(json!({"spec": {"type": "ClusterIP"}}));
    let changed = services.patch("web", &PatchParams::default(), &back).await.unwrap().spec.unwrap();
    assert_eq!(changed.ports.unwrap()[0].node_port, None);
    assert_eq!(changed.cluster_ip, Some(address));
}

#[tokio::test]
async fn what_is_wrong_with_an_object_is_told_by_field() {
    let cluster = Cluster::start().await;
    let mut wrong = deployment("web");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = json!("Web");
    let (status, body) = cluster.post("/apis/apps/v1/namespaces/default/deployments", &wrong).await;
    assert_eq!((status, &body["reason"]), (422, &json!("Invalid")), "{body}");
    let fields: Vec<&str> =
        body["details"]["causes"].as_array().unwrap().iter().map(|cause| cause["field"].as_str().unwrap()).collect();
    assert!(
        fields.contains(&"spec.template.metadata.labels") && fields.contains(&"spec.template.spec.containers[0].name"),
        "{body}"
    );
    let mut wrong = deployment("web");
    wrong["spec"]["replicas"] = json!("three");
    let (status, body) = cluster.post("/apis/apps/v1/namespaces/default/deployments", &wrong).await;
    assert_eq!((status, &body["reason"]), (400, &json!("BadRequest")), "{body}");
    let mut wrong = deployment("web");
    wrong["spec"]["replcas"] = json!(3);
    let path = "/apis/apps/v1/namespaces/default/deployments?fieldValidation=Strict&dryRun=All";
    let (status, body) = cluster.post(path, &wrong).await;
    assert_eq!(status, 400, "{body}");
    assert!(
        body["message"].as_str().unwrap().ends_with("strict decoding error: unknown field \"spec.replcas\""),
        "{body}"
    );
    let (status, headers, _) = cluster
        .send_as(
            &maru_auth::Identity::new("admin", &["system:masters"]),
            "POST",
            "/apis/apps/v1/namespaces/default/deployments?dryRun=All",
            &[("content-type", "application/json")],
            &wrong.to_string(),
        )
        .await;
    assert_eq!(status, 201);
    assert_eq!(headers["warning"], "299 - \"unknown field \\\"spec.replcas\\\"\"");
    let (status, _) = cluster.get("/apis/apps/v1/namespaces/default/deployments/web").await;
    assert_eq!(status, 404, "a dry run writes nothing");
}

#[tokio::test]
async fn a_status_is_applied_apart_from_its_spec() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), "default");
    deployments.patch("web", &PatchParams::apply("owner"), &Patch::Apply(deployment("web"))).await.unwrap();
    let status = |replicas: i32| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 9}, "status": {"replicas": replicas}});
    let params = PatchParams::apply("controller").force();
    let after = deployments.patch_status("web", &params, &Patch::Apply(status(2))).await.unwrap();
    assert_eq!((after.spec.as_ref().unwrap().replicas, after.status.as_ref().unwrap().replicas), (Some(1), Some(2)));
    let entries = after.metadata.managed_fields.as_ref().unwrap();
    let own = entries.iter().find(|entry| entry.manager.as_deref() == Some("controller")).unwrap();
    assert_eq!(own.subresource.as_deref(), Some("status"));
    let same = deployments.patch_status("web", &params, &Patch::Apply(status(2))).await.unwrap();
    assert_eq!(same.metadata.resource_version, after.metadata.resource_version, "the same again writes nothing");
    let main = deployments.patch("web", &PatchParams::apply("owner"), &Patch::Apply(deployment("web"))).await.unwrap();
    assert_eq!(main.metadata.resource_version, after.metadata.resource_version);
    assert_eq!(main.status.unwrap().replicas, Some(2), "the main part leaves the status");
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let patches = (0..16).map(|index| {
        let maps = maps.clone();
        async move {
            let patch = Patch::Merge(json!({"data": {format!("k{index}"): "v"}}));
            maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
        }
    });
    futures::future::join_all(patches).await;
    assert_eq!(maps.get("a").await.unwrap().data.unwrap().len(), 17);
}
