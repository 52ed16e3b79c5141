//! Requests as samples of Prometheus' model.

use std::collections::{BTreeMap, HashSet};

use super::messages::{ExportMetricsRequest, KeyValue, Metric, Resource, ScopeMetrics};
use super::names::{LabelRules, NameKind, NameTranslation, label_name, metric_name, unit_name};
use super::points;
use crate::{Exemplar, Histogram, Labels, LabelsBuilder, METRIC_NAME, Metadata, MetricType};

/// What happens to sums and histograms that come as differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delta {
    /// They are refused: what is stored must be cumulative.
    #[default]
    Refuse,
    /// They are stored as they are, with an unknown type.
    Keep,
}

/// Which attributes of a resource become labels of all its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// These.
    Only(HashSet<String>),
    /// All but these.
    AllBut(HashSet<String>),
}

impl Default for Promotion {
    fn default() -> Self {
        Self::Only(HashSet::new())
    }
}

impl Promotion {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }
}

/// How requests are translated; the default is Prometheus' own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpOptions {
    /// How names are made.
    pub names: NameTranslation,
    /// Which attributes of a resource become labels.
    pub promotion: Promotion,
    /// Whether `service.name` and its sisters are labels of `target_info`, too.
    pub keeps_identifying_attributes: bool,
    /// Whether histograms with bounds become native ones with custom buckets.
    pub histograms_become_native: bool,
    /// Whether the scope's name, version, schema and attributes become labels.
    pub promotes_scope: bool,
    /// What happens to differences.
    pub delta: Delta,
    /// Whether a label `_a` becomes `key_a`.
    pub guards_underscore: bool,
    /// Whether a label `a..b` becomes `a__b`, not `a_b`.
    pub keeps_repeated_underscores: bool,
    /// How long a sample is looked back for; `target_info` comes twice in that time.
    pub lookback_ms: i64,
}

impl Default for OtlpOptions {
    fn default() -> Self {
        Self {
            names: NameTranslation::default(),
            promotion: Promotion::default(),
            keeps_identifying_attributes: false,
            histograms_become_native: false,
            promotes_scope: false,
            delta: Delta::default(),
            guards_underscore: true,
            keeps_repeated_underscores: true,
            lookback_ms: 300_000,
        }
    }
}

/// A sample's value.
#[derive(Debug, Clone, PartialEq)]
pub enum OtlpValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

/// One sample of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSample {
    /// The labels, the metric's name among them.
    pub labels: Labels,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// When the counter started, in milliseconds since 1970; 0 when nobody said.
    pub start_timestamp_ms: i64,
    /// The value.
    pub value: OtlpValue,
    /// Exemplars; a timestamp of 0 stands for none.
    pub exemplars: Vec<Exemplar>,
}

/// Points that were not translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The metric's name as it came.
    pub metric: String,
    /// Why.
    pub reason: String,
    /// How many points.
    pub points: u64,
}

/// A translated request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Translation {
    /// The samples in the order of the request.
    pub samples: Vec<OtlpSample>,
    /// What is said about each metric family.
    pub metadata: Vec<(String, Metadata)>,
    /// What was left out: the answer's partial success.
    pub refusals: Vec<Refusal>,
    /// What the sender should look at; nothing was lost.
    pub warnings: Vec<String>,
}

impl Translation {
    /// Returns how many points were left out.
    #[must_use]
    pub fn refused_points(&self) -> u64 {
        self.refusals.iter().map(|refusal| refusal.points).sum()
    }

    pub(super) fn refuse(&mut self, metric: &str, points: usize, reason: impl Into<String>) {
        self.refusals.push(Refusal { metric: metric.to_owned(), reason: reason.into(), points: points as u64 });
    }
}

/// What all points of one resource and scope share.
pub(super) struct Context<'a> {
    pub(super) options: &'a OtlpOptions,
    /// Promoted attributes of the resource: an attribute of a point goes first.
    promoted: Vec<(String, String)>,
    /// `job`, `instance` and the scope's labels: they go before attributes of a point.
    fixed: Vec<(String, String)>,
}

/// Attributes that become `job` and `instance`.
const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// Translates a request. Nothing is stored: samples come out, and why others did not.
#[must_use]
pub fn translate(request: &ExportMetricsRequest, options: &OtlpOptions) -> Translation {
    let mut translation = Translation::default();
    let mut seen_targets = HashSet::new();
    for resource_metrics in &request.resource_metrics {
        let resource = resource_metrics.resource.clone().unwrap_or_default();
        let mut span: Option<(u64, u64)> = None;
        for scope_metrics in &resource_metrics.scope_metrics {
            let context = match Context::new(&resource, scope_metrics, options) {
                Ok(context) => context,
                Err(reason) => {
                    for metric in &scope_metrics.metrics {
                        translation.refuse(&metric.name, points::count(metric), reason.clone());
                    }
                    continue;
                }
            };
            for metric in &scope_metrics.metrics {
                for time in points::times(metric) {
                    span = Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
                }
                context.metric(metric, &mut translation);
            }
        }
        if let Some(span) = span {
            target_info(&resource, span, options, &mut seen_targets, &mut translation);
        }
    }
    translation
}

impl<'a> Context<'a> {
    fn new(resource: &Resource, scope: &ScopeMetrics, options: &'a OtlpOptions) -> Result<Self, String> {
        let mut context = Self { options, promoted: Vec::new(), fixed: Vec::new() };
        for attribute in resource.attributes.iter().filter(|attribute| options.promotion.has(&attribute.key)) {
            context.promoted.push((context.label(&attribute.key)?, text(attribute)));
        }
        context.fixed = identity(resource);
        if let Some(scope_of) = scope.scope.as_ref().filter(|scope| options.promotes_scope && !scope.name.is_empty()) {
            for attribute in &scope_of.attributes {
                context.fixed.push((context.label(&format!("otel_scope_{}", attribute.key))?, text(attribute)));
            }
            let own = [("name", &scope_of.name), ("version", &scope_of.version), ("schema_url", &scope.schema_url)];
            context.fixed.extend(own.map(|(name, value)| (format!("otel_scope_{name}"), value.clone())));
        }
        Ok(context)
    }

    fn label(&self, name: &str) -> Result<String, String> {
        label_name(name, label_rules(self.options))
    }

    fn metric(&self, metric: &Metric, translation: &mut Translation) {
        let (kind, metric_type) = kinds(metric);
        let count = points::count(metric);
        let temporality = points::temporality(metric);
        if let Some(temporality) = temporality {
            let is_taken = temporality == CUMULATIVE || (temporality == DELTA && self.options.delta == Delta::Keep);
            if !is_taken {
                let reason =
                    "only cumulative temporality is taken: set the exporter's temporality preference to cumulative";
                translation.refuse(&metric.name, count, reason);
                return;
            }
        }
        let name = match metric_name(&metric.name, &metric.unit, kind, self.options.names) {
            Ok(name) => name,
            Err(reason) => return translation.refuse(&metric.name, count, reason),
        };
        if count == 0 {
            translation.warnings.push(format!("the metric {:?} has no points", metric.name));
            return;
        }
        // There is no type for differences yet.
        let metric_type = if temporality == Some(DELTA) { MetricType::Unknown } else { metric_type };
        let metadata = Metadata { metric_type, unit: unit_name(&metric.unit), help: metric.description.clone() };
        translation.metadata.push((name.clone(), metadata));
        points::translate(self, metric, &name, temporality == Some(DELTA), translation);
    }

    /// Returns the labels of a point; its attributes that become one name are joined by semicolons.
    pub(super) fn labels(&self, attributes: &[KeyValue]) -> Result<LabelsBuilder, String> {
        let sorted: BTreeMap<&str, String> = attributes
            .iter()
            .filter(|attribute| attribute.key != METRIC_NAME)
            .map(|pair| (pair.key.as_str(), text(pair)))
            .collect();
        let mut builder = LabelsBuilder::default();
        for (key, value) in sorted {
            let name = self.label(key)?;
            match builder.get(&name).map(str::to_owned) {
                Some(known) => builder.set(&name, &format!("{known};{value}")),
                None => builder.set(&name, &value),
            };
        }
        for (name, value) in &self.promoted {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        for (name, value) in &self.fixed {
            builder.set(name, value);
        }
        Ok(builder)
    }
}

pub(super) const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn label_rules(options: &OtlpOptions) -> LabelRules {
    LabelRules {
        escapes: options.names.escapes(),
        guards_underscore: options.guards_underscore,
        keeps_repeated_underscores: options.keeps_repeated_underscores,
    }
}

fn text(attribute: &KeyValue) -> String {
    attribute.value.as_ref().map(super::messages::AnyValue::text).unwrap_or_default()
}

/// Returns `job` and `instance`.
fn identity(resource: &Resource) -> Vec<(String, String)> {
    let get = |name: &str| resource.attributes.iter().find(|attribute| attribute.key == name).map(text);
    let job = get("service.name").map(|name| match get("service.namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    });
    let pairs = [("job", job), ("instance", get("service.instance.id"))];
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

fn kinds(metric: &Metric) -> (NameKind, MetricType) {
    if metric.gauge.is_some() {
        return (NameKind::Gauge, MetricType::Gauge);
    }
    if let Some(sum) = &metric.sum {
        return if sum.is_monotonic {
            (NameKind::Counter, MetricType::Counter)
        } else {
            (NameKind::Other, MetricType::Gauge)
        };
    }
    if metric.histogram.is_some() || metric.exponential_histogram.is_some() {
        return (NameKind::Other, MetricType::Histogram);
    }
    (NameKind::Other, if metric.summary.is_some() { MetricType::Summary } else { MetricType::Unknown })
}

/// Adds the series `target_info`, which carries what a resource says about itself.
fn target_info(
    resource: &Resource,
    (first, last): (u64, u64),
    options: &OtlpOptions,
    seen: &mut HashSet<(Labels, i64)>,
    translation: &mut Translation,
) {
    let is_identifying = |attribute: &&KeyValue| IDENTIFYING.contains(&attribute.key.as_str());
    let identity = identity(resource);
    // With nothing but job and instance it would say nothing; without either it would belong to nobody.
    if identity.is_empty() || resource.attributes.iter().all(|attribute| is_identifying(&attribute)) {
        return;
    }
    let keeps = options.keeps_identifying_attributes;
    let attributes: Vec<KeyValue> =
        resource.attributes.iter().filter(|attribute| keeps || !is_identifying(attribute)).cloned().collect();
    let context = Context { options, promoted: Vec::new(), fixed: identity };
    let labels = match context.labels(&attributes) {
        Ok(mut builder) => builder.set(METRIC_NAME, "target_info").build(),
        Err(reason) => return translation.warnings.push(format!("target_info is left out: {reason}")),
    };
    let (first, last) = (to_ms(first), to_ms(last));
    let step = (options.lookback_ms / 2).max(1);
    let mut times: Vec<i64> = Vec::new();
    let mut time = first;
    // A request that spans years is not worth more than this many samples.
    while time < last && times.len() < TARGET_INFO_MAX {
        times.push(time);
        time += step;
    }
    times.push(last);
    let metadata = Metadata { metric_type: MetricType::Gauge, unit: String::new(), help: "Target metadata".to_owned() };
    translation.metadata.push(("target_info".to_owned(), metadata));
    for timestamp_ms in times {
        if seen.insert((labels.clone(), timestamp_ms)) {
            translation.samples.push(OtlpSample {
                labels: labels.clone(),
                timestamp_ms,
                start_timestamp_ms: 0,
                value: OtlpValue::Float(1.0),
                exemplars: Vec::new(),
            });
        }
    }
}

/// Samples of `target_info` that one resource of one request makes.
const TARGET_INFO_MAX: usize = 1_000;

/// Returns nanoseconds as milliseconds.
pub(super) fn to_ms(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX)
}
