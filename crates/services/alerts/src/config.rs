//! The configuration's files: read whole, or refused with all that is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_monitoring::alerting::{AlertmanagerConfig, Checks, read_alertmanager};
use maru_template::{Library, Template};
use maru_time::Timestamp;

use crate::message::{DEFAULT_TEMPLATES, functions};
use crate::plan::Plan;
use crate::zones::zone;

/// Most bytes of a configuration or of a template's file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What runs when nothing is configured: alerts are shown and nobody is told.
pub const EMPTY_CONFIGURATION: &str = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration \"{path}\" cannot be used:\n  {}", problems.join("\n  "))]
pub struct ConfigError {
    /// The file.
    pub path: String,
    /// Each with its place.
    pub problems: Vec<String>,
}

/// A configuration that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// It, made ready.
    pub plan: Arc<Plan>,
    /// What should be written in another way.
    pub warnings: Vec<String>,
}

/// Where a configuration is.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// Nowhere: alerts are shown and nobody is told.
    None,
    /// In a file, with its templates in files.
    File(PathBuf),
    /// In an object such as a Secret, with its templates beside it.
    Given {
        /// What it is called in errors.
        name: String,
        /// The configuration.
        text: String,
        /// Templates by the name of their file.
        templates: BTreeMap<String, String>,
    },
}

impl ConfigSource {
    /// Reads the configuration.
    ///
    /// # Errors
    /// All that is wrong, with lines.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let named = |path: &str, problems| ConfigError { path: path.to_owned(), problems };
        match self {
            Self::None => load_text(EMPTY_CONFIGURATION, Path::new("."))
                .map_err(|problems| named("the empty configuration", problems)),
            Self::File(path) => load(path),
            Self::Given { name, text, templates } => {
                load_with(text, &Files::Given(templates)).map_err(|problems| named(name, problems))
            }
        }
    }
}

/// Where templates are.
enum Files<'f> {
    Folder(&'f Path),
    Given(&'f BTreeMap<String, String>),
}

/// Reads a configuration file and the templates that it names.
///
/// # Errors
/// All that is wrong, with lines.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let shown = path.display().to_string();
    let text = read(path).map_err(|why| ConfigError { path: shown.clone(), problems: vec![why] })?;
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    load_text(&text, directory).map_err(|problems| ConfigError { path: shown, problems })
}

/// Reads a configuration's text; templates are looked for beside `directory`.
///
/// # Errors
/// All that is wrong, with lines.
pub fn load_text(text: &str, directory: &Path) -> Result<Loaded, Vec<String>> {
    load_with(text, &Files::Folder(directory))
}

fn load_with(text: &str, files: &Files<'_>) -> Result<Loaded, Vec<String>> {
    let known = functions(Timestamp::UNIX_EPOCH);
    let check = |text: &str| {
        let parsed = Template::parse("template", text).and_then(|template| template.check(&known));
        parsed.map_err(|error| format!("column {} of the template: {}", error.column, error.message))
    };
    let checks = Checks { template: &check, has_zone: &|name| zone(name).is_some() };
    let config = read_alertmanager(text, checks)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let mut library = DEFAULT_TEMPLATES.clone();
    let mut problems = Vec::new();
    let mut warnings = config.warnings.clone();
    for pattern in &config.templates {
        add_templates(&mut library, files, pattern, (&mut problems, &mut warnings));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let zones = zones(&config);
    Ok(Loaded { plan: Plan::new(config, crate::mask::masked(text), library, zones), warnings })
}

fn zones(config: &AlertmanagerConfig) -> BTreeMap<String, jiff::tz::TimeZone> {
    let windows = config.time_intervals.iter().flat_map(|interval| &interval.windows);
    let names = windows.filter_map(|window| window.location.as_deref());
    names.filter_map(|name| zone(name).map(|zone| (name.to_owned(), zone))).collect()
}

fn add_templates(
    library: &mut Library,
    files: &Files<'_>,
    pattern: &str,
    (problems, warnings): (&mut Vec<String>, &mut Vec<String>),
) {
    let known = functions(Timestamp::UNIX_EPOCH);
    let found = match files {
        Files::Folder(directory) => matching(&directory.join(pattern))
            .map(|paths| paths.iter().map(|path| (path.display().to_string(), read(path))).collect::<Vec<_>>()),
        // An object has no folders: only the last part of the path counts.
        Files::Given(templates) => expression(pattern.rsplit('/').next().unwrap_or(pattern)).map(|expression| {
            let fitting = templates.iter().filter(|(name, _)| expression.is_match(name));
            fitting.map(|(name, text)| (name.clone(), Ok(text.clone()))).collect()
        }),
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            problems.push(format!("templates \"{pattern}\": {why}"));
            return;
        }
    };
    if found.is_empty() {
        warnings.push(format!("templates \"{pattern}\": there is no such file"));
    }
    for (place, text) in found {
        let name = place.rsplit('/').next().unwrap_or(&place);
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                problems.push(why);
                continue;
            }
        };
        match Template::parse(name, &text).and_then(|template| template.check(&known).map(|()| template)) {
            Ok(template) => library.add(&template),
            Err(error) => {
                problems.push(format!("\"{place}\", line {}, column {}: {}", error.line, error.column, error.message));
            }
        }
    }
}

/// Makes a pattern of a name that may have `*` and `?` in it.
fn expression(pattern: &str) -> Result<regex::Regex, String> {
    let expression = regex::escape(pattern).replace("\\*", ".*").replace("\\?", ".");
    regex::Regex::new(&format!("^{expression}$")).map_err(|error| error.to_string())
}

/// Returns the files of a path whose last part may have `*` in it. A file or a folder that is not there is no fault: packages name
/// folders for templates that nobody has made yet.
fn matching(path: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !pattern.contains(['*', '?']) {
        return Ok(if path.is_file() { vec![path.to_owned()] } else { Vec::new() });
    }
    let expression = expression(&pattern)?;
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let entries = entries.map_err(|error| format!("cannot read \"{}\": {error}", directory.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| expression.is_match(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("cannot read \"{}\": {error}", path.display());
    if std::fs::metadata(path).map_err(wrong)?.len() > FILE_BYTES_MAX {
        return Err(format!("\"{}\" has more than {FILE_BYTES_MAX} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_are_not_there_are_told_and_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tmpl"), "{{ define \"a\" }}x{{ end }}").unwrap();
        let load = |templates: &str| {
            let text = format!("route: {{receiver: r}}\nreceivers: [{{name: r}}]\ntemplates: [{templates}]\n");
            load_text(&text, folder.path()).map(|loaded| loaded.warnings)
        };
        assert_eq!(load("'*.tmpl'"), Ok(Vec::new()));
        for missing in ["nowhere/*.tmpl", "b.tmpl", "b*.tmpl"] {
            let told = format!("templates \"{missing}\": there is no such file");
            assert_eq!(load(&format!("'{missing}', a.tmpl")), Ok(vec![told]));
        }
    }
}
