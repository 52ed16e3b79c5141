//! `maru metrics rules`: rule files checked, tested, and rehearsed over recorded samples.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use maru_metrics::rules::{RehearsalRange, load_files, test_rules};
use maru_metrics::{Metrics, MetricsOptions, parse_duration};
use maru_monitoring::rules::read_rules;
use maru_promql::ParseOptions;
use maru_task::Scope;
use maru_time::{Timestamp, system_clock};
use serde_json::{Value, json};

use crate::report::Report;
use crate::settings::Paths;

/// How long a server may take for a rehearsal.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the store gets to close.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);

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
    /// The running server whose samples are read; without it the store in the data folder, which no server may be using
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the token that the server wants
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
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
fn moment(flag: &str, text: &str, end: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = parse_duration(text.trim_start_matches('-')).map_err(|why| {
        anyhow::anyhow!("--{flag}: {why}; write 2026-11-22T09:00:00Z, or for example 7d for so long before")
    })?;
    end.checked_sub(ago).with_context(|| format!("--{flag}: \"{text}\" is too long ago"))
}

/// Which time is rehearsed.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
    /// Zero: the usual one.
    interval: Duration,
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
    let span = Span { from, to, interval };
    let plan = match &arguments.alertmanager {
        Some(file) => Some(maru_alerts::load(file)?.plan),
        None => None,
    };
    let mut timeline = match &arguments.url {
        Some(url) => ask(url, arguments.token_file.as_deref(), &text, span).await?,
        None => recorded(paths, &arguments.file, &text, span).await?,
    };
    if let Some(plan) = plan {
        let rehearsal = maru_alerts::Rehearsal::from_json(&timeline)?;
        let messages = maru_alerts::rehearse(&plan, rehearsal);
        timeline["notifications"] = messages.iter().map(maru_alerts::Rehearsed::to_json).collect();
    }
    show(&timeline, report);
    report.value(&timeline);
    Ok(0)
}

/// Lets a running server rehearse.
async fn ask(url: &str, token: Option<&Path>, rules: &str, span: Span) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut path = format!("{}/api/v1/rules/rehearse?start={}&end={}", url.trim_end_matches('/'), span.from, span.to);
    if !span.interval.is_zero() {
        path.push_str(&format!("&step={}", span.interval.as_secs_f64()));
    }
    let mut request = client.post(&path).header("content-type", "application/yaml").body(rules.to_owned());
    if let Some(file) = token {
        let token = std::fs::read_to_string(file).with_context(|| format!("cannot read \"{}\"", file.display()))?;
        request = request.header("authorization", format!("Bearer {}", token.trim()));
    }
    let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let body: Value = serde_json::from_slice(&answer.bytes().await?)
        .with_context(|| format!("{url} answered {status} with something that is no JSON"))?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", body["error"].as_str().unwrap_or_default());
    }
    Ok(body["data"].clone())
}

/// Rehearses over the store in the data folder.
async fn recorded(paths: &Paths, file: &Path, text: &str, span: Span) -> anyhow::Result<Value> {
    let rules = read_rules(text).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("\"{}\" cannot be used:\n  {}", file.display(), problems.join("\n  "))
    })?;
    let directory = paths.metrics();
    anyhow::ensure!(directory.is_dir(), "there is no store in \"{}\"; give --data, or --url", directory.display());
    let scope = Scope::root("rehearsal");
    let mut options = MetricsOptions::new(directory);
    // A look changes nothing: what the server keeps is the server's to say.
    options.retention = Duration::ZERO;
    let opened = Metrics::open(&scope, options).await;
    let metrics = opened.context("give --url when a server is using the store")?;
    let manager = metrics.rules().clone();
    let range = RehearsalRange {
        from_ms: span.from.as_millisecond(),
        to_ms: span.to.as_millisecond(),
        interval_ms: i64::try_from(span.interval.as_millis()).unwrap_or(i64::MAX),
    };
    let work = scope.spawn_blocking(move || manager.rehearse(&rules, range));
    let outcome = work.await.context("the rehearsal broke off")?;
    scope.shutdown(CLOSE_TIME_MAX).await.unwrap_or_default();
    Ok(outcome.map_err(anyhow::Error::msg)?.to_json())
}

/// Tells people what happened.
fn show(timeline: &Value, report: Report) {
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
