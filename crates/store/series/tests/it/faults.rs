//! kill -9 and a full disk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use maru_series::{CommitError, SeriesStore, StoreOptions};

use crate::restart::copy;
use crate::{ALL, START_MS, appender, check_rounds, name_of, open, options, read, value_of, write_rounds};

const ROLE: &str = "MARU_SERIES_TEST_WRITER";
const STEP_MS: i64 = 15_000;
const SERIES: u64 = 50;

/// Options under which everything happens often.
fn busy(directory: &Path) -> StoreOptions {
    StoreOptions { log_bytes_max: 64 << 10, block_range: Duration::from_mins(30), ..options(directory) }
}

/// Writes without end and tells each round that was acknowledged. Runs in a process of its own, which is killed.
fn writer(directory: &Path) -> ! {
    let (store, _) = SeriesStore::open(busy(directory)).unwrap();
    let first = store.newest_ms().map_or(0, |newest| (newest - START_MS) / STEP_MS + 1);
    let maintained = store.clone();
    std::thread::spawn(move || {
        loop {
            maintained.maintain_now().unwrap();
        }
    });
    let mut appender = appender(&store);
    for round in first.. {
        let at = START_MS + round * STEP_MS;
        for one in 0..SERIES {
            let series = appender.series(&name_of(one));
            appender.append(series, at, value_of(one, at));
        }
        let report = appender.commit().unwrap();
        assert_eq!((report.samples, report.refused), (SERIES, vec![]));
        writeln!(std::io::stdout(), "acknowledged {round}").unwrap();
    }
    unreachable!("rounds do not end")
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    if let Some(directory) = role() {
        writer(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = -1;
    for life in 0..12_i64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "faults::nothing_acknowledged_is_lost_by_kill_9", "--nocapture"]);
        command.env(ROLE, directory.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Killed(command.spawn().unwrap());
        let out = BufReader::new(child.0.stdout.take().unwrap());
        // How long it lives differs: chunk files, checkpoints, cuts and merges are hit at other places each time.
        let goal = acknowledged + 60 + life * 37;
        for line in out.lines() {
            let line = line.unwrap();
            let Some((_, round)) = line.split_once("acknowledged ") else { continue };
            acknowledged = round.parse().unwrap();
            if acknowledged >= goal {
                break;
            }
        }
        drop(child);
        let (store, report) = SeriesStore::open(busy(directory.path())).unwrap();
        assert_eq!(report.set_aside, vec![], "life {life}");
        let last = (store.newest_ms().unwrap() - START_MS) / STEP_MS;
        assert!(last >= acknowledged, "life {life}: {last} < {acknowledged}");
        acknowledged = last;
        check_rounds(&store, SERIES, 0..last + 1, STEP_MS);
    }
}

/// A file system of a few hundred kilobytes.
struct SmallDisk(maru_testkit::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let directory = maru_testkit::TempDir::new();
        nix::mount::mount(
            Some("tmpfs"),
            directory.path(),
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(format!("size={size}").as_str()),
        )
        .unwrap();
        Self(directory)
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_alone() {
    maru_testkit::require_root_or_skip!();
    maru_testkit::Host::new().run(|| {
        let disk = SmallDisk::new("1m");
        let ballast = disk.0.join("ballast");
        std::fs::write(&ballast, vec![1; 600 << 10]).unwrap();
        let options = StoreOptions { log_bytes_max: 1 << 20, ..options(disk.0.path()) };
        let (store, _) = SeriesStore::open(options.clone()).unwrap();
        let mut appender = appender(&store);
        let mut round = 0;
        let error = loop {
            let at = START_MS + round * STEP_MS;
            for one in 0..SERIES {
                let series = appender.series(&name_of(one));
                // Values that do not pack well fill the disk sooner.
                appender.append(series, at, value_of(3, at + i64::try_from(one).unwrap() * 1000));
            }
            match appender.commit() {
                Ok(_) => round += 1,
                Err(error) => break error,
            }
            assert!(round < 100_000, "the disk does not fill up");
        };
        assert!(matches!(error, CommitError::DiskFull { .. }), "{error:?}");
        assert!(error.retry_after().is_some());
        // Still full: still refused; what is there can be read.
        let series = appender.series(&name_of(1));
        appender.append(series, START_MS + round * STEP_MS, 1.0);
        assert!(appender.commit().is_err());
        let found = read(&store, &[], ALL);
        assert_eq!(found.len() as u64, SERIES);
        std::fs::remove_file(&ballast).unwrap();
        // The same round again, as a sender would.
        let at = START_MS + round * STEP_MS;
        maru_testkit::wait_until_blocking(Duration::from_secs(60), "the store takes writes again", || {
            for one in 0..SERIES {
                let series = appender.series(&name_of(one));
                appender.append(series, at, value_of(3, at + i64::try_from(one).unwrap() * 1000));
            }
            appender.commit().is_ok()
        });
        let expected = read(&store, &[], ALL);
        assert!(expected.iter().all(|(_, samples)| i64::try_from(samples.len()).unwrap() == round + 1));
        drop((appender, store));
        let (store, report) = SeriesStore::open(options).unwrap();
        assert_eq!(report.set_aside, vec![]);
        assert_eq!(read(&store, &[], ALL), expected);
    });
}

#[test]
fn every_durable_step_may_be_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let rounds = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let (path, steps, done) = (directory.path().to_owned(), seen.clone(), rounds.clone());
    let mut options = options(directory.path());
    options.step_hook = Some(maru_series::StepHook::new(move |step| {
        // What a crash right after this step leaves.
        let crashed = tempfile::tempdir().unwrap();
        copy(&path, crashed.path());
        let (store, report) = open(crashed.path());
        assert_eq!(report.set_aside, vec![], "{step}");
        check_rounds(&store, 10, 0..done.load(std::sync::atomic::Ordering::Relaxed), 30_000);
        steps.lock().unwrap().insert(step);
    }));
    let (store, _) = SeriesStore::open(options).unwrap();
    for part in 0..5 {
        write_rounds(&store, 10, part * 200..(part + 1) * 200, 30_000);
        rounds.store((part + 1) * 200, std::sync::atomic::Ordering::Relaxed);
        store.maintain_now().unwrap();
    }
    store.flush().unwrap();
    assert!(seen.lock().unwrap().len() >= 7, "{seen:?}");
}
