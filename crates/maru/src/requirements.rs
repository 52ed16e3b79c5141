//! `maru req lint` and `maru req impact`: requirements in a folder, without a running platform.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use maru_requirements::{
    FILE_BYTES_MAX, Finding, Graph, History, Item, ItemError, Items, Language, LintContext, RULES, Severity,
    SuspectWhy, classify, lint, parse_sentences, read_folder, sarif_log, sarif_run,
};
use serde_json::{Value, json};

use crate::report::Report;

const FILES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 16;
pub(crate) const DEFAULT_FOLDER: &str = ".maru/requirements";
const GIT_DEADLINE: Duration = Duration::from_secs(30);
const SECONDS_A_DAY: i64 = 86_400;

/// What works on a plain folder.
#[derive(Debug, Subcommand)]
pub(crate) enum FolderCommand {
    /// Check the requirements of a folder: vague words, missing units, broken links …
    #[command(
        after_help = "Examples:\n  maru req lint\n  maru req lint requirements --format sarif > lint.sarif\n  maru req lint --language en --strict\n\nEnds with 1 when an item cannot be read or a finding is an error."
    )]
    Lint(LintArguments),
    /// List what a change of a requirement reaches; without a name, what has become suspect
    #[command(after_help = "Examples:\n  maru req impact goal-002\n  maru req impact --folder requirements")]
    Impact(ImpactArguments),
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// For people: file, line, column
    Text,
    /// For editors and code hosts
    Sarif,
    /// For programs: items with their sentences, classes and fingerprints, and findings
    Json,
}

/// What `maru req lint` can be told.
#[derive(Debug, Args)]
pub(crate) struct LintArguments {
    /// The folder or file with requirements
    #[arg(default_value = DEFAULT_FOLDER)]
    pub(crate) folder: PathBuf,
    /// How findings are written
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: LintFormat,
    /// The language of messages
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
    /// End with 1 on warnings too
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What `maru req impact` can be told.
#[derive(Debug, Args)]
pub(crate) struct ImpactArguments {
    /// The requirement that changes
    pub(crate) name: Option<String>,
    /// The folder or file with requirements
    #[arg(long, default_value = DEFAULT_FOLDER)]
    pub(crate) folder: PathBuf,
}

pub(crate) async fn run(command: FolderCommand, is_json: bool, report: Report) -> anyhow::Result<u8> {
    match command {
        FolderCommand::Lint(arguments) => run_lint(&arguments, is_json, report).await,
        FolderCommand::Impact(arguments) => run_impact(&arguments, report),
    }
}

/// Reads the files of a folder that can hold items, in the order of their paths.
pub(crate) fn folder_files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let inner = folder.join(DEFAULT_FOLDER);
    let folder = if inner.is_dir() { inner.as_path() } else { folder };
    let mut paths = Vec::new();
    if folder.is_file() {
        paths.push(folder.to_owned());
    } else {
        walk(folder, 0, &mut paths)?;
    }
    if folder.ends_with(DEFAULT_FOLDER) {
        let above = folder.parent().into_iter();
        paths.extend(above.flat_map(|above| ["glossary.yaml", "glossary.yml"].map(|name| above.join(name))));
    }
    let mut files = Vec::new();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        use std::io::Read as _;
        let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).with_context(|| format!("could not open \"{}\"", path.display()))?;
        file.take(limit).read_to_end(&mut bytes).with_context(|| format!("could not read \"{}\"", path.display()))?;
        files.push((path.to_string_lossy().into_owned(), bytes));
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("could not read the folder \"{}\"; write the requirements' folder as the argument", folder.display())
    })?;
    let mut entries: Vec<std::fs::DirEntry> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links are not followed: a folder must not reach out of itself.
        let kind = entry.file_type()?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden && depth < DEPTH_MAX {
            walk(&path, depth + 1, paths)?;
        } else if kind.is_file()
            && path
                .extension()
                .is_some_and(|end| ["yaml", "yml", "json", "md", "markdown"].iter().any(|one| end == *one))
        {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            bail!("\"{}\" holds more than {FILES_MAX} files; name a smaller folder", folder.display());
        }
    }
    Ok(())
}

async fn run_lint(arguments: &LintArguments, is_json: bool, report: Report) -> anyhow::Result<u8> {
    let language = if arguments.language == "en" { Language::En } else { Language::Ko };
    let format = if is_json && arguments.format == LintFormat::Text { LintFormat::Json } else { arguments.format };
    let files = folder_files(&arguments.folder)?;
    let (items, errors) = match read_folder(&files) {
        Ok(items) => (items, Vec::new()),
        Err(errors) => (Items::default(), errors),
    };
    if items.items.is_empty() && errors.is_empty() {
        bail!(
            "\"{}\" holds no requirements; write one item a file, like docs/guide/requirements.md says",
            arguments.folder.display()
        );
    }
    let context = LintContext { glossary: items.glossary.clone(), components: None };
    let findings = lint(&items.items, &context);
    let models = models_beside(&arguments.folder, &items)?;
    match format {
        LintFormat::Text => {
            print_text(&items, &findings, &errors, language, report);
            if let Some(models) = &models {
                crate::model::print(models, language, report);
            }
        }
        LintFormat::Sarif => {
            let version = env!("CARGO_PKG_VERSION");
            let mut runs = vec![sarif_run("maru req lint", &RULES, &findings, &errors, language, version)];
            if let Some(models) = &models {
                let rules = &maru_models::RULES;
                runs.push(sarif_run("maru model check", rules, &models.findings, &models.errors, language, version));
            }
            report.raw(serde_json::to_string_pretty(&sarif_log(runs))?);
        }
        LintFormat::Json => {
            let histories = histories(&arguments.folder).await;
            let items: Vec<Value> = items.items.iter().map(|item| describe(item, &histories)).collect();
            let answer = json!({"items": items, "findings": findings, "errors": errors});
            report.raw(serde_json::to_string_pretty(&answer)?);
        }
    }
    let least = if arguments.strict { Severity::Warning } else { Severity::Error };
    let of_models = models.iter().flat_map(|models| &models.findings);
    let failed = !errors.is_empty()
        || models.as_ref().is_some_and(|models| !models.errors.is_empty())
        || findings.iter().chain(of_models).any(|finding| finding.severity >= least);
    Ok(u8::from(failed))
}

/// Looks at the models that stand beside the requirements, when there are any.
fn models_beside(folder: &Path, items: &Items) -> anyhow::Result<Option<crate::model::Looked>> {
    let inside = folder.join(crate::model::MODELS_FOLDER);
    let beside = folder.ends_with(DEFAULT_FOLDER).then(|| folder.with_file_name("models"));
    let Some(place) = [Some(inside), beside].into_iter().flatten().find(|place| place.is_dir()) else {
        return Ok(None);
    };
    let known = items.items.iter().map(|item| item.name.clone()).collect();
    crate::model::look(&place, Some(&known)).map(Some)
}

fn print_text(items: &Items, findings: &[Finding], errors: &[ItemError], language: Language, report: Report) {
    for error in errors {
        report.line(format_args!(
            "{}:{}:{}: error[unreadable-item] {}",
            error.file, error.line, error.column, error.message
        ));
    }
    for finding in findings {
        let place = &finding.place;
        report.line(format_args!(
            "{}:{}:{}: {}[{}] {}: {}\n    → {}",
            place.file,
            place.line,
            place.column,
            finding.severity.name(),
            finding.rule,
            finding.item,
            finding.message.get(language),
            finding.fix.get(language),
        ));
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (bad, warnings) = (count(Severity::Error) + errors.len(), count(Severity::Warning));
    let total = items.items.len();
    report.line(match (language, errors.is_empty()) {
        (Language::Ko, true) => format!("항목 {total}개, 규칙 {}개: 오류 {bad}개, 경고 {warnings}개", RULES.len()),
        (Language::Ko, false) => format!("읽을 수 없어 검사하지 않았다: 오류 {bad}개"),
        (Language::En, true) => format!("{total} items, {} rules: {bad} errors, {warnings} warnings", RULES.len()),
        (Language::En, false) => format!("not checked, as items cannot be read: {bad} errors"),
    });
}

fn describe(item: &Item, histories: &BTreeMap<PathBuf, History>) -> Value {
    let sentences: Vec<Value> = item
        .statement
        .parts()
        .into_iter()
        .flat_map(|(language, text)| parse_sentences(text, language))
        .map(|sentence| {
            json!({
                "language": sentence.language, "pattern": sentence.pattern(), "clauses": sentence.clauses,
                "system": sentence.system, "response": sentence.response, "obligations": sentence.obligations.len(),
            })
        })
        .collect();
    let mut class = json!(classify(item));
    let history = std::fs::canonicalize(item.file()).ok().and_then(|path| histories.get(&path));
    if let Some(history) = history {
        class["volatility"] = json!(history.volatility().name());
        class["history"] = json!(history);
    }
    json!({
        "name": item.name, "file": item.file(), "spec": item.to_spec(), "fingerprint": item.fingerprint(),
        "class": class, "sentences": sentences,
    })
}

/// Returns how often each file changed, as git tells.
async fn histories(folder: &Path) -> BTreeMap<PathBuf, History> {
    let now = maru_time::system_clock().now().as_second();
    let history = |times: &[i64]| {
        let first = times.iter().min().copied().unwrap_or(now);
        // The first commit makes the item and changes nothing.
        let recent = times.iter().filter(|time| now - **time <= 90 * SECONDS_A_DAY).count();
        let made = usize::from(now - first <= 90 * SECONDS_A_DAY);
        History {
            changes_in_90_days: u32::try_from(recent.saturating_sub(made)).unwrap_or(u32::MAX),
            age_days: u32::try_from((now - first) / SECONDS_A_DAY).unwrap_or_default(),
        }
    };
    commit_times(folder).await.into_iter().map(|(path, times)| (path, history(&times))).collect()
}

/// Returns when each file was committed, in seconds since 1970; nothing when the folder is not in a repository.
pub(crate) async fn commit_times(folder: &Path) -> BTreeMap<PathBuf, Vec<i64>> {
    let start = if folder.is_dir() { folder } else { folder.parent().unwrap_or(folder) };
    let Some(root) = git(start, &["rev-parse", "--show-toplevel"]).await else { return BTreeMap::new() };
    let root = PathBuf::from(root.trim_end_matches('\n'));
    let log = [
        "log",
        "--no-merges",
        "--no-renames",
        "--no-show-signature",
        "-z",
        "--name-only",
        "--format=format:%x01%ct",
        "--",
        ".",
    ];
    let Some(text) = git(start, &log).await else { return BTreeMap::new() };
    let now = maru_time::system_clock().now().as_second();
    let mut commits: BTreeMap<PathBuf, Vec<i64>> = BTreeMap::new();
    let mut time = 0;
    for entry in text.split(['\0', '\n']) {
        match entry.strip_prefix('\u{1}') {
            Some(seconds) => time = seconds.trim().parse().unwrap_or(now),
            None if entry.is_empty() => {}
            None => commits.entry(root.join(entry)).or_default().push(time),
        }
    }
    commits
}

/// Runs git with fixed arguments; its output, and nothing when it fails, is missing or takes too long.
pub(crate) async fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"])
        .args(words);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(GIT_DEADLINE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run_impact(arguments: &ImpactArguments, report: Report) -> anyhow::Result<u8> {
    let items = match read_folder(&folder_files(&arguments.folder)?) {
        Ok(items) => items.items,
        Err(errors) => {
            let shown: Vec<String> = errors.iter().take(20).map(ToString::to_string).collect();
            bail!("the items cannot be read; mend these first:\n{}", shown.join("\n"));
        }
    };
    let graph = Graph::new(&items);
    let Some(name) = &arguments.name else {
        print_suspects(&graph, report);
        return Ok(0);
    };
    let Some(impact) = graph.impact(name) else {
        bail!("\"{}\" has no requirement \"{name}\"; write one of its items' names", arguments.folder.display());
    };
    report.line(format_args!("{name} → {} items become suspect", impact.items.len()));
    for (item, parent, distance) in &impact.items {
        report.line(format_args!("{}{item}  (derived from {parent})", "  ".repeat((*distance).min(DEPTH_MAX))));
    }
    print_set("components", &impact.components, report);
    print_set("checks whose evidence no longer counts", &impact.checks, report);
    let reached: Vec<Value> = impact
        .items
        .iter()
        .map(|(item, parent, distance)| json!({"name": item, "derivedFrom": parent, "distance": distance}))
        .collect();
    report.value(&json!({"item": name, "items": reached, "components": impact.components, "checks": impact.checks}));
    Ok(0)
}

fn print_set(title: &str, set: &BTreeSet<String>, report: Report) {
    if !set.is_empty() {
        report.line(format_args!("{title}:"));
        set.iter().for_each(|one| report.line(format_args!("  {one}")));
    }
}

/// Prints links whose parent changed, and what is derived from their children.
fn print_suspects(graph: &Graph<'_>, report: Report) {
    let suspects = graph.suspects();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for suspect in &suspects {
        report.line(match &suspect.why {
            SuspectWhy::Gone => format!("{}  its parent {} does not exist", suspect.item, suspect.parent),
            SuspectWhy::Changed { current, .. } => {
                format!("{}  its parent {} changed after the review; it is {current} now", suspect.item, suspect.parent)
            }
        });
        let impact = graph.impact(&suspect.item).unwrap_or_default();
        reached.extend(impact.items.into_iter().map(|(name, ..)| name));
    }
    if suspects.is_empty() {
        report.line("nothing is suspect");
    }
    print_set("derived from these", &reached, report);
    report.value(&json!({"suspects": suspects, "derived": reached}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join(DEFAULT_FOLDER);
        std::fs::create_dir_all(inner.join("deep")).unwrap();
        std::fs::write(inner.join("deep/b.yaml"), "name: b\nstatement: x\n").unwrap();
        std::fs::write(inner.join("a.md"), "---\nname: a\n---\nx\n").unwrap();
        std::fs::write(inner.join("c.txt"), "x").unwrap();
        std::fs::write(folder.path().join(".maru/glossary.yaml"), "terms: []\n").unwrap();
        std::os::unix::fs::symlink("/etc", inner.join("link")).unwrap();
        let files = folder_files(folder.path()).unwrap();
        let names: Vec<&str> = files.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.md", "b.yaml", "glossary.yaml"]);
        assert!(super::folder_files(&folder.path().join("none")).is_err());
    }
}
