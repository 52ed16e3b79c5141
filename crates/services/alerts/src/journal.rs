//! What must outlive the process: a file to which records are appended, and that is written anew when it has grown.
//!
//! Each record is a line: eight hexadecimal digits of a CRC-32, a space, JSON. A line that is cut or damaged ends the file:
//! what follows it was never acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_monitoring::alerting::{format_matchers, parse_matchers};
use maru_prom::Labels;
use maru_time::Timestamp;
use serde_json::{Value as Json, json};

use crate::alert::{Alert, Fingerprint};
use crate::engine::{LogEntry, LogKey, Record};
use crate::message::labels_json;
use crate::silence::Silence;

/// The file is written anew when it has grown to this many times what it must hold, and to this many bytes at least.
const GROWTH_MAX: u64 = 4;
const COMPACTION_BYTES_MIN: u64 = 4 << 20;

/// The file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    compact_bytes: u64,
}

impl Journal {
    /// Opens the file and returns what it holds. A damaged end is cut off.
    pub(crate) fn open(directory: &Path) -> std::io::Result<(Self, Vec<Record>)> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join("alerts.log");
        let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let mut records = Vec::new();
        let mut good = 0;
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let Some(record) = line.strip_suffix(b"\n").and_then(decode) else { break };
            records.extend(record);
            good += line.len();
        }
        if good < content.len() {
            tracing::warn!(
                path = %path.display(), bytes = content.len() - good,
                "the end of the log of alerts is damaged and was cut off"
            );
            file.set_len(good as u64)?;
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        let bytes = good as u64;
        Ok((Self { path, file, bytes, compact_bytes: bytes }, records))
    }

    /// Appends records. Alerts alone need not be on the disk: their senders say them again.
    pub(crate) fn append(&mut self, records: &[Record]) -> std::io::Result<()> {
        let mut buffer = Vec::with_capacity(records.len() * 400);
        for record in records {
            encode(record, &mut buffer);
        }
        self.file.write_all(&buffer)?;
        self.bytes += buffer.len() as u64;
        let is_durable = records.iter().any(|record| matches!(record, Record::Silence(_) | Record::Notified(..)));
        if is_durable { self.file.sync_data() } else { Ok(()) }
    }

    /// Tells whether the file holds much that is not needed any more.
    pub(crate) fn is_overgrown(&self) -> bool {
        self.bytes > COMPACTION_BYTES_MIN && self.bytes > self.compact_bytes * GROWTH_MAX
    }

    /// Writes the file anew.
    pub(crate) fn compact(&mut self, records: &[Record]) -> std::io::Result<()> {
        let new_path = self.path.with_extension("log.new");
        let mut writer = BufWriter::new(File::create(&new_path)?);
        let mut buffer = Vec::new();
        let mut bytes = 0;
        for record in records {
            buffer.clear();
            encode(record, &mut buffer);
            bytes += buffer.len() as u64;
            writer.write_all(&buffer)?;
        }
        let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&new_path, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.bytes = bytes;
        self.compact_bytes = bytes;
        Ok(())
    }
}

fn encode(record: &Record, out: &mut Vec<u8>) {
    let text = to_json(record).to_string();
    let sum = crc32fast::hash(text.as_bytes());
    out.extend_from_slice(format!("{sum:08x} {text}\n").as_bytes());
}

/// Returns the record of a line; nothing inside when it is of a kind that only a newer Maru knows.
#[expect(clippy::option_option, reason = "the outer one is damage, the inner one is a kind to skip")]
fn decode(line: &[u8]) -> Option<Option<Record>> {
    let (sum, text) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    if crc32fast::hash(text) != sum {
        return None;
    }
    let json: Json = serde_json::from_slice(text).ok()?;
    Some(from_json(&json))
}

fn fingerprints(list: &[Fingerprint]) -> Json {
    list.iter().map(ToString::to_string).collect()
}

fn to_json(record: &Record) -> Json {
    match record {
        Record::Silence(silence) => json!({
            "silence": silence.id,
            "matchers": format_matchers(&silence.matchers),
            "starts": silence.starts_at.to_string(),
            "ends": silence.ends_at.to_string(),
            "updated": silence.updated_at.to_string(),
            "by": silence.created_by,
            "comment": silence.comment,
            "annotations": silence.annotations,
        }),
        Record::Notified(key, entry) => json!({
            "notified": &*key.integration,
            "group": &*key.group,
            "firing": fingerprints(&entry.firing),
            "resolved": fingerprints(&entry.resolved),
            "at": entry.at.to_string(),
            "expires": entry.expires_at.to_string(),
        }),
        Record::Alert(alert) => json!({
            "alert": labels_json(&alert.labels),
            "annotations": labels_json(&alert.annotations),
            "starts": alert.starts_at.to_string(),
            "ends": alert.ends_at.to_string(),
            "updated": alert.updated_at.to_string(),
            "url": &*alert.generator_url,
            "timeout": alert.timeout,
        }),
        Record::Over(fingerprint) => json!({"over": fingerprint.to_string()}),
    }
}

fn from_json(json: &Json) -> Option<Record> {
    let text = |name: &str| json[name].as_str();
    let time = |name: &str| text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let list = |name: &str| -> Option<Vec<Fingerprint>> {
        json[name].as_array()?.iter().map(|one| one.as_str().and_then(Fingerprint::parse)).collect()
    };
    let labels = |name: &str| {
        let map = json[name].as_object()?;
        Some(Labels::from_pairs(map.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))))
    };
    if let Some(id) = text("silence") {
        let annotations = json["annotations"].as_object();
        return Some(Record::Silence(Silence {
            id: id.to_owned(),
            matchers: parse_matchers(text("matchers")?).ok()?,
            starts_at: time("starts")?,
            ends_at: time("ends")?,
            updated_at: time("updated")?,
            created_by: text("by")?.to_owned(),
            comment: text("comment")?.to_owned(),
            annotations: annotations
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
        }));
    }
    if let Some(integration) = text("notified") {
        let key = LogKey { group: Arc::from(text("group")?), integration: Arc::from(integration) };
        let entry = LogEntry {
            firing: list("firing")?,
            resolved: list("resolved")?,
            at: time("at")?,
            expires_at: time("expires")?,
        };
        return Some(Record::Notified(key, entry));
    }
    if let Some(fingerprint) = text("over") {
        return Fingerprint::parse(fingerprint).map(Record::Over);
    }
    Some(Record::Alert(Alert {
        labels: labels("alert")?,
        annotations: labels("annotations")?,
        starts_at: time("starts")?,
        ends_at: time("ends")?,
        updated_at: time("updated")?,
        generator_url: Arc::from(text("url")?),
        timeout: json["timeout"].as_bool()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let at: Timestamp = "2026-11-22T09:00:00.123456789Z".parse().unwrap();
        let alert = Alert {
            labels: Labels::from_pairs([("alertname", "디스크"), ("path", "/a \"b\"\n")]),
            annotations: Labels::from_pairs([("summary", "x")]),
            starts_at: at,
            ends_at: at,
            updated_at: at,
            generator_url: Arc::from("http://x/?a=b"),
            timeout: true,
        };
        let silence = Silence {
            id: "a-b".to_owned(),
            matchers: parse_matchers("{a=~\"b|c\",\"ü x\"!=\"d\"}").unwrap(),
            starts_at: at,
            ends_at: at,
            updated_at: at,
            created_by: "me".to_owned(),
            comment: "why\nnot".to_owned(),
            annotations: [("ticket".to_owned(), "1".to_owned())].into(),
        };
        let key = LogKey { group: Arc::from("{}:{a=\"b\"}"), integration: Arc::from("ops/webhook/0") };
        let entry = LogEntry { firing: vec![alert.fingerprint()], resolved: vec![Fingerprint(1)], at, expires_at: at };
        let over = Record::Over(alert.fingerprint());
        vec![Record::Alert(alert), over, Record::Silence(silence), Record::Notified(key, entry)]
    }

    #[test]
    fn records_come_back_and_a_damaged_end_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(directory.path()).unwrap();
        assert!(found.is_empty());
        let written = records();
        journal.append(&written).unwrap();
        let path = directory.path().join("alerts.log");
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 1, 20] {
            let mut damaged = whole.clone();
            damaged.truncate(whole.len() - cut);
            if cut == 20 {
                let place = damaged.len() - 5;
                damaged[place] ^= 1;
            }
            std::fs::write(&path, damaged).unwrap();
            let (mut journal, found) = Journal::open(directory.path()).unwrap();
            let expected = if cut == 0 { 4 } else { 3 };
            assert_eq!(format!("{found:?}"), format!("{:?}", &written[..expected]), "{cut}");
            journal.append(&written).unwrap();
            journal.compact(&written).unwrap();
            journal.append(&written[..1]).unwrap();
            assert_eq!(Journal::open(directory.path()).unwrap().1.len(), 5);
        }
    }
}
