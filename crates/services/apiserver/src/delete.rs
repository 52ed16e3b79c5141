//! Deletes objects: at once, or marked until grace period and finalizers are over.

use std::sync::Arc;

use http::{Response, StatusCode};
use maru_http::Body;
use maru_objects::Change;
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::hooks;
use crate::kinds::Served;
use crate::meta;
use crate::options::{DeleteOptions, Propagation, WriteOptions};
use crate::read;
use crate::respond;
use crate::state::{Call, State, Stored, decode, encode};
use crate::write::{Part, Writer, is_ready_to_go};

const FINALIZER_FOREGROUND: &str = "foregroundDeletion";
const FINALIZER_ORPHAN: &str = "orphan";
/// How often a deletion is tried again when others write between.
const CONFLICT_RETRIES: usize = 20;

/// What a deletion did.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; its last content.
    Gone(Value),
    /// It is marked and waits.
    Marked(Value),
}

/// Answers a `delete`.
pub(crate) async fn delete(state: &Arc<State>, call: &Call, body: &Value) -> Result<Response<Body>, ApiError> {
    let options = DeleteOptions::read(&call.query, body)?;
    match remove(state, call, &call.path.name, &options).await? {
        Deleted::Marked(object) => Ok(read::object(state, call, StatusCode::OK, object)),
        Deleted::Gone(object) => Ok(respond::json(StatusCode::OK, &success(&call.served, &object))),
    }
}

fn success(served: &Served, object: &Value) -> Value {
    let mut details = json!({"name": meta::name(object), "kind": served.kind.plural, "uid": meta::uid(object)});
    if !served.kind.group.is_empty() {
        details["group"] = served.kind.group.clone().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Answers a `deletecollection`.
pub(crate) async fn delete_collection(
    state: &Arc<State>,
    call: &Call,
    body: &Value,
) -> Result<Response<Body>, ApiError> {
    let options = DeleteOptions::read(&call.query, body)?;
    let listed = read::collect(state, call)?;
    let mut removed = Vec::with_capacity(listed.records.len());
    for record in listed.records {
        let namespace = record.key.namespace.to_string();
        let each = Call {
            identity: call.identity.clone(),
            served: call.served.clone(),
            path: crate::routes::ResourcePath { namespace, ..call.path.clone() },
            query: call.query.clone(),
            headers: call.headers.clone(),
            warnings: call.warnings.clone(),
        };
        match remove(state, &each, &record.key.name, &options).await {
            Ok(Deleted::Gone(object) | Deleted::Marked(object)) => removed.push(object),
            Err(ApiError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let list = json!({
        "kind": call.served.kind.list_kind,
        "apiVersion": call.served.api_version(),
        "metadata": {"resourceVersion": state.store.progress().to_string()},
        "items": removed,
    });
    Ok(respond::compressible(&call.headers, StatusCode::OK, list.to_string().into()))
}

/// Deletes one object, or marks it.
pub(crate) async fn remove(
    state: &Arc<State>,
    call: &Call,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, ApiError> {
    let _serial = hooks::serialize_writes(state, &call.served).await;
    let write_options = WriteOptions { is_dry_run: options.is_dry_run, ..WriteOptions::own() };
    let writer = Writer::new(state, call, Part::Main, &write_options);
    let namespace = if call.served.kind.namespaced { call.path.namespace.as_str() } else { "" };
    for attempt in 1.. {
        let stored = state.read(&call.served, namespace, name)?;
        check_preconditions(&call.served, &stored.object, options)?;
        hooks::check_delete(&writer.context(), &stored.object)?;
        match remove_version(&writer, &stored, options).await {
            Err(ApiError::Conflict { .. }) if attempt < CONFLICT_RETRIES && options.resource_version.is_none() => {}
            result => return result,
        }
    }
    unreachable!("the loop returns at the last try")
}

fn check_preconditions(served: &Served, object: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let refuse = |what: &str, wanted: &str, found: &str| {
        Err(ApiError::Conflict {
            resource: served.group_resource(),
            name: meta::name(object).to_owned(),
            message: format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"),
        })
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != meta::uid(object) => refuse("UID", uid, meta::uid(object)),
        (_, Some(version)) if version != meta::resource_version(object) => {
            refuse("ResourceVersion", version, meta::resource_version(object))
        }
        _ => Ok(()),
    }
}

async fn remove_version(writer: &Writer<'_>, stored: &Stored, options: &DeleteOptions) -> Result<Deleted, ApiError> {
    let served = writer.served;
    let context = writer.context();
    let mut object = stored.object.clone();
    plan(served, &mut object, options, context.now);
    hooks::prepare_delete(&context, &mut object);
    let name = meta::name(&object).to_owned();
    if is_ready_to_go(served, &object) {
        if options.is_dry_run {
            return Ok(Deleted::Gone(object));
        }
        let record = writer.commit(&name, stored, Change::DeleteWith(encode(served, &object))).await?;
        hooks::committed(&context, Some(&stored.object), None).await;
        return Ok(Deleted::Gone(decode(served, &record)?));
    }
    if object == stored.object || options.is_dry_run {
        return Ok(Deleted::Marked(object));
    }
    let record = writer.commit(&name, stored, Change::Put(encode(served, &object))).await?;
    hooks::committed(&context, Some(&stored.object), Some(&object)).await;
    Ok(Deleted::Marked(decode(served, &record)?))
}

/// Marks an object for deletion: time, grace period, finalizers that the propagation asks for. Pure.
fn plan(served: &Served, object: &mut Value, options: &DeleteOptions, now: Timestamp) {
    let was_marked = meta::is_being_deleted(object);
    let before = meta::at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    let wanted = hooks::grace_period_seconds(served, object, options.grace_period_seconds);
    // A second deletion can shorten the time, never lengthen it.
    let grace = before.map_or(wanted, |before| if was_marked { before.min(wanted) } else { wanted });
    plan_finalizers(object, options.propagation);
    if was_marked && before == Some(grace) {
        return;
    }
    let due = now.saturating_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX);
    if !was_marked && meta::at(object, &["metadata", "generation"]).is_some() {
        let next = meta::generation(object) + 1;
        meta::metadata(object).insert("generation".to_owned(), next.into());
    }
    let metadata = meta::metadata(object);
    metadata.insert("deletionTimestamp".to_owned(), rfc3339_seconds(due).into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
}

fn plan_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    finalizers.retain(|one| one != FINALIZER_FOREGROUND && one != FINALIZER_ORPHAN);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(FINALIZER_FOREGROUND.to_owned()),
        Propagation::Orphan => finalizers.push(FINALIZER_ORPHAN.to_owned()),
    }
    let value = (!finalizers.is_empty()).then(|| Value::from(finalizers));
    meta::set_at(object, &["metadata", "finalizers"], value);
}
