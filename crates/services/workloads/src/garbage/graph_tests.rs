//! What follows from who depends on whom.

use kube::discovery::ApiResource;

use super::*;

fn kind() -> Arc<Served> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: "Thing".to_owned(),
        plural: "things".to_owned(),
    };
    Arc::new(Served { resource, scope: ServedScope::Namespaced, can_watch: true, can_delete_collection: true })
}

fn node(uid: &str, owners: &[(&str, bool)]) -> Node {
    Node {
        kind: kind(),
        key: Key::new("shop", uid),
        uid: uid.to_owned(),
        revision: "1".to_owned(),
        owners: owners
            .iter()
            .map(|(uid, blocks)| OwnerReference {
                uid: (*uid).to_owned(),
                block_owner_deletion: Some(*blocks),
                ..OwnerReference::default()
            })
            .collect(),
        finalizers: Vec::new(),
        is_deleting: false,
    }
}

fn ending(uid: &str, owners: &[(&str, bool)], finalizers: &[&str]) -> Node {
    let finalizers = finalizers.iter().map(|one| (*one).to_owned()).collect();
    Node { is_deleting: true, finalizers, ..node(uid, owners) }
}

fn graph(nodes: &[Node]) -> Graph {
    let mut graph = Graph::default();
    for node in nodes {
        graph.put(node.clone());
    }
    graph
}

fn absent(uids: &[&str]) -> BTreeMap<String, OwnerState> {
    uids.iter().map(|uid| ((*uid).to_owned(), OwnerState::Absent)).collect()
}

#[test]
fn an_object_goes_when_all_its_owners_are_gone() {
    let child = node("child", &[("owner", true)]);
    let cases = [
        (graph(&[child.clone(), node("owner", &[])]), vec![]),
        (graph(std::slice::from_ref(&child)), vec![Action::Delete { node: child.clone(), policy: Policy::Background }]),
        // An owner that ends in the background is there until it is gone.
        (graph(&[child.clone(), ending("owner", &[], &[])]), vec![]),
        (
            graph(&[child.clone(), ending("owner", &[], &[FOREGROUND])]),
            vec![Action::Delete { node: child.clone(), policy: Policy::Background }],
        ),
    ];
    for (graph, expected) in cases {
        assert_eq!(graph.plan("child", &absent(&["owner"])), expected);
    }
}

#[test]
fn one_remaining_owner_keeps_an_object_and_the_gone_are_dropped() {
    let child = node("child", &[("gone", true), ("here", true)]);
    let graph = graph(&[child.clone(), node("here", &[])]);
    let unknown: Vec<String> = graph.unknown_owners("child").into_iter().map(|owner| owner.uid).collect();
    assert_eq!(unknown, ["gone"]);
    assert_eq!(
        graph.plan("child", &absent(&["gone"])),
        [Action::DropOwners { node: child, uids: vec!["gone".to_owned()] }]
    );
}

#[test]
fn what_cannot_be_asked_keeps_its_dependents() {
    let graph = graph(&[node("child", &[("strange", true)])]);
    assert!(graph.plan("child", &BTreeMap::new()).is_empty());
}

#[test]
fn foreground_waits_for_blocking_dependents_only() {
    let owner = ending("owner", &[], &[FOREGROUND]);
    let mut graph = graph(&[owner.clone(), node("blocking", &[("owner", true)]), node("other", &[("owner", false)])]);
    assert!(graph.plan("owner", &BTreeMap::new()).is_empty());
    assert_eq!(graph.remove("blocking"), ["owner"]);
    let finished = Action::RemoveFinalizer { node: owner, finalizer: FOREGROUND };
    assert_eq!(graph.plan("owner", &BTreeMap::new()), [finished]);
}

#[test]
fn foreground_goes_down_the_tree() {
    let middle = node("middle", &[("top", true)]);
    let mut graph = graph(&[node("top", &[]), middle.clone(), node("leaf", &[("middle", true)])]);
    assert_eq!(graph.put(ending("top", &[], &[FOREGROUND])), ["top", "middle"]);
    assert_eq!(graph.plan("middle", &BTreeMap::new()), [Action::Delete { node: middle, policy: Policy::Foreground }]);
}

#[test]
fn orphans_lose_their_owner_and_stay() {
    let owner = ending("owner", &[], &[ORPHAN]);
    let child = node("child", &[("owner", true)]);
    let graph = graph(&[owner.clone(), child.clone()]);
    let expected = [
        Action::DropOwners { node: child, uids: vec!["owner".to_owned()] },
        Action::RemoveFinalizer { node: owner, finalizer: ORPHAN },
    ];
    assert_eq!(graph.plan("owner", &BTreeMap::new()), expected);
}

#[test]
fn the_end_of_an_owner_wakes_its_dependents() {
    let mut graph = graph(&[node("owner", &[]), node("a", &[("owner", true)]), node("b", &[("owner", true)])]);
    assert_eq!(graph.remove("owner"), ["a", "b"]);
    assert!(graph.remove("a").is_empty());
}

#[test]
fn an_owner_of_another_namespace_does_not_count() {
    let mut elsewhere = node("owner", &[]);
    elsewhere.key.namespace = "other".to_owned();
    let graph = graph(&[elsewhere, node("child", &[("owner", true)])]);
    assert_eq!(graph.unknown_owners("child").len(), 1);
}
