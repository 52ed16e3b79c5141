//! The verdicts of all requirements of a project, kept up to date: only what a change concerns is decided again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use maru_api::{Digest, RequirementSpec, Subject, SubjectKind, Verdict};

use crate::record::EvidenceKind;
use crate::verdict::{Piece, Rules, Running, VerdictStatus, derives_from_itself, verdict, worst_child};

#[derive(Debug)]
struct Entry {
    spec: Arc<RequirementSpec>,
    fingerprint: Digest,
    status: Option<VerdictStatus>,
    /// The longest way down to a requirement without children; none inside a cycle.
    height: Option<u32>,
}

fn has_same_parents(before: &RequirementSpec, after: &RequirementSpec) -> bool {
    let names = |spec: &RequirementSpec| -> BTreeSet<String> {
        spec.derived_from.iter().map(|link| link.name.clone()).collect()
    };
    names(before) == names(after)
}

/// The requirements, the evidence and the verdicts of one project.
#[derive(Debug, Default)]
pub struct Index {
    rules: Rules,
    running: Running,
    requirements: BTreeMap<Arc<str>, Entry>,
    children: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pieces: HashMap<Digest, Arc<Piece>>,
    by_requirement: HashMap<Arc<str>, Vec<Arc<Piece>>>,
    /// One piece of each kind and name, so that a check can say that there is evidence, but about something else.
    by_name: HashMap<(EvidenceKind, String), Arc<Piece>>,
    by_kind: HashMap<EvidenceKind, Arc<Piece>>,
    /// Who waits for evidence of a kind and name.
    watchers: HashMap<(EvidenceKind, String), BTreeSet<Arc<str>>>,
    /// Whose verdict depends on what runs of a component: by allocation, or as a subject of evidence.
    by_component: HashMap<String, BTreeSet<Arc<str>>>,
    dirty: BTreeSet<Arc<str>>,
    wake: BTreeSet<(Timestamp, Arc<str>)>,
    links_changed: bool,
}

impl Index {
    /// Returns the index without requirements.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Changes the rules: everything is decided again.
    pub fn set_rules(&mut self, rules: Rules) {
        if self.rules != rules {
            self.rules = rules;
            self.dirty = self.requirements.keys().cloned().collect();
        }
    }

    /// Takes a requirement, new or changed.
    pub fn set_requirement(&mut self, name: &str, spec: RequirementSpec) {
        if self.requirements.get(name).is_some_and(|known| *known.spec == spec) {
            return;
        }
        let height = self.requirements.get(name).and_then(|known| known.height);
        if !self.forget(name).is_some_and(|before| has_same_parents(&before, &spec)) {
            self.links_changed = true;
        }
        let name: Arc<str> = name.into();
        for parent in &spec.derived_from {
            self.children.entry(parent.name.as_str().into()).or_default().insert(Arc::clone(&name));
            self.touch(&parent.name);
        }
        for check in &spec.verify {
            if let Some(kind) = EvidenceKind::of_means(&check.by) {
                let key = (kind, check.by.name().to_owned());
                self.watchers.entry(key).or_default().insert(Arc::clone(&name));
            }
        }
        for component in &spec.allocated_to {
            self.by_component.entry(component.clone()).or_default().insert(Arc::clone(&name));
        }
        let fingerprint = spec.fingerprint();
        let entry = Entry { spec: Arc::new(spec), fingerprint, status: None, height };
        self.requirements.insert(Arc::clone(&name), entry);
        self.dirty.insert(name);
    }

    /// Forgets a requirement.
    pub fn remove_requirement(&mut self, name: &str) {
        if self.forget(name).is_some() {
            self.links_changed = true;
        }
    }

    fn forget(&mut self, name: &str) -> Option<Arc<RequirementSpec>> {
        let (name, entry) = self.requirements.remove_entry(name)?;
        for parent in &entry.spec.derived_from {
            if let Some(children) = self.children.get_mut(parent.name.as_str()) {
                children.remove(&name);
            }
            self.touch(&parent.name);
        }
        for check in &entry.spec.verify {
            if let Some(kind) = EvidenceKind::of_means(&check.by)
                && let Some(watchers) = self.watchers.get_mut(&(kind, check.by.name().to_owned()))
            {
                watchers.remove(&name);
            }
        }
        if let Some(at) = entry.status.and_then(|status| status.next_change) {
            self.wake.remove(&(at, Arc::clone(&name)));
        }
        self.dirty.remove(&name);
        Some(entry.spec)
    }

    /// Takes a piece of evidence. The same envelope again replaces what was known of it.
    pub fn add(&mut self, piece: impl Into<Arc<Piece>>) {
        let piece: Arc<Piece> = piece.into();
        let mut about: Vec<&str> = piece
            .subjects
            .iter()
            .filter(|subject| subject.kind == SubjectKind::Requirement)
            .map(|subject| subject.name.as_str())
            .collect();
        about.sort_unstable();
        about.dedup();
        let is_known = self.pieces.insert(piece.digest, Arc::clone(&piece)).is_some();
        let systems: Vec<&str> = piece
            .subjects
            .iter()
            .filter(|subject| subject.kind.is_system())
            .map(|subject| subject.name.as_str())
            .collect();
        for name in about {
            for system in &systems {
                let concerned = match self.by_component.get_mut(*system) {
                    Some(concerned) => concerned,
                    None => self.by_component.entry((*system).to_owned()).or_default(),
                };
                if !concerned.contains(name) {
                    concerned.insert(name.into());
                }
            }
            let list = self.by_requirement.entry(name.into()).or_default();
            if is_known {
                list.retain(|known| known.digest != piece.digest);
            }
            list.push(Arc::clone(&piece));
            if let Some((name, _)) = self.requirements.get_key_value(name) {
                self.dirty.insert(Arc::clone(name));
            }
        }
        if let Some(kind) = piece.kind {
            let key = (kind, piece.name.clone());
            if !self.by_name.contains_key(&key) {
                // The first of its name: who waits for it has another reason now.
                for waiting in [&key, &(kind, "*".to_owned())] {
                    self.dirty.extend(self.watchers.get(waiting).into_iter().flatten().cloned());
                }
            }
            self.by_name.insert(key, Arc::clone(&piece));
            self.by_kind.insert(kind, piece);
        }
    }

    /// Says what runs in an environment now.
    pub fn set_running(&mut self, environment: &str, subjects: Vec<Subject>) {
        let before: BTreeSet<Subject> = self.running.subjects(environment).iter().cloned().collect();
        self.running.set(environment, subjects);
        let after: BTreeSet<Subject> = self.running.subjects(environment).iter().cloned().collect();
        for subject in before.symmetric_difference(&after) {
            self.dirty.extend(self.by_component.get(&subject.name).into_iter().flatten().cloned());
        }
    }

    /// Decides again what changed and what time has changed; returns the requirements whose status is another, by name.
    pub fn refresh(&mut self, now: Timestamp) -> Vec<(Arc<str>, VerdictStatus)> {
        if std::mem::take(&mut self.links_changed) {
            self.measure_heights();
        }
        while let Some((at, _)) = self.wake.first()
            && *at <= now
        {
            if let Some((_, name)) = self.wake.pop_first() {
                self.dirty.insert(name);
            }
        }
        // Children before parents: each is decided once.
        let mut queue: BTreeSet<(Option<u32>, Arc<str>)> = BTreeSet::new();
        for name in std::mem::take(&mut self.dirty) {
            if let Some(entry) = self.requirements.get(&name) {
                queue.insert((entry.height, name));
            }
        }
        let mut changed = Vec::new();
        while let Some((_, name)) = queue.pop_first() {
            let Some(status) = self.decide(&name, now) else { continue };
            let Some(entry) = self.requirements.get_mut(&name) else { continue };
            if entry.status.as_ref() == Some(&status) {
                continue;
            }
            let before = entry.status.replace(status.clone());
            let parents = Arc::clone(&entry.spec);
            if let Some(at) = before.as_ref().and_then(|status| status.next_change) {
                self.wake.remove(&(at, Arc::clone(&name)));
            }
            if let Some(at) = status.next_change {
                self.wake.insert((at, Arc::clone(&name)));
            }
            if before.is_none_or(|before| before.verdict != status.verdict) {
                for parent in &parents.derived_from {
                    if let Some((parent, entry)) = self.requirements.get_key_value(parent.name.as_str()) {
                        // Inside a cycle nothing is handed up: it would never end.
                        if entry.height.is_some() {
                            queue.insert((entry.height, Arc::clone(parent)));
                        }
                    }
                }
            }
            changed.push((name, status));
        }
        changed.sort_by(|(left, _), (right, _)| left.cmp(right));
        changed
    }

    /// Returns what a requirement came to at the last refresh.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<&VerdictStatus> {
        self.requirements.get(name)?.status.as_ref()
    }

    /// Returns a requirement's fingerprint.
    #[must_use]
    pub fn fingerprint(&self, name: &str) -> Option<Digest> {
        self.requirements.get(name).map(|entry| entry.fingerprint)
    }

    /// Returns how many requirements have each verdict: conforming, nonconforming, not measured.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        let mut totals = (0, 0, 0);
        for entry in self.requirements.values() {
            match entry.status.as_ref().and_then(|status| status.verdict) {
                Some(Verdict::Conforming) => totals.0 += 1,
                Some(Verdict::Nonconforming) => totals.1 += 1,
                Some(Verdict::NotMeasured) => totals.2 += 1,
                None => {}
            }
        }
        totals
    }

    /// Returns when time alone may change something.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.wake.first().map(|(at, _)| *at)
    }

    /// Returns the requirements that a piece of evidence of this kind, name and environment answers: its subjects.
    #[must_use]
    pub fn asking(&self, kind: EvidenceKind, name: &str, environment: Option<&str>) -> Vec<(Arc<str>, Digest)> {
        let keys = [(kind, name.to_owned()), (kind, "*".to_owned())];
        let asking: BTreeSet<&Arc<str>> = keys.iter().filter_map(|key| self.watchers.get(key)).flatten().collect();
        let fits = |entry: &&Entry| {
            entry.spec.verify.iter().any(|check| {
                EvidenceKind::of_means(&check.by) == Some(kind)
                    && (check.by.name() == name || check.by.name() == "*")
                    && check.environment.as_deref().is_none_or(|own| Some(own) == environment)
            })
        };
        asking
            .into_iter()
            .filter_map(|name| {
                let entry = self.requirements.get(name).filter(fits)?;
                Some((Arc::clone(name), entry.fingerprint))
            })
            .collect()
    }

    fn touch(&mut self, name: &str) {
        if let Some((name, _)) = self.requirements.get_key_value(name) {
            self.dirty.insert(Arc::clone(name));
        }
    }

    fn decide(&self, name: &Arc<str>, now: Timestamp) -> Option<VerdictStatus> {
        let entry = self.requirements.get(name)?;
        let spec = &entry.spec;
        let children = self.children.get(name).filter(|children| !children.is_empty());
        let is_parent = spec.verify.is_empty() && spec.priority != maru_api::Priority::Wont;
        if let (true, Some(children)) = (is_parent, children) {
            if entry.height.is_none() {
                return Some(derives_from_itself());
            }
            let children: Vec<(&str, Option<Verdict>)> = children
                .iter()
                .filter_map(|child| {
                    let entry = self.requirements.get(child)?;
                    let verdict = match &entry.status {
                        Some(status) => status.verdict,
                        None => Some(Verdict::NotMeasured),
                    };
                    Some((&**child, verdict))
                })
                .collect();
            return Some(worst_child(&children));
        }
        let own = self.by_requirement.get(name).map(Vec::as_slice).unwrap_or_default();
        // What is there under the name that a check asks for, so that the reason is not "no evidence" when there is some.
        let near: Vec<&Arc<Piece>> = spec
            .verify
            .iter()
            .filter_map(|check| {
                let kind = EvidenceKind::of_means(&check.by)?;
                if check.by.name() == "*" {
                    return self.by_kind.get(&kind);
                }
                self.by_name.get(&(kind, check.by.name().to_owned()))
            })
            .collect();
        let evidence = own.iter().chain(near).map(|piece| &**piece);
        Some(verdict(name, spec, entry.fingerprint, evidence, &self.running, &self.rules, now))
    }

    /// Finds the order in which parents follow their children, and what derives from itself (Kahn's algorithm).
    fn measure_heights(&mut self) {
        let mut open: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for name in self.requirements.keys() {
            let children = self.children.get(name).map_or(0, BTreeSet::len);
            open.insert(Arc::clone(name), children);
        }
        let mut heights: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        let mut ready: Vec<Arc<str>> =
            open.iter().filter(|(_, children)| **children == 0).map(|(name, _)| Arc::clone(name)).collect();
        for name in &ready {
            heights.insert(Arc::clone(name), 0);
        }
        while let Some(name) = ready.pop() {
            let height = heights.get(&name).copied().unwrap_or_default();
            let Some(entry) = self.requirements.get(&name) else { continue };
            let parents: BTreeSet<&str> = entry.spec.derived_from.iter().map(|link| link.name.as_str()).collect();
            for parent in parents {
                let Some((parent, left)) = open.get_key_value(parent).map(|(name, left)| (Arc::clone(name), *left))
                else {
                    continue;
                };
                let known = heights.entry(Arc::clone(&parent)).or_default();
                *known = (*known).max(height.saturating_add(1));
                open.insert(Arc::clone(&parent), left.saturating_sub(1));
                if left == 1 {
                    ready.push(parent);
                }
            }
        }
        for (name, entry) in &mut self.requirements {
            let height = (open.get(name) == Some(&0)).then(|| heights.get(name).copied().unwrap_or_default());
            if height != entry.height {
                entry.height = height;
                self.dirty.insert(Arc::clone(name));
            }
        }
    }
}
