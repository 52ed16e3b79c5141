//! The head's index: every pair of label name and value once, the series of each pair, the pairs of each series.
//!
//! Series and pairs have numbers that grow and are never used again, so that lists of series stay sorted by adding at the end.

use std::collections::HashMap;

use maru_prom::Labels;

use super::hash::{HashKey, IdTable};
use crate::log::varint::{Reader, put_size};

/// The series of one pair, sorted.
#[derive(Debug, Clone)]
enum Members {
    One(u32),
    Many(Vec<u32>),
}

#[derive(Debug, Clone)]
struct Pair {
    name: u32,
    value: Box<str>,
    members: Members,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// Its pairs in the order in which they came.
    pairs: Vec<u32>,
}

/// Series whose labels are kept together.
const PAGE: usize = 256;

/// Places of the labels of 256 series.
type LabelPage = Box<[u32; PAGE]>;

/// No labels.
const GONE: u32 = u32::MAX;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Index {
    key: HashKey,
    names: Vec<Name>,
    name_ids: HashMap<Box<str>, u32>,
    pairs: Vec<Pair>,
    pair_ids: IdTable,
    /// Of each series: how many pairs, then their numbers, in the order of the labels' names.
    labels: Vec<u8>,
    label_pages: Vec<Option<LabelPage>>,
    series_ids: IdTable,
    next_series: u32,
    /// Bytes of `labels` that belong to no series any more.
    garbage: usize,
    /// Text in memory.
    text_bytes: usize,
}

/// A series that was made, with what it needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) id: u32,
    pub(crate) is_new: bool,
}

fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl Index {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            key,
            names: Vec::new(),
            name_ids: HashMap::new(),
            pairs: Vec::new(),
            pair_ids: IdTable::default(),
            labels: Vec::new(),
            label_pages: Vec::new(),
            series_ids: IdTable::default(),
            next_series: 0,
            garbage: 0,
            text_bytes: 0,
        }
    }

    pub(crate) fn next_series(&self) -> u32 {
        self.next_series
    }

    pub(crate) fn next_pair(&self) -> u32 {
        number(self.pairs.len())
    }

    fn pair_hash(&self, name: u32, value: &str) -> u32 {
        self.key.hash32(value.as_bytes()) ^ name.wrapping_mul(0x9e37_79b9)
    }

    fn name_id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = number(self.names.len());
        self.names.push(Name { text: Box::from(name), pairs: Vec::new() });
        self.name_ids.insert(Box::from(name), id);
        self.text_bytes += name.len();
        id
    }

    /// Returns the number of a pair, which is made when it is new.
    pub(crate) fn pair_id(&mut self, name: &str, value: &str) -> u32 {
        let name = self.name_id(name);
        let hash = self.pair_hash(name, value);
        let found = self.pair_ids.find(hash, |id| {
            self.pairs.get(id as usize).is_some_and(|pair| pair.name == name && &*pair.value == value)
        });
        if let Some(id) = found {
            return id;
        }
        let id = number(self.pairs.len());
        self.pairs.push(Pair { name, value: Box::from(value), members: Members::Many(Vec::new()) });
        self.pair_ids.insert(hash, id);
        self.text_bytes += value.len();
        if let Some(name) = self.names.get_mut(name as usize) {
            name.pairs.push(id);
        }
        id
    }

    /// Returns name and value of a pair.
    pub(crate) fn pair(&self, id: u32) -> Option<(&str, &str)> {
        let pair = self.pairs.get(id as usize)?;
        Some((&self.names.get(pair.name as usize)?.text, &pair.value))
    }

    /// Returns the number of a pair that is there.
    pub(crate) fn find_pair(&self, name: &str, value: &str) -> Option<u32> {
        let name = *self.name_ids.get(name)?;
        self.pair_ids.find(self.pair_hash(name, value), |id| {
            self.pairs.get(id as usize).is_some_and(|pair| pair.name == name && &*pair.value == value)
        })
    }

    fn labels_hash(&self, encoded: &[u8]) -> u32 {
        self.key.hash32(encoded)
    }

    fn encoded(&self, series: u32) -> Option<&[u8]> {
        let at = self.place(series)?;
        let bytes = self.labels.get(at..)?;
        let mut reader = Reader::new(bytes);
        let length = reader.size()?;
        reader.take(length)
    }

    fn place(&self, series: u32) -> Option<usize> {
        let series = series as usize;
        let at = *self.label_pages.get(series / PAGE)?.as_ref()?.get(series % PAGE)?;
        (at != GONE).then_some(at as usize)
    }

    /// Returns the series with the pairs `encoded` (their numbers one after another), which is made when it is new and `is_allowed`.
    pub(crate) fn series_of_pairs(&mut self, encoded: &[u8], is_allowed: bool) -> Option<Made> {
        if let Some(id) = self.find_encoded(encoded) {
            return Some(Made { id, is_new: false });
        }
        if !is_allowed || self.next_series >= GONE - 1 {
            return None;
        }
        let id = self.next_series;
        self.insert_series(id, encoded);
        Some(Made { id, is_new: true })
    }

    /// Returns the series with the pairs `encoded`.
    pub(crate) fn find_encoded(&self, encoded: &[u8]) -> Option<u32> {
        self.series_ids.find(self.labels_hash(encoded), |id| self.encoded(id) == Some(encoded))
    }

    /// Adds a series under its number. A number that is taken stays what it is.
    pub(crate) fn insert_series(&mut self, id: u32, encoded: &[u8]) {
        let page = id as usize / PAGE;
        if self.label_pages.len() <= page {
            self.label_pages.resize_with(page + 1, || None);
        }
        let at = number(self.labels.len());
        let Some(page) = self.label_pages.get_mut(page) else { return };
        let page = page.get_or_insert_with(|| Box::new([GONE; PAGE]));
        let Some(place) = page.get_mut(id as usize % PAGE) else { return };
        if *place != GONE {
            return;
        }
        *place = at;
        put_size(&mut self.labels, encoded.len());
        self.labels.extend_from_slice(encoded);
        self.series_ids.insert(self.key.hash32(encoded), id);
        for pair in pair_numbers(encoded) {
            if let Some(pair) = self.pairs.get_mut(pair as usize) {
                pair.members.add(id);
            }
        }
        self.next_series = self.next_series.max(id + 1);
    }

    /// Returns the numbers of a series' pairs, in the order of the labels' names.
    pub(crate) fn pairs_of(&self, series: u32) -> impl Iterator<Item = u32> {
        pair_numbers(self.encoded(series).unwrap_or_default())
    }

    /// Returns the numbers of a series' pairs as they are kept.
    pub(crate) fn encoded_pairs(&self, series: u32) -> &[u8] {
        self.encoded(series).unwrap_or_default()
    }

    /// Returns the labels of a series; empty when it is not there.
    pub(crate) fn labels(&self, series: u32) -> Labels {
        Labels::from_sorted(self.label_texts(series))
    }

    /// Goes over the labels of a series.
    pub(crate) fn label_texts(&self, series: u32) -> impl Iterator<Item = (&str, &str)> {
        self.pairs_of(series).filter_map(|pair| self.pair(pair))
    }

    /// Returns the pair of a series that has the name with number `name`.
    pub(crate) fn pair_of_name(&self, series: u32, name: u32) -> Option<u32> {
        self.pairs_of(series).find(|pair| self.pairs.get(*pair as usize).is_some_and(|pair| pair.name == name))
    }

    pub(crate) fn find_name(&self, name: &str) -> Option<u32> {
        self.name_ids.get(name).copied()
    }

    /// Returns the numbers of all pairs of a name, in the order in which they came.
    pub(crate) fn pairs_of_name(&self, name: u32) -> &[u32] {
        self.names.get(name as usize).map_or(&[], |name| &name.pairs)
    }

    /// Goes over all names.
    pub(crate) fn names(&self) -> impl Iterator<Item = (u32, &str)> {
        (0_u32..).zip(self.names.iter().map(|name| &*name.text))
    }

    pub(crate) fn value_of_pair(&self, pair: u32) -> &str {
        self.pairs.get(pair as usize).map_or("", |pair| &pair.value)
    }

    pub(crate) fn name_of_pair(&self, pair: u32) -> u32 {
        self.pairs.get(pair as usize).map_or(u32::MAX, |pair| pair.name)
    }

    /// Returns the series of a pair, sorted.
    pub(crate) fn members(&self, pair: u32) -> &[u32] {
        match self.pairs.get(pair as usize).map(|pair| &pair.members) {
            Some(Members::One(id)) => std::slice::from_ref(id),
            Some(Members::Many(ids)) => ids,
            None => &[],
        }
    }

    /// Goes over all series that are there, rising.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.label_pages.iter().enumerate().filter_map(|(page, places)| Some((page, places.as_ref()?))).flat_map(
            |(page, places)| {
                places
                    .iter()
                    .enumerate()
                    .filter(|(_, at)| **at != GONE)
                    .map(move |(offset, _)| number(page * PAGE + offset))
            },
        )
    }

    pub(crate) fn is_there(&self, series: u32) -> bool {
        self.place(series).is_some()
    }

    /// Removes series so that their labels get a new number when they come again; what they are called stays known until
    /// [`Index::remove`].
    pub(crate) fn retire(&mut self, is_retired: impl FnMut(u32) -> bool) {
        self.series_ids.remove(is_retired);
    }

    /// Makes a retired series the one of its labels again, unless there is another by now, whose number is returned.
    pub(crate) fn revive(&mut self, series: u32) -> u32 {
        let Some(encoded) = self.encoded(series).map(<[u8]>::to_vec) else { return series };
        if let Some(other) = self.find_encoded(&encoded) {
            return other;
        }
        self.series_ids.insert(self.key.hash32(&encoded), series);
        series
    }

    /// Removes series for good. `gone` is sorted.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        let mut touched: Vec<u32> = gone.iter().flat_map(|series| self.pairs_of(*series)).collect();
        touched.sort_unstable();
        touched.dedup();
        self.series_ids.remove(|id| gone.binary_search(&id).is_ok());
        for pair in touched {
            if let Some(pair) = self.pairs.get_mut(pair as usize) {
                pair.members.remove(gone);
            }
        }
        for series in gone {
            let Some(length) = self.encoded(*series).map(<[u8]>::len) else { continue };
            self.garbage += length + 1;
            let (page, offset) = (*series as usize / PAGE, *series as usize % PAGE);
            if let Some(slot) = self.label_pages.get_mut(page)
                && let Some(places) = slot
            {
                if let Some(place) = places.get_mut(offset) {
                    *place = GONE;
                }
                if places.iter().all(|place| *place == GONE) {
                    *slot = None;
                }
            }
        }
        if self.garbage * 2 > self.labels.len() {
            self.pack();
        }
    }

    /// Moves the labels together.
    fn pack(&mut self) {
        let ids: Vec<u32> = self.all().collect();
        let mut packed = Vec::with_capacity(self.labels.len() - self.garbage);
        let mut places = Vec::with_capacity(ids.len());
        for id in &ids {
            places.push(number(packed.len()));
            let encoded = self.encoded(*id).unwrap_or_default();
            put_size(&mut packed, encoded.len());
            packed.extend_from_slice(encoded);
        }
        for (id, at) in ids.iter().zip(places) {
            let page = self.label_pages.get_mut(*id as usize / PAGE).and_then(Option::as_mut);
            if let Some(place) = page.and_then(|page| page.get_mut(*id as usize % PAGE)) {
                *place = at;
            }
        }
        self.labels = packed;
        self.garbage = 0;
    }

    /// Gives the memory back that growing left over.
    pub(crate) fn shrink(&mut self) {
        self.labels.shrink_to_fit();
        for pair in &mut self.pairs {
            if let Members::Many(ids) = &mut pair.members
                && ids.capacity() > ids.len() * 3 / 2
            {
                ids.shrink_to_fit();
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let members: usize = self.pairs.iter().map(|pair| pair.members.heap_bytes()).sum();
        members
            + self.text_bytes
            + self.pairs.capacity() * size_of::<Pair>()
            + self.labels.capacity()
            + self.pair_ids.heap_bytes()
            + self.series_ids.heap_bytes()
            + self.label_pages.len() * (size_of::<LabelPage>() + PAGE * 4)
    }

    /// Compares the labels of two series.
    pub(crate) fn compare(&self, a: u32, b: u32) -> std::cmp::Ordering {
        let (mut left, mut right) = (self.pairs_of(a), self.pairs_of(b));
        loop {
            match (left.next(), right.next()) {
                (Some(one), Some(other)) if one == other => {}
                (Some(one), Some(other)) => {
                    let order = self.pair(one).cmp(&self.pair(other));
                    if order.is_ne() {
                        return order;
                    }
                }
                (one, other) => return one.is_some().cmp(&other.is_some()),
            }
        }
    }

    /// Adds a pair under its number, as it was read back; gaps are filled with pairs that no series has.
    pub(crate) fn restore_pair(&mut self, id: u32, name: &str, value: &str) {
        let name = self.name_id(name);
        while self.pairs.len() < id as usize {
            self.pairs.push(Pair { name: u32::MAX, value: Box::from(""), members: Members::Many(Vec::new()) });
        }
        let is_new = match self.pairs.get_mut(id as usize) {
            None => {
                self.pairs.push(Pair { name, value: Box::from(value), members: Members::Many(Vec::new()) });
                true
            }
            Some(pair) if pair.name == u32::MAX => {
                pair.name = name;
                pair.value = Box::from(value);
                true
            }
            Some(_) => false,
        };
        if is_new {
            self.text_bytes += value.len();
            self.pair_ids.insert(self.pair_hash(name, value), id);
            if let Some(name) = self.names.get_mut(name as usize) {
                name.pairs.push(id);
            }
        }
    }

    /// Tells whether all pairs are known.
    pub(crate) fn knows_pairs(&self, encoded: &[u8]) -> bool {
        pair_numbers(encoded).all(|pair| self.pairs.get(pair as usize).is_some_and(|pair| pair.name != u32::MAX))
    }

    /// Makes sure that numbers up to these are not given out again.
    pub(crate) fn reserve_numbers(&mut self, next_series: u32, next_pair: u32) {
        self.next_series = self.next_series.max(next_series);
        while self.pairs.len() < next_pair as usize {
            self.pairs.push(Pair { name: u32::MAX, value: Box::from(""), members: Members::Many(Vec::new()) });
        }
    }
}

impl Members {
    fn add(&mut self, id: u32) {
        match self {
            Self::Many(ids) if ids.is_empty() && ids.capacity() == 0 => *self = Self::One(id),
            Self::Many(ids) => match ids.last() {
                Some(last) if *last >= id => {
                    if let Err(at) = ids.binary_search(&id) {
                        ids.insert(at, id);
                    }
                }
                _ => ids.push(id),
            },
            Self::One(own) if *own == id => {}
            Self::One(own) => *self = Self::Many(vec![id.min(*own), id.max(*own)]),
        }
    }

    fn remove(&mut self, gone: &[u32]) {
        match self {
            Self::One(id) if gone.binary_search(id).is_ok() => *self = Self::Many(Vec::new()),
            Self::One(_) => {}
            Self::Many(ids) => {
                ids.retain(|id| gone.binary_search(id).is_err());
                ids.shrink_to_fit();
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(ids) => ids.capacity() * 4,
        }
    }
}

fn pair_numbers(encoded: &[u8]) -> impl Iterator<Item = u32> {
    let mut reader = Reader::new(encoded);
    std::iter::from_fn(move || reader.small())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::varint::put;

    fn add(index: &mut Index, labels: &[(&str, &str)]) -> u32 {
        let mut encoded = Vec::new();
        for (name, value) in labels {
            let pair = index.pair_id(name, value);
            put(&mut encoded, u64::from(pair));
        }
        index.series_of_pairs(&encoded, true).unwrap().id
    }

    #[test]
    fn series_have_one_number_and_their_labels_come_back() {
        let mut index = Index::new(HashKey::random());
        let a = add(&mut index, &[("__name__", "up"), ("job", "a")]);
        let b = add(&mut index, &[("__name__", "up"), ("job", "b")]);
        assert_eq!(a, add(&mut index, &[("__name__", "up"), ("job", "a")]));
        assert_eq!(index.labels(b), Labels::from_pairs([("__name__", "up"), ("job", "b")]));
        let up = index.find_pair("__name__", "up").unwrap();
        assert_eq!(index.members(up), [a, b]);
        assert!(index.compare(a, b).is_lt() && index.compare(b, b).is_eq());
    }

    #[test]
    fn a_removed_series_leaves_no_trace_but_its_number() {
        let mut index = Index::new(HashKey::random());
        let ids: Vec<u32> = (0..600).map(|i| add(&mut index, &[("__name__", "up"), ("i", &i.to_string())])).collect();
        let gone: Vec<u32> = ids.iter().copied().filter(|id| id % 3 != 0).collect();
        index.remove(&gone);
        let up = index.find_pair("__name__", "up").unwrap();
        assert_eq!(index.members(up), ids.iter().copied().filter(|id| id % 3 == 0).collect::<Vec<_>>());
        assert_eq!(index.all().count(), 200);
        assert_eq!(index.labels(3), Labels::from_pairs([("__name__", "up"), ("i", "3")]));
        assert_eq!(index.find_encoded(index.encoded_pairs(3)), Some(3));
        let again = add(&mut index, &[("__name__", "up"), ("i", "1")]);
        assert_eq!(again, 600);
    }
}
