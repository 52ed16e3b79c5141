//! Chunk files: full chunks of the head, appended one after another, so that a start reads no samples back.
//! Long because writing, reading and scanning share one frame.
//!
//! A chunk is in memory until its file took it; a file that refuses is tried again. Files are synced before the log that has the
//! same samples is cut.
//! Source: ours, byte by byte in docs/formats/series-head.md.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use crate::log::sync_directory;
use crate::log::varint::{Reader, put, put_signed};

const MAGIC: &[u8; 8] = b"maruCHK1";
/// What every chunk begins with.
const MARK: u8 = 0xc6;
/// A file that is longer is not added to.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Bytes that gather before they are written.
const GATHER_BYTES: usize = 64 << 10;

/// The chunk holds native histograms.
pub(crate) const HISTOGRAMS: u8 = 1;
/// The chunk holds samples that came late; it may overlap others.
pub(crate) const LATE: u8 = 2;

/// Where a chunk is: the file's number, then the offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Position(pub(crate) u64);

impl Position {
    pub(crate) fn new(file: u32, offset: u64) -> Self {
        Self(u64::from(file) << 32 | offset & u64::from(u32::MAX))
    }

    pub(crate) fn file(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// A full chunk of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) position: Position,
    pub(crate) first_ms: i64,
    span_ms: u32,
    /// Length of the frame, then the flags in the highest byte.
    length_and_flags: u32,
}

impl ChunkRef {
    fn new(position: Position, flags: u8, first_ms: i64, last_ms: i64, length: usize) -> Option<Self> {
        let length = u32::try_from(length).ok().filter(|length| *length < 1 << 24)?;
        let span_ms = u32::try_from(last_ms.checked_sub(first_ms)?).ok()?;
        Some(Self { position, first_ms, span_ms, length_and_flags: length | u32::from(flags) << 24 })
    }

    pub(crate) fn last_ms(&self) -> i64 {
        self.first_ms.saturating_add(i64::from(self.span_ms))
    }

    pub(crate) fn is_late(&self) -> bool {
        self.flags() & LATE != 0
    }

    pub(crate) fn is_histograms(&self) -> bool {
        self.flags() & HISTOGRAMS != 0
    }

    fn flags(&self) -> u8 {
        u8::try_from(self.length_and_flags >> 24).unwrap_or_default()
    }

    pub(crate) fn length(&self) -> usize {
        (self.length_and_flags & 0x00ff_ffff) as usize
    }
}

/// One file.
#[derive(Debug)]
pub(crate) struct ChunkFile {
    number: u32,
    path: PathBuf,
    file: File,
    /// Bytes that the file has.
    written: AtomicU64,
    /// Bytes behind those.
    gathered: Mutex<Vec<u8>>,
}

/// All files as they were at one moment; they can be read as long as this is held.
pub(crate) type ChunkView = Arc<BTreeMap<u32, Arc<ChunkFile>>>;

/// Bytes that are read at once when many chunks of a file are wanted.
const WINDOW: usize = 64 << 10;
/// A file is read in windows when at least this part of it is wanted: one in so many bytes.
const WINDOW_SHARE: u64 = 8;

/// Reads chunks for one selection, from several threads.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    view: ChunkView,
    /// Of the files of which much is wanted: their content, as far as it was read.
    windows: BTreeMap<u32, Vec<OnceLock<Box<[u8]>>>>,
}

impl ChunkReader {
    /// Makes a reader for `wanted`: number of a file, bytes of it.
    pub(crate) fn new(view: ChunkView, wanted: &BTreeMap<u32, u64>) -> Self {
        let windows = wanted.iter().filter_map(|(number, bytes)| {
            let written = view.get(number)?.written.load(Ordering::Acquire);
            let count = usize::try_from(written / WINDOW as u64).ok()?;
            (bytes * WINDOW_SHARE >= written)
                .then(|| (*number, std::iter::repeat_with(OnceLock::new).take(count).collect()))
        });
        let windows = windows.collect();
        Self { view, windows }
    }

    /// Hands the chunk, checked, to `use_it`.
    pub(crate) fn read<T>(
        &self,
        chunk: &ChunkRef,
        bytes: &mut Vec<u8>,
        use_it: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ChunkDamage> {
        let number = chunk.position.file();
        let Some(file) = self.view.get(&number) else {
            let file = format!("{number:08x}.chunks");
            return Err(ChunkDamage { file, offset: chunk.position.offset(), reason: "the file is gone".to_owned() });
        };
        if let Some(windows) = self.windows.get(&number) {
            let offset = usize::try_from(chunk.position.offset()).unwrap_or(usize::MAX);
            let (place, start) = (offset / WINDOW, offset % WINDOW);
            if let Some(window) = windows.get(place)
                && start + chunk.length() <= WINDOW
            {
                let content = window.get_or_init(|| {
                    let mut content = vec![0; WINDOW];
                    let read = file.file.read_exact_at(&mut content, (place * WINDOW) as u64);
                    if read.is_ok() { content.into_boxed_slice() } else { Box::default() }
                });
                let frame = content.get(start..start + chunk.length());
                if let Some(frame) = frame.and_then(frame_at) {
                    return Ok(use_it(frame.chunk));
                }
            }
        }
        file.read(chunk, bytes).map(use_it)
    }
}

/// Why a chunk cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chunk at byte {offset} of {file}: {reason}")]
pub(crate) struct ChunkDamage {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    directory: PathBuf,
    files: RwLock<ChunkView>,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    /// The file that is added to; made when there is something to add.
    current: Option<Arc<ChunkFile>>,
    next: u32,
    /// Files that must be synced.
    unsynced: Vec<Arc<ChunkFile>>,
}

/// A chunk that was found in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) series: u32,
    pub(crate) chunk: ChunkRef,
}

/// Bytes of a file that hold no chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) path: PathBuf,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// They are the end of an interrupted write, which the log has too.
    pub(crate) is_torn: bool,
}

fn file_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08x}.chunks"))
}

impl ChunkFile {
    /// Reads a chunk's frame into `bytes` and returns the chunk in it, checked.
    pub(crate) fn read<'a>(&self, chunk: &ChunkRef, bytes: &'a mut Vec<u8>) -> Result<&'a [u8], ChunkDamage> {
        let damage = |reason: String| ChunkDamage {
            file: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            offset: chunk.position.offset(),
            reason,
        };
        bytes.clear();
        bytes.resize(chunk.length(), 0);
        self.read_raw(chunk.position.offset(), bytes).map_err(|error| damage(error.to_string()))?;
        frame_at(bytes).map(|frame| frame.chunk).ok_or_else(|| damage("its checksum does not fit".to_owned()))
    }

    fn read_raw(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if offset >= self.written.load(Ordering::Acquire) {
            let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let written = self.written.load(Ordering::Acquire);
            if let Some(start) = offset.checked_sub(written) {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let found = gathered.get(start..).and_then(|rest| rest.get(..bytes.len()));
                bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                return Ok(());
            }
        }
        self.file.read_exact_at(bytes, offset)
    }

    /// Writes what gathered.
    fn flush(&self) -> io::Result<()> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if !gathered.is_empty() {
            let written = self.written.load(Ordering::Acquire);
            self.file.write_all_at(&gathered, written)?;
            self.written.store(written + gathered.len() as u64, Ordering::Release);
            gathered.clear();
            gathered.shrink_to(GATHER_BYTES);
        }
        Ok(())
    }

    pub(crate) fn length(&self) -> u64 {
        let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        self.written.load(Ordering::Acquire) + gathered.len() as u64
    }
}

struct Frame<'a> {
    length: usize,
    series: u32,
    flags: u8,
    first_ms: i64,
    last_ms: i64,
    chunk: &'a [u8],
}

fn frame_at(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(&[MARK])?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let mut reader = Reader::new(rest);
    let length = reader.size()?;
    let body = reader.take(length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let length = bytes.len() - reader.left();
    let mut reader = Reader::new(body);
    let series = reader.small()?;
    let flags = reader.byte()?;
    let first_ms = reader.signed()?;
    let last_ms = first_ms.checked_add(i64::try_from(reader.number()?).ok()?)?;
    Some(Frame { length, series, flags, first_ms, last_ms, chunk: reader.take(reader.left())? })
}

impl ChunkFiles {
    /// Reads the heads of all chunks in a directory. Files before `synced` and the part of its file before its offset must be whole; behind that, the first bytes
    /// that are no chunk end the file: the log has what follows.
    pub(crate) fn open(
        directory: &Path,
        synced: Position,
        mut found: impl FnMut(Found),
    ) -> io::Result<(Self, Vec<Gap>)> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".chunks"))
                .and_then(|name| u32::from_str_radix(name, 16).ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        let next = numbers.last().map_or(1, |last| last + 1).max(synced.file() + 1);
        let (mut files, mut gaps) = (BTreeMap::new(), Vec::new());
        let mut is_ended = false;
        for number in numbers {
            let path = file_path(directory, number);
            if is_ended {
                // Behind a hole nothing counts: samples would be missing in between.
                std::fs::remove_file(&path)?;
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let firm = match number.cmp(&synced.file()) {
                std::cmp::Ordering::Less => bytes.len(),
                std::cmp::Ordering::Equal => usize::try_from(synced.offset()).unwrap_or(usize::MAX),
                std::cmp::Ordering::Greater => 0,
            };
            let valid = scan(&path, number, &bytes, firm, &mut gaps, &mut found);
            is_ended = valid < bytes.len();
            let file = File::options().read(true).write(true).open(&path)?;
            if is_ended {
                file.set_len(valid as u64)?;
            }
            let written = AtomicU64::new(valid as u64);
            files.insert(number, Arc::new(ChunkFile { number, path, file, written, gathered: Mutex::default() }));
        }
        let writer = Writer { current: None, next, unsynced: Vec::new() };
        let files =
            Self { directory: directory.to_owned(), files: RwLock::new(Arc::new(files)), writer: Mutex::new(writer) };
        Ok((files, gaps))
    }

    /// Returns all files as they are now.
    pub(crate) fn view(&self) -> ChunkView {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a chunk. It can be read at once and is written later. `None` when it is beyond what the format can hold.
    ///
    /// # Errors
    /// When no file could be made; nothing is added then.
    pub(crate) fn append(
        &self,
        series: u32,
        flags: u8,
        first_ms: i64,
        last_ms: i64,
        chunk: &[u8],
    ) -> io::Result<Option<ChunkRef>> {
        let mut body = Vec::with_capacity(chunk.len() + 24);
        put(&mut body, u64::from(series));
        body.push(flags);
        put_signed(&mut body, first_ms);
        put(&mut body, u64::try_from(last_ms.saturating_sub(first_ms)).unwrap_or_default());
        body.extend_from_slice(chunk);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.current(&mut writer)?;
        let offset = file.length();
        let mut gathered = file.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let start = gathered.len();
        gathered.push(MARK);
        gathered.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        put(&mut gathered, body.len() as u64);
        gathered.extend_from_slice(&body);
        let reference =
            ChunkRef::new(Position::new(file.number, offset), flags, first_ms, last_ms, gathered.len() - start);
        if reference.is_none() {
            gathered.truncate(start);
        }
        let is_full = gathered.len() >= GATHER_BYTES;
        drop(gathered);
        if is_full {
            // A disk that refuses is met again at the next checkpoint, which tells.
            let outcome = file.flush();
            if outcome.is_ok() && file.length() >= FILE_BYTES_MAX {
                writer.current = None;
            }
        }
        Ok(reference)
    }

    fn current(&self, writer: &mut Writer) -> io::Result<Arc<ChunkFile>> {
        if let Some(file) = &writer.current {
            return Ok(Arc::clone(file));
        }
        let path = file_path(&self.directory, writer.next);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(MAGIC, 0)?;
        let file = Arc::new(ChunkFile {
            number: writer.next,
            path,
            file,
            written: AtomicU64::new(MAGIC.len() as u64),
            gathered: Mutex::default(),
        });
        writer.next += 1;
        writer.current = Some(Arc::clone(&file));
        writer.unsynced.push(Arc::clone(&file));
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&files);
        changed.insert(file.number, Arc::clone(&file));
        *files = Arc::new(changed);
        Ok(file)
    }

    /// Returns where the next chunk goes.
    pub(crate) fn end(&self) -> Position {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match &writer.current {
            Some(file) => Position::new(file.number, file.length()),
            None => Position::new(writer.next, 0),
        }
    }

    /// Puts all chunks so far on disk and returns the end of what is there.
    pub(crate) fn sync(&self) -> io::Result<Position> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for file in &writer.unsynced {
            file.flush()?;
            file.file.sync_data()?;
        }
        if !writer.unsynced.is_empty() {
            sync_directory(&self.directory)?;
        }
        writer.unsynced = writer.current.iter().cloned().collect();
        Ok(match &writer.current {
            Some(file) => Position::new(file.number, file.length()),
            None => Position::new(writer.next, 0),
        })
    }

    /// Removes the files of which `is_needed` does not know the number, except the one that is added to.
    pub(crate) fn remove_unneeded(&self, is_needed: impl Fn(u32) -> bool) -> io::Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let current = writer.current.as_ref().map(|file| file.number);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&files);
        let gone: Vec<Arc<ChunkFile>> = changed
            .extract_if(.., |number, _| Some(*number) != current && !is_needed(*number))
            .map(|(_, file)| file)
            .collect();
        *files = Arc::new(changed);
        drop(files);
        for file in gone {
            std::fs::remove_file(&file.path)?;
        }
        drop(writer);
        Ok(())
    }

    /// Ends the file that is added to, so that it can be removed once nothing in it is needed.
    pub(crate) fn end_file(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.current.as_ref().is_some_and(|file| file.flush().is_ok()) {
            writer.current = None;
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.view().values().map(|file| file.length()).sum()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let capacity = |file: &Arc<ChunkFile>| file.gathered.lock().unwrap_or_else(PoisonError::into_inner).capacity();
        self.view().values().map(capacity).sum()
    }
}

/// Goes over the chunks of a file; returns the length that counts.
fn scan(
    path: &Path,
    number: u32,
    bytes: &[u8],
    firm: usize,
    gaps: &mut Vec<Gap>,
    found: &mut impl FnMut(Found),
) -> usize {
    let mut at = MAGIC.len();
    if bytes.get(..at) != Some(MAGIC.as_slice()) {
        if firm == 0 {
            gaps.push(Gap { path: path.to_owned(), start: 0, end: bytes.len(), is_torn: true });
            return 0;
        }
        gaps.push(Gap { path: path.to_owned(), start: 0, end: at.min(bytes.len()), is_torn: false });
    }
    while at < bytes.len() {
        let frame = bytes.get(at..).and_then(frame_at);
        if let Some(frame) = frame {
            let position = Position::new(number, at as u64);
            if let Some(chunk) = ChunkRef::new(position, frame.flags, frame.first_ms, frame.last_ms, frame.length) {
                found(Found { series: frame.series, chunk });
            }
            at += frame.length;
            continue;
        }
        if at >= firm {
            gaps.push(Gap { path: path.to_owned(), start: at, end: bytes.len(), is_torn: true });
            return at;
        }
        let next = (at + 1..bytes.len()).find(|next| bytes.get(*next..).and_then(frame_at).is_some());
        let end = next.unwrap_or(bytes.len());
        gaps.push(Gap { path: path.to_owned(), start: at, end, is_torn: false });
        at = end;
    }
    if at < firm && firm != usize::MAX && firm > bytes.len() {
        gaps.push(Gap { path: path.to_owned(), start: bytes.len(), end: firm, is_torn: false });
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path, synced: Position) -> (ChunkFiles, Vec<Gap>, Vec<Found>) {
        let mut found = Vec::new();
        let (files, gaps) = ChunkFiles::open(directory, synced, |one| found.push(one)).unwrap();
        (files, gaps, found)
    }

    fn three(directory: &Path) -> (Vec<ChunkRef>, Position) {
        let (files, _, _) = open(directory, Position::default());
        let chunks = (0..3_u8)
            .map(|i| {
                files.append(u32::from(i), 0, 1000 * i64::from(i), 1000 * i64::from(i) + 7, &[i; 9]).unwrap().unwrap()
            })
            .collect();
        (chunks, files.sync().unwrap())
    }

    #[test]
    fn chunks_can_be_read_before_and_after_they_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let (files, _, _) = open(directory.path(), Position::default());
        let chunk = files.append(7, LATE, -5, 9, b"abc").unwrap().unwrap();
        for _ in 0..2 {
            let mut frame = Vec::new();
            assert_eq!(files.view()[&chunk.position.file()].read(&chunk, &mut frame), Ok(b"abc".as_slice()));
            files.sync().unwrap();
        }
        drop(files);
        let (_, gaps, found) = open(directory.path(), Position::default());
        assert!(gaps.is_empty());
        assert_eq!((found[0].series, found[0].chunk), (7, chunk));
        assert!(chunk.is_late() && chunk.last_ms() == 9);
    }

    #[test]
    fn a_cut_file_keeps_its_whole_chunks() {
        let directory = tempfile::tempdir().unwrap();
        let (chunks, end) = three(directory.path());
        let path = file_path(directory.path(), 1);
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (_, gaps, found) = open(directory.path(), Position::default());
            let whole = chunks.iter().filter(|c| c.position.offset() + c.length() as u64 <= length as u64).count();
            assert_eq!(found.len(), whole, "{length}");
            assert!(gaps.iter().all(|gap| gap.is_torn));
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (_, gaps, found) = open(directory.path(), end);
            assert_eq!(found.len(), whole, "{length}");
            assert!(gaps.iter().any(|gap| !gap.is_torn), "{length}: {gaps:?}");
        }
    }

    #[test]
    fn a_flipped_byte_costs_one_chunk() {
        let directory = tempfile::tempdir().unwrap();
        let (_, end) = three(directory.path());
        let path = file_path(directory.path(), 1);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            std::fs::write(&path, &flipped).unwrap();
            let (_, gaps, found) = open(directory.path(), end);
            assert_eq!(found.len(), if at < 8 { 3 } else { 2 }, "{at}");
            assert_eq!(gaps.len(), 1);
        }
    }
}
