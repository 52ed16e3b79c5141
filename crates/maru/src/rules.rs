//! `maru metrics rules`: rule files checked, tested, and rehearsed over recorded samples.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use maru_metrics::parse_duration;
use maru_metrics::rules::{load_files, test_rules};
use maru_promql::ParseOptions;
use maru_time::{Timestamp, system_clock};
use serde_json::{Value, json};

use crate::report::Report;
use crate::settings::Paths;
use crate::source::{Source, SourceArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Say all that is wrong with rule files; exits with 1 when anything is
    #[command(after_help = "Example:\n  maru metrics rules check rules/*.yml")]
    Check {
        /// The rule files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run files of rule tests, as promtool writes them; exits with 1 when a test fails
    #[command(after_help = "Example:\n  maru metrics rules test tests.yml")]
    Test {
        /// The files of tests; they name their rule files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say which alerts rules would have fired over recorded samples, and whom that would have told
    #[command(
        after_help = "Examples:\n  maru metrics --data /var/lib/metrics rules rehearse rules.yml --from 7d\n  maru metrics rules rehearse rules.yml --url http://127.0.0.1:9090 --from 2026-11-20T00:00:00Z --alertmanager alertmanager.yml"
    )]
    Rehearse(RehearseArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RehearseArguments {
    /// The rule file
    file: PathBuf,
    /// From when: a time, or how long before the end
    #[arg(long, default_value = "1d", value_name = "TIME")]
    from: String,
    /// Until when: a time, or how long ago
    #[arg(long, default_value = "0s", value_name = "TIME")]
    to: String,
    /// The time between two evaluations of groups that say none; by default that of the server, or a minute
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    #[command(flatten)]
    source: SourceArguments,
    /// The alertmanager.yml that says who is told
    #[arg(long, value_name = "FILE")]
    alertmanager: Option<PathBuf>,
}

pub(crate) async fn run(paths: &Paths, command: RulesCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        RulesCommand::Check { files } => Ok(check(&files, report)),
        RulesCommand::Test { files } => Ok(test(&files, report)),
        RulesCommand::Rehearse(arguments) => rehearse(paths, &arguments, report).await,
    }
}

fn check(files: &[PathBuf], report: Report) -> u8 {
    let (mut told, mut is_good) = (Vec::new(), true);
    for file in files {
        let name = file.display().to_string();
        report.line(format_args!("Checking {name}"));
        match load_files(Path::new(""), std::slice::from_ref(&name), &ParseOptions::default()) {
            Ok(loaded) => {
                let groups = loaded.iter().flat_map(|(_, rules)| &rules.groups);
                let rules: usize = groups.map(|group| group.rules.len()).sum();
                report.line(format_args!("  SUCCESS: {rules} rules found"));
                told.push(json!({"file": name, "rules": rules, "problems": []}));
            }
            Err(problems) => {
                is_good = false;
                report.line("  FAILED:");
                let problems: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                problems.iter().for_each(|problem| report.line(format_args!("  {problem}")));
                told.push(json!({"file": name, "problems": problems}));
            }
        }
    }
    report.value(&json!({"files": told}));
    u8::from(!is_good)
}

fn test(files: &[PathBuf], report: Report) -> u8 {
    let (mut told, mut is_good) = (Vec::new(), true);
    for file in files {
        report.line(format_args!("Unit Testing:  {}", file.display()));
        let failures = test_rules(file).err().unwrap_or_default();
        if failures.is_empty() {
            report.line("  SUCCESS");
        } else {
            is_good = false;
            report.line("  FAILED:");
            failures.iter().for_each(|failure| report.line(format_args!("    {failure}")));
        }
        told.push(json!({"file": file, "failures": failures}));
    }
    report.value(&json!({"files": told}));
    u8::from(!is_good)
}

/// Reads a time, or how long before `end` it is.
pub(crate) fn moment(flag: &str, text: &str, end: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = parse_duration(text.trim_start_matches('-')).map_err(|why| {
        anyhow::anyhow!("--{flag}: {why}; write 2026-11-22T09:00:00Z, or for example 7d for so long before")
    })?;
    end.checked_sub(ago).with_context(|| format!("--{flag}: \"{text}\" is too long ago"))
}

async fn rehearse(paths: &Paths, arguments: &RehearseArguments, report: Report) -> anyhow::Result<u8> {
    let text = std::fs::read_to_string(&arguments.file)
        .with_context(|| format!("cannot read \"{}\"", arguments.file.display()))?;
    let to = moment("to", &arguments.to, system_clock().now())?;
    let from = moment("from", &arguments.from, to)?;
    let interval = match &arguments.interval {
        Some(text) => {
            parse_duration(text).map_err(|why| anyhow::anyhow!("--interval: {why}; write for example 15s"))?
        }
        None => Duration::ZERO,
    };
    let mut path = format!("/api/v1/rules/rehearse?start={from}&end={to}");
    if !interval.is_zero() {
        path.push_str(&format!("&step={}", interval.as_secs_f64()));
    }
    let plan = match &arguments.alertmanager {
        Some(file) => Some(maru_alerts::load(file)?.plan),
        None => None,
    };
    let source = Source::open(paths, &arguments.source).await?;
    let answer = source.post(&path, "application/yaml", text).await;
    source.close().await;
    let mut timeline = answer.with_context(|| format!("\"{}\" cannot be rehearsed", arguments.file.display()))?;
    if let Some(plan) = plan {
        let rehearsal = maru_alerts::Rehearsal::from_json(&timeline)?;
        let messages = maru_alerts::rehearse(&plan, rehearsal);
        timeline["notifications"] = messages.iter().map(maru_alerts::Rehearsed::to_json).collect();
    }
    show(&timeline, report);
    report.value(&timeline);
    Ok(0)
}

/// Tells people what happened.
pub(crate) fn show(timeline: &Value, report: Report) {
    let list = |name: &str| timeline[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    report.line(format_args!("from {} to {}", text(&timeline["from"]), text(&timeline["to"])));
    for rule in list("rules") {
        if let Some(error) = rule["error"].as_str() {
            report.line(format_args!("  {}: {error}", text(&rule["name"])));
            continue;
        }
        let seconds = rule["firingSeconds"].as_f64().unwrap_or_default();
        report.line(format_args!(
            "  {}: fired {} times, {} in all; {} times the condition ended too early",
            text(&rule["name"]),
            rule["firings"],
            maru_monitoring::rules::humanize_duration(seconds),
            rule["pendingOnly"]
        ));
    }
    for alert in list("alerts") {
        let end = alert["endsAt"].as_str().unwrap_or("still firing").to_owned();
        report.line(format_args!("{}  {:<24}  {}", text(&alert["startsAt"]), end, alert["labels"]));
    }
    if timeline["notifications"].is_array() {
        let messages = list("notifications");
        report.line(format_args!("{} messages would have been sent:", messages.len()));
        for message in messages {
            report.line(format_args!(
                "{}  {} ({})  {}  {}",
                text(&message["at"]),
                text(&message["receiver"]),
                text(&message["integration"]),
                text(&message["status"]),
                text(&message["groupKey"])
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_so_long_before_the_end() {
        let end: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-11-15T09:00:00Z"),
            ("-90m", "2026-11-22T07:30:00Z"),
            ("0s", "2026-11-22T09:00:00Z"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment("from", text, end).unwrap().to_string(), expected);
        }
        assert!(moment("from", "yesterday", end).is_err());
    }
}
