//! `maru model check` and `maru model render`: conceptual models of a folder, without a running platform.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use maru_models::{Model, Theme, check, read_models};
use maru_requirements::{Finding, ItemError, Language, Severity, decode, read_folder};
use serde_json::json;

use crate::report::Report;
use crate::requirements::folder_files;

/// Where models lie in a repository.
pub(crate) const MODELS_FOLDER: &str = ".maru/models";
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 8;

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Check models: states that cannot be reached, names that are not declared, entities without a key …
    #[command(
        after_help = "Examples:\n  maru model check\n  maru model check examples/shop --language en\n  maru model check docs/architecture.md\n\nEnds with 1 when a model cannot be read or a finding is an error."
    )]
    Check(CheckArguments),
    /// Draw a model as SVG
    #[command(
        after_help = "Examples:\n  maru model render .maru/models/place-order.mmd > place-order.svg\n  maru model render examples/shop --to pictures"
    )]
    Render(RenderArguments),
}

/// What `maru model check` can be told.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A file (.mmd, or Markdown with fences), or a folder
    #[arg(default_value = MODELS_FOLDER)]
    pub(crate) place: PathBuf,
    /// The language of messages
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
    /// End with 1 on warnings too
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What `maru model render` can be told.
#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    /// A file (.mmd, or Markdown with fences), or a folder
    #[arg(default_value = MODELS_FOLDER)]
    pub(crate) place: PathBuf,
    /// The folder for the pictures; without it, one picture goes to standard output
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// The language of titles
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
    /// Fixed light colours, for paper, instead of those of the reader's screen
    #[arg(long)]
    pub(crate) paper: bool,
}

pub(crate) fn run(command: &ModelCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        ModelCommand::Check(arguments) => run_check(arguments, report),
        ModelCommand::Render(arguments) => run_render(arguments, report),
    }
}

fn language_of(word: &str) -> Language {
    if word == "en" { Language::En } else { Language::Ko }
}

/// What a folder's models are, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) models: Vec<Model>,
    pub(crate) errors: Vec<ItemError>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads and checks the models of a file or folder; those of a project stand in its `.maru/models`. With `known`, requirements
/// that a model names must be among them.
pub(crate) fn look(place: &Path, known: Option<&BTreeSet<String>>) -> anyhow::Result<Looked> {
    let mut looked = Looked::default();
    for path in files(place)? {
        let bytes = std::fs::read(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
        let file = path.to_string_lossy().into_owned();
        let read = match decode(&bytes) {
            Ok((text, _)) => read_models(&file, &text)
                .map_err(|problems| problems.into_iter().map(|one| (one.line, one.column, one.message)).collect()),
            Err((line, message)) => Err(vec![(line, 1, message)]),
        };
        match read {
            Ok(models) => looked.models.extend(models),
            Err(problems) => looked.errors.extend(problems.into_iter().map(|(line, column, message)| ItemError {
                file: file.clone(),
                line,
                column,
                message,
            })),
        }
    }
    looked.findings = looked.models.iter().flat_map(|model| check(model, known)).collect();
    Ok(looked)
}

pub(crate) fn files(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let inner = place.join(MODELS_FOLDER);
    let folder = if inner.is_dir() { inner } else { place.to_owned() };
    let mut found = Vec::new();
    walk(&folder, 0, &mut found)
        .with_context(|| format!("could not read the models' folder \"{}\"", folder.display()))?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth < DEPTH_MAX && !entry.file_name().to_string_lossy().starts_with('.') {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file()
            && path.extension().is_some_and(|end| ["mmd", "md", "markdown"].iter().any(|one| end == *one))
        {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            bail!("\"{}\" holds more than {FILES_MAX} files; name a smaller folder", folder.display());
        }
    }
    Ok(())
}

/// The requirements of the project that a place belongs to, when it is one.
fn requirements_beside(place: &Path) -> Option<BTreeSet<String>> {
    let start = std::fs::canonicalize(place).ok()?;
    let project = start.ancestors().find(|above| above.join(crate::requirements::DEFAULT_FOLDER).is_dir())?;
    let items = read_folder(&folder_files(project).ok()?).ok()?;
    Some(items.items.into_iter().map(|item| item.name).collect())
}

fn run_check(arguments: &CheckArguments, report: Report) -> anyhow::Result<u8> {
    let language = language_of(&arguments.language);
    let known = requirements_beside(&arguments.place);
    let looked = look(&arguments.place, known.as_ref())?;
    anyhow::ensure!(
        !looked.models.is_empty() || !looked.errors.is_empty(),
        "\"{}\" holds no models; write one a file, like docs/guide/models.md says",
        arguments.place.display()
    );
    print(&looked, language, report);
    let count = |severity| looked.findings.iter().filter(|finding| finding.severity == severity).count();
    let (bad, warnings) = (count(Severity::Error) + looked.errors.len(), count(Severity::Warning));
    let models: Vec<_> =
        looked.models.iter().map(|one| json!({"name": one.name, "file": one.file, "kind": one.kind})).collect();
    report.value(&json!({"models": models, "findings": looked.findings, "errors": looked.errors}));
    Ok(u8::from(bad > 0 || arguments.strict && warnings > 0))
}

/// Prints for people.
pub(crate) fn print(looked: &Looked, language: Language, report: Report) {
    for error in &looked.errors {
        let ItemError { file, line, column, message } = error;
        report.line(format_args!("{file}:{line}:{column}: error[unreadable-model] {message}"));
    }
    for finding in &looked.findings {
        report.line(format_args!(
            "{}:{}:{}: {}[{}] {}\n    → {}",
            finding.place.file,
            finding.place.line,
            finding.place.column,
            finding.severity.name(),
            finding.rule,
            finding.message.get(language),
            finding.fix.get(language),
        ));
    }
    let count = |severity| looked.findings.iter().filter(|finding| finding.severity == severity).count();
    let (bad, warnings) = (count(Severity::Error) + looked.errors.len(), count(Severity::Warning));
    let total = looked.models.len();
    report.line(match language {
        Language::Ko => format!("모델 {total}개: 오류 {bad}개, 경고 {warnings}개"),
        Language::En => format!("{total} models: {bad} errors, {warnings} warnings"),
    });
}

fn run_render(arguments: &RenderArguments, report: Report) -> anyhow::Result<u8> {
    let looked = look(&arguments.place, None)?;
    if let Some(ItemError { file, line, column, message }) = looked.errors.first() {
        bail!("{file}:{line}:{column}: {message}");
    }
    let theme = if arguments.paper { Theme::Paper } else { Theme::Screen };
    let language = language_of(&arguments.language);
    let Some(folder) = &arguments.to else {
        let [model] = looked.models.as_slice() else {
            bail!(
                "\"{}\" holds {} models; name one file, or a folder with --to",
                arguments.place.display(),
                looked.models.len()
            );
        };
        report.raw(model.render(theme, language).svg.trim_end());
        return Ok(0);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("could not create \"{}\"", folder.display()))?;
    let mut files = Vec::new();
    for model in &looked.models {
        let path = folder.join(format!("{}.svg", model.name));
        let svg = model.render(theme, language).svg;
        std::fs::write(&path, svg).with_context(|| format!("could not write \"{}\"", path.display()))?;
        report.line(path.display());
        files.push(path);
    }
    report.value(&json!({"files": files}));
    Ok(0)
}
