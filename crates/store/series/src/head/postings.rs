//! From matchers to series: lists of series are joined, met and taken away, smallest first.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use maru_prom::{Matcher, MatcherOperator};

use super::index::Index;

/// Patterns whose values are remembered.
const PATTERNS_MAX: usize = 256;

/// Values that fulfil a pattern. Values only ever come at the end of their name's list, so only new ones are looked at.
#[derive(Debug, Default)]
pub(crate) struct PatternCache(Mutex<HashMap<(u32, String), Known>>);

#[derive(Debug, Default)]
struct Known {
    looked_at: usize,
    pairs: Vec<u32>,
}

impl PatternCache {
    /// Returns the pairs of `name` that the pattern of `matcher` fits, whether or not the matcher negates it.
    fn pairs(&self, index: &Index, name: u32, matcher: &Matcher, is_negated: bool) -> Vec<u32> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= PATTERNS_MAX {
            cache.clear();
        }
        let known = cache.entry((name, matcher.value().to_owned())).or_default();
        let all = index.pairs_of_name(name);
        for pair in all.get(known.looked_at..).unwrap_or_default() {
            if matcher.matches(index.value_of_pair(*pair)) != is_negated {
                known.pairs.push(*pair);
            }
        }
        known.looked_at = all.len();
        known.pairs.clone()
    }
}

/// What one matcher says, with the series it names.
struct Condition {
    /// The number of the label's name.
    name: u32,
    pairs: Vec<u32>,
    /// Series of all pairs.
    total: usize,
}

impl Condition {
    fn new(index: &Index, name: u32, pairs: Vec<u32>) -> Self {
        let total = pairs.iter().map(|pair| index.members(*pair).len()).sum();
        Self { name, pairs, total }
    }

    /// Returns all series, sorted. Pairs of one name share no series.
    fn series(&self, index: &Index) -> Vec<u32> {
        let mut series = Vec::with_capacity(self.total);
        for pair in &self.pairs {
            series.extend_from_slice(index.members(*pair));
        }
        if self.pairs.len() > 1 {
            series.sort();
        }
        series
    }

    /// Keeps those series that have one of the pairs, or that have none of them.
    fn filter(&self, index: &Index, candidates: &mut Vec<u32>, keeps_members: bool) {
        if let [pair] = self.pairs.as_slice() {
            keep(candidates, index.members(*pair), keeps_members);
        } else if self.total <= candidates.len().saturating_mul(4) {
            keep(candidates, &self.series(index), keeps_members);
        } else {
            let pairs: HashSet<u32> = self.pairs.iter().copied().collect();
            candidates.retain(|series| {
                let has = index.pair_of_name(*series, self.name).is_some_and(|pair| pairs.contains(&pair));
                has == keeps_members
            });
        }
    }
}

/// Keeps what is in both sorted lists, or what is in the first alone.
fn keep(candidates: &mut Vec<u32>, other: &[u32], keeps_members: bool) {
    let mut rest = other;
    candidates.retain(|series| {
        let at = gallop(rest, *series);
        rest = rest.get(at..).unwrap_or_default();
        (rest.first() == Some(series)) == keeps_members
    });
}

/// Returns how many numbers at the front of a sorted list are below `bound`.
fn gallop(list: &[u32], bound: u32) -> usize {
    let mut step = 1;
    while list.get(step).is_some_and(|number| *number < bound) {
        step *= 2;
    }
    let start = step / 2;
    let end = (step + 1).min(list.len());
    start + list.get(start..end).map_or(0, |part| part.partition_point(|number| *number < bound))
}

/// Returns the series that fulfil all matchers, sorted by number.
pub(crate) fn resolve(index: &Index, cache: &PatternCache, matchers: &[Matcher]) -> Vec<u32> {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for matcher in matchers {
        let fits_absent = matcher.matches("");
        let Some(name) = index.find_name(matcher.name()) else {
            if fits_absent {
                continue;
            }
            return Vec::new();
        };
        let pairs = matching_pairs(index, cache, name, matcher);
        let pairs = if fits_absent {
            // Those whose value does not fit, which is all but the fitting ones.
            let fitting: HashSet<u32> = pairs.into_iter().collect();
            index.pairs_of_name(name).iter().copied().filter(|pair| !fitting.contains(pair)).collect()
        } else {
            pairs
        };
        let condition = Condition::new(index, name, pairs);
        if fits_absent { unwanted.push(condition) } else { wanted.push(condition) }
    }
    wanted.sort_by_key(|condition| condition.total);
    let mut conditions = wanted.iter();
    let mut series = conditions.next().map_or_else(|| index.all().collect(), |first| first.series(index));
    for condition in conditions {
        condition.filter(index, &mut series, true);
    }
    for condition in &unwanted {
        condition.filter(index, &mut series, false);
    }
    series
}

/// Returns the pairs of `name` whose value fulfils the matcher.
fn matching_pairs(index: &Index, cache: &PatternCache, name: u32, matcher: &Matcher) -> Vec<u32> {
    let one = |value: &str| index.find_pair(matcher.name(), value);
    let others = |pairs: Vec<u32>| {
        let pairs: HashSet<u32> = pairs.into_iter().collect();
        index.pairs_of_name(name).iter().copied().filter(|pair| !pairs.contains(pair)).collect()
    };
    // Patterns such as a|b|c name their values: nothing else is looked at.
    let listed = matcher.alternatives().map(|values| {
        let mut pairs: Vec<u32> = values.iter().filter_map(|value| one(value)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    });
    match matcher.operator() {
        MatcherOperator::Matches | MatcherOperator::NotMatches if listed.is_some() => {
            let pairs = listed.unwrap_or_default();
            if matcher.operator() == MatcherOperator::Matches { pairs } else { others(pairs) }
        }
        MatcherOperator::Equal => one(matcher.value()).into_iter().collect(),
        MatcherOperator::NotEqual => others(one(matcher.value()).into_iter().collect()),
        MatcherOperator::Matches => cache.pairs(index, name, matcher, false),
        MatcherOperator::NotMatches => others(cache.pairs(index, name, matcher, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::hash::HashKey;
    use crate::log::varint::put;
    use maru_prom::Labels;
    use proptest::prelude::*;

    fn index(sets: &[Labels]) -> Index {
        let mut index = Index::new(HashKey::random());
        for labels in sets {
            let mut encoded = Vec::new();
            for (name, value) in labels.iter() {
                put(&mut encoded, u64::from(index.pair_id(name, value)));
            }
            index.series_of_pairs(&encoded, true).unwrap();
        }
        index
    }

    fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
        let operator = prop_oneof![
            Just(MatcherOperator::Equal),
            Just(MatcherOperator::NotEqual),
            Just(MatcherOperator::Matches),
            Just(MatcherOperator::NotMatches)
        ];
        let value = prop_oneof![Just(""), Just("1"), Just("1|2"), Just(".*"), Just(".+"), Just("2.*"), Just("9")];
        let one = (prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")], operator, value)
            .prop_map(|(name, operator, value)| Matcher::new(name, operator, value).unwrap());
        proptest::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_finds(
            sets in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u8..30), 0..60), all in proptest::collection::vec(matchers(), 3)
        ) {
            let sets: Vec<Labels> = sets.into_iter().map(|(a, b, c)| {
                Labels::from_pairs([("a", a), ("b", b), ("c", c)].map(|(n, v)| (n, if v == 0 { String::new() } else { v.to_string() })))
            }).collect();
            let index = index(&sets);
            let cache = PatternCache::default();
            for matchers in all {
                let found: Vec<Labels> = resolve(&index, &cache, &matchers).into_iter().map(|id| index.labels(id)).collect();
                let scanned: Vec<Labels> = index.all().map(|id| index.labels(id))
                    .filter(|labels| matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()))).collect();
                prop_assert_eq!(found, scanned, "{:?}", matchers);
            }
        }
    }

    #[test]
    fn galloping_finds_the_place() {
        let list: Vec<u32> = (0..100).map(|i| i * 3).collect();
        for bound in 0..310 {
            assert_eq!(gallop(&list, bound), list.partition_point(|number| *number < bound));
        }
        assert_eq!(gallop(&[], 4), 0);
    }
}
