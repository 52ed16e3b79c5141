//! The objects that gates look at, as the API server has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kube::api::{Api, DynamicObject};
use maru_api::{
    ApprovalSpec, ArchitectureSpec, BaselineSpec, Digest, DocumentSpec, EnvironmentSpec, EvidenceSpec, GateSpec,
    GlossarySpec, MethodSpec, ModelSpec, ProjectSpec, RequirementSpec, ServiceLevelObjectiveSpec, Spec, Subject,
    SubjectKind, WorkItemSpec, fingerprint_of,
};
use maru_client::Client;
use maru_evidence::EvidenceKind;
use maru_task::Scope;
use maru_time::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::control::resource;
use crate::follow::{All, Followed, Key, follow};

/// What gates need to know of a piece of evidence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noted {
    pub(crate) name: String,
    pub(crate) kind: Option<EvidenceKind>,
    pub(crate) spec: EvidenceSpec,
    pub(crate) verified: bool,
    pub(crate) sequence: u64,
    /// As terms of gates see it, made when it is asked for.
    view: OnceLock<Arc<Value>>,
}

impl Noted {
    /// Tells whether it counts at a moment.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        self.verified && self.spec.valid_until.is_none_or(|until| until > now)
    }

    /// What newer evidence of the same takes the place of.
    fn place(&self) -> (&str, &str, Option<&str>, Vec<&str>) {
        let subjects = self.spec.subjects.iter().filter(|one| !one.kind.is_system());
        let mut about: Vec<&str> = subjects.map(|one| one.name.as_str()).collect();
        about.sort_unstable();
        (&self.spec.predicate_type, &self.spec.name, self.spec.environment.as_deref(), about)
    }

    fn age(&self) -> (Timestamp, u64) {
        (self.spec.window.to, self.sequence)
    }

    /// Returns the object as terms of gates see it.
    fn view(&self) -> Arc<Value> {
        let make = || {
            Arc::new(json!({
                "kind": EvidenceSpec::KIND,
                "metadata": {"name": self.name},
                "spec": self.spec,
                "status": {"verified": self.verified, "sequence": self.sequence},
            }))
        };
        Arc::clone(self.view.get_or_init(make))
    }
}

pub(super) fn note(object: &DynamicObject) -> Option<Noted> {
    let spec: EvidenceSpec = serde_json::from_value(object.data.get("spec")?.clone()).ok()?;
    let status = object.data.get("status");
    Some(Noted {
        name: object.metadata.name.clone()?,
        kind: EvidenceKind::of_predicate(&spec.predicate_type),
        spec,
        verified: status.and_then(|status| status.get("verified")) == Some(&Value::Bool(true)),
        sequence: status.and_then(|status| status.get("sequence")).and_then(Value::as_u64).unwrap_or_default(),
        view: OnceLock::new(),
    })
}

/// Keeps an object whole, so that terms may ask for any field; `spec` and `status` are always there.
fn keep<S: Spec>(object: &DynamicObject) -> Option<Value> {
    let mut value = serde_json::to_value(object).ok()?;
    let fields = value.as_object_mut()?;
    fields.insert("kind".to_owned(), S::KIND.into());
    for part in ["spec", "status"] {
        if !fields.get(part).is_some_and(Value::is_object) {
            fields.insert(part.to_owned(), Value::Object(Map::new()));
        }
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Some(value)
}

struct Kind {
    name: &'static str,
    followed: Arc<Followed<Value>>,
    all: All<Value>,
}

/// All objects of all projects.
pub(super) struct World {
    kinds: Vec<Kind>,
    evidence: (Arc<Followed<Noted>>, All<Noted>),
    fingerprints: Arc<Fingerprints>,
}

/// The fingerprints of objects, taken once for each that came from the server: looks come often, objects change seldom.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(Mutex<Taken>);

/// By address: the object and its fingerprint, when one can be taken.
type Taken = HashMap<usize, (Arc<Value>, Option<Digest>)>;

impl Fingerprints {
    fn of(&self, object: &Arc<Value>) -> Option<Digest> {
        // As long as it is kept here, nothing else has its address.
        let place = Arc::as_ptr(object).addr();
        let known = |all: &Taken| all.get(&place).map(|(_, digest)| *digest);
        if let Some(digest) = known(&self.all()) {
            return digest;
        }
        let digest = fingerprint_of(object).ok();
        self.all().insert(place, (Arc::clone(object), digest));
        digest
    }

    /// Forgets what nobody else has any more.
    fn forget(&self) {
        self.all().retain(|_, (object, _)| Arc::strong_count(object) > 1);
    }

    fn all(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The objects of one project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    pub(crate) project: String,
    pub(crate) fingerprints: Arc<Fingerprints>,
    /// By kind; every kind of ours but evidence is there.
    pub(crate) objects: BTreeMap<String, Vec<Arc<Value>>>,
    pub(crate) evidence: Vec<Arc<Noted>>,
}

impl World {
    pub(super) fn follow(scope: &Scope, client: &Client, changed: &Arc<Notify>) -> Self {
        let mut kinds = Vec::new();
        macro_rules! follow_kinds {
            ($($spec:ty),+ $(,)?) => {$(
                let followed = Arc::new(Followed::default());
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<$spec>());
                let following = follow(api, Arc::clone(&followed), Arc::clone(changed), keep::<$spec>);
                drop(scope.spawn_until_cancelled(<$spec>::PLURAL, following));
                kinds.push(Kind { name: <$spec>::KIND, followed, all: All::default() });
            )+};
        }
        follow_kinds!(
            ApprovalSpec,
            ArchitectureSpec,
            BaselineSpec,
            DocumentSpec,
            EnvironmentSpec,
            GateSpec,
            GlossarySpec,
            MethodSpec,
            ModelSpec,
            ProjectSpec,
            RequirementSpec,
            ServiceLevelObjectiveSpec,
            WorkItemSpec,
        );
        let evidence: Arc<Followed<Noted>> = Arc::default();
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource::<EvidenceSpec>());
        drop(scope.spawn_until_cancelled("evidence", follow(api, Arc::clone(&evidence), Arc::clone(changed), note)));
        Self { kinds, evidence: (evidence, All::default()), fingerprints: Arc::default() }
    }

    /// Judging by half of the objects would close gates that are open.
    pub(super) fn is_synced(&self) -> bool {
        self.evidence.0.is_synced() && self.kinds.iter().all(|kind| kind.followed.is_synced())
    }

    /// Takes what changed; returns the projects that it belongs to.
    pub(super) fn take(&mut self) -> BTreeSet<String> {
        let mut keys: BTreeSet<Key> = self.evidence.0.take(&mut self.evidence.1);
        for kind in &mut self.kinds {
            keys.extend(kind.followed.take(&mut kind.all));
        }
        self.fingerprints.forget();
        keys.into_iter().map(|(namespace, _)| namespace).collect()
    }

    /// Returns all projects: namespaces with objects of kinds that something is to be done for.
    pub(super) fn projects(&self) -> BTreeSet<String> {
        let acted = [ProjectSpec::KIND, GateSpec::KIND, ApprovalSpec::KIND, BaselineSpec::KIND, DocumentSpec::KIND];
        let kinds = self.kinds.iter().filter(|kind| acted.contains(&kind.name));
        kinds.flat_map(|kind| kind.all.keys()).map(|(namespace, _)| namespace.clone()).collect()
    }

    pub(super) fn room(&self, project: &str) -> Room {
        let of = |kind: &Kind| (kind.name.to_owned(), within(&kind.all, project).cloned().collect());
        Room {
            project: project.to_owned(),
            fingerprints: Arc::clone(&self.fingerprints),
            objects: self.kinds.iter().map(of).collect(),
            evidence: within(&self.evidence.1, project).cloned().collect(),
        }
    }
}

fn within<'a, T>(all: &'a All<T>, project: &'a str) -> impl Iterator<Item = &'a Arc<T>> {
    let from = (project.to_owned(), String::new());
    all.range(from..).take_while(move |((namespace, _), _)| namespace == project).map(|(_, one)| one)
}

impl Room {
    pub(crate) fn of_kind(&self, kind: &str) -> &[Arc<Value>] {
        self.objects.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Arc<Value>> {
        self.of_kind(kind).iter().find(|object| name_of(object) == name)
    }

    /// Returns the fingerprint of one of its objects; none when it cannot be taken.
    pub(crate) fn fingerprint(&self, object: &Arc<Value>) -> Option<Digest> {
        self.fingerprints.of(object)
    }

    /// Returns the project's object; the first by name when there are several.
    pub(crate) fn project_object(&self) -> Option<&Arc<Value>> {
        self.of_kind(ProjectSpec::KIND).first()
    }

    pub(crate) fn project_spec(&self) -> ProjectSpec {
        let spec = self.project_object().and_then(|object| object.get("spec").cloned());
        spec.and_then(|spec| serde_json::from_value(spec).ok()).unwrap_or_default()
    }

    /// Returns the newest evidence of each thing, as far as it counts now.
    pub(crate) fn newest(&self, now: Timestamp) -> Vec<Arc<Value>> {
        let mut newest: BTreeMap<_, &Arc<Noted>> = BTreeMap::new();
        for one in self.evidence.iter().filter(|one| one.verified) {
            let known = newest.entry(one.place()).or_insert(one);
            if known.age() < one.age() {
                *known = one;
            }
        }
        newest.into_values().filter(|one| one.counts(now)).map(|one| one.view()).collect()
    }
}

/// Returns an object's name.
pub(crate) fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the kind and name of what is not a requirement, as a subject of evidence says it.
pub(crate) fn subject_of(kind: &str, name: &str, fingerprint: Digest) -> Subject {
    if kind == RequirementSpec::KIND {
        return Subject { kind: SubjectKind::Requirement, name: name.to_owned(), digest: fingerprint };
    }
    Subject { kind: SubjectKind::Artifact, name: format!("{kind}/{name}"), digest: fingerprint }
}

/// Returns the kind and name that a subject of evidence is about.
pub(crate) fn object_of(subject: &Subject) -> Option<(&str, &str)> {
    match subject.kind {
        SubjectKind::Requirement => Some((RequirementSpec::KIND, &subject.name)),
        SubjectKind::Artifact => subject.name.split_once('/'),
        _ => None,
    }
}
