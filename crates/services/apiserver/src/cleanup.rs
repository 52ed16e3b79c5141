//! Removes the objects of a CustomResourceDefinition that is being deleted, then lets the definition go.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use maru_objects::Key;
use serde_json::Value;

use crate::delete;
use crate::errors::ApiError;
use crate::formats::Ownership;
use crate::hooks;
use crate::meta;
use crate::options::DeleteOptions;
use crate::query::Query;
use crate::routes::ResourcePath;
use crate::state::{Call, State, decode_raw};
use crate::warnings::Warnings;
use crate::write::OwnWrites;

/// How long to wait for objects whose finalizers are somebody else's, before looking again.
const PERIOD: Duration = Duration::from_secs(1);

/// Starts the removal unless it is under way.
pub(crate) fn start(state: &Arc<State>, definition: &str) {
    let name = definition.to_owned();
    if !state.cleanups.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        return;
    }
    let worker = Arc::clone(state);
    drop(state.scope.spawn_until_cancelled("definition cleanup", async move {
        if let Err(error) = run(&worker, &name).await {
            tracing::warn!(name, %error, "the objects of a definition were not all removed");
        }
        worker.cleanups.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }));
}

async fn run(state: &Arc<State>, name: &str) -> Result<(), ApiError> {
    loop {
        let Some(definition) = state.store.get(&Key::new(hooks::DEFINITION_STORE, "", name)) else { return Ok(()) };
        let definition = decode_raw(&definition)?;
        let store = hooks::store_of_definition(&definition);
        if state.store.count(&store) == 0 {
            return release(state, name).await;
        }
        remove_all(state, &definition, &store).await?;
        if state.store.count(&store) > 0 {
            tokio::time::sleep(PERIOD).await;
        }
    }
}

async fn remove_all(state: &Arc<State>, definition: &Value, store: &str) -> Result<(), ApiError> {
    let (group, plural) =
        (meta::text(definition, &["spec", "group"]), meta::text(definition, &["spec", "names", "plural"]));
    let table = state.table();
    let served = table.stored(group, plural).ok_or(ApiError::NoSuchPath)?;
    for record in state.store.list(store, None).records {
        let object = decode_raw(&record)?;
        if meta::is_being_deleted(&object) {
            continue;
        }
        let path = ResourcePath {
            namespace: record.key.namespace.to_string(),
            resource: plural.to_owned(),
            name: record.key.name.to_string(),
            ..ResourcePath::default()
        };
        let call = Call {
            identity: hooks::own_identity(),
            served: served.clone(),
            path,
            query: Query::default(),
            headers: http::HeaderMap::new(),
            warnings: Warnings::default(),
        };
        match delete::remove(state, &call, &record.key.name, &DeleteOptions::default()).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn release(state: &Arc<State>, name: &str) -> Result<(), ApiError> {
    let table = state.table();
    let served = table.stored("apiextensions.k8s.io", "customresourcedefinitions").ok_or(ApiError::NoSuchPath)?;
    let own = OwnWrites::new();
    let writer = own.writer(state, &served, "");
    let without = |current: &Value| {
        let mut object = current.clone();
        let left: Vec<&str> =
            meta::finalizers(current).into_iter().filter(|one| *one != hooks::DEFINITION_FINALIZER).collect();
        let left = (!left.is_empty()).then(|| Value::from(left));
        meta::set_at(&mut object, &["metadata", "finalizers"], left);
        Ok(object)
    };
    match writer.update(name, Ownership::Update, without).await {
        Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
