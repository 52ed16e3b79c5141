//! What rules and the sender count, under the names that Prometheus has for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maru_telemetry::{Counter, Family, Gauge, Histogram, Kind, Metric, Registry};

/// A gauge of seconds.
#[derive(Debug, Default)]
pub(crate) struct Seconds(AtomicU64);

impl Seconds {
    pub(crate) fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }
}

impl Metric for Seconds {
    const KIND: Kind = Kind::Gauge;

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        out.push_str(&format!("{name}{braces} {value}\n"));
    }
}

/// The metrics of all groups and of the sender.
#[derive(Debug)]
pub(crate) struct Telemetry {
    evaluation_seconds: Arc<Histogram>,
    evaluations: Arc<Family<Counter>>,
    failures: Arc<Family<Counter>>,
    iterations: Arc<Family<Counter>>,
    missed: Arc<Family<Counter>>,
    interval: Arc<Family<Seconds>>,
    duration: Arc<Family<Seconds>>,
    durations: Arc<Histogram>,
    evaluated_at: Arc<Family<Seconds>>,
    samples: Arc<Family<Gauge>>,
    rules: Arc<Family<Gauge>>,
    pub(crate) sent: Arc<Family<Counter>>,
    pub(crate) errors: Arc<Family<Counter>>,
    pub(crate) latency: Arc<Family<Histogram>>,
    pub(crate) dropped: Arc<Counter>,
    pub(crate) queue_length: Arc<Gauge>,
    pub(crate) queue_capacity: Arc<Gauge>,
    pub(crate) alertmanagers: Arc<Gauge>,
}

/// The metrics of one group.
#[derive(Debug)]
pub(crate) struct GroupTelemetry {
    key: String,
    pub(crate) evaluation_seconds: Arc<Histogram>,
    pub(crate) evaluations: Arc<Counter>,
    pub(crate) failures: Arc<Counter>,
    pub(crate) iterations: Arc<Counter>,
    pub(crate) missed: Arc<Counter>,
    pub(crate) duration: Arc<Seconds>,
    pub(crate) durations: Arc<Histogram>,
    pub(crate) evaluated_at: Arc<Seconds>,
    pub(crate) samples: Arc<Gauge>,
}

const GROUP: &[&str] = &["rule_group"];

impl Telemetry {
    pub(crate) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| registry.family::<Gauge>(name, help, &[]).with(&[]);
        Self {
            evaluation_seconds: registry
                .family("prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute.", &[])
                .with(&[]),
            evaluations: registry.family(
                "prometheus_rule_evaluations_total",
                "The total number of rule evaluations.",
                GROUP,
            ),
            failures: registry.family(
                "prometheus_rule_evaluation_failures_total",
                "The total number of rule evaluation failures.",
                GROUP,
            ),
            iterations: registry.family(
                "prometheus_rule_group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
                GROUP,
            ),
            missed: registry.family(
                "prometheus_rule_group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group evaluation.",
                GROUP,
            ),
            interval: registry.family("prometheus_rule_group_interval_seconds", "The interval of a rule group.", GROUP),
            duration: registry.family(
                "prometheus_rule_group_last_duration_seconds",
                "The duration of the last rule group evaluation.",
                GROUP,
            ),
            durations: registry
                .family("prometheus_rule_group_duration_seconds", "The duration of rule group evaluations.", &[])
                .with(&[]),
            evaluated_at: registry.family(
                "prometheus_rule_group_last_evaluation_timestamp_seconds",
                "The timestamp of the last rule group evaluation in seconds.",
                GROUP,
            ),
            samples: registry.family(
                "prometheus_rule_group_last_evaluation_samples",
                "The number of samples returned during the last rule group evaluation.",
                GROUP,
            ),
            rules: registry.family("prometheus_rule_group_rules", "The number of rules.", GROUP),
            sent: registry.family(
                "prometheus_notifications_sent_total",
                "Total number of alerts sent.",
                &["alertmanager"],
            ),
            errors: registry.family(
                "prometheus_notifications_errors_total",
                "Total number of sent alerts affected by errors.",
                &["alertmanager"],
            ),
            latency: registry.family(
                "prometheus_notifications_latency_seconds",
                "Latency for sending alert notifications.",
                &["alertmanager"],
            ),
            dropped: registry
                .family(
                    "prometheus_notifications_dropped_total",
                    "Total number of alerts dropped due to errors when sending to Alertmanager.",
                    &[],
                )
                .with(&[]),
            queue_length: gauge(
                "prometheus_notifications_queue_length",
                "The number of alert notifications in the queue.",
            ),
            queue_capacity: gauge(
                "prometheus_notifications_queue_capacity",
                "The capacity of the alert notifications queue.",
            ),
            alertmanagers: gauge(
                "prometheus_notifications_alertmanagers_discovered",
                "The number of alertmanagers discovered and active.",
            ),
        }
    }

    /// Returns the metrics of a group, which is there from now on.
    pub(crate) fn group(&self, key: &str, interval: Duration, rules: usize) -> GroupTelemetry {
        self.interval.with(&[key]).set(interval.as_secs_f64());
        self.rules.with(&[key]).set(i64::try_from(rules).unwrap_or(i64::MAX));
        GroupTelemetry {
            key: key.to_owned(),
            evaluation_seconds: Arc::clone(&self.evaluation_seconds),
            evaluations: self.evaluations.with(&[key]),
            failures: self.failures.with(&[key]),
            iterations: self.iterations.with(&[key]),
            missed: self.missed.with(&[key]),
            duration: self.duration.with(&[key]),
            durations: Arc::clone(&self.durations),
            evaluated_at: self.evaluated_at.with(&[key]),
            samples: self.samples.with(&[key]),
        }
    }

    /// Forgets a group that is gone.
    pub(crate) fn forget(&self, group: &GroupTelemetry) {
        let key: &[&str] = &[&group.key];
        for counter in [&self.evaluations, &self.failures, &self.iterations, &self.missed] {
            counter.remove(key);
        }
        for seconds in [&self.interval, &self.duration, &self.evaluated_at] {
            seconds.remove(key);
        }
        for gauge in [&self.samples, &self.rules] {
            gauge.remove(key);
        }
    }
}
