//! The chain of a project's evidence: each record names the one before it, so that none is removed, added or repeated unseen.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maru_api::Digest;
use rayon::prelude::*;

use crate::envelope::{EnvelopeError, Signer, Verifier};
use crate::record::{Draft, Record, Statement, StatementError};

/// An envelope that stood up to every check, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The envelope's digest.
    pub digest: Digest,
    /// The id of the key that signed it.
    pub key: Digest,
    /// What it says.
    pub statement: Statement,
}

impl Verified {
    /// Returns the key that must sign the record after this one.
    #[must_use]
    pub fn next_key(&self) -> Digest {
        self.statement.next_key().unwrap_or(self.key)
    }
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The envelope itself.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// What it holds.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The blob is not what its name says.
    #[error("the blob hashes to {actual}, its name says {named}: it was altered or mixed up")]
    Digest {
        /// The digest by which it was asked for.
        named: Digest,
        /// The digest that it has.
        actual: Digest,
    },
    /// Another project's.
    #[error("the record belongs to project \"{found}\", this chain to \"{expected}\"")]
    Project {
        /// The record's project.
        found: String,
        /// The chain's project.
        expected: String,
    },
    /// Already there.
    #[error("the record {0} is in the chain already")]
    Replayed(Digest),
    /// Something before it is missing, or it was never a part of this chain.
    #[error("the record's place is {sequence} after {}, the chain's end is {expected} after {}; a record is missing, or it is from another chain", show(*.previous), show(*.head))]
    OutOfChain {
        /// Its place, as it says.
        sequence: u64,
        /// What it says is before it.
        previous: Option<Digest>,
        /// The chain's next place.
        expected: u64,
        /// The chain's last record.
        head: Option<Digest>,
    },
    /// Signed by a key whose time is over, or was not yet.
    #[error("the record is signed by key {}, at its place in the chain key {} signs", found.hex(), expected.hex())]
    Key {
        /// The key whose turn it is.
        expected: Digest,
        /// The key that signed.
        found: Digest,
    },
    /// The report is not the one that was signed.
    #[error("the report hashes to {actual}, the record says {expected}")]
    Raw {
        /// What was signed.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
}

fn show(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string())
}

/// Checks one envelope without its place in the chain.
///
/// # Errors
/// When it is altered, foreign, or not what its name says.
pub fn open(verifier: &Verifier, named: Digest, envelope: &[u8]) -> Result<Verified, Refusal> {
    let actual = Digest::of(envelope);
    if actual != named {
        return Err(Refusal::Digest { named, actual });
    }
    let opened = verifier.open_signed(envelope)?;
    Ok(Verified { digest: named, key: opened.key, statement: Statement::from_payload(&opened.payload)? })
}

/// Reads and checks many envelopes, on all cores.
pub fn open_all<E: std::fmt::Display>(
    verifier: &Verifier,
    digests: &[Digest],
    read: impl Fn(Digest) -> Result<Vec<u8>, E> + Sync,
) -> Vec<(Digest, Result<Verified, String>)> {
    let check = |digest: Digest| {
        let envelope = read(digest).map_err(|error| error.to_string())?;
        open(verifier, digest, &envelope).map_err(|refusal| refusal.to_string())
    };
    digests.par_iter().map(|digest| (*digest, check(*digest))).collect()
}

/// Checks the report that a record was made of.
///
/// # Errors
/// When it is another one.
pub fn check_raw(record: &Record, raw: &[u8]) -> Result<(), Refusal> {
    let actual = Digest::of(raw);
    match record.raw {
        Some(expected) if expected != actual => Err(Refusal::Raw { expected, actual }),
        _ => Ok(()),
    }
}

/// The chain as far as it is known: grows at its end only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    project: String,
    head: Option<Digest>,
    length: u64,
    seen: BTreeSet<Digest>,
    /// The key whose turn it is; none before the first record.
    key: Option<Digest>,
}

impl Chain {
    /// Returns the chain without records.
    pub fn new(project: impl Into<String>) -> Self {
        Self { project: project.into(), head: None, length: 0, seen: BTreeSet::new(), key: None }
    }

    /// Returns the project's name.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the last record.
    #[must_use]
    pub fn head(&self) -> Option<Digest> {
        self.head
    }

    /// Returns how many records there are.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes a record that is next.
    ///
    /// # Errors
    /// When it is altered, foreign, there already, or not next. The chain stays as it was.
    pub fn append(&mut self, verifier: &Verifier, named: Digest, envelope: &[u8]) -> Result<Verified, Refusal> {
        let verified = open(verifier, named, envelope)?;
        self.admit(&verified)?;
        Ok(verified)
    }

    fn admit(&mut self, verified: &Verified) -> Result<(), Refusal> {
        let record = &verified.statement.record;
        if record.project != self.project {
            return Err(Refusal::Project { found: record.project.clone(), expected: self.project.clone() });
        }
        if self.seen.contains(&verified.digest) {
            return Err(Refusal::Replayed(verified.digest));
        }
        if record.sequence != self.length || record.previous != self.head {
            return Err(Refusal::OutOfChain {
                sequence: record.sequence,
                previous: record.previous,
                expected: self.length,
                head: self.head,
            });
        }
        if let Some(expected) = self.key.filter(|key| *key != verified.key) {
            return Err(Refusal::Key { expected, found: verified.key });
        }
        self.key = Some(verified.next_key());
        self.seen.insert(verified.digest);
        self.head = Some(verified.digest);
        self.length += 1;
        Ok(())
    }

    /// Signs a draft as the next record. The caller stores the bytes durably, then takes them in with [`Chain::append`].
    #[must_use]
    pub fn sign(&self, signer: &Signer, draft: Draft, now: Timestamp) -> (Digest, Vec<u8>) {
        let record = Record {
            project: self.project.clone(),
            sequence: self.length,
            previous: self.head,
            recorded: now,
            name: draft.name,
            environment: draft.environment,
            producer: draft.producer,
            window: draft.window,
            result: draft.result,
            cases: draft.cases,
            raw: draft.raw,
            valid_until: draft.valid_until,
        };
        let statement = Statement { kind: draft.kind, subjects: draft.subjects, record };
        let envelope = signer.sign(&statement.to_payload());
        (Digest::of(&envelope), envelope)
    }

    /// Returns what is wrong when the chain should have ended elsewhere.
    #[must_use]
    pub fn missing_at_end(&self, head: Option<Digest>) -> Option<String> {
        (self.head != head).then(|| {
            format!(
                "the chain ends with {}, but it should end with {}: records are missing",
                show(self.head),
                show(head)
            )
        })
    }
}

/// What became of each blob when a whole chain was read again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The chain of all records that stood.
    pub chain: Chain,
    /// The records in their order.
    pub records: Vec<Verified>,
    /// The blobs that did not stand, and why.
    pub refused: Vec<(Digest, Refusal)>,
}

/// Reads a project's blobs again, in whatever order they come, and puts those that stand into the chain.
#[must_use]
pub fn replay(project: &str, verifier: &Verifier, blobs: &[(Digest, Vec<u8>)]) -> Replay {
    let mut replay = Replay { chain: Chain::new(project), records: Vec::new(), refused: Vec::new() };
    let mut standing: Vec<Verified> = Vec::new();
    // Signatures are what takes the time, and each stands for itself.
    let opened: Vec<_> = blobs.par_iter().map(|(named, envelope)| (*named, open(verifier, *named, envelope))).collect();
    for (named, result) in opened {
        match result {
            Ok(verified) => standing.push(verified),
            Err(refusal) => replay.refused.push((named, refusal)),
        }
    }
    standing.sort_by_key(|verified| verified.statement.record.sequence);
    for verified in standing {
        match replay.chain.admit(&verified) {
            Ok(()) => replay.records.push(verified),
            Err(refusal) => replay.refused.push((verified.digest, refusal)),
        }
    }
    replay
}

#[cfg(test)]
mod tests {
    use maru_api::{Measured, Outcome, Producer, Subject, SubjectKind, Window};

    use super::*;
    use crate::record::EvidenceKind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn signer() -> Signer {
        Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap()
    }

    fn draft(name: &str) -> Draft {
        Draft {
            kind: EvidenceKind::Test,
            subjects: vec![Subject {
                kind: SubjectKind::Requirement,
                name: "fr-001".to_owned(),
                digest: Digest::of(b"fr-001"),
            }],
            name: name.to_owned(),
            environment: Some("test".to_owned()),
            producer: Producer { tool: "junit".to_owned(), ..Producer::default() },
            window: Window { from: at(0), to: at(60) },
            result: Measured::plain(Outcome::Met),
            cases: Vec::new(),
            raw: Some(Digest::of(b"<testsuite/>")),
            valid_until: Some(at(1_000)),
        }
    }

    fn three(signer: &Signer) -> Vec<(Digest, Vec<u8>)> {
        let verifier = Verifier::new([signer.public_key()]);
        let mut chain = Chain::new("shop");
        ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let (digest, envelope) = chain.sign(signer, draft(name), at(100));
                chain.append(&verifier, digest, &envelope).unwrap();
                (digest, envelope)
            })
            .collect()
    }

    #[test]
    fn statements_read_back_as_in_toto_statements() {
        let signer = signer();
        let blobs = three(&signer);
        let verifier = Verifier::new([signer.public_key()]);
        let payload = verifier.open(&blobs[1].1).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(text["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(text["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
        assert_eq!(text["predicate"]["result"], "PASSED");
        assert_eq!(text["subject"][0]["digest"]["sha256"], Digest::of(b"fr-001").hex());
        assert_eq!(text["predicate"]["maru"]["previous"], blobs[0].0.to_string());
        let read = Statement::from_payload(&payload).unwrap();
        assert_eq!(read.to_payload(), payload);
        let index = read.index(blobs[1].0);
        assert_eq!((index.name.as_str(), index.previous), ("b", Some(blobs[0].0)));
    }

    #[test]
    fn a_whole_chain_stands_in_any_order_of_its_blobs() {
        let signer = signer();
        let mut blobs = three(&signer);
        blobs.reverse();
        let replay = replay("shop", &Verifier::new([signer.public_key()]), &blobs);
        assert_eq!((replay.records.len(), replay.refused.len(), replay.chain.length()), (3, 0, 3));
        assert_eq!(replay.chain.head(), Some(blobs[0].0));
        assert_eq!(replay.chain.missing_at_end(Some(blobs[0].0)), None);
    }

    #[test]
    fn what_does_not_belong_is_refused_and_named() {
        let signer = signer();
        let verifier = Verifier::new([signer.public_key()]);
        let blobs = three(&signer);

        // A removed record breaks the chain behind it.
        let gap = replay("shop", &verifier, &[blobs[0].clone(), blobs[2].clone()]);
        assert_eq!(gap.records.len(), 1);
        assert!(matches!(gap.refused[0].1, Refusal::OutOfChain { sequence: 2, expected: 1, .. }), "{:?}", gap.refused);
        // A removed last record is told by the head that was written down.
        let cut = replay("shop", &verifier, &blobs[..2]);
        assert!(cut.chain.missing_at_end(Some(blobs[2].0)).unwrap().contains("records are missing"));
        // The same record twice.
        let twice = replay("shop", &verifier, &[blobs[0].clone(), blobs[0].clone()]);
        assert_eq!(twice.refused, [(blobs[0].0, Refusal::Replayed(blobs[0].0))]);
        // A blob under another's name.
        let mixed = replay("shop", &verifier, &[(blobs[0].0, blobs[1].1.clone())]);
        assert!(matches!(mixed.refused[0].1, Refusal::Digest { .. }));
        // Another project's record.
        let other = replay("bank", &verifier, &blobs[..1]);
        assert!(matches!(other.refused[0].1, Refusal::Project { .. }));
        // Another project's key.
        let foreign = replay("shop", &Verifier::new([super::tests::signer().public_key()]), &blobs[..1]);
        assert!(matches!(foreign.refused[0].1, Refusal::Envelope(EnvelopeError::ForeignKey(_))));
        // A second record that was signed for the same place.
        let mut fork = Chain::new("shop");
        fork.append(&verifier, blobs[0].0, &blobs[0].1).unwrap();
        let (digest, envelope) = fork.sign(&signer, draft("fork"), at(100));
        let forked = replay("shop", &verifier, &[blobs.clone(), vec![(digest, envelope)]].concat());
        assert_eq!((forked.records.len(), forked.refused.len()), (3, 1));
        // Another report than the one that was signed.
        assert_eq!(check_raw(&gap.records[0].statement.record, b"<testsuite/>"), Ok(()));
        assert!(check_raw(&gap.records[0].statement.record, b"<testsuite failures=\"0\"/>").is_err());
    }

    #[test]
    fn payloads_that_are_no_statements_are_refused() {
        let statement = |edit: &dyn Fn(&mut serde_json::Value)| {
            let signer = signer();
            let payload = Verifier::new([signer.public_key()]).open(&three(&signer)[0].1).unwrap();
            let mut text = serde_json::from_slice(&payload).unwrap();
            edit(&mut text);
            Statement::from_payload(text.to_string().as_bytes())
        };
        assert!(statement(&|_| ()).is_ok());
        assert!(matches!(statement(&|text| text["_type"] = "x".into()), Err(StatementError::Type(_))));
        assert!(matches!(statement(&|text| text["predicateType"] = "x".into()), Err(StatementError::Predicate(_))));
        assert!(matches!(statement(&|text| text["subject"] = serde_json::json!([])), Err(StatementError::NoSubject)));
        assert!(matches!(
            statement(&|text| text["predicate"]["maru"]["window"]["to"] = "1960-01-01T00:00:00Z".into()),
            Err(StatementError::Window)
        ));
        assert!(matches!(statement(&|text| text["predicate"]["maru"] = 3.into()), Err(StatementError::Malformed(_))));
    }
}
