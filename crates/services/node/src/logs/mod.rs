//! Reads containers' logs: files of lines `<time> <stream> <F|P> <text>`, rotated to `<path>.1` and upwards.

mod line;
mod reader;

pub(crate) use reader::{LogOptions, LogReader};

use std::fs;
use std::io;
use std::path::Path;

use line::Line;

/// What a termination message takes from the log at most.
const MESSAGE_LINES: u64 = 80;
const MESSAGE_BYTES: usize = 2048;

/// Returns the end of a log for a termination message; `None` when there is none.
pub(crate) fn tail_for_message(log: &Path) -> Option<String> {
    let options = LogOptions { tail_lines: Some(MESSAGE_LINES), ..LogOptions::default() };
    let mut reader = LogReader::open(log, options).ok()?;
    let mut text = Vec::new();
    while reader.read_some(&mut text).ok()? {}
    let from = text.len().saturating_sub(MESSAGE_BYTES);
    let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
    (!text.is_empty()).then_some(text)
}

/// Removes the logs of attempts before `keep_from` from a container's log directory.
pub(crate) fn remove_older(directory: &Path, keep_from: u32) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| name.split('.').next()).and_then(|text| text.parse::<u32>().ok());
        if attempt.is_some_and(|attempt| attempt < keep_from) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_attempts_are_removed_with_their_rotated_files() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["0.log", "0.log.1", "1.log", "2.log.1", "2.log", "other"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        remove_older(directory.path(), 1).unwrap();
        let mut left: Vec<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["1.log", "2.log", "2.log.1", "other"]);
        remove_older(&directory.path().join("none"), 1).unwrap();
    }

    #[test]
    fn the_message_is_the_end_of_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("0.log");
        assert_eq!(tail_for_message(&log), None);
        let lines: String = (0..200).map(|number| format!("2026-11-22T09:00:00Z stderr F line {number}\n")).collect();
        fs::write(&log, lines).unwrap();
        let message = tail_for_message(&log).unwrap();
        assert!(message.starts_with("line 120\n") && message.ends_with("line 199\n"), "{message}");
    }
}
