//! The server's own metrics, under the names that the field gives them.

use std::sync::Arc;
use std::time::Duration;

use maru_telemetry::{Counter, Family, Gauge, Histogram, Registry};

use crate::routes::RequestInfo;

/// The families of the API server.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Arc<Family<Counter>>,
    durations: Arc<Family<Histogram>>,
    in_flight: Arc<Family<Gauge>>,
    watches: Arc<Family<Gauge>>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.family(
                "apiserver_request_total",
                "Requests by verb, resource and status code.",
                &["verb", "group", "version", "resource", "subresource", "code"],
            ),
            durations: registry.family(
                "apiserver_request_duration_seconds",
                "Time until the response's head, by verb and resource.",
                &["verb", "group", "version", "resource", "subresource"],
            ),
            in_flight: registry.family(
                "apiserver_current_inflight_requests",
                "Requests being answered, watches and streams not counted.",
                &["request_kind"],
            ),
            watches: registry.family(
                "apiserver_longrunning_requests",
                "Open watches by resource.",
                &["group", "version", "resource"],
            ),
        }
    }

    /// Counts one answered request. `known` tells whether the resource exists: other names would be unbounded.
    pub(crate) fn answered(&self, info: &RequestInfo, known: bool, code: http::StatusCode, took: Duration) {
        let verb = info.verb.to_uppercase();
        let code = code.as_u16().to_string();
        let (group, version, resource, subresource) = match (&info.resource, known) {
            (Some(path), true) => {
                (path.group.as_str(), path.version.as_str(), path.resource.as_str(), path.subresource.as_str())
            }
            _ => ("", "", "", ""),
        };
        self.requests.with(&[&verb, group, version, resource, subresource, &code]).inc();
        if info.verb != "watch" {
            self.durations.with(&[&verb, group, version, resource, subresource]).observe(took);
        }
    }

    pub(crate) fn in_flight(&self, is_mutating: bool) -> Arc<Gauge> {
        self.in_flight.with(&[if is_mutating { "mutating" } else { "readOnly" }])
    }

    pub(crate) fn watches(&self, group: &str, version: &str, resource: &str) -> Arc<Gauge> {
        self.watches.with(&[group, version, resource])
    }
}

/// Holds a gauge one higher while it lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<Gauge>);

impl Held {
    pub(crate) fn new(gauge: Arc<Gauge>) -> Self {
        gauge.add(1);
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
