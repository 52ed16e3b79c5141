//! Opening: the checkpoint, then the chunk files, then the log since the checkpoint.
//!
//! What is damaged is copied into the folder `damaged`, named, and passed over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use maru_prom::Exemplar;

use super::checkpoint::{self, Start, State};
use super::chunks::{ChunkFiles, Found};
use super::series::{Adding, Series};
use super::{Head, lock};
use crate::limits::{Limits, SetAside};
use crate::log::frame::{Frames, Piece};
use crate::log::record::{Section, read};
use crate::log::replay::{self, Replayed, Wanted};

/// What was read back.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) start: Start,
    pub(crate) log: Replayed,
    pub(crate) samples_replayed: u64,
    pub(crate) torn_bytes: u64,
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    pub(crate) head: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) blocks: PathBuf,
    pub(crate) damaged: PathBuf,
}

impl Folders {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            head: root.join("head"),
            log: root.join("log"),
            blocks: root.join("blocks"),
            damaged: root.join("damaged"),
        }
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// Copies a damaged piece aside.
    pub(crate) fn set_aside(&self, path: &Path, start: usize, end: usize, reason: &str) -> SetAside {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = self.damaged.join(format!("{name}.{start}-{end}"));
        let copied = std::fs::create_dir_all(&self.damaged)
            .and_then(|()| std::fs::read(path))
            .and_then(|bytes| std::fs::write(&target, bytes.get(start..end.min(bytes.len())).unwrap_or_default()));
        SetAside {
            file: self.relative(path),
            moved_to: copied.is_ok().then(|| self.relative(&target)),
            reason: format!("bytes {start} to {end}: {reason}"),
        }
    }
}

/// The checkpoint's bytes, with what it says about the whole.
struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
    start: Start,
}

/// Returns the newest checkpoint.
fn newest_checkpoint(folders: &Folders, damage: &mut Vec<SetAside>) -> io::Result<Option<Checkpoint>> {
    let leftover = folders.head.join("checkpoint.new");
    if leftover.exists() {
        std::fs::remove_file(&leftover)?;
    }
    let Some((segment, path)) = checkpoint::list(&folders.head)?.pop() else { return Ok(None) };
    let bytes = std::fs::read(&path)?;
    let magic = bytes.first_chunk::<8>();
    if magic != Some(checkpoint::MAGIC) && magic != Some(checkpoint::MAGIC_UNPACKED) {
        damage.push(folders.set_aside(&path, 0, bytes.len().min(8), "the head of this checkpoint is damaged"));
    }
    let first = Frames::new(&bytes, checkpoint::MAGIC.len()).find_map(|piece| match piece {
        // It is too short to be packed.
        Piece::Frame(frame) if !frame.is_packed => match &*frame.content()? {
            [checkpoint::START, content @ ..] => Start::read(content),
            _ => None,
        },
        _ => None,
    });
    // Without that frame, the names and open chunks are still good; the file's name tells where the log goes on.
    let start = first.unwrap_or(Start { segment, ..Start::default() });
    Ok(Some(Checkpoint { path, bytes, start }))
}

/// Reads back a head.
pub(crate) fn load(folders: &Folders, limits: &Limits, range_ms: i64, late_window_ms: i64) -> io::Result<Loaded> {
    let mut damage = Vec::new();
    let found_checkpoint = newest_checkpoint(folders, &mut damage)?;
    let start = found_checkpoint.as_ref().map(|found| found.start).unwrap_or_default();
    let mut chunks = Vec::new();
    let (files, gaps) = ChunkFiles::open(&folders.head, start.synced, |found| {
        let is_in_block = found.chunk.position < start.cut_at && found.chunk.last_ms() < start.cut_ms;
        if !is_in_block {
            chunks.push(found);
        }
    })?;
    let mut torn_bytes = 0;
    for gap in gaps {
        if gap.is_torn {
            torn_bytes += (gap.end - gap.start) as u64;
        } else {
            let reason = "these bytes of a chunk file are damaged; a chunk of one series is missing";
            damage.push(folders.set_aside(&gap.path, gap.start, gap.end, reason));
        }
    }
    let head = Head::new(limits.clone(), range_ms, late_window_ms, files);
    let mut loading = Loading { head: &head, folders, damage, floors: Vec::new(), replayed: 0, orphans: 0 };
    if let Some(found) = &found_checkpoint {
        loading.names(found);
    }
    // The log's names come before the chunks: a series may be younger than the checkpoint.
    replay::replay(&folders.log, start.segment, Wanted::Names, |section| loading.name(&section, false))?;
    loading.chunks(chunks);
    if let Some(found) = &found_checkpoint {
        loading.states(found);
    }
    loading.reserve(&start);
    loading.set_floors();
    let mut adding = head.adding();
    let log = replay::replay(&folders.log, start.segment, Wanted::Everything, |section| {
        loading.samples(section, &mut adding)
    })?;
    drop(adding);
    for piece in &log.damage {
        let piece = folders.set_aside(&piece.path, piece.start, piece.end, &piece.reason);
        loading.damage.push(piece);
    }
    if loading.orphans > 0 {
        let reason = format!("{} chunks or samples belong to series whose names are lost", loading.orphans);
        loading.damage.push(SetAside { file: folders.relative(&folders.head), moved_to: None, reason });
    }
    let (damage, samples_replayed) = (loading.damage, loading.replayed);
    *lock(&head.damage) = damage;
    head.finish_load(&start);
    torn_bytes += log.torn_bytes;
    Ok(Loaded { head, start, log, samples_replayed, torn_bytes })
}

struct Loading<'a> {
    head: &'a Head,
    folders: &'a Folders,
    damage: Vec<SetAside>,
    /// Of each series: samples up to here are in files or the checkpoint.
    floors: Vec<i64>,
    replayed: u64,
    orphans: u64,
}

impl Loading<'_> {
    fn names(&mut self, checkpoint: &Checkpoint) {
        let (mut is_whole, mut has_states) = (false, false);
        let mut count = 0;
        for piece in Frames::new(&checkpoint.bytes, checkpoint::MAGIC.len()) {
            match piece {
                Piece::Frame(frame) => {
                    count += 1;
                    // Behind the first states there are no names, and the end is too short to be packed.
                    if frame.is_packed && has_states {
                        continue;
                    }
                    let is_read = match frame.content().as_deref() {
                        Some([checkpoint::NAMES, content @ ..]) => {
                            read(content, None, |section| self.name(&section, true)).is_some()
                        }
                        Some([kind, ..]) => {
                            is_whole |= *kind == checkpoint::END;
                            has_states |= *kind == checkpoint::STATES;
                            true
                        }
                        Some([]) | None => false,
                    };
                    if !is_read {
                        let reason = "this frame of the checkpoint says nothing that was written";
                        let piece = self.folders.set_aside(&checkpoint.path, frame.start, frame.end, reason);
                        self.damage.push(piece);
                    }
                }
                Piece::Damaged(start, end) | Piece::Torn(start, end) => {
                    let reason = "these bytes of the checkpoint are damaged; series named there may be missing";
                    let piece = self.folders.set_aside(&checkpoint.path, start, end, reason);
                    self.damage.push(piece);
                }
            }
        }
        if !is_whole && self.damage.is_empty() {
            let reason = format!("the checkpoint ends after {count} pieces: the rest is gone");
            let length = checkpoint.bytes.len();
            let piece = self.folders.set_aside(&checkpoint.path, length, length, &reason);
            self.damage.push(piece);
        }
    }

    fn name(&mut self, section: &Section<'_>, is_checkpoint: bool) {
        let head = self.head;
        match section {
            Section::Pair { id, name, value } => {
                let mut index = head.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                index.restore_pair(*id, name, value);
            }
            Section::Series(entry) => {
                let mut index = head.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                if !index.knows_pairs(entry.pairs) {
                    self.orphans += 1;
                    return;
                }
                if !index.is_there(entry.id) {
                    index.insert_series(entry.id, entry.pairs);
                    drop(index);
                    head.place(entry.id, Series::new(entry.id, entry.scope, entry.created_s));
                }
            }
            Section::Scope { id, labels } => head.restore_scope(*id, labels.clone()),
            Section::Metadata { metric, metadata } => {
                head.put_metadata(metric, metadata);
            }
            Section::Deleted { series, range } => {
                // Those of the log come with the samples, in their order.
                if is_checkpoint {
                    head.with(*series, |series| series.restore_deleted(*range));
                }
            }
            Section::Exemplars(exemplars) => {
                // So do those of the log.
                if is_checkpoint {
                    self.exemplars(exemplars);
                }
            }
            Section::Samples { .. } | Section::Histograms { .. } | Section::Starts(_) => {}
        }
    }

    fn chunks(&mut self, chunks: Vec<Found>) {
        for found in chunks {
            if self.head.with(found.series, |series| series.restore_chunk(found.chunk)).is_none() {
                self.orphans += 1;
            }
        }
    }

    fn states(&mut self, checkpoint: &Checkpoint) {
        let head = self.head;
        let mut adding = head.adding();
        let mut has_states = false;
        for piece in Frames::new(&checkpoint.bytes, checkpoint::MAGIC.len()) {
            let Piece::Frame(frame) = piece else { continue };
            let content = frame.content();
            let content = match content.as_deref() {
                Some([checkpoint::STATES, content @ ..]) => content,
                Some(_) => continue,
                // Told already when it stands before the first states.
                None if !has_states => continue,
                None => &[u8::MAX],
            };
            has_states = true;
            let whole = checkpoint::read_states(content, |state| {
                let id = state.id;
                if head.with(id, |series| restore(series, state, &mut adding, head.range_ms)).is_none() {
                    self.orphans += 1;
                }
            });
            if whole.is_none() {
                let reason = "these open chunks of the checkpoint are damaged";
                let piece = self.folders.set_aside(&checkpoint.path, frame.start, frame.end, reason);
                self.damage.push(piece);
            }
        }
    }

    fn reserve(&self, start: &Start) {
        let mut index = self.head.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        index.reserve_numbers(start.next_series, start.next_pair);
    }

    fn set_floors(&mut self) {
        let floors = &mut self.floors;
        self.head.for_all(|id, series| {
            floors.resize(id as usize + 1, i64::MIN);
            if let Some(floor) = floors.get_mut(id as usize) {
                *floor = series.last_ms;
            }
        });
    }

    fn floor(&self, series: u32) -> i64 {
        self.floors.get(series as usize).copied().unwrap_or(i64::MIN)
    }

    fn samples(&mut self, section: Section<'_>, adding: &mut Adding<'_>) {
        let head = self.head;
        match section {
            Section::Samples { is_late, samples } => {
                head.with_each(samples.iter().map(|sample| sample.series), |place, id, series| {
                    let (Some(sample), Some(series)) = (samples.get(place), series) else {
                        self.orphans += 1;
                        return;
                    };
                    if !is_late && sample.timestamp_ms <= self.floor(id) {
                        return;
                    }
                    self.replayed += 1;
                    if is_late || sample.timestamp_ms <= series.last_ms {
                        series.put_late(id, sample.timestamp_ms, sample.value, adding);
                    } else {
                        series.add(id, sample.timestamp_ms, sample.value, adding);
                    }
                });
            }
            Section::Histograms { is_late, samples } => {
                head.with_each(samples.iter().map(|sample| sample.series), |place, id, series| {
                    let (Some(sample), Some(series)) = (samples.get(place), series) else {
                        self.orphans += 1;
                        return;
                    };
                    if !is_late && sample.timestamp_ms <= self.floor(id) {
                        return;
                    }
                    self.replayed += 1;
                    if is_late || sample.timestamp_ms <= series.last_ms {
                        series.put_late_histogram(id, sample.timestamp_ms, &sample.histogram, adding);
                    } else {
                        series.add_histogram(id, sample.timestamp_ms, &sample.histogram, adding);
                    }
                });
            }
            Section::Deleted { series, range } => {
                head.with(series, |series| series.restore_deleted(range));
            }
            Section::Starts(changes) => {
                for change in changes {
                    head.with(change.series, |series| series.restore_start(&change));
                }
            }
            Section::Exemplars(exemplars) => self.exemplars(&exemplars),
            Section::Pair { .. } | Section::Series(_) | Section::Scope { .. } | Section::Metadata { .. } => {}
        }
    }

    fn exemplars(&self, exemplars: &[(u32, Exemplar)]) {
        for (series, exemplar) in exemplars {
            if self.head.with(*series, |_| ()).is_some() {
                // The log repeats what the checkpoint had: known ones change nothing.
                self.head.add_exemplar(*series, exemplar.clone());
            }
        }
    }
}

fn restore(series: &mut Series, state: State, adding: &mut Adding<'_>, range_ms: i64) {
    let id = state.id;
    let floor = series.last_ms;
    series.restore_starts(state.starts);
    let mut histograms = Vec::new();
    for packed in &state.packed_histograms {
        // What cannot be decoded was damaged before its checksum was made; nothing can be done.
        crate::chunk::decode_histograms(packed, &mut histograms).unwrap_or_default();
    }
    histograms.extend(state.histograms);
    for (timestamp_ms, histogram) in histograms.into_iter().filter(|(at, _)| *at > floor) {
        series.add_histogram(id, timestamp_ms, &histogram, adding);
    }
    if let Some(open) = state.open {
        series.restore_open(open, range_ms);
    }
    series.restore_last_when_newer(state.last);
    for (timestamp_ms, value) in state.late {
        series.put_late(id, timestamp_ms, value, adding);
    }
    for (timestamp_ms, histogram) in state.late_histograms {
        series.put_late_histogram(id, timestamp_ms, &histogram, adding);
    }
}

impl Head {
    /// Counts what is there.
    fn finish_load(&self, start: &Start) {
        let (mut newest, mut scopes, mut active) = (start.newest_ms, Vec::new(), 0);
        self.for_all(|_, series| {
            newest = newest.max(series.last_ms);
            scopes.push(series.scope);
            active += 1;
        });
        self.newest_ms.store(newest, Ordering::Relaxed);
        self.raise_oldest(|| self.oldest_ms());
        self.active.store(active, Ordering::Relaxed);
        for scope in scopes {
            if let Some(state) = self.scope_state(scope) {
                state.series.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut index = self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        index.shrink();
    }
}
