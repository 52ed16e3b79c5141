//! A project's evidence as a folder that is checked without Maru: envelopes, reports, the public key, the chain's end.
//!
//! The files are those of docs/formats/evidence.md, and `requirements.json`: the requirements with their verdicts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_api::Digest;
use maru_evidence::export::{self as archive, ARCHIVE_BYTES_MAX, Files};
use maru_evidence::{PublicKey, Verifier, check_raw, replay};
use serde::Serialize;

use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::ledger::{BLOB_BYTES_MAX, LedgerError};
use crate::seal::{Found, Seals, chain_of};
use crate::view::View;
use crate::whole;

/// How deep the folders of an export are.
const FOLDER_DEPTH_MAX: usize = 8;

/// An exported folder could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The project's state could not be read.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    /// The archive, as ZIP.
    #[error(transparent)]
    Zip(#[from] maru_documents::DocumentError),
    /// The disk failed.
    #[error("could not {action} \"{}\"", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Something is in the way.
    #[error("\"{}\" is there already; name a folder, a .tar or a .zip file that is new", .0.display())]
    NotEmpty(PathBuf),
    /// A file of the folder is not what it should be.
    #[error("\"{}\" is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What checking came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The project.
    pub project: String,
    /// The key that signs.
    pub key_id: String,
    /// The last record.
    pub head: Option<Digest>,
    /// How many records stand.
    pub records: u64,
    /// What does not stand: which record or file, and why.
    pub problems: Vec<Problem>,
}

/// Something that does not stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The object, the envelope or the file.
    pub what: String,
    /// Why.
    pub why: String,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.to_owned();
    move |source| PackError::Io { action, path, source }
}

/// Checks all evidence of a project on this machine: objects, envelopes, signatures, the chain and the reports.
///
/// # Errors
/// When the API server or the disk fails; what does not stand is no error but told.
pub async fn verify(desk: &Desk) -> Result<Checked, PackError> {
    let project = desk.name().to_owned();
    let ledger = desk.ledger();
    let mut view = View::default();
    for one in desk.evidence().await? {
        view.evidence.insert((project.clone(), one.metadata.name.clone()), Arc::new(one.into()));
    }
    let mut seals = Seals::new(ledger.clone());
    let sealed = seals.look(
        &view,
        &view.evidence.keys().cloned().collect(),
        &BTreeSet::from([(project.clone(), String::new())]),
    );
    let head = ledger.head(&project)?;
    let key_id = ledger.public_key(&project)?.map(|key| key.id()).unwrap_or_default();
    let mut checked = Checked { project: project.clone(), key_id, head: head.head, ..Checked::default() };
    for ((_, name), record) in &sealed.records {
        let raw = match record {
            Found::Gone => continue,
            Found::Refused(why) => Err(why.clone()),
            Found::Stands(verified) => {
                let raw = verified.statement.record.raw.map(|digest| ledger.get(digest)).transpose();
                raw.map_err(|error| chain_of(&error)).and_then(|raw| {
                    let check = |raw: Vec<u8>| check_raw(&verified.statement.record, &raw);
                    raw.map_or(Ok(()), check).map_err(|error| chain_of(&error))
                })
            }
        };
        match raw {
            Ok(()) => checked.records += 1,
            Err(why) => checked.problems.push(Problem { what: name.clone(), why }),
        }
    }
    let chain = sealed.chains.get(&project).map(|chain| chain.reason.clone()).unwrap_or_default();
    if !chain.is_empty() {
        checked.problems.push(Problem { what: "chain".to_owned(), why: chain });
    }
    Ok(checked)
}

/// Returns what Maru itself found of a project's evidence, where the evidence is not on this machine; else checks it.
///
/// # Errors
/// When the API server or the disk fails.
pub async fn summary(desk: &Desk) -> Result<Checked, PackError> {
    if !desk.ledger().is_absent() {
        return verify(desk).await;
    }
    let status = desk.project().await?.and_then(|project| project.status).unwrap_or_default();
    let mut checked = Checked {
        project: desk.name().to_owned(),
        key_id: status.key_id,
        head: status.chain_head,
        ..Checked::default()
    };
    for one in desk.evidence().await? {
        match one.status {
            Some(status) if status.verified => checked.records += 1,
            Some(status) => checked.problems.push(Problem { what: one.metadata.name, why: status.reason }),
            None => {}
        }
    }
    Ok(checked)
}

/// Returns the files of a project's evidence up to a record, or all of it, and how many records there are.
pub(crate) fn gather(desk: &Desk, until: Option<Digest>) -> Result<(Files, u64), PackError> {
    let (project, ledger) = (desk.name(), desk.ledger());
    let verifier = ledger.verifier(project)?;
    let mut blobs = Vec::new();
    let mut next = match until {
        Some(until) => Some(until),
        None => ledger.head(project)?.head,
    };
    while let Some(digest) = next {
        let envelope = ledger.get(digest)?;
        let verified = maru_evidence::open(&verifier, digest, &envelope)
            .map_err(|error| PackError::Damaged { path: PathBuf::from(digest.to_string()), why: chain_of(&error) })?;
        next = verified.statement.record.previous;
        blobs.push((digest, envelope));
    }
    blobs.reverse();
    let replay = replay(project, &verifier, &blobs);
    let files = archive::export(&replay, &verifier, |digest| ledger.get(digest).ok());
    Ok((files, replay.chain.length()))
}

/// Writes all evidence of a project, and its requirements with their verdicts, into a new folder, or into an archive when
/// the path ends with `.tar` or `.zip`; returns how many records there are.
///
/// # Errors
/// When the place is in use, the API server or a disk fails.
pub async fn export(desk: &Desk, place: &Path) -> Result<u64, PackError> {
    check_is_new(place)?;
    let (mut files, records) = gather(desk, None)?;
    let requirements = desk.requirements().await?;
    files.insert("requirements.json".to_owned(), serde_json::to_vec_pretty(&requirements).unwrap_or_default());
    write(&files, place)?;
    Ok(records)
}

pub(crate) fn check_is_new(place: &Path) -> Result<(), PackError> {
    let is_used = fs::read_dir(place).map_or(place.exists(), |mut entries| entries.next().is_some());
    if is_used { Err(PackError::NotEmpty(place.to_owned())) } else { Ok(()) }
}

/// Writes files into a folder, or into one archive when the place is called so: the same files give the same bytes.
pub(crate) fn write(files: &Files, place: &Path) -> Result<(), PackError> {
    if let Some(kind) = Archive::of(place) {
        let content = match kind {
            Archive::Tar => archive::to_tar(files)?,
            Archive::Zip => maru_documents::to_zip(files)?,
        };
        return fs::write(place, content).map_err(io_error("write", place));
    }
    for (name, content) in files {
        let path = place.join(name);
        let folder = path.parent().unwrap_or(place);
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        fs::write(&path, content).map_err(io_error("write", &path))?;
    }
    Ok(())
}

/// How files are put into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archive {
    Tar,
    Zip,
}

impl Archive {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "tar" => Some(Self::Tar),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }
}

/// Checks an exported folder or archive: envelopes, signatures, the chain from its first record to its end, the reports; of
/// the archive of a whole project the sums of all files as well. With `trusted` the keys that came along are not believed.
///
/// # Errors
/// When it cannot be read; what does not stand is no error but told.
pub fn verify_folder(place: &Path, trusted: Option<PublicKey>) -> Result<Checked, PackError> {
    let mut files = match Archive::of(place) {
        Some(Archive::Tar) => archive::from_tar(&read_limited(place, ARCHIVE_BYTES_MAX)?)?,
        Some(Archive::Zip) => {
            let limit = usize::try_from(ARCHIVE_BYTES_MAX).unwrap_or(usize::MAX);
            maru_documents::from_zip(&read_limited(place, ARCHIVE_BYTES_MAX)?, limit)?
        }
        None => read_folder(place)?,
    };
    let trusted = trusted.map(|key| Verifier::new([key]));
    let whole = if files.contains_key("evidence/chain.json") { std::mem::take(&mut files) } else { Files::new() };
    let below =
        |(path, content): (&String, &Vec<u8>)| Some((path.strip_prefix("evidence/")?.to_owned(), content.clone()));
    files.extend(whole.iter().filter_map(below));
    let found = archive::check(&files, trusted.as_ref());
    let mut problems = found.problems;
    if !whole.is_empty() {
        problems.extend(whole::check(&whole, &found.keys));
    }
    Ok(Checked {
        project: found.project,
        key_id: found.keys.join(", "),
        head: found.records.last().map(|record| record.digest),
        records: found.records.len() as u64,
        problems: problems.into_iter().map(|why| Problem { what: "export".to_owned(), why }).collect(),
    })
}

fn read_limited(path: &Path, bytes_max: u64) -> Result<Vec<u8>, PackError> {
    let length = fs::metadata(path).map_err(io_error("read", path))?.len();
    if length > bytes_max {
        let why = format!("it has {length} bytes, at most {bytes_max} are read");
        return Err(PackError::Damaged { path: path.to_owned(), why });
    }
    fs::read(path).map_err(io_error("read", path))
}

/// Reads all files below a folder; links are not followed.
fn read_folder(place: &Path) -> Result<Files, PackError> {
    let mut files = Files::new();
    let mut open = vec![(place.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let entry = entry.map_err(io_error("list", &folder))?;
            let kind = entry.file_type().map_err(io_error("read", &entry.path()))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if kind.is_dir() && prefix.split('/').count() <= FOLDER_DEPTH_MAX {
                open.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                files.insert(name, read_limited(&entry.path(), BLOB_BYTES_MAX as u64)?);
            }
        }
    }
    Ok(files)
}
