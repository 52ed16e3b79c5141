//! `maru export`: the documents of a project as files, and its evidence beside them, or all of it as one archive.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use clap::Args;
use maru_api::{Baseline, Language, Project};
use maru_documents::{Date, Format, write};
use maru_evidence::export::Files;
use maru_models::Model;
use maru_process::{Desk, Material, Need, Parts};
use maru_requirements::read_folder;
use maru_time::{Timestamp, system_clock};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arguments::GlobalArguments;
use crate::model::MODELS_FOLDER;
use crate::report::Report;
use crate::requirements::folder_files;

const ERRORS_SHOWN: usize = 20;

/// What `maru export` can be told.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The folder for the documents
    #[arg(required_unless_present = "archive")]
    pub(crate) folder: Option<PathBuf>,
    /// Write documents, evidence, keys and the programs that check them into one archive (.zip or .tar), or a new folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "from", "evidence"])]
    pub(crate) archive: Option<PathBuf>,
    /// Make them of a folder with .maru/requirements instead of a running project: without evidence and verdicts
    #[arg(long, value_name = "FOLDER", conflicts_with = "evidence")]
    pub(crate) from: Option<PathBuf>,
    /// The folder or file with the models to show; by default .maru/models here, when there is one
    #[arg(long, value_name = "PLACE")]
    pub(crate) models: Option<PathBuf>,
    /// The date of issue; by default today
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,
    /// The language of the documents
    #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
    pub(crate) language: String,
    /// html, docx, xlsx, hwpx, or pdf in builds with the feature "pdf"; may be given several times; by default all of the build
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Vec<String>,
    /// Of which baseline; without it, of the project as it is
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "date", "models", "evidence"])]
    pub(crate) baseline: Option<String>,
    /// Write the evidence into the folder as well
    #[arg(long)]
    pub(crate) evidence: bool,
}

pub(crate) async fn run(global: &GlobalArguments, arguments: ExportArguments, report: Report) -> anyhow::Result<u8> {
    let formats = read_formats(&arguments.format)?;
    let language = if arguments.language == "en" { Language::En } else { Language::Ko };
    let day = match &arguments.date {
        Some(day) => Date::from_str(day)?,
        None => today(system_clock().now())?,
    };
    if let Some(archive) = &arguments.archive {
        return whole(global, &arguments, archive, language, &formats, day, report).await;
    }
    let folder = arguments.folder.clone().context("name a folder for the documents")?;
    let models = models(arguments.models.as_deref().or(arguments.from.as_deref()), arguments.models.is_some())?;
    let mut records = None;
    let documents = if let Some(from) = &arguments.from {
        render(&of_folder(global, from, models, language)?, language, &formats, day)?
    } else if let Some(name) = &arguments.baseline {
        let desk = crate::spine::desk(global, report).await?.with_evidence(&Need::Baselines).await?;
        of_baseline(&desk, name, language, &formats).await?.documents
    } else {
        let desk = crate::spine::desk(global, report).await?;
        let material = with_models(Material::gather(&desk, language).await?, models);
        let files = render(&material, language, &formats, day)?;
        if arguments.evidence {
            let folder = folder.join("evidence");
            let desk = desk.with_evidence(&Need::All).await?;
            let count = maru_process::export(&desk, &folder).await?;
            report.line(format_args!("{} ({count} records)", folder.display()));
            records = Some(count);
        }
        files
    };
    let files = write_all(&documents, &folder)?;
    for path in &files {
        report.line(path.display());
    }
    report.value(&json!({"files": files, "records": records}));
    Ok(0)
}

/// Shows these models instead of those of the project, when there are any.
fn with_models(material: Material, models: Vec<Model>) -> Material {
    if models.is_empty() { material } else { Material { models, ..material } }
}

/// Writes all of a project into one archive.
async fn whole(
    global: &GlobalArguments,
    arguments: &ExportArguments,
    archive: &Path,
    language: Language,
    formats: &[Format],
    day: Date,
    report: Report,
) -> anyhow::Result<u8> {
    let desk = crate::spine::desk(global, report).await?.with_evidence(&Need::All).await?;
    let parts = if let Some(name) = &arguments.baseline {
        of_baseline(&desk, name, language, formats).await?
    } else {
        let models = models(arguments.models.as_deref(), arguments.models.is_some())?;
        let material = with_models(Material::gather(&desk, language).await?, models);
        Parts { documents: render(&material, language, formats, day)?, ..Parts::default() }
    };
    let count = parts.documents.len();
    let records = maru_process::export_whole(&desk, parts, archive).await?;
    let place = archive.display();
    report.line(format_args!(
        "{place}: {count} documents, {records} records; check it with: maru evidence verify {place}, or without Maru: sh verify.sh"
    ));
    report.value(&json!({"archive": archive, "documents": count, "records": records}));
    Ok(0)
}

/// Makes what a folder's files say into documents' material, without verdicts.
fn of_folder(
    global: &GlobalArguments,
    from: &Path,
    models: Vec<Model>,
    language: Language,
) -> anyhow::Result<Material> {
    let items = read_folder(&folder_files(from)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().take(ERRORS_SHOWN).map(ToString::to_string).collect();
        anyhow::anyhow!("the requirements cannot be read:\n{}", lines.join("\n"))
    })?;
    let work = objects_of(from, "workitems.yaml", "WorkItem");
    let material = Material { models, work, ..Material::of_items(&global.namespace, &items) };
    Ok(match objects_of::<Project>(from, "project.yaml", "Project").into_iter().next() {
        Some(project) => Material { project: project.metadata.name, ..material.described(&project.spec, language) },
        None => material,
    })
}

/// Makes the documents of a baseline: everything, also the date, is as it was when it was taken.
async fn of_baseline(desk: &Desk, name: &str, language: Language, formats: &[Format]) -> anyhow::Result<Parts> {
    let content = crate::project::content_of(desk, name).await?;
    let material = desk.material_of(&content, language)?;
    let documents = render(&material, language, formats, today(content.at)?)?;
    let status =
        desk.list::<maru_api::BaselineSpec>().await?.into_iter().find(|one: &Baseline| one.metadata.name == name);
    let status = status.and_then(|one| one.status).unwrap_or_default();
    let signed = status.content.zip(status.envelope);
    Ok(Parts { documents, baseline: signed.map(|(digest, envelope)| (content, digest, envelope)) })
}

/// The objects of a kind in a file of a folder's `.maru`.
fn objects_of<T: DeserializeOwned>(folder: &Path, file: &str, kind: &str) -> Vec<T> {
    let file = folder.join(".maru").join(file);
    let manifests = if file.is_file() { maru_cli::read_manifests(&[file]).unwrap_or_default() } else { Vec::new() };
    let objects = manifests.into_iter().map(|one| one.object).filter(|object| object["kind"] == kind);
    objects.filter_map(|object| serde_json::from_value(object).ok()).collect()
}

fn today(now: Timestamp) -> anyhow::Result<Date> {
    let day: String = maru_time::rfc3339_seconds(now).chars().take(10).collect();
    Ok(Date::from_str(&day)?)
}

/// Reads the models that documents show: those of a place, or of the working directory when it has some.
pub(crate) fn models(place: Option<&Path>, is_asked: bool) -> anyhow::Result<Vec<Model>> {
    let place = match place {
        Some(place) if is_asked || place.join(MODELS_FOLDER).is_dir() => place,
        None if Path::new(MODELS_FOLDER).is_dir() => Path::new(MODELS_FOLDER),
        _ => return Ok(Vec::new()),
    };
    let looked = crate::model::look(place, None)?;
    match looked.errors.first() {
        Some(error) => Err(anyhow::anyhow!("a model cannot be read: {error}")),
        None => Ok(looked.models),
    }
}

fn read_formats(names: &[String]) -> anyhow::Result<Vec<Format>> {
    if names.is_empty() {
        return Ok(Format::ALL.to_vec());
    }
    names.iter().map(|name| Ok(Format::from_str(name)?)).collect()
}

/// Writes the four documents of a project of now; returns their paths.
pub(crate) async fn documents(
    desk: &Desk,
    folder: &Path,
    models: Vec<Model>,
    language: Language,
    formats: &[Format],
    now: Timestamp,
) -> anyhow::Result<Vec<PathBuf>> {
    let material = with_models(Material::gather(desk, language).await?, models);
    write_all(&render(&material, language, formats, today(now)?)?, folder)
}

/// Makes the four documents in each format.
fn render(material: &Material, language: Language, formats: &[Format], day: Date) -> anyhow::Result<Files> {
    anyhow::ensure!(!material.requirements.is_empty(), "project \"{}\" has no requirements", material.project);
    let mut files = Files::new();
    for (name, document) in material.documents(language, day) {
        for format in formats {
            let content =
                write(&document, *format).with_context(|| format!("the document \"{name}\" cannot be made"))?;
            files.insert(format!("{name}.{}", format.extension()), content);
        }
    }
    Ok(files)
}

/// Writes files into a folder; returns their paths.
fn write_all(documents: &Files, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create \"{}\"", folder.display()))?;
    let mut files = Vec::new();
    for (name, content) in documents {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write \"{}\"", path.display()))?;
        files.push(path);
    }
    Ok(files)
}
