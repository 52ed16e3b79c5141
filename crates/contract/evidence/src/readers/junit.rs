//! JUnit's XML, as its many writers write it.
//!
//! A case is named `classname/name`, or `name` when it has no class or the suite's name for one.
//! Source: the schema of Jenkins' xUnit plugin; the output of Surefire, pytest, go-junit-report, gotestsum, cargo-nextest, Jest,
//! Vitest, Mocha, Playwright and Node.

use std::borrow::Cow;

use maru_api::{Measured, Outcome, Window};

use super::xml::{Event, Reader};
use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, malformed, note, noted, too_many};
use crate::record::{Case, EvidenceKind};

/// A suite of tests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Suite {
    pub(super) name: String,
    cases: Vec<Case>,
    /// What the suite says about itself; more failures than cases that failed are failures outside of cases.
    declared_tests: Option<u64>,
    declared_failures: u64,
    /// Failures of cases that are still to be done: the tool counts them, and they are none.
    excused: u64,
    /// Surefire counts the tests of the last run alone, when it runs some again.
    counts_last_run: bool,
    window: Option<Window>,
}

/// What a writer says when it has nothing to say: the text has more.
const EMPTY_WORDS: [&str; 3] = ["Failed", "Skipped", "Build error"];

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let wrong = |why: String| malformed(Format::Junit, why);
    let mut reader = Reader::new(report).map_err(wrong)?;
    let mut suites: Vec<Suite> = Vec::new();
    // Suites may stand in suites; a case belongs to the innermost, or to the whole report as Node's are.
    let mut open: Vec<Suite> = Vec::new();
    let mut whole = Suite::default();
    let mut path: Vec<&str> = Vec::new();
    let mut case: Option<Case> = None;
    let mut is_todo = false;
    let mut cases = 0;
    while let Some(event) = reader.next().map_err(wrong)? {
        match event {
            Event::Open { name, attributes } => {
                if path.is_empty() && !matches!(name, "testsuites" | "testsuite") {
                    return Err(wrong(format!("its root is <{name}>, not <testsuites> or <testsuite>")));
                }
                match name {
                    "testsuites" if path.is_empty() => {
                        whole.name = attribute(&attributes, "name").unwrap_or("testsuites").chars().take(500).collect();
                    }
                    "testsuite" if case.is_none() => open.push(suite(&attributes, open.last())),
                    "testcase" if case.is_none() => {
                        cases += 1;
                        if cases > REPORT_ITEMS_MAX {
                            return Err(too_many(Format::Junit, "cases"));
                        }
                        is_todo = false;
                        case = Some(begin(&attributes, Some(open.last().unwrap_or(&whole))));
                    }
                    // Node runs what is marked as to do, and says how it fails; its own run passes all the same.
                    "failure" | "error" if is_todo => open.last_mut().unwrap_or(&mut whole).excused += 1,
                    "failure" | "error" | "skipped" => {
                        is_todo |= name == "skipped" && attribute(&attributes, "type") == Some("todo");
                        change(case.as_mut(), name, &attributes);
                    }
                    _ => {}
                }
                path.push(name);
            }
            Event::Text(text) => {
                if let (Some(case), Some(&("failure" | "error" | "skipped"))) = (&mut case, path.last())
                    && (case.note.is_empty() || EMPTY_WORDS.contains(&case.note.as_str()))
                {
                    let said = said(&text);
                    if !said.is_empty() {
                        case.note = said;
                    }
                }
            }
            Event::Close => match path.pop() {
                Some("testcase") => {
                    open.last_mut().unwrap_or(&mut whole).cases.extend(case.take());
                }
                Some("testsuite") if case.is_none() => {
                    // gotestsum has a suite for each package without tests, even without a name.
                    let is_nothing = |suite: &Suite| suite.name.is_empty() && suite.cases.is_empty();
                    suites.extend(open.pop().filter(|suite| !is_nothing(suite) || suite.declared_failures > 0));
                }
                _ => {}
            },
        }
    }
    if !whole.cases.is_empty() {
        suites.push(whole);
    }
    let from = suites.iter().filter_map(|suite| suite.window).map(|window| window.from).min();
    let to = suites.iter().filter_map(|suite| suite.window).map(|window| window.to).max();
    let window = from.zip(to).map(|(from, to)| Window { from, to });
    Ok(Report {
        kind: EvidenceKind::Test,
        tool: "junit".to_owned(),
        version: String::new(),
        window,
        content: Content::Tests(suites),
    })
}

type Attributes<'a> = [(&'a str, Cow<'a, str>)];

fn attribute<'a>(attributes: &'a Attributes<'_>, name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref())
}

/// Reads when a suite began. Some writers leave the zone away: then it is none that could be known, and the caller says when.
/// Mocha writes the date of RFC 2822, and Go's writers the year 1 for what did not begin.
fn beginning(text: &str) -> Option<jiff::Timestamp> {
    let of_mail = || jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let at = text.parse::<jiff::Timestamp>().ok().or_else(of_mail)?;
    (at > jiff::Timestamp::UNIX_EPOCH).then_some(at)
}

/// Returns the first line that says something: Go's writers give the lines of its tests, which begin with what runs.
fn said(text: &str) -> String {
    let is_frame = |line: &str| line.is_empty() || line.starts_with("=== ") || line.starts_with("--- ");
    text.lines()
        .map(str::trim)
        .find(|line| !is_frame(line))
        .map(|line| note(&line.replace('\t', " ")))
        .unwrap_or_default()
}

fn suite(attributes: &Attributes<'_>, outer: Option<&Suite>) -> Suite {
    let number = |name| attribute(attributes, name).and_then(|text| text.parse::<u64>().ok());
    let seconds = attribute(attributes, "time").and_then(|text| text.replace(',', "").parse::<f64>().ok());
    let from = attribute(attributes, "timestamp").and_then(beginning);
    let window = from.zip(seconds.filter(|seconds| (0.0..1e8).contains(seconds))).and_then(|(from, seconds)| {
        let length = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
        Some(Window { from, to: from.checked_add(length).ok()? })
    });
    Suite {
        name: attribute(attributes, "name").map_or_else(
            || outer.map(|outer| outer.name.clone()).unwrap_or_default(),
            |name| name.chars().take(500).collect(),
        ),
        cases: Vec::new(),
        declared_tests: number("tests"),
        declared_failures: number("failures").unwrap_or(0).saturating_add(number("errors").unwrap_or(0)),
        excused: 0,
        counts_last_run: attribute(attributes, "xsi:noNamespaceSchemaLocation")
            .is_some_and(|at| at.contains("surefire")),
        window,
    }
}

fn begin(attributes: &Attributes<'_>, suite: Option<&Suite>) -> Case {
    let name = attribute(attributes, "name").unwrap_or_default();
    let class = attribute(attributes, "classname").unwrap_or_default();
    // Jest's writer gives the same for both; what fails before its first test, as Surefire has it, bears the class alone.
    let is_said = class.is_empty() || class == name || suite.is_some_and(|suite| suite.name == class);
    let name = match (name.is_empty(), is_said) {
        (true, _) => class.to_owned(),
        (false, true) => name.to_owned(),
        (false, false) => format!("{class}/{name}"),
    };
    let skipped = matches!(attribute(attributes, "status"), Some("skipped" | "notrun" | "disabled"));
    let outcome = if skipped { Outcome::Insufficient } else { Outcome::Met };
    Case { name: name.chars().take(1_000).collect(), outcome, note: String::new() }
}

fn change(case: Option<&mut Case>, element: &str, attributes: &Attributes<'_>) {
    let Some(case) = case else { return };
    let outcome = if element == "skipped" { Outcome::Insufficient } else { Outcome::Violated };
    case.outcome = case.outcome.max(outcome);
    if case.note.is_empty() {
        case.note = attribute(attributes, "message").map(said).unwrap_or_default();
    }
}

/// Returns what the suites of a name say.
pub(super) fn measure(suites: &[Suite], name: &str) -> (Measured, Vec<Case>) {
    let chosen: Vec<&Suite> = suites.iter().filter(|suite| name == "*" || suite.name == name).collect();
    let cases: Vec<Case> = chosen.iter().flat_map(|suite| suite.cases.iter().cloned()).collect();
    let number = |outcome: Outcome| cases.iter().filter(|case| case.outcome == outcome).count() as u64;
    let (passed, failed) = (number(Outcome::Met), number(Outcome::Violated));
    // An outer suite counts the cases of the inner ones, which bear another name or the same.
    let declared_failures = chosen.iter().map(|suite| suite.declared_failures).max().unwrap_or_default();
    let declared_tests = chosen.iter().filter_map(|suite| suite.declared_tests).max().unwrap_or_default();
    let excused: u64 = suites.iter().map(|suite| suite.excused).sum();
    // Jest's writer has a case for what is still to be written, which looks like one that passed, but is not counted.
    let planned = chosen.iter().filter(|suite| !suite.counts_last_run).find_map(|suite| {
        let declared = suite.declared_tests?;
        (suite.cases.len() as u64 > declared).then_some((declared, suite.cases.len()))
    });
    let counted: u64 = suites.iter().map(|suite| suite.cases.len() as u64).sum();
    let failures: u64 =
        suites.iter().flat_map(|suite| &suite.cases).filter(|case| case.outcome == Outcome::Violated).count() as u64;
    let mut result = if chosen.is_empty() {
        noted(Outcome::Insufficient, format!("the report has no suite \"{name}\""))
    } else if failed > 0 {
        Measured::plain(Outcome::Violated)
    } else if declared_failures > failures.saturating_add(excused) {
        noted(Outcome::Violated, format!("the suite counts {declared_failures} failures outside of its cases"))
    } else if declared_tests > counted {
        noted(Outcome::Insufficient, format!("the suite counts {declared_tests} tests, but the report holds {counted}"))
    } else if let Some((declared, held)) = planned {
        noted(
            Outcome::Insufficient,
            format!("the suite counts {declared} tests, but holds {held} cases: some are still to be written"),
        )
    } else if passed == 0 {
        noted(Outcome::Insufficient, "no test ran")
    } else if number(Outcome::Insufficient) > 0 {
        Measured::plain(Outcome::Insufficient)
    } else {
        Measured::plain(Outcome::Met)
    };
    result.samples = Some(passed + failed);
    let notes = cases.iter().filter(|case| case.outcome == Outcome::Violated).take(3);
    result.notes.extend(notes.map(|case| format!("{}: {}", case.name, case.note)));
    (result, cases)
}
