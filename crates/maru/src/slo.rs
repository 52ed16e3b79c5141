//! `maru slo`: objectives from sentences and OpenSLO files, the rules they compile to, their windows as evidence.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use maru_api::{API_VERSION, Span};
use maru_assurance::{SentenceContext, from_sentence};
use maru_monitoring::openslo::{Import, Names, compile, read_documents, read_spec};
use maru_process::WindowChoice;
use maru_time::{Timestamp, system_clock};
use serde_json::{Value, json};

use crate::arguments::GlobalArguments;
use crate::report::Report;
use crate::settings::Paths;
use crate::source::{Source, SourceArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum SloCommand {
    /// Print the objective that a sentence asks for
    #[command(
        after_help = "Examples:\n  maru slo from \"99.9 % of a day's API responses within 100 ms\" --service orders --zone Asia/Seoul\n  maru slo from \"하루 API 응답의 99.9%가 100ms 이내\" --service orders | kubectl apply -f -"
    )]
    From(Box<FromArguments>),
    /// Print the objectives of an OpenSLO file as objects; alert policies are left out, as alerts follow from the budget
    #[command(after_help = "Example:\n  maru -n shop slo import slo.yaml | kubectl apply -f -")]
    Import {
        /// The file: documents of openslo/v1
        file: PathBuf,
    },
    /// Print the recording rules and alerts that an objective compiles to, as a rule file of Prometheus
    #[command(after_help = "Example:\n  maru slo compile slo.yaml > rules.yaml && promtool check rules rules.yaml")]
    Compile {
        /// The file: an OpenSLO document, or an object of ours
        file: PathBuf,
    },
    /// Say what an objective would have said over recorded samples: its windows with their verdicts, and its alerts
    #[command(
        after_help = "Examples:\n  maru slo backtest slo.yaml --from 30d --url http://127.0.0.1:9090\n  maru --data /var/lib/maru slo backtest slo.yaml --from 2026-11-01T00:00:00Z"
    )]
    Backtest(BacktestArguments),
    /// Record what is measured of an objective as evidence: the last window that closed, or the open one
    #[command(after_help = "Example:\n  sudo maru -n shop slo attest storefront-availability --open")]
    Attest {
        /// The objective
        name: String,
        /// The window that is open, as far as it is measured
        #[arg(long)]
        open: bool,
        /// How long it counts
        #[arg(long, value_name = "SPAN")]
        valid_for: Option<Span>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArguments {
    /// The file: an OpenSLO document, or an object of ours
    file: PathBuf,
    /// From when: a time, or how long before the end
    #[arg(long, default_value = "30d", value_name = "TIME")]
    from: String,
    /// Until when: a time, or how long ago
    #[arg(long, default_value = "0s", value_name = "TIME")]
    to: String,
    #[command(flatten)]
    source: SourceArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FromArguments {
    /// The sentence, in Korean or English: a share, the time over which it holds, and how fast where it is about speed
    sentence: String,
    /// The service
    #[arg(long)]
    service: String,
    /// The object's name; by default the service's
    #[arg(long)]
    name: Option<String>,
    /// The time zone in which a day or a month begins
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// The selector of the histogram's buckets; by default the gateway's of the service
    #[arg(long, value_name = "SELECTOR")]
    buckets: Option<String>,
    /// The selector of good events; by default what the gateway answered without a server's error
    #[arg(long, value_name = "SELECTOR", requires = "total")]
    good: Option<String>,
    /// The selector of all events
    #[arg(long, value_name = "SELECTOR", requires = "good")]
    total: Option<String>,
}

pub(crate) async fn run(global: &GlobalArguments, command: SloCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        SloCommand::From(arguments) => {
            let context = SentenceContext {
                service: arguments.service.clone(),
                buckets: arguments.buckets,
                events: arguments.good.zip(arguments.total),
                zone: arguments.zone,
            };
            let spec = from_sentence(&arguments.sentence, &context)?;
            checked(&spec)?;
            let name = arguments.name.unwrap_or(arguments.service);
            print(report, &[object(&global.namespace, &Import { name, labels: Default::default(), spec })])
        }
        SloCommand::Import { file } => {
            let imports = documents(&file)?;
            let objects: Vec<Value> = imports.iter().map(|one| object(&global.namespace, one)).collect();
            print(report, &objects)
        }
        SloCommand::Compile { file } => {
            let mut groups = Vec::new();
            for one in objectives(&file)? {
                let objective = checked(&one.spec)?;
                let names = Names { namespace: global.namespace.clone(), name: one.name, bounds: Vec::new() };
                groups.extend(compile(&objective, &names).map_err(anyhow::Error::msg)?.groups);
            }
            print(report, &[json!({"groups": groups})])
        }
        SloCommand::Backtest(arguments) => backtest(global, &arguments, report).await,
        SloCommand::Attest { name, open, valid_for } => {
            let desk = crate::spine::desk(global, report).await?;
            let choice = if open { WindowChoice::Open } else { WindowChoice::Closed };
            let appended = desk.attest_objective(&name, choice, valid_for, system_clock().now()).await?;
            for one in &appended {
                let record = &one.statement.record;
                report.line(format_args!("recorded {}: {} {:?}", one.envelope, record.name, record.result.outcome));
            }
            report.value(&json!({"recorded": appended.iter().map(|one| one.envelope.to_string()).collect::<Vec<_>>()}));
            Ok(0)
        }
    }
}

async fn backtest(global: &GlobalArguments, arguments: &BacktestArguments, report: Report) -> anyhow::Result<u8> {
    let now = Timestamp::from_second(system_clock().now().as_second())?;
    let to = crate::rules::moment("to", &arguments.to, now)?;
    let from = crate::rules::moment("from", &arguments.from, to)?;
    let objectives = objectives(&arguments.file)?;
    let source = Source::open(&Paths::new(&global.data), &arguments.source).await?;
    let mut told = Vec::new();
    for one in objectives {
        let names = (global.namespace.as_str(), one.name.as_str());
        let found = maru_assurance::backtest(source.handler.clone(), &one.spec, names, (from, to)).await;
        told.push((one.name.clone(), found.map_err(|wrong| anyhow::anyhow!("{}: {}", one.name, wrong.join("; ")))?));
    }
    source.close().await;
    for (name, found) in &told {
        for target in &found.targets {
            report.line(format_args!("{name} {} (target {:.4} %)", target.name, target.target * 100.0));
            let is_empty = |window: &&Value| window["total"] == 0 && window["open"] == false;
            let empty = target.windows.iter().filter(is_empty).count();
            if empty > 0 {
                report.line(format_args!("  {empty} windows in which nothing was measured"));
            }
            for window in target.windows.iter().filter(|window| !is_empty(window)) {
                let text = |name: &str| window[name].as_str().unwrap_or_default();
                let end = if window["open"] == true { "open" } else { "closed" };
                let budget = window["budgetLeft"].as_f64();
                report.line(format_args!(
                    "  {} to {}  {end:<6}  {:<12} budget left {:<8}  {}",
                    text("from"),
                    text("to"),
                    text("outcome"),
                    budget.map_or_else(|| "-".to_owned(), |left| format!("{:.1} %", left * 100.0)),
                    window["reason"]["en"].as_str().unwrap_or_default()
                ));
            }
        }
        report.line("alerts:");
        crate::rules::show(&found.rehearsal, report);
    }
    let told: Vec<Value> = told.iter().map(|(name, found)| json!({"name": name, "backtest": found})).collect();
    report.value(&json!({"objectives": told}));
    Ok(0)
}

fn print(report: Report, values: &[Value]) -> anyhow::Result<u8> {
    let texts: Result<Vec<String>, _> = values.iter().map(serde_saphyr::to_string).collect();
    report.line(texts?.join("---\n").trim_end());
    report.value(&json!({"items": values}));
    Ok(0)
}

fn object(namespace: &str, import: &Import) -> Value {
    let mut object = json!({
        "apiVersion": API_VERSION, "kind": "ServiceLevelObjective",
        "metadata": {"name": import.name, "namespace": namespace}, "spec": import.spec,
    });
    if !import.labels.is_empty() {
        object["metadata"]["labels"] = json!(import.labels);
    }
    object
}

fn checked(spec: &Value) -> anyhow::Result<maru_monitoring::openslo::Objective> {
    read_spec(spec).map_err(|wrong| {
        let told: Vec<String> = wrong.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
        anyhow::anyhow!("{}", told.join("\n"))
    })
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read \"{}\"", file.display()))
}

fn documents(file: &Path) -> anyhow::Result<Vec<Import>> {
    let imports = read_documents(&read(file)?).map_err(|wrong| {
        let told: Vec<String> = wrong.iter().map(|one| format!("{}: {one}", file.display())).collect();
        anyhow::anyhow!("{}", told.join("\n"))
    })?;
    if imports.is_empty() {
        bail!("\"{}\" has no document of kind SLO", file.display());
    }
    Ok(imports)
}

/// Returns the objectives of a file: OpenSLO's documents, or one object of ours.
fn objectives(file: &Path) -> anyhow::Result<Vec<Import>> {
    let text = read(file)?;
    match maru_kube::yaml::parse(&text).map(|one| one.value) {
        Ok(object) if object["apiVersion"] == API_VERSION && object["kind"] == "ServiceLevelObjective" => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            Ok(vec![Import { name, labels: Default::default(), spec: object["spec"].clone() }])
        }
        _ => documents(file),
    }
}
