//! Keeps the phase of volumes and takes back those whose claim is gone.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeStatus};
use maru_client::ReconcileError;
use maru_time::SharedClock;
use serde_json::json;

use super::claim_plan::is_reserved_by_us;
use super::{PROVISIONED_BY, PROVISIONER, VOLUME_PROTECTION, VolumeError};
use crate::machinery::{Done, ExecuteError, Key, Kind, MetaExt as _, Reconcile, Recorder, condition_time};

/// Keeps the phase of volumes and takes back those whose claim is gone. Keys name volumes.
#[derive(Debug)]
pub(crate) struct PersistentVolumes {
    pub(crate) storage_directory: PathBuf,
    pub(crate) claims: Kind<PersistentVolumeClaim>,
    pub(crate) volumes: Kind<PersistentVolume>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
}

/// What became of the claim that a volume is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reservation {
    /// Nobody has it.
    None,
    /// It names a claim that has not been bound to it yet.
    Waiting,
    /// Its claim is bound to it.
    Held,
    /// Its claim took another volume.
    Passed,
    /// Its claim is gone.
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Phase(&'static str),
    /// Removes the directory, then the volume.
    Reclaim,
    /// Frees a volume whose claim took another one.
    Free,
    /// Lets the deletion go on.
    Unprotect,
}

fn reservation(volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>) -> Reservation {
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let Some(reference) = reference else { return Reservation::None };
    let Some(uid) = reference.uid.as_deref().filter(|uid| !uid.is_empty()) else { return Reservation::Waiting };
    let Some(claim) = claim.filter(|claim| claim.uid() == uid) else { return Reservation::Ended };
    match claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty()) {
        None => Reservation::Waiting,
        Some(name) if name == volume.name() => Reservation::Held,
        Some(_) => Reservation::Passed,
    }
}

/// Decides what to do next. Pure.
fn plan(volume: &PersistentVolume, reservation: Reservation) -> Vec<Action> {
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let is_ours = volume.annotation(PROVISIONED_BY) == Some(PROVISIONER);
    let policy =
        volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain");
    let mut actions = Vec::new();
    let next = match reservation {
        Reservation::None | Reservation::Waiting => "Available",
        Reservation::Held => "Bound",
        Reservation::Passed if is_ours || !is_reserved_by_us(volume) => "Available",
        Reservation::Passed => return vec![Action::Free],
        Reservation::Ended => "Released",
    };
    if phase != next && phase != "Failed" {
        actions.push(Action::Phase(next));
    }
    let is_unneeded = matches!(reservation, Reservation::Ended | Reservation::Passed);
    if is_unneeded && is_ours && policy == "Delete" {
        actions.push(Action::Reclaim);
    } else if volume.is_deleting() && volume.has_finalizer(VOLUME_PROTECTION) && reservation != Reservation::Held {
        actions.push(Action::Unprotect);
    }
    actions
}

impl Reconcile for PersistentVolumes {
    const NAME: &'static str = "persistentvolume";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(volume) = self.volumes.get(key) else { return Ok(Done::Gone) };
        let claim = self.claim_of(&volume).await?;
        for action in plan(&volume, reservation(&volume, claim.as_deref())) {
            self.execute(&volume, &action).await?;
        }
        Ok(Done::Settled)
    }
}

impl PersistentVolumes {
    /// Before data is removed, the API is asked past the cache.
    async fn claim_of(&self, volume: &PersistentVolume) -> Result<Option<Arc<PersistentVolumeClaim>>, ExecuteError> {
        let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else { return Ok(None) };
        let key =
            Key::new(reference.namespace.as_deref().unwrap_or_default(), reference.name.as_deref().unwrap_or_default());
        match self.claims.get(&key) {
            Some(claim) if reference.uid.as_deref() == Some(claim.uid()) => Ok(Some(claim)),
            Some(_) | None => Ok(self.claims.read(&key).await?.map(Arc::new)),
        }
    }

    async fn execute(&self, volume: &PersistentVolume, action: &Action) -> Result<(), VolumeError> {
        match action {
            Action::Phase(phase) => self.write_phase(volume, phase).await?,
            Action::Reclaim => {
                if let Some(directory) = own_directory(volume, &self.storage_directory)
                    && let Err(error) = remove_directory(&directory).await
                {
                    self.recorder.warning(volume, "VolumeFailedDelete", error.to_string());
                    return Err(error);
                }
                self.volumes.delete(volume).await?;
                if let Some(ending) = self.volumes.get(&Key::of(volume)) {
                    self.volumes.remove_finalizer(&ending, VOLUME_PROTECTION).await?;
                }
            }
            Action::Free => {
                let patch = json!({"metadata": {"resourceVersion": volume.metadata.resource_version}, "spec": {"claimRef": null}});
                self.volumes.patch(&Key::of(volume), &patch).await?;
            }
            Action::Unprotect => self.volumes.remove_finalizer(volume, VOLUME_PROTECTION).await?,
        }
        Ok(())
    }

    async fn write_phase(&self, volume: &PersistentVolume, phase: &str) -> Result<(), ExecuteError> {
        let status = PersistentVolumeStatus {
            phase: Some(phase.to_owned()),
            last_phase_transition_time: Some(condition_time(self.clock.now())),
            ..PersistentVolumeStatus::default()
        };
        self.volumes.replace_status(&PersistentVolume { status: Some(status), ..volume.clone() }).await.map(drop)
    }
}

/// Returns the volume's directory when it really is one of ours: below the storage directory, without detours.
fn own_directory(volume: &PersistentVolume, storage_directory: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(&volume.spec.as_ref()?.host_path.as_ref()?.path);
    let below = path.strip_prefix(storage_directory).ok()?;
    let mut parts = below.components();
    let is_child = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
    is_child.then_some(path)
}

async fn remove_directory(directory: &Path) -> Result<(), VolumeError> {
    match tokio::fs::remove_dir_all(directory).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(VolumeError::RemoveDirectory { path: directory.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::tests::merge;

    fn volume(extra: Value) -> PersistentVolume {
        let mut value = json!({
            "metadata": {"name": "pv", "annotations": {PROVISIONED_BY: PROVISIONER}},
            "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "shop", "name": "data", "uid": "c1"}, "hostPath": {"path": "/data/pv"}},
            "status": {"phase": "Bound"},
        });
        merge(&mut value, extra);
        serde_json::from_value(value).unwrap()
    }

    fn claim(uid: &str, volume: &str) -> PersistentVolumeClaim {
        serde_json::from_value(
            json!({"metadata": {"name": "data", "namespace": "shop", "uid": uid}, "spec": {"volumeName": volume}}),
        )
        .unwrap()
    }

    #[test]
    fn volumes_follow_their_claims() {
        let retain = json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}});
        let cases = [
            (volume(json!({})), Some(claim("c1", "pv")), vec![]),
            (volume(json!({})), None, vec![Action::Phase("Released"), Action::Reclaim]),
            (volume(json!({})), Some(claim("c2", "pv")), vec![Action::Phase("Released"), Action::Reclaim]),
            (volume(retain), None, vec![Action::Phase("Released")]),
            (volume(json!({"spec": {"claimRef": null}, "status": null})), None, vec![Action::Phase("Available")]),
            (
                volume(json!({"spec": {"claimRef": {"uid": null}}, "status": null})),
                None,
                vec![Action::Phase("Available")],
            ),
            (volume(json!({"status": {"phase": "Available"}})), Some(claim("c1", "pv")), vec![Action::Phase("Bound")]),
        ];
        for (volume, claim, expected) in cases {
            let reservation = reservation(&volume, claim.as_ref());
            assert_eq!(plan(&volume, reservation), expected, "{reservation:?}");
        }
    }

    #[test]
    fn only_own_directories_are_removed() {
        let at = |path: &str| own_directory(&volume(json!({"spec": {"hostPath": {"path": path}}})), Path::new("/data"));
        assert_eq!(at("/data/pvc-1_shop_data"), Some(PathBuf::from("/data/pvc-1_shop_data")));
        for path in ["/data", "/data/", "/data/a/b", "/data/..", "/data/../etc", "/etc", "data/x"] {
            assert_eq!(at(path), None, "{path}");
        }
    }
}
