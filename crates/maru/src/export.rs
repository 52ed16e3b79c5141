//! `maru export`: the documents of a project as files, and its evidence beside them.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use maru_api::Language;
use maru_documents::{Date, Format, write};
use maru_process::{Desk, Material};
use maru_time::{Timestamp, system_clock};
use serde_json::json;

use crate::arguments::{ExportArguments, GlobalArguments};
use crate::report::Report;

pub(crate) async fn run(global: &GlobalArguments, arguments: ExportArguments, report: Report) -> anyhow::Result<u8> {
    let desk = crate::spine::desk(global, report).await?;
    let formats = read_formats(&arguments.format)?;
    let language = if arguments.language == "en" { Language::En } else { Language::Ko };
    let files = documents(&desk, &arguments.folder, language, &formats, system_clock().now()).await?;
    for path in &files {
        report.line(path.display());
    }
    let mut records = None;
    if arguments.evidence {
        let folder = arguments.folder.join("evidence");
        let count = maru_process::export(&desk, &folder).await?;
        report.line(format_args!("{} ({count} records)", folder.display()));
        records = Some(count);
    }
    report.value(&json!({"files": files, "records": records}));
    Ok(0)
}

fn read_formats(names: &[String]) -> anyhow::Result<Vec<Format>> {
    if names.is_empty() {
        return Ok(Format::ALL.to_vec());
    }
    names.iter().map(|name| Ok(Format::from_str(name)?)).collect()
}

/// Writes the four documents in each format; returns their paths.
pub(crate) async fn documents(
    desk: &Desk,
    folder: &Path,
    language: Language,
    formats: &[Format],
    now: Timestamp,
) -> anyhow::Result<Vec<PathBuf>> {
    let material = Material::gather(desk, language).await?;
    anyhow::ensure!(!material.requirements.is_empty(), "project \"{}\" has no requirements", desk.name());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create \"{}\"", folder.display()))?;
    let day: String = maru_time::rfc3339_seconds(now).chars().take(10).collect();
    let mut files = Vec::new();
    for (name, document) in material.documents(language, Date::from_str(&day)?) {
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
