//! Makes the claims that pods carry within themselves (generic ephemeral volumes).

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::ObjectMeta;
use maru_client::ReconcileError;

use crate::machinery::{Done, Key, Kind, MetaExt as _, Reconcile, Recorder, controller_reference, is_controlled_by};
use crate::pods::is_active;
use crate::scheduler::claim_name;

/// Makes the claims that pods carry within themselves. Keys name pods.
#[derive(Debug)]
pub(crate) struct EphemeralClaims {
    pub(crate) pods: Kind<Pod>,
    pub(crate) claims: Kind<PersistentVolumeClaim>,
    pub(crate) recorder: Recorder,
}

/// Tells whether the pod carries such claims.
pub(crate) fn has_ephemeral(pod: &Pod) -> bool {
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(|volume| volume.ephemeral.is_some())
}

/// Returns the claims that the pod should have. Pure.
fn plan(pod: &Pod) -> Vec<PersistentVolumeClaim> {
    if !is_active(pod) {
        return Vec::new();
    }
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| {
            let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
            let meta = template.metadata.clone().unwrap_or_default();
            Some(PersistentVolumeClaim {
                metadata: ObjectMeta {
                    name: claim_name(pod, volume),
                    namespace: pod.metadata.namespace.clone(),
                    labels: meta.labels,
                    annotations: meta.annotations,
                    owner_references: Some(vec![controller_reference(pod)]),
                    ..ObjectMeta::default()
                },
                spec: Some(template.spec.clone()),
                status: None,
            })
        })
        .collect()
}

impl Reconcile for EphemeralClaims {
    const NAME: &'static str = "ephemeral-volume";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(pod) = self.pods.get(key) else { return Ok(Done::Gone) };
        if !has_ephemeral(&pod) {
            return Ok(Done::Gone);
        }
        for claim in plan(&pod) {
            match self.claims.get(&Key::of(&claim)) {
                Some(there) if is_controlled_by(there.as_ref(), pod.uid()) => {}
                Some(there) => {
                    let message = format!("PVC \"{}\" was not created for the pod", Key::of(there.as_ref()));
                    self.recorder.warning(pod.as_ref(), "FailedCreate", message);
                }
                None => match self.claims.create(&claim).await {
                    Ok(_) => {}
                    Err(error) if error.is_already_exists() || error.is_namespace_ending() => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
        Ok(Done::Settled)
    }
}
