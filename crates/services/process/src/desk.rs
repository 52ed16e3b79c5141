//! What a person does with evidence from the command line: record, list, verify, export.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{
    Digest, EnvironmentSpec, Evidence, EvidenceSpec, GROUP, GlossarySpec, GlossaryTerm, Language, Object, Project,
    ProjectSpec, Requirement, RequirementSpec, Spec, Subject, VERSION,
};
use maru_client::Client;
use maru_evidence::{Draft, PublicKey};
use maru_time::Timestamp;

use crate::baseline::{Content, Snapshot};
use crate::control::resource;
use crate::desk_error::DeskError;
use crate::ledger::{Appended, Ledger};
use crate::material::Material;
use crate::mirror::Mirror;
use crate::running;
use crate::view::{self, View};

/// Digits of the envelope's digest in the name of its object.
const NAME_DIGITS: usize = 20;

/// A key that signs, or signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTime {
    /// The public key.
    pub key: PublicKey,
    /// The place in the chain of the first record that it signed, or will sign.
    pub since: u64,
}

/// The objects of a project, and the ledger of this machine.
#[derive(Clone)]
pub struct Desk {
    pub(crate) client: Client,
    ledger: Ledger,
    project: String,
    /// The folder of the ledger, when that is a copy.
    _mirror: Option<Arc<Mirror>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Desk").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Desk {
    /// Returns the desk of a project.
    #[must_use]
    pub fn new(client: Client, ledger: Ledger, project: &str) -> Self {
        Self { client, ledger, project: project.to_owned(), _mirror: None }
    }

    /// Returns the project's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.project
    }

    /// The same desk over a copy of the ledger.
    pub(crate) fn over(self, ledger: Ledger, mirror: Arc<Mirror>) -> Self {
        Self { ledger, _mirror: Some(mirror), ..self }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the project's requirements with their statuses, by name.
    ///
    /// # Errors
    /// When the API server refuses, or one of them cannot be read.
    pub async fn requirements(&self) -> Result<Vec<Requirement>, DeskError> {
        self.list::<RequirementSpec>().await
    }

    /// Returns the project's evidence, in the order of the chain as far as it is known.
    ///
    /// # Errors
    /// When the API server refuses, or one of them cannot be read.
    pub async fn evidence(&self) -> Result<Vec<Evidence>, DeskError> {
        let mut all = self.list::<EvidenceSpec>().await?;
        let place = |one: &Evidence| {
            let sequence = one.status.as_ref().and_then(|status| status.sequence);
            (sequence.unwrap_or(u64::MAX), one.spec.window.to, one.metadata.name.clone())
        };
        all.sort_by_key(place);
        Ok(all)
    }

    /// Returns the projects of the namespace: none or one.
    ///
    /// # Errors
    /// When the API server refuses, or it cannot be read.
    pub async fn project(&self) -> Result<Option<Project>, DeskError> {
        Ok(self.list::<ProjectSpec>().await?.into_iter().next())
    }

    /// Returns what a signed baseline holds. Blocks on the disk.
    ///
    /// # Errors
    /// When the content is missing or damaged.
    pub fn content(&self, digest: Digest) -> Result<Content, DeskError> {
        Ok(Content::load(&self.ledger, digest)?)
    }

    /// Gathers what documents of a baseline are made of: the same at any time. Blocks on the disk.
    ///
    /// # Errors
    /// When its evidence is missing or damaged.
    pub fn material_of(&self, content: &Content, language: Language) -> Result<Material, DeskError> {
        Ok(Material::of_baseline(&self.ledger, content, language)?)
    }

    /// Returns what the objects come to that a baseline would hold now.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn snapshot(&self) -> Result<Snapshot, DeskError> {
        let mut objects = Vec::new();
        for (kind, plural) in crate::baseline::HELD {
            let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, kind), plural);
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.project, &kind);
            let found = api.list(&ListParams::default()).await.map_err(|source| DeskError::Api {
                action: format!("list {plural} of \"{}\"", self.project),
                source: Box::new(source),
            })?;
            objects.extend(found.items.into_iter().filter_map(|object| {
                let mut object = serde_json::to_value(object).ok()?;
                object["kind"] = kind.kind.clone().into();
                Some(object)
            }));
        }
        Ok(Snapshot::of(objects.iter()))
    }

    /// Returns the words that the project has agreed on.
    ///
    /// # Errors
    /// When the API server refuses, or a glossary cannot be read.
    pub async fn glossary(&self) -> Result<Vec<GlossaryTerm>, DeskError> {
        Ok(self.list::<GlossarySpec>().await?.into_iter().flat_map(|one| one.spec.terms).collect())
    }

    /// Returns all objects of a kind.
    ///
    /// # Errors
    /// When the API server refuses, or one of them cannot be read.
    pub async fn list<S: Spec>(&self) -> Result<Vec<Object<S>>, DeskError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.project, &resource::<S>());
        let found = api.list(&ListParams::default()).await.map_err(|source| DeskError::Api {
            action: format!("list {} of \"{}\"", S::PLURAL, self.project),
            source: Box::new(source),
        })?;
        let read = |object: DynamicObject| {
            let name = object.metadata.name.clone().unwrap_or_default();
            let value = serde_json::to_value(object).and_then(serde_json::from_value::<Object<S>>);
            value.map_err(|error| DeskError::Object { kind: S::KIND, name, why: error.to_string() })
        };
        found.items.into_iter().map(read).collect()
    }

    /// Stores a record and makes its object.
    pub(crate) async fn record(&self, draft: Draft, now: Timestamp) -> Result<Appended, DeskError> {
        let appended = self.ledger.append(&self.project, draft, now)?;
        self.make_object(appended.envelope, appended.statement.index(appended.envelope)).await?;
        self.ledger.settle(&self.project, appended.envelope)?;
        Ok(appended)
    }

    /// Makes a new key that signs this project's evidence from now on.
    ///
    /// # Errors
    /// When the API server refuses or the disk fails.
    pub async fn rotate_key(&self, now: Timestamp) -> Result<Appended, DeskError> {
        self.repair().await?;
        let appended = self.ledger.rotate(&self.project, now)?;
        self.make_object(appended.envelope, appended.statement.index(appended.envelope)).await?;
        self.ledger.settle(&self.project, appended.envelope)?;
        Ok(appended)
    }

    /// Returns the keys that signed this project's evidence, in their order; the last one signs now.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keys(&self) -> Result<Vec<KeyTime>, DeskError> {
        let Some(current) = self.ledger.public_key(&self.project)? else { return Ok(Vec::new()) };
        let verifier = self.ledger.verifier(&self.project)?;
        let mut keys = vec![KeyTime { key: current, since: 0 }];
        let mut next = self.ledger.head(&self.project)?.head;
        while let Some(digest) = next {
            let envelope = self.ledger.get(digest)?;
            let Ok(verified) = maru_evidence::open(&verifier, digest, &envelope) else { break };
            if let Some(last) = keys.last_mut().filter(|last| last.key.digest() != verified.key) {
                last.since = verified.statement.record.sequence + 1;
                keys.extend(
                    verifier.keys().find(|key| key.digest() == verified.key).map(|key| KeyTime { key, since: 0 }),
                );
            }
            next = verified.statement.record.previous;
        }
        keys.reverse();
        Ok(keys)
    }

    async fn make_object(&self, envelope: Digest, spec: EvidenceSpec) -> Result<(), DeskError> {
        let name = object_name(envelope);
        let object = serde_json::to_value(Evidence::new(&self.project, &name, spec)).and_then(serde_json::from_value);
        let object: DynamicObject =
            object.map_err(|error| DeskError::Object { kind: "Evidence", name, why: error.to_string() })?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.project, &resource::<EvidenceSpec>());
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(source) => {
                let action = format!("record evidence in project \"{}\"", self.project);
                Err(DeskError::Api { action, source: Box::new(source) })
            }
        }
    }

    /// Makes the object of the last record when that was cut short.
    pub(crate) async fn repair(&self) -> Result<(), DeskError> {
        let head = self.ledger.head(&self.project)?;
        let (Some(envelope), true) = (head.head, head.pending) else { return Ok(()) };
        let verifier = self.ledger.verifier(&self.project)?;
        if let Ok(verified) = maru_evidence::open(&verifier, envelope, &self.ledger.get(envelope)?) {
            self.make_object(envelope, verified.statement.index(envelope)).await?;
            self.ledger.settle(&self.project, envelope)?;
        }
        Ok(())
    }

    pub(crate) async fn runs_in(&self, environment: &str) -> Result<Vec<Subject>, DeskError> {
        let mut running = self.running().await?;
        running.remove(environment).ok_or_else(|| DeskError::NoEnvironment {
            project: self.project.clone(),
            environment: environment.to_owned(),
        })
    }

    /// Returns what runs now, by environment, as this caller may see it: by its pods, else as Maru wrote it into the
    /// environments.
    ///
    /// # Errors
    /// When the API server refuses both.
    pub async fn runs(&self) -> Result<BTreeMap<String, Vec<Subject>>, DeskError> {
        match self.running().await {
            Err(DeskError::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 403) => {
                let told = self.list::<EnvironmentSpec>().await?.into_iter();
                Ok(told.map(|one| (one.metadata.name, one.status.unwrap_or_default().subjects)).collect())
            }
            running => running,
        }
    }

    /// Returns what runs now, by environment.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn running(&self) -> Result<BTreeMap<String, Vec<Subject>>, DeskError> {
        let refused = |what: &str| {
            let action = format!("list {what}");
            move |source| DeskError::Api { action, source: Box::new(source) }
        };
        let all = ListParams::default();
        let namespaces = Api::<Namespace>::all(self.client.clone()).list(&all).await.map_err(refused("namespaces"))?;
        let pods = Api::<Pod>::all(self.client.clone()).list(&all).await.map_err(refused("pods"))?;
        let maps = Api::<ConfigMap>::all(self.client.clone()).list(&all).await.map_err(refused("configmaps"))?;
        let mut view = View::default();
        for map in maps {
            let key =
                (map.metadata.namespace.clone().unwrap_or_default(), map.metadata.name.clone().unwrap_or_default());
            view.config_maps.extend(running::content_of(&map).map(|digest| (key, Arc::new(digest))));
        }
        for namespace in namespaces {
            let labels = namespace.metadata.labels.unwrap_or_default();
            let name = namespace.metadata.name.unwrap_or_default();
            view.namespaces.insert((String::new(), name), Arc::new(labels));
        }
        for pod in pods {
            if let Some(runs) = running::runs_of(&pod) {
                let key = (pod.metadata.namespace.unwrap_or_default(), pod.metadata.name.unwrap_or_default());
                view.pods.insert(key, Arc::new(runs));
            }
        }
        for one in self.list::<EnvironmentSpec>().await? {
            view.environments.insert((self.project.clone(), one.metadata.name.clone()), Arc::new(one.into()));
        }
        for one in self.list::<ProjectSpec>().await? {
            view.projects.insert((self.project.clone(), one.metadata.name.clone()), Arc::new(one.into()));
        }
        Ok(view::environments(&view, &self.project))
    }
}

/// Returns the name of the object that indexes an envelope.
pub(crate) fn object_name(envelope: Digest) -> String {
    let digits: String = envelope.hex().chars().take(NAME_DIGITS).collect();
    format!("sha256-{digits}")
}
