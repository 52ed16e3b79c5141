//! What the data plane counts.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use maru_telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// The data plane's metrics.
pub(crate) struct Metrics {
    requests: Arc<Family<Counter>>,
    durations: Arc<Family<Histogram>>,
    dropped: Arc<Family<Counter>>,
    pub connections: Arc<Gauge>,
    pub configurations: Arc<Counter>,
    pub upstream_failures: Arc<Family<Counter>>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let requests = "Requests by route, service and status code; 499 when the client left first.";
        let durations = "Time from a request's head to its response's end.";
        let dropped = "Lines that the access log was too slow for.";
        let failures = "Tries that failed, by what failed.";
        Self {
            requests: registry.family("maru_gateway_requests_total", requests, &["route", "service", "code"]),
            durations: registry.family("maru_gateway_request_duration_seconds", durations, &["route", "service"]),
            dropped: registry.family("maru_gateway_access_log_dropped_total", dropped, &[]),
            connections: registry
                .family::<Gauge>("maru_gateway_connections", "Open connections of clients.", &[])
                .with(&[]),
            configurations: registry
                .family::<Counter>("maru_gateway_configurations_total", "Configurations put into effect.", &[])
                .with(&[]),
            upstream_failures: registry.family("maru_gateway_upstream_failures_total", failures, &["reason"]),
        }
    }

    pub(crate) fn log_lines_dropped(&self) -> Arc<Counter> {
        self.dropped.with(&[])
    }

    pub(crate) fn series(&self, route: &str, service: &str) -> Series {
        Series {
            route: route.into(),
            service: service.into(),
            requests: Arc::clone(&self.requests),
            duration: self.durations.with(&[route, service]),
            codes: RwLock::default(),
        }
    }

    /// Forgets the series of a route that is gone.
    pub(crate) fn forget(&self, series: &Series) {
        self.durations.remove(&[&series.route, &series.service]);
        let codes = series.codes.read().unwrap_or_else(PoisonError::into_inner);
        for (code, _) in codes.iter() {
            self.requests.remove(&[&series.route, &series.service, &code.to_string()]);
        }
    }
}

/// The metrics of one route and service, found once and kept.
pub(crate) struct Series {
    pub route: Arc<str>,
    pub service: Arc<str>,
    requests: Arc<Family<Counter>>,
    duration: Arc<Histogram>,
    codes: RwLock<Vec<(u16, Arc<Counter>)>>,
}

impl Series {
    /// Counts one request.
    pub(crate) fn count(&self, code: u16, took: Duration) {
        self.duration.observe(took);
        let known = {
            let codes = self.codes.read().unwrap_or_else(PoisonError::into_inner);
            codes.iter().find(|(known, _)| *known == code).map(|(_, counter)| Arc::clone(counter))
        };
        let counter = known.unwrap_or_else(|| {
            let counter = self.requests.with(&[&self.route, &self.service, &code.to_string()]);
            self.codes.write().unwrap_or_else(PoisonError::into_inner).push((code, Arc::clone(&counter)));
            counter
        });
        counter.inc();
    }
}
