//! Follows a log through its rotations.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use maru_time::Timestamp;

use super::Line;

/// Bytes read at a time.
const BLOCK: usize = 64 * 1024;
/// Longest line of a file; the writer splits longer ones.
const LINE_MAX: usize = 1024 * 1024;

/// Which part of a log is wanted, and in which form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    pub(crate) tail_lines: Option<u64>,
    pub(crate) limit_bytes: Option<u64>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) timestamps: bool,
    /// `stdout` or `stderr` alone.
    pub(crate) stream: Option<String>,
}

/// Reads a log from the wanted beginning on, through the files it was rotated into. Blocking.
#[derive(Debug)]
pub(crate) struct LogReader {
    path: PathBuf,
    options: LogOptions,
    file: File,
    inode: u64,
    /// What was read of a line that is not complete yet.
    rest: Vec<u8>,
    left: Option<u64>,
    in_line: bool,
    /// Whether the time wanted was reached, so that later lines need not be looked at.
    since_reached: bool,
}

impl LogReader {
    pub(crate) fn open(path: &Path, options: LogOptions) -> io::Result<Self> {
        let files = rotated(path)?;
        let first = files.first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.clone();
        let (from, offset) = match options.tail_lines {
            None => (first, 0),
            Some(lines) => tail_start(&files, lines)?,
        };
        let mut file = File::open(&from)?;
        file.seek(SeekFrom::Start(offset))?;
        let inode = file.metadata()?.ino();
        let left = options.limit_bytes;
        let since_reached = options.since.is_none();
        Ok(Self { path: path.to_owned(), options, file, inode, rest: Vec::new(), left, in_line: false, since_reached })
    }

    /// Appends what there is to `out`, about a block; tells whether there may be more now. Called again later, it goes on.
    pub(crate) fn read_some(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if self.is_full() {
            return Ok(false);
        }
        let mut block = vec![0; BLOCK];
        let count = self.file.read(&mut block)?;
        if count == 0 {
            return self.next_file();
        }
        block.truncate(count);
        self.rest.extend_from_slice(&block);
        let rest = std::mem::take(&mut self.rest);
        let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
        for line in &mut lines {
            match line.strip_suffix(b"\n") {
                Some(line) => self.write(line, out),
                None if line.len() > LINE_MAX => {}
                None => self.rest = line.to_vec(),
            }
            if self.is_full() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells whether the wanted number of bytes was written.
    pub(crate) fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Goes on to the file after this one, when there is one.
    fn next_file(&mut self) -> io::Result<bool> {
        let files = rotated(&self.path)?;
        let inodes: Vec<u64> = files.iter().map(|path| fs::metadata(path).map_or(0, |found| found.ino())).collect();
        let next = match inodes.iter().position(|inode| *inode == self.inode) {
            Some(here) => files.get(here + 1),
            // It was removed meanwhile: the oldest that is left follows.
            None => files.first(),
        };
        let Some(next) = next else { return Ok(false) };
        // Something may have been written between the last read and the rotation.
        let mut tail = Vec::new();
        self.file.read_to_end(&mut tail)?;
        let file = File::open(next)?;
        if !tail.is_empty() {
            self.rest.extend(tail);
            return Ok(true);
        }
        self.inode = file.metadata()?.ino();
        self.file = file;
        Ok(true)
    }

    fn write(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = Line::parse(line) else { return };
        if self.options.stream.as_ref().is_some_and(|stream| stream.as_bytes() != line.stream) {
            return;
        }
        if !self.since_reached {
            self.since_reached = line.at().is_some_and(|at| self.options.since.is_some_and(|since| at >= since));
            if !self.since_reached {
                return;
            }
        }
        if self.options.timestamps && !self.in_line {
            self.put(line.time, out);
            self.put(b" ", out);
        }
        self.put(line.text, out);
        if line.is_complete {
            self.put(b"\n", out);
        }
        self.in_line = !line.is_complete;
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let count = match self.left {
            None => bytes.len(),
            Some(left) => bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
        };
        out.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

/// Returns the files of a log, the oldest first.
fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut number = 1;
    while numbered(number).exists() {
        files.push(numbered(number));
        number += 1;
    }
    files.reverse();
    if path.exists() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// Finds where the last `lines` lines begin.
fn tail_start(files: &[PathBuf], lines: u64) -> io::Result<(PathBuf, u64)> {
    let mut wanted = lines;
    for path in files.iter().rev() {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        match tail_in_file(&mut file, length, &mut wanted)? {
            Some(offset) => return Ok((path.clone(), offset)),
            None if wanted == 0 => return Ok((path.clone(), 0)),
            None => {}
        }
    }
    let first = files.first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((first.clone(), 0))
}

/// Counts line ends backwards; returns the offset behind the one that comes before the wanted lines.
fn tail_in_file(file: &mut File, length: u64, wanted: &mut u64) -> io::Result<Option<u64>> {
    let mut end = length;
    let mut is_last_byte = true;
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let size = end.min(u64::try_from(BLOCK).unwrap_or(u64::MAX));
        let start = end - size;
        file.seek(SeekFrom::Start(start))?;
        let buffer = block.get_mut(..usize::try_from(size).unwrap_or(BLOCK)).unwrap_or_default();
        file.read_exact(buffer)?;
        for (index, byte) in buffer.iter().enumerate().rev() {
            if *byte == b'\n' && !is_last_byte {
                *wanted = wanted.saturating_sub(1);
                if *wanted == 0 {
                    return Ok(Some(start + u64::try_from(index).unwrap_or(0) + 1));
                }
            } else if *wanted == 0 {
                return Ok(Some(length));
            }
            is_last_byte = false;
        }
        end = start;
    }
    if length > 0 {
        // The file's first line counts as well.
        *wanted = wanted.saturating_sub(1);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(second: u32, text: &str) -> String {
        format!("2026-11-22T09:00:{second:02}Z stdout {text}\n")
    }

    fn all(path: &Path, options: LogOptions) -> String {
        let mut reader = LogReader::open(path, options).unwrap();
        let mut out = Vec::new();
        while reader.read_some(&mut out).unwrap() {}
        String::from_utf8(out).unwrap()
    }

    fn three_files() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        fs::write(directory.path().join("0.log.2"), entry(0, "F a") + &entry(1, "F b")).unwrap();
        fs::write(directory.path().join("0.log.1"), entry(2, "F c") + &entry(3, "P d-")).unwrap();
        fs::write(&path, entry(3, "F d") + &entry(4, "F e")).unwrap();
        (directory, path)
    }

    #[test]
    fn options_choose_the_part_and_the_form() {
        let (_directory, path) = three_files();
        let plain = LogOptions::default();
        let tail = |lines| LogOptions { tail_lines: Some(lines), ..LogOptions::default() };
        for (options, expected) in [
            (plain.clone(), "a\nb\nc\nd-d\ne\n"),
            (tail(0), ""),
            (tail(1), "e\n"),
            (tail(2), "d\ne\n"),
            (tail(4), "c\nd-d\ne\n"),
            (tail(5), "b\nc\nd-d\ne\n"),
            (tail(6), "a\nb\nc\nd-d\ne\n"),
            (tail(60), "a\nb\nc\nd-d\ne\n"),
            (LogOptions { limit_bytes: Some(5), ..plain.clone() }, "a\nb\nc"),
            (LogOptions { since: Some("2026-11-22T09:00:03Z".parse().unwrap()), ..plain.clone() }, "d-d\ne\n"),
            (
                LogOptions { timestamps: true, tail_lines: Some(3), ..plain.clone() },
                "2026-11-22T09:00:03Z d-d\n2026-11-22T09:00:04Z e\n",
            ),
            (LogOptions { stream: Some("stderr".to_owned()), ..plain.clone() }, ""),
        ] {
            assert_eq!(all(&path, options.clone()), expected, "{options:?}");
        }
    }

    #[test]
    fn a_reader_follows_through_rotation_without_loss() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        fs::write(&path, entry(0, "F a")).unwrap();
        let mut reader = LogReader::open(&path, LogOptions::default()).unwrap();
        let mut out = Vec::new();
        while reader.read_some(&mut out).unwrap() {}
        // A line written in two pieces.
        let append = |path: &Path, text: &str| {
            use std::io::Write as _;
            fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        append(&path, "2026-11-22T09:00:01Z std");
        while reader.read_some(&mut out).unwrap() {}
        append(&path, "out F b\n");
        fs::rename(&path, directory.path().join("0.log.1")).unwrap();
        append(&path, &entry(2, "F c"));
        fs::rename(directory.path().join("0.log.1"), directory.path().join("0.log.2")).unwrap();
        fs::rename(&path, directory.path().join("0.log.1")).unwrap();
        append(&path, &entry(3, "F d"));
        while reader.read_some(&mut out).unwrap() {}
        assert_eq!(String::from_utf8(out).unwrap(), "a\nb\nc\nd\n");
    }

    #[test]
    fn long_logs_are_read_in_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let text: String = (0..20_000).map(|number| entry(5, &format!("F {number}"))).collect();
        fs::write(&path, text).unwrap();
        let expected: String = (0..20_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(all(&path, LogOptions::default()), expected);
        let tail: String = (10_000..20_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(all(&path, LogOptions { tail_lines: Some(10_000), ..LogOptions::default() }), tail);
    }
}
