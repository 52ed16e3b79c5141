//! Reads from the API server what a question is made of.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DynamicObject, ListParams};
use maru_api::{
    ArchitectureSpec, Digest, EnvironmentSpec, EvidenceSpec, Object, ProjectSpec, RequirementSpec, RequirementStatus,
    Spec,
};
use maru_client::Client;
use serde_json::{Value, json};

use super::{Copies, Question, readings};
use crate::control::resource;
use crate::desk::object_name;

const PROJECT_LABEL: &str = "maru.dev/project";
const ENVIRONMENT_LABEL: &str = "maru.dev/environment";

/// Returns the questions of a project as they stand now, by the architecture's name; of one that cannot be read, why.
///
/// # Errors
/// When the API server refuses.
pub async fn questions(client: &Client, project: &str) -> Result<Vec<(String, Result<Question, String>)>, kube::Error> {
    let reader = Reader::new(client);
    let requirements = reader.requirements(project).await?;
    let mut all = Vec::new();
    for object in reader.list::<ArchitectureSpec>(project).await? {
        let question = match spec_of(&object) {
            Ok(spec) => Ok(reader.question(project, spec, &requirements).await?),
            Err(error) => Err(error.to_string()),
        };
        all.push((object.metadata.name.unwrap_or_default(), question));
    }
    Ok(all)
}

/// Reads what an object asks for.
pub(super) fn spec_of<S: Spec>(object: &DynamicObject) -> Result<S, serde_json::Error> {
    serde_json::from_value(object.data.get("spec").cloned().unwrap_or_else(|| json!({})))
}

pub(super) struct Reader {
    client: Client,
}

impl Reader {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    pub(super) fn of<S: Spec>(&self, project: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), project, &resource::<S>())
    }

    pub(super) async fn everywhere<S: Spec>(&self) -> Result<Vec<DynamicObject>, kube::Error> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource::<S>());
        Ok(all.list(&ListParams::default()).await?.items)
    }

    pub(super) async fn projects(&self) -> Result<Vec<String>, kube::Error> {
        let found = self.everywhere::<ProjectSpec>().await?;
        Ok(found.into_iter().filter_map(|object| object.metadata.namespace).collect())
    }

    async fn list<S: Spec>(&self, project: &str) -> Result<Vec<DynamicObject>, kube::Error> {
        Ok(self.of::<S>(project).list(&ListParams::default()).await?.items)
    }

    pub(super) async fn requirements(&self, project: &str) -> Result<Vec<Seen>, kube::Error> {
        Ok(self.list::<RequirementSpec>(project).await?.into_iter().map(Seen::new).collect())
    }

    pub(super) async fn project(&self, project: &str) -> Result<Option<ProjectSpec>, kube::Error> {
        let found = self.list::<ProjectSpec>(project).await?;
        let spec = found.into_iter().next().and_then(|object| object.data.get("spec").cloned());
        Ok(spec.and_then(|spec| serde_json::from_value(spec).ok()))
    }

    /// Asks about an architecture with what is measured of it now.
    pub(super) async fn question(
        &self,
        project: &str,
        architecture: ArchitectureSpec,
        requirements: &[Seen],
    ) -> Result<Question, kube::Error> {
        let specs = requirements.iter().filter_map(|one| Some((one.name.clone(), one.spec.clone()?))).collect();
        let counted = requirements.iter().flat_map(|one| &one.status.checks).filter_map(|check| check.evidence);
        let evidence = self.evidence(project, counted.collect()).await?;
        let statuses = requirements.iter().map(|one| (one.name.as_str(), &one.status));
        let readings = readings(statuses, |digest| evidence.get(&digest).cloned());
        let question = Question::new(architecture, specs);
        if readings.is_empty() {
            return Ok(question);
        }
        Ok(question.measured(&readings, &self.copies(project).await?))
    }

    /// Returns the evidence that was verified.
    async fn evidence(
        &self,
        project: &str,
        wanted: BTreeSet<Digest>,
    ) -> Result<BTreeMap<Digest, EvidenceSpec>, kube::Error> {
        let api = self.of::<EvidenceSpec>(project);
        let mut found = BTreeMap::new();
        for envelope in wanted {
            let Some(object) = api.get_opt(&object_name(envelope)).await? else { continue };
            if object.data.pointer("/status/verified") != Some(&Value::Bool(true)) {
                continue;
            }
            let spec: Option<EvidenceSpec> =
                object.data.get("spec").cloned().and_then(|spec| serde_json::from_value(spec).ok());
            found.extend(spec.filter(|spec| spec.envelope == envelope).map(|spec| (envelope, spec)));
        }
        Ok(found)
    }

    async fn read<S: Spec>(&self, project: &str) -> Result<Vec<Object<S>>, kube::Error> {
        let read = |object| serde_json::to_value(object).and_then(serde_json::from_value).ok();
        Ok(self.list::<S>(project).await?.into_iter().filter_map(read).collect())
    }

    /// Counts the pods of each component in each environment of a project.
    async fn copies(&self, project: &str) -> Result<Copies, kube::Error> {
        let mut places: BTreeSet<(String, String)> = BTreeSet::new();
        let labelled = ListParams::default().labels(&format!("{PROJECT_LABEL}={project},{ENVIRONMENT_LABEL}"));
        for namespace in Api::<Namespace>::all(self.client.clone()).list(&labelled).await? {
            let environment =
                namespace.metadata.labels.as_ref().and_then(|labels| labels.get(ENVIRONMENT_LABEL)).cloned();
            places.extend(environment.zip(namespace.metadata.name));
        }
        for object in self.read::<EnvironmentSpec>(project).await? {
            places.insert((object.metadata.name, object.spec.namespace));
        }
        for object in self.read::<ProjectSpec>(project).await? {
            for environment in object.spec.environments {
                let place = environment.namespace.unwrap_or_else(|| format!("{project}-{}", environment.name));
                places.insert((environment.name, place));
            }
        }
        let mut copies = Copies::new();
        for (environment, place) in places {
            for pod in Api::<Pod>::namespaced(self.client.clone(), &place).list(&ListParams::default()).await? {
                let labels = pod.metadata.labels.unwrap_or_default();
                let component = labels.get("app.kubernetes.io/name").or_else(|| labels.get("app"));
                let runs = pod.status.and_then(|status| status.phase).is_some_and(|phase| phase == "Running");
                if let (Some(component), true, None) = (component, runs, pod.metadata.deletion_timestamp) {
                    *copies.entry((environment.clone(), component.clone())).or_default() += 1;
                }
            }
        }
        Ok(copies)
    }
}

/// A requirement as it is now.
pub(super) struct Seen {
    pub(super) name: String,
    spec: Option<RequirementSpec>,
    pub(super) status: RequirementStatus,
}

impl Seen {
    fn new(object: DynamicObject) -> Self {
        let name = object.metadata.name.clone().unwrap_or_default();
        let mut fields = object.data;
        let status = serde_json::from_value(fields["status"].take()).unwrap_or_default();
        Self { name, spec: serde_json::from_value(fields["spec"].take()).ok(), status }
    }
}
