//! The caches that controllers share.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use maru_task::Scope;

use crate::machinery::Kind;

/// The caches that controllers share: one watch a kind.
#[derive(Debug, Clone)]
pub(super) struct Kinds {
    pub(super) accounts: Kind<ServiceAccount>,
    /// Only those named `kube-root-ca.crt`.
    pub(super) authorities: Kind<ConfigMap>,
    pub(super) budgets: Kind<PodDisruptionBudget>,
    pub(super) claims: Kind<PersistentVolumeClaim>,
    pub(super) classes: Kind<StorageClass>,
    pub(super) cron_jobs: Kind<CronJob>,
    pub(super) daemon_sets: Kind<DaemonSet>,
    pub(super) deployments: Kind<Deployment>,
    pub(super) endpoints: Kind<Endpoints>,
    pub(super) jobs: Kind<Job>,
    pub(super) namespaces: Kind<Namespace>,
    pub(super) nodes: Kind<Node>,
    pub(super) pods: Kind<Pod>,
    pub(super) replica_sets: Kind<ReplicaSet>,
    pub(super) revisions: Kind<ControllerRevision>,
    pub(super) services: Kind<Service>,
    pub(super) slices: Kind<EndpointSlice>,
    pub(super) stateful_sets: Kind<StatefulSet>,
    pub(super) volumes: Kind<PersistentVolume>,
}

impl Kinds {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            accounts: Kind::namespaced(client),
            authorities: Kind::namespaced(client).with_fields("metadata.name=kube-root-ca.crt"),
            budgets: Kind::namespaced(client),
            claims: Kind::namespaced(client),
            classes: Kind::cluster(client),
            cron_jobs: Kind::namespaced(client),
            daemon_sets: Kind::namespaced(client),
            deployments: Kind::namespaced(client),
            endpoints: Kind::namespaced(client),
            jobs: Kind::namespaced(client),
            namespaces: Kind::cluster(client),
            nodes: Kind::cluster(client),
            pods: Kind::namespaced(client),
            replica_sets: Kind::namespaced(client),
            revisions: Kind::namespaced(client),
            services: Kind::namespaced(client),
            slices: Kind::namespaced(client),
            stateful_sets: Kind::namespaced(client),
            volumes: Kind::cluster(client),
        }
    }

    /// Starts all watches. Controllers have said before what they want to hear of.
    pub(super) fn start(&self, scope: &Scope) {
        self.accounts.start(scope);
        self.authorities.start(scope);
        self.budgets.start(scope);
        self.claims.start(scope);
        self.classes.start(scope);
        self.cron_jobs.start(scope);
        self.daemon_sets.start(scope);
        self.deployments.start(scope);
        self.endpoints.start(scope);
        self.jobs.start(scope);
        self.namespaces.start(scope);
        self.nodes.start(scope);
        self.pods.start(scope);
        self.replica_sets.start(scope);
        self.revisions.start(scope);
        self.services.start(scope);
        self.slices.start(scope);
        self.stateful_sets.start(scope);
        self.volumes.start(scope);
    }
}
