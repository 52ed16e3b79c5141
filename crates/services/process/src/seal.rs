//! Tells of each evidence object whether its envelope stands: digest, signature, chain, and that the object says the same.
//!
//! Long because what is remembered between two looks is best read beside what it is derived from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use maru_api::{Digest, EvidenceSpec};
use maru_evidence::{Verified, Verifier, open, open_all};

use crate::follow::{Key, Seen};
use crate::ledger::{Head, Ledger, Stamp};
use crate::view::View;

/// Envelopes whose files are looked at in one round: their time and size, and of the fewer their content.
const ROUND_STAMPS: usize = 2_000;
const ROUND_CONTENTS: usize = 32;

/// A project's chain as it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ChainState {
    pub(crate) head: Head,
    pub(crate) key_id: String,
    /// What is wrong; empty when nothing is.
    pub(crate) reason: String,
}

/// What became of an evidence object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// Its envelope stands.
    Stands(Arc<Verified>),
    /// It does not, and why.
    Refused(String),
    /// There is no such object any more.
    Gone,
}

/// What a look found to be another than before.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) records: BTreeMap<Key, Found>,
    /// The chains of the projects that were looked at.
    pub(crate) chains: BTreeMap<String, ChainState>,
}

/// What is kept of an envelope that stood up to every check of its own; its digest names its content.
#[derive(Debug, Clone, Copy)]
struct Envelope {
    sequence: u64,
    previous: Option<Digest>,
    /// The key that signed it, and the key that signs what follows it.
    key: Digest,
    next_key: Digest,
    stamp: Option<Stamp>,
}

impl Envelope {
    fn of(verified: &Verified, stamp: Option<Stamp>) -> Self {
        let record = &verified.statement.record;
        let (key, next_key) = (verified.key, verified.next_key());
        Self { sequence: record.sequence, previous: record.previous, key, next_key, stamp }
    }
}

/// What is kept of an object.
#[derive(Debug)]
struct Object {
    seen: Arc<Seen<EvidenceSpec>>,
    envelope: Option<Digest>,
    /// What is wrong with it whatever the chain says.
    own: Result<(), String>,
    /// What was found at last: that it stands, or why it does not; none at first.
    told: Option<Result<(), String>>,
}

/// One project's chain and objects.
#[derive(Debug, Default)]
struct Project {
    head: Option<Digest>,
    reached: HashSet<Digest>,
    broken: Option<String>,
    objects: BTreeMap<String, Object>,
    /// The objects of each envelope; the first of them has it, the others repeat it.
    holders: HashMap<Digest, BTreeSet<String>>,
    standing: HashSet<Digest>,
    /// The files of the envelopes were changed: the chain is walked from its end again.
    doubted: bool,
}

/// Remembers what was checked, so that only what is new is checked.
#[derive(Debug, Default)]
pub(crate) struct Seals {
    ledger: Option<Ledger>,
    verifiers: HashMap<String, (String, Verifier)>,
    envelopes: HashMap<Digest, Envelope>,
    projects: BTreeMap<String, Project>,
    /// Envelopes that were opened in this look.
    fresh: HashMap<Digest, Result<Arc<Verified>, String>>,
    /// All envelopes in the order in which their files are looked at again, and the place of the next.
    rounds: (Vec<(Digest, String)>, usize, usize),
    damaged: BTreeSet<(Digest, String)>,
}

impl Seals {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..Self::default() }
    }

    /// Looks at evidence that changed, and at the chains of these projects. Blocks on the disk for envelopes that are new.
    pub(crate) fn look(&mut self, view: &View, changed: &BTreeSet<Key>, projects: &BTreeSet<Key>) -> Sealed {
        let Some(ledger) = self.ledger.clone() else { return Sealed::default() };
        let mut by_project: BTreeMap<String, BTreeSet<String>> =
            projects.iter().map(|(project, _)| (project.clone(), BTreeSet::new())).collect();
        for (project, name) in changed {
            by_project.entry(project.clone()).or_default().insert(name.clone());
        }
        let doubted = self.projects.iter().filter(|(_, project)| project.doubted).map(|(name, _)| name.clone());
        for project in doubted.collect::<Vec<_>>() {
            by_project.entry(project).or_default();
        }
        let mut sealed = Sealed::default();
        for (name, objects) in by_project {
            self.open_new(&ledger, view, &name, &objects);
            let mut project = self.projects.remove(&name).unwrap_or_default();
            let found = self.look_at(&ledger, view, &name, &mut project, objects);
            sealed.chains.insert(name.clone(), found.1);
            sealed.records.extend(found.0.into_iter().map(|(object, found)| ((name.clone(), object), found)));
            self.fresh.clear();
            if project.objects.is_empty() && project.head.is_none() {
                self.forget(&name, &project);
            } else {
                self.projects.insert(name, project);
            }
        }
        sealed
    }

    fn forget(&mut self, name: &str, project: &Project) {
        self.envelopes.retain(|digest, _| !project.reached.contains(digest));
        self.rounds.0.retain(|(_, of)| of != name);
        self.damaged.retain(|(_, of)| of != name);
    }

    /// Opens the envelopes that are new to us, on all cores.
    fn open_new(&mut self, ledger: &Ledger, view: &View, project: &str, objects: &BTreeSet<String>) {
        let Ok((_, verifier)) = self.verifier(ledger, project) else { return };
        let mut digests: Vec<Digest> = objects
            .iter()
            .filter_map(|name| view.evidence.get(&(project.to_owned(), name.clone())))
            .filter_map(|one| one.spec.as_ref().ok().map(|spec| spec.envelope))
            .filter(|digest| !self.envelopes.contains_key(digest))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        let read = |digest| ledger.get(digest).map_err(|error| chain_of(&error));
        for (digest, opened) in open_all(&verifier, &digests, read) {
            self.remember(ledger, project, digest, opened.map(Arc::new));
        }
    }

    fn remember(&mut self, ledger: &Ledger, project: &str, digest: Digest, opened: Result<Arc<Verified>, String>) {
        match &opened {
            Ok(verified) => {
                let known = self.envelopes.insert(digest, Envelope::of(verified, ledger.stamp(digest)));
                if known.is_none() {
                    self.rounds.0.push((digest, project.to_owned()));
                }
            }
            // Its file may come back.
            Err(_) if ledger.get(digest).is_err() => drop(self.damaged.insert((digest, project.to_owned()))),
            Err(_) => {}
        }
        self.fresh.insert(digest, opened);
    }

    /// Returns what an envelope says; from the disk when it is not one of those that were opened just now.
    fn read(&mut self, ledger: &Ledger, project: &str, digest: Digest) -> Result<Arc<Verified>, String> {
        if let Some(known) = self.fresh.get(&digest) {
            return known.clone();
        }
        let (_, verifier) = self.verifier(ledger, project)?;
        let opened = ledger
            .get(digest)
            .map_err(|error| chain_of(&error))
            .and_then(|envelope| open(&verifier, digest, &envelope).map_err(|error| chain_of(&error)))
            .map(Arc::new);
        self.remember(ledger, project, digest, opened.clone());
        opened
    }

    fn look_at(
        &mut self,
        ledger: &Ledger,
        view: &View,
        name: &str,
        project: &mut Project,
        mut names: BTreeSet<String>,
    ) -> (BTreeMap<String, Found>, ChainState) {
        let mut state = self.walk(ledger, name, project);
        let doubted = std::mem::take(&mut project.doubted);
        if doubted {
            let wrong = project.objects.iter().filter(|(_, object)| object.own.is_err());
            names.extend(wrong.map(|(name, _)| name.clone()));
        }
        for object in names.clone() {
            let seen = view.evidence.get(&(name.to_owned(), object.clone()));
            names.extend(self.take(ledger, name, project, &object, seen));
        }
        if doubted {
            names.extend(project.objects.keys().cloned());
        }
        let mut found = BTreeMap::new();
        for object in names {
            let Some(known) = project.objects.get(&object) else {
                found.insert(object, Found::Gone);
                continue;
            };
            let result = project.judge(&object, known);
            if let Some(digest) = known.envelope {
                let first = project.holders.get(&digest).and_then(BTreeSet::first);
                match &result {
                    Ok(()) => drop(project.standing.insert(digest)),
                    Err(_) if first == Some(&object) => drop(project.standing.remove(&digest)),
                    Err(_) => {}
                }
            }
            if known.told.as_ref() == Some(&result) {
                continue;
            }
            let envelope = known.envelope;
            let verified = result.and_then(|()| match envelope {
                Some(digest) => self.read(ledger, name, digest),
                None => Err("the object names no envelope".to_owned()),
            });
            if let Some(known) = project.objects.get_mut(&object) {
                known.told = Some(verified.as_ref().map(|_| ()).map_err(Clone::clone));
            }
            found.insert(object, verified.map_or_else(Found::Refused, Found::Stands));
        }
        let pending = state.head.head.filter(|head| state.head.pending && !project.standing.contains(head));
        let standing = project.standing.len() + usize::from(pending.is_some());
        let missing = project.reached.len().saturating_sub(standing);
        if missing > 0 && state.reason.is_empty() {
            state.reason = format!("{missing} records of the chain have no object: they were removed");
        }
        (found, state)
    }

    /// Takes an object as it is now; returns the others whose envelope it had or has.
    fn take(
        &mut self,
        ledger: &Ledger,
        name: &str,
        project: &mut Project,
        object: &str,
        seen: Option<&Arc<Seen<EvidenceSpec>>>,
    ) -> BTreeSet<String> {
        let mut others = BTreeSet::new();
        let before = project.objects.remove(object);
        if let Some(digest) = before.as_ref().and_then(|before| before.envelope)
            && let Some(holders) = project.holders.get_mut(&digest)
        {
            holders.remove(object);
            others.extend(holders.iter().cloned());
            if holders.is_empty() {
                project.holders.remove(&digest);
                project.standing.remove(&digest);
            }
        }
        let Some(seen) = seen else { return others };
        let is_same = before.as_ref().is_some_and(|before| before.own.is_ok() && before.seen.spec == seen.spec);
        let told = before.and_then(|before| before.told);
        let mut kept = Object { seen: Arc::clone(seen), envelope: None, own: Ok(()), told };
        match &seen.spec {
            Err(error) => kept.own = Err(format!("the object cannot be read: {error}")),
            Ok(spec) => {
                let holders = project.holders.entry(spec.envelope).or_default();
                holders.insert(object.to_owned());
                others.extend(holders.iter().cloned());
                kept.envelope = Some(spec.envelope);
                if is_same {
                    // Its status is another, or it was listed again.
                    project.objects.insert(object.to_owned(), kept);
                    return others;
                }
                kept.own = self.read(ledger, name, spec.envelope).and_then(|verified| {
                    let record = &verified.statement.record;
                    if record.project != name {
                        Err(format!("the record belongs to project \"{}\"", record.project))
                    } else if says_the_same(&verified.statement.index(verified.digest), spec) {
                        Ok(())
                    } else {
                        Err("the object says something else than its envelope: it was altered or forged".to_owned())
                    }
                });
            }
        }
        project.objects.insert(object.to_owned(), kept);
        others
    }

    fn verifier(&mut self, ledger: &Ledger, project: &str) -> Result<(String, Verifier), String> {
        let current = ledger.public_key(project).map_err(|error| chain_of(&error))?;
        let current = current.ok_or_else(|| "the project has no key: nothing was signed here".to_owned())?.id();
        if let Some(known) = self.verifiers.get(project).filter(|(id, _)| *id == current) {
            return Ok(known.clone());
        }
        let both = (current, ledger.verifier(project).map_err(|error| chain_of(&error))?);
        self.verifiers.insert(project.to_owned(), both.clone());
        Ok(both)
    }

    /// Follows the chain from its end; only the new part is walked.
    fn walk(&mut self, ledger: &Ledger, name: &str, project: &mut Project) -> ChainState {
        let key_id = self.verifier(ledger, name).map(|(id, _)| id).unwrap_or_default();
        let head = match ledger.head(name) {
            Ok(head) => head,
            Err(error) => return ChainState { reason: chain_of(&error), key_id, ..ChainState::default() },
        };
        let before = project.head.filter(|_| project.broken.is_none() && !project.doubted);
        if before.is_some() && before == head.head {
            return ChainState { head, key_id, reason: String::new() };
        }
        let (mut reached, mut broken) = (Vec::new(), None);
        let (mut next, mut expected) = (head.head, head.length);
        let current = Digest::from_hex(&key_id).ok();
        let mut key = None;
        while let Some(digest) = next {
            if before == Some(digest) {
                expected = 0;
                break;
            }
            let envelope = match self.envelopes.get(&digest) {
                Some(known) => *known,
                None => match self.read(ledger, name, digest) {
                    Ok(verified) => Envelope::of(&verified, None),
                    Err(error) => {
                        broken = Some(format!("record {digest}: {error}"));
                        break;
                    }
                },
            };
            if envelope.sequence + 1 != expected {
                broken = Some(format!("record {digest} has place {} instead of {expected}", envelope.sequence + 1));
                break;
            }
            // The last record may be the one that names the next key, which is put in its place right after.
            let follows = key.map_or(Some(envelope.key) == current || Some(envelope.next_key) == current, |key| {
                key == envelope.next_key
            });
            if !follows {
                broken = Some(format!("record {digest} does not name the key that signs after it"));
                break;
            }
            key = Some(envelope.key);
            expected -= 1;
            reached.push(digest);
            next = envelope.previous;
        }
        if broken.is_none() && expected != 0 {
            broken = Some(format!("its first {expected} records are missing"));
        }
        let grew = before.is_some() && next == before;
        if !grew {
            // Not the chain that it was: every record's place in it is another.
            project.doubted = true;
            project.reached.clear();
        }
        project.reached.extend(reached);
        project.head = head.head;
        let reason = broken.as_ref().map(|broken| format!("the chain is broken: {broken}")).unwrap_or_default();
        project.broken = broken;
        ChainState { head, key_id, reason }
    }

    /// Looks at the files of some envelopes again, others at each call; tells whether one is another than it was.
    pub(crate) fn look_again(&mut self) -> bool {
        let Some(ledger) = self.ledger.clone() else { return false };
        let (order, stamps, contents) = (&self.rounds.0, self.rounds.1, self.rounds.2);
        let some = |from: usize, count: usize| -> Vec<(Digest, String)> {
            order.iter().cycle().skip(from).take(count.min(order.len())).cloned().collect()
        };
        let mut doubtful: BTreeSet<(Digest, String)> = self.damaged.clone();
        for one in some(stamps, ROUND_STAMPS) {
            let known = self.envelopes.get(&one.0).and_then(|envelope| envelope.stamp);
            if known.is_none() || ledger.stamp(one.0) != known {
                doubtful.insert(one);
            }
        }
        doubtful.extend(some(contents, ROUND_CONTENTS));
        let length = order.len().max(1);
        self.rounds.1 = (stamps + ROUND_STAMPS) % length;
        self.rounds.2 = (contents + ROUND_CONTENTS) % length;
        let mut changed = false;
        for one in doubtful {
            let stands = ledger.get(one.0).is_ok();
            if let (true, Some(envelope)) = (stands, self.envelopes.get_mut(&one.0)) {
                envelope.stamp = ledger.stamp(one.0);
            }
            let was_damaged = self.damaged.contains(&one);
            if stands == was_damaged {
                changed = true;
                if let Some(project) = self.projects.get_mut(&one.1) {
                    project.doubted = true;
                }
                if stands {
                    self.damaged.remove(&one);
                } else {
                    self.envelopes.remove(&one.0);
                    self.damaged.insert(one);
                }
            }
        }
        changed
    }
}

impl Project {
    /// Tells whether an object counts: by itself, by its place in the chain, and as the only one with its envelope.
    fn judge(&self, name: &str, object: &Object) -> Result<(), String> {
        object.own.clone()?;
        let Some(digest) = object.envelope else { return Ok(()) };
        if !self.reached.contains(&digest) {
            return Err(match &self.broken {
                Some(broken) => format!("the record is cut off from the chain's end: {broken}"),
                None => "the record is not in the project's chain".to_owned(),
            });
        }
        // What repeats an envelope changes nothing; a forged object with it is not the first.
        let stands = |other: &&String| self.objects.get(*other).is_some_and(|other| other.own.is_ok());
        let first = self.holders.get(&digest).and_then(|holders| holders.iter().find(stands));
        match first {
            Some(first) if first != name => Err("the envelope is replayed: another object has it already".to_owned()),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use maru_api::{Measured, Object, Outcome, Producer, Subject, SubjectKind, Window};
    use maru_evidence::{Draft, EvidenceKind};
    use maru_time::Timestamp;

    use super::*;

    struct Room {
        folder: maru_testkit::TempDir,
        ledger: Ledger,
        view: View,
        seals: Seals,
    }

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    impl Room {
        fn new() -> Self {
            let folder = maru_testkit::TempDir::new();
            let ledger = Ledger::open(folder.path()).unwrap();
            let seals = Seals::new(ledger.clone());
            Self { folder, ledger, view: View::default(), seals }
        }

        fn record(&mut self, name: &str) -> Digest {
            let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
            let draft = Draft {
                kind: EvidenceKind::Test,
                subjects: vec![Subject {
                    kind: SubjectKind::Requirement,
                    name: "fr-1".to_owned(),
                    digest: Digest::of(b"x"),
                }],
                name: name.to_owned(),
                environment: None,
                producer: Producer { tool: "junit".to_owned(), ..Producer::default() },
                window: Window { from: now, to: now },
                result: Measured::plain(Outcome::Met),
                cases: Vec::new(),
                raw: None,
                valid_until: None,
            };
            let appended = self.ledger.append("shop", draft, now).unwrap();
            self.hold(name, appended.statement.index(appended.envelope));
            self.ledger.settle("shop", appended.envelope).unwrap();
            appended.envelope
        }

        fn hold(&mut self, name: &str, spec: EvidenceSpec) {
            self.view.evidence.insert(key(name), Arc::new(Seen::from(Object::new("shop", name, spec))));
        }

        fn look(&mut self, names: &[&str]) -> (BTreeMap<String, Found>, String) {
            let sealed = self.seals.look(&self.view, &names.iter().map(|name| key(name)).collect(), &BTreeSet::new());
            let reason = sealed.chains.get("shop").map(|chain| chain.reason.clone()).unwrap_or_default();
            (sealed.records.into_iter().map(|((_, name), found)| (name, found)).collect(), reason)
        }
    }

    fn is_refused(found: Option<&Found>, why: &str) -> bool {
        matches!(found, Some(Found::Refused(reason)) if reason.contains(why))
    }

    #[test]
    fn an_altered_envelope_is_noticed_and_its_return_as_well() {
        let mut room = Room::new();
        let digests: Vec<Digest> = ["a", "b", "c"].map(|name| room.record(name)).to_vec();
        let (found, reason) = room.look(&["a", "b", "c"]);
        assert!(reason.is_empty() && found.values().all(|one| matches!(one, Found::Stands(_))), "{found:?} {reason}");
        assert!(!room.seals.look_again());
        let hex = digests[1].hex();
        let path = room.folder.path().join("blobs/sha256").join(hex.get(..2).unwrap()).join(&hex);
        let content = fs::read(&path).unwrap();
        fs::write(&path, b"{}").unwrap();
        assert!(room.seals.look_again(), "its stamp is another");
        let (found, reason) = room.look(&[]);
        assert!(reason.contains("the chain is broken") && reason.contains("hashes to"), "{reason}");
        assert!(is_refused(found.get("a"), "cut off") && is_refused(found.get("b"), "cut off"), "{found:?}");
        assert!(!found.contains_key("c"), "what follows it stands as before");
        assert!(!room.seals.look_again());
        fs::write(&path, content).unwrap();
        assert!(room.seals.look_again());
        let (found, reason) = room.look(&[]);
        assert!(reason.is_empty() && found.len() == 2, "{found:?} {reason}");
        assert!(found.values().all(|one| matches!(one, Found::Stands(_))), "{found:?}");
    }

    #[test]
    fn copies_forgeries_and_removed_objects_are_told() {
        let mut room = Room::new();
        room.record("b");
        room.record("c");
        drop(room.look(&["b", "c"]));
        let mut spec = room.view.evidence[&key("b")].spec.clone().unwrap();
        room.hold("copy", spec.clone());
        spec.result.outcome = Outcome::Violated;
        room.hold("a-forgery", spec);
        let (found, _) = room.look(&["copy", "a-forgery"]);
        assert!(is_refused(found.get("copy"), "replayed") && is_refused(found.get("a-forgery"), "forged"), "{found:?}");
        assert!(!found.contains_key("b"), "the first stands");
        room.view.evidence.remove(&key("b"));
        let (found, reason) = room.look(&["b"]);
        assert!(matches!(found.get("copy"), Some(Found::Stands(_))), "the copy takes its place: {found:?}");
        assert_eq!((found.get("b"), reason.as_str()), (Some(&Found::Gone), ""));
        room.view.evidence.remove(&key("c"));
        let (_, reason) = room.look(&["c"]);
        assert!(reason.contains("1 records of the chain have no object"), "{reason}");
    }

    #[test]
    fn a_new_key_signs_after_the_record_that_names_it() {
        let mut room = Room::new();
        room.record("a");
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let old = fs::read(room.folder.path().join("projects/shop/key.pk8")).unwrap();
        let rotated = room.ledger.rotate("shop", now).unwrap();
        room.hold("key", rotated.statement.index(rotated.envelope));
        room.record("b");
        let (found, reason) = room.look(&["a", "key", "b"]);
        assert!(reason.is_empty() && found.values().all(|one| matches!(one, Found::Stands(_))), "{found:?} {reason}");
        assert_eq!(room.ledger.verifier("shop").unwrap().keys().count(), 2);
        // Whoever kept the old key cannot go on with it.
        let new = fs::read(room.folder.path().join("projects/shop/key.pk8")).unwrap();
        assert_ne!(old, new);
        fs::write(room.folder.path().join("projects/shop/key.pk8"), &old).unwrap();
        room.record("late");
        fs::write(room.folder.path().join("projects/shop/key.pk8"), &new).unwrap();
        room.ledger.signer("shop").unwrap();
        let (found, reason) = room.look(&["late"]);
        assert!(reason.contains("does not name the key"), "{reason}");
        assert!(is_refused(found.get("late"), "cut off"), "{found:?}");
    }

    #[test]
    fn a_handing_over_that_was_cut_short_is_finished_or_undone() {
        let mut room = Room::new();
        room.record("a");
        let place = room.folder.path().join("projects/shop");
        // Before the record: the old key stays.
        fs::write(place.join("key.next.pk8"), maru_evidence::Signer::generate().unwrap()).unwrap();
        let before = room.ledger.public_key("shop").unwrap();
        room.record("b");
        assert_eq!(room.ledger.public_key("shop").unwrap(), before);
        // After it: the new one signs.
        let old = fs::read(place.join("key.pk8")).unwrap();
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let rotated = room.ledger.rotate("shop", now).unwrap();
        fs::rename(place.join("key.pk8"), place.join("key.next.pk8")).unwrap();
        fs::write(place.join("key.pk8"), old).unwrap();
        room.hold("key", rotated.statement.index(rotated.envelope));
        room.record("c");
        let (found, reason) = room.look(&["a", "b", "key", "c"]);
        assert!(reason.is_empty() && found.values().all(|one| matches!(one, Found::Stands(_))), "{found:?} {reason}");
    }
}
