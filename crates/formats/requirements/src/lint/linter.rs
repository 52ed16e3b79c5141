//! Checks the same items again and again: what did not change is not read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Finding, LintContext, Own, among, sort};
use crate::class::{Class, classify};
use crate::graph::Graph;
use crate::item::Item;

/// Remembers of each item what its own words bring up, for as long as they and the context stay.
#[derive(Debug, Default)]
pub struct Linter {
    context: LintContext,
    found: Vec<Found>,
}

/// What was found in one item.
#[derive(Debug)]
pub struct Found {
    item: Arc<Item>,
    class: Class,
    own: Own,
    among: Vec<Finding>,
    is_other: bool,
}

/// What a look at all items found.
#[derive(Debug)]
pub struct Look<'look> {
    /// The links between them.
    pub graph: Graph<'look>,
    /// What was found in each, in their order.
    pub found: &'look [Found],
}

impl Linter {
    /// Checks items, each of another name, against all rules.
    pub fn look<'look>(&'look mut self, items: &'look [Arc<Item>], context: &LintContext) -> Look<'look> {
        let mut before = HashMap::new();
        if self.context == *context {
            before.extend(self.found.drain(..).map(|one| (one.item.name.clone(), one)));
        } else {
            self.context = context.clone();
        }
        let keep = |item: &Arc<Item>| match before.remove(&item.name) {
            Some(one) if Arc::ptr_eq(&one.item, item) => Found { is_other: false, ..one },
            Some(one) if one.item.is_written_as(item) => Found { item: Arc::clone(item), is_other: false, ..one },
            _ => Found {
                item: Arc::clone(item),
                class: classify(item),
                own: Own::read(item, context),
                among: Vec::new(),
                is_other: true,
            },
        };
        self.found = items.iter().map(keep).collect();
        let graph = Graph::new(items.iter().map(AsRef::as_ref));
        let own: Vec<&Own> = self.found.iter().map(|one| &one.own).collect();
        let mut of: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        for finding in among(&graph, &own, context) {
            of.entry(finding.item.clone()).or_default().push(finding);
        }
        for one in &mut self.found {
            let among = of.remove(&one.item.name).unwrap_or_default();
            one.is_other |= one.among != among;
            one.among = among;
        }
        Look { graph, found: &self.found }
    }
}

impl Found {
    /// Returns the item's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.item.name
    }

    /// Returns what kind of requirement it is.
    #[must_use]
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// Tells whether anything of the item or its findings may be another than at the look before.
    #[must_use]
    pub fn is_other(&self) -> bool {
        self.is_other
    }

    /// Returns what [`lint`](super::lint) finds in the item, in its order.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.own.findings.iter().chain(&self.among).cloned().collect();
        sort(&mut findings);
        findings
    }
}
