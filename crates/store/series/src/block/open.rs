//! An open block: finding pieces, unpacking them once, reading samples.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use maru_prom::{Labels, Matcher};

use super::cache::{BlockCache, Key, Unpacked};
use super::contents::{Contents, NamePlace, PiecePlace};
use super::dictionary::Dictionary;
use super::files::{self, failed};
use super::piece::{self, Kind};
use super::postings::PostingsPiece;
use super::series::{self, ChunkPlace, LabelPlace, SeriesPiece};
use super::times::TimesPiece;
use super::tombstones::Tombstones;
use super::{BlockError, BlockInfo, Damage, TimeRange};
use crate::chunk::{self, Column};

/// Numbers open blocks, so that the cache never takes one for another.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// A series of a block, as [`Block::select`] found it.
#[derive(Debug, Clone)]
pub struct BlockSeries {
    labels: Labels,
    pub(super) ordinal: u32,
    piece: Arc<SeriesPiece>,
    place: usize,
}

impl BlockSeries {
    /// Returns its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Returns its place among the block's series.
    #[must_use]
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Returns its chunks.
    pub(crate) fn chunks(&self) -> &[ChunkPlace] {
        self.piece.chunks(self.place)
    }

    /// Tells whether it has native histograms.
    pub(crate) fn has_histograms(&self) -> bool {
        self.chunks().iter().any(|chunk| chunk.column == Column::Histograms)
    }

    /// Returns at most how many samples of `column` it has in `range`.
    #[must_use]
    pub fn samples_max(&self, range: TimeRange, column: Column) -> u64 {
        let own = self
            .chunks()
            .iter()
            .filter(|chunk| chunk.column == column && range.overlaps(chunk.first_ms, chunk.last_ms));
        own.map(|chunk| u64::from(chunk.samples)).sum()
    }
}

/// An open block. Cheap to share; reads go to the files by position from any thread.
pub struct Block {
    pub(super) contents: Contents,
    path: PathBuf,
    pub(super) index: File,
    chunks: Option<File>,
    /// Where the pieces of the index begin.
    index_start: u64,
    cache: BlockCache,
    number: u64,
    tombstones: RwLock<Arc<Tombstones>>,
    damage: Mutex<BTreeMap<String, Damage>>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Block")
            .field("info", &self.contents.info)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.cache.forget(self.number);
    }
}

impl Block {
    /// Opens the block in the directory `path`.
    ///
    /// # Errors
    /// When its contents cannot be read from either of their two places.
    pub fn open(path: &Path, cache: &BlockCache) -> Result<Self, BlockError> {
        let index_path = path.join(files::INDEX);
        let index = File::open(&index_path).map_err(failed("open", &index_path))?;
        let length = index.metadata().map_err(failed("read", &index_path))?.len();
        let mut damage = BTreeMap::new();
        let mut note = |file: &str, reason: String| {
            damage.insert(reason.clone(), Damage { path: path.join(file), reason });
        };
        let (contents, contents_length) = match first_contents(&index) {
            Ok(found) => found,
            Err(first) => {
                note(files::INDEX, format!("contents at the front: {first}"));
                last_contents(&index, length).map_err(|last| BlockError::Damaged {
                    path: index_path.clone(),
                    reason: format!("contents at the front: {first}; their copy at the end: {last}"),
                })?
            }
        };
        let mut contents = contents;
        let chunks = match File::open(path.join(files::CHUNKS)) {
            Ok(chunks) => Some(chunks),
            Err(error) => {
                note(files::CHUNKS, format!("no samples can be read: {error}"));
                None
            }
        };
        let chunk_bytes =
            chunks.as_ref().and_then(|chunks| chunks.metadata().ok()).map_or(0, |metadata| metadata.len());
        if chunks.is_some() && chunk_bytes != contents.chunk_bytes {
            note(files::CHUNKS, format!("has {chunk_bytes} bytes instead of {}", contents.chunk_bytes));
        }
        let tombstones = Tombstones::open(path).unwrap_or_else(|reason| {
            note(files::TOMBSTONES, reason);
            Tombstones::default()
        });
        contents.info.bytes = chunk_bytes + length;
        Ok(Self {
            contents,
            path: path.to_owned(),
            index,
            chunks,
            index_start: files::INDEX_MAGIC.len() as u64 + contents_length as u64,
            cache: cache.clone(),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            tombstones: RwLock::new(Arc::new(tombstones)),
            damage: Mutex::new(damage),
        })
    }

    /// Returns what is known without reading samples.
    #[must_use]
    pub fn info(&self) -> &BlockInfo {
        &self.contents.info
    }

    /// Returns the directory it is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the damage that was met so far.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn note(&self, file: &str, reason: String) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.entry(reason.clone()).or_insert_with(|| {
            tracing::warn!(path = %self.path.join(file).display(), reason, "a damaged piece was set aside");
            Damage { path: self.path.join(file), reason }
        });
    }

    /// Returns a piece, unpacked by `unpack` when it is not in memory yet.
    fn piece<T>(
        &self,
        piece: (u32, Kind),
        unpack: impl FnOnce(Vec<u8>) -> Result<T, chunk::ChunkError>,
        wrap: impl FnOnce(Arc<T>) -> Unpacked,
        unwrap: impl FnOnce(Unpacked) -> Option<Arc<T>>,
    ) -> Option<Arc<T>> {
        let (number, kind) = piece;
        let in_chunks = matches!(kind, Kind::Values | Kind::Times);
        // Timestamps and values have a table each: the top bit keeps their numbers apart.
        let table_bit = if kind == Kind::Times { 1 << 31 } else { 0 };
        let key = Key { block: self.number, piece: number | table_bit, in_chunks };
        if let Some(found) = self.cache.get(key) {
            return unwrap(found);
        }
        let table = match kind {
            Kind::Values => &self.contents.values,
            Kind::Times => &self.contents.times,
            _ => &self.contents.index,
        };
        let file_name = if in_chunks { files::CHUNKS } else { files::INDEX };
        let Some(place) = table.get(index_of(number)) else {
            self.note(file_name, format!("{} {number} are not in the table of contents", kind.name()));
            return None;
        };
        let read = match self.read_piece(*place, place.offset, kind) {
            Err(reason) if place.copy > 0 => {
                let at = place.offset;
                self.note(file_name, format!("{} {number} at byte {at}: {reason}; its copy serves", kind.name()));
                self.read_piece(*place, place.copy, kind)
            }
            other => other,
        };
        match read.and_then(|raw| unpack(raw).map_err(|error| error.to_string())) {
            Ok(unpacked) => {
                let shared = Arc::new(unpacked);
                self.cache.put(key, &wrap(Arc::clone(&shared)));
                Some(shared)
            }
            Err(reason) => {
                self.note(file_name, format!("{} {number} at byte {}: {reason}", kind.name(), place.offset));
                None
            }
        }
    }

    /// Reads a piece from where it is, or from where it is once more.
    pub(super) fn read_piece(&self, place: PiecePlace, offset: u64, kind: Kind) -> Result<Vec<u8>, String> {
        let guess = usize::try_from(place.length).unwrap_or_default().min(piece::RAW_MAX);
        if matches!(kind, Kind::Values | Kind::Times) {
            let file = self.chunks.as_ref().ok_or("the file is not there")?;
            return piece::read(file, offset, guess, kind);
        }
        piece::read(&self.index, self.index_start.saturating_add(offset), guess, kind)
    }

    pub(super) fn dictionary(&self, piece: u32) -> Option<Arc<Dictionary>> {
        self.piece(
            (piece, Kind::Dictionary),
            |raw| Dictionary::decode(&raw),
            Unpacked::Dictionary,
            |found| match found {
                Unpacked::Dictionary(dictionary) => Some(dictionary),
                _ => None,
            },
        )
    }

    pub(super) fn postings(&self, piece: u32) -> Option<Arc<PostingsPiece>> {
        let series = u32::try_from(self.contents.info.series).unwrap_or(u32::MAX);
        let unpack = |raw| PostingsPiece::decode(raw, series);
        self.piece((piece, Kind::Postings), unpack, Unpacked::Postings, |found| match found {
            Unpacked::Postings(postings) => Some(postings),
            _ => None,
        })
    }

    /// Returns the piece that holds the series `ordinal`.
    pub(crate) fn series_piece(&self, ordinal: u32) -> Option<Arc<SeriesPiece>> {
        let per_piece = u32::try_from(series::PER_PIECE).unwrap_or(1);
        let number = self.contents.series_first.saturating_add(ordinal / per_piece);
        self.piece(
            (number, Kind::Series),
            |raw| SeriesPiece::decode(&raw),
            Unpacked::Series,
            |found| match found {
                Unpacked::Series(series) => Some(series),
                _ => None,
            },
        )
    }

    pub(super) fn times_piece(&self, number: u32) -> Option<Arc<TimesPiece>> {
        self.piece((number, Kind::Times), TimesPiece::decode, Unpacked::Times, |found| match found {
            Unpacked::Times(times) => Some(times),
            _ => None,
        })
    }

    pub(super) fn values_piece(&self, number: u32) -> Option<Arc<Vec<u8>>> {
        self.piece((number, Kind::Values), Ok, Unpacked::Values, |found| match found {
            Unpacked::Values(values) => Some(values),
            _ => None,
        })
    }

    /// Returns the series `ordinal` of `piece`, which holds it; `None` when its labels are damaged.
    pub(crate) fn series_at(
        &self,
        ordinal: u32,
        piece: &Arc<SeriesPiece>,
        names: &mut NameMemo,
    ) -> Option<BlockSeries> {
        let place = index_of(ordinal) % series::PER_PIECE;
        let text = piece.text(place)?;
        let labels = match text.get() {
            Some(labels) => labels.clone(),
            None => {
                let labels = self.labels_of(piece.labels(place), names)?;
                text.get_or_init(|| labels).clone()
            }
        };
        Some(BlockSeries { labels, ordinal, piece: Arc::clone(piece), place })
    }

    fn labels_of(&self, places: &[LabelPlace], memo: &mut NameMemo) -> Option<Labels> {
        for (name, value) in places {
            let place = self.contents.names.get(index_of(*name))?;
            self.remember(place, *name, *value, memo)?;
        }
        // All is there now; a piece whose values do not fit their ordinals would show here.
        let names = &self.contents.names;
        let pair = |(name, value): &LabelPlace| {
            let text = memo.get(*name, *value).and_then(|(dictionary, at)| dictionary.get(at));
            (names.get(index_of(*name)).map_or("", |place| place.name.as_str()), text.unwrap_or_default())
        };
        Some(Labels::from_sorted(places.iter().map(pair)))
    }

    /// Sees to it that `memo` has the dictionary with the value with the ordinal `value` of a name.
    fn remember(&self, name: &NamePlace, name_ordinal: u32, value: u32, memo: &mut NameMemo) -> Option<()> {
        if memo.get(name_ordinal, value).is_some() {
            return Some(());
        }
        let number = name.dictionaries.partition_point(|place| place.first_ordinal <= value).checked_sub(1)?;
        let place = name.dictionaries.get(number)?;
        let dictionary = self.dictionary(place.piece)?;
        if index_of(value - place.first_ordinal) >= dictionary.len() {
            return None;
        }
        let slots = index_of(name_ordinal) + 1;
        if memo.last.len() < slots {
            memo.last.resize(slots, None);
        }
        *memo.last.get_mut(index_of(name_ordinal))? = Some((place.first_ordinal, dictionary));
        Some(())
    }

    /// Returns the dictionary that holds the value with the ordinal `value` of a name, and its place there.
    pub(super) fn value_at(
        &self,
        name: &NamePlace,
        name_ordinal: u32,
        value: u32,
        memo: &mut NameMemo,
    ) -> Option<(Arc<Dictionary>, usize)> {
        self.remember(name, name_ordinal, value, memo)?;
        memo.get(name_ordinal, value).map(|(dictionary, at)| (Arc::clone(dictionary), at))
    }

    pub(crate) fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.tombstones.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether anything was deleted from it.
    #[must_use]
    pub fn has_deletions(&self) -> bool {
        !self.tombstones().is_empty()
    }

    /// Marks the samples of the matching series within `range` as deleted, durably. Returns how many series had any.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, BlockError> {
        let found = self.select(matchers, range);
        if found.is_empty() {
            return Ok(0);
        }
        let mut current = self.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Tombstones::clone(&current);
        for series in &found {
            changed.add(series.ordinal, range);
        }
        changed.write(&self.path)?;
        *current = Arc::new(changed);
        Ok(found.len() as u64)
    }
}

/// Remembers the last dictionary of each name, as neighbours mostly have near values.
#[derive(Debug, Default)]
pub(crate) struct NameMemo {
    /// By the name's ordinal: the ordinal of the dictionary's first value, and the dictionary.
    last: Vec<Option<(u32, Arc<Dictionary>)>>,
}

impl NameMemo {
    /// Returns the dictionary with a value, and the value's place there.
    fn get(&self, name: u32, value: u32) -> Option<(&Arc<Dictionary>, usize)> {
        let (first, dictionary) = self.last.get(index_of(name))?.as_ref()?;
        let at = index_of(value.checked_sub(*first)?);
        (at < dictionary.len()).then_some((dictionary, at))
    }
}

pub(super) fn index_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Bytes that are read at first to find the contents.
const CONTENTS_GUESS: usize = 64 << 10;

fn first_contents(index: &File) -> Result<(Contents, usize), String> {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; 8];
    index.read_exact_at(&mut magic, 0).map_err(|error| error.to_string())?;
    if magic != *files::INDEX_MAGIC {
        return Err("the file does not begin as an index".to_owned());
    }
    let mut head = [0; piece::HEAD];
    let start = magic.len() as u64;
    index.read_exact_at(&mut head, start).map_err(|error| error.to_string())?;
    let raw = piece::read(index, start, CONTENTS_GUESS, Kind::Contents)?;
    let contents = Contents::decode(&raw).map_err(|error| error.to_string())?;
    Ok((contents, stored_length(&head)))
}

fn stored_length(head: &[u8; piece::HEAD]) -> usize {
    let stored = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    piece::HEAD + index_of(stored)
}

pub(super) fn last_contents(index: &File, length: u64) -> Result<(Contents, usize), String> {
    use std::os::unix::fs::FileExt;
    let mut end = [0; 8];
    let end_at = length.checked_sub(8).ok_or("the file is too short")?;
    index.read_exact_at(&mut end, end_at).map_err(|error| error.to_string())?;
    if end[4..] != *files::INDEX_END {
        return Err("the file does not end as an index".to_owned());
    }
    let contents_length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let start = end_at.checked_sub(contents_length).ok_or("its place is outside the file")?;
    let raw = piece::read(index, start, CONTENTS_GUESS, Kind::Contents)?;
    let contents = Contents::decode(&raw).map_err(|error| error.to_string())?;
    Ok((contents, usize::try_from(contents_length).unwrap_or_default()))
}
