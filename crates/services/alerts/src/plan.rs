//! A configuration made ready: routes in one list, receivers by number, zones loaded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use maru_monitoring::alerting::{
    AlertmanagerConfig, InhibitRule, LocalTime, Receiver, Route, TimeInterval, format_matchers,
};
use maru_prom::{Labels, Matcher};
use maru_template::Library;
use maru_time::Timestamp;

/// The shortest time that a flush gets.
pub(crate) const FLUSH_TIME_MIN: Duration = Duration::from_secs(10);

/// Alerts with this label go to the receiver that it names and past the tree: drills and the dead-man switch.
pub const RECEIVER_LABEL: &str = "maru_receiver";

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct RouteNode {
    /// `{}/{team="db"}`: the matchers from the top to here.
    pub(crate) key: String,
    pub(crate) receiver: usize,
    pub(crate) group_by: Vec<String>,
    pub(crate) group_by_all: bool,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) continues: bool,
    pub(crate) children: Vec<usize>,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    pub(crate) mute: Vec<String>,
    pub(crate) active: Vec<String>,
}

/// How much is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanCounts {
    /// Nodes of the tree.
    pub routes: usize,
    /// Receivers.
    pub receivers: usize,
    /// Rules of inhibition.
    pub inhibit_rules: usize,
    /// Templates beside our own.
    pub templates: usize,
}

/// A configuration made ready.
#[derive(Debug)]
pub struct Plan {
    /// The text that it was read from, with secrets hidden.
    pub(crate) original: String,
    pub(crate) routes: Vec<RouteNode>,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) inhibit_rules: Vec<InhibitRule>,
    intervals: BTreeMap<String, TimeInterval>,
    zones: BTreeMap<String, TimeZone>,
    /// The templates that messages may call.
    pub(crate) library: Library,
    pub(crate) resolve_timeout: Duration,
    /// How many of the routes are the tree; one for each receiver follows.
    tree_count: usize,
}

impl Plan {
    /// Makes a plan. Receivers and intervals that routes name are there: the reader checked it.
    #[must_use]
    pub fn new(
        config: AlertmanagerConfig,
        original: String,
        library: Library,
        zones: BTreeMap<String, TimeZone>,
    ) -> Arc<Self> {
        let mut plan = Self {
            original,
            routes: Vec::new(),
            receivers: config.receivers,
            inhibit_rules: config.inhibit_rules,
            intervals: config.time_intervals.into_iter().map(|interval| (interval.name.clone(), interval)).collect(),
            zones,
            library,
            resolve_timeout: config.resolve_timeout,
            tree_count: 0,
        };
        plan.add(&config.route, "");
        plan.tree_count = plan.routes.len();
        for receiver in 0..plan.receivers.len() {
            plan.add_direct(receiver, &config.route);
        }
        Arc::new(plan)
    }

    /// Adds a node for alerts that name their receiver. It waits for nothing.
    fn add_direct(&mut self, receiver: usize, root: &Route) {
        let name = &self.receivers[receiver].name;
        let key = format!("{{{RECEIVER_LABEL}={name:?}}}");
        self.routes.push(RouteNode {
            key,
            receiver,
            group_by: Vec::new(),
            group_by_all: true,
            matchers: Vec::new(),
            continues: false,
            children: Vec::new(),
            group_wait: Duration::ZERO,
            group_interval: root.group_interval,
            repeat_interval: root.repeat_interval,
            mute: Vec::new(),
            active: Vec::new(),
        });
    }

    fn add(&mut self, route: &Route, above: &str) -> usize {
        let own = format_matchers(&route.matchers);
        let key = if above.is_empty() { own } else { format!("{above}/{own}") };
        let receiver = self.receivers.iter().position(|receiver| receiver.name == route.receiver).unwrap_or(0);
        let index = self.routes.len();
        self.routes.push(RouteNode {
            key: key.clone(),
            receiver,
            group_by: route.group_by.clone(),
            group_by_all: route.group_by_all,
            matchers: route.matchers.clone(),
            continues: route.continues,
            children: Vec::new(),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            mute: route.mute_time_intervals.clone(),
            active: route.active_time_intervals.clone(),
        });
        let children: Vec<usize> = route.routes.iter().map(|child| self.add(child, &key)).collect();
        self.routes[index].children = children;
        index
    }

    /// Returns how much is configured.
    #[must_use]
    pub fn counts(&self) -> PlanCounts {
        PlanCounts {
            routes: self.tree_count,
            receivers: self.receivers.len(),
            inhibit_rules: self.inhibit_rules.len(),
            templates: self.library.names().count() - crate::message::DEFAULT_TEMPLATES.names().count(),
        }
    }

    /// Returns the paths and receivers that an alert with these labels goes to.
    #[must_use]
    pub fn receivers_of(&self, labels: &[(String, String)]) -> Vec<(&str, &str)> {
        let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let routes = self.routes_of(&labels).into_iter().map(|route| &self.routes[route]);
        routes.map(|node| (node.key.as_str(), self.receivers[node.receiver].name.as_str())).collect()
    }

    /// Returns the routes that take an alert, in the order of the file.
    pub(crate) fn routes_of(&self, labels: &Labels) -> Vec<usize> {
        let named = labels.get(RECEIVER_LABEL);
        let named = named.and_then(|name| self.receivers.iter().position(|receiver| receiver.name == name));
        if let Some(receiver) = named {
            return vec![self.tree_count + receiver];
        }
        let mut found = Vec::new();
        if !self.routes.is_empty() {
            self.descend(0, labels, &mut found);
        }
        found
    }

    /// Tells whether the node or one below it takes the alert.
    fn descend(&self, index: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let node = &self.routes[index];
        if !matches_all(&node.matchers, labels) {
            return false;
        }
        let mut taken = false;
        for child in &node.children {
            if self.descend(*child, labels, found) {
                taken = true;
                if !self.routes[*child].continues {
                    break;
                }
            }
        }
        if !taken {
            found.push(index);
        }
        true
    }

    /// Returns the labels that make the alert's group at a node.
    pub(crate) fn group_labels(&self, route: usize, labels: &Labels) -> Labels {
        let node = &self.routes[route];
        if node.group_by_all {
            return labels.clone();
        }
        labels.filtered(|name| node.group_by.iter().any(|wanted| wanted == name))
    }

    /// Returns the names of the times because of which nothing is sent now; empty when something may be.
    pub(crate) fn muted_by(&self, route: usize, now: Timestamp) -> Vec<String> {
        let node = &self.routes[route];
        let mut muted: Vec<String> = node.mute.iter().filter(|name| self.interval_holds(name, now)).cloned().collect();
        if !node.active.is_empty() && !node.active.iter().any(|name| self.interval_holds(name, now)) {
            muted.extend(node.active.iter().map(|name| format!("not {name}")));
        }
        muted
    }

    fn interval_holds(&self, name: &str, now: Timestamp) -> bool {
        let Some(interval) = self.intervals.get(name) else { return false };
        interval.windows.iter().any(|window| {
            let zone = window.location.as_deref().and_then(|location| self.zones.get(location));
            let local = now.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC));
            window.contains(LocalTime {
                minute: i32::from(local.hour()) * 60 + i32::from(local.minute()),
                weekday: i32::from(local.weekday().to_sunday_zero_offset()),
                day: i32::from(local.day()),
                days_in_month: i32::from(local.days_in_month()),
                month: i32::from(local.month()),
                year: i32::from(local.year()),
            })
        })
    }
}

/// Tells whether labels fulfil all conditions.
pub(crate) fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}
