//! Links that log somebody in, once.

use std::path::Path;
use std::time::Duration;

use maru_auth::{Identity, SecretText};
use maru_time::{SharedClock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::records::{ConsoleError, Records, hash, random_secret};

/// Users that exist in this process only.
const ROOMS: &str = "system:maru";

/// Whom a link logs in, and for how long it can be used.
#[derive(Debug, Clone)]
pub struct LinkSpec {
    /// The user.
    pub user: String,
    /// The user's groups; that of all who have authenticated is added.
    pub groups: Vec<String>,
    /// How long the link can be used.
    pub lifetime: Duration,
}

impl LinkSpec {
    /// Returns a link for the administrator, as in the kubeconfig that `maru up` writes.
    #[must_use]
    pub fn administrator(lifetime: Duration) -> Self {
        Self { user: "maru-admin".to_owned(), groups: vec![Identity::MASTERS.to_owned()], lifetime }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LinkRecord {
    user: String,
    groups: Vec<String>,
    expires: Timestamp,
}

/// The links that can be used. Whoever may write the folder may make some: root on this machine.
#[derive(Debug, Clone)]
pub struct Links {
    records: Records<LinkRecord>,
    clock: SharedClock,
}

impl Links {
    /// Returns the links in the console's folder.
    #[must_use]
    pub fn new(folder: &Path, clock: SharedClock) -> Self {
        Self { records: Records::new(folder.join("links")), clock }
    }

    /// Makes a link and returns its code; only the code's hash is kept.
    ///
    /// # Errors
    /// When the folder cannot be written, or the user is a part of Maru.
    pub fn create(&self, spec: &LinkSpec) -> Result<SecretText, ConsoleError> {
        if spec.user.starts_with(ROOMS) {
            return Err(ConsoleError::RoomUser { user: spec.user.clone() });
        }
        let now = self.clock.now();
        for (name, old) in self.records.list()? {
            if old.expires <= now {
                self.records.remove(&name)?;
            }
        }
        let code = random_secret();
        let expires = now.saturating_add(spec.lifetime).unwrap_or(now);
        let record = LinkRecord { user: spec.user.clone(), groups: spec.groups.clone(), expires };
        self.records.write(&hash(code.reveal()), &record)?;
        Ok(code)
    }

    /// Uses a link up and returns whom it logs in; nothing when it was used before, is too old, or never was.
    pub(crate) fn take(&self, code: &str) -> Result<Option<Identity>, ConsoleError> {
        let name = hash(code);
        let Some(record) = self.records.read(&name) else { return Ok(None) };
        if !self.records.remove(&name)? || record.expires <= self.clock.now() {
            return Ok(None);
        }
        let groups: Vec<&str> = record.groups.iter().map(String::as_str).collect();
        Ok(Some(Identity::new(&record.user, &groups)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_time::TestClock;

    #[test]
    fn a_link_works_once_and_not_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let links = Links::new(folder.path(), clock.clone());
        let spec = LinkSpec { user: "kim".to_owned(), groups: vec![], lifetime: Duration::from_secs(600) };
        let first = links.create(&spec).unwrap();
        let second = links.create(&spec).unwrap();
        let files = std::fs::read_dir(folder.path().join("links")).unwrap();
        for file in files {
            let file = file.unwrap();
            let text = format!("{:?} {}", file.file_name(), std::fs::read_to_string(file.path()).unwrap());
            assert!(!text.contains(first.reveal()) && !text.contains(second.reveal()), "{text}");
        }
        assert_eq!(links.take(first.reveal()).unwrap(), Some(Identity::new("kim", &[])));
        assert_eq!(links.take(first.reveal()).unwrap(), None);
        assert_eq!(links.take("../links/x").unwrap(), None);
        clock.advance(Duration::from_secs(600));
        assert_eq!(links.take(second.reveal()).unwrap(), None);
    }

    #[test]
    fn nobody_logs_in_as_a_room() {
        let folder = tempfile::tempdir().unwrap();
        let links = Links::new(folder.path(), maru_time::system_clock());
        let spec = LinkSpec { user: "system:maru:node".to_owned(), groups: vec![], lifetime: Duration::from_secs(60) };
        assert!(matches!(links.create(&spec), Err(ConsoleError::RoomUser { .. })));
    }
}
