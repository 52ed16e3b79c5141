//! Targets in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use maru_monitoring::scrape::{TargetGroup, read_target_groups};
use maru_prom::LabelsBuilder;

use super::Output;

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A file as it was read last.
struct Seen {
    changed: Option<SystemTime>,
    bytes: u64,
    groups: Vec<TargetGroup>,
}

pub(super) async fn run(patterns: Vec<String>, refresh: Duration, folder: PathBuf, mut output: Output) {
    let mut seen: BTreeMap<PathBuf, Seen> = BTreeMap::new();
    let mut read_at = tokio::time::Instant::now();
    loop {
        let is_due = read_at.elapsed() >= refresh;
        if is_due {
            read_at = tokio::time::Instant::now();
        }
        let (next_patterns, next_folder) = (patterns.clone(), folder.clone());
        let looked = tokio::task::spawn_blocking(move || {
            look(&next_patterns, &next_folder, &mut seen, is_due);
            seen
        });
        let Ok(now) = looked.await else { return };
        seen = now;
        output.tell(seen.values().flat_map(|file| file.groups.clone()).collect()).await;
        tokio::time::sleep(LOOK.min(refresh)).await;
    }
}

/// Reads what has changed. A file that cannot be read or is wrong keeps the targets that it had.
fn look(patterns: &[String], folder: &Path, seen: &mut BTreeMap<PathBuf, Seen>, read_all: bool) {
    let paths: Vec<PathBuf> = patterns.iter().flat_map(|pattern| matching(&folder.join(pattern))).collect();
    seen.retain(|path, _| paths.contains(path));
    for path in paths {
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let (changed, bytes) = (metadata.modified().ok(), metadata.len());
        let is_known = seen.get(&path).is_some_and(|file| file.changed == changed && file.bytes == bytes);
        if is_known && !read_all {
            continue;
        }
        let groups = read(&path, bytes);
        let before = seen.remove(&path).map(|file| file.groups).unwrap_or_default();
        let groups = groups.unwrap_or_else(|why| {
            tracing::warn!(path = %path.display(), error = why, "a file of targets cannot be used; its targets stay as they are");
            before
        });
        seen.insert(path, Seen { changed, bytes, groups });
    }
}

fn read(path: &Path, bytes: u64) -> Result<Vec<TargetGroup>, String> {
    if bytes > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.display().to_string();
    let mut groups = read_target_groups(&text, &name)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    for group in &mut groups {
        let mut labels: LabelsBuilder = group.labels.to_builder();
        labels.set("__meta_filepath", &name);
        group.labels = labels.build();
    }
    Ok(groups)
}

/// Returns the files of a path whose last part may have `*` in it, sorted.
pub(crate) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let last = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((before, after)) = last.split_once('*') else { return vec![pattern.to_owned()] };
    let folder = pattern.parent().unwrap_or_else(|| Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let fits = name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after));
            fits && !name.starts_with('.')
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}
