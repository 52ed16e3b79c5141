//! Keeps Endpoints and EndpointSlices of Services.

mod mirror;
mod plan;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use maru_client::ReconcileError;
use maru_time::SharedClock;
use serde_json::json;

pub(crate) use self::mirror::{EndpointMirrors, MIRROR_MANAGER};
pub(crate) use self::plan::{MANAGED_BY, SERVICE_NAME};
use self::plan::{OLD_MANAGED_BY, OLD_MANAGER, endpoints, has_selector, is_same_endpoints, is_same_slice, slices};
use crate::machinery::{Done, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, Recorder};

/// Keeps the Endpoints and EndpointSlices of Services with a selector. Keys name Services.
#[derive(Debug)]
pub(crate) struct ServiceEndpoints {
    pub(crate) services: Kind<Service>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) slices: Kind<EndpointSlice>,
    pub(crate) endpoints: Kind<Endpoints>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
}

#[derive(Debug)]
enum Action {
    CreateSlice(Box<EndpointSlice>),
    ReplaceSlice(Box<EndpointSlice>),
    DeleteSlice(Arc<EndpointSlice>),
    CreateEndpoints(Box<Endpoints>),
    ReplaceEndpoints(Box<Endpoints>),
}

/// Compares what is there with what should be. Pure.
fn plan(
    slices_now: &[Arc<EndpointSlice>],
    slices_wanted: Vec<EndpointSlice>,
    endpoints_now: Option<&Endpoints>,
    endpoints_wanted: Endpoints,
) -> Vec<Action> {
    let mut actions = Vec::new();
    // What is new comes before the old goes: a Service whose ports change is never without endpoints.
    let is_wanted = |now: &Arc<EndpointSlice>| slices_wanted.iter().any(|wanted| wanted.name() == now.name());
    let old: Vec<Arc<EndpointSlice>> = slices_now.iter().filter(|now| !is_wanted(now)).cloned().collect();
    for wanted in slices_wanted {
        match slices_now.iter().find(|now| now.name() == wanted.name()) {
            None => actions.push(Action::CreateSlice(Box::new(wanted))),
            Some(now) if is_same_slice(now, &wanted) => {}
            Some(_) => actions.push(Action::ReplaceSlice(Box::new(wanted))),
        }
    }
    match endpoints_now {
        None => actions.push(Action::CreateEndpoints(Box::new(endpoints_wanted))),
        Some(now) if is_same_endpoints(now, &endpoints_wanted) => {}
        Some(_) => actions.push(Action::ReplaceEndpoints(Box::new(endpoints_wanted))),
    }
    actions.extend(old.into_iter().map(Action::DeleteSlice));
    actions
}

/// Returns the slices of a Service that `manager` keeps.
pub(crate) fn managed_slices(slices: &Kind<EndpointSlice>, key: &Key, manager: &str) -> Vec<Arc<EndpointSlice>> {
    let mut all = slices.in_namespace(&key.namespace);
    all.retain(|slice| {
        slice.label(SERVICE_NAME) == Some(key.name.as_str()) && slice.label(MANAGED_BY) == Some(manager)
    });
    all
}

impl Reconcile for ServiceEndpoints {
    const NAME: &'static str = "endpoints";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let now = managed_slices(&self.slices, key, plan::MANAGER);
        let Some(service) = self.services.get(key).filter(|service| !service.is_deleting()) else {
            // The slices go with their owner; Endpoints have none.
            if let Some(left) = self.endpoints.get(key).filter(|left| left.label(OLD_MANAGED_BY) == Some(OLD_MANAGER)) {
                self.endpoints.delete(&left).await?;
            }
            return Ok(Done::Gone);
        };
        if !has_selector(&service) {
            for slice in now {
                self.slices.delete(&slice).await?;
            }
            return Ok(Done::Settled);
        }
        let matcher = Matcher::of_labels(service.spec.as_ref().and_then(|spec| spec.selector.as_ref()));
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| matcher.matches(pod.label_map()));
        let at = self.clock.now();
        let endpoints_now = self.endpoints.get(key);
        let actions = plan(&now, slices(&service, &pods, at), endpoints_now.as_deref(), endpoints(&service, &pods, at));
        for action in &actions {
            match self.execute(action).await {
                Ok(()) => {}
                Err(error) if error.is_already_exists() || error.is_namespace_ending() || error.is_not_found() => {}
                Err(error) => {
                    self.recorder.warning(service.as_ref(), "FailedToUpdateEndpointSlices", error.message());
                    return Err(error.into());
                }
            }
        }
        Ok(Done::Settled)
    }
}

impl ServiceEndpoints {
    async fn execute(&self, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::CreateSlice(slice) => self.slices.create(slice).await.map(drop),
            Action::ReplaceSlice(slice) => replace_slice(&self.slices, slice).await,
            Action::DeleteSlice(slice) => self.slices.delete(slice).await,
            Action::CreateEndpoints(endpoints) => self.endpoints.create(endpoints).await.map(drop),
            Action::ReplaceEndpoints(endpoints) => {
                let patch = json!({
                    "metadata": {"labels": endpoints.metadata.labels, "annotations": endpoints.metadata.annotations},
                    "subsets": endpoints.subsets,
                });
                self.endpoints.patch(&Key::of(endpoints.as_ref()), &patch).await.map(drop)
            }
        }
    }
}

/// Writes the whole content of a slice; it is ours alone.
pub(crate) async fn replace_slice(slices: &Kind<EndpointSlice>, slice: &EndpointSlice) -> Result<(), ExecuteError> {
    let patch = json!({
        "metadata": {"labels": slice.metadata.labels, "annotations": slice.metadata.annotations},
        "endpoints": slice.endpoints,
        "ports": slice.ports,
    });
    slices.patch(&Key::of(slice), &patch).await.map(drop)
}
