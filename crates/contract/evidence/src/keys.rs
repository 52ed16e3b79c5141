//! Another key signs from here on: the report that both keys sign, and which keys follow from which.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maru_api::{Digest, canonical_json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::chain::{check_raw, open};
use crate::envelope::{PublicKey, Signer, Verifier};
use crate::export::Files;

const KIND: &str = "maru.dev/key/v1";

/// Why a report of a rotation is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Not JSON of the right shape.
    #[error("it is no report of a new key: {0}")]
    Malformed(String),
    /// The new key did not sign it.
    #[error("the new key has not signed it")]
    Signature,
}

/// One key hands over to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signed until then, and signs the record.
    pub previous: PublicKey,
    /// The key that signs from then on, and signed the report.
    pub next: PublicKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    kind: String,
    next: Key,
    previous: Key,
    project: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    keyid: String,
    pem: String,
}

/// What the new key signs.
fn agreed(project: &str, previous: &PublicKey, next: &PublicKey) -> Vec<u8> {
    format!("{KIND}\n{project}\n{}\n{}\n", previous.id(), next.id()).into_bytes()
}

impl Rotation {
    /// Returns the report: both keys, signed by the new one. The record about it is signed by the old one.
    #[must_use]
    pub fn report(project: &str, previous: &PublicKey, next: &Signer) -> Vec<u8> {
        let new = next.public_key();
        let signature = next.sign_bytes(&agreed(project, previous, &new));
        let key = |key: &PublicKey| json!({"keyid": key.id(), "pem": key.to_pem()});
        let report = json!({
            "kind": KIND, "project": project, "previous": key(previous), "next": key(&new),
            "signature": STANDARD.encode(signature),
        });
        canonical_json(&report).into_bytes()
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When it is none, or the new key has not signed it.
    pub fn read(report: &[u8]) -> Result<Self, RotationError> {
        let malformed = |why: String| RotationError::Malformed(why);
        let report: Report = serde_json::from_slice(report).map_err(|error| malformed(error.to_string()))?;
        if report.kind != KIND {
            return Err(malformed(format!("its kind is \"{}\"", report.kind.chars().take(80).collect::<String>())));
        }
        let key = |key: &Key| match PublicKey::from_pem(&key.pem) {
            Ok(read) if read.id() == key.keyid => Ok(read),
            Ok(_) => Err(malformed("a key has another id".to_owned())),
            Err(error) => Err(malformed(error.to_string())),
        };
        let (previous, next) = (key(&report.previous)?, key(&report.next)?);
        let signature = STANDARD.decode(&report.signature).map_err(|error| malformed(error.to_string()))?;
        if !next.has_signed(&agreed(&report.project, &previous, &next), &signature) {
            return Err(RotationError::Signature);
        }
        Ok(Self { previous, next })
    }
}

/// Returns the keys that follow from those that are trusted: each rotation is signed by both of its keys, so that who
/// trusts one of them trusts the other as well, each in its time.
pub(crate) fn follow(trusted: &Verifier, within: &Verifier, files: &Files, records: &[Digest]) -> Verifier {
    let mut links: BTreeMap<PublicKey, BTreeSet<PublicKey>> = BTreeMap::new();
    for digest in records {
        let Some(envelope) = files.get(&format!("envelopes/{}.json", digest.hex())) else { continue };
        let Ok(verified) = open(within, *digest, envelope) else { continue };
        let Some(next) = verified.statement.next_key() else { continue };
        let raw = verified.statement.record.raw.and_then(|raw| files.get(&format!("raw/{}", raw.hex())));
        let Some(raw) = raw.filter(|raw| check_raw(&verified.statement.record, raw).is_ok()) else { continue };
        let Ok(rotation) = Rotation::read(raw) else { continue };
        if rotation.next.digest() == next && rotation.previous.digest() == verified.key {
            links.entry(rotation.previous).or_default().insert(rotation.next);
            links.entry(rotation.next).or_default().insert(rotation.previous);
        }
    }
    let mut known: BTreeSet<PublicKey> = trusted.keys().collect();
    let mut open: Vec<PublicKey> = known.iter().copied().collect();
    while let Some(key) = open.pop() {
        let reached = links.get(&key).into_iter().flatten().copied();
        open.extend(reached.filter(|key| known.insert(*key)).collect::<Vec<_>>());
    }
    Verifier::new(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_report_names_both_keys_and_is_signed_by_the_new_one() {
        let (old, new) = (signer(), signer());
        let report = Rotation::report("shop", &old.public_key(), &new);
        let read = Rotation::read(&report).unwrap();
        assert_eq!((read.previous, read.next), (old.public_key(), new.public_key()));
        let text = String::from_utf8(report).unwrap();
        let other = text.replace("\"shop\"", "\"bank\"");
        assert_eq!(Rotation::read(other.as_bytes()), Err(RotationError::Signature));
        let swapped = text.replace(&new.public_key().id(), &old.public_key().id());
        assert!(matches!(Rotation::read(swapped.as_bytes()), Err(RotationError::Malformed(_))));
        assert!(Rotation::read(b"{}").is_err());
    }
}
