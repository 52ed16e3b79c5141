//! The points of each kind of metric as samples.

use super::messages::{
    Buckets, ExponentialPoint, HistogramPoint, KeyValue, Metric, NumberPoint, PointExemplar, SummaryPoint,
};
use super::translate::{Context, OtlpSample, OtlpValue, Translation, to_ms};
use crate::native::{coarsen, spans_of, to_f64};
use crate::number::format_float;
use crate::{CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, Labels, LabelsBuilder, METRIC_NAME, ResetHint, stale_marker};

/// The flag of a point that has no value: its series ends.
const NO_RECORDED_VALUE: u32 = 1;

/// Half the width of the zero bucket that exponential histograms have when they say none.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Characters of an exemplar's labels.
const EXEMPLAR_CHARACTERS_MAX: usize = 128;

/// Returns how many points a metric has.
pub(super) fn count(metric: &Metric) -> usize {
    metric.gauge.as_ref().map_or(0, |gauge| gauge.data_points.len())
        + metric.sum.as_ref().map_or(0, |sum| sum.data_points.len())
        + metric.histogram.as_ref().map_or(0, |histogram| histogram.data_points.len())
        + metric.exponential_histogram.as_ref().map_or(0, |histogram| histogram.data_points.len())
        + metric.summary.as_ref().map_or(0, |summary| summary.data_points.len())
}

/// Goes over the times of a metric's points, in nanoseconds.
pub(super) fn times(metric: &Metric) -> impl Iterator<Item = u64> {
    let numbers = metric.gauge.iter().chain(&metric.sum).flat_map(|numbers| &numbers.data_points);
    let numbers = numbers.map(|point| point.time_unix_nano);
    let histograms =
        metric.histogram.iter().flat_map(|histogram| &histogram.data_points).map(|point| point.time_unix_nano);
    let exponential = metric.exponential_histogram.iter().flat_map(|histogram| &histogram.data_points);
    let summaries = metric.summary.iter().flat_map(|summary| &summary.data_points).map(|point| point.time_unix_nano);
    numbers.chain(histograms).chain(exponential.map(|point| point.time_unix_nano)).chain(summaries)
}

/// Returns the temporality of kinds that have one.
pub(super) fn temporality(metric: &Metric) -> Option<i32> {
    let sum = metric.sum.as_ref().map(|sum| sum.aggregation_temporality);
    let histogram = metric.histogram.as_ref().map(|histogram| histogram.aggregation_temporality);
    sum.or(histogram)
        .or_else(|| metric.exponential_histogram.as_ref().map(|histogram| histogram.aggregation_temporality))
}

/// Translates all points of a metric.
pub(super) fn translate(
    context: &Context<'_>,
    metric: &Metric,
    name: &str,
    is_delta: bool,
    translation: &mut Translation,
) {
    let mut output = Output { context, metric: &metric.name, name, is_delta, translation };
    metric
        .gauge
        .iter()
        .chain(&metric.sum)
        .flat_map(|numbers| &numbers.data_points)
        .for_each(|point| output.number(point));
    for point in metric.histogram.iter().flat_map(|histogram| &histogram.data_points) {
        if context.options.histograms_become_native { output.custom_histogram(point) } else { output.histogram(point) }
    }
    for point in metric.exponential_histogram.iter().flat_map(|histogram| &histogram.data_points) {
        output.exponential(point);
    }
    metric.summary.iter().flat_map(|summary| &summary.data_points).for_each(|point| output.summary(point));
}

struct Output<'a> {
    context: &'a Context<'a>,
    metric: &'a str,
    name: &'a str,
    is_delta: bool,
    translation: &'a mut Translation,
}

/// What the samples of one point share.
struct Point {
    labels: LabelsBuilder,
    timestamp_ms: i64,
    start_timestamp_ms: i64,
    is_stale: bool,
}

impl Output<'_> {
    fn point(&mut self, attributes: &[KeyValue], time: u64, start: u64, flags: u32) -> Option<Point> {
        let (timestamp_ms, start_timestamp_ms) = (to_ms(time), to_ms(start));
        match self.context.labels(attributes) {
            Ok(labels) => {
                Some(Point { labels, timestamp_ms, start_timestamp_ms, is_stale: flags & NO_RECORDED_VALUE != 0 })
            }
            Err(reason) => {
                self.translation.refuse(self.metric, 1, reason);
                None
            }
        }
    }

    /// Adds a float; one without a recorded value ends the series.
    fn float(
        &mut self,
        point: &Point,
        suffix: &str,
        extra: Option<(&str, &str)>,
        value: f64,
        exemplars: Vec<Exemplar>,
    ) {
        let value = OtlpValue::Float(if point.is_stale { stale_marker() } else { value });
        self.push(point, suffix, extra, value, exemplars);
    }

    fn push(
        &mut self,
        point: &Point,
        suffix: &str,
        extra: Option<(&str, &str)>,
        value: OtlpValue,
        exemplars: Vec<Exemplar>,
    ) {
        let mut labels = point.labels.clone();
        labels.set(METRIC_NAME, &format!("{}{suffix}", self.name));
        if let Some((name, text)) = extra {
            labels.set(name, text);
        }
        let (timestamp_ms, start_timestamp_ms) = (point.timestamp_ms, point.start_timestamp_ms);
        self.translation.samples.push(OtlpSample {
            labels: labels.build(),
            timestamp_ms,
            start_timestamp_ms,
            value,
            exemplars,
        });
    }

    fn number(&mut self, point: &NumberPoint) {
        let value = match (point.as_double, point.as_int) {
            (Some(value), _) => value,
            (None, Some(value)) => signed_to_f64(value),
            (None, None) => 0.0,
        };
        let exemplars = exemplars(&point.exemplars);
        if let Some(shared) =
            self.point(&point.attributes, point.time_unix_nano, point.start_time_unix_nano, point.flags)
        {
            self.float(&shared, "", None, value, exemplars);
        }
    }

    /// Adds the series of a classic histogram.
    fn histogram(&mut self, point: &HistogramPoint) {
        let shared = self.point(&point.attributes, point.time_unix_nano, point.start_time_unix_nano, point.flags);
        let Some(shared) = shared else { return };
        if let Some(sum) = point.sum {
            self.float(&shared, "_sum", None, sum, Vec::new());
        }
        self.float(&shared, "_count", None, to_f64(point.count), Vec::new());
        let mut exemplars = exemplars(&point.exemplars);
        let mut cumulative = 0_u64;
        for (bound, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
            cumulative = cumulative.saturating_add(*count);
            let (own, rest) = exemplars.into_iter().partition(|exemplar| exemplar.value <= *bound);
            exemplars = rest;
            self.float(&shared, "_bucket", Some(("le", &format_float(*bound))), to_f64(cumulative), own);
        }
        self.float(&shared, "_bucket", Some(("le", "+Inf")), to_f64(point.count), exemplars);
    }

    /// Adds a native histogram with custom buckets.
    fn custom_histogram(&mut self, point: &HistogramPoint) {
        let shared = self.point(&point.attributes, point.time_unix_nano, point.start_time_unix_nano, point.flags);
        let Some(shared) = shared else { return };
        let is_sorted = point.explicit_bounds.is_sorted_by(|left, right| left < right);
        let fits = point.bucket_counts.is_empty() || point.bucket_counts.len() == point.explicit_bounds.len() + 1;
        if !is_sorted || !fits || point.explicit_bounds.iter().any(|bound| !bound.is_finite()) {
            let reason = "a histogram's bounds must rise, be finite, and be one less than its buckets";
            return self.translation.refuse(self.metric, 1, reason);
        }
        let filled = filled(&point.bucket_counts, 0);
        let histogram = Histogram {
            reset_hint: self.reset_hint(),
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: to_f64(point.count),
            sum: point.sum.unwrap_or_default(),
            positive_spans: spans_of(filled.iter().map(|(index, _)| *index)),
            negative_spans: Vec::new(),
            positive_buckets: filled.into_iter().map(|(_, count)| count).collect(),
            negative_buckets: Vec::new(),
            custom_values: point.explicit_bounds.clone(),
        };
        self.native(&shared, histogram, &point.exemplars);
    }

    fn exponential(&mut self, point: &ExponentialPoint) {
        let shared = self.point(&point.attributes, point.time_unix_nano, point.start_time_unix_nano, point.flags);
        let Some(shared) = shared else { return };
        if point.scale < -4 {
            let reason = format!("the scale {} is coarser than -4, the coarsest that exists here", point.scale);
            return self.translation.refuse(self.metric, 1, reason);
        }
        // Bucket 0 of OTLP ends where bucket 1 of Prometheus does.
        let side = |buckets: &Option<Buckets>| {
            let first = buckets.as_ref().map_or(0, |buckets| i64::from(buckets.offset)) + 1;
            buckets.as_ref().map(|buckets| filled(&buckets.bucket_counts, first)).unwrap_or_default()
        };
        let (positive, negative) = (side(&point.positive), side(&point.negative));
        let mut histogram = Histogram {
            reset_hint: self.reset_hint(),
            schema: point.scale,
            zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: to_f64(point.zero_count),
            count: to_f64(point.count),
            sum: point.sum.unwrap_or_default(),
            positive_spans: spans_of(positive.iter().map(|(index, _)| *index)),
            negative_spans: spans_of(negative.iter().map(|(index, _)| *index)),
            positive_buckets: positive.into_iter().map(|(_, count)| count).collect(),
            negative_buckets: negative.into_iter().map(|(_, count)| count).collect(),
            custom_values: Vec::new(),
        };
        if histogram.schema > 8 {
            coarsen(&mut histogram);
        }
        self.native(&shared, histogram, &point.exemplars);
    }

    fn native(&mut self, point: &Point, mut histogram: Histogram, of_point: &[PointExemplar]) {
        if point.is_stale {
            histogram.sum = stale_marker();
        } else if histogram.count == 0.0 && histogram.sum != 0.0 {
            let warning = format!("a histogram of {:?} has no observations but the sum {}", self.metric, histogram.sum);
            self.translation.warnings.push(warning);
        }
        let exemplars = exemplars(of_point);
        self.push(point, "", None, OtlpValue::Histogram(Box::new(histogram)), exemplars);
    }

    /// Counters of other programs may start again at any time; differences are compared with nothing.
    fn reset_hint(&self) -> ResetHint {
        if self.is_delta { ResetHint::Gauge } else { ResetHint::Unknown }
    }

    fn summary(&mut self, point: &SummaryPoint) {
        let shared = self.point(&point.attributes, point.time_unix_nano, point.start_time_unix_nano, point.flags);
        let Some(shared) = shared else { return };
        self.float(&shared, "_sum", None, point.sum, Vec::new());
        self.float(&shared, "_count", None, to_f64(point.count), Vec::new());
        for quantile in &point.quantile_values {
            self.float(&shared, "", Some(("quantile", &format_float(quantile.quantile))), quantile.value, Vec::new());
        }
    }
}

/// Returns the buckets that hold something, by their place.
fn filled(counts: &[u64], first: i64) -> Vec<(i64, f64)> {
    (first..).zip(counts).filter(|(_, count)| **count > 0).map(|(index, count)| (index, to_f64(*count))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a series' values are doubles")]
fn signed_to_f64(value: i64) -> f64 {
    value as f64
}

fn exemplars(of_point: &[PointExemplar]) -> Vec<Exemplar> {
    let mut exemplars: Vec<Exemplar> = of_point.iter().map(exemplar).collect();
    exemplars.sort_by(|left, right| left.value.total_cmp(&right.value));
    exemplars
}

fn exemplar(of_point: &PointExemplar) -> Exemplar {
    let value = of_point.as_double.or(of_point.as_int.map(signed_to_f64)).unwrap_or_default();
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ids = [("trace_id", &of_point.trace_id), ("span_id", &of_point.span_id)];
    let mut pairs: Vec<(String, String)> = ids
        .into_iter()
        .filter(|(_, id)| id.iter().any(|byte| *byte != 0))
        .map(|(name, id)| (name.to_owned(), hexadecimal(id)))
        .collect();
    let attributes: Vec<(String, String)> = of_point
        .filtered_attributes
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.as_ref().map(super::messages::AnyValue::text).unwrap_or_default()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let characters = |pairs: &[(String, String)]| -> usize {
        pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum()
    };
    // The ids matter most: attributes come along only where all fit.
    if characters(&pairs) + characters(&attributes) <= EXEMPLAR_CHARACTERS_MAX {
        pairs.extend(attributes);
    }
    Exemplar { labels: Labels::from_pairs(pairs), value, timestamp_ms: to_ms(of_point.time_unix_nano) }
}
