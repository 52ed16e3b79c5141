//! The history of a pod template: ControllerRevisions of StatefulSets and DaemonSets.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::Resource;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use crate::machinery::{ExecuteError, Key, Kind, MetaExt as _, controller_reference, is_controlled_by};

/// Tells a pod's revision in a label.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";

/// What is to be done so that the newest revision is the owner's template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// It is so.
    Keep(Arc<ControllerRevision>),
    /// An older one has this template: it becomes the newest.
    Renumber {
        revision: Arc<ControllerRevision>,
        number: i64,
    },
    Create(Box<ControllerRevision>),
}

/// Decides how the template gets its revision. Pure.
pub(crate) fn plan<O: Resource<DynamicType = ()>>(
    owner: &O,
    template: &PodTemplateSpec,
    history: &[Arc<ControllerRevision>],
    collisions: Option<i32>,
) -> Step {
    let data = data(template);
    let newest = history.iter().map(|one| one.revision).max().unwrap_or(0);
    let equal =
        history.iter().filter(|one| one.data.as_ref().is_some_and(|own| own.0 == data)).max_by_key(|one| one.revision);
    match equal {
        Some(one) if one.revision == newest => Step::Keep(Arc::clone(one)),
        Some(one) => Step::Renumber { revision: Arc::clone(one), number: newest + 1 },
        None => Step::Create(Box::new(new(owner, template, data, newest + 1, collisions))),
    }
}

/// Returns the owner's revisions that are beyond the limit and that no pod needs, oldest first. Pure.
pub(crate) fn surplus(
    history: &[Arc<ControllerRevision>],
    needed: &[&str],
    limit: Option<i32>,
) -> Vec<Arc<ControllerRevision>> {
    let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or(0);
    let mut free: Vec<Arc<ControllerRevision>> =
        history.iter().filter(|one| !needed.contains(&hash(one)) && !needed.contains(&one.name())).cloned().collect();
    free.sort_by_key(|one| one.revision);
    let count = free.len().saturating_sub(limit);
    free.truncate(count);
    free
}

/// Returns the template that a revision holds.
pub(crate) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let template = revision.data.as_ref()?.0.get("spec")?.get("template")?;
    serde_json::from_value(template.clone()).ok()
}

/// Returns the part of a revision's name that tells templates apart.
pub(crate) fn hash(revision: &ControllerRevision) -> &str {
    revision.label(REVISION_LABEL).unwrap_or_default()
}

/// The form that `kubectl rollout undo` sends back as a patch.
fn data(template: &PodTemplateSpec) -> Value {
    let mut template = serde_json::to_value(template).unwrap_or_default();
    if let Some(template) = template.as_object_mut() {
        template.insert("$patch".to_owned(), json!("replace"));
    }
    json!({"spec": {"template": template}})
}

fn new<O: Resource<DynamicType = ()>>(
    owner: &O,
    template: &PodTemplateSpec,
    data: Value,
    number: i64,
    collisions: Option<i32>,
) -> ControllerRevision {
    let hash = maru_ids::short_hash(&format!("{data}{}", collisions.unwrap_or(0)), 10);
    let mut labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(REVISION_LABEL.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", owner.name())),
            namespace: owner.meta().namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision: number,
    }
}

/// Returns the revisions that the owner controls.
pub(crate) fn owned(
    revisions: &Kind<ControllerRevision>,
    namespace: &str,
    owner_uid: &str,
) -> Vec<Arc<ControllerRevision>> {
    let mut all = revisions.in_namespace(namespace);
    all.retain(|one| is_controlled_by(one.as_ref(), owner_uid));
    all
}

/// Does a step and returns the revision of the owner's template.
pub(crate) async fn execute(
    revisions: &Kind<ControllerRevision>,
    step: Step,
) -> Result<Arc<ControllerRevision>, ExecuteError> {
    match step {
        Step::Keep(revision) => Ok(revision),
        Step::Renumber { revision, number } => {
            let patch =
                json!({"metadata": {"resourceVersion": revision.metadata.resource_version}, "revision": number});
            revisions.patch(&Key::of(revision.as_ref()), &patch).await
        }
        Step::Create(revision) => revisions.create(&revision).await,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::StatefulSet;

    use super::*;

    fn template_of(image: &str) -> PodTemplateSpec {
        serde_json::from_value(
            json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": image}]}}),
        )
        .unwrap()
    }

    fn made(step: Step) -> Arc<ControllerRevision> {
        match step {
            Step::Create(revision) => Arc::from(*revision),
            Step::Keep(_) | Step::Renumber { .. } => panic!("{step:?}"),
        }
    }

    #[test]
    fn a_template_keeps_its_revision_and_an_old_one_becomes_the_newest_again() {
        let owner: StatefulSet =
            serde_json::from_value(json!({"metadata": {"name": "db", "namespace": "shop", "uid": "u"}})).unwrap();
        let first = made(plan(&owner, &template_of("v1"), &[], None));
        assert_eq!((first.revision, template(&first)), (1, Some(template_of("v1"))));
        let second = made(plan(&owner, &template_of("v2"), std::slice::from_ref(&first), None));
        assert_eq!(second.revision, 2);
        let both = [Arc::clone(&first), Arc::clone(&second)];
        assert_eq!(plan(&owner, &template_of("v2"), &both, None), Step::Keep(Arc::clone(&second)));
        assert_eq!(
            plan(&owner, &template_of("v1"), &both, None),
            Step::Renumber { revision: Arc::clone(&first), number: 3 }
        );
        assert_eq!(surplus(&both, &[hash(&second)], Some(0)), [Arc::clone(&first)]);
        assert!(surplus(&both, &[hash(&second), first.name()], Some(0)).is_empty());
    }
}
