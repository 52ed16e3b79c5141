//! Goes through a script.

use std::path::{Path, PathBuf};

use maru_promql::ParseOptions;

use super::judge::{Answer, Reply, Seen, SeenRow};
use super::pinned::pinned;
use super::report::{Failure, FileReport, Report};
use super::script::{Case, Command, LoadedSeries, When, parse};

/// Scripts whose cases need a feature flag of Prometheus whatever their queries are.
const NEEDS_FLAG: [&str; 2] = ["start_timestamps", "type_and_unit"];

/// Returns the folder of Prometheus' scripts: `promqltest` in `MARU_TESTDATA`, or beside the checkout; `None` when it is not
/// there. `package` is the folder of the crate that asks.
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
pub(crate) fn scripts(package: &str) -> Option<PathBuf> {
    let beside = || {
        let root = Path::new(package).ancestors().find(|folder| folder.join("Cargo.lock").exists())?;
        Some(root.parent()?.join("shared/testdata"))
    };
    let folder = std::env::var("MARU_TESTDATA").ok().map(PathBuf::from).or_else(beside)?.join("promqltest");
    folder.is_dir().then_some(folder)
}

/// Runs all scripts of a folder, each with a subject of its own.
pub(crate) fn run_all<S: Subject>(folder: &Path, subject: impl Fn() -> S) -> std::io::Result<Report> {
    run_changed(folder, subject, Some)
}

/// Runs all scripts of a folder; `change` may change each command or leave it out.
pub(crate) fn run_changed<S: Subject>(
    folder: &Path,
    subject: impl Fn() -> S,
    change: impl Fn(Command) -> Option<Command>,
) -> std::io::Result<Report> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "test") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let commands: Vec<Command> = parse(&std::fs::read_to_string(&path)?).into_iter().filter_map(&change).collect();
        let needs_flag = NEEDS_FLAG.contains(&name.as_str());
        report.files.push(run(&name, &commands, needs_flag, &mut subject()));
    }
    Ok(report)
}

/// What is judged: something that holds series and answers queries.
pub(crate) trait Subject {
    /// Forgets all series.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds series.
    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String>;

    /// Evaluates at one moment.
    fn instant(&mut self, query: &str, at_ms: i64) -> Result<Reply, String>;

    /// Evaluates at `start_ms` and each `step_ms` after it up to `end_ms`.
    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Reply, String>;

    /// Says how much is tried for each case.
    fn breadth(&self) -> Breadth {
        Breadth::Full
    }

    /// Says why a case cannot be judged with this subject, if so: it counts as failed.
    fn cannot(&self, case: &Case) -> Option<String> {
        let _ = case;
        None
    }
}

/// How much is tried for each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// As written, pinned with `@` at other times, and as a step of a range.
    Full,
    /// As written only.
    AsWritten,
}

/// Runs one script. Its cases are experimental when `needs_flag` says that of the whole file, or when their query does not
/// parse without flags.
pub(crate) fn run(name: &str, commands: &[Command], needs_flag: bool, subject: &mut dyn Subject) -> FileReport {
    let mut report = FileReport { name: name.to_owned(), ..FileReport::default() };
    let mut trouble = subject.clear().err();
    for command in commands {
        match command {
            Command::Clear => trouble = subject.clear().err(),
            Command::Load(series) => {
                if let Err(reason) = subject.load(series) {
                    trouble = Some(format!("could not load series: {reason}"));
                }
            }
            Command::Broken { line, text, reason } => {
                report.stable.0 += 1;
                let (line, query, reason) = (*line, text.clone(), format!("not understood: {reason}"));
                report.failures.push(Failure { line, query, reason, is_experimental: false });
            }
            Command::Eval(case) => {
                let is_experimental = needs_flag || maru_promql::parse(&case.query, &ParseOptions::default()).is_err();
                let outcome = match (&trouble, subject.cannot(case)) {
                    (Some(trouble), _) => Err(trouble.clone()),
                    (None, Some(reason)) => Err(reason),
                    (None, None) => try_case(case, subject),
                };
                let kind = if is_experimental { &mut report.experimental } else { &mut report.stable };
                kind.0 += 1;
                match outcome {
                    Ok(()) => kind.1 += 1,
                    Err(reason) => {
                        let (line, query) = (case.line, case.query.clone());
                        report.failures.push(Failure { line, query, reason, is_experimental });
                    }
                }
            }
        }
    }
    report
}

fn try_case(case: &Case, subject: &mut dyn Subject) -> Result<(), String> {
    // Also queries that must fail are well-formed.
    maru_promql::parse(&case.query, &ParseOptions::experimental()).map_err(|error| format!("not parsed: {error}"))?;
    match case.when {
        When::Range { start_ms, end_ms, step_ms } => {
            let reply = subject.range(&case.query, start_ms, end_ms, step_ms);
            judge(case, reply).map(|_| ())
        }
        When::Instant { at_ms } => {
            // The pinned variants of a range vector belong to its last moment.
            let pin_ms = case.range_vector.map_or(at_ms, |(_, end_ms, _)| end_ms);
            try_instant(case, &case.query, pin_ms, subject)?;
            if subject.breadth() == Breadth::AsWritten {
                return Ok(());
            }
            let Some((query, moments)) = pinned(&case.query, pin_ms, &ParseOptions::experimental())? else {
                return Ok(());
            };
            for moment in moments {
                try_instant(case, &query, moment, subject)
                    .map_err(|reason| format!("as {query} at {moment} ms: {reason}"))?;
            }
            Ok(())
        }
    }
}

/// Checks failure, annotations and answer; returns the answer of a query that succeeded.
fn judge(case: &Case, reply: Result<Reply, String>) -> Result<Option<Answer>, String> {
    match (reply, &case.fail) {
        (Err(error), Some(wanted)) if wanted.fits(&error) => Ok(None),
        (Err(error), Some(wanted)) => Err(format!("failed with {error:?}, expected {wanted:?}")),
        (Err(error), None) => Err(format!("failed: {error}")),
        (Ok(_), Some(_)) => Err("expected to fail".to_owned()),
        (Ok(reply), None) => {
            case.judge_annotations(&reply)?;
            case.judge_answer(&reply.answer)?;
            Ok(Some(reply.answer))
        }
    }
}

fn try_instant(case: &Case, query: &str, at_ms: i64, subject: &mut dyn Subject) -> Result<(), String> {
    let Some(answer) = judge(case, subject.instant(query, at_ms))? else { return Ok(()) };
    let depends_on_range = ["start()", "end()", "range()", "step()"].iter().any(|word| query.contains(word));
    let is_special = case.range_vector.is_some() || case.text.is_some() || depends_on_range;
    if subject.breadth() == Breadth::AsWritten || is_special || case.ordered {
        return Ok(());
    }
    const MINUTE_MS: i64 = 60_000;
    let in_range = |reason: String| format!("as the middle of a range: {reason}");
    let reply = subject.range(query, at_ms - MINUTE_MS, at_ms + MINUTE_MS, MINUTE_MS).map_err(in_range)?;
    let Answer::Matrix(rows) = reply.answer else { return Err(in_range("it is no matrix".to_owned())) };
    if !rows.windows(2).all(|pair| matches!(pair, [one, other] if one.labels <= other.labels)) {
        return Err(in_range("it is not sorted".to_owned()));
    }
    let at_step =
        |row: SeenRow| row.points.into_iter().find(|(at, _)| *at == at_ms).map(|(_, seen)| (row.labels, seen));
    let samples: Vec<_> = rows.into_iter().filter_map(at_step).collect();
    let middle = match (&answer, samples.as_slice()) {
        (Answer::Scalar(_), [(_, Seen::Float(value)), ..]) => Answer::Scalar(*value),
        (Answer::Scalar(_), _) => return Err(in_range("there is no number".to_owned())),
        _ => Answer::Vector(samples),
    };
    case.judge_answer(&middle).map_err(in_range)
}
