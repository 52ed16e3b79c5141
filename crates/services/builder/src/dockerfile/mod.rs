//! Images from Dockerfiles.

mod add;
mod copy;
mod plan;
mod run;
mod sources;
mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use maru_images::{ImageStore, PullOptions};
use maru_oci::{Dockerfile, IgnoreRules, InstructionKind, Reference};

use crate::BuildOutcome;
use crate::error::{BuildError, blocking, io_error};
use crate::progress::{Progress, Steps};
use crate::work::Work;
use plan::Plan;
use stage::{Stage, StageResult};

/// Largest `Dockerfile` or `.dockerignore` that is read.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Where the instructions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileSource {
    /// `Dockerfile` in the context.
    Context,
    /// A file; its own ignore file (`<file>.dockerignore`) comes before the context's.
    File(PathBuf),
    /// This text.
    Text(String),
}

/// Which network build steps see unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuildNetwork {
    /// The host's.
    #[default]
    Host,
    /// None but loopback.
    None,
}

/// What steps are given of the host's way to the outside; nothing of it stays in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// `http_proxy`
    pub http_proxy: Option<String>,
    /// `https_proxy`
    pub https_proxy: Option<String>,
    /// `no_proxy`
    pub no_proxy: Option<String>,
    /// File of trusted certificates in PEM, shown to steps read-only and named in the variables that programs look at.
    pub ca_bundle: Option<PathBuf>,
}

/// A request to build an image from a `Dockerfile`.
#[derive(Clone)]
pub struct BuildRequest {
    /// Directory with the files that may be copied.
    pub context: PathBuf,
    /// Where the instructions are.
    pub dockerfile: DockerfileSource,
    /// Names the image gets.
    pub references: Vec<Reference>,
    /// Values of `ARG`s.
    pub build_arguments: BTreeMap<String, String>,
    /// The stage to build; the last when `None`.
    pub target: Option<String>,
    /// Labels besides those of the file.
    pub labels: BTreeMap<String, String>,
    /// Files for `RUN --mount=type=secret`, by id.
    pub secrets: BTreeMap<String, PathBuf>,
    /// Which network steps see.
    pub network: BuildNetwork,
    /// What steps and `ADD` are given of the host.
    pub access: HostAccess,
    /// The image's time and the latest time of its files, in seconds since 1970 (`SOURCE_DATE_EPOCH`). Zero makes the same
    /// input give the same image at any time.
    pub epoch: i64,
    /// Whether results of earlier builds may be used.
    pub cache: bool,
    /// How base images that are not here are pulled; `None` refuses them.
    pub pull: Option<PullOptions>,
    /// Cgroup below which each container of the build gets one of its own; each gets one at the top when it is empty. The
    /// parent stays when the build is done: other builds may use it at the same time.
    pub cgroup_parent: String,
    /// The program that runs containers (see `maru_container::RunConfig`); `None` means this very program.
    pub executable: Option<PathBuf>,
    /// Who is told what happens.
    pub progress: Option<Progress>,
}

impl BuildRequest {
    /// Returns a request with the usual choices: the context's `Dockerfile`, its last stage, the host's network.
    #[must_use]
    pub fn new(context: PathBuf, reference: Reference) -> Self {
        Self {
            context,
            dockerfile: DockerfileSource::Context,
            references: vec![reference],
            build_arguments: BTreeMap::new(),
            target: None,
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            network: BuildNetwork::Host,
            access: HostAccess::default(),
            epoch: 0,
            cache: true,
            pull: None,
            cgroup_parent: String::new(),
            executable: None,
            progress: None,
        }
    }
}

impl std::fmt::Debug for BuildRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "BuildRequest({:?} from {})", self.references, self.context.display())
    }
}

/// What all stages of a build share.
pub(crate) struct Build {
    pub(crate) request: BuildRequest,
    pub(crate) store: ImageStore,
    pub(crate) plan: Plan,
    pub(crate) ignore: IgnoreRules,
    pub(crate) work: Arc<Work>,
}

/// Builds an image from a `Dockerfile`. Needs root.
///
/// # Errors
/// With the line of the instruction that failed and why.
///
/// # Cancel safety
/// Dropping the future stops running steps and removes what the build made, except finished layers in the cache.
pub async fn build(request: BuildRequest, store: &ImageStore) -> Result<BuildOutcome, BuildError> {
    let (given, kept) = (request.clone(), store.clone());
    let (file, ignore, work, lease) = blocking(move || {
        let (text, ignore) = read_inputs(&given)?;
        let file = Dockerfile::parse(&text)
            .map_err(|error| BuildError::Dockerfile { line: error.line, problem: error.problem })?;
        let ignore = IgnoreRules::parse(&ignore)
            .map_err(|error| BuildError::Specification { problem: format!(".dockerignore: {error}") })?;
        let lease = kept.lease()?;
        Ok((file, ignore, Arc::new(Work::new(&kept)?), lease))
    })
    .await?;
    let plan = plan::plan(&file, &request.build_arguments, request.target.as_deref())?;
    let mut steps = Steps::new(request.progress.clone(), count_steps(&plan));
    let build = Arc::new(Build { request, store: store.clone(), plan, ignore, work });
    let mut finished: BTreeMap<usize, Arc<StageResult>> = BTreeMap::new();
    for index in build.plan.needed.clone() {
        let result = Stage::build(Arc::clone(&build), index, &finished, &mut steps).await?;
        finished.insert(index, Arc::new(result));
    }
    let target = build.plan.needed.last().and_then(|index| finished.get(index)).cloned();
    let Some(target) = target else {
        return Err(BuildError::Dockerfile { line: 1, problem: "there is no stage to build".to_owned() });
    };
    let digest = blocking(move || {
        let _lease = lease;
        stage::commit(&build, &target)
    })
    .await?;
    Ok(steps.outcome(digest))
}

/// Counts the instructions that do something to files: these are shown.
fn count_steps(plan: &Plan) -> usize {
    let shown =
        |stage: &plan::Stage| 1 + stage.instructions.iter().filter(|instruction| is_step(&instruction.kind)).count();
    plan.needed.iter().map(|index| shown(&plan.stages[*index])).sum()
}

fn is_step(kind: &InstructionKind) -> bool {
    matches!(
        kind,
        InstructionKind::Run(_) | InstructionKind::Copy(_) | InstructionKind::Add(_) | InstructionKind::Workdir(_)
    )
}

/// Reads the instructions and the ignore rules.
fn read_inputs(request: &BuildRequest) -> Result<(String, String), BuildError> {
    if !request.context.is_dir() {
        return Err(BuildError::Specification {
            problem: format!("the context {} is not a directory", request.context.display()),
        });
    }
    let read = |path: &std::path::Path| -> Result<Option<String>, BuildError> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() > TEXT_BYTES_MAX => {
                Err(BuildError::Specification { problem: format!("{} is larger than a megabyte", path.display()) })
            }
            Ok(_) => std::fs::read_to_string(path).map(Some).map_err(io_error("read", path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("look at", path)(error)),
        }
    };
    let needed = |path: &std::path::Path| {
        read(path)?.ok_or_else(|| BuildError::Specification { problem: format!("there is no {}", path.display()) })
    };
    let mut own_ignore = None;
    let text = match &request.dockerfile {
        DockerfileSource::Context => needed(&request.context.join("Dockerfile"))?,
        DockerfileSource::File(path) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".dockerignore");
            own_ignore = read(&path.with_file_name(name))?;
            needed(path)?
        }
        DockerfileSource::Text(text) => text.clone(),
    };
    let ignore = match own_ignore {
        Some(own) => own,
        None => read(&request.context.join(".dockerignore"))?.unwrap_or_default(),
    };
    Ok((text, ignore))
}
