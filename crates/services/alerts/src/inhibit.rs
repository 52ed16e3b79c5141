//! Which alerts silence which others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maru_prom::Labels;
use maru_time::Timestamp;

use crate::alert::{Alert, Fingerprint};
use crate::plan::{Plan, matches_all};

/// The alerts that may silence others, by the labels that both must have alike.
#[derive(Debug)]
pub(crate) struct Inhibitor {
    plan: Arc<Plan>,
    /// One a rule: values of the equal labels → sources.
    sources: Vec<BTreeMap<Vec<u8>, BTreeSet<Fingerprint>>>,
}

/// What silences an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inhibited {
    pub(crate) by: Fingerprint,
    /// The rule's place in the file, from 0.
    pub(crate) rule: usize,
}

impl Inhibitor {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let sources = plan.inhibit_rules.iter().map(|_| BTreeMap::new()).collect();
        Self { plan, sources }
    }

    fn key(equal: &[String], labels: &Labels) -> Vec<u8> {
        let mut key = Vec::new();
        for name in equal {
            key.extend_from_slice(labels.get(name).unwrap_or_default().as_bytes());
            key.push(0xff);
        }
        key
    }

    pub(crate) fn add(&mut self, labels: &Labels, fingerprint: Fingerprint) {
        for (rule, sources) in self.plan.inhibit_rules.iter().zip(&mut self.sources) {
            if matches_all(&rule.source_matchers, labels) {
                sources.entry(Self::key(&rule.equal, labels)).or_default().insert(fingerprint);
            }
        }
    }

    pub(crate) fn remove(&mut self, labels: &Labels, fingerprint: Fingerprint) {
        for (rule, sources) in self.plan.inhibit_rules.iter().zip(&mut self.sources) {
            let key = Self::key(&rule.equal, labels);
            if let Some(found) = sources.get_mut(&key) {
                found.remove(&fingerprint);
                if found.is_empty() {
                    sources.remove(&key);
                }
            }
        }
    }

    /// Returns the first firing alert that silences these labels. An alert that is both source and target is not silenced
    /// by itself, nor by another that is both.
    pub(crate) fn inhibited<'a>(
        &self,
        labels: &Labels,
        now: Timestamp,
        alert: &impl Fn(Fingerprint) -> Option<&'a Alert>,
    ) -> Option<Inhibited> {
        for (index, (rule, sources)) in self.plan.inhibit_rules.iter().zip(&self.sources).enumerate() {
            if !matches_all(&rule.target_matchers, labels) {
                continue;
            }
            let Some(candidates) = sources.get(&Self::key(&rule.equal, labels)) else { continue };
            let is_source_too = matches_all(&rule.source_matchers, labels);
            let found = candidates.iter().find(|fingerprint| {
                alert(**fingerprint).is_some_and(|source| {
                    !(source.is_resolved(now) || is_source_too && matches_all(&rule.target_matchers, &source.labels))
                })
            });
            if let Some(by) = found {
                return Some(Inhibited { by: *by, rule: index });
            }
        }
        None
    }
}
