//! One stage: instructions done in order, upon layers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maru_images::{CachedResult, DirectoryForm, DirectoryLayer, Layer};
use maru_oci::{
    Algorithm, Command, Digest, Dockerfile, Hasher, Healthcheck, HealthcheckInstruction, HistoryEntry, ImageConfig,
    Instruction, InstructionKind, Platform, Reference, expand,
};

use crate::dockerfile::plan::{Base, wrong};
use crate::dockerfile::{Build, add, copy, is_step, run};
use crate::error::{BuildError, blocking};
use crate::packages::PATH;
use crate::progress::Steps;
use crate::work::MountDirectory;

/// Changes when the same instruction on the same input gives another layer.
const SALT: &str = "layer 1";

/// What a stage is when all its instructions are done.
#[derive(Debug, Clone)]
pub(crate) struct StageResult {
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: ImageConfig,
}

/// A stage at work.
pub(crate) struct Stage {
    pub(crate) build: Arc<Build>,
    pub(crate) index: usize,
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: ImageConfig,
    /// `ARG`s declared so far, with their values.
    pub(crate) arguments: BTreeMap<String, String>,
    /// Stages that are done.
    pub(crate) finished: BTreeMap<usize, Arc<StageResult>>,
    /// Whether this stage has set its own `CMD`.
    own_cmd: bool,
}

impl Stage {
    pub(crate) async fn build(
        build: Arc<Build>,
        index: usize,
        finished: &BTreeMap<usize, Arc<StageResult>>,
        steps: &mut Steps,
    ) -> Result<StageResult, BuildError> {
        let planned = build.plan.stages[index].clone();
        let mut stage = Self {
            build: Arc::clone(&build),
            index,
            layers: Vec::new(),
            config: ImageConfig::for_platform(&Platform::host()),
            arguments: build.plan.platform_arguments.clone(),
            finished: finished.clone(),
            own_cmd: false,
        };
        steps.start(&planned.from.text);
        let triggers = stage.start(&planned.base, planned.from.line).await?;
        steps.finish(true);
        for instruction in triggers.iter().chain(&planned.instructions) {
            let shown = is_step(&instruction.kind);
            if shown {
                steps.start(&instruction.text);
            }
            let cached = stage.apply(instruction, steps).await.map_err(|error| error.at(instruction))?;
            if shown {
                steps.finish(cached);
            }
        }
        Ok(StageResult { layers: stage.layers, config: stage.config })
    }

    /// Takes over what the base is; returns the instructions it has for builds upon it.
    async fn start(&mut self, base: &Base, line: usize) -> Result<Vec<Instruction>, BuildError> {
        let base = match base {
            Base::Scratch => return Ok(Vec::new()),
            Base::Stage(index) => self.finished.get(index).cloned().ok_or(BuildError::Interrupted)?,
            Base::Image(name) => Arc::new(image(&self.build, name).await.map_err(|error| match error {
                BuildError::NoBase { image, hint } => wrong(line, BuildError::NoBase { image, hint }.to_string()),
                other => other,
            })?),
        };
        self.layers.clone_from(&base.layers);
        self.config = base.config.clone();
        let triggers = std::mem::take(&mut self.config.config.on_build);
        let parsed = triggers.iter().map(|text| {
            Dockerfile::parse_trigger(text)
                .map_err(|error| wrong(line, format!("the base's ONBUILD {text}: {}", error.problem)))
        });
        parsed.collect()
    }

    /// Does one instruction; tells whether its result was there already.
    async fn apply(&mut self, instruction: &Instruction, steps: &Steps) -> Result<bool, BuildError> {
        let before = self.layers.len();
        let cached = match &instruction.kind {
            InstructionKind::Run(given) => run::run(self, instruction, given, steps).await?,
            InstructionKind::Copy(given) => copy::copy(self, given).await?,
            InstructionKind::Add(given) => add::add(self, given).await?,
            InstructionKind::Workdir(path) => self.workdir(path).await?,
            other => {
                self.configure(other)?;
                true
            }
        };
        if !matches!(instruction.kind, InstructionKind::Arg(_)) {
            self.config.history.push(HistoryEntry {
                created: created(self.build.request.epoch),
                created_by: Some(instruction.text.clone()),
                empty_layer: self.layers.len() == before,
                ..HistoryEntry::default()
            });
        }
        Ok(cached)
    }

    /// Does an instruction that changes the configuration only.
    fn configure(&mut self, kind: &InstructionKind) -> Result<(), BuildError> {
        match kind {
            InstructionKind::Arg(arguments) => return self.declare(arguments),
            InstructionKind::Env(pairs) => {
                // All of one instruction see the values from before it.
                for (name, value) in self.expand_pairs(pairs)? {
                    set_env(&mut self.config.config.env, &name, &value);
                }
            }
            InstructionKind::Label(pairs) => {
                for (name, value) in self.expand_pairs(pairs)? {
                    self.config.config.labels.insert(name, value);
                }
            }
            InstructionKind::User(user) => self.config.config.user = self.expand(user)?,
            InstructionKind::Expose(ports) => {
                for port in self.expand_words(ports)? {
                    for name in port_names(&port)? {
                        self.config.config.exposed_ports.insert(name, serde_json::json!({}));
                    }
                }
            }
            InstructionKind::Volume(paths) => {
                for path in self.expand_words(paths)? {
                    self.config.config.volumes.insert(path, serde_json::json!({}));
                }
            }
            InstructionKind::StopSignal(signal) => self.config.config.stop_signal = Some(self.expand(signal)?),
            InstructionKind::Entrypoint(command) => {
                let words = self.arguments_of(command);
                self.config.config.entrypoint = (!words.is_empty()).then_some(words);
                // An inherited command was meant for the inherited entrypoint.
                if !self.own_cmd {
                    self.config.config.cmd = None;
                }
            }
            InstructionKind::Cmd(command) => {
                let words = self.arguments_of(command);
                self.config.config.cmd = (!words.is_empty()).then_some(words);
                self.own_cmd = true;
            }
            InstructionKind::Shell(words) => self.config.config.shell = Some(words.clone()),
            InstructionKind::Healthcheck(check) => self.config.config.healthcheck = Some(healthcheck(check)),
            InstructionKind::OnBuild(text) => self.config.config.on_build.push(text.clone()),
            InstructionKind::Maintainer(name) => self.config.author = Some(name.clone()),
            InstructionKind::From(_)
            | InstructionKind::Run(_)
            | InstructionKind::Copy(_)
            | InstructionKind::Add(_)
            | InstructionKind::Workdir(_) => {}
        }
        Ok(())
    }

    fn declare(&mut self, arguments: &[(String, Option<String>)]) -> Result<(), BuildError> {
        for (name, default) in arguments {
            let default = default.as_deref().map(|word| self.expand(word)).transpose()?;
            let given = self.build.request.build_arguments.get(name).cloned();
            let inherited = || self.build.plan.global_arguments.get(name).cloned();
            if let Some(value) = given.or(default).or_else(inherited) {
                self.arguments.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// Returns the value of a variable as instructions see it: the environment hides arguments.
    pub(crate) fn lookup(&self, name: &str) -> Option<String> {
        let env = self.config.config.env.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        env.map(str::to_owned).or_else(|| self.arguments.get(name).cloned())
    }

    pub(crate) fn expand(&self, word: &str) -> Result<String, BuildError> {
        expand(word, self.build.plan.escape, &|name| self.lookup(name))
            .map_err(|error| BuildError::Specification { problem: error.to_string() })
    }

    pub(crate) fn expand_words(&self, words: &[String]) -> Result<Vec<String>, BuildError> {
        words.iter().map(|word| self.expand(word)).collect()
    }

    fn expand_pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, BuildError> {
        pairs.iter().map(|(name, value)| Ok((self.expand(name)?, self.expand(value)?))).collect()
    }

    /// Returns the arguments of a command, with the shell for the shell form.
    pub(crate) fn arguments_of(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let shell = self.config.config.shell.clone();
                let mut words = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                words.push(text.clone());
                words
            }
        }
    }

    /// Returns an absolute path, relative ones being relative to the working directory.
    pub(crate) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.config.config.working_dir.trim_end_matches('/'))
        }
    }

    /// Returns the identity of the layers so far.
    fn chain(&self) -> String {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for layer in &self.layers {
            hasher.update(layer.diff_id.to_string().as_bytes());
        }
        hasher.finish().to_string()
    }

    /// Names a layer by everything it depends on.
    pub(crate) fn key(&self, parts: &[&str]) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for part in [SALT, &self.chain(), &self.build.request.epoch.to_string()].iter().chain(parts) {
            hasher.update(format!("{}:", part.len()).as_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finish()
    }

    /// Adds the layer that the cache has under a key; tells whether it has one.
    pub(crate) async fn recall(&mut self, key: &Digest) -> Result<bool, BuildError> {
        if !self.build.request.cache {
            return Ok(false);
        }
        let (store, key) = (self.build.store.clone(), key.clone());
        match blocking(move || Ok(store.recall(&key)?)).await? {
            Some(CachedResult::Layer(layer)) => {
                self.layers.push(*layer);
                Ok(true)
            }
            Some(CachedResult::Image(_)) | None => Ok(false),
        }
    }

    /// Mounts the layers so far.
    pub(crate) async fn mount(&self) -> Result<(MountDirectory, maru_images::Rootfs), BuildError> {
        mount(&self.build, self.layers.clone()).await
    }

    /// Makes a layer of the changes to a mounted root, and keeps it under a key.
    pub(crate) async fn keep(
        &mut self,
        mounted: MountDirectory,
        upper: std::path::PathBuf,
        key: Digest,
    ) -> Result<(), BuildError> {
        let (store, epoch) = (self.build.store.clone(), self.build.request.epoch);
        let layer = blocking(move || {
            let layer =
                store.put_directory(&upper, DirectoryLayer { form: DirectoryForm::Overlay, modified_max: epoch })?;
            store.remember(&key, &CachedResult::Layer(Box::new(layer.clone())))?;
            drop(mounted);
            Ok(layer)
        })
        .await?;
        self.layers.push(layer);
        Ok(())
    }

    /// `WORKDIR`: makes the directory when it is not there.
    async fn workdir(&mut self, path: &str) -> Result<bool, BuildError> {
        let path = self.absolute(&self.expand(path)?);
        let cleaned = format!("/{}", crate::dockerfile::sources::clean(&path));
        self.config.config.working_dir.clone_from(&cleaned);
        let key = self.key(&["workdir", &cleaned]);
        if self.recall(&key).await? {
            return Ok(true);
        }
        let (mounted, rootfs) = self.mount().await?;
        let (root, wanted) = (rootfs.path.clone(), cleaned.clone());
        let (mounted, made) = blocking(move || {
            let inside = crate::inside::Inside::open(&root)?;
            if inside.is_directory(&wanted)? {
                return Ok((mounted, false));
            }
            let mut additions = crate::inside::Additions::default();
            additions.directory(&wanted, crate::inside::Looks::DIRECTORY);
            additions.write(&root, 0)?;
            Ok((mounted, true))
        })
        .await?;
        if made {
            self.keep(mounted, rootfs.upper, key).await?;
        } else {
            blocking(move || {
                drop(mounted);
                Ok(())
            })
            .await?;
        }
        Ok(!made)
    }
}

/// Mounts layers in a directory of the build.
pub(crate) async fn mount(
    build: &Arc<Build>,
    layers: Vec<Layer>,
) -> Result<(MountDirectory, maru_images::Rootfs), BuildError> {
    let build = Arc::clone(build);
    blocking(move || {
        let directory = build.work.mount_directory()?;
        let rootfs = build.store.mount_layers(&layers, directory.path())?;
        Ok((directory, rootfs))
    })
    .await
}

/// Returns an image by its name; pulls it when it is not here and the request allows.
pub(crate) async fn image(build: &Arc<Build>, name: &str) -> Result<StageResult, BuildError> {
    let reference: Reference = name
        .parse()
        .map_err(|error: maru_oci::ReferenceError| BuildError::Specification { problem: error.to_string() })?;
    let (store, wanted) = (build.store.clone(), reference.clone());
    let found = blocking(move || Ok(store.resolve(&wanted)?)).await?;
    let digest = match (found, &build.request.pull) {
        (Some(digest), _) => digest,
        (None, Some(options)) => build.store.pull(&reference, options.clone()).await?,
        (None, None) => {
            return Err(BuildError::NoBase {
                image: reference.familiar(),
                hint: "load it, build it, or allow pulling from a registry".to_owned(),
            });
        }
    };
    let store = build.store.clone();
    blocking(move || {
        let image = store.image(&digest)?;
        Ok(StageResult { layers: image.layers()?, config: image.config })
    })
    .await
}

/// Stores the image of a finished stage, and names it.
pub(crate) fn commit(build: &Build, target: &StageResult) -> Result<Digest, BuildError> {
    let mut config = target.config.clone();
    config.created = created(build.request.epoch);
    config.config.labels.extend(build.request.labels.clone());
    if !config.config.env.iter().any(|entry| entry.starts_with("PATH=")) {
        config.config.env.insert(0, PATH.to_owned());
    }
    let digest = build.store.commit_image(config, &target.layers)?;
    for reference in &build.request.references {
        build.store.tag(&digest, reference)?;
    }
    Ok(digest)
}

fn created(epoch: i64) -> Option<String> {
    jiff::Timestamp::from_second(epoch).ok().map(maru_time::rfc3339_seconds)
}

pub(crate) fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
        Some(known) => *known = entry,
        None => env.push(entry),
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`
fn port_names(port: &str) -> Result<Vec<String>, BuildError> {
    let error = || BuildError::Specification {
        problem: format!("\"{port}\" is not a port, a range of ports, or either with /tcp or /udp"),
    };
    let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| error())?, last.parse().map_err(|_| error())?);
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") || first > last {
        return Err(error());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn healthcheck(check: &HealthcheckInstruction) -> Healthcheck {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let test = match &check.command {
        None => vec!["NONE".to_owned()],
        Some(Command::Exec(words)) => std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect(),
        Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    Healthcheck {
        test,
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: check.retries,
    }
}
