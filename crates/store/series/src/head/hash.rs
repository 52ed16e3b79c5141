//! Hashing of bytes that come from anybody, and small tables of numbers found by hash.
//!
//! The hash is keyed by numbers drawn at start, so that nobody can make collisions on purpose. 96 bits of it stand for the bytes
//! themselves: ten million series meet by chance once in 10^15 such stores.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Numbers that key the hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashKey([u64; 4]);

/// What stands for bytes.
pub(crate) type Hash96 = [u32; 3];

impl HashKey {
    /// Draws a key.
    pub(crate) fn random() -> Self {
        Self(std::array::from_fn(|i| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_usize(i);
            // An even factor would lose bits.
            hasher.finish() | 1
        }))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of the hash")]
    pub(crate) fn hash96(&self, bytes: &[u8]) -> Hash96 {
        let [first, second] = self.lanes(bytes);
        [first as u32, (first >> 32) as u32, second as u32]
    }

    #[expect(clippy::cast_possible_truncation, reason = "a part of the hash")]
    pub(crate) fn hash32(&self, bytes: &[u8]) -> u32 {
        let [first, second] = self.lanes(bytes);
        (first ^ (second >> 32)) as u32
    }

    fn lanes(&self, bytes: &[u8]) -> [u64; 2] {
        let [k0, k1, k2, k3] = self.0;
        let (mut a, mut b) = (k0 ^ bytes.len() as u64, k1);
        let (blocks, tail) = bytes.as_chunks::<16>();
        for block in blocks {
            let (low, high) = halves(block);
            a = fold(low ^ a, high ^ k2);
            b = fold(low ^ k3, high ^ b);
        }
        if !tail.is_empty() {
            let mut block = [0; 16];
            if let Some(room) = block.get_mut(..tail.len()) {
                room.copy_from_slice(tail);
            }
            let (low, high) = halves(&block);
            a = fold(low ^ a, high ^ k2);
            b = fold(low ^ k3, high ^ b);
        }
        [fold(a ^ k3, b ^ k1), fold(b ^ k2, a ^ k0)]
    }
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*block);
    (low(whole), low(whole >> 64))
}

#[expect(clippy::cast_possible_truncation, reason = "half of the number")]
const fn low(whole: u128) -> u64 {
    whole as u64
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    low(product) ^ low(product >> 64) ^ a.rotate_left(23)
}

/// Marks a free place.
const FREE: u32 = u32::MAX;

/// Finds numbers by the hash of what they stand for. The caller compares.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdTable {
    /// Hash and number; a power of two of them.
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl IdTable {
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let &(own, id) = self.slots.get(at)?;
            if id == FREE {
                return None;
            }
            if own == hash && is_it(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let doubled = vec![(0, FREE); (self.slots.len() * 2).max(16)];
            for (hash, id) in std::mem::replace(&mut self.slots, doubled) {
                if id != FREE {
                    self.put(hash, id);
                }
            }
        }
        self.put(hash, id);
        self.used += 1;
    }

    fn put(&mut self, hash: u32, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots.get(at).is_some_and(|slot| slot.1 != FREE) {
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = (hash, id);
        }
    }

    /// Removes all numbers that `is_gone` names.
    pub(crate) fn remove(&mut self, mut is_gone: impl FnMut(u32) -> bool) {
        let size = self.slots.len();
        self.used = 0;
        for (hash, id) in std::mem::replace(&mut self.slots, vec![(0, FREE); size]) {
            if id != FREE && !is_gone(id) {
                self.put(hash, id);
                self.used += 1;
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(u32, u32)>()
    }
}

/// Finds series by the bytes that stood for their labels on the wire.
#[derive(Debug, Default)]
pub(crate) struct WireTable {
    slots: Vec<([u32; 3], u32)>,
    used: usize,
}

impl WireTable {
    pub(crate) fn find(&self, hash: Hash96) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = place(hash, mask);
        loop {
            let &(own, id) = self.slots.get(at)?;
            if id == FREE || own == hash {
                return (id != FREE).then_some(id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a series, or says that the bytes now stand for another one.
    pub(crate) fn insert(&mut self, hash: Hash96, id: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(64));
        }
        self.put(hash, id);
    }

    fn resize(&mut self, size: usize) {
        self.used = 0;
        for (hash, id) in std::mem::replace(&mut self.slots, vec![([0; 3], FREE); size]) {
            if id != FREE {
                self.put(hash, id);
            }
        }
    }

    fn put(&mut self, hash: Hash96, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = place(hash, mask);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.1 == FREE {
                *slot = (hash, id);
                self.used += 1;
                return;
            }
            if slot.0 == hash {
                slot.1 = id;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Removes all series that `is_gone` names.
    pub(crate) fn remove(&mut self, mut is_gone: impl FnMut(u32) -> bool) {
        for slot in &mut self.slots {
            if slot.1 != FREE && is_gone(slot.1) {
                slot.1 = FREE;
            }
        }
        self.resize(self.slots.len());
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<([u32; 3], u32)>()
    }
}

fn place(hash: Hash96, mask: usize) -> usize {
    let [first, _, _] = hash;
    first as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_find_what_was_put_in_and_nothing_else() {
        let key = HashKey::random();
        let (mut ids, mut wire) = (IdTable::default(), WireTable::default());
        for id in 0..10_000_u32 {
            let bytes = id.to_le_bytes();
            assert_eq!(ids.find(key.hash32(&bytes), |found| found == id), None);
            ids.insert(key.hash32(&bytes), id);
            assert_eq!(wire.find(key.hash96(&bytes)), None);
            wire.insert(key.hash96(&bytes), id);
        }
        ids.remove(|id| id % 2 == 0);
        wire.remove(|id| id % 2 == 0);
        for id in 0..10_000_u32 {
            let bytes = id.to_le_bytes();
            let expected = (id % 2 == 1).then_some(id);
            assert_eq!(ids.find(key.hash32(&bytes), |found| found == id), expected);
            assert_eq!(wire.find(key.hash96(&bytes)), expected);
        }
    }

    #[test]
    fn every_bit_counts() {
        let key = HashKey::random();
        let bytes = [7_u8; 100];
        let mut seen = std::collections::HashSet::from([key.hash96(&bytes)]);
        for bit in 0..800 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(key.hash96(&changed)));
        }
        for length in 0..100 {
            assert!(seen.insert(key.hash96(&bytes[..length])));
        }
    }
}
