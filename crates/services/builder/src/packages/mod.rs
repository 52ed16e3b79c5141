//! Images straight from distribution packages, without any image registry.

mod alternatives;
mod apt;
mod assemble;
mod configure;
mod sbom;
mod sources;
mod spec;

use std::path::Path;
use std::time::Duration;

use maru_images::{CachedResult, DirectoryForm, DirectoryLayer, ImageStore};
use maru_oci::{Digest, HistoryEntry, ImageConfig, Platform, Reference, media_type};

pub(crate) use spec::parse_mode;
pub use spec::{FileSpec, PackageSpec, UserSpec};

use crate::BuildOutcome;
use crate::error::{BuildError, blocking};
use crate::packages::apt::{Apt, Package};
use crate::progress::{Progress, Steps};
use crate::work::Work;

/// Changes when the same input gives another image.
const SALT: &str = "packages 1";
/// Search path of programs in images.
pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// When the package index is fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// At every build.
    Always,
    /// When the last fetch is longer ago.
    IfOlderThan(Duration),
    /// Never: the index of the last build is used.
    Never,
}

/// A request to build an image from packages.
#[derive(Clone)]
pub struct PackageRequest {
    /// What goes into it.
    pub spec: PackageSpec,
    /// Names it gets.
    pub references: Vec<Reference>,
    /// When the package index is fetched again.
    pub refresh: Refresh,
    /// The time of files made by the build and the latest time of all files, in seconds since 1970 (`SOURCE_DATE_EPOCH`);
    /// without it, the latest time among the packaged files, so that the same packages give the same image.
    pub epoch: Option<i64>,
    /// Whether results of earlier builds may be used.
    pub cache: bool,
    /// The program that runs containers (see `maru_container::RunConfig`); `None` means this very program. Only needed to
    /// configure packages.
    pub executable: Option<std::path::PathBuf>,
    /// Cgroup below which the container that configures packages gets one of its own; one at the top when it is empty.
    pub cgroup_parent: String,
    /// Who is told what happens.
    pub progress: Option<Progress>,
}

impl PackageRequest {
    /// Returns a request with the usual choices.
    #[must_use]
    pub fn new(spec: PackageSpec, reference: Reference) -> Self {
        Self {
            spec,
            references: vec![reference],
            refresh: Refresh::IfOlderThan(Duration::from_secs(6 * 3600)),
            epoch: None,
            cache: true,
            executable: None,
            cgroup_parent: String::new(),
            progress: None,
        }
    }
}

impl std::fmt::Debug for PackageRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PackageRequest({:?}, {:?})", self.references, self.spec)
    }
}

/// Builds an image from distribution packages. Needs root, and apt and dpkg on the host.
///
/// # Errors
/// When the description is wrong, the host lacks apt, packages cannot be had or verified, or the disk fails.
pub async fn build_packages(request: PackageRequest, store: &ImageStore) -> Result<BuildOutcome, BuildError> {
    request.spec.check()?;
    let spec = request.spec.clone();
    let mut steps = Steps::new(request.progress.clone(), if request.spec.configure { 6 } else { 5 });
    let cache = store.directory().join("builder").join("apt");
    let (apt, suite) = blocking(move || {
        let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let (sources, suite) = sources::sources_for(&spec, Path::new("/etc/apt"), &os_release)?;
        Ok((Apt::prepare(&cache, &sources)?, suite))
    })
    .await?;
    steps.start(&format!("refresh the package index of {suite}"));
    let asked = apt.refresh(request.refresh).await?;
    steps.finish(!asked);
    steps.start(&format!("find what {} needs", request.spec.packages.join(", ")));
    let (resolved, known) = resolve(&request.spec, &apt).await?;
    steps.finish(known);
    steps.start(&format!("fetch {} packages", resolved.len()));
    let packages = apt.fetch(&resolved).await?;
    drop(apt);
    steps.finish(false);
    let key = key(&request, &suite, &packages);
    let kept = store.clone();
    let lease = blocking(move || Ok(kept.lease()?)).await?;
    let (digest, cached) = match recall(&request, store, &key).await? {
        Some(digest) => (digest, true),
        None => (make(&request, store, suite, packages, key, &mut steps).await?, false),
    };
    drop(lease);
    let mut outcome = steps.outcome(digest);
    outcome.cached = cached;
    Ok(outcome)
}

/// Returns everything that has to be installed; tells whether that was known since the index was fetched.
async fn resolve(spec: &PackageSpec, apt: &Apt) -> Result<(Vec<(String, String)>, bool), BuildError> {
    let question = format!("{:?} {}", spec.packages, spec.configure);
    if let Some(known) = apt.recall(&question) {
        return Ok((known, true));
    }
    let wanted = wanted(spec, apt).await?;
    let resolved = apt.resolve(&wanted).await?;
    apt.remember(&question, &resolved)?;
    Ok((resolved, false))
}

/// Returns the packages asked for and those that every image has: who it is, and its users.
async fn wanted(spec: &PackageSpec, apt: &Apt) -> Result<Vec<String>, BuildError> {
    let mut wanted = vec!["base-files".to_owned(), "base-passwd".to_owned()];
    // The image's directories are merged already; without this name, a package with a script for it would come.
    if apt.knows("usr-is-merged").await? {
        wanted.push("usr-is-merged".to_owned());
    }
    wanted.extend(spec.packages.iter().cloned());
    if spec.configure {
        wanted.extend(apt.essential().await?);
        wanted.push("dpkg".to_owned());
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

/// Names everything that the image depends on.
fn key(request: &PackageRequest, suite: &str, packages: &[Package]) -> Digest {
    let mut text = format!("{SALT}\n{suite}\n{:?}\n", request.epoch);
    text.push_str(&serde_json::to_string(&request.spec).unwrap_or_default());
    for package in packages {
        text.push_str(&format!("\n{} {} {}", package.name(), package.field("Version"), package.field("SHA256")));
    }
    Digest::sha256(text.as_bytes())
}

/// Returns the image that the cache has for a key, under the names asked for.
async fn recall(request: &PackageRequest, store: &ImageStore, key: &Digest) -> Result<Option<Digest>, BuildError> {
    let (request, store, key) = (request.clone(), store.clone(), key.clone());
    blocking(move || {
        let known = if request.cache { store.recall(&key)? } else { None };
        let Some(CachedResult::Image(digest)) = known else { return Ok(None) };
        for reference in &request.references {
            store.tag(&digest, reference)?;
        }
        Ok(Some(digest))
    })
    .await
}

/// Makes the image.
async fn make(
    request: &PackageRequest,
    store: &ImageStore,
    suite: String,
    packages: Vec<Package>,
    key: Digest,
    steps: &mut Steps,
) -> Result<Digest, BuildError> {
    steps.start("unpack the packages");
    let (kept, spec) = (store.clone(), request.spec.clone());
    let (work, root, packages, modified_max) = blocking(move || {
        let work = Work::new(&kept)?;
        let root = work.path("root");
        assemble::fresh_directory(&root)?;
        let modified_max = assemble::assemble(&root, &spec, &packages)?;
        Ok((work, root, packages, modified_max))
    })
    .await?;
    steps.finish(false);
    let epoch = request.epoch.unwrap_or(modified_max);
    if request.spec.configure {
        steps.start("configure the packages");
        let given = configure::Configuration {
            root: &root,
            packages: &packages,
            directory: work.path("run"),
            executable: request.executable.clone(),
            cgroup: crate::work::cgroup(&request.cgroup_parent),
            documentation: request.spec.documentation,
            epoch,
        };
        configure::configure(given, steps).await?;
        steps.finish(false);
    }
    steps.start("store the image");
    let (request, store) = (request.clone(), store.clone());
    let digest = blocking(move || {
        let bill = assemble::complete(&root, &request.spec, &suite, &packages, epoch)?;
        let layer = store.put_directory(&root, DirectoryLayer { form: DirectoryForm::Plain, modified_max: epoch })?;
        let digest = store.commit_image(configuration(&request.spec, &suite, epoch), &[layer])?;
        store.attach_artifact(&digest, media_type::CYCLONEDX, &bill)?;
        store.remember(&key, &CachedResult::Image(digest.clone()))?;
        for reference in &request.references {
            store.tag(&digest, reference)?;
        }
        drop(work);
        Ok(digest)
    })
    .await?;
    steps.finish(false);
    Ok(digest)
}

fn configuration(spec: &PackageSpec, suite: &str, epoch: i64) -> ImageConfig {
    let created = jiff::Timestamp::from_second(epoch).ok().map(maru_time::rfc3339_seconds);
    let mut config = ImageConfig::for_platform(&Platform::host());
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    if !spec.env.contains_key("PATH") {
        config.config.env.push(PATH.to_owned());
    }
    config.config.env.extend(spec.env.iter().map(|(name, value)| format!("{name}={value}")));
    config.config.entrypoint = some(&spec.entrypoint);
    config.config.cmd = some(&spec.cmd);
    config.config.working_dir.clone_from(&spec.workdir);
    config.config.user.clone_from(&spec.user);
    config.config.labels.clone_from(&spec.labels);
    config.created.clone_from(&created);
    config.history = vec![HistoryEntry {
        created,
        created_by: Some(format!("packages of {suite}: {}", spec.packages.join(" "))),
        ..HistoryEntry::default()
    }];
    config
}
