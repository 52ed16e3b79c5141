//! The house's rules that a compiler does not check.
//!
//! Source: the style guide, §1 and §8.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Something that breaks a rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

pub(crate) fn finding(place: impl fmt::Display, message: impl Into<String>) -> Finding {
    Finding { place: place.to_string(), message: message.into() }
}

/// The layers from top to bottom; `host` and `store` are one layer.
const LAYERS: [(&str, u8); 7] =
    [("maru", 6), ("services", 5), ("contract", 4), ("host", 3), ("store", 3), ("formats", 2), ("base", 1)];

/// Lines of one file before its tests.
const FILE_LINES_MAX: usize = 500;

/// A file may be longer when its head says why, after this mark.
const LONG_MARK: &str = "Long because";

const ROOM_NAMES_BANNED: [&str; 5] = ["util", "utils", "common", "helpers", "misc"];

struct Room {
    name: String,
    layer: String,
    folder: PathBuf,
    arrows: BTreeSet<String>,
}

/// Returns all findings of the checkout at `root`.
///
/// # Errors
/// When a file of the house cannot be read.
pub(crate) fn check(root: &Path) -> io::Result<Vec<Finding>> {
    let rooms = rooms(root)?;
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let mut findings = Vec::new();
    check_arrows(&rooms, &map, &mut findings);
    for room in &rooms {
        check_files(root, room, &mut findings)?;
    }
    check_links(root, &mut findings)?;
    Ok(findings)
}

fn rooms(root: &Path) -> io::Result<Vec<Room>> {
    let mut rooms = vec![read_room("maru", &root.join("crates/maru"))?];
    for (layer, _) in LAYERS.iter().skip(1) {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("crates").join(layer))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        folders.sort();
        for folder in folders.iter().filter(|folder| folder.join("Cargo.toml").exists()) {
            rooms.push(read_room(layer, folder)?);
        }
    }
    Ok(rooms)
}

fn read_room(layer: &str, folder: &Path) -> io::Result<Room> {
    let text = std::fs::read_to_string(folder.join("Cargo.toml"))?;
    let manifest: toml::Table = text.parse().map_err(io::Error::other)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arrows = manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(toml::Table::keys)
        .filter_map(|key| key.strip_prefix("maru-"))
        .map(str::to_owned)
        .collect();
    Ok(Room { name, layer: layer.to_owned(), folder: folder.to_owned(), arrows })
}

fn check_arrows(rooms: &[Room], map: &str, findings: &mut Vec<Finding>) {
    let height: BTreeMap<&str, u8> = LAYERS.into_iter().collect();
    let by_name: BTreeMap<&str, &Room> = rooms.iter().map(|room| (room.name.as_str(), room)).collect();
    for room in rooms {
        let place = format!("crates/{}/{}", room.layer, room.name);
        if ROOM_NAMES_BANNED.contains(&room.name.as_str()) {
            findings.push(finding(&place, "a room is named for what it does"));
        }
        if !map.contains(&format!("`{}`", room.name)) {
            findings.push(finding(&place, "ARCHITECTURE.md does not name this room"));
        }
        for target in &room.arrows {
            let Some(other) = by_name.get(target.as_str()) else {
                findings.push(finding(&place, format!("depends on \"{target}\", which is no room")));
                continue;
            };
            let (from, to) = (height[room.layer.as_str()], height[other.layer.as_str()]);
            if to > from {
                findings.push(finding(&place, format!("depends upwards on {}/{target}", other.layer)));
            } else if room.layer == "services" && other.layer == "services" {
                findings.push(finding(
                    &place,
                    format!("services never depend on each other, but this one does on {target}"),
                ));
            } else if to == from && !map.contains(&format!("`{}` → `{target}`", room.name)) {
                findings.push(finding(
                    &place,
                    format!("the arrow `{}` → `{target}` is not drawn in ARCHITECTURE.md", room.name),
                ));
            }
        }
    }
}

fn check_files(root: &Path, room: &Room, findings: &mut Vec<Finding>) -> io::Result<()> {
    for file in files_below(&room.folder, &["rs"])? {
        let text = std::fs::read_to_string(&file)?;
        let place = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if place.contains("/testdata/") || place.contains("/data/") {
            continue;
        }
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        if head.is_empty() {
            findings.push(finding(&place, "a file opens with what it is for (//! …)"));
        }
        if place.ends_with("/src/lib.rs") {
            for part in ["Owns:", "Never:"] {
                if !head.contains(part) {
                    findings.push(finding(&place, format!("the room's head has no \"{part}\"")));
                }
            }
        }
        let in_tests = place.contains("/tests/") || place.ends_with("tests.rs");
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if !in_tests && lines > FILE_LINES_MAX && !head.contains(LONG_MARK) {
            findings.push(finding(
                &place,
                format!(
                    "{lines} lines before its tests; split it at {FILE_LINES_MAX} or say \"{LONG_MARK} …\" in its head"
                ),
            ));
        }
        check_words(&place, &text, room, findings);
    }
    Ok(())
}

fn check_words(place: &str, text: &str, room: &Room, findings: &mut Vec<Finding>) {
    let banned = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{place}:{}", number + 1);
        for word in banned {
            if line.contains(word) {
                findings.push(finding(at(), format!("\"{word}\" does not land")));
            }
        }
        if room.name != "sys"
            && (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
        {
            findings.push(finding(at(), "unsafe code lives in the room `sys` alone"));
        }
    }
}

/// Every relative link of the documents leads somewhere.
fn check_links(root: &Path, findings: &mut Vec<Finding>) -> io::Result<()> {
    let mut documents = files_below(&root.join("docs"), &["md"])?;
    documents
        .extend(["README.md", "ARCHITECTURE.md"].map(|name| root.join(name)).into_iter().filter(|file| file.exists()));
    for document in documents {
        let text = std::fs::read_to_string(&document)?;
        let folder = document.parent().unwrap_or(root);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !folder.join(path).exists() {
                let place = document.strip_prefix(root).unwrap_or(&document).display().to_string();
                findings.push(finding(place, format!("the link to \"{target}\" leads nowhere")));
            }
        }
    }
    Ok(())
}

pub(crate) fn files_below(folder: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, extensions)?);
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|one| extension == *one)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let findings = check(&crate::root()).unwrap();
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(text.is_empty(), "{}", text.join("\n"));
    }

    fn room(layer: &str, name: &str, arrows: &[&str]) -> Room {
        Room {
            name: name.to_owned(),
            layer: layer.to_owned(),
            folder: PathBuf::new(),
            arrows: arrows.iter().map(|arrow| (*arrow).to_owned()).collect(),
        }
    }

    #[test]
    fn arrows_that_break_the_layers_are_found() {
        let rooms = [
            room("services", "node", &["gateway", "objects"]),
            room("services", "gateway", &[]),
            room("store", "objects", &["auth", "blobs"]),
            room("store", "blobs", &[]),
            room("contract", "auth", &[]),
        ];
        let map = "`node` `gateway` `objects` `blobs` `auth`";
        let mut findings = Vec::new();
        check_arrows(&rooms, map, &mut findings);
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "crates/services/node: services never depend on each other, but this one does on gateway",
                "crates/store/objects: depends upwards on contract/auth",
                "crates/store/objects: the arrow `objects` → `blobs` is not drawn in ARCHITECTURE.md",
            ]
        );
    }

    #[test]
    fn unfinished_code_and_stray_unsafe_are_found() {
        let mut findings = Vec::new();
        let text = concat!("fn f() { to", "do!() }\nunsafe { g() }\n");
        check_words("a.rs", text, &room("base", "time", &[]), &mut findings);
        assert_eq!(findings.len(), 2, "{findings:?}");
        findings.clear();
        check_words("a.rs", "unsafe { g() }", &room("host", "sys", &[]), &mut findings);
        assert!(findings.is_empty());
    }
}
