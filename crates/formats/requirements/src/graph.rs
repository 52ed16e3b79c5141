//! Links between items: derivation, cycles, what became suspect, what a change reaches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use crate::item::Item;

/// The links of a set of items.
#[derive(Debug)]
pub struct Graph<'items> {
    items: Vec<&'items Item>,
    index: BTreeMap<&'items str, usize>,
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
}

/// Why a link must be looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "why")]
pub enum SuspectWhy {
    /// The parent changed after the link was reviewed.
    Changed {
        /// The parent's fingerprint at the review.
        reviewed: String,
        /// The parent's fingerprint now.
        current: String,
    },
    /// The parent is gone.
    Gone,
}

/// A link whose other end changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// The child.
    pub item: String,
    /// The parent.
    pub parent: String,
    /// Why.
    #[serde(flatten)]
    pub why: SuspectWhy,
}

/// What a change of one item reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// The item that changes.
    pub item: String,
    /// Items that are derived from it, nearest first: name, the parent that it is reached by, distance.
    pub items: Vec<(String, String, usize)>,
    /// Components that the item and those items are allocated to.
    pub components: BTreeSet<String>,
    /// Checks whose evidence no longer counts: `test orders contract/*`, `slo orders-latency`.
    pub checks: BTreeSet<String>,
}

impl<'items> Graph<'items> {
    /// Reads the links.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = &'items Item>) -> Self {
        let items: Vec<&Item> = items.into_iter().collect();
        let index: BTreeMap<&str, usize> =
            items.iter().enumerate().map(|(index, item)| (item.name.as_str(), index)).collect();
        let mut parents = vec![Vec::new(); items.len()];
        let mut children = vec![Vec::new(); items.len()];
        for (child, item) in items.iter().enumerate() {
            for parent in item.derived_from.iter().filter_map(|link| index.get(link.name.as_str())) {
                parents[child].push(*parent);
                children[*parent].push(child);
            }
        }
        Self { items, index, parents, children }
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &'items Item> + '_ {
        self.items.iter().copied()
    }

    pub(crate) fn item(&self, name: &str) -> Option<&'items Item> {
        self.index.get(name).map(|index| self.items[*index])
    }

    /// Tells whether an item of this name exists.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Returns the names of the items that are derived from one directly.
    #[must_use]
    pub fn children(&self, name: &str) -> Vec<&'items str> {
        let list = self.index.get(name).and_then(|index| self.children.get(*index));
        list.into_iter().flatten().map(|child| self.items[*child].name.as_str()).collect()
    }

    /// Returns the cycles, each once, as names from its first in order of name; each item follows from the next.
    #[must_use]
    pub fn cycles(&self) -> Vec<Vec<&'items str>> {
        let alive = self.on_cycles();
        let mut found: BTreeSet<Vec<&str>> = BTreeSet::new();
        let mut seen = vec![false; self.items.len()];
        for start in (0..self.items.len()).filter(|index| alive[*index]) {
            let mut path: Vec<usize> = Vec::new();
            let mut place: BTreeMap<usize, usize> = BTreeMap::new();
            let mut at = start;
            while !seen[at] && !place.contains_key(&at) {
                place.insert(at, path.len());
                path.push(at);
                match self.parents[at].iter().find(|parent| alive[**parent]) {
                    Some(parent) => at = *parent,
                    None => break,
                }
            }
            if let Some(first) = place.get(&at) {
                let mut names: Vec<&str> =
                    path.iter().skip(*first).map(|index| self.items[*index].name.as_str()).collect();
                let least = names.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(index, _)| index);
                names.rotate_left(least);
                found.insert(names);
            }
            path.iter().for_each(|index| seen[*index] = true);
        }
        found.into_iter().collect()
    }

    /// Takes away items without parents, then items without children, until only what cycles hold together is left.
    fn on_cycles(&self) -> Vec<bool> {
        let mut alive = vec![true; self.items.len()];
        for (ends, others) in [(&self.parents, &self.children), (&self.children, &self.parents)] {
            let mut degree: Vec<usize> =
                ends.iter().map(|list| list.iter().filter(|other| alive[**other]).count()).collect();
            let mut queue: VecDeque<usize> =
                (0..self.items.len()).filter(|index| alive[*index] && degree[*index] == 0).collect();
            while let Some(index) = queue.pop_front() {
                alive[index] = false;
                for other in others[index].iter().filter(|other| alive[**other]) {
                    degree[*other] -= 1;
                    if degree[*other] == 0 {
                        queue.push_back(*other);
                    }
                }
            }
        }
        alive
    }

    /// Returns the links whose parent is not what it was at the link's review. Links without a fingerprint were not reviewed.
    #[must_use]
    pub fn suspects(&self) -> Vec<Suspect> {
        let mut fingerprints: BTreeMap<usize, String> = BTreeMap::new();
        self.suspects_by(|index, item| fingerprints.entry(index).or_insert_with(|| item.fingerprint()).clone())
    }

    /// The suspects as `fingerprint` tells the fingerprint of an item by its place among all.
    pub(crate) fn suspects_by<Told: Into<String> + AsRef<str>>(
        &self,
        mut fingerprint: impl FnMut(usize, &'items Item) -> Told,
    ) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        for item in self.items() {
            for link in &item.derived_from {
                let why = match (self.index.get(link.name.as_str()), &link.fingerprint) {
                    (None, _) => SuspectWhy::Gone,
                    (Some(_), None) => continue,
                    (Some(parent), Some(reviewed)) => {
                        let current = fingerprint(*parent, self.items[*parent]);
                        if current.as_ref() == reviewed {
                            continue;
                        }
                        SuspectWhy::Changed { reviewed: reviewed.clone(), current: current.into() }
                    }
                };
                suspects.push(Suspect { item: item.name.clone(), parent: link.name.clone(), why });
            }
        }
        suspects
    }

    /// Returns how many items are derived from one, directly or not.
    #[must_use]
    pub fn reach(&self, name: &str) -> usize {
        let Some(start) = self.index.get(name).filter(|index| !self.children[**index].is_empty()) else { return 0 };
        let mut seen = vec![false; self.items.len()];
        let (mut open, mut count) = (vec![*start], 0);
        seen[*start] = true;
        while let Some(index) = open.pop() {
            for child in &self.children[index] {
                if !std::mem::replace(&mut seen[*child], true) {
                    count += 1;
                    open.push(*child);
                }
            }
        }
        count
    }

    /// Returns what a change of an item reaches; nothing when there is no such item.
    #[must_use]
    pub fn impact(&self, name: &str) -> Option<Impact> {
        let start = *self.index.get(name)?;
        let mut impact = Impact { item: name.to_owned(), ..Impact::default() };
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((index, distance)) = queue.pop_front() {
            let item = &self.items[index];
            impact.components.extend(item.allocated_to.iter().cloned());
            impact.checks.extend(item.verify.iter().filter_map(describe_check));
            for child in &self.children[index] {
                if seen.insert(*child) {
                    impact.items.push((self.items[*child].name.clone(), item.name.clone(), distance + 1));
                    queue.push_back((*child, distance + 1));
                }
            }
        }
        Some(impact)
    }
}

fn describe_check(check: &serde_json::Value) -> Option<String> {
    let fields = check.as_object()?;
    let (kind, value) = fields.iter().find(|(key, _)| !matches!(key.as_str(), "in" | "confidence" | "validFor"))?;
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    let mut words = vec![kind.as_str()];
    words.extend(value.as_str().or_else(|| text("suite")).or_else(|| text("role")));
    words.extend(text("case"));
    let place = fields.get("in").and_then(serde_json::Value::as_str);
    Some(place.map_or_else(|| words.join(" "), |place| format!("{} in {place}", words.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Link;

    fn items(links: &[(&str, &[&str])]) -> Vec<Item> {
        let item = |(name, parents): &(&str, &[&str])| Item {
            name: (*name).to_owned(),
            statement: format!("{name} shall be.").as_str().into(),
            derived_from: parents.iter().map(|name| Link { name: (*name).to_owned(), fingerprint: None }).collect(),
            ..Item::default()
        };
        links.iter().map(item).collect()
    }

    #[test]
    fn cycles_are_found_once() {
        let items = items(&[
            ("a", &["b"]),
            ("b", &["c"]),
            ("c", &["a"]),
            ("d", &["a"]),
            ("e", &["e"]),
            ("f", &[]),
            ("g", &["f"]),
        ]);
        assert_eq!(Graph::new(&items).cycles(), [vec!["a", "b", "c"], vec!["e"]]);
    }

    #[test]
    fn a_long_chain_does_not_overflow() {
        let items: Vec<Item> = (0..50_000)
            .map(|index: u32| Item {
                name: index.to_string(),
                derived_from: vec![Link { name: ((index + 1) % 50_000).to_string(), fingerprint: None }],
                ..Item::default()
            })
            .collect();
        let graph = Graph::new(&items);
        assert_eq!(graph.cycles().len(), 1);
        assert_eq!(graph.impact("0").unwrap().items.len(), 49_999);
    }

    #[test]
    fn a_changed_parent_makes_its_children_suspect() {
        let mut items = items(&[("goal", &[]), ("req", &["goal"]), ("test", &["req"]), ("lost", &["nothing"])]);
        items[1].derived_from[0].fingerprint = Some(items[0].fingerprint());
        items[2].verify = vec![serde_json::json!({"test": {"suite": "s", "case": "c"}, "in": "test"})];
        items[2].allocated_to = vec!["orders".to_owned()];
        let gone = Suspect { item: "lost".to_owned(), parent: "nothing".to_owned(), why: SuspectWhy::Gone };
        assert_eq!(Graph::new(&items).suspects(), std::slice::from_ref(&gone));
        items[0].statement = "goal shall be more.".into();
        let graph = Graph::new(&items);
        let suspects = graph.suspects();
        assert_eq!((suspects.len(), suspects[0].item.as_str()), (2, "req"));
        let impact = graph.impact("goal").unwrap();
        assert_eq!(impact.items, [("req".to_owned(), "goal".to_owned(), 1), ("test".to_owned(), "req".to_owned(), 2)]);
        assert_eq!((graph.reach("goal"), graph.reach("test"), graph.reach("nothing")), (2, 0, 0));
        assert_eq!(impact.components, BTreeSet::from(["orders".to_owned()]));
        assert_eq!(impact.checks, BTreeSet::from(["test s c in test".to_owned()]));
        assert_eq!(graph.impact("nothing"), None);
    }
}
