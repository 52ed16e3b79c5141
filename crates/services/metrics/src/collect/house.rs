//! Collecting without configuration: this machine, its pods and the process itself, and the objects that ask for more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::runtime::watcher;
use maru_client::Client;
use maru_monitoring::rules::RuleFile;
use maru_monitoring::scrape::{Configuration, Global, ScrapeConfig, read_configuration};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::{SharedClock, rfc3339_seconds};
use serde_json::{Value, json};

use super::boards;
use super::kept::{Kept, Key};
use super::objects::{Kind, Objects, Seen};
use super::operator::{self, Holders, Translation};
use super::scrape::InProcessTarget;
use super::{machine, state};
use crate::Metrics;

/// After a change we wait this long for more of them.
const SETTLE: Duration = Duration::from_millis(200);
/// Objects that hold secrets are read again after this time.
const SECRETS_AGE: Duration = Duration::from_secs(60);

/// What is measured where nobody said anything.
const BUILT_IN: &str = r"
global: {scrape_interval: 15s, scrape_timeout: 10s}
scrape_configs:
- {job_name: maru, static_configs: [{targets: [maru]}]}
- {job_name: node, static_configs: [{targets: [node]}]}
- {job_name: cadvisor, static_configs: [{targets: [cadvisor]}]}
- {job_name: kube-state, honor_labels: true, static_configs: [{targets: [kube-state]}]}
- job_name: pods
  fallback_scrape_protocol: PrometheusText0.0.4
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_init], regex: 'true', action: drop}
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape, __meta_kubernetes_pod_container_port_name]
    regex: 'true;.*|;metrics'
    action: keep
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: '(.+)', target_label: __metrics_path__}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], regex: '(https?)', target_label: __scheme__}
  - {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}
  - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: '(.+?)(?::\d+)?;(\d+)'
    replacement: '$1:$2'
    target_label: __address__
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: '\d+'
    replacement: ''
    target_label: container
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
  - {source_labels: [__meta_kubernetes_pod_label_app], regex: '(.+)', target_label: app}
  - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: '(.+)', target_label: app}
";

/// Targets in this process, by name: the process itself, the machine, its containers, the cluster's objects.
#[must_use]
pub fn cluster_targets(
    scope: &Scope,
    client: &Client,
    node_name: &str,
    registry: &Registry,
) -> BTreeMap<String, InProcessTarget> {
    let seen = Arc::new(Seen::default());
    let kinds = [
        Kind::Pod,
        Kind::Node,
        Kind::Service,
        Kind::Namespace,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
    ];
    for kind in kinds {
        seen.watch(scope, client, kind, &[], watcher::Config::default());
    }
    let registry = registry.clone();
    let own = InProcessTarget::new(move |_| {
        let registry = registry.clone();
        async move {
            let process = tokio::task::spawn_blocking(machine::process).await;
            process.map(|process| registry.render() + &process).map_err(|_| "reading /proc broke off".to_owned())
        }
    });
    let node = InProcessTarget::new(move |_| async {
        tokio::task::spawn_blocking(machine::exposition).await.map_err(|_| "reading /proc broke off".to_owned())
    });
    let path = format!("/api/v1/nodes/{node_name}/proxy/metrics/cadvisor");
    let client = client.clone();
    let containers = InProcessTarget::new(move |_| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let request = http::Request::get(&path).body(Vec::new()).map_err(|error| error.to_string())?;
            client.request_text(request).await.map_err(|error| error.to_string())
        }
    });
    let objects = InProcessTarget::new(move |_| {
        let told = if seen.is_complete() {
            Ok(state::exposition(&seen.objects()))
        } else {
            Err("the cluster's objects are not all known yet".to_owned())
        };
        std::future::ready(told)
    });
    let all = [("maru", own), ("node", node), ("cadvisor", containers), ("kube-state", objects)];
    all.map(|(name, target)| (name.to_owned(), target)).into()
}

/// Returns the jobs that run without configuration.
fn built_in(node_name: &str) -> Configuration {
    let configuration = read_configuration(BUILT_IN, &|_| None);
    let mut configuration = configuration.expect("our own configuration is right: a test reads it");
    for job in configuration.scrape_configs.iter_mut().filter(|job| job.job_name != "pods") {
        "in-process".clone_into(&mut job.scheme);
        let rule = maru_monitoring::relabel::RelabelRule::replace(&[], "(.*)", "instance", node_name);
        job.relabel.extend(rule);
    }
    configuration
}

/// What following the cluster starts with.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// Reaches the API in the room's own name.
    pub client: Client,
    /// The node's name, which its targets have as `instance`.
    pub node_name: String,
    /// Tells the time.
    pub clock: SharedClock,
}

impl std::fmt::Debug for ClusterOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ClusterOptions").field("node_name", &self.node_name).finish_non_exhaustive()
    }
}

impl ClusterOptions {
    /// Returns the options for the node of this name.
    #[must_use]
    pub fn new(client: Client, node_name: &str, clock: SharedClock) -> Self {
        Self { client, node_name: node_name.to_owned(), clock }
    }
}

/// Measures without configuration, and follows the objects that ask for more, as tasks of `scope`.
pub fn follow_cluster(scope: &Scope, metrics: &Metrics, options: ClusterOptions) {
    let seen = Arc::new(Seen::default());
    metrics.collector().apply(built_in(&options.node_name), String::new(), PathBuf::new());
    for kind in Kind::monitoring().into_iter().chain([Kind::Board]) {
        seen.watch(scope, &options.client, kind, &[], watcher::Config::default());
    }
    let metrics = metrics.clone();
    let folder = metrics.collector().inner.directory.clone();
    drop(scope.spawn_until_cancelled("monitors", async move {
        let mut holders = Holders::new();
        let mut kept = Kept::load(&folder);
        let mut read_at = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = seen.changed.notified() => {}
                () = tokio::time::sleep(SECRETS_AGE), if !holders.is_empty() => {}
            }
            tokio::time::sleep(SETTLE).await;
            if !seen.is_complete() {
                continue;
            }
            if read_at.elapsed() >= SECRETS_AGE {
                holders.clear();
                read_at = tokio::time::Instant::now();
            }
            let objects = seen.objects().clone();
            assemble(&metrics, &options, &objects, &mut holders, &mut kept).await;
        }
    }));
}

/// Objects, each with what is wrong with it.
type Judged<'o> = Vec<(Key, &'o Value, Result<(), String>)>;

async fn assemble(
    metrics: &Metrics,
    options: &ClusterOptions,
    objects: &Objects,
    holders: &mut Holders,
    kept: &mut Kept,
) {
    let mut configuration = built_in(&options.node_name);
    let (mut judged, mut in_use): (Judged<'_>, _) = (Vec::new(), Vec::new());
    let (mut rules, mut wrong) = (Vec::new(), BTreeMap::new());
    for kind in Kind::monitoring() {
        for ((namespace, name), object) in objects.get(&kind).into_iter().flatten() {
            let key = (kind, namespace.clone(), name.clone());
            let meant = translate(options, &key, object, &configuration.global, holders).await;
            let (meant, outcome) = match meant {
                Ok(meant) => {
                    kept.set(key.clone(), object);
                    (meant, Ok(()))
                }
                Err(problems) => {
                    let mut problem = problems.join("; ");
                    let last = kept.instead_of(&key, object);
                    let instead = match &last {
                        Some(last) => translate(options, &key, last, &configuration.global, holders).await.ok(),
                        None => None,
                    };
                    if let (Some(last), Some(_)) = (&last, &instead) {
                        problem += &format!("; what generation {} said goes on", last["metadata"]["generation"]);
                        in_use.push(key.clone());
                    }
                    (instead.unwrap_or_default(), Err(problem))
                }
            };
            configuration.scrape_configs.extend(meant.jobs);
            if let Some(file) = meant.rules {
                let place = format!("{namespace}/{name}");
                if let Err(problem) = &outcome {
                    wrong.insert(place.clone(), problem.clone());
                }
                rules.push((place, file));
            }
            judged.push((key, object, outcome));
        }
    }
    kept.settle(
        |key| objects.get(&key.0).is_some_and(|all| all.contains_key(&(key.1.clone(), key.2.clone()))),
        &in_use,
    );
    metrics.rules().set_groups("PrometheusRule", rules, wrong);
    metrics.collector().apply(configuration, String::new(), PathBuf::new());
    for ((namespace, name), object) in objects.get(&Kind::Board).into_iter().flatten() {
        judged.push(((Kind::Board, namespace.clone(), name.clone()), object, boards::judge(object)));
    }
    for (key, object, outcome) in judged {
        if let Err(error) = tell(options, &key, object, &outcome).await {
            let (kind, namespace, name) = key;
            tracing::debug!(kind = kind.name(), namespace, name, %error, "a status could not be written; trying again");
        }
    }
}

/// What an object asks for.
#[derive(Debug, Default)]
struct Meant {
    jobs: Vec<ScrapeConfig>,
    rules: Option<RuleFile>,
}

/// Translates an object; what it refers to is read as needed.
async fn translate(
    options: &ClusterOptions,
    (kind, namespace, _): &Key,
    object: &Value,
    global: &Global,
    holders: &mut Holders,
) -> Result<Meant, Vec<String>> {
    if *kind == Kind::PrometheusRule {
        return operator::rules(object).map(|file| Meant { rules: Some(file), ..Meant::default() });
    }
    for _ in 0..4 {
        let (jobs, wanted) = {
            let mut translation = Translation::new(namespace, holders);
            let jobs = translation.jobs(*kind, object, global);
            (jobs, std::mem::take(&mut translation.wanted))
        };
        if wanted.is_empty() {
            return jobs.map(|jobs| Meant { jobs, ..Meant::default() });
        }
        for (kind, namespace, name) in wanted {
            let read = read_holder(&options.client, kind, &namespace, &name).await;
            holders.insert((kind, namespace, name), read);
        }
    }
    Err(vec!["it refers to more and more objects".to_owned()])
}

/// Returns an object that holds secrets; `None` when it is not there, or may not be read.
async fn read_holder(client: &Client, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    let found = if kind == "Secret" {
        let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await;
        found.map(|one| one.and_then(|one| serde_json::to_value(one).ok()))
    } else {
        let found = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await;
        found.map(|one| one.and_then(|one| serde_json::to_value(one).ok()))
    };
    found.inspect_err(|error| tracing::warn!(kind, namespace, name, %error, "an object cannot be read")).ok().flatten()
}

/// Writes into an object's status whether it was taken, when that is news.
async fn tell(
    options: &ClusterOptions,
    (kind, namespace, name): &Key,
    object: &Value,
    outcome: &Result<(), String>,
) -> Result<(), kube::Error> {
    let (status, reason, message) = match outcome {
        Ok(()) => ("True", "Accepted", ""),
        Err(problem) => ("False", "Invalid", problem.as_str()),
    };
    let generation = object["metadata"]["generation"].clone();
    let known = &object["status"]["conditions"][0];
    if known["status"] == status && known["message"] == message && known["observedGeneration"] == generation {
        return Ok(());
    }
    if status == "False" {
        tracing::warn!(kind = kind.name(), namespace, name, error = message, "an object cannot be used");
    }
    let body = json!({"status": {"conditions": [{
        "type": "Accepted", "status": status, "reason": reason, "message": message, "observedGeneration": generation,
        "lastTransitionTime": rfc3339_seconds(options.clock.now()),
    }]}});
    let resource = kind.resource();
    let path = format!("/apis/{}/namespaces/{namespace}/{}/{name}/status", resource.api_version, resource.plural);
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    options.client.request::<Value>(request).await.map(drop)
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_own_configuration_is_right() {
        let configuration = super::built_in("n");
        assert_eq!(configuration.scrape_configs.len(), 5);
        assert_eq!(configuration.scrape_configs[0].scheme, "in-process");
    }
}
