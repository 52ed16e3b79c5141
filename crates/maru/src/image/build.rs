//! `maru image build` and `maru image packages`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use maru_builder::{BuildOutcome, PackageRequest, PackageSpec, Progress, TextProgress};
use maru_images::ImageStore;
use maru_oci::Reference;
use serde_json::json;

use crate::arguments::{BuildArguments, PackagesArguments};
use crate::report::Report;
use crate::settings::Paths;

/// Builds an image from a description of packages.
pub(crate) async fn build_packages(
    _paths: &Paths,
    store: &ImageStore,
    description: &Path,
    tags: &[String],
    progress: Option<Progress>,
) -> anyhow::Result<BuildOutcome> {
    let text =
        std::fs::read_to_string(description).with_context(|| format!("cannot read \"{}\"", description.display()))?;
    let spec = PackageSpec::parse(&text)
        .with_context(|| format!("\"{}\" is not a package description", description.display()))?;
    let references = references(tags)?;
    let first = references.first().context("an image needs a name")?.clone();
    let mut request = PackageRequest::new(spec, first);
    request.references = references;
    request.progress = progress;
    Ok(maru_builder::build_packages(request, store).await?)
}

fn references(tags: &[String]) -> anyhow::Result<Vec<Reference>> {
    tags.iter().map(|tag| Ok(tag.parse::<Reference>()?)).collect()
}

/// Lines of a build go to standard error, so that its answer stays alone on standard output.
fn progress() -> Progress {
    TextProgress::shared(std::io::stderr())
}

pub(crate) async fn run_packages(
    paths: &Paths,
    store: &ImageStore,
    arguments: &PackagesArguments,
    report: Report,
) -> anyhow::Result<()> {
    let outcome = build_packages(paths, store, &arguments.description, &arguments.tag, Some(progress())).await?;
    tell(&outcome, &arguments.tag, report);
    Ok(())
}

fn tell(outcome: &BuildOutcome, tags: &[String], report: Report) {
    let total: Duration = outcome.durations.iter().map(|(_, took)| *took).sum();
    let cached = if outcome.cached { ", all from the cache" } else { "" };
    report.line(format_args!("{} {} in {:.1} s{cached}", tags.join(" "), outcome.digest, total.as_secs_f64()));
    report.value(&json!({
        "images": tags,
        "digest": outcome.digest.to_string(),
        "cached": outcome.cached,
        "steps": outcome.durations.iter().map(|(step, took)| json!({"step": step, "seconds": took.as_secs_f64()})).collect::<Vec<_>>(),
    }));
}

/// Builds an image from a Dockerfile.
pub(crate) async fn build_dockerfile(
    _paths: &Paths,
    _store: &ImageStore,
    _dockerfile: &Path,
    _context: &Path,
    _tags: &[String],
    _progress: Option<Progress>,
) -> anyhow::Result<BuildOutcome> {
    anyhow::bail!("building from a Dockerfile is not supported yet")
}

pub(crate) async fn run_build(
    paths: &Paths,
    store: &ImageStore,
    arguments: &BuildArguments,
    report: Report,
) -> anyhow::Result<()> {
    let dockerfile = arguments.file.clone().unwrap_or_else(|| arguments.context.join("Dockerfile"));
    let outcome =
        build_dockerfile(paths, store, &dockerfile, &arguments.context, &arguments.tag, Some(progress())).await?;
    tell(&outcome, &arguments.tag, report);
    Ok(())
}
