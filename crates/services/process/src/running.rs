//! What runs now: the images of pods by component.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use maru_api::{Digest, Subject, SubjectKind};

/// Labels that say which component a pod belongs to, the first that is there counts.
const COMPONENT_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

/// The images that a pod runs, and the component that it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodImages {
    pub(crate) component: String,
    pub(crate) images: BTreeSet<Digest>,
}

/// Returns what a pod runs; none when it runs nothing (any more).
pub(crate) fn images_of(pod: &Pod) -> Option<PodImages> {
    let labels = pod.metadata.labels.as_ref()?;
    let component = COMPONENT_LABELS.iter().find_map(|label| labels.get(*label))?.clone();
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let running = statuses.iter().filter(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
    let images: BTreeSet<Digest> =
        running.filter_map(|one| one.image_id.rsplit('@').next().and_then(|digest| digest.parse().ok())).collect();
    (!images.is_empty()).then_some(PodImages { component, images })
}

/// Returns the images that run in a namespace, each with the component's name.
pub(crate) fn subjects<'a>(pods: impl Iterator<Item = &'a PodImages>) -> Vec<Subject> {
    let mut images: BTreeMap<(&str, Digest), ()> = BTreeMap::new();
    for pod in pods {
        for digest in &pod.images {
            images.insert((&pod.component, *digest), ());
        }
    }
    images
        .into_keys()
        .map(|(name, digest)| Subject { kind: SubjectKind::Image, name: name.to_owned(), digest })
        .collect()
}
