//! Gives claims their volumes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use maru_client::ReconcileError;
use serde_json::json;

use super::claim_plan::{Action, Observed, claim_reference, new_volume, plan};
use super::{BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, VolumeError};
use crate::machinery::{Done, EventType, Key, Kind, MetaExt as _, Reconcile, Recorder};
use crate::pods::{is_finished, node_name};
use crate::scheduler::claim_name;

/// Gives claims their volumes. Keys name claims.
#[derive(Debug)]
pub(crate) struct VolumeClaims {
    pub(crate) node_name: String,
    pub(crate) storage_directory: PathBuf,
    pub(crate) nodes: Kind<Node>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) claims: Kind<PersistentVolumeClaim>,
    pub(crate) volumes: Kind<PersistentVolume>,
    pub(crate) classes: Kind<StorageClass>,
    pub(crate) recorder: Recorder,
}

impl Reconcile for VolumeClaims {
    const NAME: &'static str = "persistentvolumeclaim";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(claim) = self.claims.get(key) else { return Ok(Done::Gone) };
        let observed = Observed {
            volumes: self.volumes.all(),
            classes: self.classes.all(),
            node: self.nodes.get(&Key::new("", &self.node_name)),
            is_used: self.is_used(&claim),
            claim,
        };
        for action in plan(&observed) {
            self.execute(key, &observed, &action).await?;
        }
        Ok(Done::Settled)
    }
}

impl VolumeClaims {
    fn is_used(&self, claim: &PersistentVolumeClaim) -> bool {
        let pods = self.pods.in_namespace(claim.namespace());
        pods.iter().filter(|pod| node_name(pod).is_some() && !is_finished(pod)).any(|pod| {
            let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            volumes.filter_map(|volume| claim_name(pod, volume)).any(|name| name == claim.name())
        })
    }

    async fn execute(&self, key: &Key, observed: &Observed, action: &Action) -> Result<(), VolumeError> {
        let claim = observed.claim.as_ref();
        match action {
            Action::AssignClass(class) => {
                let patch = json!({"metadata": {"resourceVersion": claim.metadata.resource_version}, "spec": {"storageClassName": class}});
                self.claims.patch(key, &patch).await?;
            }
            Action::Provision(class) => self.provision(claim, class).await?,
            Action::Reserve(volume) => {
                let patch = json!({
                    "metadata": {"resourceVersion": volume.metadata.resource_version, "annotations": {BOUND_BY_CONTROLLER: "yes"}},
                    "spec": {"claimRef": claim_reference(claim)},
                });
                self.volumes.patch(&Key::of(volume.as_ref()), &patch).await?;
            }
            Action::Bind(volume) => {
                let mut finalizers = claim.metadata.finalizers.clone().unwrap_or_default();
                if !claim.has_finalizer(CLAIM_PROTECTION) {
                    finalizers.push(CLAIM_PROTECTION.to_owned());
                }
                let patch = json!({
                    "metadata": {
                        "resourceVersion": claim.metadata.resource_version,
                        "annotations": {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"},
                        "finalizers": finalizers,
                    },
                    "spec": {"volumeName": volume.name()},
                });
                self.claims.patch(key, &patch).await?;
            }
            Action::Bound(volume) => self.write_phase(key, "Bound", Some(volume)).await?,
            Action::Pending => self.write_phase(key, "Pending", None).await?,
            Action::Lost => {
                self.write_phase(key, "Lost", None).await?;
                let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!".to_owned();
                self.recorder.warning(claim, "ClaimLost", message);
            }
            Action::Unprotect => self.claims.remove_finalizer(claim, CLAIM_PROTECTION).await?,
            Action::Tell { is_problem, reason, message } => {
                let event_type = if *is_problem { EventType::Warning } else { EventType::Normal };
                self.recorder.record(claim, event_type, reason, message.clone());
            }
        }
        Ok(())
    }

    async fn provision(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> Result<(), VolumeError> {
        let (volume, directory) = new_volume(claim, class, &self.node_name, &self.storage_directory);
        if let Err(error) = make_directory(&directory).await {
            let message = format!("failed to provision volume with StorageClass \"{}\": {error}", class.name());
            self.recorder.warning(claim, "ProvisioningFailed", message);
            return Err(error);
        }
        match self.volumes.create(&volume).await {
            Ok(_) => {
                let message = format!("Successfully provisioned volume {}", volume.name());
                self.recorder.normal(claim, "ProvisioningSucceeded", message);
                Ok(())
            }
            Err(error) if error.is_already_exists() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_phase(&self, key: &Key, phase: &str, volume: Option<&PersistentVolume>) -> Result<(), VolumeError> {
        // An action before this one may have changed the claim.
        let Some(claim) = self.claims.get(key) else { return Ok(()) };
        let mut claim = claim.as_ref().clone();
        let status = claim.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        if let Some(spec) = volume.and_then(|volume| volume.spec.as_ref()) {
            status.access_modes.clone_from(&spec.access_modes);
            status.capacity.clone_from(&spec.capacity);
        }
        self.claims.replace_status(&claim).await?;
        Ok(())
    }
}

/// Makes a volume's directory; every user may write in it, as the pod's user is not known here.
async fn make_directory(directory: &Path) -> Result<(), VolumeError> {
    let failed = |source| VolumeError::MakeDirectory { path: directory.to_path_buf(), source };
    tokio::fs::create_dir_all(directory).await.map_err(failed)?;
    tokio::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).await.map_err(failed)
}
