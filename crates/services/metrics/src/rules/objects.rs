//! Rules from objects: each `PrometheusRule` is a file of groups.
//!
//! Source: Prometheus operator's API, `monitoring.coreos.com/v1` `PrometheusRule`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use maru_client::Client;
use maru_monitoring::rules::{RuleFile, read_groups};
use maru_task::Scope;
use serde_json::{Value, json};

use super::manager::Manager;
use crate::collect::objects::{Kind, Seen, text};
use crate::request::rfc3339_millis;

/// Problems of one object that its event tells.
const PROBLEMS_SHOWN: usize = 10;

/// Who tells about objects.
const REPORTER: &str = "maru-metrics";

/// Runs the rules of all `PrometheusRule` objects, as tasks of `scope`. An object with errors is told by an event on it, its
/// last good rules go on, and it stops no other.
pub fn follow_objects(manager: &Manager, scope: &Scope, client: Client) {
    let (own, own_scope) = (manager.clone(), scope.clone());
    drop(scope.spawn_until_cancelled("prometheus rules", async move {
        let seen = Arc::new(Seen::default());
        seen.watch(&own_scope, &client, Kind::PrometheusRule, &[], watcher::Config::default());
        let mut follower = Follower { client, good: BTreeMap::new(), told: BTreeMap::new() };
        loop {
            seen.changed.notified().await;
            if !seen.is_complete() {
                continue;
            }
            let objects = seen.objects().get(&Kind::PrometheusRule).cloned().unwrap_or_default();
            let files = follower.read(&own, &objects).await;
            own.set_groups("objects", files);
        }
    }));
}

type Key = (String, String);

/// What is known of the objects.
struct Follower {
    client: Client,
    /// The last rules of each object that could be read.
    good: BTreeMap<Key, RuleFile>,
    /// Generation and problems of what was told.
    told: BTreeMap<Key, (i64, Vec<String>)>,
}

impl Follower {
    async fn read(&mut self, manager: &Manager, objects: &BTreeMap<Key, Value>) -> Vec<(String, RuleFile)> {
        self.good.retain(|key, _| objects.contains_key(key));
        self.told.retain(|key, _| objects.contains_key(key));
        for (key, object) in objects {
            match read_groups(&object["spec"], &manager.options().parse) {
                Ok(rules) => {
                    self.good.insert(key.clone(), rules);
                    self.told.remove(key);
                }
                Err(problems) => {
                    let problems: Vec<String> =
                        problems.iter().map(|problem| format!("spec.{}: {}", problem.path, problem.message)).collect();
                    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
                    let news = (generation, problems);
                    if self.told.get(key) != Some(&news) {
                        self.tell(manager, object, &news.1).await;
                        self.told.insert(key.clone(), news);
                    }
                }
            }
        }
        self.good.iter().map(|((namespace, name), rules)| (format!("{namespace}/{name}"), rules.clone())).collect()
    }

    /// Tells by an event what is wrong with an object.
    async fn tell(&self, manager: &Manager, object: &Value, problems: &[String]) {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let more = problems.len().saturating_sub(PROBLEMS_SHOWN);
        let mut message = problems.iter().take(PROBLEMS_SHOWN).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 {
            message.push_str(&format!("; and {more} more"));
        }
        tracing::warn!(namespace, name, error = message, "a PrometheusRule cannot be used; its last good rules go on");
        let now = rfc3339_millis(manager.options().clock.now().as_millisecond());
        let now = now.split('.').next().unwrap_or_default().trim_end_matches('Z').to_owned() + "Z";
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"generateName": format!("{name}."), "namespace": namespace},
            "involvedObject": {
                "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "namespace": namespace, "name": name,
                "uid": text(object, "/metadata/uid"),
            },
            "reason": "RulesRefused", "type": "Warning", "message": message.chars().take(1024).collect::<String>(),
            "source": {"component": REPORTER}, "reportingComponent": REPORTER,
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        });
        let events = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Event"), "events");
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &events);
        let created = match serde_json::from_value(event) {
            Ok(event) => {
                api.create(&kube::api::PostParams::default(), &event).await.map(drop).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = created {
            tracing::warn!(namespace, name, error, "the event about a PrometheusRule could not be written");
        }
    }
}
