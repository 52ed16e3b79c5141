//! A project's evidence as a folder that is checked without Maru: envelopes, reports, the public key, the chain's end.
//!
//! `project.json`, `key.pem`, `head.json`, `envelopes/HEX.json`, `reports/HEX`, and the requirements with their verdicts
//! in `requirements.json`. See docs/formats/evidence.md.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_api::Digest;
use maru_evidence::{PublicKey, Replay, Verifier, check_raw, replay};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::desk::{Desk, DeskError, seen};
use crate::ledger::{BLOB_BYTES_MAX, Head, LedgerError};
use crate::plan::View;
use crate::seal::{Seals, chain_of};

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
    #[error("\"{}\" is not empty; name a folder that is new", .0.display())]
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

#[derive(Serialize, Deserialize)]
struct ProjectFile {
    project: String,
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
        view.evidence.insert((project.clone(), one.metadata.name.clone()), Arc::new(seen(one)));
    }
    let mut seals = Seals::new(ledger.clone());
    let sealed = seals.look(&view);
    let head = ledger.head(&project)?;
    let key_id = ledger.public_key(&project)?.map(|key| key.id()).unwrap_or_default();
    let mut checked = Checked { project: project.clone(), key_id, head: head.head, ..Checked::default() };
    for ((_, name), record) in &sealed.records {
        let raw = record.clone().and_then(|verified| {
            let Some(digest) = verified.statement.record.raw else { return Ok(()) };
            let raw = ledger.get(digest).map_err(|error| chain_of(&error))?;
            check_raw(&verified.statement.record, &raw).map_err(|error| chain_of(&error))
        });
        match raw {
            Ok(()) => checked.records += 1,
            Err(why) => checked.problems.push(Problem { what: name.clone(), why }),
        }
    }
    let chain = sealed.chains.get(&project).map(|chain| chain.reason.clone()).unwrap_or_default();
    if !chain.is_empty() {
        checked.problems.push(Problem { what: "chain".to_owned(), why: chain });
    } else if sealed.records.is_empty() && head.length > 0 {
        let why = format!("{} records of the chain have no object: they were removed", head.length);
        checked.problems.push(Problem { what: "chain".to_owned(), why });
    }
    Ok(checked)
}

/// Writes all evidence of a project into a new folder; returns how many records there are.
///
/// # Errors
/// When the folder is in use, the API server or a disk fails, or a record of the chain cannot be read.
pub async fn export(desk: &Desk, folder: &Path) -> Result<u64, PackError> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(PackError::NotEmpty(folder.to_owned()));
    }
    let (project, ledger) = (desk.name(), desk.ledger());
    for part in ["envelopes", "reports"] {
        let path = folder.join(part);
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
    }
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, content).map_err(io_error("write", &path))
    };
    let head = ledger.head(project)?;
    let verifier = ledger.verifier(project)?;
    let mut next = head.head;
    let mut records = 0;
    while let Some(digest) = next {
        let envelope = ledger.get(digest)?;
        write(&format!("envelopes/{}.json", digest.hex()), &envelope)?;
        let verified = maru_evidence::open(&verifier, digest, &envelope).map_err(|error| PackError::Damaged {
            path: PathBuf::from(format!("envelopes/{}.json", digest.hex())),
            why: chain_of(&error),
        })?;
        if let Some(raw) = verified.statement.record.raw {
            write(&format!("reports/{}", raw.hex()), &ledger.get(raw)?)?;
        }
        records += 1;
        next = verified.statement.record.previous;
    }
    if let Some(key) = ledger.public_key(project)? {
        write("key.pem", key.to_pem().as_bytes())?;
    }
    let requirements = desk.requirements().await?;
    write("requirements.json", &serde_json::to_vec_pretty(&requirements).unwrap_or_default())?;
    write("project.json", json!({"project": project}).to_string().as_bytes())?;
    let head = Head { pending: false, ..head };
    write("head.json", &serde_json::to_vec(&head).unwrap_or_default())?;
    Ok(records)
}

/// Checks an exported folder: envelopes, signatures, the chain from its first record to its end, and the reports.
/// With `trusted` the folder's own key is not believed.
///
/// # Errors
/// When the folder is none of an export; what does not stand is no error but told.
pub fn verify_folder(folder: &Path, trusted: Option<PublicKey>) -> Result<Checked, PackError> {
    let ProjectFile { project } = read_json(&folder.join("project.json"))?;
    let head: Head = read_json(&folder.join("head.json"))?;
    let key = match trusted {
        Some(key) => key,
        None => {
            let path = folder.join("key.pem");
            let pem = fs::read_to_string(&path).map_err(io_error("read", &path))?;
            PublicKey::from_pem(&pem).map_err(|error| PackError::Damaged { path, why: chain_of(&error) })?
        }
    };
    let mut checked = Checked { project: project.clone(), key_id: key.id(), head: head.head, ..Checked::default() };
    let mut blobs = Vec::new();
    for path in files_of(&folder.join("envelopes"))? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match Digest::from_hex(&stem) {
            Ok(named) => blobs.push((named, read_limited(&path)?)),
            Err(error) => checked.problems.push(Problem { what: path.display().to_string(), why: error.to_string() }),
        }
    }
    let Replay { chain, records, refused } = replay(&project, &Verifier::new([key]), &blobs);
    for (digest, refusal) in refused {
        checked.problems.push(Problem { what: digest.to_string(), why: chain_of(&refusal) });
    }
    if let Some(why) = chain.missing_at_end(head.head) {
        checked.problems.push(Problem { what: "chain".to_owned(), why });
    }
    for verified in &records {
        let Some(raw) = verified.statement.record.raw else { continue };
        let path = folder.join("reports").join(raw.hex());
        let result = read_limited(&path)
            .map_err(|error| chain_of(&error))
            .and_then(|content| check_raw(&verified.statement.record, &content).map_err(|error| chain_of(&error)));
        if let Err(why) = result {
            checked.problems.push(Problem { what: verified.digest.to_string(), why });
        }
    }
    checked.records = records.len() as u64;
    Ok(checked)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, PackError> {
    let content = read_limited(path)?;
    serde_json::from_slice(&content)
        .map_err(|error| PackError::Damaged { path: path.to_owned(), why: error.to_string() })
}

fn read_limited(path: &Path) -> Result<Vec<u8>, PackError> {
    let length = fs::metadata(path).map_err(io_error("read", path))?.len();
    if length > BLOB_BYTES_MAX as u64 {
        let why = format!("it has {length} bytes, at most {BLOB_BYTES_MAX} are read");
        return Err(PackError::Damaged { path: path.to_owned(), why });
    }
    fs::read(path).map_err(io_error("read", path))
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    let entries = fs::read_dir(folder).map_err(io_error("list", folder))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(io_error("list", folder))?.path());
    }
    files.sort();
    Ok(files)
}
