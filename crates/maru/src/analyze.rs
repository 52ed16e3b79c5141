//! `maru analyze`: can the requirements hold together? Of a folder, without a running platform, or of a project.

mod edit;
mod print;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use maru_api::{ArchitectureSpec, ArchitectureStatus, Feasibility, Language, RequirementSpec};
use maru_process::{Analysis, Decided, Effort, Question, Reasons, Wish, analyse, decide, status_of_error};
use maru_requirements::{Item, read_folder};
use maru_time::system_clock;
use serde_json::json;

use crate::arguments::GlobalArguments;
use crate::report::Report;
use crate::requirements::folder_files;

const FOLDER: &str = ".maru";
/// The namespace that is worked in when none is named.
const DEFAULT_NAMESPACE: &str = "default";
/// An answer may take so long when nobody says otherwise.
const SECONDS_MAX: u64 = 120;
/// Where decisions that no project records are kept.
const DECISIONS: &str = "decisions";

/// What `maru analyze` can be told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AnalyzeArguments {
    #[command(subcommand)]
    pub(crate) command: Option<AnalyzeCommand>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AnalyzeCommand {
    /// Relax a requirement: edits its file or its object, and records who decided that and why
    #[command(
        after_help = "Examples:\n  maru analyze accept nfr-003 --at-most 400ms --why \"the customer agreed\"\n  maru analyze accept --relaxation 2 --folder examples/shop --why \"more budget\"\n  sudo maru -n shop analyze accept nfr-010 --at-most '600000 KRW/month' --why \"more budget\""
    )]
    Accept(Box<AcceptArguments>),
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs: the status, all numbers, the model and the certificates
    Json,
}

/// What is looked at, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct LookArguments {
    /// A folder with `.maru`, that folder, or the file of an architecture; without it, the project that -n names, or ./.maru
    pub(crate) path: Option<PathBuf>,
    /// Which architecture, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) architecture: Option<String>,
    /// The language of the answer
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// Write model and certificates into a file that another program can check (docs/guide/analysis.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// How many points of the curve of cost and availability are shown; 0 for none
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub(crate) curve: usize,
    /// Look for the cheapest choice, and its proof, for so long: large architectures get one within 1 % otherwise
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seconds: Option<u64>,
}

/// What `maru analyze accept` can be told.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("limit").required(true)))]
pub(crate) struct AcceptArguments {
    /// The requirement; a relaxation names its own
    #[arg(required_unless_present = "relaxation", conflicts_with = "relaxation")]
    pub(crate) requirement: Option<String>,
    /// The limit from now on: 120ms, 500000 KRW/month, 4h
    #[arg(long, value_name = "VALUE", group = "limit")]
    pub(crate) at_most: Option<String>,
    /// The limit from now on: 99.5%, 40/s
    #[arg(long, value_name = "VALUE", group = "limit")]
    pub(crate) at_least: Option<String>,
    /// The load from now on: 40/s
    #[arg(long, value_name = "VALUE", group = "limit")]
    pub(crate) at_load: Option<String>,
    /// One of the relaxations that `maru analyze` lists, by its number
    #[arg(long, value_name = "NUMBER", group = "limit")]
    pub(crate) relaxation: Option<usize>,
    /// Why: it is recorded
    #[arg(long)]
    pub(crate) why: String,
    /// Who decides: it is recorded
    #[arg(long, env = "USER")]
    pub(crate) who: Option<String>,
    /// The folder whose file is edited; without it, the project that -n names, or ./.maru
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Which architecture, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) architecture: Option<String>,
}

/// Answers; errors are "unknown" too.
pub(crate) async fn run(global: &GlobalArguments, arguments: AnalyzeArguments, report: Report) -> u8 {
    let answered = match arguments.command {
        Some(AnalyzeCommand::Accept(arguments)) => accept(global, *arguments, report).await,
        None => look(global, &arguments.look, report).await,
    };
    answered.unwrap_or_else(|error| {
        report.error(&error);
        code_of(Some(Feasibility::Unknown))
    })
}

fn code_of(outcome: Option<Feasibility>) -> u8 {
    match outcome {
        Some(Feasibility::Feasible) => 0,
        Some(Feasibility::Infeasible) => 1,
        Some(Feasibility::Unknown) | None => 2,
    }
}

/// Where questions come from.
enum Place {
    Folder(PathBuf),
    Project,
}

fn place(global: &GlobalArguments, path: Option<&Path>) -> Place {
    match path {
        Some(path) => Place::Folder(path.to_owned()),
        None if global.namespace == DEFAULT_NAMESPACE && Path::new(FOLDER).is_dir() => Place::Folder(FOLDER.into()),
        None => Place::Project,
    }
}

/// A question, and the items of a folder that it was read from.
struct Asked {
    name: String,
    question: Question,
    items: Vec<Item>,
}

async fn ask(
    global: &GlobalArguments,
    place: &Place,
    architecture: Option<&str>,
    report: Report,
) -> anyhow::Result<Asked> {
    let mut all = match place {
        Place::Folder(path) => read(path)?,
        Place::Project => {
            let client = crate::client::connect(global, report).await?.client;
            let project = &global.namespace;
            let found = maru_process::questions(&client, project)
                .await
                .with_context(|| format!("could not read the architectures of \"{project}\""))?;
            let whole = |(name, question): (String, Result<Question, String>)| {
                let question = question.map_err(|why| anyhow::anyhow!("Architecture \"{name}\" cannot be read: {why}"));
                anyhow::Ok(Asked { name, question: question?, items: Vec::new() })
            };
            found.into_iter().map(whole).collect::<anyhow::Result<_>>()?
        }
    };
    let told = match place {
        Place::Folder(path) => format!("\"{}\"", path.display()),
        Place::Project => format!("project \"{}\"", global.namespace),
    };
    if let Some(wanted) = architecture {
        all.retain(|asked| asked.name == wanted);
        return all.pop().with_context(|| format!("{told} has no architecture \"{wanted}\""));
    }
    match all.len() {
        0 => bail!("{told} has no Architecture; write one as docs/guide/analysis.md shows"),
        1 => all.pop().context("one was counted"),
        _ => {
            let names: Vec<&str> = all.iter().map(|asked| asked.name.as_str()).collect();
            bail!("{told} has several architectures; name one with --architecture: {}", names.join(", "))
        }
    }
}

/// Reads the architectures and the requirements of a folder.
fn read(path: &Path) -> anyhow::Result<Vec<Asked>> {
    let (folder, files) = if path.is_file() {
        (path.parent().unwrap_or(Path::new(".")).to_owned(), vec![path.to_owned()])
    } else {
        let inner = path.join(FOLDER);
        let folder = if inner.is_dir() { inner } else { path.to_owned() };
        let files = yaml_files(&folder)?;
        (folder, files)
    };
    let requirements = folder.join("requirements");
    let items = if requirements.is_dir() {
        match read_folder(&folder_files(&requirements)?) {
            Ok(items) => items.items,
            Err(errors) => {
                let shown: Vec<String> = errors.iter().take(20).map(ToString::to_string).collect();
                bail!("the requirements cannot be read; mend these first:\n{}", shown.join("\n"));
            }
        }
    } else {
        Vec::new()
    };
    let mut specs: Vec<(String, RequirementSpec)> = Vec::new();
    for item in &items {
        let spec = serde_json::from_value(item.to_spec())
            .with_context(|| format!("{}: requirement \"{}\" cannot be read", item.file(), item.name))?;
        specs.push((item.name.clone(), spec));
    }
    let mut all = Vec::new();
    for manifest in maru_cli::read_manifests(&files)? {
        if manifest.object["kind"] != "Architecture" {
            continue;
        }
        let name = manifest.object["metadata"]["name"].as_str().unwrap_or("architecture").to_owned();
        let spec: ArchitectureSpec = serde_json::from_value(manifest.object["spec"].clone())
            .with_context(|| format!("Architecture \"{name}\" in \"{}\" cannot be read", folder.display()))?;
        all.push(Asked { name, question: Question::new(spec, specs.clone()), items: items.clone() });
    }
    Ok(all)
}

/// The YAML files of a folder, not of the folders in it.
fn yaml_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("could not read \"{}\"", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| {
        let is_yaml = path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|one| end == *one));
        is_yaml && path.is_file() && path.file_stem().is_none_or(|stem| stem != "glossary")
    });
    paths.sort();
    Ok(paths)
}

fn language_of(text: &str) -> Language {
    if text == "en" { Language::En } else { Language::Ko }
}

async fn look(global: &GlobalArguments, arguments: &LookArguments, report: Report) -> anyhow::Result<u8> {
    let place = place(global, arguments.path.as_deref());
    let asked = ask(global, &place, arguments.architecture.as_deref(), report).await?;
    let effort = Effort { curve_points: arguments.curve, is_patient: arguments.seconds.is_some(), ..Effort::default() };
    let patience = Duration::from_secs(arguments.seconds.unwrap_or(SECONDS_MAX));
    let (status, analysis) = answer(asked.question, effort, patience).await?;
    if let Some(path) = &arguments.certificate {
        let analysis = analysis.as_ref().filter(|_| status.certificate.is_some());
        let analysis = analysis.context("there is no answer, and so no certificate")?;
        std::fs::write(path, analysis.certificate_blob())
            .with_context(|| format!("could not write \"{}\"", path.display()))?;
    }
    if global.json || arguments.output == Output::Json {
        let whole = analysis.as_ref().map_or_else(|| json!({"status": status}), Analysis::json);
        report.raw(serde_json::to_string_pretty(&whole)?);
    } else {
        let language = language_of(&arguments.language);
        report.raw(print::answer(&asked.name, &status, analysis.as_ref(), language).trim_end());
    }
    Ok(code_of(status.outcome))
}

/// Answers on a thread of its own: it may take a while.
async fn answer(
    question: Question,
    effort: Effort,
    patience: Duration,
) -> anyhow::Result<(ArchitectureStatus, Option<Analysis>)> {
    let stop = effort.stop.clone();
    let mut answered = tokio::task::spawn_blocking(move || match analyse(&question, &effort) {
        Ok(analysis) => (analysis.status(), Some(analysis)),
        Err(error) => (status_of_error(&question, &error), None),
    });
    if let Ok(answered) = tokio::time::timeout(patience, &mut answered).await {
        return answered.context("the analysis ended early");
    }
    stop.stop();
    answered.await.context("the analysis ended early")
}

async fn accept(global: &GlobalArguments, arguments: AcceptArguments, report: Report) -> anyhow::Result<u8> {
    let place = place(global, arguments.folder.as_deref());
    let asked = ask(global, &place, arguments.architecture.as_deref(), report).await?;
    let question = &asked.question;
    let effort = Effort::default();
    let analysis = analyse(question, &effort)?;
    let now = system_clock().now();
    let who = arguments.who.clone().filter(|who| !who.trim().is_empty());
    let reasons = Reasons { who, why: arguments.why.clone(), at: now };
    let decided = decide(question, &analysis, &wish(&arguments)?, &reasons, &effort)?;
    report.line(format_args!(
        "{}: criterion.{}: {} → {}",
        decided.requirement, decided.field, decided.before, decided.after
    ));
    let kept = match &place {
        Place::Folder(folder) => {
            let item = asked.items.iter().find(|item| item.name == decided.requirement);
            let item = item.context("the requirement was read from the folder")?;
            write_file(folder, item, &decided, report)?
        }
        Place::Project => {
            let desk = crate::spine::desk(global, report).await?;
            let recorded = desk.record_decision(&decided, now).await?;
            let by = match &reasons.who {
                Some(who) => format!("decided by {who}"),
                None => "without a name; --who says who decides".to_owned(),
            };
            report.line(format_args!("recorded {} in the chain of \"{}\": {by}", recorded.envelope, desk.name()));
            recorded.envelope.to_string()
        }
    };
    let then = match decided.outcome {
        Some(Feasibility::Feasible) => "all that is analysed can hold now",
        Some(Feasibility::Infeasible) => "there are still conflicts: \"maru analyze\" shows them",
        Some(Feasibility::Unknown) | None => "whether all can hold now is not known",
    };
    report.line(then);
    report.value(&json!({"decision": decided.record, "recorded": kept, "fingerprint": decided.fingerprint}));
    Ok(0)
}

fn wish(arguments: &AcceptArguments) -> anyhow::Result<Wish> {
    if let Some(number) = arguments.relaxation {
        return Ok(Wish::Relaxation(number));
    }
    let limits = [("atMost", &arguments.at_most), ("atLeast", &arguments.at_least), ("atLoad", &arguments.at_load)];
    let (field, value) =
        limits.into_iter().find_map(|(field, value)| Some((field, value.clone()?))).context("a limit")?;
    let requirement = arguments.requirement.clone().context("a requirement")?;
    Ok(Wish::Limit { requirement, field, value })
}

/// Edits the requirement's file and writes the record beside the requirements; returns the record's path.
fn write_file(folder: &Path, item: &Item, decided: &Decided, report: Report) -> anyhow::Result<String> {
    let path = Path::new(item.file());
    let text =
        std::fs::read_to_string(path).with_context(|| format!("could not read \"{}\" as UTF-8", path.display()))?;
    let edited = edit::criterion(&text, item, decided.field, &decided.after)
        .with_context(|| format!("could not edit \"{}\"", path.display()))?;
    let again = read_folder(&[(item.file(), edited.text.as_bytes())]).map_err(|errors| {
        anyhow::anyhow!(
            "the edited file would not be readable: {}",
            errors.first().map(ToString::to_string).unwrap_or_default()
        )
    })?;
    let fingerprint = again.get(&item.name).map(Item::fingerprint).unwrap_or_default();
    let inner = folder.join(FOLDER);
    let folder = match (inner.is_dir(), folder.is_file()) {
        (true, _) => inner,
        (false, true) => folder.parent().unwrap_or(Path::new(".")).to_owned(),
        (false, false) => folder.to_owned(),
    };
    let decisions = folder.join(DECISIONS);
    std::fs::create_dir_all(&decisions).with_context(|| format!("could not create \"{}\"", decisions.display()))?;
    let seconds = maru_time::rfc3339_seconds(system_clock().now()).replace([':', '-'], "");
    let record = decisions.join(format!("{seconds}-{}.json", item.name));
    let mut content = decided.record.clone();
    content["fingerprintAfter"] = json!(fingerprint);
    // The record first: an edit without one would be a change that nobody decided.
    std::fs::write(&record, format!("{}\n", serde_json::to_string_pretty(&content)?))
        .with_context(|| format!("could not write \"{}\"", record.display()))?;
    let partial = path.with_extension("new");
    std::fs::write(&partial, &edited.text).with_context(|| format!("could not write \"{}\"", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("could not replace \"{}\"", path.display()))?;
    report.line(format_args!("{}: {} edited; its fingerprint is {fingerprint} now", path.display(), edited.places));
    if let Some(sentence) = edited.still_says {
        report.line(format_args!(
            "{}: the statement does not say {}; mend it: {sentence}",
            path.display(),
            decided.after
        ));
    }
    report.line(format_args!("record: {}", record.display()));
    Ok(record.display().to_string())
}
