//! Which sets a Deployment makes, scales and deletes, by tables.

use serde_json::{Value, json};

use super::*;
use crate::pods::tests::{merge, pod};

fn deployment(extra: Value) -> Arc<Deployment> {
    let mut value = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 1},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                 "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                 "template": template("v2")},
    });
    merge(&mut value, extra);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
}

struct SetOf {
    image: &'static str,
    revision: u64,
    replicas: i32,
    available: i32,
}

fn set(of: &SetOf) -> Arc<ReplicaSet> {
    let mut with_hash = template(of.image);
    merge(&mut with_hash, json!({"metadata": {"labels": {"pod-template-hash": of.image}}}));
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("web-{}", of.image), "namespace": "shop", "uid": format!("rs-{}", of.image), "generation": 1,
                "creationTimestamp": format!("2026-01-01T00:00:0{}Z", of.revision),
                "annotations": {REVISION: of.revision.to_string(), DESIRED: "3", TOTAL_MAX: "4"},
            },
            "spec": {"replicas": of.replicas, "selector": {}, "template": with_hash},
            "status": {"replicas": of.replicas, "availableReplicas": of.available, "observedGeneration": 1},
        }))
        .unwrap(),
    )
}

fn observed(deployment: Arc<Deployment>, sets: &[SetOf]) -> Observed {
    let owned = sets.iter().map(set).collect();
    Observed { deployment, sets: Claims { owned, adopt: Vec::new(), release: Vec::new() }, pods: Vec::new() }
}

/// Writes actions as short text.
fn told(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Adopt(set) => format!("adopt {}", set.name()),
            Action::Release(set) => format!("release {}", set.name()),
            Action::Create(set) => format!("create {} revision {}", replicas(set), revision(set)),
            Action::Update { set, annotations, .. } => format!("update {} {:?}", set.name(), annotations),
            Action::Scale { set, replicas, .. } => format!("scale {} {replicas}", set.name()),
            Action::Delete(set) => format!("delete {}", set.name()),
            Action::NoteRevision(revision) => format!("note {revision}"),
        })
        .collect()
}

const NOTED: &str = "2";

fn noted(extra: Value) -> Arc<Deployment> {
    let mut value = json!({"metadata": {"annotations": {REVISION: NOTED}}});
    merge(&mut value, extra);
    deployment(value)
}

#[test]
fn the_first_rollout_makes_one_complete_set() {
    let actions = plan(&observed(deployment(json!({})), &[]));
    assert_eq!(told(&actions), ["create 3 revision 1", "note 1"]);
    let Some(Action::Create(set)) = actions.first() else { panic!("{actions:?}") };
    let hash = set.label(HASH_LABEL).unwrap();
    assert_eq!(set.name(), format!("web-{hash}"));
    let spec = set.spec.as_ref().unwrap();
    assert_eq!(spec.selector.match_labels.as_ref().unwrap().get(HASH_LABEL).map(String::as_str), Some(hash));
    assert_eq!(spec.template.as_ref().unwrap().metadata.as_ref().unwrap().labels.as_ref().unwrap()[HASH_LABEL], hash);
    // The set that was made is found again.
    assert!(new_set(&deployment(json!({})), &[Arc::new(set.as_ref().clone())]).is_some());
}

/// Its name, the Deployment, the sets that there are, and what is done.
type Case = (&'static str, Arc<Deployment>, Vec<SetOf>, Vec<&'static str>);

#[test]
fn steps_of_rollouts() {
    let old = |replicas, available| SetOf { image: "v1", revision: 1, replicas, available };
    let new = |replicas, available| SetOf { image: "v2", revision: 2, replicas, available };
    let recreate = || noted(json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}));
    let cases: Vec<Case> = vec![
        ("surge", deployment(json!({})), vec![old(3, 3)], vec!["create 1 revision 2", "note 2"]),
        ("one available", noted(json!({})), vec![old(3, 3), new(1, 1)], vec!["scale web-v1 2"]),
        ("room again", noted(json!({})), vec![old(2, 2), new(1, 1)], vec!["scale web-v2 2"]),
        ("nothing to do", noted(json!({})), vec![old(0, 0), new(3, 3)], vec![]),
        ("recreate goes down first", recreate(), vec![old(3, 3), new(0, 0)], vec!["scale web-v1 0"]),
        ("recreate goes up", recreate(), vec![old(0, 0), new(0, 0)], vec!["scale web-v2 3"]),
        ("paused", noted(json!({"spec": {"paused": true}})), vec![old(3, 3)], vec![]),
        (
            "paused and scaled",
            noted(json!({"spec": {"paused": true, "replicas": 5}})),
            vec![old(3, 3)],
            vec!["scale web-v1 5"],
        ),
        (
            "scaled in the middle",
            noted(json!({"spec": {"replicas": 7}})),
            vec![old(3, 3), new(1, 1)],
            vec!["scale web-v2 2", "scale web-v1 6"],
        ),
        (
            "deleting",
            noted(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            vec![old(3, 3)],
            vec![],
        ),
    ];
    for (name, deployment, sets, expected) in cases {
        assert_eq!(told(&plan(&observed(deployment, &sets))), expected, "{name}");
    }
}

#[test]
fn a_template_of_before_gets_its_set_back_with_a_new_revision() {
    let back = noted(json!({"metadata": {"annotations": {REVISION: "3"}}}));
    let sets = [
        SetOf { image: "v2", revision: 2, replicas: 0, available: 0 },
        SetOf { image: "v3", revision: 3, replicas: 3, available: 3 },
    ];
    let actions = told(&plan(&observed(back, &sets)));
    let expected = format!("update web-v2 {:?}", BTreeMap::from([(REVISION, "4"), (REVISION_HISTORY, "2")]));
    assert_eq!(actions, [expected.as_str(), "note 4", "scale web-v2 1"]);
}

#[test]
fn recreate_waits_for_old_pods_that_are_still_ending() {
    let recreate = noted(json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}));
    let sets = [
        SetOf { image: "v1", revision: 1, replicas: 0, available: 0 },
        SetOf { image: "v2", revision: 2, replicas: 0, available: 0 },
    ];
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-v1", "uid": "rs-v1", "controller": true}]);
    let ending =
        pod("old", json!({"metadata": {"ownerReferences": owner, "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let mut waiting = observed(recreate, &sets);
    waiting.pods = vec![ending];
    assert!(plan(&waiting).is_empty());
}

#[test]
fn history_beyond_the_limit_goes_when_the_rollout_is_complete() {
    let complete = json!({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "observedGeneration": 1});
    let four = noted(
        json!({"metadata": {"annotations": {REVISION: "4"}}, "spec": {"revisionHistoryLimit": 1, "template": template("v4")}, "status": complete}),
    );
    let sets = [
        SetOf { image: "v1", revision: 1, replicas: 0, available: 0 },
        SetOf { image: "v2", revision: 2, replicas: 0, available: 0 },
        SetOf { image: "v3", revision: 3, replicas: 0, available: 0 },
        SetOf { image: "v4", revision: 4, replicas: 3, available: 3 },
    ];
    assert_eq!(told(&plan(&observed(four, &sets))), ["delete web-v1", "delete web-v2"]);
}

#[test]
fn orphans_are_adopted_before_anything_else() {
    let mut before = observed(deployment(json!({})), &[]);
    before.sets.adopt = vec![set(&SetOf { image: "v2", revision: 1, replicas: 3, available: 3 })];
    assert_eq!(told(&plan(&before)), ["adopt web-v2"]);
}
