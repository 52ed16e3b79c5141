//! Selections, names and values, deletion, snapshots, blocks.

use maru_prom::{Matcher, MatcherOperator};
use maru_series::{SelectError, SelectHints, SeriesStore, TimeRange};

use crate::{ALL, START_MS, check_rounds, equal, labels, name_of, open, options, pattern, read, write, write_rounds};

#[test]
fn a_selection_is_in_the_order_of_labels_over_head_and_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let names: Vec<_> = ["b", "d", "a", "c"].iter().map(|job| labels(&[("__name__", "up"), ("job", job)])).collect();
    write(&store, &names[0], &[(START_MS, 1.0)]);
    write(&store, &names[1], &[(START_MS, 1.0)]);
    store.flush().unwrap();
    write(&store, &names[2], &[(START_MS, 1.0)]);
    write(&store, &names[1], &[(START_MS + 5, 2.0)]);
    store.flush().unwrap();
    write(&store, &names[3], &[(START_MS, 1.0)]);
    write(&store, &names[1], &[(START_MS + 9, 3.0)]);
    let found = read(&store, &[equal("__name__", "up")], ALL);
    let jobs: Vec<&str> = found.iter().map(|(labels, _)| labels.get("job").unwrap()).collect();
    assert_eq!(jobs, ["a", "b", "c", "d"]);
    assert_eq!(found[3].1, [(START_MS, 1.0), (START_MS + 5, 2.0), (START_MS + 9, 3.0)]);
    let part = TimeRange { start_ms: START_MS + 1, end_ms: START_MS + 8 };
    assert_eq!(read(&store, &[], part), [(names[1].clone(), vec![(START_MS + 5, 2.0)])]);
    assert_eq!(read(&store, &[pattern("job", "a|c")], ALL).len(), 2);
    let absent = Matcher::new("instance", MatcherOperator::Equal, "").unwrap();
    assert_eq!(read(&store, &[absent], ALL).len(), 4);
    assert_eq!(store.series(&[vec![equal("job", "a")], vec![pattern("job", "a|d")]], ALL, None).unwrap().len(), 2);
    assert_eq!(store.label_names(&[], ALL, None).unwrap(), ["__name__", "job"]);
    assert_eq!(store.label_values("job", &[], ALL, None).unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(store.label_values("job", &[vec![pattern("job", "[cd]")]], ALL, Some(1)).unwrap(), ["c"]);
    assert_eq!(store.count(&[equal("__name__", "up")], ALL).unwrap(), 4);
    let hints = SelectHints { series_max: Some(3), ..SelectHints::default() };
    assert!(matches!(store.select(&[], ALL, &hints), Err(SelectError::TooManySeries { series_max: 3 })));
}

#[test]
fn the_head_is_cut_into_blocks_as_time_goes_by() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for hour in 0..8 {
        write_rounds(&store, 30, hour * 120..(hour + 1) * 120, 30_000);
        store.maintain_now().unwrap();
    }
    let statistics = store.statistics(5);
    assert!(statistics.blocks >= 1, "{statistics:?}");
    let head_hours = (statistics.max_ms.unwrap() - statistics.min_ms.unwrap()) / 3_600_000;
    assert!(head_hours <= 3, "{statistics:?}");
    check_rounds(&store, 30, 0..960, 30_000);
    drop(store);
    let (store, report) = open(directory.path());
    assert_eq!(report.set_aside, vec![]);
    check_rounds(&store, 30, 0..960, 30_000);
    // Only what is younger than the last cut was kept aside.
    assert!(store.statistics(5).chunks < 30 * 4, "{:?}", store.statistics(5));
}

#[test]
fn reads_go_on_while_blocks_are_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    write_rounds(&store, 20, 0..600, 30_000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    check_rounds(&store, 20, 0..600, 30_000);
                }
            });
        }
        for _ in 0..3 {
            store.maintain_now().unwrap();
        }
        store.flush().unwrap();
    });
    check_rounds(&store, 20, 0..600, 30_000);
}

#[test]
fn deleted_samples_stay_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    write_rounds(&store, 3, 0..200, 15_000);
    let gone = TimeRange { start_ms: START_MS + 50 * 15_000, end_ms: START_MS + 99 * 15_000 };
    let check = |store: &SeriesStore| {
        let found = read(store, &[], ALL);
        let lengths: Vec<usize> = found.iter().map(|(_, samples)| samples.len()).collect();
        assert_eq!(lengths, [200, 150, 200]);
        assert!(found[1].1.iter().all(|(at, _)| *at < gone.start_ms || *at > gone.end_ms));
    };
    store.delete(&[equal("instance", "host-1")], gone).unwrap();
    check(&store);
    drop(store);
    let (store, _) = open(directory.path());
    check(&store);
    store.flush().unwrap();
    check(&store);
    store.delete(&[equal("instance", "host-2")], ALL).unwrap();
    assert_eq!(read(&store, &[equal("instance", "host-2")], ALL), []);
    store.clean_tombstones().unwrap();
    assert_eq!(read(&store, &[], ALL).len(), 2);
    // What comes after a deletion is seen.
    write(&store, &name_of(2), &[(START_MS + 500 * 15_000, 1.0)]);
    assert_eq!(read(&store, &[equal("instance", "host-2")], ALL).len(), 1);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    write_rounds(&store, 5, 0..300, 30_000);
    store.flush().unwrap();
    write_rounds(&store, 5, 300..400, 30_000);
    let path = store.snapshot(false).unwrap();
    let second = store.snapshot(true).unwrap();
    assert_ne!(path, second);
    write_rounds(&store, 5, 400..500, 30_000);
    let (copy, report) = SeriesStore::open(options(&path)).unwrap();
    assert_eq!(report.set_aside, vec![]);
    check_rounds(&copy, 5, 0..400, 30_000);
    let (copy, _) = SeriesStore::open(options(&second)).unwrap();
    check_rounds(&copy, 5, 0..300, 30_000);
    check_rounds(&store, 5, 0..500, 30_000);
}

#[test]
fn series_without_samples_are_forgotten_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let clock = maru_time::TestClock::new(maru_time::Timestamp::from_millisecond(START_MS).unwrap());
    let mut options = options(directory.path());
    options.clock = clock.clone();
    let (store, _) = SeriesStore::open(options).unwrap();
    let mut appender = crate::appender(&store);
    let old = labels(&[("__name__", "old")]);
    let raw = |appender: &mut maru_series::Appender| {
        appender.series_by_bytes(b"old", || Ok::<_, std::convert::Infallible>([("__name__", "old")])).unwrap()
    };
    let early = raw(&mut appender);
    appender.append(early, START_MS, 1.0);
    appender.commit().unwrap();
    let mut kept = crate::appender(&store);
    let held = raw(&mut kept);
    for hour in 0..12 {
        clock.advance(std::time::Duration::from_hours(1));
        write(&store, &labels(&[("__name__", "new")]), &[(START_MS + hour * 3_600_000, 1.0)]);
        store.maintain_now().unwrap();
        if hour == 5 {
            // A number that was found before is still good.
            assert_eq!(store.statistics(5).series, 1);
            kept.append(held, START_MS + 6 * 3_600_000, 2.0);
            assert_eq!(kept.commit().unwrap().refused, vec![]);
        }
    }
    assert_eq!(store.statistics(5).series, 1);
    let again = raw(&mut appender);
    appender.append(again, START_MS + 12 * 3_600_000, 3.0);
    appender.commit().unwrap();
    let samples: Vec<f64> =
        read(&store, &[equal("__name__", "old")], ALL)[0].1.iter().map(|(_, value)| *value).collect();
    assert_eq!(samples, [1.0, 2.0, 3.0]);
    assert_eq!(store.series(&[vec![]], ALL, None).unwrap(), [labels(&[("__name__", "new")]), old]);
}
