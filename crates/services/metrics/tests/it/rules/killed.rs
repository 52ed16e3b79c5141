//! A process that is killed between two evaluations: what it knew about alerts is there for the next one.

use std::path::Path;

use maru_metrics::rules::{Manager, RulesOptions};
use maru_promql::EngineOptions;
use maru_series::{SelectHints, SeriesStore, StoreOptions, TimeRange};
use maru_time::system_clock;

use super::*;
use crate::child::Killed;

/// The file that makes a test process the one that is killed.
const MARK: &str = "evaluates-until-killed";

const RULES: &str = r#"
groups:
- name: a
  interval: 200ms
  rules:
  - {alert: Long, expr: vector(1), for: 1h, labels: {team: shop}}
"#;

/// No test: the process that is killed. It says a word after each evaluation.
#[test]
#[ignore = "runs as the child of another test"]
fn evaluates_until_it_is_killed() {
    if !Path::new(MARK).exists() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let scope = Scope::root("child");
        let (store, _) = SeriesStore::open(StoreOptions::new("store".into(), system_clock())).unwrap();
        let mut options = RulesOptions::new(system_clock());
        options.grace_period = Duration::from_secs(1);
        let manager = Manager::start(&scope, store, EngineOptions::default(), options);
        manager.reload(Path::new(""), &["rules.yml".to_owned()], RuleSettings::default()).unwrap();
        let mut turns = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if manager.evaluations() > turns {
                turns = manager.evaluations();
                println!("evaluated {turns}");
            }
        }
    });
}

/// Runs the process for so many evaluations, and kills it.
fn evaluate(folder: &Path, turns: u64) {
    let wanted = format!("evaluated {turns}");
    Killed::start(folder, "rules::killed::evaluates_until_it_is_killed", |line| line.ends_with(&wanted).then_some(()));
}

/// Returns since when the alert holds, and when that was written, in milliseconds.
fn holds_since(folder: &Path) -> (i64, i64) {
    let (store, report) = SeriesStore::open(StoreOptions::new(folder.join("store"), system_clock())).unwrap();
    assert_eq!(report.set_aside, Vec::new());
    let matcher = maru_prom::Matcher::new("__name__", maru_prom::MatcherOperator::Equal, "ALERTS_FOR_STATE").unwrap();
    let range = TimeRange { start_ms: 0, end_ms: i64::MAX };
    let found = store.select(&[matcher], range, &SelectHints::default()).unwrap();
    assert_eq!(found.len(), 1);
    let (mut times, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    found[0].read(&mut times, &mut values, &mut histograms).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let since = *values.last().unwrap() as i64 * 1000;
    (since, *times.last().unwrap())
}

#[test]
fn since_when_an_alert_holds_survives_a_kill() {
    let folder = TempDir::new();
    for (name, text) in [("rules.yml", RULES), (MARK, "")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let begun_ms = system_clock().now().as_millisecond();
    evaluate(folder.path(), 12);
    let (first_ms, last_ms) = holds_since(folder.path());
    assert!((begun_ms - 1000..=last_ms).contains(&first_ms), "{begun_ms} {first_ms} {last_ms}");
    let again_ms = system_clock().now().as_millisecond();
    evaluate(folder.path(), 12);
    let (second_ms, end_ms) = holds_since(folder.path());
    // Moved by the outage and no more; an alert that began anew would hold since the second start.
    assert!(end_ms > again_ms, "the second process wrote nothing");
    assert!((first_ms..=again_ms + 2000).contains(&second_ms), "{first_ms} {second_ms} {again_ms}");
    let held_before = last_ms - first_ms;
    let held_after = end_ms - second_ms;
    assert!(held_after > held_before, "it held for {held_before} ms before, and for {held_after} ms in all");
}
