//! What is taken and what is refused.

use std::time::Duration;

use maru_prom::{Exemplar, Histogram, Metadata, MetricType, ResetHint, Span};
use maru_series::{RefusalReason, SelectHints, SeriesStore, StoreOptions};

use crate::{ALL, START_MS, appender, equal, labels, late, open, options, read, write};

fn refused(report: &maru_series::CommitReport) -> Vec<(RefusalReason, u64, i64)> {
    report.refused.iter().map(|refusal| (refusal.reason, refusal.count, refusal.timestamp_ms)).collect()
}

#[test]
fn samples_come_back_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let (store, report) = open(directory.path());
    assert_eq!(report.set_aside, vec![]);
    let up = labels(&[("__name__", "up"), ("job", "a")]);
    let samples: Vec<(i64, f64)> = (0..1000_i32).map(|i| (START_MS + i64::from(i) * 15_000, f64::from(i))).collect();
    write(&store, &up, &samples);
    assert_eq!(read(&store, &[equal("job", "a")], ALL), [(up, samples)]);
}

#[test]
fn good_samples_of_a_batch_are_taken_and_bad_ones_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let up = labels(&[("__name__", "up")]);
    write(&store, &up, &[(START_MS, 1.0), (START_MS + 10, 2.0)]);
    let mut appender = appender(&store);
    let series = appender.series(&up);
    appender.append(series, START_MS + 10, 2.0);
    appender.append(series, START_MS, 1.0);
    appender.append(series, START_MS + 10, 3.0);
    appender.append(series, START_MS + 5, 3.0);
    appender.append(series, START_MS + 6, 3.0);
    appender.append(series, START_MS + 20, 4.0);
    let report = appender.commit().unwrap();
    assert_eq!(report.samples, 3);
    let expected =
        [(RefusalReason::OutOfOrder, 2, START_MS + 5), (RefusalReason::DuplicateTimestamp, 1, START_MS + 10)];
    assert_eq!(refused(&report), expected);
    assert_eq!(report.refused[0].example, up);
    let samples = vec![(START_MS, 1.0), (START_MS + 10, 2.0), (START_MS + 20, 4.0)];
    assert_eq!(read(&store, &[], ALL), [(up, samples)]);
}

/// Remembers series, time and lateness of what it is told.
#[derive(Debug, Default)]
struct Remembers(std::sync::Mutex<Vec<(maru_series::SeriesRef, i64, bool)>>);

impl maru_series::Follower for Remembers {
    fn follow(&self, taken: &std::sync::Arc<maru_series::Taken>) {
        let told = taken.floats.iter().map(|sample| (sample.series, sample.timestamp_ms, sample.is_late));
        self.0.lock().unwrap().extend(told);
    }
}

#[test]
fn followers_are_told_what_is_new_and_what_of_it_is_late() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = SeriesStore::open(late(directory.path())).unwrap();
    let up = labels(&[("__name__", "up")]);
    write(&store, &up, &[(START_MS, 1.0)]);
    let remembers = std::sync::Arc::new(Remembers::default());
    let follower: std::sync::Arc<dyn maru_series::Follower> = remembers.clone();
    store.follow(&follower);
    // The first is there already, the last is refused.
    write(&store, &up, &[(START_MS, 1.0), (START_MS + 20, 2.0), (START_MS + 10, 3.0)]);
    let mut appender = appender(&store);
    let series = appender.series(&up);
    appender.append(series, START_MS + 20, 7.0);
    assert_eq!(appender.commit().unwrap().samples, 0);
    assert_eq!(store.labels(series), up);
    let told = std::mem::take(&mut *remembers.0.lock().unwrap());
    assert_eq!(told, [(series, START_MS + 20, false), (series, START_MS + 10, true)]);
    drop(follower);
    drop(remembers);
    write(&store, &up, &[(START_MS + 30, 4.0)]);
}

#[test]
fn late_samples_are_taken_within_their_window() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = SeriesStore::open(late(directory.path())).unwrap();
    let up = labels(&[("__name__", "up")]);
    let hour = 3_600_000;
    write(&store, &up, &[(START_MS, 1.0), (START_MS + 2 * hour, 2.0)]);
    let mut appender = appender(&store);
    let series = appender.series(&up);
    // Enough to fill chunks of their own, newest first.
    for i in (0..300).rev() {
        appender.append(series, START_MS + hour + i * 1000, 7.0);
    }
    appender.append(series, START_MS + hour - 1, 7.0);
    appender.append(series, START_MS + hour, 8.0);
    let report = appender.commit().unwrap();
    assert_eq!(report.samples, 300);
    let expected =
        [(RefusalReason::TooOld, 1, START_MS + hour - 1), (RefusalReason::DuplicateTimestamp, 1, START_MS + hour)];
    assert_eq!(refused(&report), expected);
    let found = read(&store, &[], ALL);
    assert_eq!(found[0].1.len(), 302);
    assert!(found[0].1.is_sorted_by(|a, b| a.0 < b.0));
    drop((store, appender));
    let (store, report) = SeriesStore::open(late(directory.path())).unwrap();
    assert_eq!(report.set_aside, vec![]);
    assert_eq!(read(&store, &[], ALL), found);
    store.flush().unwrap();
    assert_eq!(read(&store, &[], ALL), found);
}

#[test]
fn samples_far_from_now_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    options.future_window = Some(Duration::from_mins(10));
    options.past_window = Some(Duration::from_hours(1));
    let now = options.clock.now().as_millisecond();
    let (store, _) = SeriesStore::open(options).unwrap();
    let mut appender = appender(&store);
    let series = appender.series(&labels(&[("__name__", "a")]));
    appender.append(series, now, 1.0);
    appender.append(series, now + 600_001, 1.0);
    appender.commit().unwrap();
    let other = appender.series(&labels(&[("__name__", "b")]));
    appender.append(other, now - 3_600_001, 1.0);
    appender.append(series, now + 600_001, 1.0);
    appender.append(series, i64::MIN, 1.0);
    appender.append(series, i64::MAX, 1.0);
    let report = appender.commit().unwrap();
    let expected =
        [(RefusalReason::TooFarInFuture, 2, now + 600_001), (RefusalReason::OutOfBounds, 2, now - 3_600_001)];
    assert_eq!(refused(&report), expected);
}

pub(crate) fn histogram(count: u32) -> Histogram {
    let count = f64::from(count);
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: 1.0,
        count: count * 3.0 + 1.0,
        sum: count * 0.7,
        positive_spans: vec![Span { offset: -2, length: 1 }, Span { offset: 1, length: 2 }],
        negative_spans: vec![],
        positive_buckets: vec![count, count, count],
        negative_buckets: vec![],
        custom_values: vec![],
    }
}

#[test]
fn histograms_and_floats_live_in_one_series() {
    let directory = tempfile::tempdir().unwrap();
    let check = |store: &SeriesStore| {
        let selected = store.select(&[], ALL, &SelectHints::default()).unwrap();
        let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        selected[0].read(&mut timestamps, &mut values, &mut histograms).unwrap();
        assert_eq!((timestamps, values), (vec![START_MS + 400_000], vec![5.0]));
        let expected: Vec<i64> = (0..300).chain(500..510).filter(|i| *i != 250).map(|i| START_MS + i * 1000).collect();
        assert_eq!(histograms.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
        assert_eq!(*histograms[299].1, histogram(500));
    };
    let (store, _) = SeriesStore::open(late(directory.path())).unwrap();
    let mut appender = appender(&store);
    let series = appender.series(&labels(&[("__name__", "h")]));
    for i in (0..300_u32).filter(|i| *i != 250 && *i != 7) {
        appender.append_histogram(series, START_MS + i64::from(i) * 1000, &histogram(i));
    }
    let report = appender.commit().unwrap();
    assert_eq!((report.histograms, refused(&report)), (298, vec![]));
    appender.append(series, START_MS + 400_000, 5.0);
    for i in 500..510_u32 {
        appender.append_histogram(series, START_MS + i64::from(i) * 1000, &histogram(i));
    }
    appender.commit().unwrap();
    // One late, one there already, one that contradicts what is there, one that contradicts itself.
    appender.append_histogram(series, START_MS + 7000, &histogram(7));
    appender.append_histogram(series, START_MS + 8000, &histogram(8));
    appender.append_histogram(series, START_MS + 9000, &histogram(8));
    let mut bad = histogram(600);
    bad.positive_buckets.pop();
    appender.append_histogram(series, START_MS + 600_000, &bad);
    let report = appender.commit().unwrap();
    assert_eq!(report.histograms, 2);
    let reasons: Vec<RefusalReason> = report.refused.iter().map(|refusal| refusal.reason).collect();
    assert_eq!(reasons, [RefusalReason::DuplicateTimestamp, RefusalReason::MalformedHistogram]);
    check(&store);
    drop((store, appender));
    let (store, report) = SeriesStore::open(late(directory.path())).unwrap();
    assert_eq!(report.set_aside, vec![]);
    check(&store);
    store.flush().unwrap();
    check(&store);
}

#[test]
fn exemplars_and_metadata_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut appender = appender(&store);
    let name = labels(&[("__name__", "latency_bucket"), ("le", "1")]);
    let series = appender.series(&name);
    let exemplar = |at| Exemplar { labels: labels(&[("trace_id", "abc")]), value: 0.5, timestamp_ms: START_MS + at };
    appender.append_exemplar(series, exemplar(5));
    appender.append_exemplar(series, exemplar(9));
    appender.append_exemplar(series, exemplar(7));
    let metadata =
        Metadata { metric_type: MetricType::Histogram, unit: "seconds".to_owned(), help: "How long.".to_owned() };
    appender.metadata("latency", metadata.clone());
    let report = appender.commit().unwrap();
    assert_eq!(report.exemplars, 2);
    assert_eq!(refused(&report), [(RefusalReason::ExemplarOutOfOrder, 1, START_MS + 7)]);
    let selectors = [vec![equal("__name__", "latency_bucket")]];
    assert_eq!(store.exemplars(&selectors, ALL), [(name.clone(), vec![exemplar(5), exemplar(9)])]);
    drop((store, appender));
    // From the log, then from the checkpoint, then from both.
    let (store, report) = open(directory.path());
    assert_eq!(report.set_aside, vec![]);
    assert_eq!(store.exemplars(&selectors, ALL), [(name.clone(), vec![exemplar(5), exemplar(9)])]);
    write(&store, &name, &[(START_MS, 1.0)]);
    store.flush().unwrap();
    let mut appender = self::appender(&store);
    let series = appender.series(&name);
    appender.append_exemplar(series, exemplar(9));
    appender.append_exemplar(series, exemplar(11));
    assert_eq!(appender.commit().unwrap().exemplars, 2);
    drop((store, appender));
    let (store, report) = open(directory.path());
    assert_eq!(report.set_aside, vec![]);
    assert_eq!(store.exemplars(&selectors, ALL), [(name, vec![exemplar(5), exemplar(9), exemplar(11)])]);
    assert_eq!(store.metadata(Some("latency"), None), [("latency".to_owned(), vec![metadata])]);
    assert_eq!(store.metadata(Some("other"), None), []);
}

#[test]
fn the_same_bytes_stand_for_the_same_series() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut appender = appender(&store);
    let pairs = || Ok::<_, std::convert::Infallible>([("__name__", "up"), ("job", "a")]);
    let first = appender.series_by_bytes(b"raw", pairs).unwrap();
    let second = appender.series_by_bytes(b"raw", || Err::<[(&str, &str); 0], _>("asked again")).unwrap();
    assert_eq!(first, second);
    assert_eq!(appender.series_by_bytes(b"other", pairs), Ok(first));
    assert_eq!(appender.series(&labels(&[("__name__", "up"), ("job", "a")])), first);
    assert_eq!(appender.series_by_bytes(b"third", || Err::<[(&str, &str); 0], _>("bad")), Err("bad"));
}

#[test]
fn many_writers_share_the_wait_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    std::thread::scope(|scope| {
        for writer in 0..8_u32 {
            let store = &store;
            scope.spawn(move || {
                let name = labels(&[("__name__", "up"), ("writer", &writer.to_string())]);
                for i in 0..50 {
                    write(store, &name, &[(START_MS + i, f64::from(writer))]);
                }
            });
        }
    });
    let found = read(&store, &[], ALL);
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|(_, samples)| samples.len() == 50));
    let syncs = store.statistics(1).log_syncs;
    assert!(syncs <= 400, "{syncs} waits for 400 commits");
    drop(store);
    let (store, _) = open(directory.path());
    assert_eq!(read(&store, &[], ALL), found);
}

#[tokio::test]
async fn a_writer_in_async_code_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut appender = appender(&store);
    let series = appender.series(&labels(&[("__name__", "up")]));
    appender.append(series, START_MS, 1.0);
    assert_eq!(appender.commit_async().await.unwrap().samples, 1);
    assert_eq!(appender.commit_async().await.unwrap().samples, 0);
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let clock = maru_time::TestClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let options = StoreOptions::new(directory.path().to_owned(), clock.clone());
    let (store, _) = SeriesStore::open(options).unwrap();
    let (a, b) = (labels(&[("__name__", "a")]), labels(&[("__name__", "b")]));
    let now = START_MS;
    clock.set(maru_time::Timestamp::from_millisecond(now).unwrap());
    write(&store, &a, &[(now, 1.0)]);
    clock.set(maru_time::Timestamp::from_millisecond(now - 86_400_000).unwrap());
    write(&store, &b, &[(now - 86_400_000, 1.0)]);
    store.maintain_now().unwrap();
    write(&store, &b, &[(now - 86_399_000, 2.0)]);
    clock.set(maru_time::Timestamp::from_millisecond(now + 1000).unwrap());
    write(&store, &a, &[(now + 1000, 2.0)]);
    store.maintain_now().unwrap();
    let expected =
        [(a, vec![(now, 1.0), (now + 1000, 2.0)]), (b, vec![(now - 86_400_000, 1.0), (now - 86_399_000, 2.0)])];
    assert_eq!(read(&store, &[], ALL), expected);
    assert!(store.who_added(Duration::from_hours(1), 10).iter().map(|growth| growth.series).sum::<u64>() >= 1);
}
