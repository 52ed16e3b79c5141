//! Counters, gauges and histograms, and their text form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The values of a family's labels, in the order of their names.
pub type LabelValues = Vec<String>;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Returns the value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Returns the value.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A classic histogram of seconds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    sum_nanos: AtomicU64,
}

/// Bounds in seconds from 1 ms to 60 s, for requests.
const REQUEST_BOUNDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Default for Histogram {
    fn default() -> Self {
        Self {
            bounds: REQUEST_BOUNDS,
            buckets: std::iter::repeat_with(AtomicU64::default).take(REQUEST_BOUNDS.len() + 1).collect(),
            sum_nanos: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts one observation.
    pub fn observe(&self, duration: std::time::Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What a metric does with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

/// A metric that can be written as text.
pub trait Metric: Default + Send + Sync + 'static {
    /// What it is.
    const KIND: Kind;

    /// Appends the sample lines of one series; `labels` is `a="b",…` or empty.
    fn write(&self, out: &mut String, name: &str, labels: &str);
}

impl Metric for Counter {
    const KIND: Kind = Kind::Counter;

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        write_sample(out, name, labels, self.get());
    }
}

impl Metric for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        write_sample(out, name, labels, self.get());
    }
}

impl Metric for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = self.bounds.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            write_sample(out, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), total);
        }
        let nanos = self.sum_nanos.load(Ordering::Relaxed);
        write_sample(
            out,
            &format!("{name}_sum"),
            labels,
            format_args!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        );
        write_sample(out, &format!("{name}_count"), labels, total);
    }
}

fn write_sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let written =
        if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") };
    written.expect("writing to a string does not fail");
}

/// All series of one metric name.
#[derive(Debug)]
pub struct Family<M> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    series: RwLock<BTreeMap<LabelValues, Arc<M>>>,
}

impl<M: Metric> Family<M> {
    /// Returns the series with these label values, in the order of the family's label names.
    ///
    /// Callers keep what they get for hot paths. Label values must be bounded in number.
    pub fn with(&self, values: &[&str]) -> Arc<M> {
        debug_assert_eq!(values.len(), self.labels.len(), "{} has the labels {:?}", self.name, self.labels);
        let key: LabelValues = values.iter().map(|value| (*value).to_owned()).collect();
        if let Some(found) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(found);
        }
        Arc::clone(self.series.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// Forgets the series with these label values.
    pub fn remove(&self, values: &[&str]) {
        let key: LabelValues = values.iter().map(|value| (*value).to_owned()).collect();
        self.series.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

trait Writable: Send + Sync {
    fn write(&self, out: &mut String);
}

impl<M: Metric> Writable for Family<M> {
    fn write(&self, out: &mut String) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        let kind = match M::KIND {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(out, "# HELP {} {}\n# TYPE {} {kind}", self.name, self.help, self.name)
            .expect("writing to a string does not fail");
        for (values, metric) in series.iter() {
            let labels: Vec<String> =
                self.labels.iter().zip(values).map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            metric.write(out, self.name, &labels.join(","));
        }
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All families of the process, handed to each room when it starts.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<&'static str, Arc<dyn Writable>>>>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registry")
    }
}

impl Registry {
    /// Creates a family. A room calls this once for each name when it starts; a second family of the same name
    /// replaces the first.
    pub fn family<M: Metric + std::fmt::Debug>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Arc<Family<M>> {
        let family = Arc::new(Family { name, help, labels, series: RwLock::default() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(&family) as Arc<dyn Writable>);
        family
    }

    /// Returns all series in the text exposition format, sorted by name.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        for family in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            family.write(&mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_help_type_and_escaped_labels() {
        let registry = Registry::default();
        let family = registry.family::<Counter>("maru_things_total", "Things seen.", &["kind"]);
        family.with(&["a\"b"]).add(3);
        assert_eq!(
            registry.render(),
            "# HELP maru_things_total Things seen.\n# TYPE maru_things_total counter\nmaru_things_total{kind=\"a\\\"b\"} 3\n"
        );
    }

    #[test]
    fn histogram_buckets_are_cumulative() {
        let registry = Registry::default();
        let family = registry.family::<Histogram>("maru_wait_seconds", "Waits.", &[]);
        family.with(&[]).observe(std::time::Duration::from_millis(1));
        family.with(&[]).observe(std::time::Duration::from_secs(100));
        let text = registry.render();
        assert!(text.contains("maru_wait_seconds_bucket{le=\"0.001\"} 1\n"), "{text}");
        assert!(text.contains("maru_wait_seconds_bucket{le=\"60\"} 1\n"), "{text}");
        assert!(text.contains("maru_wait_seconds_bucket{le=\"+Inf\"} 2\n"), "{text}");
        assert!(text.contains("maru_wait_seconds_sum 100.001000000\n"), "{text}");
    }

    #[test]
    fn a_family_without_series_is_silent() {
        let registry = Registry::default();
        drop(registry.family::<Gauge>("maru_level", "Level.", &[]));
        assert_eq!(registry.render(), "");
    }
}
