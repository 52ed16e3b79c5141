//! `COPY`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_oci::{CopyInstruction, Heredoc, IgnoreRules, expand_variables};

use crate::dockerfile::plan::find;
use crate::dockerfile::sources::{Destination, ModeChange, Override, Selection, SourceRoot, clean, matches};
use crate::dockerfile::stage::{self, Stage, StageResult};
use crate::error::{BuildError, blocking};
use crate::inside::Inside;
use crate::work::MountDirectory;

/// A copy with its words expanded.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) sources: Vec<String>,
    pub(crate) texts: Vec<(String, Vec<u8>)>,
    /// Absolute; ends with a slash when it must be a directory.
    pub(crate) destination: String,
    pub(crate) chown: Option<String>,
    pub(crate) mode: Option<ModeChange>,
    pub(crate) exclude: IgnoreRules,
    pub(crate) parents: bool,
}

/// Replaces the variables of a copy.
pub(crate) fn prepare(stage: &Stage, given: &CopyInstruction) -> Result<Prepared, BuildError> {
    let wrong = |problem: String| BuildError::Specification { problem };
    let exclude = stage.expand_words(&given.exclude)?;
    let chmod = given.chmod.as_deref().map(|word| stage.expand(word)).transpose()?;
    let mode = chmod.map(|text| {
        crate::packages::parse_mode(&text)
            .map(ModeChange)
            .ok_or_else(|| wrong(format!("--chmod={text} is not octal; other forms are not supported")))
    });
    let text = |heredoc: &Heredoc| -> Result<(String, Vec<u8>), BuildError> {
        let content = if heredoc.expand {
            expand_variables(&heredoc.content, stage.build.plan.escape, &|name| stage.lookup(name))
                .map_err(|error| wrong(error.to_string()))?
        } else {
            heredoc.content.clone()
        };
        Ok((heredoc.name.clone(), content.into_bytes()))
    };
    let word = stage.expand(&given.destination)?;
    // "." and what ends with it name directories too.
    let directory = word.ends_with('/') || word == "." || word.ends_with("/.") || word.is_empty();
    let mut destination = format!("/{}", clean(&stage.absolute(&word)));
    if directory && !destination.ends_with('/') {
        destination.push('/');
    }
    Ok(Prepared {
        sources: stage.expand_words(&given.sources)?,
        texts: given.heredocs.iter().map(text).collect::<Result<_, _>>()?,
        destination,
        chown: given.chown.as_deref().map(|word| stage.expand(word)).transpose()?,
        mode: mode.transpose()?,
        exclude: IgnoreRules::from_patterns(exclude.iter().map(String::as_str))
            .map_err(|error| wrong(error.to_string()))?,
        parents: given.parents,
    })
}

/// Does a `COPY`; tells whether its result was there already.
pub(crate) async fn copy(stage: &mut Stage, given: &CopyInstruction) -> Result<bool, BuildError> {
    let prepared = prepare(stage, given)?;
    let from = match &given.from {
        Some(from) => Some(mount_source(stage, &stage.expand(from)?).await?),
        None => None,
    };
    let (mounted, rootfs) = stage.mount().await?;
    let build = Arc::clone(&stage.build);
    let (target, source) = (rootfs.path.clone(), from.as_ref().map(|(_, rootfs)| rootfs.path.clone()));
    let (selection, digest) = blocking(move || {
        let ignore = if source.is_some() { IgnoreRules::default() } else { build.ignore.clone() };
        let root = source.as_deref().unwrap_or(&build.request.context);
        let from = SourceRoot { root, ignore: &ignore, exclude: &prepared.exclude };
        let selection = select(&prepared, &from, &target, source.is_some())?;
        let digest = selection.digest()?;
        Ok((selection, digest))
    })
    .await?;
    let key = stage.key(&["copy", &digest.to_string()]);
    let cached = stage.recall(&key).await?;
    if !cached {
        let root = rootfs.path.clone();
        blocking(move || selection.copy_into(&root)).await?;
        stage.keep(mounted, rootfs.upper, key).await?;
    }
    blocking(move || {
        drop(from);
        Ok(())
    })
    .await?;
    Ok(cached)
}

/// Mounts a stage or an image to copy from.
pub(crate) async fn mount_source(
    stage: &Stage,
    name: &str,
) -> Result<(MountDirectory, maru_images::Rootfs), BuildError> {
    let earlier = stage.build.plan.stages.get(..stage.index).unwrap_or_default();
    let source: Arc<StageResult> = match find(earlier, name).and_then(|index| stage.finished.get(&index)) {
        Some(found) => Arc::clone(found),
        None => Arc::new(stage::image(&stage.build, name).await?),
    };
    stage::mount(&stage.build, source.layers.clone()).await
}

/// Lists what a copy takes, with the paths it gets.
pub(crate) fn select(
    prepared: &Prepared,
    from: &SourceRoot<'_>,
    target: &Path,
    keep_owner: bool,
) -> Result<Selection, BuildError> {
    let inside = Inside::open(target)?;
    let owner = prepared.chown.as_deref().map(|text| owner(target, text)).transpose()?;
    let mut selection = Selection::new(Override { owner, mode: prepared.mode, keep_owner });
    let mut sources = Vec::new();
    for word in &prepared.sources {
        sources.extend(matches(from, word)?);
    }
    let several = sources.len() + prepared.texts.len() > 1;
    if several && !prepared.destination.ends_with('/') && !inside.is_directory(&prepared.destination)? {
        return Err(BuildError::Specification {
            problem: format!("several sources need a directory as destination: write \"{}/\"", prepared.destination),
        });
    }
    let destination = destination(&inside, &prepared.destination)?;
    let whole = !sources.is_empty()
        && sources
            .iter()
            .try_fold(true, |all, source| Ok::<_, BuildError>(all && Inside::open(from.root)?.is_directory(source)?))?;
    add_parents(&inside, &destination, destination.directory || whole, &mut selection)?;
    for source in &sources {
        let mut to = destination.clone();
        if prepared.parents {
            keep_parents(&mut to, source, from.root, &mut selection)?;
        }
        selection.source(from, source, &to)?;
    }
    for (name, text) in &prepared.texts {
        let path = if destination.directory { destination.path.join(name) } else { destination.path.clone() };
        selection.text(path, text.clone());
    }
    Ok(selection)
}

/// `--parents`: sources keep their directories below the destination.
fn keep_parents(to: &mut Destination, source: &str, root: &Path, selection: &mut Selection) -> Result<(), BuildError> {
    let directory = Inside::open(root)?.is_directory(source)?;
    let below = if directory { Path::new(source) } else { Path::new(source).parent().unwrap_or(Path::new("")) };
    let mut path = to.path.clone();
    for part in below.components() {
        path.push(part);
        selection.directory(&path);
    }
    *to = Destination { path, directory: true };
    Ok(())
}

pub(crate) fn destination(inside: &Inside, text: &str) -> Result<Destination, BuildError> {
    let path = PathBuf::from(text.trim_matches('/'));
    let directory = text.ends_with('/') || inside.is_directory(&path)?;
    Ok(Destination { path, directory })
}

/// Lists the directories that have to be made.
pub(crate) fn add_parents(
    inside: &Inside,
    to: &Destination,
    directory: bool,
    selection: &mut Selection,
) -> Result<(), BuildError> {
    let deepest = if directory { Some(to.path.as_path()) } else { to.path.parent() };
    let mut missing: Vec<&Path> = Vec::new();
    for ancestor in deepest.into_iter().flat_map(Path::ancestors).filter(|path| !path.as_os_str().is_empty()) {
        if inside.is_directory(ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    for path in missing.into_iter().rev() {
        selection.directory(path);
    }
    Ok(())
}

/// Finds a `user[:group]` in the image. A number alone stands for the group of the same number, as Docker has it.
pub(crate) fn owner(root: &Path, text: &str) -> Result<(u32, u32), BuildError> {
    if let (Ok(uid), false) = (text.parse::<u32>(), text.contains(':')) {
        return Ok((uid, uid));
    }
    let wanted = maru_container::User { user: text.to_owned(), ..maru_container::User::default() };
    let found = maru_container::resolve_user(root, &wanted)
        .map_err(|error| BuildError::Specification { problem: format!("--chown={text}: {error}") })?;
    Ok((found.uid, found.gid))
}
