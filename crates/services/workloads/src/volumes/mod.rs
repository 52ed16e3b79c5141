//! Local-path volumes: claims, volumes, their directories and their ends.

mod claim_plan;
mod claims;
mod ephemeral;
mod persistent;

use std::path::PathBuf;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ObjectMeta;
use maru_client::ReconcileError;

pub(crate) use self::claims::VolumeClaims;
pub(crate) use self::ephemeral::{EphemeralClaims, has_ephemeral};
pub(crate) use self::persistent::PersistentVolumes;
use crate::machinery::{Done, ExecuteError, Key, Kind, MetaExt as _, Reconcile};

/// The provisioner of our class.
pub(crate) const PROVISIONER: &str = "maru.dev/local-path";
/// The class that claims get when they name none.
pub(crate) const CLASS_NAME: &str = "local-path";
pub(crate) const IS_DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
pub(crate) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
pub(crate) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
pub(crate) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
pub(crate) const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// A step for a volume failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum VolumeError {
    /// The API refused.
    #[error(transparent)]
    Api(#[from] ExecuteError),
    /// The directory could not be made.
    #[error("could not make the volume directory \"{path}\": {source}")]
    MakeDirectory { path: PathBuf, source: std::io::Error },
    /// The directory could not be removed.
    #[error("could not remove the volume directory \"{path}\": {source}")]
    RemoveDirectory { path: PathBuf, source: std::io::Error },
}

/// Tells whether the claim has its volume.
pub(crate) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let has_volume =
        claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()).is_some_and(|name| !name.is_empty());
    has_volume && claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// Tells whether volumes of the class are made only when a pod needs them.
pub(crate) fn waits_for_consumer(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// Sees to it that our class exists. Its only key is the class's name; a changed class stays changed.
#[derive(Debug)]
pub(crate) struct DefaultClass {
    pub(crate) classes: Kind<StorageClass>,
}

impl Reconcile for DefaultClass {
    const NAME: &'static str = "storageclass";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        if self.classes.get(key).is_some() {
            return Ok(Done::Settled);
        }
        let has_default = self.classes.all().iter().any(|class| class.annotation(IS_DEFAULT_CLASS) == Some("true"));
        let is_default = if has_default { "false" } else { "true" };
        let class = StorageClass {
            metadata: ObjectMeta {
                name: Some(CLASS_NAME.to_owned()),
                annotations: Some([(IS_DEFAULT_CLASS.to_owned(), is_default.to_owned())].into()),
                ..ObjectMeta::default()
            },
            provisioner: PROVISIONER.to_owned(),
            reclaim_policy: Some("Delete".to_owned()),
            volume_binding_mode: Some("WaitForFirstConsumer".to_owned()),
            ..StorageClass::default()
        };
        match self.classes.create(&class).await {
            Ok(_) => Ok(Done::Settled),
            Err(error) if error.is_already_exists() => Ok(Done::Settled),
            Err(error) => Err(error.into()),
        }
    }
}
