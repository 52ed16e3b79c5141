//! Writing a block: values go to the file of chunks as they come, the index follows at the end.
//!
//! Long because one block is written from its first byte to its last in one order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use maru_prom::Labels;

use super::contents::{Contents, NamePlace, PiecePlace, ValuesPlace};
use super::files::{self, failed};
use super::piece::{self, Kind, Packer};
use super::series::{self, ChunkPlace, LabelPlace};
use super::{BlockError, BlockInfo, TimeRange, WriteOptions, dictionary, postings, times};
use crate::chunk::EncodedChunk;
use crate::chunk::bytes::put_varint;

/// Bytes of values from which on a piece is full.
const VALUES_PIECE: usize = 64 << 10;

/// Bytes of packed timestamps that are remembered, so that chunks share them.
const SHARED_TIMES_MAX: usize = 16 << 20;

/// Names with at most so many pieces of values have copies of them: all series need them.
const COPIED_PIECES_MAX: usize = 4;

/// Pieces of timestamps up to so many bytes, and up to this part of the file, have copies: many chunks share them.
const COPIED_TIMES_MAX: usize = 1 << 20;
const COPIED_TIMES_SHARE: u64 = 64;

/// Writes one block: all series in the order of their labels, then [`BlockWriter::finish`]. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct BlockWriter {
    options: WriteOptions,
    parent: PathBuf,
    unfinished: PathBuf,
    finished: bool,
    chunks: ChunkFile,
    index: IndexBuilder,
    last: Option<Labels>,
    range: Option<TimeRange>,
    samples: u64,
    stands_for: Option<u64>,
}

impl BlockWriter {
    /// Starts a block beneath `parent`, in a directory that does not count until it is finished.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn create(parent: &Path, options: WriteOptions) -> Result<Self, BlockError> {
        let unfinished = parent.join(format!("{}{}", files::UNFINISHED, files::directory_name(options.id)));
        files::remove_unfinished(&unfinished)?;
        fs::create_dir(&unfinished).map_err(failed("create", &unfinished))?;
        let chunks = ChunkFile::create(unfinished.join(files::CHUNKS))?;
        Ok(Self {
            options,
            parent: parent.to_owned(),
            unfinished,
            finished: false,
            chunks,
            index: IndexBuilder::default(),
            last: None,
            range: None,
            samples: 0,
            stands_for: None,
        })
    }

    /// Says about how many series are going to be added, so that memory is asked for once.
    pub(crate) fn reserve(&mut self, series: usize) {
        self.index.labels.reserve(series * 8);
        self.index.chunks.reserve(series);
        self.index.series.reserve(series);
    }

    /// Adds a series with its chunks, each column's in the order of time and not overlapping.
    ///
    /// # Errors
    /// When the series does not come after the one before, or the disk refuses.
    pub fn add(&mut self, labels: &Labels, chunks: &[EncodedChunk]) -> Result<(), BlockError> {
        if self.last.as_ref().is_some_and(|last| last >= labels) {
            return Err(BlockError::Order(format!("{labels:?}")));
        }
        let mut places = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            places.push(self.chunks.put(chunk)?);
            let range = self.range.get_or_insert(TimeRange { start_ms: chunk.first_ms, end_ms: chunk.last_ms });
            range.start_ms = range.start_ms.min(chunk.first_ms);
            range.end_ms = range.end_ms.max(chunk.last_ms);
            if matches!(chunk.column, crate::chunk::Column::Floats | crate::chunk::Column::Histograms) {
                self.samples += u64::from(chunk.samples);
            }
        }
        self.index.add(labels, &places)?;
        self.last = Some(labels.clone());
        Ok(())
    }

    /// Sets how many samples the block stands for, instead of those that it has.
    pub(crate) fn set_samples(&mut self, samples: u64) {
        self.stands_for = Some(samples);
    }

    /// Returns how many series were added.
    #[must_use]
    pub fn series(&self) -> usize {
        self.index.series.len()
    }

    /// Writes the index, syncs all and gives the block its name. `None` when no series was added: nothing is left then.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub fn finish(mut self) -> Result<Option<BlockInfo>, BlockError> {
        let Some(range) = self.range else { return Ok(None) };
        let (values, times, chunk_bytes) = self.chunks.finish()?;
        let mut info = BlockInfo {
            id: self.options.id,
            range,
            resolution_ms: self.options.resolution_ms,
            level: self.options.level,
            replaces: std::mem::take(&mut self.options.replaces),
            newest_source: self.options.newest_source,
            series: self.index.series.len() as u64,
            samples: self.stands_for.unwrap_or(self.samples),
            bytes: 0,
        };
        let index = std::mem::take(&mut self.index).write(info.clone(), chunk_bytes, values, times);
        let path = self.unfinished.join(files::INDEX);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(&index)?;
            file.sync_all()
        };
        write().map_err(failed("write", &path))?;
        files::sync_directory(&self.unfinished)?;
        let place = self.parent.join(files::directory_name(info.id));
        fs::rename(&self.unfinished, &place).map_err(failed("rename", &self.unfinished))?;
        self.finished = true;
        files::sync_directory(&self.parent)?;
        info.bytes = chunk_bytes + index.len() as u64;
        Ok(Some(info))
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed when the blocks are opened.
            drop(fs::remove_dir_all(&self.unfinished));
        }
    }
}

/// The file of chunks while it is written.
#[derive(Debug)]
struct ChunkFile {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    packer: Packer,
    /// A piece on its way to the file.
    piece: Vec<u8>,
    values: Vec<u8>,
    value_places: Vec<PiecePlace>,
    times: Vec<u8>,
    times_in_piece: usize,
    times_total: u32,
    time_places: Vec<PiecePlace>,
    /// The pieces of timestamps as they were written, as long as they are few.
    time_pieces: Vec<u8>,
    shared: HashMap<Vec<u8>, u32>,
    shared_bytes: usize,
}

impl ChunkFile {
    fn create(path: PathBuf) -> Result<Self, BlockError> {
        let file = File::create(&path).map_err(failed("create", &path))?;
        let mut file = BufWriter::with_capacity(256 << 10, file);
        file.write_all(files::CHUNKS_MAGIC).map_err(failed("write", &path))?;
        Ok(Self {
            path,
            file,
            length: files::CHUNKS_MAGIC.len() as u64,
            packer: Packer::default(),
            piece: Vec::new(),
            values: Vec::with_capacity(VALUES_PIECE),
            value_places: Vec::new(),
            times: Vec::new(),
            times_in_piece: 0,
            times_total: 0,
            time_places: Vec::new(),
            time_pieces: Vec::new(),
            shared: HashMap::new(),
            shared_bytes: 0,
        })
    }

    fn put(&mut self, chunk: &EncodedChunk) -> Result<ChunkPlace, BlockError> {
        let times = self.put_times(&chunk.times)?;
        if !self.values.is_empty() && self.values.len() + chunk.values.len() > VALUES_PIECE {
            self.flush_values()?;
        }
        if chunk.values.len() > piece::RAW_MAX {
            return Err(BlockError::Limit(format!("a chunk of {} bytes", chunk.values.len())));
        }
        let offset = self.values.len();
        self.values.extend_from_slice(&chunk.values);
        let narrow = |number: usize| u32::try_from(number).map_err(|_| BlockError::Limit("so many chunks".to_owned()));
        Ok(ChunkPlace {
            column: chunk.column,
            samples: chunk.samples,
            first_ms: chunk.first_ms,
            last_ms: chunk.last_ms,
            times,
            page: narrow(self.value_places.len())?,
            offset: narrow(offset)?,
            length: narrow(chunk.values.len())?,
        })
    }

    fn put_times(&mut self, packed: &[u8]) -> Result<u32, BlockError> {
        if let Some(number) = self.shared.get(packed) {
            return Ok(*number);
        }
        if self.times_in_piece == times::PER_PIECE {
            self.flush_times()?;
        }
        put_varint(&mut self.times, packed.len() as u64);
        self.times.extend_from_slice(packed);
        self.times_in_piece += 1;
        let number = self.times_total;
        self.times_total =
            number.checked_add(1).ok_or_else(|| BlockError::Limit("so many different timestamps".to_owned()))?;
        if self.shared_bytes > SHARED_TIMES_MAX {
            self.shared.clear();
            self.shared_bytes = 0;
        }
        self.shared_bytes += packed.len() + 64;
        self.shared.insert(packed.to_vec(), number);
        Ok(number)
    }

    fn flush_values(&mut self) -> Result<(), BlockError> {
        let mut raw = std::mem::take(&mut self.values);
        let place = self.put_piece(Kind::Values, &raw)?;
        self.value_places.push(place);
        raw.clear();
        self.values = raw;
        Ok(())
    }

    fn flush_times(&mut self) -> Result<(), BlockError> {
        let mut raw = std::mem::take(&mut self.times);
        let place = self.put_piece(Kind::Times, &raw)?;
        self.time_places.push(place);
        if self.time_pieces.len() <= COPIED_TIMES_MAX {
            self.time_pieces.extend_from_slice(&self.piece);
        }
        self.times_in_piece = 0;
        raw.clear();
        self.times = raw;
        Ok(())
    }

    /// Writes a piece, which is in `self.piece` then.
    fn put_piece(&mut self, kind: Kind, raw: &[u8]) -> Result<PiecePlace, BlockError> {
        self.piece.clear();
        self.packer.put(&mut self.piece, kind, raw);
        self.file.write_all(&self.piece).map_err(failed("write", &self.path))?;
        let place = PiecePlace { offset: self.length, length: self.piece.len() as u64, copy: 0 };
        self.length += place.length;
        Ok(place)
    }

    /// Writes the timestamps once more when they are few: without them the values of many chunks are worth nothing.
    fn copy_times(&mut self) -> Result<(), BlockError> {
        let bytes = self.time_pieces.len() as u64;
        if self.time_pieces.len() > COPIED_TIMES_MAX || bytes > self.length / COPIED_TIMES_SHARE + 4096 {
            return Ok(());
        }
        self.file.write_all(&self.time_pieces).map_err(failed("write", &self.path))?;
        for place in &mut self.time_places {
            place.copy = self.length;
            self.length += place.length;
        }
        Ok(())
    }

    /// Writes what is left and syncs. Returns the places of values and timestamps, and the file's length.
    fn finish(&mut self) -> Result<(Vec<PiecePlace>, Vec<PiecePlace>, u64), BlockError> {
        if !self.values.is_empty() {
            self.flush_values()?;
        }
        if self.times_in_piece > 0 {
            self.flush_times()?;
        }
        self.copy_times()?;
        self.file.flush().map_err(failed("write", &self.path))?;
        self.file.get_ref().sync_all().map_err(failed("sync", &self.path))?;
        Ok((std::mem::take(&mut self.value_places), std::mem::take(&mut self.time_places), self.length))
    }
}

/// The values of one label's name while series are added, numbered as they come.
#[derive(Debug, Default)]
struct Values {
    numbers: HashMap<Box<str>, u32>,
}

/// The index while series are added.
#[derive(Debug, Default)]
struct IndexBuilder {
    names: HashMap<Box<str>, u32>,
    values: Vec<Values>,
    labels: Vec<LabelPlace>,
    chunks: Vec<ChunkPlace>,
    /// Of each series: where its labels and its chunks end.
    series: Vec<(usize, usize)>,
}

impl IndexBuilder {
    fn add(&mut self, labels: &Labels, chunks: &[ChunkPlace]) -> Result<(), BlockError> {
        let too_many = |_| BlockError::Limit("so many series".to_owned());
        u32::try_from(self.series.len()).map_err(too_many)?;
        for (name, value) in labels.iter() {
            let name_number = match self.names.get(name) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.values.len()).map_err(too_many)?;
                    self.names.insert(name.into(), number);
                    self.values.push(Values::default());
                    number
                }
            };
            let Some(values) = self.values.get_mut(index_of(name_number)) else { continue };
            let number = match values.numbers.get(value) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(values.numbers.len()).map_err(too_many)?;
                    values.numbers.insert(value.into(), number);
                    number
                }
            };
            self.labels.push((name_number, number));
        }
        self.chunks.extend_from_slice(chunks);
        self.series.push((self.labels.len(), self.chunks.len()));
        Ok(())
    }

    /// Returns the whole file.
    fn write(mut self, info: BlockInfo, chunk_bytes: u64, values: Vec<PiecePlace>, times: Vec<PiecePlace>) -> Vec<u8> {
        let mut pieces = Pieces::default();
        let names = self.write_names(&mut pieces);
        let series_first = pieces.next();
        self.write_series(&mut pieces);
        for name in names.iter().filter(|name| name.dictionaries.len() <= COPIED_PIECES_MAX) {
            for place in &name.dictionaries {
                pieces.copy(place.piece);
            }
        }
        let Pieces { mut packer, bytes, places } = pieces;
        let contents = Contents { info, chunk_bytes, names, index: places, series_first, values, times }.encode();
        let mut file = files::INDEX_MAGIC.to_vec();
        packer.put(&mut file, Kind::Contents, &contents);
        let length = file.len() - files::INDEX_MAGIC.len();
        file.extend_from_slice(&bytes);
        file.extend_from_within(files::INDEX_MAGIC.len()..files::INDEX_MAGIC.len() + length);
        file.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        file.extend_from_slice(files::INDEX_END);
        file
    }

    /// Writes the values of all names in order with their postings, and gives labels their final ordinals.
    fn write_names(&mut self, pieces: &mut Pieces) -> Vec<NamePlace> {
        let mut names: Vec<(Box<str>, u32)> = std::mem::take(&mut self.names).into_iter().collect();
        names.sort_unstable();
        let values = std::mem::take(&mut self.values);
        let mut name_ordinals = vec![0_u32; names.len()];
        let mut value_ordinals: Vec<Vec<u32>> = vec![Vec::new(); names.len()];
        let mut sorted_values: Vec<Vec<&str>> = Vec::with_capacity(names.len());
        for (ordinal, (_, number)) in (0_u32..).zip(&names) {
            let numbers = values.get(index_of(*number)).map(|values| &values.numbers);
            let mut sorted: Vec<(&str, u32)> =
                numbers.into_iter().flatten().map(|(value, number)| (&**value, *number)).collect();
            sorted.sort_unstable();
            let mut ordinals = vec![0_u32; sorted.len()];
            for (ordinal, (_, number)) in (0_u32..).zip(&sorted) {
                ordinals[index_of(*number)] = ordinal;
            }
            name_ordinals[index_of(*number)] = ordinal;
            value_ordinals[index_of(*number)] = ordinals;
            sorted_values.push(sorted.into_iter().map(|(value, _)| value).collect());
        }
        for (name, value) in &mut self.labels {
            *value = value_ordinals[index_of(*name)][index_of(*value)];
            *name = name_ordinals[index_of(*name)];
        }
        let postings = self.postings(&sorted_values);
        let mut places = Vec::with_capacity(names.len());
        for (ordinal, ((name, _), values)) in names.into_iter().zip(sorted_values).enumerate() {
            places.push(NamePlace {
                name: name.into(),
                values: u32::try_from(values.len()).unwrap_or_default(),
                dictionaries: pieces.put_dictionaries(&values),
                postings: pieces.put_postings((0..values.len()).map(|value| postings.of(ordinal, value))),
            });
        }
        places
    }

    /// Sorts the series by their labels, which have their final ordinals already.
    fn postings(&self, sorted_values: &[Vec<&str>]) -> Postings {
        let mut firsts = Vec::with_capacity(sorted_values.len());
        let mut total = 0;
        for values in sorted_values {
            firsts.push(total);
            total += values.len();
        }
        let place = |(name, value): &LabelPlace| firsts[index_of(*name)] + index_of(*value);
        // First how many there are of each, then where the next of each goes, which in the end is where each ends.
        let mut ends = vec![0_usize; total];
        for label in &self.labels {
            ends[place(label)] += 1;
        }
        let mut end = 0;
        for count in &mut ends {
            end += std::mem::replace(count, end);
        }
        let mut series = vec![0_u32; self.labels.len()];
        let mut start = 0;
        for (ordinal, (labels_end, _)) in (0_u32..).zip(&self.series) {
            for label in &self.labels[start..*labels_end] {
                let next = &mut ends[place(label)];
                series[*next] = ordinal;
                *next += 1;
            }
            start = *labels_end;
        }
        Postings { firsts, ends, series }
    }

    fn write_series(&self, pieces: &mut Pieces) {
        let mut start = (0, 0);
        let mut raw = Vec::new();
        let mut entries: Vec<(&[LabelPlace], &[ChunkPlace])> = Vec::with_capacity(series::PER_PIECE);
        for group in self.series.chunks(series::PER_PIECE) {
            entries.clear();
            for (labels_end, chunks_end) in group {
                entries.push((&self.labels[start.0..*labels_end], &self.chunks[start.1..*chunks_end]));
                start = (*labels_end, *chunks_end);
            }
            raw.clear();
            series::encode(&entries, &mut raw);
            pieces.put(Kind::Series, &raw);
        }
    }
}

/// The series of all labels, one list for all.
struct Postings {
    /// Of each name: the place of its first value in `ends`.
    firsts: Vec<usize>,
    /// Where the series of each value end; they begin where those of the value before end.
    ends: Vec<usize>,
    series: Vec<u32>,
}

impl Postings {
    fn of(&self, name: usize, value: usize) -> &[u32] {
        let place = self.firsts[name] + value;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.series[start..self.ends[place]]
    }
}

fn index_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Pieces of the index, one behind the other.
#[derive(Debug, Default)]
struct Pieces {
    packer: Packer,
    bytes: Vec<u8>,
    places: Vec<PiecePlace>,
}

impl Pieces {
    fn next(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    fn put(&mut self, kind: Kind, raw: &[u8]) -> u32 {
        let number = self.next();
        let offset = self.bytes.len();
        self.packer.put(&mut self.bytes, kind, raw);
        self.places.push(PiecePlace { offset: offset as u64, length: (self.bytes.len() - offset) as u64, copy: 0 });
        number
    }

    /// Puts a piece in once more.
    fn copy(&mut self, number: u32) {
        let Some(place) = self.places.get_mut(index_of(number)) else { return };
        place.copy = self.bytes.len() as u64;
        let start = usize::try_from(place.offset).unwrap_or_default();
        let length = usize::try_from(place.length).unwrap_or_default();
        self.bytes.extend_from_within(start..start + length);
    }

    fn put_dictionaries(&mut self, sorted: &[&str]) -> Vec<ValuesPlace> {
        let mut places = Vec::new();
        let mut start = 0;
        while start < sorted.len() {
            let mut text = 0;
            let full = |value: &&str| {
                text += value.len() + 1;
                text > dictionary::PIECE_TEXT
            };
            let length = sorted[start..].iter().position(full).unwrap_or(sorted.len() - start).max(1);
            let values = &sorted[start..start + length];
            let mut raw = Vec::new();
            dictionary::encode(values, &mut raw);
            let first_value = (*values.first().unwrap_or(&"")).to_owned();
            let first_ordinal = u32::try_from(start).unwrap_or_default();
            places.push(ValuesPlace { piece: self.put(Kind::Dictionary, &raw), first_ordinal, first_value });
            start += length;
        }
        places
    }

    fn put_postings<'a>(&mut self, lists: impl ExactSizeIterator<Item = &'a [u32]>) -> Vec<ValuesPlace> {
        let mut places = Vec::new();
        let mut raw = Vec::new();
        let mut first = 0;
        let count = lists.len();
        for (ordinal, list) in (0_u32..).zip(lists) {
            postings::encode(list, &mut raw);
            if raw.len() >= postings::PIECE_BYTES || index_of(ordinal) + 1 == count {
                let piece = self.put(Kind::Postings, &raw);
                places.push(ValuesPlace { piece, first_ordinal: first, first_value: String::new() });
                first = ordinal + 1;
                raw.clear();
            }
        }
        places
    }
}
