//! In which order pods and claims of a StatefulSet come and go, by tables.

use serde_json::{Value, json};

use super::*;
use crate::pods::tests::{merge, pod};

fn set(extra: Value) -> Arc<StatefulSet> {
    let mut value = json!({
        "metadata": {"name": "db", "namespace": "shop", "uid": "s", "generation": 1},
        "spec": {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {},
                 "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
    });
    merge(&mut value, extra);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn revision(name: &str) -> Revision {
    let template =
        json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": name}]}});
    Revision { name: name.to_owned(), template: serde_json::from_value(template).unwrap() }
}

/// A pod; `state` is r(eady), n(ot ready), f(ailed) or d(eleting).
fn member(number: i32, revision: &str, state: char) -> Arc<Pod> {
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let mut value =
        json!({"metadata": {"labels": {"app": "db", REVISION_LABEL: revision}}, "status": {"phase": "Running"}});
    merge(
        &mut value,
        match state {
            'n' => json!({}),
            'f' => json!({"status": {"phase": "Failed"}}),
            'd' => json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            _ => json!({"status": {"conditions": ready}}),
        },
    );
    pod(&format!("db-{number}"), value)
}

fn observed(set: Arc<StatefulSet>, pods: &[(i32, &str, char)]) -> Observed {
    Observed {
        set,
        pods: pods.iter().map(|(number, revision, state)| member(*number, revision, *state)).collect(),
        claims: Vec::new(),
        current: revision("v1"),
        update: revision("v2"),
    }
}

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn told(observed: &Observed) -> Vec<String> {
    plan(observed, now())
        .actions
        .iter()
        .map(|action| match action {
            Action::CreateClaim(claim) => format!("claim {}", claim.name()),
            Action::SetClaimOwners { claim, owners } => {
                format!(
                    "owners {} {}",
                    claim.name(),
                    owners.iter().map(|owner| owner.kind.clone()).collect::<Vec<_>>().join(",")
                )
            }
            Action::CreatePod(pod) => {
                format!("create {} {}", pod.name(), pod.label(REVISION_LABEL).unwrap_or_default())
            }
            Action::DeletePod(pod) => format!("delete {}", pod.name()),
        })
        .collect()
}

/// Its name, the set's fields, the pods that there are, and what is done.
type Case = (&'static str, Value, Vec<(i32, &'static str, char)>, Vec<&'static str>);

#[test]
fn pods_come_one_after_the_other_and_go_in_reverse() {
    let ready = |number| (number, "v2", 'r');
    let cases: Vec<Case> = vec![
        ("first", json!({}), vec![], vec!["create db-0 v2"]),
        ("wait for it", json!({}), vec![(0, "v2", 'n')], vec![]),
        ("second", json!({}), vec![ready(0)], vec!["create db-1 v2"]),
        ("a gap is filled first", json!({}), vec![ready(0), ready(2)], vec!["create db-1 v2"]),
        ("failed ones are replaced", json!({}), vec![ready(0), (1, "v2", 'f')], vec!["delete db-1"]),
        ("wait for the end", json!({}), vec![ready(0), (1, "v2", 'd')], vec![]),
        ("complete", json!({}), vec![ready(0), ready(1), ready(2)], vec![]),
        ("down", json!({"spec": {"replicas": 1}}), vec![ready(0), ready(1), ready(2)], vec!["delete db-2"]),
        ("down waits", json!({"spec": {"replicas": 1}}), vec![ready(0), ready(1), (2, "v2", 'd')], vec![]),
        (
            "not down while one is not ready",
            json!({"spec": {"replicas": 1}}),
            vec![(0, "v2", 'n'), ready(1), ready(2)],
            vec![],
        ),
        (
            "parallel up",
            json!({"spec": {"podManagementPolicy": "Parallel"}}),
            vec![(1, "v2", 'n')],
            vec!["create db-0 v2", "create db-2 v2"],
        ),
        (
            "parallel down",
            json!({"spec": {"podManagementPolicy": "Parallel", "replicas": 0}}),
            vec![ready(0), ready(1)],
            vec!["delete db-1", "delete db-0"],
        ),
        ("start", json!({"spec": {"ordinals": {"start": 5}, "replicas": 1}}), vec![], vec!["create db-5 v2"]),
        ("ending", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), vec![], vec![]),
    ];
    for (name, extra, pods, expected) in cases {
        assert_eq!(told(&observed(set(extra), &pods)), expected, "{name}");
    }
}

#[test]
fn updates_go_from_the_highest_down_to_the_partition() {
    let partition = |number: i32| json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": number}}}});
    let old = |number| (number, "v1", 'r');
    let new = |number| (number, "v2", 'r');
    let cases: Vec<Case> = vec![
        ("highest first", json!({}), vec![old(0), old(1), old(2)], vec!["delete db-2"]),
        ("then the next", json!({}), vec![old(0), old(1), new(2)], vec!["delete db-1"]),
        ("partition stops it", partition(2), vec![old(0), old(1), new(2)], vec![]),
        ("a pod below the partition stays of its revision", partition(2), vec![old(1), new(2)], vec!["create db-0 v1"]),
        ("on delete", json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}), vec![old(0), old(1), old(2)], vec![]),
        (
            "two at a time",
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}}),
            vec![old(0), old(1), old(2)],
            vec!["delete db-2", "delete db-1"],
        ),
    ];
    for (name, extra, pods, expected) in cases {
        assert_eq!(told(&observed(set(extra), &pods)), expected, "{name}");
    }
    // A broken pod of the old revision does not hold the update up: with Parallel it may be replaced.
    let parallel = json!({"spec": {"podManagementPolicy": "Parallel"}});
    assert_eq!(told(&observed(set(parallel), &[old(0), old(1), (2, "v1", 'n')])), ["delete db-2"]);
}

#[test]
fn pods_have_stable_names_claims_and_labels() {
    let templates = json!({"spec": {"replicas": 1, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}});
    let seen = observed(set(templates), &[]);
    assert_eq!(told(&seen), ["claim data-db-0", "create db-0 v2"]);
    let plan = plan(&seen, now());
    let Some(Action::CreatePod(pod)) = plan.actions.last() else { panic!("{plan:?}") };
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("db-0"), Some("db")));
    assert_eq!((pod.label(POD_NAME), pod.label(POD_INDEX)), (Some("db-0"), Some("0")));
    let volume = &spec.volumes.as_ref().unwrap()[0];
    assert_eq!(volume.persistent_volume_claim.as_ref().unwrap().claim_name, "data-db-0");
}

#[test]
fn claims_follow_the_retention_policy() {
    let with = |deleted: &str, scaled: &str, replicas: i32| {
        set(json!({"spec": {
            "replicas": replicas,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
        }}))
    };
    let claim = |number: i32, owner: Option<OwnerReference>| -> Arc<PersistentVolumeClaim> {
        let owners = owner.map(|owner| vec![owner]);
        Arc::new(serde_json::from_value(json!({"metadata": {"name": format!("data-db-{number}"), "namespace": "shop", "ownerReferences": owners}})).unwrap())
    };
    let cases = [
        (with("Retain", "Retain", 1), vec![claim(0, None)], vec![(0, "v2", 'r')], vec![]),
        (with("Delete", "Retain", 1), vec![claim(0, None)], vec![(0, "v2", 'r')], vec!["owners data-db-0 StatefulSet"]),
        (
            with("Retain", "Retain", 1),
            vec![claim(0, Some(owner_reference("StatefulSet", "db", "s")))],
            vec![(0, "v2", 'r')],
            vec!["owners data-db-0 "],
        ),
        (
            with("Retain", "Delete", 0),
            vec![claim(0, None)],
            vec![(0, "v2", 'r')],
            vec!["owners data-db-0 Pod", "delete db-0"],
        ),
    ];
    for (set, claims, pods, expected) in cases {
        let mut seen = observed(set, &pods);
        seen.claims = claims;
        assert_eq!(told(&seen), expected);
    }
}

#[test]
fn the_current_revision_follows_when_all_pods_are_updated() {
    let halfway = status(&observed(set(json!({})), &[(0, "v1", 'r'), (1, "v2", 'r'), (2, "v2", 'r')]), now());
    assert_eq!((halfway.current_replicas, halfway.updated_replicas), (Some(1), Some(2)));
    assert_ne!(halfway.current_revision, halfway.update_revision);
    let complete = status(&observed(set(json!({})), &[(0, "v2", 'r'), (1, "v2", 'r'), (2, "v2", 'r')]), now());
    assert_eq!((complete.ready_replicas, complete.current_replicas), (Some(3), Some(3)));
    assert_eq!(complete.current_revision, complete.update_revision);
}

#[test]
fn min_ready_seconds_slow_the_next_pod() {
    let seen = observed(set(json!({"spec": {"minReadySeconds": 3610}})), &[(0, "v2", 'r')]);
    assert_eq!(plan(&seen, now()), Plan { actions: vec![], wake: Some(Duration::from_secs(10)) });
}

#[test]
fn only_exact_names_are_members() {
    let db = set(json!({}));
    let cases = [
        ("db-0", Some(0)),
        ("db-12", Some(12)),
        ("db-01", None),
        ("db-x", None),
        ("db--1", None),
        ("other-0", None),
        ("db", None),
    ];
    for (name, expected) in cases {
        assert_eq!(ordinal(&db, name), expected, "{name}");
    }
}
