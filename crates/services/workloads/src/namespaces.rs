//! Ends namespaces: everything inside is deleted first, pods before the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use kube::Client;
use kube::api::{DeleteParams, ListParams};
use maru_client::ReconcileError;
use maru_time::{SharedClock, Timestamp};

use crate::catalog::{Served, ServedScope, discover};
use crate::machinery::{Done, ExecuteError, Key, Kind, MetaExt as _, Reconcile, condition_time, post_params};

const FINALIZER: &str = "kubernetes";
/// How long to wait before looking again at what remains; pods that end wake us before.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Ends namespaces. Keys name namespaces.
pub(crate) struct Namespaces {
    pub(crate) client: Client,
    pub(crate) namespaces: Kind<Namespace>,
    pub(crate) clock: SharedClock,
}

/// What was found in an ending namespace after everything was asked to go.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Remaining {
    /// Objects by kind.
    objects: BTreeMap<String, usize>,
    /// Objects by the finalizer that holds them.
    finalizers: BTreeMap<String, usize>,
    /// Why some could not be deleted or listed.
    failures: Vec<String>,
}

impl Remaining {
    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.failures.is_empty()
    }
}

#[derive(Debug, PartialEq)]
enum Action {
    /// Everything is gone: the namespace may go too.
    Finalize,
    /// Tells what remains.
    Tell(Vec<NamespaceCondition>),
}

/// Decides what to do next. Pure.
fn plan(namespace: &Namespace, remaining: &Remaining, now: Timestamp) -> Vec<Action> {
    if remaining.is_empty() {
        return vec![Action::Finalize];
    }
    let known = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let next = conditions(remaining, &known, now);
    let is_terminating = namespace.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Terminating");
    if next == known && is_terminating { Vec::new() } else { vec![Action::Tell(next)] }
}

fn conditions(remaining: &Remaining, known: &[NamespaceCondition], now: Timestamp) -> Vec<NamespaceCondition> {
    let list = |counts: &BTreeMap<String, usize>, word: &str| {
        let each: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {word} {count} resource instances")).collect();
        each.join(", ")
    };
    let told = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        if remaining.failures.is_empty() {
            let message = "All content successfully deleted, may be waiting on finalization".to_owned();
            ("NamespaceDeletionContentFailure", false, "ContentDeleted", message)
        } else {
            let message = format!(
                "Failed to delete all resource types, {} remaining: {}",
                remaining.failures.len(),
                remaining.failures.join(", ")
            );
            ("NamespaceDeletionContentFailure", true, "ContentDeletionFailed", message)
        },
        if remaining.objects.is_empty() {
            ("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed".to_owned())
        } else {
            let message = format!("Some resources are remaining: {}", list(&remaining.objects, "has"));
            ("NamespaceContentRemaining", true, "SomeResourcesRemain", message)
        },
        if remaining.finalizers.is_empty() {
            let message = "All content-preserving finalizers finished".to_owned();
            ("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", message)
        } else {
            let message = format!(
                "Some content in the namespace has finalizers remaining: {}",
                list(&remaining.finalizers, "in")
            );
            ("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message)
        },
    ];
    told.into_iter()
        .map(|(kind, is, reason, message)| {
            let status = if is { "True" } else { "False" };
            let before = known.iter().find(|known| known.type_ == kind && known.status == status);
            NamespaceCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: before
                    .and_then(|before| before.last_transition_time.clone())
                    .or_else(|| Some(condition_time(now))),
            }
        })
        .collect()
}

fn holds_itself(namespace: &Namespace) -> bool {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|one| one == FINALIZER))
}

impl Reconcile for Namespaces {
    const NAME: &'static str = "namespace";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(namespace) = self.namespaces.get(key) else { return Ok(Done::Gone) };
        if !namespace.is_deleting() || !holds_itself(&namespace) {
            return Ok(Done::Settled);
        }
        let remaining = self.remove_content(&key.name).await?;
        for action in plan(&namespace, &remaining, self.clock.now()) {
            match self.execute(&namespace, &action).await {
                Ok(()) => {}
                Err(error) if error.is_not_found() => return Ok(Done::Gone),
                // Its change wakes us.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(if remaining.is_empty() { Done::Settled } else { Done::After(LOOK_AGAIN) })
    }
}

impl Namespaces {
    async fn execute(&self, namespace: &Namespace, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::Finalize => {
                let mut without = namespace.clone();
                if let Some(finalizers) = without.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
                    finalizers.retain(|one| one != FINALIZER);
                }
                let api = self.namespaces.api("");
                let answer = api.replace_subresource("finalize", namespace.name(), &post_params(), &without).await;
                answer.map(drop).map_err(|source| ExecuteError::of::<Namespace>("finalize", Key::of(namespace), source))
            }
            Action::Tell(conditions) => {
                let mut told = namespace.clone();
                let status = told.status.get_or_insert_default();
                status.phase = Some("Terminating".to_owned());
                status.conditions = Some(conditions.clone());
                self.namespaces.replace_status(&told).await.map(drop)
            }
        }
    }

    /// Asks everything in the namespace to go and counts what is left. While pods are left, the rest stays: they may
    /// need it to end well.
    async fn remove_content(&self, namespace: &str) -> Result<Remaining, ReconcileError> {
        let kinds = discover(&self.client).await?;
        let inside = kinds.iter().filter(|kind| kind.scope == ServedScope::Namespaced);
        let (pods, rest): (Vec<&Served>, Vec<&Served>) = inside.partition(|kind| kind.name() == "pods");
        let mut remaining = Remaining::default();
        for group in [pods, rest] {
            for kind in group {
                if let Err(error) = self.remove_kind(kind, namespace, &mut remaining).await {
                    remaining.failures.push(format!("{}: {error}", kind.name()));
                }
            }
            if !remaining.is_empty() {
                break;
            }
        }
        Ok(remaining)
    }

    async fn remove_kind(&self, kind: &Served, namespace: &str, remaining: &mut Remaining) -> Result<(), kube::Error> {
        let api = kind.api(&self.client, namespace);
        let before = api.list_metadata(&ListParams::default()).await?.items;
        if before.is_empty() {
            return Ok(());
        }
        let params = DeleteParams::background();
        if kind.can_delete_collection {
            drop(api.delete_collection(&params, &ListParams::default()).await?);
        } else {
            for object in before.iter().filter(|object| !object.is_deleting()) {
                drop(api.delete(object.name(), &params).await?);
            }
        }
        for object in api.list_metadata(&ListParams::default()).await? {
            *remaining.objects.entry(format!("{}.", kind.name())).or_default() += 1;
            for finalizer in object.metadata.finalizers.iter().flatten() {
                *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(conditions: Vec<NamespaceCondition>) -> Namespace {
        let mut namespace: Namespace = serde_json::from_value(json!({
            "metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Terminating"},
        }))
        .unwrap();
        namespace.status.as_mut().unwrap().conditions = Some(conditions);
        namespace
    }

    #[test]
    fn what_remains_is_told_once_and_an_empty_namespace_goes() {
        let now = Timestamp::UNIX_EPOCH;
        let remaining = Remaining {
            objects: [("pods.".to_owned(), 2)].into(),
            finalizers: [("example.org/hold".to_owned(), 1)].into(),
            failures: Vec::new(),
        };
        let actions = plan(&namespace(Vec::new()), &remaining, now);
        let [Action::Tell(conditions)] = actions.as_slice() else { panic!("{actions:?}") };
        let told: Vec<String> =
            conditions.iter().filter(|one| one.status == "True").filter_map(|one| one.message.clone()).collect();
        assert_eq!(
            told,
            [
                "Some resources are remaining: pods. has 2 resource instances",
                "Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances",
            ]
        );
        assert!(plan(&namespace(conditions.clone()), &remaining, now).is_empty());
        assert_eq!(plan(&namespace(conditions.clone()), &Remaining::default(), now), [Action::Finalize]);
    }
}
