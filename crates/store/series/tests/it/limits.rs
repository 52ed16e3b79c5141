//! Limits of series, and who added them.

use std::time::Duration;

use maru_series::{Limits, RefusalReason, SeriesStore, StoreOptions, WriteScope};

use crate::{ALL, START_MS, equal, labels, options, read};

fn scope(name: &str, series_max: usize) -> WriteScope {
    WriteScope { labels: labels(&[("namespace", name)]), series_max: Some(series_max) }
}

#[test]
fn a_label_explosion_is_held_while_other_scopes_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = SeriesStore::open(options(directory.path())).unwrap();
    let mut bad = store.appender(&scope("bad", 10));
    for i in 0..50 {
        let series = bad.series(&labels(&[("__name__", "requests"), ("user", &i.to_string())]));
        bad.append(series, START_MS, 1.0);
    }
    let report = bad.commit().unwrap();
    assert_eq!(report.samples, 10);
    assert_eq!((report.refused[0].reason, report.refused[0].count), (RefusalReason::SeriesLimit, 40));
    assert_eq!(report.refused[0].example.get("user"), Some("10"));
    // Known series go on, and so do others.
    let series = bad.series(&labels(&[("__name__", "requests"), ("user", "3")]));
    bad.append(series, START_MS + 1, 2.0);
    assert_eq!(bad.commit().unwrap().samples, 1);
    let mut good = store.appender(&scope("good", 10));
    let series = good.series(&labels(&[("__name__", "requests"), ("user", "x")]));
    good.append(series, START_MS, 1.0);
    assert_eq!(good.commit().unwrap().refused, vec![]);
    // What was refused can be seen.
    let overflow = read(&store, &[equal("__overflow__", "true")], ALL);
    assert_eq!(overflow.len(), 1);
    assert_eq!(overflow[0].0.get("namespace"), Some("bad"));
    assert_eq!(overflow[0].1.last().unwrap().1, 40.0);
    let statistics = store.statistics(10);
    let scopes: Vec<(u64, u64)> = statistics.scopes.iter().map(|one| (one.series, one.overflow_samples)).collect();
    assert_eq!(scopes, [(11, 40), (1, 0)]);
    // No name of a refused series takes memory.
    assert_eq!(store.label_values("user", &[], ALL, None).unwrap().len(), 11);
}

#[test]
fn who_added_series_is_known_by_scope_metric_and_label() {
    let directory = tempfile::tempdir().unwrap();
    let clock = maru_time::TestClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let mut options = StoreOptions::new(directory.path().to_owned(), clock.clone());
    options.future_window = None;
    let (store, _) = SeriesStore::open(options).unwrap();
    let add = |name: &str, metric: &str, count: usize| {
        let mut appender = store.appender(&scope(name, 1000));
        for i in 0..count {
            let series = appender.series(&labels(&[("__name__", metric), ("id", &i.to_string()), ("namespace", name)]));
            appender.append(series, START_MS, 1.0);
        }
        appender.commit().unwrap();
    };
    add("old", "calm", 5);
    clock.advance(Duration::from_hours(2));
    add("shop", "wild", 30);
    add("shop", "calm", 3);
    add("blog", "calm", 2);
    let growth = store.who_added(Duration::from_hours(1), 2);
    let scopes: Vec<(Option<&str>, u64)> = growth.iter().map(|one| (one.scope.get("namespace"), one.series)).collect();
    assert_eq!(scopes, [(Some("shop"), 33), (Some("blog"), 2)]);
    assert_eq!(growth[0].metrics, [("wild".to_owned(), 30), ("calm".to_owned(), 3)]);
    assert_eq!((growth[0].labels[0].name.as_str(), growth[0].labels[0].values), ("id", 30));
    assert_eq!(store.who_added(Duration::from_hours(3), 2).len(), 3);
}

#[test]
fn labels_beyond_bounds_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    options.limits = Limits { labels_max: 3, label_value_bytes_max: 10, ..Limits::default() };
    let (store, _) = SeriesStore::open(options).unwrap();
    let mut appender = crate::appender(&store);
    for bad in [
        labels(&[]),
        labels(&[("__name__", "a"), ("b", "1"), ("c", "2"), ("d", "3")]),
        labels(&[("__name__", "a"), ("b", "12345678901")]),
    ] {
        let series = appender.series(&bad);
        appender.append(series, START_MS, 1.0);
        let report = appender.commit().unwrap();
        assert_eq!((report.refused[0].reason, &report.refused[0].example), (RefusalReason::LabelLimit, &bad));
    }
    let series = appender.series(&labels(&[("__name__", "온도.a"), ("b", "ok")]));
    appender.append(series, START_MS, 1.0);
    assert_eq!(appender.commit().unwrap().refused, vec![]);
}
