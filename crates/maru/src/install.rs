//! `maru evidence time`: an installation, step by step, with its time, as a report that becomes evidence.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use maru_api::Span;
use maru_time::{Timestamp, rfc3339_micros, system_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::arguments::TimeArguments;
use crate::report::Report;

/// A step that was taken.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) took: Duration,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

/// An installation as it was seen.
pub(crate) struct Seen<'a> {
    pub(crate) name: &'a str,
    pub(crate) within: Option<Span>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Returns the report of an installation (docs/formats/evidence.md).
pub(crate) fn record(seen: &Seen<'_>, steps: &[Step]) -> String {
    let step = |one: &Step| {
        let took = Span::from_millis(u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX));
        json!({"name": one.name, "took": took, "succeeded": one.failure.is_none(),
            "note": one.failure.clone().unwrap_or_default()})
    };
    let mut record = json!({
        "kind": "maru.dev/install/v1", "name": seen.name, "from": rfc3339_micros(seen.from),
        "to": rfc3339_micros(seen.to), "tool": "maru", "version": env!("CARGO_PKG_VERSION"),
        "steps": steps.iter().map(step).collect::<Vec<Value>>(),
    });
    if let Some(within) = seen.within {
        record["within"] = json!(within);
    }
    format!("{record:#}\n")
}

/// Runs the steps, writes the report; ends with 1 when a step failed.
pub(crate) async fn time(arguments: &TimeArguments, report: Report) -> anyhow::Result<u8> {
    let within = arguments.within.as_deref().map(str::parse).transpose()?;
    anyhow::ensure!(!arguments.output.exists(), "\"{}\" is there already", arguments.output.display());
    let named = |step: &String| {
        let pair = step.split_once('=').map(|(name, command)| (name.to_owned(), command.to_owned()));
        pair.with_context(|| format!("--step \"{step}\" is not NAME=COMMAND"))
    };
    let commands = arguments.step.iter().map(named).collect::<anyhow::Result<Vec<_>>>()?;
    let from = system_clock().now();
    let mut steps = Vec::new();
    for (name, command) in commands {
        report.progress(format_args!("{name} …"));
        let started = Instant::now();
        let failure = run(&command).await?;
        let took = started.elapsed();
        report.progress(format_args!("  {:.1} s", took.as_secs_f64()));
        let is_over = failure.is_some();
        steps.push(Step { name, took, failure });
        if is_over {
            break;
        }
    }
    let to = system_clock().now();
    let text = record(&Seen { name: &arguments.name, within, from, to }, &steps);
    write_new(&arguments.output, text.as_bytes())?;
    let failed = steps.iter().find_map(|step| step.failure.as_ref().map(|why| (&step.name, why)));
    if let Some((name, why)) = failed {
        report.line(format_args!("\"{name}\" failed: {why}"));
    }
    report.line(format_args!(
        "{} steps in {:.1} s: {}",
        steps.len(),
        to.duration_since(from).as_secs_f64(),
        arguments.output.display()
    ));
    report.value(&json!({"report": arguments.output, "succeeded": failed.is_none()}));
    Ok(u8::from(failed.is_some()))
}

/// Runs a command of the shell with our input and output; returns why it failed.
async fn run(command: &str) -> anyhow::Result<Option<String>> {
    let status = tokio::process::Command::new("sh").arg("-c").arg(command).kill_on_drop(true).status().await;
    let status = status.context("the shell \"sh\" cannot be started")?;
    Ok((!status.success()).then(|| status.to_string()))
}

/// Writes a file that was not there.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("cannot create \"{}\"", path.display()))?;
    file.write_all(content).with_context(|| format!("cannot write \"{}\"", path.display()))
}
