//! The place of each series in the order of labels, so that a selection is sorted by comparing numbers.

use super::index::Index;

/// Kept between selections; only new series are compared.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// All series in the order of their labels.
    sorted: Vec<u32>,
    /// The place of each series in `sorted`.
    ranks: Vec<u32>,
    /// Series with lower numbers are in it.
    known_below: u32,
}

impl Order {
    /// Takes in what came since.
    pub(crate) fn update(&mut self, index: &Index) {
        if self.known_below >= index.next_series() {
            return;
        }
        let mut new: Vec<u32> = (self.known_below..index.next_series()).filter(|id| index.is_there(*id)).collect();
        new.sort_by(|a, b| index.compare(*a, *b));
        let old = std::mem::take(&mut self.sorted);
        self.sorted.reserve_exact(old.len() + new.len());
        let mut rest = old.as_slice();
        for id in new {
            let at = rest.partition_point(|other| index.compare(*other, id).is_le());
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.sorted.extend_from_slice(before);
            self.sorted.push(id);
            rest = after;
        }
        self.sorted.extend_from_slice(rest);
        self.known_below = index.next_series();
        self.ranks.resize(self.known_below as usize, u32::MAX);
        for (rank, id) in (0..).zip(&self.sorted) {
            if let Some(place) = self.ranks.get_mut(*id as usize) {
                *place = rank;
            }
        }
    }

    /// Forgets series. `gone` is sorted. Places keep their order.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        self.sorted.retain(|id| gone.binary_search(id).is_err());
    }

    /// Sorts series by their labels.
    pub(crate) fn sort(&self, series: &mut [u32]) {
        series.sort_unstable_by_key(|id| self.ranks.get(*id as usize).copied().unwrap_or(u32::MAX));
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        (self.sorted.capacity() + self.ranks.capacity()) * 4
    }
}
