//! Time zones of this machine.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::tz::TimeZone;

/// Where the machine keeps its zones.
const DIRECTORIES: [&str; 3] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];

/// Most bytes of a zone's file.
const FILE_BYTES_MAX: u64 = 1 << 20;

static KNOWN: LazyLock<Mutex<BTreeMap<String, TimeZone>>> = LazyLock::new(Mutex::default);

/// Returns a zone by name: `UTC`, `Asia/Seoul`.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let is_name = !name.is_empty()
        && name.split('/').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
        });
    if !is_name {
        return None;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(zone) = known.get(name) {
        return Some(zone.clone());
    }
    let found = DIRECTORIES.iter().find_map(|directory| {
        let path = std::path::Path::new(directory).join(name);
        let is_small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
        let bytes = is_small.then(|| std::fs::read(&path).ok())??;
        TimeZone::tzif(name, &bytes).ok()
    })?;
    known.insert(name.to_owned(), found.clone());
    Some(found)
}
