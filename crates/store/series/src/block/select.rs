//! Which series of a block fulfil matchers, and what labels they have.

use std::collections::BTreeSet;
use std::sync::Arc;

use maru_prom::Matcher;

use super::contents::NamePlace;
use super::dictionary::Dictionary;
use super::open::{Block, BlockSeries, NameMemo, index_of};
use super::series::{self, SeriesPiece};
use super::{TimeRange, postings};

/// Ordinals of a name's values that a matcher lets through, or the opposite.
struct Chosen {
    ordinals: Vec<u32>,
    /// A piece of the values is damaged: only looking at each series tells.
    damaged: bool,
}

impl Block {
    /// Returns the series that fulfil all `matchers` and have chunks in `range`, in the order of their labels.
    /// Series that a damaged piece of the index hides are missing; [`Block::damage`] names the piece.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<BlockSeries> {
        if !range.overlaps(self.info().range.start_ms, self.info().range.end_ms) {
            return Vec::new();
        }
        let (ordinals, scan) = self.ordinals(matchers);
        let mut memo = NameMemo::default();
        let mut found = Vec::with_capacity(ordinals.len());
        self.for_each_piece(&ordinals, |ordinal, piece| {
            let chunks = piece.chunks(index_of(ordinal) % series::PER_PIECE);
            if !chunks.iter().any(|chunk| range.overlaps(chunk.first_ms, chunk.last_ms)) {
                return;
            }
            let Some(series) = self.series_at(ordinal, piece, &mut memo) else { return };
            let fits = |matcher: &&Matcher| matcher.matches(series.labels().get(matcher.name()).unwrap_or_default());
            if scan.iter().all(fits) {
                found.push(series);
            }
        });
        found
    }

    /// Calls `each` for every ordinal whose piece can be read.
    fn for_each_piece(&self, ordinals: &[u32], mut each: impl FnMut(u32, &Arc<SeriesPiece>)) {
        let piece_of = |ordinal: u32| index_of(ordinal) / series::PER_PIECE;
        for group in ordinals.chunk_by(|a, b| piece_of(*a) == piece_of(*b)) {
            let Some(piece) = group.first().and_then(|ordinal| self.series_piece(*ordinal)) else { continue };
            for ordinal in group {
                if index_of(*ordinal) % series::PER_PIECE < piece.len() {
                    each(*ordinal, &piece);
                }
            }
        }
    }

    /// Returns the ordinals of the series that may fulfil `matchers`, and those matchers that are still to be checked on each.
    fn ordinals<'a>(&self, matchers: &'a [Matcher]) -> (Vec<u32>, Vec<&'a Matcher>) {
        let mut found: Option<Vec<u32>> = None;
        let mut without: Vec<Vec<u32>> = Vec::new();
        let mut scan = Vec::new();
        for matcher in matchers {
            // A series without the label has the empty value, which no list names.
            let takes_empty = matcher.matches("");
            let Some((_, name)) = self.contents.name(matcher.name()) else {
                if takes_empty {
                    continue;
                }
                return (Vec::new(), scan);
            };
            let chosen = self.choose(name, matcher, !takes_empty);
            match if chosen.damaged { None } else { self.union(name, &chosen.ordinals) } {
                None => scan.push(matcher),
                Some(list) if takes_empty => without.push(list),
                Some(list) => match &mut found {
                    None => found = Some(list),
                    Some(found) => postings::intersect(found, &list),
                },
            }
            if found.as_ref().is_some_and(Vec::is_empty) {
                return (Vec::new(), scan);
            }
        }
        let series = u32::try_from(self.info().series).unwrap_or(u32::MAX);
        let mut found = found.unwrap_or_else(|| (0..series).collect());
        for list in without {
            postings::subtract(&mut found, &list);
        }
        (found, scan)
    }

    /// Returns the ordinals of the values of `name` whose answer to `matcher` is `wanted`.
    fn choose(&self, name: &NamePlace, matcher: &Matcher, wanted: bool) -> Chosen {
        let mut chosen = Chosen { ordinals: Vec::new(), damaged: false };
        // The values that the bare text or pattern fits are few and near; the others are looked at one by one.
        if matcher.is_negative() != wanted {
            if let Some(values) = matcher.alternatives() {
                for value in values {
                    self.find(name, value, &mut chosen);
                }
                chosen.ordinals.sort_unstable();
                chosen.ordinals.dedup();
                return chosen;
            }
            let prefix = matcher.prefix().unwrap_or_default();
            self.look(name, prefix, &mut chosen, |value| matcher.matches(value) == wanted);
            return chosen;
        }
        self.look(name, "", &mut chosen, |value| matcher.matches(value) == wanted);
        chosen
    }

    fn find(&self, name: &NamePlace, value: &str, chosen: &mut Chosen) {
        let after = name.dictionaries.partition_point(|place| place.first_value.as_str() <= value);
        let Some(place) = after.checked_sub(1).and_then(|number| name.dictionaries.get(number)) else { return };
        let Some(dictionary) = self.dictionary(place.piece) else {
            chosen.damaged = true;
            return;
        };
        let at = dictionary.lower_bound(value);
        if dictionary.get(at) == Some(value) {
            chosen.ordinals.push(ordinal_at(place.first_ordinal, at));
        }
    }

    /// Adds the values that begin with `prefix` and that `fits` accepts.
    fn look(&self, name: &NamePlace, prefix: &str, chosen: &mut Chosen, fits: impl Fn(&str) -> bool) {
        let first = name.dictionaries.partition_point(|place| place.first_value.as_str() <= prefix).saturating_sub(1);
        for place in name.dictionaries.iter().skip(first) {
            if place.first_value.as_str() > prefix && !place.first_value.starts_with(prefix) {
                break;
            }
            let Some(dictionary) = self.dictionary(place.piece) else {
                chosen.damaged = true;
                return;
            };
            for at in dictionary.lower_bound(prefix)..dictionary.len() {
                let value = dictionary.get(at).unwrap_or_default();
                if !value.starts_with(prefix) {
                    break;
                }
                if fits(value) {
                    chosen.ordinals.push(ordinal_at(place.first_ordinal, at));
                }
            }
        }
    }

    /// Returns the series that have one of the values; `None` when a list is damaged.
    fn union(&self, name: &NamePlace, ordinals: &[u32]) -> Option<Vec<u32>> {
        let mut list = Vec::new();
        let piece_of =
            |ordinal: u32| name.postings.partition_point(|place| place.first_ordinal <= ordinal).checked_sub(1);
        let mut current = None;
        for ordinal in ordinals {
            let number = piece_of(*ordinal)?;
            if current.as_ref().is_none_or(|(own, _)| *own != number) {
                current = Some((number, self.postings(name.postings.get(number)?.piece)?));
            }
            let (number, piece) = current.as_ref()?;
            piece.list(index_of(ordinal - name.postings.get(*number)?.first_ordinal), &mut list).ok()?;
        }
        if ordinals.len() > 1 {
            list.sort_unstable();
        }
        Some(list)
    }

    /// Returns the names of all labels, in order; only of series that fulfil `matchers` when there are any.
    #[must_use]
    pub fn label_names(&self, matchers: &[Matcher]) -> Vec<String> {
        if matchers.is_empty() {
            return self.contents.names.iter().map(|name| name.name.clone()).collect();
        }
        let mut numbers = BTreeSet::new();
        self.for_each_match(matchers, |piece, place| {
            numbers.extend(piece.labels(place).iter().map(|(name, _)| *name));
        });
        let names = numbers.into_iter().filter_map(|number| self.contents.names.get(index_of(number)));
        names.map(|name| name.name.clone()).collect()
    }

    /// Returns the values of the label `name`, in order; only of series that fulfil `matchers` when there are any.
    #[must_use]
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> Vec<String> {
        let Some((number, place)) = self.contents.name(name) else { return Vec::new() };
        if matchers.is_empty() {
            let dictionaries = place.dictionaries.iter().filter_map(|place| self.dictionary(place.piece));
            return dictionaries.flat_map(|piece| piece.iter().map(str::to_owned).collect::<Vec<_>>()).collect();
        }
        let mut ordinals = BTreeSet::new();
        self.for_each_match(matchers, |piece, at| {
            ordinals.extend(piece.labels(at).iter().filter(|(own, _)| *own == number).map(|(_, value)| *value));
        });
        let mut memo = NameMemo::default();
        let text = |(dictionary, at): (Arc<Dictionary>, usize)| dictionary.get(at).map(str::to_owned);
        ordinals.into_iter().filter_map(|value| self.value_at(place, number, value, &mut memo).and_then(text)).collect()
    }

    /// Returns for each value of the label `name` how many series have it: what a view of the largest ones needs.
    #[must_use]
    pub fn label_value_counts(&self, name: &str) -> Vec<(String, u64)> {
        let Some((_, place)) = self.contents.name(name) else { return Vec::new() };
        let values = self.label_values(name, &[]);
        let counts = (0..place.values).map(|value| self.union(place, &[value]).map_or(0, |list| list.len() as u64));
        values.into_iter().zip(counts).collect()
    }

    /// Calls `each` for every series that fulfils `matchers`.
    fn for_each_match(&self, matchers: &[Matcher], mut each: impl FnMut(&SeriesPiece, usize)) {
        let (ordinals, scan) = self.ordinals(matchers);
        let mut memo = NameMemo::default();
        self.for_each_piece(&ordinals, |ordinal, piece| {
            let fits = scan.is_empty()
                || self.series_at(ordinal, piece, &mut memo).is_some_and(|series| {
                    scan.iter().all(|matcher| matcher.matches(series.labels().get(matcher.name()).unwrap_or_default()))
                });
            if fits {
                each(piece, index_of(ordinal) % series::PER_PIECE);
            }
        });
    }
}

fn ordinal_at(first: u32, at: usize) -> u32 {
    first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX))
}
