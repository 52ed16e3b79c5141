//! Which change wakes whom.

use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;

use crate::machinery::{Cache, Key, Kind, Matcher, MetaExt as _, WorkQueue, controller_of};

/// Wakes the controller of a kind for each changed object.
pub(super) fn wake_self<K: Resource + Send + Sync + 'static>(cache: &Arc<Cache<K>>, queue: &Arc<WorkQueue>) {
    wake(cache, queue, |object| Some(Key::of(object)));
}

/// Wakes a controller for what `keys` names in the states before and after a change.
pub(super) fn wake<K, I>(cache: &Arc<Cache<K>>, queue: &Arc<WorkQueue>, keys: impl Fn(&K) -> I + Send + Sync + 'static)
where
    K: Resource + Send + Sync + 'static,
    I: IntoIterator<Item = Key>,
{
    let queue = Arc::clone(queue);
    cache.on_change(move |change| {
        for key in change.states().flat_map(|state| keys(state)) {
            queue.add(key);
        }
    });
}

/// Returns the key of the object's controller, when that is of the kind.
pub(super) fn controller_key<K: Resource>(object: &K, kind: &str) -> Option<Key> {
    let controller = controller_of(object).filter(|controller| controller.kind == kind)?;
    Some(Key::new(object.namespace(), &controller.name))
}

/// Returns the key of the object's controller; for an orphan, the keys of all in its namespace that select it.
pub(super) fn controllers_or_selectors<K, O>(
    object: &K,
    owner_kind: &str,
    owners: &Kind<O>,
    selector: impl Fn(&O) -> Option<Matcher>,
) -> Vec<Key>
where
    K: Resource,
    O: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    if controller_of(object).is_some() {
        return controller_key(object, owner_kind).into_iter().collect();
    }
    let owners = owners.in_namespace(object.namespace());
    let selecting =
        owners.iter().filter(|owner| selector(owner).is_some_and(|matcher| matcher.matches(object.label_map())));
    selecting.map(|owner| Key::of(owner.as_ref())).collect()
}

/// Wakes the budgets of a namespace when the shape of a controller of pods changes there; its status does not matter.
pub(super) fn wake_budgets<K: Resource + Send + Sync + 'static>(
    cache: &Arc<Cache<K>>,
    queue: &Arc<WorkQueue>,
    budgets: &Kind<PodDisruptionBudget>,
) {
    let (queue, budgets) = (Arc::clone(queue), budgets.clone());
    cache.on_change(move |change| {
        let generation = |state: &Option<Arc<K>>| state.as_ref().map(|state| state.generation());
        if generation(&change.before) == generation(&change.after) {
            return;
        }
        if let Some(state) = change.states().next() {
            budgets.in_namespace(state.namespace()).iter().for_each(|one| queue.add(Key::of(one.as_ref())));
        }
    });
}
