//! `maru export`: the documents of a project as files, and its evidence beside them.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use maru_api::{Language, Project};
use maru_documents::{Date, Format, write};
use maru_models::Model;
use maru_process::{Desk, Material, Need};
use maru_requirements::read_folder;
use maru_time::{Timestamp, system_clock};
use serde_json::json;

use crate::arguments::{ExportArguments, GlobalArguments};
use crate::model::MODELS_FOLDER;
use crate::report::Report;
use crate::requirements::folder_files;

const ERRORS_SHOWN: usize = 20;

pub(crate) async fn run(global: &GlobalArguments, arguments: ExportArguments, report: Report) -> anyhow::Result<u8> {
    let formats = read_formats(&arguments.format)?;
    let language = if arguments.language == "en" { Language::En } else { Language::Ko };
    let day = match &arguments.date {
        Some(day) => Date::from_str(day)?,
        None => today(system_clock().now())?,
    };
    let models = models(arguments.models.as_deref().or(arguments.from.as_deref()), arguments.models.is_some())?;
    let mut records = None;
    let files = if let Some(from) = &arguments.from {
        let items = read_folder(&folder_files(from)?).map_err(|errors| {
            let lines: Vec<String> = errors.iter().take(ERRORS_SHOWN).map(ToString::to_string).collect();
            anyhow::anyhow!("the requirements cannot be read:\n{}", lines.join("\n"))
        })?;
        let mut material = Material { models, ..Material::of_items(&global.namespace, &items) };
        if let Some(project) = project_of(from) {
            material.project = project.metadata.name;
            material.title = project.spec.title.get(language).to_owned();
            material.goal = project.spec.goal.get(language).to_owned();
        }
        write_all(&material, &arguments.folder, language, &formats, day)?
    } else if let Some(baseline) = &arguments.baseline {
        // Everything, also the date, is as it was when the baseline was taken.
        let desk = crate::spine::desk(global, report).await?.with_evidence(&Need::Baselines).await?;
        let content = crate::project::content_of(&desk, baseline).await?;
        let material = desk.material_of(&content, language)?;
        write_all(&material, &arguments.folder, language, &formats, today(content.at)?)?
    } else {
        let desk = crate::spine::desk(global, report).await?;
        let material = Material { models, ..Material::gather(&desk, language).await? };
        let files = write_all(&material, &arguments.folder, language, &formats, day)?;
        if arguments.evidence {
            let folder = arguments.folder.join("evidence");
            let desk = desk.with_evidence(&Need::All).await?;
            let count = maru_process::export(&desk, &folder).await?;
            report.line(format_args!("{} ({count} records)", folder.display()));
            records = Some(count);
        }
        files
    };
    for path in &files {
        report.line(path.display());
    }
    report.value(&json!({"files": files, "records": records}));
    Ok(0)
}

/// The project that a folder's `.maru/project.yaml` describes.
fn project_of(folder: &Path) -> Option<Project> {
    let file = folder.join(".maru/project.yaml");
    let manifests = maru_cli::read_manifests(&[file.is_file().then_some(file)?]).ok()?;
    let object = manifests.into_iter().map(|one| one.object).find(|object| object["kind"] == "Project")?;
    serde_json::from_value(object).ok()
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
    let material = Material { models, ..Material::gather(desk, language).await? };
    write_all(&material, folder, language, formats, today(now)?)
}

/// Writes the four documents in each format; returns their paths.
fn write_all(
    material: &Material,
    folder: &Path,
    language: Language,
    formats: &[Format],
    day: Date,
) -> anyhow::Result<Vec<PathBuf>> {
    anyhow::ensure!(!material.requirements.is_empty(), "project \"{}\" has no requirements", material.project);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create \"{}\"", folder.display()))?;
    let mut files = Vec::new();
    for (name, document) in material.documents(language, day) {
        for format in formats {
            let path = folder.join(format!("{name}.{}", format.extension()));
            let content =
                write(&document, *format).with_context(|| format!("the document \"{name}\" cannot be made"))?;
            std::fs::write(&path, content).with_context(|| format!("cannot write \"{}\"", path.display()))?;
            files.push(path);
        }
    }
    Ok(files)
}
