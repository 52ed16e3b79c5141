//! Rule files on disk, by patterns.

use std::path::{Path, PathBuf};

use maru_monitoring::rules::{RuleFile, read_rules_with};
use maru_promql::ParseOptions;

/// Bytes that a rule file may have.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Files that the patterns may name.
const FILES_MAX: usize = 10_000;

/// Something wrong with rule files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The file, as the pattern names it.
    pub file: String,
    /// What, and where in the file.
    pub message: String,
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.file, self.message)
    }
}

/// Reads all files that the patterns name; relative ones start at `folder`.
///
/// # Errors
/// All that is wrong with any of them. A pattern with `*`, `?` or `[` that names nothing is fine; a file that is not there is not.
pub fn load_files(
    folder: &Path,
    patterns: &[String],
    options: &ParseOptions,
) -> Result<Vec<(String, RuleFile)>, Vec<FileProblem>> {
    let (mut loaded, mut problems): (Vec<(String, RuleFile)>, Vec<FileProblem>) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let mut files = match expand(folder, pattern) {
            Ok(files) => files,
            Err(message) => {
                problems.push(FileProblem { file: pattern.clone(), message });
                continue;
            }
        };
        if files.len() + loaded.len() > FILES_MAX {
            problems.push(FileProblem { file: pattern.clone(), message: format!("more than {FILES_MAX} rule files") });
            files.truncate(FILES_MAX.saturating_sub(loaded.len()));
        }
        for path in files {
            let file = path.display().to_string();
            if loaded.iter().any(|(known, _)| *known == file) {
                continue;
            }
            match read(&path, options) {
                Ok(rules) => loaded.push((file, rules)),
                Err(found) => {
                    problems.extend(found.into_iter().map(|message| FileProblem { file: file.clone(), message }));
                }
            }
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

/// Reads one file.
fn read(path: &Path, options: &ParseOptions) -> Result<RuleFile, Vec<String>> {
    let told = |error: std::io::Error| vec![format!("cannot be read: {error}")];
    let bytes = std::fs::metadata(path).map_err(told)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(vec![format!("it has {bytes} bytes, more than the limit of {FILE_BYTES_MAX}")]);
    }
    let text = std::fs::read_to_string(path).map_err(told)?;
    read_rules_with(&text, options).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Returns the files of a pattern in the order of their names. `*`, `?` and `[a-z]` stand for characters of one name.
pub(crate) fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let whole = folder.join(pattern);
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![whole]);
    }
    let mut found = vec![PathBuf::new()];
    for part in whole.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let matcher = name_pattern(&text)?;
        let mut next = Vec::new();
        for path in &found {
            let Ok(entries) = std::fs::read_dir(path) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let is_hidden = name.to_string_lossy().starts_with('.') && !text.starts_with('.');
                if !is_hidden && matcher.is_match(&name.to_string_lossy()) {
                    next.push(path.join(name));
                }
            }
        }
        next.sort();
        next.truncate(FILES_MAX + 1);
        found = next;
    }
    found.retain(|path| path.is_file());
    Ok(found)
}

fn name_pattern(text: &str) -> Result<regex::Regex, String> {
    let mut pattern = String::from("^");
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => {
                pattern.push('[');
                for inside in characters.by_ref() {
                    if inside == '[' {
                        pattern.push('\\');
                    }
                    pattern.push(inside);
                    if inside == ']' {
                        break;
                    }
                }
            }
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    regex::Regex::new(&pattern).map_err(|_| format!("\"{text}\" is no pattern of file names"))
}
