//! `maru image build` and `maru image packages`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use maru_builder::{
    BuildOutcome, BuildRequest, DockerfileSource, HostAccess, PackageRequest, PackageSpec, Progress, TextProgress,
};
use maru_images::{ImageStore, PullOptions};
use maru_oci::{Digest, Reference};
use maru_time::system_clock;
use serde_json::json;

use super::provenance;
use crate::arguments::{BuildArguments, PackagesArguments};
use crate::report::Report;
use crate::settings::Paths;

/// The label that holds the digest of the description that an image was built from.
const DESCRIPTION_LABEL: &str = "dev.maru.description";

/// Builds an image from a description of packages.
pub(crate) async fn build_packages(
    paths: &Paths,
    store: &ImageStore,
    description: &Path,
    tags: &[String],
    progress: Option<Progress>,
) -> anyhow::Result<BuildOutcome> {
    let text =
        std::fs::read_to_string(description).with_context(|| format!("cannot read \"{}\"", description.display()))?;
    let mut spec = PackageSpec::parse(&text)
        .with_context(|| format!("\"{}\" is not a package description", description.display()))?;
    spec.labels.insert(DESCRIPTION_LABEL.to_owned(), Digest::sha256(text.as_bytes()).to_string());
    let references = references(tags)?;
    let first = references.first().context("an image needs a name")?.clone();
    let mut request = PackageRequest::new(spec, first);
    request.references = references;
    request.cgroup_parent = format!("{}/builds", paths.cgroup());
    request.progress = progress;
    Ok(maru_builder::build_packages(request, store).await?)
}

/// Tells whether an image is there that was built from this description as it stands; the packages may be newer by now.
pub(crate) fn is_built_from(store: &ImageStore, tag: &str, description: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read(description).with_context(|| format!("cannot read \"{}\"", description.display()))?;
    let Some(digest) = store.resolve(&tag.parse::<Reference>()?)? else { return Ok(false) };
    let labels = store.config(&digest)?.config.labels;
    Ok(labels.get(DESCRIPTION_LABEL) == Some(&Digest::sha256(&text).to_string()))
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

/// What a Dockerfile build is asked for.
#[derive(Debug, Default)]
pub(crate) struct DockerfileBuild {
    pub(crate) dockerfile: Option<PathBuf>,
    pub(crate) context: PathBuf,
    pub(crate) tags: Vec<String>,
    pub(crate) build_arguments: BTreeMap<String, String>,
    pub(crate) target: Option<String>,
    pub(crate) no_cache: bool,
    /// The instance's own cgroup, which `maru down` removes.
    pub(crate) cgroup: String,
}

/// Builds an image from a Dockerfile; bases that are not here are pulled.
pub(crate) async fn build_dockerfile(
    store: &ImageStore,
    build: DockerfileBuild,
    progress: Option<Progress>,
) -> anyhow::Result<BuildOutcome> {
    let references = references(&build.tags)?;
    let first = references.first().context("an image needs a name")?.clone();
    let registries = super::registry_options();
    let mut request = BuildRequest::new(build.context, first);
    request.references = references;
    request.dockerfile = build.dockerfile.map_or(DockerfileSource::Context, DockerfileSource::File);
    request.build_arguments = build.build_arguments;
    request.target = build.target;
    request.cache = !build.no_cache;
    request.cgroup_parent = format!("{}/builds", build.cgroup);
    request.access = HostAccess {
        http_proxy: registries.http_proxy.clone(),
        https_proxy: registries.https_proxy.clone(),
        no_proxy: registries.no_proxy.clone(),
        ca_bundle: registries.ca_bundle.clone().or_else(host_ca_bundle),
    };
    request.pull = Some(PullOptions { registries: Arc::new(registries), ..PullOptions::default() });
    request.progress = progress;
    Ok(maru_builder::build(request, store).await?)
}

/// Returns the host's own file of trusted certificates, where distributions keep it.
fn host_ca_bundle() -> Option<PathBuf> {
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

pub(crate) async fn run_build(
    paths: &Paths,
    store: &ImageStore,
    arguments: BuildArguments,
    report: Report,
) -> anyhow::Result<()> {
    let build_arguments = arguments
        .build_arg
        .iter()
        .map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("--build-arg \"{pair}\" is not NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<anyhow::Result<_>>()?;
    let build = DockerfileBuild {
        dockerfile: arguments.file,
        context: arguments.context,
        tags: arguments.tag.clone(),
        build_arguments,
        target: arguments.target,
        no_cache: arguments.no_cache,
        cgroup: paths.cgroup(),
    };
    let (context, dockerfile) = (build.context.clone(), build.dockerfile.clone());
    let from = system_clock().now();
    let outcome = build_dockerfile(store, build, Some(progress())).await?;
    if let Some(path) = &arguments.provenance {
        let (signer, public) = provenance::builder_key(paths)?;
        let built = provenance::Built {
            images: &arguments.tag,
            digest: outcome.digest.to_string(),
            dockerfile: &dockerfile.unwrap_or_else(|| context.join("Dockerfile")),
            context: &context,
            from,
            to: system_clock().now(),
        };
        crate::install::write_new(path, &provenance::statement(&built, &signer).await?)?;
        report.line(format_args!("{}: signed by {}", path.display(), public.display()));
    }
    tell(&outcome, &arguments.tag, report);
    Ok(())
}
