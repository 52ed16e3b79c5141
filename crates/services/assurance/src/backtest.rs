//! What an objective would have said over recorded time: its windows with their verdicts, and its alerts.

use maru_http::Handler;
use maru_monitoring::openslo;
use maru_time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::ask::Metrics;
use crate::judge::Judged;
use crate::measure::{self, Counted};
use crate::window::windows;

/// Windows that are judged, for each target: of rolling ones that close more often, some are passed over.
const WINDOWS_MAX: i64 = 100;

/// What would have been said.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backtest {
    /// The first moment at which a window may have closed.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// The targets in their order.
    pub targets: Vec<TargetBacktest>,
    /// What the alerts of the objective would have done: the answer of the rehearsal.
    pub rehearsal: Value,
}

/// What would have been said of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetBacktest {
    /// Its name.
    pub name: String,
    /// The share that is wanted.
    pub target: f64,
    /// Its windows as they closed, the oldest first; the last one is open.
    pub windows: Vec<Value>,
}

/// Judges an objective over recorded time. `namespace` and `name` are what its series are told apart by.
///
/// # Errors
/// What is wrong with the objective, or why samples cannot be read.
pub async fn backtest(
    metrics: Handler,
    spec: &Value,
    (namespace, name): (&str, &str),
    (from, to): (Timestamp, Timestamp),
) -> Result<Backtest, Vec<String>> {
    let metrics = Metrics(metrics);
    let objective = openslo::read_spec(spec)
        .map_err(|wrong| wrong.iter().map(|one| format!("{}: {}", one.path, one.message)).collect::<Vec<_>>())?;
    let ready = measure::prepare(&metrics, objective, namespace, name, to).await.map_err(|why| vec![why])?;
    let mut stretches = Vec::new();
    let last = windows(&ready.objective.window, to).map_err(|why| vec![why])?;
    let mut next = last.closed;
    let pause = pause_ms(&ready.objective.window, from, to);
    while let Some(closed) = next.filter(|closed| closed.to >= from) {
        stretches.push(closed);
        let before =
            Timestamp::from_millisecond(closed.to.as_millisecond() - pause).map_err(|why| vec![why.to_string()])?;
        next = windows(&ready.objective.window, before).ok().and_then(|windows| windows.closed);
    }
    stretches.reverse();
    stretches.push(last.open);
    let mut targets = Vec::new();
    for (index, target) in ready.objective.targets.iter().enumerate() {
        let mut judged = Vec::new();
        for (place, stretch) in stretches.iter().enumerate() {
            let one = measure::judged(&metrics, &ready, index, target, *stretch, Counted::Now).await;
            judged.push(shown(&one.map_err(|why| vec![why])?, place + 1 == stretches.len()));
        }
        targets.push(TargetBacktest { name: target.name.clone(), target: target.target, windows: judged });
    }
    let rules = json!({"groups": ready.compiled.groups}).to_string();
    let rehearsal = metrics.rehearse(&rules, from, to).await.map_err(|error| vec![error.to_string()])?;
    Ok(Backtest { from, to, targets, rehearsal })
}

/// Returns how long before the end of a window that closed the next one is looked for.
fn pause_ms(window: &openslo::TimeWindow, from: Timestamp, to: Timestamp) -> i64 {
    match window {
        openslo::TimeWindow::Calendar { .. } => 1,
        openslo::TimeWindow::Rolling(_) => ((to.as_millisecond() - from.as_millisecond()) / WINDOWS_MAX).max(1),
    }
}

fn shown(judged: &Judged, is_open: bool) -> Value {
    let mut shown = json!(judged);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("blocks");
        fields.insert("open".to_owned(), is_open.into());
    }
    shown
}
