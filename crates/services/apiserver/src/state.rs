//! What all requests share, and how objects go into the store and come out of it.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use maru_auth::{BearerTokens, Identity, TokenIssuer};
use maru_http::Handler;
use maru_objects::{CommitError, Key, Record, Store};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::{SharedClock, Timestamp};
use serde_json::Value;

use crate::authz::PolicyCache;
use crate::errors::ApiError;
use crate::hooks::{self, Hook};
use crate::kinds::{GroupResource, Kind, KindTable, Served};
use crate::meta;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::routes::ResourcePath;
use crate::warnings::Warnings;

/// The largest request body in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Requests from outside that are answered at a time, watches and streams not counted; more are told to come back.
pub(crate) const REQUESTS_MAX: usize = 400;
/// How long a request may take that is not a watch or a stream.
pub(crate) const REQUEST_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// What all requests share.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) kinds: ArcSwap<KindTable>,
    pub(crate) builtin: Vec<Arc<Kind>>,
    pub(crate) clock: SharedClock,
    pub(crate) tokens: Arc<TokenIssuer>,
    pub(crate) bearer: Option<Arc<BearerTokens>>,
    pub(crate) policy: PolicyCache,
    pub(crate) kubelet: ArcSwapOption<Handler>,
    pub(crate) contents: ArcSwapOption<Handler>,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) scope: Scope,
    pub(crate) addresses: Addresses,
    /// Held while a Service is written, so that no address or port is given twice.
    pub(crate) service_writes: tokio::sync::Mutex<()>,
    /// Held while a CustomResourceDefinition is written, so that the table of kinds follows in order.
    pub(crate) definition_writes: tokio::sync::Mutex<()>,
    /// One permit for each request from outside that may be under way.
    pub(crate) requests: tokio::sync::Semaphore,
    /// The definitions whose objects are being removed.
    pub(crate) cleanups: std::sync::Mutex<std::collections::BTreeSet<String>>,
}

/// Which addresses and ports Services may have, and where the server itself is.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) service_cidr: crate::allocation::Cidr,
    pub(crate) node_ports: std::ops::RangeInclusive<u16>,
    pub(crate) advertise: Option<(IpAddr, u16)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("store", &self.store).finish_non_exhaustive()
    }
}

/// One authenticated and authorised request to a resource.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) identity: Identity,
    pub(crate) served: Served,
    pub(crate) path: ResourcePath,
    pub(crate) query: Query,
    pub(crate) headers: http::HeaderMap,
    pub(crate) warnings: Warnings,
}

impl Call {
    pub(crate) fn header(&self, name: http::header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn resource(&self) -> GroupResource {
        self.served.group_resource()
    }
}

/// A stored object with the version it was read at.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: Arc<Record>,
    pub(crate) object: Value,
}

impl State {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn table(&self) -> Arc<KindTable> {
        self.kinds.load_full()
    }

    /// Reads one object in the version that `served` names.
    pub(crate) fn read(&self, served: &Served, namespace: &str, name: &str) -> Result<Stored, ApiError> {
        let key = Key::new(&served.kind.store, namespace, name);
        let record = self.store.get(&key).ok_or_else(|| ApiError::not_found(&served.group_resource(), name))?;
        let object = decode(served, &record)?;
        Ok(Stored { record, object })
    }

    /// Reads one object by the store's names, in the version it is stored in.
    pub(crate) fn read_raw(&self, store: &str, namespace: &str, name: &str) -> Option<Value> {
        let record = self.store.get(&Key::new(store, namespace, name))?;
        decode_raw(&record).ok()
    }

    /// Reads all objects of a resource by the store's name.
    pub(crate) fn list_raw(&self, store: &str, namespace: Option<&str>) -> Vec<Value> {
        self.store.list(store, namespace).records.iter().filter_map(|record| decode_raw(record).ok()).collect()
    }
}

/// Returns a stored object in the version that `served` names, with its resource version.
pub(crate) fn decode(served: &Served, record: &Record) -> Result<Value, ApiError> {
    let mut object = decode_raw(record)?;
    let stored_kind = (meta::text(&object, &["apiVersion"]).to_owned(), meta::kind(&object).to_owned());
    if stored_kind.0 != served.api_version() {
        meta::root(&mut object).insert("apiVersion".to_owned(), Value::from(served.api_version()));
        hooks::convert_from_storage(served, &stored_kind.0, &mut object);
    }
    Ok(object)
}

/// The start of every stored value: metadata come first, so that a version can be put in without parsing.
const START: &[u8] = b"{\"metadata\":{";

/// Appends a stored object as JSON with its resource version, in the version that `served` names.
pub(crate) fn write_json(served: &Served, record: &Record, out: &mut Vec<u8>) -> Result<(), ApiError> {
    // A custom object may be stored in another version, an event in the other group.
    let is_as_stored = !served.kind.is_custom && served.kind.hook != Hook::Event && served.kind.versions.len() == 1;
    match record.value.strip_prefix(START).filter(|_| is_as_stored) {
        Some(rest) => {
            out.extend_from_slice(START);
            out.extend_from_slice(b"\"resourceVersion\":\"");
            out.extend_from_slice(record.revision.to_string().as_bytes());
            out.extend_from_slice(if rest.starts_with(b"}") { b"\"" } else { b"\"," });
            out.extend_from_slice(rest);
        }
        None => out.extend_from_slice(decode(served, record)?.to_string().as_bytes()),
    }
    Ok(())
}

/// Returns a stored object as it is, with its resource version.
pub(crate) fn decode_raw(record: &Record) -> Result<Value, ApiError> {
    let mut object: Value = serde_json::from_slice(&record.value)
        .map_err(|error| ApiError::internal(format!("the stored object {} is not JSON: {error}", record.key)))?;
    meta::metadata(&mut object).insert("resourceVersion".to_owned(), Value::from(record.revision.to_string()));
    Ok(object)
}

/// Returns the bytes to store for an object of the version that `served` names.
pub(crate) fn encode(served: &Served, object: &Value) -> Bytes {
    let mut object = object.clone();
    if served.version().name != served.kind.storage_version {
        meta::root(&mut object).insert("apiVersion".to_owned(), Value::from(served.storage_api_version()));
    }
    hooks::convert_to_storage(served, &mut object);
    meta::metadata(&mut object).remove("resourceVersion");
    let root = meta::root(&mut object);
    let metadata = root.remove("metadata").unwrap_or_default();
    let mut text = format!("{{\"metadata\":{metadata}");
    for (key, value) in root {
        text.push_str(&format!(",{}:{value}", Value::from(key.as_str())));
    }
    text.push('}');
    Bytes::from(text)
}

/// Turns the store's refusal into the answer to the client.
pub(crate) fn commit_error(resource: &GroupResource, name: &str, error: CommitError) -> ApiError {
    match error {
        CommitError::Exists { .. } => ApiError::AlreadyExists { resource: resource.clone(), name: name.to_owned() },
        CommitError::Missing { .. } => ApiError::not_found(resource, name),
        CommitError::Conflict { .. } => ApiError::modified(resource, name),
        CommitError::TooLarge { limit, .. } => ApiError::TooLarge { limit },
        CommitError::DiskFull { .. } => ApiError::InsufficientStorage(error.to_string()),
        CommitError::Closed => ApiError::ServiceUnavailable { message: error.to_string(), retry_after_seconds: 5 },
        other => {
            tracing::error!(error = %other, "a write failed");
            ApiError::internal(other.to_string())
        }
    }
}
