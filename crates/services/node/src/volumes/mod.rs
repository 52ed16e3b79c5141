//! A pod's volumes: made before its containers, kept up to date, removed with it.

mod content;
mod directory;
mod host_path;
mod owner;
mod payload;
mod subpath;

pub(crate) use directory::{tmpfs, unmount_below};
pub(crate) use subpath::bind_subpath;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Pod, Volume};
use maru_time::Timestamp;

use crate::config::FieldFacts;
use crate::objects::{ObjectError, Objects, Token};
use crate::pod;

/// A volume could not be made; the pod's containers wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// An object that it is made from is missing or unreadable.
    #[error("volume \"{volume}\"")]
    Object {
        volume: String,
        #[source]
        source: ObjectError,
    },
    /// The object lacks a key.
    #[error("volume \"{volume}\": references non-existent config key: {key}")]
    Key { volume: String, key: String },
    /// Its kind is not known to this node.
    #[error("volume \"{volume}\": {kind} is not supported")]
    Unsupported { volume: String, kind: String },
    /// A claim is not usable yet, or a path is not what it should be.
    #[error("volume \"{volume}\": {problem}")]
    Refused { volume: String, problem: String },
    /// A file could not be made.
    #[error("volume \"{volume}\": could not use \"{path}\"")]
    File {
        volume: String,
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// An object whose change matters to a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dependency {
    ConfigMap { namespace: String, name: String },
    Secret { namespace: String, name: String },
    Claim { namespace: String, name: String },
}

/// A volume on this machine, ready to be mounted into containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
}

/// All volumes of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    pub(crate) by_name: BTreeMap<String, Source>,
    /// When content must be written again although no object changed: tokens grow old.
    pub(crate) refresh_at: Option<Timestamp>,
}

/// Tokens that were written into volumes, by volume and path.
pub(crate) type Tokens = BTreeMap<(String, String), Token>;

/// What volumes are made from.
#[derive(Debug)]
pub(crate) struct VolumeInput<'a> {
    pub(crate) pod: &'a Pod,
    /// The pod's directory on this node.
    pub(crate) directory: &'a Path,
    pub(crate) objects: &'a Objects,
    pub(crate) facts: &'a FieldFacts,
    pub(crate) tokens: &'a mut Tokens,
    /// Volumes that containers use already: only what is made from objects is looked at again.
    pub(crate) present: Option<&'a Sources>,
    pub(crate) now: Timestamp,
}

/// Returns the ConfigMaps, Secrets and claims that the pod's volumes and variables are made from.
pub(crate) fn dependencies(pod: &Pod) -> BTreeSet<Dependency> {
    let namespace = pod::namespace(pod).to_owned();
    let config_map = |name: &str| Dependency::ConfigMap { namespace: namespace.clone(), name: name.to_owned() };
    let secret = |name: &str| Dependency::Secret { namespace: namespace.clone(), name: name.to_owned() };
    let mut all = BTreeSet::new();
    for volume in pod::spec(pod).volumes.iter().flatten() {
        all.extend(volume.config_map.as_ref().map(|source| config_map(&source.name)));
        all.extend(volume.secret.as_ref().and_then(|source| source.secret_name.as_deref()).map(secret));
        for source in volume.projected.iter().flat_map(|one| one.sources.iter().flatten()) {
            all.extend(source.config_map.as_ref().map(|one| config_map(&one.name)));
            all.extend(source.secret.as_ref().map(|one| secret(&one.name)));
        }
        all.extend(claim_name(pod, volume).map(|name| Dependency::Claim { namespace: namespace.clone(), name }));
    }
    for member in pod::members(pod) {
        for source in member.container.env_from.iter().flatten() {
            all.extend(source.config_map_ref.as_ref().map(|one| config_map(&one.name)));
            all.extend(source.secret_ref.as_ref().map(|one| secret(&one.name)));
        }
        for source in member.container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            all.extend(source.config_map_key_ref.as_ref().map(|one| config_map(&one.name)));
            all.extend(source.secret_key_ref.as_ref().map(|one| secret(&one.name)));
        }
    }
    all
}

fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod::name(pod), volume.name)),
        (None, None) => None,
    }
}

/// Makes all volumes, or brings their content up to date. May run any number of times.
pub(crate) async fn prepare(input: &mut VolumeInput<'_>) -> Result<Sources, VolumeError> {
    let mut sources = Sources::default();
    for volume in pod::spec(input.pod).volumes.iter().flatten() {
        let (source, refresh_at) = prepare_one(input, volume).await?;
        sources.by_name.insert(volume.name.clone(), source);
        sources.refresh_at = match (sources.refresh_at, refresh_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(sources)
}

async fn prepare_one(input: &mut VolumeInput<'_>, volume: &Volume) -> Result<(Source, Option<Timestamp>), VolumeError> {
    let path = input.directory.join("volumes").join(&volume.name);
    let group = pod::spec(input.pod).security_context.as_ref().and_then(|context| context.fs_group);
    let group = group.and_then(|id| u32::try_from(id).ok());
    if let Some(content) = content::collect(input, volume).await? {
        let in_memory = volume.config_map.is_none();
        let (to, name) = (path.clone(), volume.name.clone());
        let files = content.files;
        blocking(&volume.name, &path, move || {
            if in_memory {
                directory::tmpfs(&to, None)?;
            } else {
                std::fs::create_dir_all(&to)?;
            }
            payload::write(&to, &files, group).map(|changed| {
                if changed {
                    tracing::debug!(volume = %name, "volume content written");
                }
            })
        })
        .await?;
        return Ok((Source { path, read_only: true }, content.refresh_at));
    }
    if let Some(source) = input.present.and_then(|present| present.by_name.get(&volume.name)) {
        return Ok((source.clone(), None));
    }
    if let Some(empty) = &volume.empty_dir {
        let in_memory = empty.medium.as_deref() == Some("Memory");
        let limit = empty.size_limit.as_ref().and_then(|limit| pod::milli(&limit.0)).map(|milli| milli / 1000);
        let limit = limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        let to = path.clone();
        blocking(&volume.name, &path, move || directory::empty_dir(&to, in_memory, limit, group)).await?;
        return Ok((Source { path, read_only: false }, None));
    }
    if let Some(host) = &volume.host_path {
        let kind = host.type_.clone().unwrap_or_default();
        return host_source(volume, &host.path, &kind, false).await.map(|source| (source, None));
    }
    if let Some(claim) = claim_name(input.pod, volume) {
        return claimed(input, volume, &claim, group).await.map(|source| (source, None));
    }
    Err(VolumeError::Unsupported { volume: volume.name.clone(), kind: kind_of(volume) })
}

async fn host_source(volume: &Volume, path: &str, kind: &str, read_only: bool) -> Result<Source, VolumeError> {
    let (host, kind) = (PathBuf::from(path), kind.to_owned());
    let checked = host.clone();
    blocking(&volume.name, &host.clone(), move || host_path::ensure(&checked, &kind)).await?;
    Ok(Source { path: host, read_only })
}

/// Finds the directory of a bound claim.
async fn claimed(
    input: &VolumeInput<'_>,
    volume: &Volume,
    claim_name: &str,
    group: Option<u32>,
) -> Result<Source, VolumeError> {
    let wrap = |source| VolumeError::Object { volume: volume.name.clone(), source };
    let refuse = |problem: String| VolumeError::Refused { volume: volume.name.clone(), problem };
    let claim = input.objects.claim(pod::namespace(input.pod), claim_name).await.map_err(wrap)?;
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(refuse(format!("persistentvolumeclaim \"{claim_name}\" is being deleted")));
    }
    let is_bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    let bound_to =
        claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|name| !name.is_empty() && is_bound);
    let Some(bound_to) = bound_to else {
        return Err(refuse(format!("persistentvolumeclaim \"{claim_name}\" is not bound yet")));
    };
    let persistent = input.objects.volume(&bound_to).await.map_err(wrap)?;
    let spec = persistent.spec.unwrap_or_default();
    let owner = spec.claim_ref.as_ref().and_then(|reference| reference.uid.clone());
    if owner.is_some() && owner != claim.metadata.uid {
        return Err(refuse(format!("persistentvolume \"{bound_to}\" is bound to another claim")));
    }
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err(VolumeError::Unsupported { volume: volume.name.clone(), kind: "volumeMode Block".to_owned() });
    }
    let read_only = volume.persistent_volume_claim.as_ref().and_then(|source| source.read_only).unwrap_or(false);
    if let Some(host) = &spec.host_path {
        return host_source(volume, &host.path, host.type_.as_deref().unwrap_or_default(), read_only).await;
    }
    let Some(local) = &spec.local else {
        let kind = format!("the kind of persistentvolume \"{bound_to}\"");
        return Err(VolumeError::Unsupported { volume: volume.name.clone(), kind });
    };
    let source = host_source(volume, &local.path, "Directory", read_only).await?;
    if let Some(group) = group {
        let policy =
            pod::spec(input.pod).security_context.as_ref().and_then(|context| context.fs_group_change_policy.clone());
        let path = source.path.clone();
        let on_mismatch = policy.as_deref() == Some("OnRootMismatch");
        blocking(&volume.name, &source.path.clone(), move || owner::give(&path, group, on_mismatch)).await?;
    }
    Ok(source)
}

/// Names the field that says what the volume is.
fn kind_of(volume: &Volume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    let kind = value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).find(|key| key != "name");
    kind.unwrap_or_else(|| "a volume without a source".to_owned())
}

async fn blocking(
    volume: &str,
    path: &Path,
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), VolumeError> {
    let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|source| VolumeError::File { volume: volume.to_owned(), path: path.display().to_string(), source })
}
