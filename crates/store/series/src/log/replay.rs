//! Reading the log back when a store is opened.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::{Frames, Piece};
use super::record::{Chain, Section, read, read_names};
use super::{HEAD, MAGIC, MAGIC_UNPACKED};

/// Returns the segments of a directory by number.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|name| u64::from_str_radix(name, 16).ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Bytes of a segment that are no frame, though they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogDamage {
    pub(crate) path: PathBuf,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) reason: String,
}

/// What reading back found.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) damage: Vec<LogDamage>,
    /// Bytes of the last write that a crash cut off.
    pub(crate) torn_bytes: u64,
    /// The newest segment with the length of it that counts.
    pub(crate) newest: Option<(u64, u64)>,
    /// Bytes of all segments.
    pub(crate) bytes: u64,
}

struct Head {
    before: u64,
    before_length: u64,
}

fn head_of(bytes: &[u8]) -> Option<Head> {
    let (head, sum) = bytes.get(..HEAD)?.split_at_checked(HEAD - 4)?;
    if crc32fast::hash(head).to_le_bytes() != sum {
        return None;
    }
    let numbers = head.strip_prefix(MAGIC).or_else(|| head.strip_prefix(MAGIC_UNPACKED))?.get(4..)?;
    let (before, length) = numbers.split_first_chunk::<8>()?;
    Some(Head { before: u64::from_le_bytes(*before), before_length: u64::from_le_bytes(*length.first_chunk::<8>()?) })
}

/// What is wanted of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All but samples and histograms, which are not even decoded.
    Names,
    /// All that it has.
    Everything,
}

/// Reads all segments from number `first` on and hands their sections to `each`, in order.
/// Bytes behind what a segment's successor says counts are passed over, as are half frames at the very end.
pub(crate) fn replay(
    directory: &Path,
    first: u64,
    wanted: Wanted,
    mut each: impl FnMut(Section<'_>),
) -> io::Result<Replayed> {
    let mut replayed = Replayed::default();
    let segments: Vec<(u64, PathBuf)> =
        segments(directory)?.into_iter().filter(|(number, _)| *number >= first).collect();
    let mut lengths = std::collections::HashMap::new();
    for (_, path) in &segments {
        let mut start = [0; HEAD];
        let read = std::os::unix::fs::FileExt::read_exact_at(&std::fs::File::open(path)?, &mut start, 0);
        if let (Ok(()), Some(head)) = (read, head_of(&start)) {
            lengths.insert(head.before, head.before_length);
        }
    }
    let newest = segments.last().map(|(number, _)| *number);
    for (number, path) in segments {
        let bytes = std::fs::read(&path)?;
        replayed.bytes += bytes.len() as u64;
        let is_newest = newest == Some(number);
        let counted = lengths.get(&number).and_then(|length| usize::try_from(*length).ok());
        let part = Part { path: &path, bytes: &bytes, counted, is_newest, wanted };
        let valid = segment(&part, &mut replayed, &mut each);
        replayed.newest = Some((number, valid as u64));
    }
    Ok(replayed)
}

/// One segment.
struct Part<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// The length that counts, as the segment behind it says.
    counted: Option<usize>,
    is_newest: bool,
    wanted: Wanted,
}

/// Reads one segment; returns the length of it that counts.
fn segment(part: &Part<'_>, replayed: &mut Replayed, each: &mut impl FnMut(Section<'_>)) -> usize {
    let Part { path, bytes, counted, is_newest, wanted } = *part;
    let mut damaged = |start: usize, end: usize, reason: &str| {
        replayed.damage.push(LogDamage { path: path.to_owned(), start, end, reason: reason.to_owned() });
    };
    if counted == Some(0) {
        // The crash came while the segment was made; a start has seen that before.
        return 0;
    }
    if head_of(bytes).is_none() {
        if is_newest && bytes.len() < HEAD {
            // The crash came while the segment was made: nothing was in it.
            replayed.torn_bytes += bytes.len() as u64;
            return 0;
        }
        damaged(0, bytes.len().min(HEAD), "the head of this log segment is damaged");
    }
    let whole = counted.map_or(bytes, |length| bytes.get(..length).unwrap_or(bytes));
    if let Some(length) = counted
        && length > bytes.len()
    {
        damaged(
            bytes.len(),
            bytes.len(),
            &format!("the log segment has {} of {length} bytes: the rest is gone", bytes.len()),
        );
    }
    let mut chain = Some(Chain::default());
    let mut valid = HEAD.min(bytes.len());
    for piece in Frames::new(whole, HEAD) {
        match piece {
            Piece::Frame(frame) => {
                let outcome = frame.content().and_then(|content| match wanted {
                    Wanted::Names => read_names(&content, &mut *each),
                    Wanted::Everything => read(&content, chain.as_mut(), &mut *each),
                });
                if outcome.is_none() {
                    damaged(frame.start, frame.end, "this frame of the log says nothing that a writer wrote");
                    chain = None;
                }
                valid = frame.end;
            }
            Piece::Torn(start, end) if is_newest && counted.is_none() => {
                replayed.torn_bytes += (end - start) as u64;
            }
            Piece::Damaged(start, end) | Piece::Torn(start, end) => {
                damaged(
                    start,
                    end,
                    "these bytes of the log are damaged; samples in them and behind them in the same segment are missing",
                );
                chain = None;
                valid = end;
            }
        }
    }
    valid
}
