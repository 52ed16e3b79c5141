//! What the head tells about itself: names and values of labels, metadata, exemplars, numbers, who added series.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use maru_prom::{Exemplar, Labels, METRIC_NAME, Matcher, Metadata};

use super::exemplars::Added;
use super::{Head, lock, postings, read};
use crate::block::TimeRange;
use crate::statistics::{Growth, LabelGrowth, ScopeStatistics, Statistics};

impl Head {
    /// Returns the labels of the series that fulfil all matchers and have samples in `range`.
    pub(crate) fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Labels> {
        let index = read(&self.index);
        let mut ids = self.resolve(&index, matchers, range);
        self.sort(&index, &mut ids);
        ids.into_iter().map(|id| index.labels(id)).collect()
    }

    /// Returns how many series fulfil all matchers and have samples in `range`.
    pub(crate) fn count(&self, matchers: &[Matcher], range: TimeRange) -> usize {
        let index = read(&self.index);
        self.resolve(&index, matchers, range).len()
    }

    /// Tells whether `range` has all that is in the head, so that nothing must be looked at.
    fn covers(&self, range: TimeRange) -> bool {
        range.start_ms == i64::MIN && range.end_ms >= self.newest_ms()
    }

    /// Adds the names of labels.
    pub(crate) fn label_names(&self, matchers: &[Matcher], range: TimeRange, names: &mut BTreeSet<String>) {
        let index = read(&self.index);
        if !self.may_have(range) {
            return;
        }
        if matchers.is_empty() && self.covers(range) {
            names.extend(
                index
                    .names()
                    .filter(|(id, _)| index.pairs_of_name(*id).iter().any(|pair| !index.members(*pair).is_empty()))
                    .map(|(_, name)| name.to_owned()),
            );
            return;
        }
        let mut seen = HashSet::new();
        for id in self.resolve(&index, matchers, range) {
            seen.extend(index.pairs_of(id).map(|pair| index.name_of_pair(pair)));
        }
        names.extend(index.names().filter(|(id, _)| seen.contains(id)).map(|(_, name)| name.to_owned()));
    }

    /// Adds the values of the label `name`.
    pub(crate) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        values: &mut BTreeSet<String>,
    ) {
        let index = read(&self.index);
        let Some(name) = index.find_name(name) else { return };
        if !self.may_have(range) {
            return;
        }
        if matchers.is_empty() {
            // A value counts as soon as one of its series has samples.
            let has = |id: u32| self.with(id, |series| series.has(range)).unwrap_or_default();
            let is_all = self.covers(range);
            for pair in index.pairs_of_name(name) {
                let members = index.members(*pair);
                if !members.is_empty() && (is_all || members.iter().any(|id| has(*id))) {
                    values.insert(index.value_of_pair(*pair).to_owned());
                }
            }
            return;
        }
        let mut seen = HashSet::new();
        for id in self.resolve(&index, matchers, range) {
            if let Some(pair) = index.pair_of_name(id, name)
                && seen.insert(pair)
            {
                values.insert(index.value_of_pair(pair).to_owned());
            }
        }
    }

    /// Hides samples; returns what is hidden of which series.
    pub(crate) fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Vec<(u32, TimeRange)> {
        let index = read(&self.index);
        let ids = postings::resolve(&index, &self.patterns, matchers);
        let mut hidden = Vec::new();
        self.with_each(ids.into_iter(), |_, id, series| {
            if let Some(range) = series.and_then(|series| series.delete(range)) {
                hidden.push((id, range));
            }
        });
        hidden
    }

    /// Keeps metadata; tells whether it is new. Beyond the limit of metrics, new ones are not kept.
    pub(crate) fn put_metadata(&self, metric: &str, metadata: &Metadata) -> bool {
        if read(&self.metadata).get(metric) == Some(metadata) {
            return false;
        }
        let mut all = self.metadata.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(metric) {
            known.clone_from(metadata);
        } else if all.len() < self.limits.metadata_max {
            all.insert(metric.to_owned(), metadata.clone());
        } else {
            return false;
        }
        true
    }

    pub(crate) fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        let all = read(&self.metadata);
        let entry = |(name, metadata): (&String, &Metadata)| (name.clone(), vec![metadata.clone()]);
        match metric {
            Some(metric) => all.get_key_value(metric).map(entry).into_iter().collect(),
            None => all.iter().take(limit.unwrap_or(usize::MAX)).map(entry).collect(),
        }
    }

    /// Adds an exemplar.
    pub(crate) fn add_exemplar(&self, series: u32, exemplar: Exemplar) -> Added {
        lock(&self.exemplars).add(series, exemplar, self.limits.exemplars_max)
    }

    pub(crate) fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<(Labels, Vec<Exemplar>)> {
        let index = read(&self.index);
        let mut ids: Vec<u32> =
            selectors.iter().flat_map(|matchers| postings::resolve(&index, &self.patterns, matchers)).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = lock(&self.exemplars).find(&ids, range);
        let mut by_labels: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for (series, exemplar) in found {
            by_labels.entry(index.labels(series)).or_default().push(exemplar);
        }
        by_labels.into_iter().collect()
    }

    /// Fills in what the head knows.
    pub(crate) fn statistics(&self, limit: usize, statistics: &mut Statistics) {
        let (mut oldest, mut newest) = (None, None);
        self.for_all(|_, series| {
            statistics.chunks += series.chunks.len() as u64;
            if let Some(first) = series.first_ms() {
                oldest = Some(oldest.map_or(first, |oldest: i64| oldest.min(first)));
                newest = newest.max(Some(series.last_ms));
            }
        });
        statistics.min_ms = oldest;
        statistics.max_ms = newest;
        statistics.series = self.active.load(Ordering::Relaxed) as u64;
        statistics.samples_appended = self.samples_appended.load(Ordering::Relaxed);
        statistics.chunk_bytes = self.files.bytes();
        let index = read(&self.index);
        statistics.label_pairs = u64::from(index.next_pair());
        let (mut metrics, mut values, mut bytes, mut pairs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, name) in index.names() {
            let (mut count, mut size) = (0_u64, 0_u64);
            for pair in index.pairs_of_name(id) {
                let series = index.members(*pair).len() as u64;
                if series == 0 {
                    continue;
                }
                let value = index.value_of_pair(*pair);
                count += 1;
                size += value.len() as u64 * series;
                if name == METRIC_NAME {
                    metrics.push((value.to_owned(), series));
                }
                pairs.push(((name, value), series));
            }
            if count > 0 {
                values.push((name.to_owned(), count));
                bytes.push((name.to_owned(), size));
            }
        }
        let named = |((name, value), series): ((&str, &str), u64)| (format!("{name}={value}"), series);
        statistics.series_by_metric = top(metrics, limit);
        statistics.values_by_label = top(values, limit);
        statistics.bytes_by_label = top(bytes, limit);
        statistics.series_by_pair = top(pairs, limit).into_iter().map(named).collect();
        statistics.scopes = read(&self.scopes)
            .iter()
            .map(|state| ScopeStatistics {
                scope: state.labels.clone(),
                series: state.series.load(Ordering::Relaxed) as u64,
                series_max: state.series_max.load(Ordering::Relaxed) as u64,
                overflow_samples: state.overflow_samples.load(Ordering::Relaxed),
            })
            .collect();
    }

    /// Returns who made the series since `since_s`.
    pub(crate) fn who_added(&self, since_s: u32, limit: usize) -> Vec<Growth> {
        let mut new: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        self.for_all(|id, series| {
            if series.created_s >= since_s && !series.is_retired {
                new.entry(series.scope).or_default().push(id);
            }
        });
        let index = read(&self.index);
        let mut growths: Vec<Growth> = new
            .into_iter()
            .map(|(scope, ids)| {
                let mut by_pair: HashMap<u32, u64> = HashMap::new();
                for pair in ids.iter().flat_map(|id| index.pairs_of(*id)) {
                    *by_pair.entry(pair).or_default() += 1;
                }
                let mut by_name: BTreeMap<u32, Vec<(String, u64)>> = BTreeMap::new();
                let mut by_pair: Vec<(u32, u64)> = by_pair.into_iter().collect();
                by_pair.sort_unstable();
                for (pair, series) in by_pair {
                    let entry = by_name.entry(index.name_of_pair(pair)).or_default();
                    entry.push((index.value_of_pair(pair).to_owned(), series));
                }
                let metric = index.find_name(METRIC_NAME);
                let metrics = metric.and_then(|metric| by_name.get(&metric)).cloned().unwrap_or_default();
                let mut labels: Vec<LabelGrowth> = index
                    .names()
                    .filter_map(|(id, name)| {
                        let values = by_name.remove(&id)?;
                        Some(LabelGrowth {
                            name: name.to_owned(),
                            values: values.len() as u64,
                            examples: top(values, limit),
                        })
                    })
                    .collect();
                labels.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.name.cmp(&b.name)));
                labels.truncate(limit);
                Growth {
                    scope: self.scope_state(scope).map(|state| state.labels.clone()).unwrap_or_default(),
                    series: ids.len() as u64,
                    metrics: top(metrics, limit),
                    labels,
                }
            })
            .collect();
        growths.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.scope.cmp(&b.scope)));
        growths
    }

    /// Returns the memory that series take, by what for.
    pub(crate) fn memory(&self) -> Vec<(&'static str, usize)> {
        let (mut series_bytes, mut slots) = (0, 0);
        self.for_all(|_, series| {
            series_bytes += series.heap_bytes();
            slots += size_of::<super::Series>();
        });
        let wire = self.wire.iter().map(|table| read(&table.0).heap_bytes()).sum();
        vec![
            ("series", slots),
            ("open chunks and places of chunks", series_bytes),
            ("index", read(&self.index).heap_bytes()),
            ("order", read(&self.order).heap_bytes()),
            ("wire bytes", wire),
            ("chunks to be written", self.files.heap_bytes()),
        ]
    }
}

/// Returns the largest, at most `limit`; equal ones by name.
fn top<T: Ord>(mut all: Vec<(T, u64)>, limit: usize) -> Vec<(T, u64)> {
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(limit);
    all
}
