//! Measures an objective: asks for its counts, and makes its status.

use std::collections::BTreeMap;

use maru_monitoring::openslo::{Compiled, Names, Objective, Target, compile};
use maru_requirements::LocalText;
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ask::{AskError, Metrics};
use crate::judge::{Counts, Judged, Outcome, float, judge, percent};
use crate::window::{Stretch, windows};

/// A window is looked at in this many pieces at most: failures that come together are seen.
const PIECES_MAX: u64 = 96;
const PIECE_SECONDS_MIN: u64 = 300;
/// Windows up to this are counted from the samples themselves.
const RAW_SECONDS_MAX: u64 = 86_400;

/// What the status of an objective says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) outcome: Outcome,
    pub(crate) reason: LocalText,
    /// What is left of the budget of the target that has least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget_left: Option<String>,
    /// At the pace of the last hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hours_left: Option<f64>,
    /// Of a composite: the mean of its targets' ratios by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) composite_ratio: Option<f64>,
    /// The name of the `PrometheusRule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<TargetStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
}

/// What is known of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetStatus {
    pub(crate) name: String,
    pub(crate) target: f64,
    /// Of a latency: the bound of the bucket that is counted, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<LocalText>,
    pub(crate) current: Judged,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Judged>,
}

impl Status {
    /// Returns the status of an objective that cannot be measured.
    pub(crate) fn broken(problems: Vec<String>) -> Self {
        let first = problems.first().cloned().unwrap_or_default();
        Self {
            outcome: Outcome::Insufficient,
            reason: LocalText::both(format!("측정할 수 없음: {first}"), format!("it cannot be measured: {first}")),
            budget_left: None,
            hours_left: None,
            composite_ratio: None,
            rules: None,
            problems,
            targets: Vec::new(),
            observed_generation: None,
        }
    }
}

/// An objective ready to be measured.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) objective: Objective,
    pub(crate) compiled: Compiled,
    bounds: Vec<Option<Bound>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Bound {
    text: String,
    seconds: f64,
}

/// Compiles an objective, with the buckets that exist.
pub(crate) async fn prepare(
    metrics: &Metrics,
    objective: Objective,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Result<Ready, String> {
    let mut bounds = Vec::new();
    for target in &objective.targets {
        bounds.push(bound_of(metrics, target, now).await.map_err(|error| error.to_string())?);
    }
    let names = Names {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        bounds: bounds.iter().map(|bound| bound.as_ref().map(|bound| bound.text.clone())).collect(),
    };
    let compiled = compile(&objective, &names)?;
    Ok(Ready { objective, compiled, bounds })
}

/// Finds the bucket that a threshold means: its own, or the next one below, which counts too few as good and none too many.
async fn bound_of(metrics: &Metrics, target: &Target, now: Timestamp) -> Result<Option<Bound>, AskError> {
    let (Some(buckets), Some((_, threshold))) = (target.buckets(), target.threshold) else { return Ok(None) };
    let found = metrics.query(&format!("count by (le) ({buckets})"), now).await?;
    let bounds = found.iter().filter_map(|(labels, _)| {
        let text = labels.get("le")?;
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?;
        (seconds <= threshold * (1.0 + 1e-9)).then(|| Bound { text: text.clone(), seconds })
    });
    Ok(bounds.max_by(|one, other| one.seconds.total_cmp(&other.seconds)))
}

/// Measures all targets now. `known` are the windows that closed already, by target.
pub(crate) async fn measure(
    metrics: &Metrics,
    ready: &Ready,
    known: &[TargetStatus],
    now: Timestamp,
) -> Result<Status, String> {
    let objective = &ready.objective;
    let windows = windows(&objective.window, now)?;
    let mut targets = Vec::new();
    for (index, target) in objective.targets.iter().enumerate() {
        let before = known.get(index).and_then(|known| known.closed.as_ref());
        let closed = match windows.closed {
            Some(closed) if before.is_some_and(|before| before.counts.to == closed.to) => before.cloned(),
            Some(closed) => Some(judged(metrics, ready, index, target, closed, Counted::AsRecorded).await?)
                .filter(|one| one.counts.total > 0),
            None => None,
        };
        let bound = ready.bounds.get(index).cloned().flatten();
        targets.push(TargetStatus {
            name: target.name.clone(),
            target: target.target,
            threshold: bound.as_ref().map(|bound| bound.seconds),
            note: note(target, bound.as_ref()),
            current: judged(metrics, ready, index, target, windows.open, Counted::AsRecorded).await?,
            closed,
        });
    }
    let hours_left = hours_left(metrics, ready, &targets, now).await;
    Ok(summarise(objective, targets, hours_left))
}

/// What long windows are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// What the rules recorded each minute.
    AsRecorded,
    /// The samples themselves: the rules may not have been there.
    Now,
}

pub(crate) async fn judged(
    metrics: &Metrics,
    ready: &Ready,
    index: usize,
    target: &Target,
    stretch: Stretch,
    counted: Counted,
) -> Result<Judged, String> {
    Ok(judge(count(metrics, ready, index, target, stretch, counted).await?, target.target))
}

async fn count(
    metrics: &Metrics,
    ready: &Ready,
    index: usize,
    target: &Target,
    stretch: Stretch,
    counted: Counted,
) -> Result<Counts, String> {
    let seconds = stretch.seconds();
    let piece = (seconds / PIECES_MAX).max(PIECE_SECONDS_MIN).max(target.slice_seconds.unwrap_or(0)).min(seconds);
    if piece == 0 {
        return Ok(Counts::new(stretch, &[]));
    }
    let pieces = seconds / piece;
    let counting =
        ready.compiled.counting(index, piece, counted == Counted::AsRecorded && seconds > RAW_SECONDS_MAX)?;
    let back = |pieces: u64| {
        let seconds = i64::try_from(pieces * piece).unwrap_or(i64::MAX / 1000);
        Timestamp::from_millisecond(stretch.to.as_millisecond() - seconds * 1000).map_err(|error| error.to_string())
    };
    let first = back(pieces.saturating_sub(1))?;
    let good = metrics.steps(&counting.good, first, stretch.to, piece).await.map_err(|error| error.to_string())?;
    let total = metrics.steps(&counting.total, first, stretch.to, piece).await.map_err(|error| error.to_string())?;
    let counted: Vec<(f64, f64)> =
        total.iter().zip(&good).map(|(total, good)| (good.unwrap_or(0.0), total.unwrap_or(0.0))).collect();
    Ok(Counts::new(stretch, &counted))
}

fn note(target: &Target, bound: Option<&Bound>) -> Option<LocalText> {
    let (Some(_), Some((_, threshold))) = (target.buckets(), target.threshold) else { return None };
    match bound {
        None => Some(LocalText::both(
            format!("{threshold}초 이하의 버킷이 아직 없음"),
            format!("there is no bucket of at most {threshold} s yet"),
        )),
        Some(bound) if bound.seconds < threshold * (1.0 - 1e-9) => Some(LocalText::both(
            format!("{threshold}초 버킷이 없어 {}초 버킷으로 세므로 실제보다 나쁘게 보일 수 있음", bound.seconds),
            format!(
                "there is no bucket of {threshold} s, so that of {} s is counted: some good ones may count as bad",
                bound.seconds
            ),
        )),
        Some(_) => None,
    }
}

/// Returns how long the budget of the target that has least lasts at the last hour's pace.
async fn hours_left(metrics: &Metrics, ready: &Ready, targets: &[TargetStatus], now: Timestamp) -> Option<f64> {
    let (index, least) = least(targets)?;
    let left = least.current.budget_left?.max(0.0);
    let counting = ready.compiled.counting(index, 3600, false).ok()?;
    let good = metrics.query(&counting.good, now).await.ok()?.first()?.1;
    let total = metrics.query(&counting.total, now).await.ok()?.first()?.1;
    let failing = 1.0 - (good / total).clamp(0.0, 1.0);
    if !(total > 0.0 && failing > 0.0) {
        return None;
    }
    let hours = float(ready.objective.window.duration().seconds()) / 3600.0;
    let pace = failing / (1.0 - least.target);
    Some((left * hours / pace * 10.0).round() / 10.0)
}

fn least(targets: &[TargetStatus]) -> Option<(usize, &TargetStatus)> {
    let left = |one: &TargetStatus| one.current.budget_left.unwrap_or(f64::INFINITY);
    targets.iter().enumerate().min_by(|(_, one), (_, other)| left(one).total_cmp(&left(other)))
}

fn summarise(objective: &Objective, targets: Vec<TargetStatus>, hours_left: Option<f64>) -> Status {
    // The worst one speaks for all.
    let worst = targets.iter().min_by_key(|one| one.current.outcome);
    let outcome = worst.map_or(Outcome::Insufficient, |one| one.current.outcome);
    let reason = worst.map(|one| one.current.reason.clone()).unwrap_or_default();
    let budget_left = least(&targets).and_then(|(_, one)| one.current.budget_left).map(percent);
    let composite_ratio = (targets.len() > 1).then(|| composite(objective, &targets)).flatten();
    Status {
        outcome,
        reason,
        budget_left,
        hours_left,
        composite_ratio,
        rules: None,
        problems: Vec::new(),
        targets,
        observed_generation: None,
    }
}

fn composite(objective: &Objective, targets: &[TargetStatus]) -> Option<f64> {
    let mut sum = (0.0, 0.0);
    for (target, status) in objective.targets.iter().zip(targets) {
        sum = (sum.0 + target.weight * status.current.ratio?, sum.1 + target.weight);
    }
    (sum.1 > 0.0).then(|| sum.0 / sum.1)
}

/// Tells whether a status differs in what people act on; the counts alone grow all the time.
pub(crate) fn differs(before: &Status, after: &Status) -> bool {
    let essence = |status: &Status| {
        let closed: Vec<Option<Timestamp>> =
            status.targets.iter().map(|one| one.closed.as_ref().map(|closed| closed.counts.to)).collect();
        let notes: BTreeMap<String, Option<LocalText>> =
            status.targets.iter().map(|one| (one.name.clone(), one.note.clone())).collect();
        (status.outcome, status.rules.clone(), status.problems.clone(), closed, notes, status.observed_generation)
    };
    let left =
        |status: &Status| least(&status.targets).and_then(|(_, one)| one.current.budget_left).unwrap_or(f64::NAN);
    let moved = (left(before) - left(after)).abs() >= 0.005 || left(before).is_nan() != left(after).is_nan();
    moved || essence(before) != essence(after)
}

/// Tells whether events were counted since.
pub(crate) fn has_moved(before: &Status, after: &Status) -> bool {
    let totals = |status: &Status| -> Vec<(u64, u64)> {
        status.targets.iter().map(|one| (one.current.counts.good, one.current.counts.total)).collect()
    };
    totals(before) != totals(after)
}
