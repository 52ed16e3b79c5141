//! Tells of each evidence object whether its envelope stands: digest, signature, chain, and that the object says the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use maru_api::{Digest, EvidenceSpec};
use maru_evidence::{Verified, Verifier, open};

use crate::follow::{Key, Seen};
use crate::ledger::{Head, Ledger};
use crate::plan::View;

/// A project's chain as it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ChainState {
    pub(crate) head: Head,
    pub(crate) key_id: String,
    /// What is wrong; empty when nothing is.
    pub(crate) reason: String,
}

/// What stands, and what does not and why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sealed {
    pub(crate) records: BTreeMap<Key, Result<Arc<Verified>, String>>,
    pub(crate) chains: BTreeMap<String, ChainState>,
}

/// The part of a chain that was walked.
#[derive(Debug, Default)]
struct Walked {
    head: Option<Digest>,
    reached: HashSet<Digest>,
    broken: Option<String>,
}

/// Remembers the envelopes that were checked: they are named by their content.
#[derive(Debug, Default)]
pub(crate) struct Seals {
    ledger: Option<Ledger>,
    verifiers: HashMap<String, (String, Verifier)>,
    opened: HashMap<Digest, Arc<Verified>>,
    walked: HashMap<String, Walked>,
    /// Objects that stood when they were looked at last; they stand as long as their chain only grows.
    known: BTreeMap<Key, (Arc<Seen<EvidenceSpec>>, Arc<Verified>)>,
}

impl Seals {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..Self::default() }
    }

    /// Looks at all evidence. Blocks on the disk for envelopes that are new.
    pub(crate) fn look(&mut self, view: &View) -> Sealed {
        let Some(ledger) = self.ledger.clone() else { return Sealed::default() };
        let mut sealed = Sealed::default();
        let mut seen: HashMap<&str, HashSet<Digest>> = HashMap::new();
        self.known.retain(|key, _| view.evidence.contains_key(key));
        for (key, one) in &view.evidence {
            let (project, _) = key;
            if !sealed.chains.contains_key(project) {
                let state = self.walk(&ledger, project);
                sealed.chains.insert(project.clone(), state);
            }
            let known = self.known.get(key).filter(|(object, _)| Arc::ptr_eq(object, one));
            let result = match (known, &one.object) {
                (Some((_, verified)), _) => Ok(Arc::clone(verified)),
                (None, Err(error)) => Err(format!("the object cannot be read: {error}")),
                (None, Ok(object)) => self.stands(&ledger, project, &object.spec),
            };
            let result = result.and_then(|verified| {
                if seen.entry(project).or_default().insert(verified.digest) {
                    Ok(verified)
                } else {
                    Err("the envelope is replayed: another object has it already".to_owned())
                }
            });
            if let Ok(verified) = &result {
                self.known.insert(key.clone(), (Arc::clone(one), Arc::clone(verified)));
            }
            sealed.records.insert(key.clone(), result);
        }
        for (project, state) in &mut sealed.chains {
            let reached = self.walked.get(project).map(|walked| &walked.reached);
            let objects = seen.get(project.as_str());
            let missing = reached
                .into_iter()
                .flatten()
                .filter(|digest| !(state.head.pending && state.head.head == Some(**digest)))
                .filter(|digest| !objects.is_some_and(|objects| objects.contains(digest)))
                .count();
            if missing > 0 && state.reason.is_empty() {
                state.reason = format!("{missing} records of the chain have no object: they were removed");
            }
        }
        sealed
    }

    fn stands(&mut self, ledger: &Ledger, project: &str, spec: &EvidenceSpec) -> Result<Arc<Verified>, String> {
        let verified = self.open(ledger, project, spec.envelope)?;
        let record = &verified.statement.record;
        if record.project != project {
            return Err(format!("the record belongs to project \"{}\"", record.project));
        }
        if !says_the_same(&verified.statement.index(verified.digest), spec) {
            return Err("the object says something else than its envelope: it was altered or forged".to_owned());
        }
        let walked = self.walked.get(project);
        if walked.is_some_and(|walked| walked.reached.contains(&verified.digest)) {
            return Ok(verified);
        }
        Err(match walked.and_then(|walked| walked.broken.as_deref()) {
            Some(broken) => format!("the record is cut off from the chain's end: {broken}"),
            None => "the record is not in the project's chain".to_owned(),
        })
    }

    fn open(&mut self, ledger: &Ledger, project: &str, digest: Digest) -> Result<Arc<Verified>, String> {
        if let Some(known) = self.opened.get(&digest) {
            return Ok(Arc::clone(known));
        }
        let (_, verifier) = self.verifier(ledger, project)?;
        let envelope = ledger.get(digest).map_err(|error| chain_of(&error))?;
        let verified = Arc::new(open(&verifier, digest, &envelope).map_err(|error| chain_of(&error))?);
        self.opened.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    fn verifier(&mut self, ledger: &Ledger, project: &str) -> Result<(String, Verifier), String> {
        if let Some(known) = self.verifiers.get(project) {
            return Ok(known.clone());
        }
        let key = ledger.public_key(project).map_err(|error| chain_of(&error))?;
        let key = key.ok_or_else(|| "the project has no key: nothing was signed here".to_owned())?;
        let both = (key.id(), Verifier::new([key]));
        self.verifiers.insert(project.to_owned(), both.clone());
        Ok(both)
    }

    /// Follows the chain from its end; only the new part is walked.
    fn walk(&mut self, ledger: &Ledger, project: &str) -> ChainState {
        let key_id = self.verifier(ledger, project).map(|(id, _)| id).unwrap_or_default();
        let head = match ledger.head(project) {
            Ok(head) => head,
            Err(error) => return ChainState { reason: chain_of(&error), key_id, ..ChainState::default() },
        };
        let before = self.walked.remove(project).unwrap_or_default();
        let mut walked = Walked { head: head.head, ..Walked::default() };
        let mut next = head.head;
        let mut expected = head.length;
        while let Some(digest) = next {
            if before.head == Some(digest) && before.broken.is_none() {
                walked.reached.extend(before.reached.iter().copied());
                expected = 0;
                break;
            }
            let verified = match self.open(ledger, project, digest) {
                Ok(verified) => verified,
                Err(error) => {
                    walked.broken = Some(format!("record {digest}: {error}"));
                    break;
                }
            };
            let record = &verified.statement.record;
            if record.sequence + 1 != expected {
                walked.broken =
                    Some(format!("record {digest} has place {} instead of {expected}", record.sequence + 1));
                break;
            }
            expected -= 1;
            walked.reached.insert(digest);
            next = record.previous;
        }
        if walked.broken.is_none() && expected != 0 {
            walked.broken = Some(format!("its first {expected} records are missing"));
        }
        if walked.broken.is_some() || before.head.is_some_and(|head| !walked.reached.contains(&head)) {
            self.known.retain(|(namespace, _), _| namespace != project);
        }
        let reason = walked.broken.as_ref().map(|broken| format!("the chain is broken: {broken}")).unwrap_or_default();
        self.walked.insert(project.to_owned(), walked);
        ChainState { head, key_id, reason }
    }
}

/// Compares what an envelope says with its object; numbers may differ as much as reading and writing them again makes.
fn says_the_same(signed: &EvidenceSpec, object: &EvidenceSpec) -> bool {
    let close = |left: Option<f64>, right: Option<f64>| match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= f64::EPSILON * 4.0 * left.abs().max(right.abs()),
        _ => left == right,
    };
    let numbers = |spec: &EvidenceSpec| {
        let result = &spec.result;
        let (value, low, high) = (result.value, result.low, result.high);
        [value, low, high, result.confidence, result.threshold, result.quantile, result.load]
    };
    if !numbers(signed).into_iter().zip(numbers(object)).all(|(left, right)| close(left, right)) {
        return false;
    }
    let mut object = object.clone();
    let ours = &signed.result;
    (object.result.value, object.result.low, object.result.high) = (ours.value, ours.low, ours.high);
    (object.result.confidence, object.result.threshold) = (ours.confidence, ours.threshold);
    (object.result.quantile, object.result.load) = (ours.quantile, ours.load);
    object == *signed
}

/// Returns an error with its causes.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
