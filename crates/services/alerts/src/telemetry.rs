//! What the service counts about itself, under Alertmanager's names. They are listed here and nowhere else.

use std::sync::Arc;

use maru_telemetry::{Counter, Family, Gauge, Registry};

/// The service's own metrics.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    received: Arc<Family<Counter>>,
    invalid: Arc<Family<Counter>>,
    notifications: Arc<Family<Counter>>,
    failed: Arc<Family<Counter>>,
    requests: Arc<Family<Counter>>,
    requests_failed: Arc<Family<Counter>>,
    alerts: Arc<Family<Gauge>>,
    silences: Arc<Family<Gauge>>,
    groups: Arc<Family<Gauge>>,
    reload_ok: Arc<Gauge>,
    reload_at: Arc<Gauge>,
    journal_failures: Arc<Counter>,
}

impl Telemetry {
    pub(crate) fn new(registry: &Registry) -> Self {
        let of_integration = &["integration"];
        Self {
            received: registry.family(
                "alertmanager_alerts_received_total",
                "Alerts that came in.",
                &["status", "version"],
            ),
            invalid: registry.family("alertmanager_alerts_invalid_total", "Alerts that were refused.", &["version"]),
            notifications: registry.family(
                "alertmanager_notifications_total",
                "Messages that were to be sent.",
                of_integration,
            ),
            failed: registry.family(
                "alertmanager_notifications_failed_total",
                "Messages that did not arrive.",
                of_integration,
            ),
            requests: registry.family(
                "alertmanager_notification_requests_total",
                "Attempts to send a message.",
                of_integration,
            ),
            requests_failed: registry.family(
                "alertmanager_notification_requests_failed_total",
                "Attempts that failed.",
                of_integration,
            ),
            alerts: registry.family("alertmanager_alerts", "Alerts by state.", &["state"]),
            silences: registry.family("alertmanager_silences", "Silences by state.", &["state"]),
            groups: registry.family(
                "alertmanager_dispatcher_aggregation_groups",
                "Groups of alerts that are open.",
                &[],
            ),
            reload_ok: registry
                .family::<Gauge>(
                    "alertmanager_config_last_reload_successful",
                    "Whether the last reading of the configuration went well.",
                    &[],
                )
                .with(&[]),
            reload_at: registry
                .family::<Gauge>(
                    "alertmanager_config_last_reload_success_timestamp_seconds",
                    "When the configuration was last read.",
                    &[],
                )
                .with(&[]),
            journal_failures: registry
                .family::<Counter>("maru_alerts_journal_failures_total", "Writes of the log that failed.", &[])
                .with(&[]),
        }
    }

    pub(crate) fn received(&self, firing: usize, resolved: usize) {
        self.received.with(&["firing", "v2"]).add(firing as u64);
        self.received.with(&["resolved", "v2"]).add(resolved as u64);
    }

    pub(crate) fn invalid(&self, count: usize) {
        self.invalid.with(&["v2"]).add(count as u64);
    }

    pub(crate) fn dispatched(&self, integration: &str) {
        self.notifications.with(&[integration]).inc();
    }

    pub(crate) fn failed(&self, integration: &str) {
        self.failed.with(&[integration]).inc();
    }

    pub(crate) fn attempted(&self, integration: &str, arrived: bool) {
        self.requests.with(&[integration]).inc();
        if !arrived {
            self.requests_failed.with(&[integration]).inc();
        }
    }

    pub(crate) fn reloaded(&self, at_second: Option<i64>) {
        self.reload_ok.set(i64::from(at_second.is_some()));
        if let Some(second) = at_second {
            self.reload_at.set(second);
        }
    }

    pub(crate) fn journal_failed(&self) {
        self.journal_failures.inc();
    }

    pub(crate) fn set_alerts(&self, active: usize, suppressed: usize) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.alerts.with(&["active"]).set(count(active));
        self.alerts.with(&["suppressed"]).set(count(suppressed));
    }

    pub(crate) fn set_silences(&self, state: &str, number: usize) {
        self.silences.with(&[state]).set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub(crate) fn set_groups(&self, number: usize) {
        self.groups.with(&[]).set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
