//! Histograms: what the specification's examples and Prometheus' rules say, and what holds for any two of them.

use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
    let length = u32::try_from(counts.len()).unwrap();
    Histogram {
        count: counts.iter().sum(),
        sum: 10.0,
        positive_spans: vec![Span { offset, length }],
        positive_buckets: counts.to_vec(),
        ..Histogram::empty(schema)
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    Histogram { custom_values: bounds.to_vec(), ..exponential(CUSTOM_BUCKETS_SCHEMA, 0, counts) }
}

#[test]
fn bounds_are_powers_of_two_and_their_roots() {
    let bounds = |schema: i32, offset: i32| -> Vec<f64> {
        exponential(schema, offset, &[1.0, 1.0]).positive().map(|bucket| bucket.upper).collect()
    };
    assert_eq!(bounds(0, 0), [1.0, 2.0]);
    assert_eq!(bounds(-2, 0), [1.0, 16.0]);
    assert_eq!(bounds(1, 1), [2_f64.sqrt().next_down(), 2.0]);
    assert_eq!(bounds(3, -3), [0.7711054127039704, 0.8408964152537144]);
    assert_eq!(bounds(8, 8)[0], 0.5109485743270583 * 2.0);
    assert_eq!(bounds(0, 1024), [f64::MAX, f64::INFINITY], "the last bucket holds the greatest number, then infinity");
    assert_eq!(bounds(-4, 64), [f64::MAX, f64::INFINITY]);
    assert_eq!(bounds(8, 1024 * 256), [f64::MAX, f64::INFINITY]);
    assert_eq!(bounds(0, -1074)[0], 5e-324);
}

#[test]
fn buckets_are_gone_over_in_both_directions() {
    let histogram = Histogram {
        zero_count: 1.0,
        zero_threshold: 0.75,
        negative_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
        negative_buckets: vec![3.0, 4.0],
        ..exponential(0, 0, &[1.0, 2.0])
    };
    let shown: Vec<String> = histogram.ascending().map(|bucket| bucket.to_string()).collect();
    assert_eq!(shown, ["[-4,-2):4", "[-1,-0.75):3", "[-0.75,0.75]:1", "(0.75,1]:1", "(1,2]:2"]);
    let mut reversed: Vec<String> = histogram.descending().map(|bucket| bucket.to_string()).collect();
    reversed.reverse();
    assert_eq!(shown, reversed);
    let shown: Vec<String> =
        custom(&[-1.0, 2.0], &[1.0, 2.0, 3.0]).ascending().map(|bucket| bucket.to_string()).collect();
    assert_eq!(shown, ["[-Inf,-1]:1", "(-1,2]:2", "(2,+Inf]:3"]);
}

#[test]
fn texts_are_those_of_the_field() {
    let mut histogram = exponential(0, 0, &[1.0, 0.0, 2.5]);
    histogram.sum = 1e6;
    assert_eq!(histogram.to_string(), "{count:3.5, sum:1e+06, (0.5,1]:1, (2,4]:2.5}");
    let mut json = String::new();
    histogram.write_json(&mut json);
    let expected = r#"{"count":"3.5","sum":"1000000","buckets":[[0,"0.5","1","1"],[0,"2","4","2.5"]]}"#;
    assert_eq!(json, expected);
    let mut json = String::new();
    Histogram::empty(0).write_json(&mut json);
    assert_eq!(json, r#"{"count":"0","sum":"0"}"#);
    histogram.reset_hint = ResetHint::Gauge;
    assert_eq!(histogram.to_notation(), "{{count:3.5 sum:1e+06 counter_reset_hint:gauge buckets:[1 0 2.5]}}");
}

#[test]
fn sums_take_the_coarser_schema_and_the_wider_zero_bucket() {
    let mut fine = Histogram { zero_threshold: 0.001, zero_count: 1.0, ..exponential(1, -1, &[1.0, 2.0, 3.0, 4.0]) };
    let coarse = Histogram { zero_threshold: 0.6, zero_count: 5.0, ..exponential(0, 1, &[7.0]) };
    fine.add(&coarse).unwrap();
    // The filled bucket (0.5, 0.71] would be cut at 0.6, so the zero bucket grows to its end.
    assert_eq!((fine.schema, fine.zero_count), (0, 7.0));
    assert!((fine.zero_threshold - 0.5_f64.sqrt()).abs() < 1e-9);
    let shown: Vec<(i32, f64)> = fine.positive().map(|bucket| (bucket.index, bucket.count)).collect();
    assert_eq!(shown, [(0, 2.0), (1, 14.0)]);
    let error = fine.add(&custom(&[1.0], &[1.0])).unwrap_err();
    assert_eq!(error, HistogramLayoutError::MixedSchemas);
}

#[test]
fn sums_of_custom_buckets_keep_common_bounds() {
    let mut one = custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
    let combined = one.add(&custom(&[2.0, 3.0, 5.0], &[10.0, 20.0, 30.0, 40.0])).unwrap();
    assert!(combined.bounds_reconciled);
    assert_eq!(one.custom_values, [2.0, 5.0]);
    assert_eq!(one.positive_buckets, [13.0, 53.0, 44.0]);
}

#[test]
fn compensation_keeps_what_rounding_cuts_off() {
    let mut sum = HistogramSum::new(&exponential(0, 0, &[1e100]));
    for count in [1.0, -1e100] {
        sum.add(&exponential(0, 0, &[count])).unwrap();
    }
    assert_eq!(sum.total(1.0).positive_buckets, [1.0]);
}

#[test]
fn a_fall_anywhere_is_a_reset() {
    let before = exponential(1, 0, &[1.0, 2.0, 0.0, 1.0]);
    let is_reset = |after: &Histogram| after.is_reset_after(&before);
    assert!(!is_reset(&before));
    assert!(!is_reset(&exponential(1, 0, &[1.0, 2.0, 5.0, 1.0])));
    assert!(is_reset(&exponential(1, 0, &[9.0, 1.0, 5.0, 1.0])), "a bucket shrank");
    assert!(is_reset(&exponential(1, 0, &[1.0, 2.0, 9.0])), "a filled bucket is gone");
    assert!(is_reset(&exponential(2, 0, &[100.0])), "finer buckets begin anew");
    let mut coarser = before.clone();
    coarser.reduce_to_schema(0).unwrap();
    assert!(!is_reset(&coarser));
    assert!(is_reset(&Histogram { reset_hint: ResetHint::CounterReset, ..before.clone() }));
    assert!(!is_reset(&Histogram { reset_hint: ResetHint::NotCounterReset, ..Histogram::empty(1) }));
}

#[test]
fn a_store_tells_that_a_counter_went_on() {
    let before = exponential(1, 0, &[1.0, 2.0]);
    let after = exponential(1, 0, &[1.0, 3.0]);
    assert_eq!(after.hint_behind(Some(&before)), ResetHint::NotCounterReset);
    assert_eq!(before.hint_behind(Some(&after)), ResetHint::Unknown, "it started again");
    assert_eq!(after.hint_behind(None), ResetHint::Unknown);
    assert_eq!(exponential(0, 0, &[9.0]).hint_behind(Some(&before)), ResetHint::Unknown, "another layout");
    for hint in [ResetHint::Gauge, ResetHint::CounterReset] {
        assert_eq!(Histogram { reset_hint: hint, ..after.clone() }.hint_behind(Some(&before)), hint);
    }
    let claimed = Histogram { reset_hint: ResetHint::NotCounterReset, ..before.clone() };
    assert_eq!(claimed.hint_behind(Some(&after)), ResetHint::Unknown, "a wrong claim is not believed");
    assert_eq!(after.hint_behind(Some(&Histogram::stale_marker())), ResetHint::Unknown);
}

#[test]
fn quantiles_interpolate_by_the_kind_of_bucket() {
    let histogram = exponential(0, 0, &[1.0, 2.0, 1.0]);
    assert!((histogram.quantile(0.5).value - 2_f64.sqrt()).abs() < 1e-12, "exponential");
    assert_eq!(custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 1.0, 0.0]).quantile(0.5).value, 1.5, "linear");
    let around_zero = Histogram { zero_count: 4.0, count: 4.0, zero_threshold: 0.5, ..Histogram::empty(0) };
    assert_eq!(around_zero.quantile(0.75).value, 0.25, "linear around zero");
    let with_nan = Histogram { count: 5.0, sum: f64::NAN, ..histogram };
    assert_eq!(with_nan.quantile(0.5).notice, Some(EstimateNotice::SkewedByNan));
    assert_eq!(with_nan.quantile(0.9).notice, Some(EstimateNotice::IsNan));
    assert_eq!(with_nan.fraction(f64::NEG_INFINITY, f64::INFINITY).notice, Some(EstimateNotice::WithoutNan));
}

#[test]
fn trimming_cuts_buckets_in_two() {
    let mut histogram = exponential(0, 0, &[1.0, 2.0, 1.0]);
    histogram.trim(Trim::Below(2_f64.sqrt()));
    assert!((histogram.positive_buckets[1] - 1.0).abs() < 1e-12);
    let mut histogram = custom(&[1.0, 2.0], &[1.0, 2.0, 3.0]);
    histogram.trim(Trim::Above(1.5));
    assert_eq!((histogram.count, histogram.positive_buckets.as_slice()), (4.0, [1.0, 3.0].as_slice()));
}

prop_compose! {
    fn any_histogram()(
        schema in -4..=8_i32,
        zero_threshold in prop_oneof![Just(0.0), 0.001..3.0],
        zero_count in 0..50_u32,
        positive in prop::collection::vec((0..5_i32, prop::collection::vec(0..9_u32, 0..6)), 0..4),
        negative in prop::collection::vec((0..5_i32, prop::collection::vec(0..9_u32, 0..6)), 0..4),
    ) -> Histogram {
        let side = |runs: &[(i32, Vec<u32>)]| -> (Vec<Span>, Vec<f64>) {
            let span = |(offset, counts): &(i32, Vec<u32>)| Span { offset: *offset, length: u32::try_from(counts.len()).unwrap() };
            (runs.iter().map(span).collect(), runs.iter().flat_map(|(_, counts)| counts).map(|n| f64::from(*n)).collect())
        };
        let (positive_spans, positive_buckets) = side(&positive);
        let (negative_spans, negative_buckets) = side(&negative);
        let mut histogram = Histogram {
            zero_threshold, zero_count: f64::from(zero_count), sum: 1.5,
            positive_spans, positive_buckets, negative_spans, negative_buckets,
            ..Histogram::empty(schema)
        };
        // What the zero bucket covers is in no other bucket.
        let uncovered = |bucket: Bucket| {
            if bucket.lower.abs().min(bucket.upper.abs()) < zero_threshold { 0.0 } else { bucket.count }
        };
        let (positive, negative) =
            (histogram.positive().map(uncovered).collect(), histogram.negative().map(uncovered).collect());
        (histogram.positive_buckets, histogram.negative_buckets) = (positive, negative);
        histogram.count = observations(&histogram);
        histogram
    }
}

fn observations(histogram: &Histogram) -> f64 {
    histogram.zero_count + histogram.positive_buckets.iter().chain(&histogram.negative_buckets).sum::<f64>()
}

proptest! {
    #[test]
    fn sums_of_parts_are_the_sum_of_all(all in proptest::collection::vec(any_histogram(), 2..8), cut in 1_usize..7) {
        let custom = all[0].has_custom_buckets();
        let all: Vec<_> = all.into_iter().filter(|one| one.has_custom_buckets() == custom).collect();
        let cut = cut.min(all.len() - 1);
        let sum = |some: &[Histogram]| {
            let mut sum = HistogramSum::new(&some[0]);
            for one in &some[1..] {
                sum.add(one).unwrap();
            }
            sum
        };
        let whole = sum(&all).total(1.0);
        if cut > 0 {
            let mut merged = sum(&all[..cut]);
            merged.merge(&sum(&all[cut..])).unwrap();
            let merged = merged.total(1.0);
            prop_assert_eq!(merged.schema, whole.schema);
            prop_assert!((merged.count - whole.count).abs() <= 1e-12 * whole.count.abs());
            prop_assert!((merged.sum - whole.sum).abs() <= 1e-12 * whole.sum.abs().max(1.0));
            let buckets = |histogram: &Histogram| {
                histogram.zero_count + histogram.positive_buckets.iter().chain(&histogram.negative_buckets).sum::<f64>()
            };
            prop_assert!((buckets(&merged) - buckets(&whole)).abs() <= 1e-9 * buckets(&whole).abs().max(1.0));
        }
    }

    #[test]
    fn sums_lose_no_observation_and_do_not_depend_on_order(one in any_histogram(), other in any_histogram()) {
        let mut sum = one.clone();
        sum.add(&other).unwrap();
        prop_assert_eq!(observations(&sum), one.count + other.count);
        let mut swapped = other.clone();
        swapped.add(&one).unwrap();
        sum.compact();
        swapped.compact();
        prop_assert_eq!(&sum, &swapped);
        let mut compensated = HistogramSum::new(&one);
        compensated.add(&other).unwrap();
        let mut compensated = compensated.total(1.0);
        compensated.compact();
        prop_assert_eq!(&sum, &compensated);
        prop_assert!(!sum.is_reset_after(&one), "a sum is no start");
    }

    #[test]
    fn compacting_changes_no_bucket(histogram in any_histogram()) {
        let filled = |histogram: &Histogram| -> Vec<Bucket> { histogram.ascending().filter(|b| b.count != 0.0).collect() };
        let mut compact = histogram.clone();
        compact.compact();
        prop_assert_eq!(filled(&compact), filled(&histogram));
        prop_assert!(compact.positive_buckets.iter().all(|count| *count != 0.0));
        let mut twice = compact.clone();
        twice.compact();
        prop_assert_eq!(twice, compact);
    }

    #[test]
    fn going_up_is_going_down_reversed(histogram in any_histogram()) {
        let up: Vec<Bucket> = histogram.ascending().collect();
        let mut down: Vec<Bucket> = histogram.descending().collect();
        down.reverse();
        prop_assert_eq!(up, down);
    }

    #[test]
    fn quantiles_rise_and_fractions_invert_them(histogram in any_histogram(), q in 0.0..=1.0_f64, more in 0.0..=1.0_f64) {
        let (low, high) = (q.min(more), q.max(more));
        let (low_value, high_value) = (histogram.quantile(low).value, histogram.quantile(high).value);
        prop_assert!(histogram.count == 0.0 || low_value <= high_value + 1e-9 * high_value.abs(), "{low_value} {high_value}");
        let fraction = histogram.fraction(f64::NEG_INFINITY, f64::INFINITY).value;
        prop_assert!(histogram.count == 0.0 || fraction == 1.0, "{fraction}");
    }

    #[test]
    fn broken_layouts_do_no_harm(
        mut histogram in any_histogram(),
        spans in prop::collection::vec((any::<i32>(), any::<u32>()), 0..4),
        counts in prop::collection::vec(any::<f64>(), 0..6),
        schema in -4..=8_i32,
    ) {
        histogram.positive_spans = spans.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
        histogram.positive_buckets = counts;
        let other = histogram.clone();
        std::hint::black_box(histogram.reduce_to_schema(schema).is_ok());
        std::hint::black_box(histogram.add(&other).is_ok());
        std::hint::black_box(histogram.is_reset_after(&other));
        std::hint::black_box((histogram.quantile(0.3), histogram.fraction(0.1, 5.0), histogram.variance(), histogram.to_notation()));
        histogram.trim(Trim::Below(3.0));
        histogram.compact();
    }
}
