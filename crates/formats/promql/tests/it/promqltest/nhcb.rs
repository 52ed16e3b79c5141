//! `load_with_nhcb`: classic histograms loaded a second time, as native ones with custom buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_prom::{CUSTOM_BUCKETS_SCHEMA, Histogram, Labels, METRIC_NAME, Span};

use super::script::{LoadedSample, LoadedSeries, Point};

#[derive(Debug, Default)]
struct Classic {
    /// Bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Returns the native histograms of all classic ones in `series`.
pub(crate) fn convert(series: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for one in series {
        let name = one.labels.metric_name();
        let (base, part) = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)))
            .unwrap_or((name, ""));
        let bound = one.labels.get("le").and_then(|bound| bound.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        if part.is_empty() || (part == "_bucket" && bound.is_none()) {
            continue;
        }
        let labels = one.labels.to_builder().set(METRIC_NAME, base).remove("le").build();
        let samples = found.entry(labels).or_default();
        for sample in &one.samples {
            let Point::Float(value) = sample.point else { continue };
            let classic = samples.entry(sample.at_ms).or_default();
            match (part, bound) {
                ("_sum", _) => classic.sum = value,
                ("_count", _) => classic.count = Some(value),
                (_, Some(bound)) if classic.buckets.iter().all(|(other, _)| *other != bound) => {
                    classic.buckets.push((bound, value));
                }
                _ => {}
            }
        }
    }
    let native = |(labels, samples): (Labels, BTreeMap<i64, Classic>)| {
        let samples: Result<Vec<LoadedSample>, String> = samples
            .into_iter()
            .map(|(at_ms, classic)| {
                let histogram = classic.into_native().map_err(|reason| format!("{labels:?} at {at_ms}: {reason}"))?;
                Ok(LoadedSample { at_ms, point: Point::Histogram(Arc::new(histogram)), start_ms: 0 })
            })
            .collect();
        samples.map(|samples| LoadedSeries { labels, samples })
    };
    found.into_iter().map(native).collect()
}

impl Classic {
    fn into_native(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let count = self.count.or(self.buckets.last().map(|(_, count)| *count)).unwrap_or_default();
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut histogram = Histogram::empty(CUSTOM_BUCKETS_SCHEMA);
        (histogram.count, histogram.sum) = (count, self.sum);
        let mut before = 0.0;
        for (bound, cumulative) in &self.buckets {
            if *cumulative < before {
                return Err(format!("the bucket up to {bound} has less than the one before"));
            }
            histogram.positive_buckets.push(cumulative - before);
            before = *cumulative;
            if *bound != f64::INFINITY {
                histogram.custom_values.push(*bound);
            }
        }
        if before != count {
            return Err(format!("the buckets have {before} observations, the count says {count}"));
        }
        let length = u32::try_from(histogram.positive_buckets.len()).map_err(|_| "too many buckets")?;
        histogram.positive_spans.push(Span { offset: 0, length });
        histogram.compact();
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Command, parse};
    use super::*;

    #[test]
    fn buckets_become_one_series() {
        let script =
            "load_with_nhcb 1m\n h_bucket{le=\"1\"} 1 2\n h_bucket{le=\"+Inf\"} 3 5\n h_sum 4 9\n h_count 3 5\n x 1\n";
        let commands = parse(script);
        let [Command::Load(series)] = commands.as_slice() else { panic!("{commands:?}") };
        let native = series.iter().find(|series| series.labels.metric_name() == "h").unwrap();
        let Point::Histogram(last) = &native.samples[1].point else { panic!("{native:?}") };
        assert_eq!(last.to_notation(), "{{schema:-53 count:5 sum:9 custom_values:[1] buckets:[2 3]}}");
    }
}
