//! Compares what was answered with what is expected.

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_prom::{Histogram, Labels, is_stale_marker};

use super::notation::Value;
use super::script::{Case, Point, WantedAnnotations, When};

/// A histogram as the HTTP API shows it: without schema and hint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bucketed {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    /// How the bounds count (0: upper in, 1: lower in, 2: none, 3: both), the bounds, the observations.
    pub(crate) buckets: Vec<(u8, f64, f64, f64)>,
}

/// One value that was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Float(f64),
    Histogram(Arc<Histogram>),
    Bucketed(Bucketed),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenRow {
    pub(crate) labels: Labels,
    /// In the order of time.
    pub(crate) points: Vec<(i64, Seen)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Scalar(f64),
    Text(String),
    Vector(Vec<(Labels, Seen)>),
    Matrix(Vec<SeenRow>),
}

/// What a query brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

/// Relative difference that a value may have.
const TOLERANCE: f64 = 1e-6;

/// Tells whether two floats are the same but for rounding; the staleness marker equals itself only.
fn is_close(one: f64, other: f64) -> bool {
    if is_stale_marker(one) || is_stale_marker(other) {
        return is_stale_marker(one) && is_stale_marker(other);
    }
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let sum = one.abs() + other.abs();
    let difference = (one - other).abs();
    if one == 0.0 || other == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

fn are_close(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_close(*one, *other))
}

fn fits_histogram(wanted: &Histogram, seen: &Histogram, with_hint: bool) -> bool {
    let (mut wanted, mut seen) = (wanted.clone(), seen.clone());
    wanted.compact();
    seen.compact();
    wanted.schema == seen.schema
        && wanted.zero_threshold == seen.zero_threshold
        && wanted.positive_spans == seen.positive_spans
        && wanted.negative_spans == seen.negative_spans
        && (!wanted.has_custom_buckets() || wanted.custom_values == seen.custom_values)
        && are_close(&[wanted.count, wanted.sum, wanted.zero_count], &[seen.count, seen.sum, seen.zero_count])
        && are_close(&wanted.positive_buckets, &seen.positive_buckets)
        && are_close(&wanted.negative_buckets, &seen.negative_buckets)
        && (!with_hint || wanted.reset_hint == seen.reset_hint)
}

fn fits_buckets(wanted: &Histogram, seen: &Bucketed) -> bool {
    let wanted_buckets: Vec<(u8, f64, f64, f64)> = wanted
        .ascending()
        .filter(|bucket| bucket.count != 0.0)
        .map(|bucket| {
            let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            (bounds, bucket.lower, bucket.upper, bucket.count)
        })
        .collect();
    are_close(&[wanted.count, wanted.sum], &[seen.count, seen.sum])
        && wanted_buckets.len() == seen.buckets.len()
        && wanted_buckets
            .iter()
            .zip(&seen.buckets)
            .all(|(one, other)| one.0 == other.0 && are_close(&[one.1, one.2, one.3], &[other.1, other.2, other.3]))
}

fn show(seen: &Seen) -> String {
    match seen {
        Seen::Float(value) => value.to_string(),
        Seen::Histogram(histogram) => histogram.to_notation(),
        Seen::Bucketed(bucketed) => format!("{bucketed:?}"),
    }
}

fn show_value(value: &Value) -> String {
    match &value.point {
        Point::None => "nothing".to_owned(),
        Point::Float(value) => value.to_string(),
        Point::Histogram(histogram) => histogram.to_notation(),
    }
}

fn show_labels(labels: &Labels) -> String {
    let name = labels.metric_name();
    let others = labels.iter().filter(|(own, _)| *own != "__name__");
    let others: Vec<String> = others.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{name}{{{}}}", others.join(","))
}

fn fits_value(wanted: &Value, seen: &Seen) -> Result<(), String> {
    let fits = match (&wanted.point, seen) {
        (Point::Float(wanted), Seen::Float(seen)) => is_close(*wanted, *seen),
        (Point::Histogram(histogram), Seen::Histogram(seen)) => fits_histogram(histogram, seen, wanted.says_hint),
        (Point::Histogram(histogram), Seen::Bucketed(seen)) => fits_buckets(histogram, seen),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("expected {}, got {}", show_value(wanted), show(seen))) }
}

impl Case {
    /// Checks warnings and infos.
    pub(crate) fn judge_annotations(&self, reply: &Reply) -> Result<(), String> {
        judge_notes("warning", &self.warnings, &reply.warnings)?;
        judge_notes("info", &self.infos, &reply.infos)
    }

    /// Checks the answer.
    pub(crate) fn judge_answer(&self, answer: &Answer) -> Result<(), String> {
        match answer {
            Answer::Scalar(seen) => match self.scalar {
                Some(wanted) if is_close(wanted, *seen) => Ok(()),
                Some(wanted) => Err(format!("expected the scalar {wanted}, got {seen}")),
                None => Err(format!("expected series, got the scalar {seen}")),
            },
            Answer::Text(seen) => match &self.text {
                Some(wanted) if wanted == seen => Ok(()),
                wanted => Err(format!("expected the text {wanted:?}, got {seen:?}")),
            },
            _ if self.scalar.is_some() => Err("expected a scalar, got series".to_owned()),
            _ if self.text.is_some() => Err("expected a text, got series".to_owned()),
            Answer::Vector(samples) => self.judge_vector(samples),
            Answer::Matrix(rows) => self.judge_matrix(rows),
        }
    }

    fn judge_vector(&self, samples: &[(Labels, Seen)]) -> Result<(), String> {
        let mut missing: BTreeMap<&Labels, (usize, &Value)> = BTreeMap::new();
        for (place, (labels, values)) in self.series.iter().enumerate() {
            let first = values.first().ok_or_else(|| format!("{} is expected without a value", show_labels(labels)))?;
            missing.insert(labels, (place, first));
        }
        for (place, (labels, seen)) in samples.iter().enumerate() {
            let Some((wanted_place, wanted)) = missing.remove(labels) else {
                return Err(format!("unexpected series {} with {}", show_labels(labels), show(seen)));
            };
            if self.ordered && wanted_place != place {
                return Err(format!("{} is at place {place}, expected at {wanted_place}", show_labels(labels)));
            }
            fits_value(wanted, seen).map_err(|reason| format!("{}: {reason}", show_labels(labels)))?;
        }
        match missing.into_iter().next() {
            Some((labels, (_, value))) => {
                Err(format!("expected series {} with {} is missing", show_labels(labels), show_value(value)))
            }
            None => Ok(()),
        }
    }

    fn judge_matrix(&self, rows: &[SeenRow]) -> Result<(), String> {
        if self.ordered {
            return Err("a matrix has no order to expect".to_owned());
        }
        let (start_ms, end_ms, step_ms) = match (self.when, self.range_vector) {
            (_, Some(range)) => range,
            (When::Range { start_ms, end_ms, step_ms }, None) => (start_ms, end_ms, step_ms),
            (When::Instant { .. }, None) => return Err("got a range vector".to_owned()),
        };
        if let Some([one, other]) = rows.windows(2).find_map(|pair| match pair {
            [one, other] if one.labels > other.labels => Some([one, other]),
            _ => None,
        }) {
            let (one, other) = (show_labels(&one.labels), show_labels(&other.labels));
            return Err(format!("the matrix is not sorted: {other} comes after {one}"));
        }
        let mut missing: BTreeMap<&Labels, &Vec<Value>> =
            self.series.iter().map(|(labels, values)| (labels, values)).collect();
        for row in rows {
            let shown = show_labels(&row.labels);
            let points: Vec<String> = row.points.iter().map(|(at, seen)| format!("{} @ {at}", show(seen))).collect();
            let Some(values) = missing.remove(&row.labels) else {
                return Err(format!("unexpected series {shown} with {}", points.join(" ")));
            };
            let wanted: Vec<(i64, &Value)> =
                (0_i64..).zip(values).map(|(place, value)| (start_ms + place * step_ms, value)).collect();
            if wanted.last().is_some_and(|(at, _)| *at > end_ms) {
                return Err(format!("more points are expected for {shown} than there are steps"));
            }
            let wanted: Vec<_> = wanted.into_iter().filter(|(_, value)| value.point != Point::None).collect();
            if wanted.len() != row.points.len() {
                return Err(format!(
                    "expected {} points for {shown}, got {}: {}",
                    wanted.len(),
                    points.len(),
                    points.join(" ")
                ));
            }
            for ((wanted_at, value), (at, seen)) in wanted.iter().zip(&row.points) {
                if wanted_at != at {
                    return Err(format!(
                        "expected a point of {shown} at {wanted_at}, got one at {at}: {}",
                        points.join(" ")
                    ));
                }
                fits_value(value, seen).map_err(|reason| format!("{shown} at {at}: {reason}"))?;
            }
        }
        // A series without any value is not expected at all... unless a line names it: then it must be there.
        match missing.into_iter().next() {
            Some((labels, _)) => Err(format!("expected series {} is missing", show_labels(labels))),
            None => Ok(()),
        }
    }
}

fn judge_notes(severity: &str, wanted: &WantedAnnotations, seen: &[String]) -> Result<(), String> {
    if wanted.none && !seen.is_empty() {
        return Err(format!("unexpected {severity}s: {seen:?}"));
    }
    if (wanted.any || !wanted.some.is_empty()) && seen.is_empty() {
        return Err(format!("expected a {severity}, got none"));
    }
    if let Some(missing) = wanted.some.iter().find(|wanted| !seen.iter().any(|text| wanted.fits(text))) {
        return Err(format!("no {severity} fits {missing:?}: {seen:?}"));
    }
    if wanted.some.is_empty() {
        return Ok(());
    }
    match seen.iter().find(|text| !wanted.some.iter().any(|wanted| wanted.fits(text))) {
        Some(other) => Err(format!("unexpected {severity}: {other:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use maru_prom::ResetHint;

    use super::super::script::{Command, parse};
    use super::*;

    fn case(text: &str) -> Case {
        match parse(text).pop() {
            Some(Command::Eval(case)) => *case,
            other => panic!("{other:?}"),
        }
    }

    fn float(name: &str, value: f64) -> (Labels, Seen) {
        (Labels::from_pairs([("__name__", name)]), Seen::Float(value))
    }

    #[test]
    fn vectors_fit_in_labels_values_and_order() {
        let wanted = case("eval instant at 0 x\n  expect ordered\n  b 2\n  a 1\n");
        let judge = |samples: &[(Labels, Seen)]| wanted.judge_answer(&Answer::Vector(samples.to_vec()));
        assert_eq!(judge(&[float("b", 2.000_000_1), float("a", 1.0)]), Ok(()));
        for wrong in [
            vec![float("a", 1.0), float("b", 2.0)],
            vec![float("b", 2.0)],
            vec![float("b", 2.0), float("a", 1.0), float("c", 1.0)],
            vec![float("b", 2.00001), float("a", 1.0)],
            vec![float("b", f64::NAN), float("a", 1.0)],
        ] {
            assert!(judge(&wrong).is_err(), "{wrong:?}");
        }
        assert!(wanted.judge_answer(&Answer::Scalar(2.0)).is_err(), "another type");
        assert!(case("eval instant at 0 x\n  2\n").judge_answer(&Answer::Scalar(2.0)).is_ok());
        assert!(case("eval instant at 0 x\n").judge_answer(&Answer::Scalar(2.0)).is_err());
        assert!(case("eval instant at 0 x\n").judge_answer(&Answer::Text(String::new())).is_err());
    }

    #[test]
    fn matrices_fit_in_timestamps_too() {
        let wanted = case("eval range from 0 to 2m step 1m x\n  a 1 _ 3\n");
        let judge = |points: &[(i64, f64)]| {
            let points = points.iter().map(|(at, value)| (*at, Seen::Float(*value))).collect();
            wanted.judge_answer(&Answer::Matrix(vec![SeenRow { labels: float("a", 0.0).0, points }]))
        };
        assert_eq!(judge(&[(0, 1.0), (120_000, 3.0)]), Ok(()));
        assert!(judge(&[(0, 1.0), (60_000, 3.0)]).is_err());
        assert!(judge(&[(0, 1.0)]).is_err());
        assert!(judge(&[(0, 1.0), (60_000, 2.0), (120_000, 3.0)]).is_err());
    }

    #[test]
    fn histograms_fit_in_buckets_and_in_the_hint_when_it_is_named() {
        let text = "{{schema:1 count:3 sum:2 offset:1 buckets:[1 2]}}";
        let wanted = case(&format!("eval instant at 0 x\n  a {text}\n"));
        let named = case(
            "eval instant at 0 x\n  a {{schema:1 count:3 sum:2 counter_reset_hint:gauge offset:1 buckets:[1 2]}}\n",
        );
        let Point::Histogram(seen) = wanted.series[0].1[0].point.clone() else { panic!("{wanted:?}") };
        let judge = |case: &Case, seen: Seen| case.judge_answer(&Answer::Vector(vec![(float("a", 0.0).0, seen)]));
        assert_eq!(judge(&wanted, Seen::Histogram(Arc::clone(&seen))), Ok(()));
        assert!(judge(&named, Seen::Histogram(Arc::clone(&seen))).is_err());
        let gauge = Histogram { reset_hint: ResetHint::Gauge, ..Histogram::clone(&seen) };
        assert_eq!(judge(&named, Seen::Histogram(Arc::new(gauge))), Ok(()));
        let moved =
            Histogram { positive_spans: vec![maru_prom::Span { offset: 2, length: 2 }], ..Histogram::clone(&seen) };
        assert!(judge(&wanted, Seen::Histogram(Arc::new(moved))).is_err());
        let (one, two) = (2_f64.sqrt(), 2.0);
        let shown = Bucketed { count: 3.0, sum: 2.0, buckets: vec![(0, 1.0, one, 1.0), (0, one, two, 2.0)] };
        assert_eq!(judge(&wanted, Seen::Bucketed(shown.clone())), Ok(()));
        let fewer = Bucketed { buckets: shown.buckets[..1].to_vec(), ..shown };
        assert!(judge(&wanted, Seen::Bucketed(fewer)).is_err());
    }

    #[test]
    fn annotations_fit_both_ways() {
        let reply = |warnings: &[&str]| Reply {
            answer: Answer::Vector(Vec::new()),
            warnings: warnings.iter().map(|&text| text.to_owned()).collect(),
            infos: Vec::new(),
        };
        let judge = |text: &str, warnings: &[&str]| {
            case(&format!("eval instant at 0 x\n{text}")).judge_annotations(&reply(warnings))
        };
        assert_eq!(judge("", &["any"]), Ok(()));
        assert!(judge(" expect no_warn\n", &["any"]).is_err());
        assert!(judge(" expect warn\n", &[]).is_err());
        assert_eq!(judge(" expect warn msg: a\n expect warn regex: b.\n", &["bc", "a"]), Ok(()));
        assert!(judge(" expect warn msg: a\n", &["a", "b"]).is_err());
        assert!(judge(" expect warn msg: a\n expect warn msg: b\n", &["a"]).is_err());
    }
}
