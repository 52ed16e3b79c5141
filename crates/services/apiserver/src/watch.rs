//! Watches: the changes of a resource as JSON lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Response, StatusCode};
use maru_http::{Body, BoxError};
use maru_kube::table::{Columns, IncludeObject};
use maru_objects::{Event, EventKind, Record, Revision, WatchError, Watcher};
use maru_task::Scope;
use maru_time::SharedClock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::errors::ApiError;
use crate::kinds::Served;
use crate::meta;
use crate::metrics::Held;
use crate::read::{Selection, namespace_of, parse_version, wait_for_version};
use crate::respond::{self, View};
use crate::state::{Call, State, decode, write_json};
use crate::views;

/// How long a watch lasts when the client names no time: at least this, and up to twice as long.
const TIMEOUT_MIN: Duration = Duration::from_secs(1800);
/// How often a watch that wants bookmarks gets one.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// Events are gathered up to this many bytes when they are there already.
const CHUNK_BYTES: usize = 64 * 1024;

/// Answers a `watch`.
pub(crate) fn watch(state: &Arc<State>, call: &Call) -> Result<Response<Body>, ApiError> {
    let selection = Selection::read(call)?;
    let start = Start::read(state, call)?;
    let namespace = namespace_of(call);
    let store = &call.served.kind.store;
    let (pending, after) = match start.initial {
        true => {
            let snapshot = state.store.list(store, namespace);
            (VecDeque::from(snapshot.records), snapshot.revision)
        }
        false => (VecDeque::new(), start.after.unwrap_or_else(|| state.store.progress())),
    };
    let watcher = state.store.watch(store, namespace, after).map_err(|error| {
        ApiError::Expired(format!("too old resource version: {} ({})", error.requested, error.oldest))
    })?;
    let view = respond::view(&call.headers);
    let lines = Lines {
        encoder: Encoder {
            served: call.served.clone(),
            selection,
            view,
            columns: (view == View::Table).then(|| views::columns(&call.served)),
            include: views::include(&call.query),
            clock: Arc::clone(&state.clock),
        },
        watcher,
        pending,
        initial_revision: after,
        announces_end: start.announces_end,
        sends_bookmarks: call.query.flag("allowWatchBookmarks"),
        next_bookmark: Instant::now() + BOOKMARK_PERIOD,
        deadline: Instant::now() + timeout(call)?,
        scope: state.scope.clone(),
        is_over: false,
        _held: Held::new(state.metrics.watches(&call.path.group, &call.path.version, &call.path.resource)),
    };
    let stream = futures::stream::unfold(lines, |mut lines| async move {
        let chunk = lines.next().await?;
        Some((Ok::<_, BoxError>(chunk), lines))
    });
    let mut response = respond::bytes(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = maru_http::stream(stream);
    Ok(response)
}

fn timeout(call: &Call) -> Result<Duration, ApiError> {
    if let Some(seconds) = call.query.number::<u64>("timeoutSeconds")?.filter(|seconds| *seconds > 0) {
        return Ok(Duration::from_secs(seconds));
    }
    // Spread, so that not all clients come back at once.
    let mut random = [0u8; 1];
    maru_ids::fill_random(&mut random);
    Ok(TIMEOUT_MIN + TIMEOUT_MIN.mul_f64(f64::from(random[0]) / 255.0))
}

/// Where a watch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    /// Whether the objects that exist come first, as if they had just been added.
    initial: bool,
    /// Whether a bookmark tells that they are all sent.
    announces_end: bool,
    /// The version whose later changes are wanted.
    after: Option<Revision>,
}

impl Start {
    fn read(state: &State, call: &Call) -> Result<Self, ApiError> {
        let text = call.query.text("resourceVersion");
        let version = parse_version(text)?;
        wait_for_version(state, text)?;
        let matching = call.query.text("resourceVersionMatch");
        match call.query.get("sendInitialEvents") {
            None if !matching.is_empty() => Err(ApiError::bad_request(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )),
            None => {
                let after = version.filter(|version| *version > Revision::ZERO);
                Ok(Self { initial: after.is_none(), announces_end: false, after })
            }
            Some(_) if matching != "NotOlderThan" => {
                Err(ApiError::bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
            }
            Some(_) if call.query.flag("sendInitialEvents") => {
                let announces_end = call.query.flag("allowWatchBookmarks");
                Ok(Self { initial: true, announces_end, after: None })
            }
            Some(_) => {
                let after = version.filter(|version| *version > Revision::ZERO);
                Ok(Self { initial: false, announces_end: false, after })
            }
        }
    }
}

/// Turns changes into lines.
struct Encoder {
    served: Served,
    selection: Selection,
    view: View,
    /// Only for tables.
    columns: Option<Columns>,
    include: IncludeObject,
    clock: SharedClock,
}

impl Encoder {
    fn initial(&self, record: &Record, out: &mut Vec<u8>) {
        match self.selection.selects(&self.served, record) {
            Ok(true) => self.stored("ADDED", record, out),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "an object cannot be read"),
        }
    }

    /// Writes a change as it looks through the selectors.
    fn change(&self, event: &Event, out: &mut Vec<u8>) {
        if self.selection.excludes(&event.record) {
            return;
        }
        if self.selection.is_everything() {
            let kind = match event.kind {
                EventKind::Created => "ADDED",
                EventKind::Updated => "MODIFIED",
                EventKind::Deleted => "DELETED",
            };
            return self.stored(kind, &event.record, out);
        }
        let is_selected = |record: &Record| self.selection.selects(&self.served, record).unwrap_or(false);
        let before = event.previous.as_deref().filter(|record| is_selected(record));
        let after = event.kind != EventKind::Deleted && is_selected(&event.record);
        match (before, after) {
            (Some(_), true) => self.stored("MODIFIED", &event.record, out),
            (None, true) => self.stored("ADDED", &event.record, out),
            (Some(_), false) if event.kind == EventKind::Deleted => self.stored("DELETED", &event.record, out),
            // It was seen as it was before, and goes as that, at the revision of the change.
            (Some(before), false) => {
                self.stored("DELETED", &Record { revision: event.revision, ..before.clone() }, out)
            }
            (None, false) => {}
        }
    }

    fn stored(&self, kind: &str, record: &Record, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        let written = match self.view {
            View::Object => write_json(&self.served, record, out),
            View::Table | View::Metadata => decode(&self.served, record)
                .map(|object| out.extend_from_slice(self.shape(&object).to_string().as_bytes())),
        };
        out.extend_from_slice(b"}\n");
        if let Err(error) = written {
            tracing::error!(%error, "a watched object cannot be read");
            out.truncate(start);
        }
    }

    fn shape(&self, object: &Value) -> Value {
        match &self.columns {
            Some(columns) => {
                let metadata = json!({"resourceVersion": meta::resource_version(object)});
                columns.table([object], metadata, self.clock.now(), self.include)
            }
            None => maru_kube::table::partial_object_metadata(object),
        }
    }

    fn bookmark(&self, revision: Revision, ends_initial: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.view {
            View::Object => {
                json!({"kind": self.served.kind.kind, "apiVersion": self.served.api_version(), "metadata": metadata})
            }
            View::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            View::Table => {
                let row = json!({"cells": [], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}});
                json!({
                    "kind": "Table",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": revision.to_string()},
                    "columnDefinitions": [],
                    "rows": [row],
                })
            }
        };
        write_line("BOOKMARK", &object, out);
    }
}

fn write_line(kind: &str, object: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object.to_string().as_bytes());
    out.extend_from_slice(b"}\n");
}

/// The lines of one watch, made while they are read: a slow reader holds no memory but the store's history.
struct Lines {
    encoder: Encoder,
    watcher: Watcher,
    pending: VecDeque<Arc<Record>>,
    initial_revision: Revision,
    announces_end: bool,
    sends_bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    scope: Scope,
    is_over: bool,
    _held: Held,
}

impl Lines {
    /// Returns the next lines, or nothing when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.is_empty() {
            if self.is_over {
                return None;
            }
            if !self.pending.is_empty() || self.announces_end {
                self.write_initial(&mut out);
                continue;
            }
            let wake = if self.sends_bookmarks { self.next_bookmark.min(self.deadline) } else { self.deadline };
            tokio::select! {
                () = self.scope.cancelled() => self.is_over = true,
                event = self.watcher.next() => self.write_events(event, &mut out),
                () = tokio::time::sleep_until(wake) => self.write_due(&mut out),
            }
        }
        Some(Bytes::from(out))
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        while out.len() < CHUNK_BYTES {
            let Some(record) = self.pending.pop_front() else { break };
            self.encoder.initial(&record, out);
        }
        if self.pending.is_empty() && std::mem::take(&mut self.announces_end) {
            self.encoder.bookmark(self.initial_revision, true, out);
        }
    }

    fn write_events(&mut self, first: Result<Event, WatchError>, out: &mut Vec<u8>) {
        let mut next = Some(first);
        while let Some(event) = next.take() {
            match event {
                Ok(event) => self.encoder.change(&event, out),
                Err(WatchError::Expired(error)) => {
                    let status = ApiError::Expired(format!("too old resource version: {error}")).to_status();
                    write_line("ERROR", &status, out);
                    self.is_over = true;
                }
                Err(_) => self.is_over = true,
            }
            if out.len() < CHUNK_BYTES && !self.is_over {
                next = self.watcher.next().now_or_never();
            }
        }
    }

    fn write_due(&mut self, out: &mut Vec<u8>) {
        let now = Instant::now();
        if self.sends_bookmarks {
            self.encoder.bookmark(self.watcher.progress(), false, out);
            self.next_bookmark = now + BOOKMARK_PERIOD;
        }
        if now >= self.deadline {
            self.is_over = true;
        }
    }
}
