//! Everything that verdicts depend on, as the API server has it, and what of it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maru_api::{
    ArchitectureSpec, Digest, EnvironmentSpec, EvidenceSpec, GlossarySpec, ProjectSpec, RequirementSpec, Spec as _,
    Subject,
};

use crate::follow::{All, Key, Seen, SeenRequirement};
use crate::plan::Write;
use crate::running::{self, PodRuns};

pub(crate) const PROJECT_LABEL: &str = "maru.dev/project";
pub(crate) const ENVIRONMENT_LABEL: &str = "maru.dev/environment";

/// The objects, as they were looked at last.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) requirements: All<SeenRequirement>,
    pub(crate) evidence: All<Seen<EvidenceSpec>>,
    pub(crate) projects: All<Seen<ProjectSpec>>,
    pub(crate) environments: All<Seen<EnvironmentSpec>>,
    pub(crate) architectures: All<Seen<ArchitectureSpec>>,
    pub(crate) glossaries: All<Seen<GlossarySpec>>,
    /// The labels of each namespace.
    pub(crate) namespaces: All<BTreeMap<String, String>>,
    pub(crate) pods: All<PodRuns>,
    /// The digest of what each ConfigMap holds.
    pub(crate) config_maps: All<Digest>,
}

/// What changed since the last look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) requirements: BTreeSet<Key>,
    pub(crate) evidence: BTreeSet<Key>,
    pub(crate) projects: BTreeSet<Key>,
    pub(crate) environments: BTreeSet<Key>,
    /// Architectures and glossaries.
    pub(crate) words: BTreeSet<Key>,
    /// What runs may be something else.
    pub(crate) running: bool,
}

impl Changes {
    /// Adds what must be looked at again.
    pub(crate) fn extend(&mut self, other: Self) {
        self.requirements.extend(other.requirements);
        self.evidence.extend(other.evidence);
        self.projects.extend(other.projects);
        self.environments.extend(other.environments);
        self.words.extend(other.words);
        self.running |= other.running;
    }

    /// Returns the change that brings a status to be written again.
    pub(crate) fn of(write: &Write) -> Self {
        let key = BTreeSet::from([(write.namespace.clone(), write.name.clone())]);
        match write.kind {
            RequirementSpec::KIND => Self { requirements: key, ..Self::default() },
            EvidenceSpec::KIND => Self { evidence: key, ..Self::default() },
            EnvironmentSpec::KIND => Self { environments: key, ..Self::default() },
            _ => Self { projects: key, ..Self::default() },
        }
    }
}

/// Returns the objects of one namespace by their names.
pub(crate) fn within<'a, T>(all: &'a All<T>, namespace: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<T>)> {
    all.range((namespace.to_owned(), String::new())..)
        .take_while(move |((of, _), _)| of == namespace)
        .map(|((_, name), one)| (name.as_str(), one))
}

/// Returns what a project says of itself; the rules for all where it says nothing.
pub(crate) fn project_spec(view: &View, project: &str) -> ProjectSpec {
    let first = within(&view.projects, project).next();
    first.and_then(|(_, one)| one.spec.as_ref().ok()).cloned().unwrap_or_default()
}

/// Returns the namespaces of a project's environments, by the environments' names.
fn places(view: &View, project: &str) -> BTreeMap<String, String> {
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for ((_, name), labels) in &view.namespaces {
        if let (Some(of), Some(environment)) = (labels.get(PROJECT_LABEL), labels.get(ENVIRONMENT_LABEL))
            && of == project
        {
            places.insert(environment.clone(), name.clone());
        }
    }
    for (name, one) in within(&view.environments, project) {
        if let Ok(spec) = &one.spec {
            places.insert(name.to_owned(), spec.namespace.clone());
        }
    }
    for (_, one) in within(&view.projects, project) {
        for environment in one.spec.iter().flat_map(|spec| &spec.environments) {
            let default = || format!("{project}-{}", environment.name);
            places.insert(environment.name.clone(), environment.namespace.clone().unwrap_or_else(default));
        }
    }
    places
}

/// Returns what runs in each environment of a project, by the environment's name.
pub(crate) fn environments(view: &View, project: &str) -> BTreeMap<String, Vec<Subject>> {
    let subjects = |place: String| {
        let maps = |name: &str| view.config_maps.get(&(place.clone(), name.to_owned())).map(|digest| **digest);
        running::subjects(within(&view.pods, &place).map(|(_, pod)| &**pod), &maps)
    };
    places(view, project).into_iter().map(|(environment, place)| (environment, subjects(place))).collect()
}
