//! Controllers of the built-in kinds: they turn what people ask for into pods, endpoints, volumes and their ends.
//!
//! Owns: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and CronJob; Endpoints and EndpointSlice; the end of
//! namespaces and of objects without owner; default service accounts; local-path volumes; the binding of pods to this
//! node; the status of disruption budgets.
//! Never: runs a container, keeps state that is not in the API (a restart continues where it stopped), talks to
//! anything but the API and, for volumes, its own storage directory.
//! Source: Kubernetes API conventions and the documented behaviour of kube-controller-manager and kube-scheduler 1.36.
//!
//! Each controller lives in its own file with a pure `plan` and a thin `execute`. `machinery` holds what they share:
//! one watch cache a kind that also sees our own writes at once, keyed work queues, and the event recorder.

mod catalog;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoints;
mod garbage;
mod job;
mod machinery;
mod namespaces;
mod node_affinity;
mod options;
mod pods;
mod replica_set;
mod revisions;
mod scheduler;
mod service_accounts;
mod stateful_set;
mod volumes;
mod wiring;

pub use options::WorkloadOptions;
pub use wiring::run;
