//! Which Alertmanagers there are: those that a configuration's sources find, beside those of this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use maru_monitoring::relabel;
use maru_monitoring::scrape::{Alerting, AlertmanagerDiscovery, TargetGroup};
use maru_prom::Labels;
use tokio::sync::{mpsc, watch};

use super::{Collector, Shared, discovery};
use crate::rules::{AlertmanagerTarget, Alertmanagers, Transport};

impl Collector {
    /// Follows the configuration's Alertmanagers, beside those that `own` tells.
    pub(crate) fn alertmanagers(&self, mut own: watch::Receiver<Alertmanagers>) -> watch::Receiver<Alertmanagers> {
        let (sender, receiver) = watch::channel(own.borrow().clone());
        let shared = Arc::clone(&self.inner.shared);
        let mut configurations = self.alerting.subscribe();
        let scope = shared.scope.clone();
        drop(scope.spawn_until_cancelled("alertmanagers", async move {
            loop {
                let (alerting, folder) = configurations.borrow_and_update().clone();
                let following = shared.scope.child("alertmanagers");
                let mut found = start(&following, &shared, &alerting, &folder);
                let mut groups: BTreeMap<usize, Vec<TargetGroup>> = BTreeMap::new();
                loop {
                    let told = all(&own.borrow_and_update(), &alerting, &groups, &folder);
                    sender.send_replace(told);
                    tokio::select! {
                        changed = configurations.changed() => match changed {
                            Ok(()) => break,
                            Err(_) => return,
                        },
                        // Whoever told our own may have ended: they stay.
                        Ok(()) = own.changed() => {}
                        Some((index, new)) = found.recv() => drop(groups.insert(index, new)),
                    }
                }
                following.cancel();
            }
        }));
        receiver
    }
}

/// Sources of one set have numbers from a thousand times the set's.
const SOURCES_MAX: usize = 1000;

fn start(
    scope: &maru_task::Scope,
    shared: &Arc<Shared>,
    alerting: &Alerting,
    folder: &Path,
) -> mpsc::Receiver<(usize, Vec<TargetGroup>)> {
    let (sender, receiver) = mpsc::channel(16);
    for (index, set) in alerting.alertmanagers.iter().enumerate() {
        for (place, one) in set.discoveries.iter().enumerate().take(SOURCES_MAX) {
            let output = discovery::Output::new(index * SOURCES_MAX + place, sender.clone());
            discovery::start(scope, shared, one, folder, output);
        }
    }
    receiver
}

fn all(
    own: &Alertmanagers,
    alerting: &Alerting,
    groups: &BTreeMap<usize, Vec<TargetGroup>>,
    folder: &Path,
) -> Alertmanagers {
    let mut all = own.clone();
    for (index, group) in groups.iter().flat_map(|(index, groups)| groups.iter().map(move |group| (index, group))) {
        let Some(set) = alerting.alertmanagers.get(index / SOURCES_MAX) else { continue };
        for target in &group.targets {
            match address(set, group, target) {
                Ok(url) => all.active.push(AlertmanagerTarget {
                    url,
                    transport: Transport::Http { config: set.client.clone(), folder: folder.to_owned() },
                    timeout: set.timeout,
                    alert_relabel_configs: set.alert_relabel.clone().into(),
                }),
                Err(url) => all.dropped.push(url),
            }
        }
    }
    all
}

/// Returns the address of an Alertmanager; as an error that of one that relabeling drops.
fn address(set: &AlertmanagerDiscovery, group: &TargetGroup, own: &Labels) -> Result<String, String> {
    let mut builder = own.to_builder();
    for (name, value) in group.labels.iter() {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    let prefix = set.path_prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    for (name, value) in
        [("__scheme__", set.scheme.clone()), ("__alerts_path__", format!("{slash}{prefix}/api/v2/alerts"))]
    {
        if builder.get(name).is_none() {
            builder.set(name, &value);
        }
    }
    let keeps = relabel::apply(&mut builder, &set.relabel);
    let part = |name: &str| builder.get(name).unwrap_or_default().to_owned();
    let url = format!("{}://{}{}", part("__scheme__"), part("__address__"), part("__alerts_path__"));
    if keeps && !part("__address__").is_empty() { Ok(url) } else { Err(url) }
}
