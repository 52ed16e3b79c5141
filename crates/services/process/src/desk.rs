//! What a person does with evidence from the command line: record, list, verify, export.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{
    Digest, EnvironmentSpec, Evidence, EvidenceSpec, GROUP, GlossarySpec, GlossaryTerm, Language, Object, Project,
    ProjectSpec, Requirement, RequirementSpec, Span, Spec, Subject, SubjectKind, VERSION, Window,
};
use maru_client::Client;
use maru_evidence::readers::{self, Circumstances, Format, Report};
use maru_evidence::{Draft, EvidenceKind, ForeignKey, PublicKey};
use maru_time::Timestamp;

use crate::baseline::{Content, Snapshot};
use crate::control::resource;
use crate::desk_error::{DeskError, place};
use crate::ledger::{Appended, Ledger};
use crate::mirror::Mirror;
use crate::papers::Material;
use crate::plan;
use crate::running;
use crate::view::{self, View};

/// Digits of the envelope's digest in the name of its object.
const NAME_DIGITS: usize = 20;

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// How the report is read.
    pub format: Format,
    /// The report as the tool wrote it.
    pub content: Vec<u8>,
    /// The requirements that it is about; none: those whose checks ask for it.
    pub requirements: Vec<String>,
    /// Where it was measured.
    pub environment: Option<String>,
    /// The images that were measured; none: those that run there now.
    pub images: Vec<Subject>,
    /// What checks ask for it by; none: as the report says, or the requirement's own check.
    pub name: Option<String>,
    /// How long it counts.
    pub valid_for: Option<Span>,
    /// The commit that was measured, as git names it.
    pub commit: Option<String>,
    /// The digest of what the tool was told: its script, its configuration.
    pub parameters: Option<Digest>,
    /// Public keys of whoever signed what is inside of the report: what they did not sign does not count.
    pub keys: Vec<ForeignKey>,
}

impl Attestation {
    /// Records a report about whatever asks for it.
    #[must_use]
    pub fn new(format: Format, content: Vec<u8>) -> Self {
        Self {
            format,
            content,
            requirements: Vec::new(),
            environment: None,
            images: Vec::new(),
            name: None,
            valid_for: None,
            commit: None,
            parameters: None,
            keys: Vec::new(),
        }
    }
}

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

    /// Signs what a report says and records it: one record for all requirements where the report says the same about
    /// all, else one for each.
    ///
    /// # Errors
    /// When the report cannot be read, nothing asks for it, or it cannot be stored.
    pub async fn attest(&self, wanted: &Attestation, now: Timestamp) -> Result<Vec<Appended>, DeskError> {
        self.repair().await?;
        let mut report = readers::read(wanted.format, &wanted.content)?;
        if !wanted.keys.is_empty() {
            report.trust(&wanted.keys)?;
        }
        let requirements = self.requirements().await?;
        let rules = plan::rules(&self.project().await?.map(|project| project.spec).unwrap_or_default());
        let parts = self.parts(wanted, &report, &requirements)?;
        let running = match &wanted.environment {
            Some(environment) if wanted.images.is_empty() => Some(self.runs_in(environment).await?),
            _ => None,
        };
        self.ledger.put(&wanted.content)?;
        let mut appended = Vec::new();
        for part in parts {
            let images = running.as_deref().unwrap_or(&wanted.images);
            let draft = draft(wanted, &report, &part, images, rules.confidence.as_f64(), now);
            appended.push(self.record(draft, now).await?);
        }
        Ok(appended)
    }

    /// Returns the records that are to be made: under which name, about which requirements.
    fn parts<'a>(
        &self,
        wanted: &Attestation,
        report: &Report,
        requirements: &'a [Requirement],
    ) -> Result<Vec<Part<'a>>, DeskError> {
        let mut names = wanted.name.clone().map_or_else(|| report.names(), |name| vec![name]);
        if names.is_empty() && report.is_of_project() {
            names.push(report.kind.word().to_owned());
        }
        let about: Vec<&Requirement> = if wanted.requirements.is_empty() {
            requirements.iter().collect()
        } else {
            let named = |name: &String| {
                let found = requirements.iter().find(|one| one.metadata.name == *name);
                found.ok_or_else(|| DeskError::NoRequirement { project: self.project.clone(), name: name.clone() })
            };
            wanted.requirements.iter().map(named).collect::<Result<_, _>>()?
        };
        let mut by_name: BTreeMap<String, Vec<&Requirement>> = BTreeMap::new();
        for one in about {
            let asked = asked_names(one, report.kind, &names, wanted.environment.as_deref());
            if asked.is_empty() && !wanted.requirements.is_empty() {
                return Err(not_asked(one, report.kind, &names, wanted.environment.as_deref()));
            }
            // Without a name of its own, a report is about what was named only.
            if names.is_empty() && wanted.requirements.is_empty() {
                continue;
            }
            for name in asked {
                by_name.entry(name).or_default().push(one);
            }
        }
        if report.is_of_project() && wanted.requirements.is_empty() {
            // Stages of the project ask for it, whoever else does.
            for name in &names {
                by_name.entry(name.clone()).or_default();
            }
        }
        if by_name.is_empty() {
            return Err(DeskError::NobodyAsks {
                project: self.project.clone(),
                kind: report.kind.word(),
                name: names.join("\", \""),
                environment: wanted.environment.clone(),
            });
        }
        let is_same_for_all =
            matches!(wanted.format, Format::Junit | Format::Sarif | Format::Approval) || report.is_of_project();
        Ok(by_name
            .into_iter()
            .flat_map(|(name, about)| {
                let groups =
                    if is_same_for_all { vec![about] } else { about.into_iter().map(|one| vec![one]).collect() };
                groups.into_iter().map(move |about| Part { name: name.clone(), about })
            })
            .collect())
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

    async fn runs_in(&self, environment: &str) -> Result<Vec<Subject>, DeskError> {
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

fn subject_of(requirement: &Requirement) -> Subject {
    Subject {
        kind: SubjectKind::Requirement,
        name: requirement.metadata.name.clone(),
        digest: requirement.fingerprint(),
    }
}

/// One record that is to be made.
struct Part<'a> {
    name: String,
    about: Vec<&'a Requirement>,
}

fn draft(
    wanted: &Attestation,
    report: &Report,
    part: &Part<'_>,
    images: &[Subject],
    confidence: f64,
    now: Timestamp,
) -> Draft {
    let is_allocated = |name: &String| part.about.iter().any(|one| one.spec.allocated_to.contains(name));
    let mut subjects: Vec<Subject> = part.about.iter().map(|one| subject_of(one)).collect();
    let commit =
        |id: &String| Subject { kind: SubjectKind::Commit, name: id.clone(), digest: Digest::of(id.as_bytes()) };
    subjects.extend(wanted.commit.iter().map(commit));
    match report.kind {
        EvidenceKind::Approval => {}
        // It says itself what was built: where that runs, it is about the component.
        EvidenceKind::Provenance => {
            for own in report.subjects(&part.name, &wanted.content) {
                let runs = |image: &&Subject| image.kind == SubjectKind::Image && image.digest == own.digest;
                subjects.extend(images.iter().filter(runs).cloned());
                subjects.push(own);
            }
            // An image may have several names.
            subjects.sort();
            subjects.dedup();
        }
        _ => {
            let named = !wanted.images.is_empty();
            subjects.extend(images.iter().filter(|image| named || is_allocated(&image.name)).cloned());
            subjects.extend(report.subjects(&part.name, &wanted.content));
        }
    }
    let criterion = match part.about.as_slice() {
        [only] => only.spec.criterion.as_ref(),
        _ => None,
    };
    let checks = part.about.iter().flat_map(|one| &one.spec.verify);
    let asked = checks.filter_map(|check| check.confidence).map(|ratio| ratio.as_f64()).fold(confidence, f64::max);
    let window = report.window.unwrap_or(Window { from: now, to: now });
    let until = |span: Span| {
        let span = jiff::SignedDuration::try_from(span.to_std()).unwrap_or(jiff::SignedDuration::MAX);
        window.to.checked_add(span).unwrap_or(Timestamp::MAX)
    };
    let circumstances = Circumstances {
        name: Some(part.name.clone()),
        subjects,
        environment: wanted.environment.clone(),
        parameters: wanted.parameters,
        window,
        valid_until: wanted.valid_for.map(until),
        confidence: asked,
    };
    report.draft(&wanted.content, criterion, circumstances)
}

/// Returns the names by which a requirement asks for evidence of this kind, among those that there are.
fn asked_names(one: &Requirement, kind: EvidenceKind, names: &[String], environment: Option<&str>) -> Vec<String> {
    let mut asked = Vec::new();
    for check in &one.spec.verify {
        let fits = EvidenceKind::of_means(&check.by) == Some(kind)
            && check.environment.as_deref().is_none_or(|own| Some(own) == environment);
        if !fits {
            continue;
        }
        let own = check.by.name();
        if own == "*" {
            asked.extend(names.iter().cloned());
        } else if names.is_empty() || names.iter().any(|name| name == own) {
            // A report that does not know what it is called is called as the check calls it.
            asked.push(own.to_owned());
        }
    }
    asked.sort();
    asked.dedup();
    asked
}

fn not_asked(one: &Requirement, kind: EvidenceKind, names: &[String], environment: Option<&str>) -> DeskError {
    let checks: Vec<String> = one
        .spec
        .verify
        .iter()
        .map(|check| {
            let place = check.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
            format!("{}{place}", check.by)
        })
        .collect();
    DeskError::NotAsked {
        name: one.metadata.name.clone(),
        asks: if checks.is_empty() { "nothing".to_owned() } else { checks.join("; ") },
        found: format!("{} \"{}\"{}", kind.word(), names.join("\", \""), place(environment)),
    }
}
