//! Time zones by name, from the machine's own files.

use std::path::{Component, Path};

use jiff::tz::TimeZone;

const ZONES: &str = "/usr/share/zoneinfo";

/// Reads a zone by its name, such as `Asia/Seoul`; none when the machine does not have it (Debian's package is `tzdata`).
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Etc/UTC") {
        return Some(TimeZone::UTC);
    }
    let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || name.is_empty() {
        return None;
    }
    let data = std::fs::read(Path::new(ZONES).join(name)).ok()?;
    TimeZone::tzif(name, &data).ok()
}

#[cfg(test)]
mod tests {
    use super::zone;

    #[test]
    fn zones_are_found_by_name_and_paths_are_not() {
        assert!(zone("UTC").is_some());
        for wrong in ["", "../../../etc/passwd", "/etc/passwd", "Nowhere/City", "."] {
            assert!(zone(wrong).is_none(), "{wrong}");
        }
    }
}
