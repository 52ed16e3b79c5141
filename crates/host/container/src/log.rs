//! Container logs in the CRI form, with rotation: `<RFC 3339 time, nanoseconds> stdout|stderr F|P <text>`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use maru_time::{Timestamp, rfc3339_nanos};

use crate::protocol::LogOrder;

/// A longer line is written in parts marked `P`, its last one `F`.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;

/// Which of a program's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Returns its place in arrays of two.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Writes one container's log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    order: LogOrder,
    file: File,
    size: u64,
    unfinished: [Vec<u8>; 2],
    batch: Vec<u8>,
}

impl LogWriter {
    /// Opens the log for appending.
    pub(crate) fn open(order: LogOrder) -> io::Result<Self> {
        let file = open(&order.path)?;
        let size = file.metadata()?.len();
        Ok(Self { order, file, size, unfinished: [Vec::new(), Vec::new()], batch: Vec::new() })
    }

    /// Takes output as it comes. Complete lines are written at once; an error loses them, not what comes later.
    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], now: Timestamp) -> io::Result<()> {
        let time = rfc3339_nanos(now);
        while !bytes.is_empty() {
            let known = self.unfinished[stream.index()].len();
            let room = LINE_BYTES_MAX - known;
            let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let (line, rest) = bytes.split_at(end);
                    self.line(stream, "F", line, &time)?;
                    bytes = rest.get(1..).unwrap_or_default();
                }
                None if window.len() == room => {
                    let (part, rest) = bytes.split_at(room);
                    // A line of exactly the limit is whole.
                    let whole = rest.first() == Some(&b'\n');
                    self.line(stream, if whole { "F" } else { "P" }, part, &time)?;
                    bytes = if whole { rest.get(1..).unwrap_or_default() } else { rest };
                }
                None => {
                    self.unfinished[stream.index()].extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        self.flush()
    }

    /// Writes what has no line end yet: nothing more comes.
    pub(crate) fn finish(&mut self, stream: Stream, now: Timestamp) -> io::Result<()> {
        if !self.unfinished[stream.index()].is_empty() {
            self.line(stream, "F", &[], &rfc3339_nanos(now))?;
        }
        self.flush()
    }

    fn line(&mut self, stream: Stream, tag: &str, tail: &[u8], time: &str) -> io::Result<()> {
        let mut line = Vec::with_capacity(time.len() + 12 + self.unfinished[stream.index()].len() + tail.len());
        line.extend_from_slice(format!("{time} {} {tag} ", stream.name()).as_bytes());
        line.append(&mut self.unfinished[stream.index()]);
        line.extend_from_slice(tail);
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(length) > self.order.bytes_max {
            self.flush()?;
            self.rotate()?;
        }
        self.size = self.size.saturating_add(length);
        self.batch.append(&mut line);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.write_all(&self.batch);
        self.batch.clear();
        result
    }

    /// `log.1` is the newest rotated file; what would exceed the number of files is deleted.
    fn rotate(&mut self) -> io::Result<()> {
        let rotated = self.order.files_max.max(1) - 1;
        if rotated == 0 {
            self.file.set_len(0)?;
        } else {
            for number in (1..rotated).rev() {
                let from = numbered(&self.order.path, number);
                if from.exists() {
                    std::fs::rename(from, numbered(&self.order.path, number + 1))?;
                }
            }
            std::fs::rename(&self.order.path, numbered(&self.order.path, 1))?;
            self.file = open(&self.order.path)?;
        }
        self.size = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(directory: &Path, bytes_max: u64, files_max: u32) -> LogWriter {
        LogWriter::open(LogOrder { path: directory.join("0.log"), bytes_max, files_max }).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T09:00:05.0000012Z".parse().unwrap()
    }

    const PREFIX: &str = "2026-11-22T09:00:05.000001200Z";

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = writer(directory.path(), 1 << 20, 2);
        log.feed(Stream::Stdout, b"one\ntw", now()).unwrap();
        log.feed(Stream::Stderr, b"err\n", now()).unwrap();
        log.feed(Stream::Stdout, b"o\n\nlast", now()).unwrap();
        log.finish(Stream::Stdout, now()).unwrap();
        log.finish(Stream::Stderr, now()).unwrap();
        let text = std::fs::read_to_string(directory.path().join("0.log")).unwrap();
        let expected = ["stdout F one", "stderr F err", "stdout F two", "stdout F ", "stdout F last"];
        assert_eq!(text, expected.map(|line| format!("{PREFIX} {line}\n")).concat());
    }

    #[test]
    fn a_long_line_is_written_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = writer(directory.path(), 1 << 20, 2);
        let long = vec![b'a'; LINE_BYTES_MAX * 2 + 10];
        log.feed(Stream::Stdout, &long, now()).unwrap();
        log.feed(Stream::Stdout, b"\n", now()).unwrap();
        let mut exact = vec![b'b'; LINE_BYTES_MAX];
        exact.push(b'\n');
        log.feed(Stream::Stdout, &exact, now()).unwrap();
        let text = std::fs::read_to_string(directory.path().join("0.log")).unwrap();
        let shape: Vec<(&str, usize)> = text
            .lines()
            .map(|line| line.split_once(" stdout ").unwrap().1.split_once(' ').unwrap())
            .map(|(tag, text)| (tag, text.len()))
            .collect();
        assert_eq!(shape, [("P", LINE_BYTES_MAX), ("P", LINE_BYTES_MAX), ("F", 10), ("F", LINE_BYTES_MAX)]);
    }

    #[test]
    fn a_full_log_is_rotated_and_the_oldest_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = writer(directory.path(), 100, 3);
        for number in 0..10 {
            log.feed(Stream::Stdout, format!("line {number}\n").as_bytes(), now()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let last = |name: &str| read(name).lines().last().unwrap().to_owned();
        assert!(last("0.log").ends_with("line 9"));
        assert!(last("0.log.1").ends_with("line 7"));
        assert!(last("0.log.2").ends_with("line 5"));
        assert!(!directory.path().join("0.log.3").exists());
        assert!(["0.log", "0.log.1", "0.log.2"].iter().all(|name| read(name).len() <= 100));
        let mut single = writer(directory.path(), 100, 1);
        single.feed(Stream::Stdout, &[b'x'; 90], now()).unwrap();
        single.feed(Stream::Stdout, b"\ny\n", now()).unwrap();
        assert!(read("0.log").ends_with("F y\n") && read("0.log").lines().count() == 1);
    }
}
