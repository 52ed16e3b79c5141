//! Starts the caches and the controllers, and tells which change wakes whom.

mod kinds;
mod wake;

use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use maru_task::Scope;

use self::kinds::Kinds;
use self::wake::{controller_key, controllers_or_selectors, wake, wake_budgets, wake_self};
use crate::WorkloadOptions;
use crate::cron_job::CronJobs;
use crate::daemon_set::DaemonSets;
use crate::deployment::Deployments;
use crate::disruption::DisruptionBudgets;
use crate::endpoints::{EndpointMirrors, MANAGED_BY, MIRROR_MANAGER, SERVICE_NAME, ServiceEndpoints};
use crate::garbage::{Collector, GarbageCollector};
use crate::job::Jobs;
use crate::machinery::{ControllerMetrics, Key, Matcher, MetaExt as _, Reconcile, Recorder, WorkQueue, drive};
use crate::namespaces::Namespaces;
use crate::pods::{PodControl, is_finished, node_name};
use crate::replica_set::ReplicaSets;
use crate::scheduler::{SCHEDULER_NAME, Scheduler, claim_name, scheduler_key};
use crate::service_accounts::{ROOT_CA_NAME, ServiceAccounts};
use crate::stateful_set::StatefulSets;
use crate::volumes::{
    CLASS_NAME, DefaultClass, EphemeralClaims, PersistentVolumes, VolumeClaims, has_ephemeral, is_bound,
};

/// Runs all controllers until the scope is cancelled.
///
/// The client should act as a user that may do everything. Several runs against one API server would work against
/// each other: the caller sees to it that there is one.
pub async fn run(scope: Scope, client: Client, options: WorkloadOptions) {
    let wiring = Wiring {
        recorder: Recorder::start(&scope, &client, &options.clock),
        metrics: ControllerMetrics::new(&options.registry),
        kinds: Kinds::new(&client),
        scope: scope.clone(),
        options,
    };
    wiring.service_accounts();
    wiring.deployments();
    wiring.replica_sets();
    wiring.stateful_sets();
    wiring.daemon_sets();
    wiring.jobs();
    wiring.cron_jobs();
    wiring.disruption_budgets();
    wiring.scheduler();
    wiring.endpoints();
    wiring.endpoint_mirrors();
    wiring.namespaces(&client);
    wiring.garbage_collector(&client);
    wiring.default_class();
    wiring.claims();
    wiring.ephemeral_claims();
    wiring.volumes();
    wiring.kinds.start(&scope);
    scope.cancelled().await;
}

struct Wiring {
    scope: Scope,
    options: WorkloadOptions,
    kinds: Kinds,
    recorder: Recorder,
    metrics: ControllerMetrics,
}

impl Wiring {
    /// Runs a reconciler once all caches that it reads have their first list.
    fn drive<R: Reconcile, const N: usize>(
        &self,
        queue: Arc<WorkQueue>,
        reconciler: R,
        synced: [BoxFuture<'static, ()>; N],
    ) {
        let (scope, metrics) = (self.scope.clone(), self.metrics.clone());
        drop(self.scope.spawn(R::NAME, async move {
            if scope.token().run_until_cancelled(join_all(synced)).await.is_some() {
                drive(scope, queue, Arc::new(reconciler), metrics).await;
            }
        }));
    }

    fn pod_control(&self, component: &'static str) -> PodControl {
        PodControl { pods: self.kinds.pods.clone(), recorder: self.recorder.of_component(component) }
    }

    fn service_accounts(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.namespaces.cache(), &queue);
        wake(kinds.accounts.cache(), &queue, |account| {
            (account.name() == "default").then(|| Key::new("", account.namespace()))
        });
        wake(kinds.authorities.cache(), &queue, |map| {
            (map.name() == ROOT_CA_NAME).then(|| Key::new("", map.namespace()))
        });
        let reconciler = ServiceAccounts {
            namespaces: kinds.namespaces.clone(),
            accounts: kinds.accounts.clone(),
            authorities: kinds.authorities.clone(),
            root_ca_pem: self.options.root_ca_pem.clone(),
        };
        self.drive(queue, reconciler, [kinds.namespaces.synced(), kinds.accounts.synced(), kinds.authorities.synced()]);
    }

    fn namespaces(&self, client: &Client) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.namespaces.cache(), &queue);
        // An ending namespace waits for its pods first.
        let (namespaces, pod_queue) = (kinds.namespaces.clone(), Arc::clone(&queue));
        kinds.pods.cache().on_change(move |change| {
            if let (Some(pod), None) = (&change.before, &change.after) {
                let key = Key::new("", pod.namespace());
                if namespaces.get(&key).is_some_and(|namespace| namespace.is_deleting()) {
                    pod_queue.add(key);
                }
            }
        });
        let reconciler = Namespaces {
            client: client.clone(),
            namespaces: kinds.namespaces.clone(),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.namespaces.synced()]);
    }

    fn garbage_collector(&self, client: &Client) {
        let queue = Arc::new(WorkQueue::default());
        let collector = GarbageCollector::new(client, &queue);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let watching = Arc::clone(&collector).watch_kinds(self.scope.clone(), ready);
        drop(self.scope.spawn_until_cancelled("kinds", watching));
        let synced: BoxFuture<'static, ()> = Box::pin(async move { drop(is_ready.await) });
        self.drive(queue, Collector(collector), [synced]);
    }

    fn deployments(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.deployments.cache(), &queue);
        let owners = kinds.deployments.clone();
        wake(kinds.replica_sets.cache(), &queue, move |set| {
            let selector =
                |owner: &k8s_openapi::api::apps::v1::Deployment| Some(Matcher::new(&owner.spec.as_ref()?.selector));
            controllers_or_selectors(set, "Deployment", &owners, selector)
        });
        // A Recreate rollout waits for the end of the old pods.
        let sets = kinds.replica_sets.clone();
        let pod_queue = Arc::clone(&queue);
        kinds.pods.cache().on_change(move |change| {
            if let (Some(pod), None) = (&change.before, &change.after) {
                let set = controller_key(pod.as_ref(), "ReplicaSet").and_then(|key| sets.get(&key));
                if let Some(key) = set.and_then(|set| controller_key(set.as_ref(), "Deployment")) {
                    pod_queue.add(key);
                }
            }
        });
        let reconciler = Deployments {
            deployments: kinds.deployments.clone(),
            sets: kinds.replica_sets.clone(),
            pods: kinds.pods.clone(),
            recorder: self.recorder.of_component("deployment-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.deployments.synced(), kinds.replica_sets.synced(), kinds.pods.synced()]);
    }

    fn replica_sets(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.replica_sets.cache(), &queue);
        let owners = kinds.replica_sets.clone();
        wake(kinds.pods.cache(), &queue, move |pod| {
            let selector =
                |owner: &k8s_openapi::api::apps::v1::ReplicaSet| Some(Matcher::new(&owner.spec.as_ref()?.selector));
            controllers_or_selectors(pod, "ReplicaSet", &owners, selector)
        });
        let reconciler = ReplicaSets {
            sets: kinds.replica_sets.clone(),
            control: self.pod_control("replicaset-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.replica_sets.synced(), kinds.pods.synced()]);
    }

    fn stateful_sets(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.stateful_sets.cache(), &queue);
        let owners = kinds.stateful_sets.clone();
        wake(kinds.pods.cache(), &queue, move |pod| {
            let selector =
                |owner: &k8s_openapi::api::apps::v1::StatefulSet| Some(Matcher::new(&owner.spec.as_ref()?.selector));
            controllers_or_selectors(pod, "StatefulSet", &owners, selector)
        });
        wake(kinds.revisions.cache(), &queue, |revision| controller_key(revision, "StatefulSet"));
        let reconciler = StatefulSets {
            sets: kinds.stateful_sets.clone(),
            pods: kinds.pods.clone(),
            claims: kinds.claims.clone(),
            revisions: kinds.revisions.clone(),
            recorder: self.recorder.of_component("statefulset-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        let synced =
            [kinds.stateful_sets.synced(), kinds.pods.synced(), kinds.claims.synced(), kinds.revisions.synced()];
        self.drive(queue, reconciler, synced);
    }

    fn daemon_sets(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.daemon_sets.cache(), &queue);
        let owners = kinds.daemon_sets.clone();
        wake(kinds.pods.cache(), &queue, move |pod| {
            let selector =
                |owner: &k8s_openapi::api::apps::v1::DaemonSet| Some(Matcher::new(&owner.spec.as_ref()?.selector));
            controllers_or_selectors(pod, "DaemonSet", &owners, selector)
        });
        wake(kinds.revisions.cache(), &queue, |revision| controller_key(revision, "DaemonSet"));
        // A node's labels and taints say which daemons run there; its heartbeat does not.
        let (sets, node_queue) = (kinds.daemon_sets.clone(), Arc::clone(&queue));
        kinds.nodes.cache().on_change(move |change| {
            let shape =
                |node: &Option<Arc<Node>>| node.as_ref().map(|node| (node.metadata.labels.clone(), node.spec.clone()));
            if shape(&change.before) != shape(&change.after) {
                sets.all().iter().for_each(|set| node_queue.add(Key::of(set.as_ref())));
            }
        });
        let reconciler = DaemonSets {
            sets: kinds.daemon_sets.clone(),
            nodes: kinds.nodes.clone(),
            control: self.pod_control("daemonset-controller"),
            revisions: kinds.revisions.clone(),
            clock: Arc::clone(&self.options.clock),
        };
        let synced = [kinds.daemon_sets.synced(), kinds.nodes.synced(), kinds.pods.synced(), kinds.revisions.synced()];
        self.drive(queue, reconciler, synced);
    }

    fn jobs(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.jobs.cache(), &queue);
        wake(kinds.pods.cache(), &queue, |pod| controller_key(pod, "Job"));
        let reconciler = Jobs {
            jobs: kinds.jobs.clone(),
            control: self.pod_control("job-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.jobs.synced(), kinds.pods.synced()]);
    }

    fn cron_jobs(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.cron_jobs.cache(), &queue);
        wake(kinds.jobs.cache(), &queue, |job| controller_key(job, "CronJob"));
        let reconciler = CronJobs {
            cron_jobs: kinds.cron_jobs.clone(),
            jobs: kinds.jobs.clone(),
            recorder: self.recorder.of_component("cronjob-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.cron_jobs.synced(), kinds.jobs.synced()]);
    }

    fn disruption_budgets(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.budgets.cache(), &queue);
        let budgets = kinds.budgets.clone();
        wake(kinds.pods.cache(), &queue, move |pod| {
            let of_namespace = budgets.in_namespace(pod.namespace());
            let selects = |budget: &Arc<PodDisruptionBudget>| {
                let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                selector.is_some_and(|selector| Matcher::new(selector).matches(pod.label_map()))
            };
            of_namespace.iter().filter(|one| selects(one)).map(|one| Key::of(one.as_ref())).collect::<Vec<_>>()
        });
        // The wanted number of a controller counts, also before its pods follow.
        wake_budgets(kinds.deployments.cache(), &queue, &kinds.budgets);
        wake_budgets(kinds.replica_sets.cache(), &queue, &kinds.budgets);
        wake_budgets(kinds.stateful_sets.cache(), &queue, &kinds.budgets);
        let reconciler = DisruptionBudgets {
            budgets: kinds.budgets.clone(),
            pods: kinds.pods.clone(),
            deployments: kinds.deployments.clone(),
            replica_sets: kinds.replica_sets.clone(),
            stateful_sets: kinds.stateful_sets.clone(),
            clock: Arc::clone(&self.options.clock),
        };
        let synced = [
            kinds.budgets.synced(),
            kinds.pods.synced(),
            kinds.deployments.synced(),
            kinds.replica_sets.synced(),
            kinds.stateful_sets.synced(),
        ];
        self.drive(queue, reconciler, synced);
    }

    fn scheduler(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        let pod_queue = Arc::clone(&queue);
        kinds.pods.cache().on_change(move |change| {
            let waits = |pod: &Arc<Pod>| node_name(pod).is_none();
            let frees = change.after.as_ref().is_none_or(|pod| is_finished(pod));
            if frees || change.states().any(waits) {
                pod_queue.add(scheduler_key());
            }
        });
        wake(kinds.nodes.cache(), &queue, |_| Some(scheduler_key()));
        wake(kinds.claims.cache(), &queue, |_| Some(scheduler_key()));
        wake(kinds.volumes.cache(), &queue, |_| Some(scheduler_key()));
        wake(kinds.classes.cache(), &queue, |_| Some(scheduler_key()));
        let reconciler = Scheduler {
            node_name: self.options.node_name.clone(),
            nodes: kinds.nodes.clone(),
            pods: kinds.pods.clone(),
            namespaces: kinds.namespaces.clone(),
            claims: kinds.claims.clone(),
            volumes: kinds.volumes.clone(),
            classes: kinds.classes.clone(),
            recorder: self.recorder.of_component(SCHEDULER_NAME),
            clock: Arc::clone(&self.options.clock),
            assumed: Mutex::default(),
        };
        self.drive(
            queue,
            reconciler,
            [
                kinds.nodes.synced(),
                kinds.pods.synced(),
                kinds.namespaces.synced(),
                kinds.claims.synced(),
                kinds.volumes.synced(),
                kinds.classes.synced(),
            ],
        );
    }

    fn endpoints(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.services.cache(), &queue);
        wake_self(kinds.endpoints.cache(), &queue);
        wake(kinds.slices.cache(), &queue, |slice| {
            let is_ours = slice.label(MANAGED_BY) != Some(MIRROR_MANAGER);
            slice.label(SERVICE_NAME).filter(|_| is_ours).map(|service| Key::new(slice.namespace(), service))
        });
        let services = kinds.services.clone();
        wake(kinds.pods.cache(), &queue, move |pod| {
            let services = services.in_namespace(pod.namespace());
            let selects = |service: &Arc<k8s_openapi::api::core::v1::Service>| {
                let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                selector.is_some_and(|selector| {
                    !selector.is_empty() && selector.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
                })
            };
            services
                .iter()
                .filter(|service| selects(service))
                .map(|service| Key::of(service.as_ref()))
                .collect::<Vec<_>>()
        });
        let reconciler = ServiceEndpoints {
            services: kinds.services.clone(),
            pods: kinds.pods.clone(),
            slices: kinds.slices.clone(),
            endpoints: kinds.endpoints.clone(),
            recorder: self.recorder.of_component("endpoint-slice-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        let synced = [kinds.services.synced(), kinds.pods.synced(), kinds.slices.synced(), kinds.endpoints.synced()];
        self.drive(queue, reconciler, synced);
    }

    fn endpoint_mirrors(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.services.cache(), &queue);
        wake_self(kinds.endpoints.cache(), &queue);
        wake(kinds.slices.cache(), &queue, |slice| {
            let is_mirror = slice.label(MANAGED_BY) == Some(MIRROR_MANAGER);
            slice.label(SERVICE_NAME).filter(|_| is_mirror).map(|service| Key::new(slice.namespace(), service))
        });
        let reconciler = EndpointMirrors {
            services: kinds.services.clone(),
            slices: kinds.slices.clone(),
            endpoints: kinds.endpoints.clone(),
        };
        self.drive(queue, reconciler, [kinds.services.synced(), kinds.slices.synced(), kinds.endpoints.synced()]);
    }

    fn default_class(&self) {
        let queue = Arc::new(WorkQueue::default());
        // Made when we start; who deletes it afterwards wants it gone until the next start.
        queue.add(Key::new("", CLASS_NAME));
        let reconciler = DefaultClass { classes: self.kinds.classes.clone() };
        self.drive(queue, reconciler, [self.kinds.classes.synced()]);
    }

    fn claims(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.claims.cache(), &queue);
        // A new or freed volume, or a new class, may be what a waiting claim waits for.
        let claims = kinds.claims.clone();
        let waiting =
            move || claims.all().into_iter().filter(|claim| !is_bound(claim)).map(|claim| Key::of(claim.as_ref()));
        let for_volume = waiting.clone();
        wake(kinds.volumes.cache(), &queue, move |volume| {
            let reserved = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            match reserved {
                Some(claim) => {
                    vec![Key::new(
                        claim.namespace.as_deref().unwrap_or_default(),
                        claim.name.as_deref().unwrap_or_default(),
                    )]
                }
                None => for_volume().collect(),
            }
        });
        wake(kinds.classes.cache(), &queue, move |_| waiting().collect::<Vec<_>>());
        wake(kinds.pods.cache(), &queue, |pod| {
            let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            volumes
                .filter_map(|volume| claim_name(pod, volume))
                .map(|name| Key::new(pod.namespace(), &name))
                .collect::<Vec<_>>()
        });
        let reconciler = VolumeClaims {
            node_name: self.options.node_name.clone(),
            storage_directory: self.options.storage_directory.clone(),
            nodes: kinds.nodes.clone(),
            pods: kinds.pods.clone(),
            claims: kinds.claims.clone(),
            volumes: kinds.volumes.clone(),
            classes: kinds.classes.clone(),
            recorder: self.recorder.of_component("persistentvolume-controller"),
        };
        let synced = [
            kinds.nodes.synced(),
            kinds.pods.synced(),
            kinds.claims.synced(),
            kinds.volumes.synced(),
            kinds.classes.synced(),
        ];
        self.drive(queue, reconciler, synced);
    }

    fn ephemeral_claims(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake(kinds.pods.cache(), &queue, |pod| has_ephemeral(pod).then(|| Key::of(pod)));
        let reconciler = EphemeralClaims {
            pods: kinds.pods.clone(),
            claims: kinds.claims.clone(),
            recorder: self.recorder.of_component("ephemeral_volume"),
        };
        self.drive(queue, reconciler, [kinds.pods.synced(), kinds.claims.synced()]);
    }

    fn volumes(&self) {
        let kinds = &self.kinds;
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.volumes.cache(), &queue);
        let volumes = kinds.volumes.clone();
        wake(kinds.claims.cache(), &queue, move |claim| {
            let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).map(|name| Key::new("", &name));
            let is_reserved = |volume: &Arc<k8s_openapi::api::core::v1::PersistentVolume>| {
                let reserved = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
                reserved.is_some_and(|reserved| reserved.uid.as_deref() == Some(claim.uid()))
            };
            let reserved = volumes.all().into_iter().filter(is_reserved).map(|volume| Key::of(volume.as_ref()));
            reserved.chain(named).collect::<Vec<_>>()
        });
        let reconciler = PersistentVolumes {
            storage_directory: self.options.storage_directory.clone(),
            claims: kinds.claims.clone(),
            volumes: kinds.volumes.clone(),
            recorder: self.recorder.of_component("persistentvolume-controller"),
            clock: Arc::clone(&self.options.clock),
        };
        self.drive(queue, reconciler, [kinds.claims.synced(), kinds.volumes.synced()]);
    }
}
