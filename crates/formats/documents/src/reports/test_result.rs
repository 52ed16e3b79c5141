//! The test result (시험 결과서).

use serde::{Deserialize, Serialize};

use super::cover::{Cover, Draft, EvidenceRef, Verdict};
use crate::content::{Cell, Document, Language, Numbering, Orientation, Row, Run, RunStyle, Tone};
use crate::phrases::Phrase;

/// What a test result is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The first page.
    pub cover: Cover,
    /// Where it was tested: names and values.
    #[serde(default)]
    pub environment: Vec<NamedValue>,
    /// What was tested.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// The suites and their cases.
    #[serde(default)]
    pub suites: Vec<Suite>,
    /// What was measured.
    #[serde(default)]
    pub measurements: Vec<Measurement>,
    /// Defects that the tests found.
    #[serde(default)]
    pub defects: Vec<Defect>,
    /// The records behind the results.
    #[serde(default)]
    pub evidence: Vec<EvidenceRef>,
    /// What a person concludes: one paragraph each.
    #[serde(default)]
    pub conclusion: Vec<String>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// What was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Image, commit, configuration.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
}

/// A suite of tests as a tool ran it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// The tool and its version.
    #[serde(default)]
    pub tool: String,
    /// When it began, as text.
    #[serde(default)]
    pub started_at: String,
    /// Its cases in order.
    #[serde(default)]
    pub cases: Vec<Case>,
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// The requirements it verifies.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// How long it ran, in milliseconds.
    #[serde(default)]
    pub duration_ms: Option<u32>,
    /// What it said.
    #[serde(default)]
    pub message: String,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseOutcome {
    /// As expected.
    Passed,
    /// Not as expected, or with an error.
    Failed,
    /// Not run.
    Skipped,
}

/// A measured value against its criterion. Values are texts with their units: `99.95 %`, `87 ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The requirement.
    pub requirement: String,
    /// What was measured.
    pub indicator: String,
    /// The criterion in words.
    pub criterion: String,
    /// The value; none when it could not be measured.
    #[serde(default)]
    pub value: Option<String>,
    /// The ends of its confidence interval.
    #[serde(default)]
    pub interval: Option<(String, String)>,
    /// The confidence, between 0 and 1.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// How many samples.
    #[serde(default)]
    pub samples: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

/// A defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Defect {
    /// Its number.
    pub id: String,
    /// What is wrong.
    pub title: String,
    /// How bad it is.
    #[serde(default)]
    pub severity: String,
    /// What became of it.
    #[serde(default)]
    pub state: String,
    /// The requirements it touches.
    #[serde(default)]
    pub requirements: Vec<String>,
}

/// Returns the test result in a language.
#[must_use]
pub fn test_result(data: &TestResult, language: Language) -> Document {
    let mut draft = Draft::new(&data.cover, language);
    draft.heading(1, Phrase::Overview, Numbering::Counted);
    draft.paragraph(draft.word(Phrase::TestIntroduction));
    environment(&mut draft, data);
    summary(&mut draft, data);
    measurements(&mut draft, data);
    draft.heading(1, Phrase::Suites, Numbering::Counted);
    cases(&mut draft, data);
    draft.heading(1, Phrase::Defects, Numbering::Counted);
    let rows = data.defects.iter().map(|one| {
        Row::of(vec![
            Cell::text(&one.id),
            Cell::text(&one.title),
            Cell::text(&one.severity),
            Cell::text(&one.state),
            Cell::text(one.requirements.join(", ")),
        ])
    });
    let heads = [Phrase::DefectId, Phrase::Content, Phrase::Severity, Phrase::State, Phrase::Requirements];
    draft.table(None, Some(Phrase::Defects), &heads, &[2, 7, 2, 2, 3], rows.collect());
    draft.heading(1, Phrase::EvidenceList, Numbering::Counted);
    draft.evidence_table(&data.evidence.iter().collect::<Vec<_>>(), Phrase::EvidenceList);
    draft.how_to_verify();
    if !data.conclusion.is_empty() {
        draft.heading(1, Phrase::Conclusion, Numbering::Counted);
        for paragraph in &data.conclusion {
            draft.paragraph(paragraph);
        }
    }
    draft.finish(Phrase::TestResult, &data.cover, Orientation::Landscape)
}

fn environment(draft: &mut Draft, data: &TestResult) {
    draft.heading(2, Phrase::Environment, Numbering::Counted);
    let rows = data.environment.iter().map(|one| Row::of(vec![Cell::header(&one.name), Cell::text(&one.value)]));
    draft.table(None, Some(Phrase::Environment), &[Phrase::Item, Phrase::Value], &[1, 3], rows.collect());
    draft.heading(2, Phrase::Subjects, Numbering::Counted);
    let rows = data.subjects.iter().map(|one| {
        let digest = Cell::runs(vec![Run::styled(&*one.digest, RunStyle::Code)]);
        Row::of(vec![Cell::text(&one.kind), Cell::text(&one.name), digest])
    });
    let heads = [Phrase::Kind, Phrase::Name, Phrase::Digest];
    draft.table(None, Some(Phrase::Subjects), &heads, &[1, 2, 4], rows.collect());
}

fn summary(draft: &mut Draft, data: &TestResult) {
    draft.heading(1, Phrase::Summary, Numbering::Counted);
    let mut total = [0_usize; 3];
    let mut rows = Vec::new();
    for suite in &data.suites {
        let mut counts = [0_usize; 3];
        for case in &suite.cases {
            counts[match case.outcome {
                CaseOutcome::Passed => 0,
                CaseOutcome::Failed => 1,
                CaseOutcome::Skipped => 2,
            }] += 1;
        }
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        rows.push(counts_row(
            vec![Cell::text(&suite.name), Cell::text(&suite.tool), Cell::text(&suite.started_at)],
            counts,
        ));
    }
    rows.push(counts_row(vec![Cell::header(draft.word(Phrase::Total)).across(3)], total));
    let heads = [
        Phrase::Suite,
        Phrase::Tool,
        Phrase::StartedAt,
        Phrase::Passed,
        Phrase::Failed,
        Phrase::Skipped,
        Phrase::Total,
        Phrase::PassRatio,
    ];
    let caption = draft.word(Phrase::Summary).to_owned();
    draft.table(Some(caption), Some(Phrase::Summary), &heads, &[4, 3, 4, 1, 1, 1, 1, 2], rows);
    draft.note(Phrase::VerdictMeaning);
}

/// The ratio is of the cases that ran; rounded down, so that 100 means all.
fn counts_row(mut cells: Vec<Cell>, [passed, failed, skipped]: [usize; 3]) -> Row {
    let fail = Cell::count(failed);
    cells.push(Cell::count(passed));
    cells.push(if failed > 0 { fail.toned(Tone::Bad) } else { fail });
    cells.push(Cell::count(skipped));
    cells.push(Cell::count(passed + failed + skipped));
    let ratio = (passed * 10_000).checked_div(passed + failed);
    cells.push(ratio.map_or_else(
        || Cell::text("-"),
        |ratio| {
            let number = u32::try_from(ratio).ok().map(|ratio| f64::from(ratio) / 100.0);
            Cell { number, ..Cell::text(format!("{}.{:02}", ratio / 100, ratio % 100)) }
        },
    ));
    Row::of(cells)
}

fn measurements(draft: &mut Draft, data: &TestResult) {
    draft.heading(1, Phrase::Measurements, Numbering::Counted);
    let language = draft.language;
    let unmeasured = draft.word(Phrase::Unmeasured);
    let rows = data.measurements.iter().map(|one| {
        let interval = one.interval.as_ref().map(|(low, high)| format!("{low} ~ {high}"));
        let confidence = one.confidence.map(|confidence| format!("{} %", (confidence * 10_000.0).round() / 100.0));
        let samples = one.samples.and_then(|samples| usize::try_from(samples).ok());
        Row::of(vec![
            Cell::text(&one.requirement),
            Cell::text(&one.indicator),
            Cell::text(&one.criterion),
            Cell::text(one.value.clone().unwrap_or_else(|| unmeasured.to_owned())),
            Cell::text(interval.unwrap_or_else(|| "-".to_owned())),
            Cell::text(confidence.unwrap_or_else(|| "-".to_owned())),
            samples.map_or_else(|| Cell::text("-"), Cell::count),
            Verdict::cell(Some(one.verdict), language),
            Cell::text(&one.reason),
        ])
    });
    let rows = rows.collect();
    let heads = [
        Phrase::RequirementId,
        Phrase::Indicator,
        Phrase::Criterion,
        Phrase::MeasuredValue,
        Phrase::Interval,
        Phrase::Confidence,
        Phrase::Samples,
        Phrase::Verdict,
        Phrase::Reason,
    ];
    let caption = draft.word(Phrase::Measurements).to_owned();
    draft.table(Some(caption), Some(Phrase::Measurements), &heads, &[2, 2, 3, 2, 3, 2, 2, 2, 5], rows);
}

fn cases(draft: &mut Draft, data: &TestResult) {
    let mut rows = Vec::new();
    for (suite, case) in data.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case))) {
        let (phrase, tone) = match case.outcome {
            CaseOutcome::Passed => (Phrase::Passed, Tone::Good),
            CaseOutcome::Failed => (Phrase::Failed, Tone::Bad),
            CaseOutcome::Skipped => (Phrase::Skipped, Tone::Open),
        };
        let duration = case.duration_ms.map_or_else(
            || Cell::text("-"),
            |duration| Cell { number: Some(f64::from(duration)), ..Cell::text(duration.to_string()) },
        );
        rows.push(Row::of(vec![
            Cell::text(&suite.name),
            Cell::text(&case.name),
            Cell::text(draft.word(phrase)).toned(tone),
            Cell::text(case.requirements.join(", ")),
            duration,
            Cell::text(&case.message),
        ]));
    }
    let heads =
        [Phrase::Suite, Phrase::TestCase, Phrase::Result, Phrase::Requirements, Phrase::Duration, Phrase::Message];
    let caption = draft.word(Phrase::TestCase).to_owned();
    draft.table(Some(caption), Some(Phrase::TestCase), &heads, &[3, 6, 2, 3, 2, 6], rows);
}
