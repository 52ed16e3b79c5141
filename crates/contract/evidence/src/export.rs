//! A project's evidence as files that are checked without Maru: envelopes, reports, public keys, and the chain.
//!
//! docs/formats/evidence.md has every file and the command that checks them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use maru_api::{Digest, canonical_json};
use serde::Deserialize;
use serde_json::json;

use crate::chain::{Refusal, Replay, Verified, check_raw, replay};
use crate::envelope::{PublicKey, Verifier};
use crate::keys::follow;

/// The most bytes that an archive may have, with all its files.
pub const ARCHIVE_BYTES_MAX: u64 = 4 << 30;
const ARCHIVE_FILES_MAX: usize = 400_000;
const FORMAT: &str = "maru.dev/evidence/v1";

/// Files by their paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive itself.
    #[error("the archive is no tar file that could be read")]
    Tar(#[source] std::io::Error),
    /// A path that leads out of the archive, or a link.
    #[error("the archive holds \"{0}\", which is no plain file below it")]
    Path(String),
    /// Too much.
    #[error("the archive holds more than {ARCHIVE_FILES_MAX} files or {ARCHIVE_BYTES_MAX} bytes")]
    TooLarge,
}

#[derive(Deserialize)]
struct ChainFile {
    format: String,
    project: String,
    head: Option<Digest>,
    length: u64,
    records: Vec<Digest>,
}

/// Returns the files of a chain: envelopes in `envelopes/`, reports in `raw/`, keys in `keys/`, and `chain.json`.
///
/// `blobs` gives envelopes and reports by their digests; what it does not have is left out, and the check will say so.
pub fn export(replay: &Replay, keys: &Verifier, blobs: impl Fn(Digest) -> Option<Vec<u8>>) -> Files {
    let mut files = Files::new();
    for key in keys.keys() {
        files.insert(format!("keys/{}.pem", key.id()), key.to_pem().into_bytes());
    }
    for record in &replay.records {
        if let Some(envelope) = blobs(record.digest) {
            files.insert(format!("envelopes/{}.json", record.digest.hex()), envelope);
        }
        if let Some((digest, report)) = record.statement.record.raw.and_then(|raw| Some((raw, blobs(raw)?))) {
            files.insert(format!("raw/{}", digest.hex()), report);
        }
    }
    let chain = json!({
        "format": FORMAT,
        "project": replay.chain.project(),
        "head": replay.chain.head(),
        "length": replay.chain.length(),
        "records": replay.records.iter().map(|record| record.digest).collect::<Vec<_>>(),
    });
    files.insert("chain.json".to_owned(), format!("{}\n", canonical_json(&chain)).into_bytes());
    files.insert("README.txt".to_owned(), README.as_bytes().to_vec());
    for (name, language) in [("verify.sh", "sh"), ("verify.py", "python")] {
        files.insert(name.to_owned(), printed(language).as_bytes().to_vec());
    }
    files
}

/// The page on the format: the programs that check an export are the ones that stand there.
const PAGE: &str = include_str!("../../../../docs/formats/evidence.md");

/// Returns the first block of a language in the page on the format.
fn printed(language: &str) -> &'static str {
    let after = PAGE.split_once(&format!("```{language}\n")).map_or("", |(_, after)| after);
    after.split_once("```").map_or("", |(program, _)| program)
}

const README: &str = "\
This is a project's evidence. It is checked without Maru, by one of these, in this folder:
이 폴더는 프로젝트의 증거입니다. 이 폴더에서 다음 가운데 하나로, Maru 없이 검증할 수 있습니다.

    sh verify.sh            with openssl 3 and jq                        openssl 3과 jq
    python3 verify.py .     with securesystemslib and cryptography       securesystemslib와 cryptography

chain.json       the records in their order, and the last of them     기록의 순서와 마지막 기록
envelopes/       DSSE envelopes over in-toto Statements, Ed25519      서명된 기록
raw/             the reports as the tools wrote them                  도구가 쓴 원본 결과
keys/            public keys; compare their ids with those that you were told    공개 키 (전달받은 식별자와 비교하십시오)

Each envelope's name is the SHA-256 of its bytes; each record names the one before it.
";

/// What a check of exported files found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The project.
    pub project: String,
    /// The ids of the keys that were trusted.
    pub keys: Vec<String>,
    /// The records that stand, in their order.
    pub records: Vec<Verified>,
    /// Everything that is wrong; empty when all is right.
    pub problems: Vec<String>,
}

/// Checks exported files. `trusted` are the keys that the reader was told by other means; none: those in the files.
/// Keys that a trusted key handed over to, or took over from, are trusted in their time.
#[must_use]
pub fn check(files: &Files, trusted: Option<&Verifier>) -> Checked {
    let mut problems = Vec::new();
    let within = keys_within(files, &mut problems);
    let ids = |verifier: &Verifier| verifier.keys().map(|key| key.id()).collect();
    let chain: ChainFile = match files.get("chain.json").map(|text| serde_json::from_slice(text)) {
        Some(Ok(chain)) => chain,
        unread => {
            problems.push(match unread {
                Some(Err(error)) => format!("chain.json cannot be read: {error}"),
                _ => "chain.json is missing".to_owned(),
            });
            let keys = ids(trusted.unwrap_or(&within));
            return Checked { project: String::new(), keys, records: Vec::new(), problems };
        }
    };
    let verifier = trusted.map_or_else(|| within.clone(), |trusted| follow(trusted, &within, files, &chain.records));
    let keys = ids(&verifier);
    if chain.format != FORMAT {
        problems.push(format!("chain.json has the format \"{}\", not \"{FORMAT}\"", chain.format));
    }
    let mut blobs = Vec::new();
    let mut listed = BTreeSet::new();
    for digest in &chain.records {
        let path = format!("envelopes/{}.json", digest.hex());
        match files.get(&path) {
            Some(envelope) => blobs.push((*digest, envelope.clone())),
            None => problems.push(format!("{path} is missing")),
        }
        listed.insert(path);
    }
    for path in files.keys().filter(|path| path.starts_with("envelopes/") && !listed.contains(*path)) {
        problems.push(format!("{path} is in no chain"));
    }
    let replay = replay(&chain.project, &verifier, &blobs);
    problems.extend(replay.refused.iter().map(|(digest, refusal): &(Digest, Refusal)| format!("{digest}: {refusal}")));
    problems.extend(replay.chain.missing_at_end(chain.head));
    if replay.chain.length() != chain.length {
        problems.push(format!("{} records stand, chain.json says {}", replay.chain.length(), chain.length));
    }
    for record in &replay.records {
        let Some(raw) = record.statement.record.raw else { continue };
        match files.get(&format!("raw/{}", raw.hex())) {
            None => problems.push(format!("raw/{} is missing, of record {}", raw.hex(), record.digest)),
            Some(report) => {
                if let Err(refusal) = check_raw(&record.statement.record, report) {
                    problems.push(format!("raw/{}: {refusal}", raw.hex()));
                }
            }
        }
    }
    Checked { project: chain.project, keys, records: replay.records, problems }
}

fn keys_within(files: &Files, problems: &mut Vec<String>) -> Verifier {
    let mut keys = Vec::new();
    for (path, pem) in files.range("keys/".to_owned()..).take_while(|(path, _)| path.starts_with("keys/")) {
        match std::str::from_utf8(pem).ok().and_then(|pem| PublicKey::from_pem(pem).ok()) {
            Some(key) if *path == format!("keys/{}.pem", key.id()) => keys.push(key),
            Some(key) => problems.push(format!("{path} holds the key {}", key.id())),
            None => problems.push(format!("{path} holds no key")),
        }
    }
    Verifier::new(keys)
}

/// Writes files as one archive: the same files give the same bytes.
///
/// # Errors
/// When a path is too long for a tar file.
pub fn to_tar(files: &Files) -> Result<Vec<u8>, ArchiveError> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.as_slice()).map_err(ArchiveError::Tar)?;
    }
    archive.into_inner().map_err(ArchiveError::Tar)
}

/// Reads an archive's files into memory.
///
/// # Errors
/// When it is no tar file, too large, or holds anything but plain files below it.
pub fn from_tar(archive: &[u8]) -> Result<Files, ArchiveError> {
    if archive.len() as u64 > ARCHIVE_BYTES_MAX {
        return Err(ArchiveError::TooLarge);
    }
    let mut files = Files::new();
    let mut reader = tar::Archive::new(archive);
    for entry in reader.entries().map_err(ArchiveError::Tar)? {
        let mut entry = entry.map_err(ArchiveError::Tar)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let is_below = !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | ".."));
        if !entry.header().entry_type().is_file() || !is_below {
            return Err(ArchiveError::Path(path.chars().take(200).collect()));
        }
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        let mut content = Vec::new();
        // An entry cannot hold more than the archive, which is in memory already.
        entry.read_to_end(&mut content).map_err(ArchiveError::Tar)?;
        files.insert(path, content);
        if files.len() > ARCHIVE_FILES_MAX {
            return Err(ArchiveError::TooLarge);
        }
    }
    Ok(files)
}
