//! Unpacked pieces in memory, as many as fit: those not used since the last round go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::dictionary::Dictionary;
use super::postings::PostingsPiece;
use super::series::SeriesPiece;
use super::times::TimesPiece;

const SHARDS: usize = 8;

/// Which piece: its block, its place in the block's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The open block's own number.
    pub(crate) block: u64,
    /// The piece's place in the table of the index, or of the chunks.
    pub(crate) piece: u32,
    /// Whether it is one of the chunks'.
    pub(crate) in_chunks: bool,
}

/// An unpacked piece.
#[derive(Debug, Clone)]
pub(crate) enum Unpacked {
    Dictionary(Arc<Dictionary>),
    Series(Arc<SeriesPiece>),
    Postings(Arc<PostingsPiece>),
    Values(Arc<Vec<u8>>),
    Times(Arc<TimesPiece>),
}

impl Unpacked {
    fn bytes(&self) -> usize {
        128 + match self {
            Self::Dictionary(dictionary) => dictionary.memory(),
            Self::Series(series) => series.memory(),
            Self::Postings(postings) => postings.memory(),
            Self::Values(bytes) => bytes.len(),
            Self::Times(times) => times.memory(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    value: Unpacked,
    bytes: usize,
    used: bool,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
    bytes: usize,
}

/// Keeps unpacked pieces of all blocks that share it. Clones share the memory.
#[derive(Debug, Clone)]
pub struct BlockCache {
    shards: Arc<[Mutex<Shard>; SHARDS]>,
    shard_bytes_max: usize,
}

impl BlockCache {
    /// Creates a cache of at most about `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { shards: Arc::new(std::array::from_fn(|_| Mutex::default())), shard_bytes_max: bytes_max / SHARDS }
    }

    /// Returns the bytes that it keeps now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).bytes).sum()
    }

    fn shard(&self, key: Key) -> std::sync::MutexGuard<'_, Shard> {
        let hash = (key.block.wrapping_mul(31) ^ u64::from(key.piece)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = usize::try_from(hash).unwrap_or_default() % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a piece that is there.
    pub(crate) fn get(&self, key: Key) -> Option<Unpacked> {
        let mut shard = self.shard(key);
        let entry = shard.entries.get_mut(&key)?;
        entry.used = true;
        Some(entry.value.clone())
    }

    /// Puts a piece in, and others out to make room.
    pub(crate) fn put(&self, key: Key, value: &Unpacked) {
        let bytes = value.bytes();
        if bytes > self.shard_bytes_max {
            return;
        }
        let mut shard = self.shard(key);
        if shard.entries.contains_key(&key) {
            return;
        }
        while shard.bytes + bytes > self.shard_bytes_max {
            let Some(oldest) = shard.order.pop_front() else { break };
            let keep = shard.entries.get_mut(&oldest).is_some_and(|entry| std::mem::take(&mut entry.used));
            if keep {
                shard.order.push_back(oldest);
            } else if let Some(entry) = shard.entries.remove(&oldest) {
                shard.bytes -= entry.bytes;
            }
        }
        shard.bytes += bytes;
        shard.order.push_back(key);
        shard.entries.insert(key, Entry { value: value.clone(), bytes, used: false });
    }

    /// Forgets the pieces of a block.
    pub(crate) fn forget(&self, block: u64) {
        for shard in self.shards.iter() {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let shard = &mut *shard;
            shard.order.retain(|key| key.block != block);
            shard.entries.retain(|key, _| key.block != block);
            shard.bytes = shard.entries.values().map(|entry| entry.bytes).sum();
        }
    }
}
