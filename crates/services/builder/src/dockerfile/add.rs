//! `ADD`: as `COPY`, but archives are unpacked and URLs fetched.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_oci::{CopyInstruction, Digest, Hasher};

use crate::dockerfile::copy::{self, Prepared};
use crate::dockerfile::sources::{ModeChange, Override, Selection, SourceRoot, hash_file, matches};
use crate::dockerfile::stage::Stage;
use crate::error::{BuildError, blocking, io_error};
use crate::inside::Inside;

/// Largest file that is fetched.
const FETCH_BYTES_MAX: u64 = 8 << 30;

/// A fetched file.
#[derive(Debug, Clone)]
struct Fetched {
    path: PathBuf,
    name: String,
}

/// Does an `ADD`; tells whether its result was there already.
pub(crate) async fn add(stage: &mut Stage, given: &CopyInstruction) -> Result<bool, BuildError> {
    let mut prepared = copy::prepare(stage, given)?;
    let (urls, files): (Vec<String>, Vec<String>) = prepared
        .sources
        .into_iter()
        .partition(|source| source.starts_with("http://") || source.starts_with("https://"));
    prepared.sources = files;
    let checksum = given.checksum.as_deref().map(|word| stage.expand(word)).transpose()?;
    let expected = match checksum {
        None => None,
        Some(_) if urls.len() != 1 || !prepared.sources.is_empty() => {
            return Err(BuildError::Specification { problem: "--checksum needs exactly one URL as source".to_owned() });
        }
        Some(text) => {
            Some(text.parse::<Digest>().map_err(|error| BuildError::Specification { problem: error.to_string() })?)
        }
    };
    let mut fetched = Vec::new();
    for url in &urls {
        fetched.push(fetch(stage, url, expected.as_ref()).await?);
    }
    let (mounted, rootfs) = stage.mount().await?;
    let (build, target, unpack) = (Arc::clone(&stage.build), rootfs.path.clone(), given.unpack);
    let (parts, digest) = blocking(move || {
        let from = SourceRoot { root: &build.request.context, ignore: &build.ignore, exclude: &prepared.exclude };
        let parts = select(&prepared, &from, &target, &fetched, unpack)?;
        let digest = parts.digest()?;
        Ok((parts, digest))
    })
    .await?;
    let key = stage.key(&["add", &digest]);
    let cached = stage.recall(&key).await?;
    if !cached {
        let root = rootfs.path.clone();
        blocking(move || parts.write(&root)).await?;
        stage.keep(mounted, rootfs.upper, key).await?;
    }
    Ok(cached)
}

/// What an `ADD` writes.
struct Parts {
    plain: Selection,
    /// Archives with the directories they are unpacked in.
    archives: Vec<(PathBuf, PathBuf)>,
}

impl Parts {
    fn digest(&self) -> Result<String, BuildError> {
        let mut text = self.plain.digest()?.to_string();
        for (archive, directory) in &self.archives {
            text.push_str(&format!("\n{} {}", hash_file(archive)?, directory.display()));
        }
        Ok(text)
    }

    fn write(&self, root: &Path) -> Result<(), BuildError> {
        self.plain.copy_into(root)?;
        for (archive, directory) in &self.archives {
            let inside = Inside::open(root)?;
            let Some(place) = inside.locate(directory)? else {
                return Err(crate::dockerfile::sources::missing(&directory.display().to_string()));
            };
            let file = File::open(archive).map_err(io_error("open", archive))?;
            let mut plain = maru_oci::decompress(file).map_err(io_error("read", archive))?;
            maru_images::unpack_archive(&mut plain, &place, &|_| false)?;
        }
        Ok(())
    }
}

fn select(
    prepared: &Prepared,
    from: &SourceRoot<'_>,
    target: &Path,
    fetched: &[Fetched],
    unpack: Option<bool>,
) -> Result<Parts, BuildError> {
    let context = Inside::open(from.root)?;
    let inside = Inside::open(target)?;
    let mut archives = Vec::new();
    let mut plain_sources = Vec::new();
    for word in &prepared.sources {
        for source in matches(from, word)? {
            match context.locate(&source)?.filter(|place| place.is_file()) {
                Some(place) if unpack != Some(false) && is_archive(&place)? => archives.push(place),
                _ => plain_sources.push(source),
            }
        }
    }
    let mut files = Vec::new();
    for file in fetched {
        if unpack == Some(true) && is_archive(&file.path)? {
            archives.push(file.path.clone())
        } else {
            files.push(file)
        }
    }
    let rest = Prepared { sources: plain_sources, ..prepared.clone() };
    let mut plain = if rest.sources.is_empty() && rest.texts.is_empty() {
        let owner = prepared.chown.as_deref().map(|text| copy::owner(target, text)).transpose()?;
        // Fetched files are private unless told otherwise.
        Selection::new(Override { owner, mode: prepared.mode.or(Some(ModeChange(0o600))), keep_owner: false })
    } else {
        copy::select(&rest, from, target, false)?
    };
    let destination = copy::destination(&inside, &prepared.destination)?;
    copy::add_parents(&inside, &destination, destination.directory || !archives.is_empty(), &mut plain)?;
    for file in files {
        let path = if destination.directory { destination.path.join(&file.name) } else { destination.path.clone() };
        plain.file(path, &file.path)?;
    }
    Ok(Parts { plain, archives: archives.into_iter().map(|archive| (archive, destination.path.clone())).collect() })
}

/// Tells whether a file is a tar archive, perhaps compressed with gzip or zstd.
fn is_archive(path: &Path) -> Result<bool, BuildError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let mut magic = [0u8; 6];
    let count = file.read(&mut magic).map_err(io_error("read", path))?;
    let name = path.to_string_lossy().to_ascii_lowercase();
    let tar = [".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz"].iter().any(|ending| name.ends_with(ending));
    if tar
        && (magic
            .get(..count)
            .is_some_and(|start| start.starts_with(b"BZh") || start == [0xfd, b'7', b'z', b'X', b'Z', 0]))
    {
        return Err(BuildError::Specification {
            problem: format!(
                "{} is compressed with xz or bzip2, which ADD does not unpack; COPY it and unpack it in a RUN",
                path.display()
            ),
        });
    }
    file.rewind().map_err(io_error("read", path))?;
    let Ok(mut plain) = maru_oci::decompress(file) else { return Ok(false) };
    let mut block = [0u8; 512];
    Ok(plain.read_exact(&mut block).is_ok() && block.get(257..262) == Some(b"ustar"))
}

/// Fetches a URL into the build's directory, or takes the file of a known digest from the store.
async fn fetch(stage: &Stage, url: &str, expected: Option<&Digest>) -> Result<Fetched, BuildError> {
    let name = url
        .split(['?', '#'])
        .next()
        .unwrap_or(url)
        .rsplit('/')
        .next()
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .unwrap_or("download")
        .to_owned();
    let store = stage.build.store.clone();
    if let Some(expected) = expected
        && store.blobs().contains(expected)?
    {
        return Ok(Fetched { path: store.blobs().path(expected), name });
    }
    let failed = |message: String| BuildError::Fetch { url: url.to_owned(), message };
    let path = stage.build.work.path(&format!("fetched-{}", maru_ids::random_suffix(10)));
    let client = maru_images::http_client(&maru_images::RegistryOptions {
        ca_bundle: stage.build.request.access.ca_bundle.clone(),
        http_proxy: stage.build.request.access.http_proxy.clone(),
        https_proxy: stage.build.request.access.https_proxy.clone(),
        no_proxy: stage.build.request.access.no_proxy.clone(),
        ..maru_images::RegistryOptions::default()
    })
    .map_err(|error| failed(error.to_string()))?;
    let mut response = client.get(url).send().await.map_err(|error| failed(story(&error)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    let mut file = File::create(&path).map_err(io_error("create", &path))?;
    let mut hasher = expected.map(|digest| Hasher::new(digest.algorithm()));
    let mut received = 0u64;
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(story(&error)))? {
        received += chunk.len() as u64;
        if received > FETCH_BYTES_MAX {
            return Err(failed("it is larger than 8 GiB".to_owned()));
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk);
        }
        file.write_all(&chunk).map_err(io_error("write", &path))?;
    }
    if let (Some(hasher), Some(expected)) = (hasher, expected) {
        let actual = hasher.finish();
        if actual != *expected {
            return Err(failed(format!("its content hashes to {actual}, --checksum says {expected}")));
        }
        let (from, expected) = (path.clone(), expected.clone());
        blocking(move || {
            let mut writer = store.blobs().writer(expected.algorithm())?;
            let mut file = File::open(&from).map_err(io_error("open", &from))?;
            std::io::copy(&mut file, &mut writer).map_err(io_error("keep", &from))?;
            writer.commit(Some(&expected))?;
            Ok(())
        })
        .await?;
    }
    Ok(Fetched { path, name })
}

/// Returns an error with its causes.
fn story(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
