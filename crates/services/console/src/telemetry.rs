//! What the room says about itself.

use std::sync::Arc;

use maru_telemetry::{Counter, Family, Gauge, Registry};

/// The room's metrics.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// By what was asked for and the class of the answer.
    pub(crate) requests: Arc<Family<Counter>>,
    /// By how they came to be.
    pub(crate) sessions: Arc<Family<Gauge>>,
    /// Pages that took no message for too long.
    pub(crate) slow: Arc<Family<Counter>>,
    /// By what goes through them.
    pub(crate) sockets: Arc<Family<Gauge>>,
}

impl Telemetry {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.family(
                "maru_console_requests_total",
                "Requests of browsers, by what they are for and the status.",
                &["route", "code"],
            ),
            sessions: registry.family("maru_console_sessions", "Sessions, by how they began.", &["kind"]),
            slow: registry.family(
                "maru_console_slow_pages_total",
                "WebSockets that were closed because the page took no message for too long.",
                &[],
            ),
            sockets: registry.family(
                "maru_console_websockets",
                "WebSockets that are open, by what goes through them.",
                &["kind"],
            ),
        }
    }
}

/// Counts something for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Gauge>);

impl Counted {
    pub(crate) fn new(gauge: Arc<Gauge>) -> Self {
        gauge.add(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
