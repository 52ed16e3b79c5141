//! One alert: what it says, since when, until when.

use std::fmt;

use maru_prom::Labels;
use maru_time::Timestamp;

/// The identity of an alert: a hash of its labels, as Prometheus makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Returns the identity of labels.
    #[must_use]
    pub fn of(labels: &Labels) -> Self {
        // FNV-1a with a separator that no text has.
        const PRIME: u64 = 0x0100_0000_01b3;
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for (name, value) in labels.iter() {
            name.bytes().for_each(&mut add);
            add(0xff);
            value.bytes().for_each(&mut add);
            add(0xff);
        }
        Self(hash)
    }

    /// Reads what [`Fingerprint`] prints.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// An alert. Cloning shares the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What identifies it.
    pub labels: Labels,
    /// What it says.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it is over; before that it fires.
    pub ends_at: Timestamp,
    /// When it was last received.
    pub updated_at: Timestamp,
    /// Where it comes from; empty when unknown.
    pub generator_url: std::sync::Arc<str>,
    /// Whether its end is our own guess, because the sender gave none.
    pub timeout: bool,
}

impl Alert {
    /// Tells whether it is over.
    #[must_use]
    pub fn is_resolved(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// Returns its identity.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    /// Puts what is known and what has come together: the newer one says what it is about, the older one may have begun
    /// earlier. Alerts that do not overlap in time are two: the newer one stays.
    #[must_use]
    pub fn merged(known: &Self, posted: Self, now: Timestamp) -> Self {
        let ends_inside = posted.ends_at > known.starts_at && posted.ends_at < known.ends_at;
        let starts_inside = posted.starts_at > known.starts_at && posted.starts_at < known.ends_at;
        if !ends_inside && !starts_inside {
            return posted;
        }
        let (older, newer) = if posted.updated_at < known.updated_at { (&posted, known) } else { (known, &posted) };
        let mut merged = newer.clone();
        merged.starts_at = merged.starts_at.min(older.starts_at);
        let is_later = older.ends_at > newer.ends_at;
        if newer.is_resolved(now) {
            if older.is_resolved(now) && is_later {
                merged.ends_at = older.ends_at;
            }
        } else if is_later && !older.timeout {
            // An end that a sender gave counts more than a guess.
            merged.ends_at = older.ends_at;
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alert(starts: i64, ends: i64, updated: i64, timeout: bool) -> Alert {
        Alert {
            labels: Labels::from_pairs([("alertname", "a")]),
            annotations: Labels::empty(),
            starts_at: at(starts),
            ends_at: at(ends),
            updated_at: at(updated),
            generator_url: "".into(),
            timeout,
        }
    }

    #[test]
    fn fingerprints_are_those_of_prometheus() {
        let labels = Labels::from_pairs([("name1", "value1"), ("name2", "value2"), ("name3", "value3")]);
        assert_eq!(Fingerprint::of(&Labels::empty()).to_string(), "cbf29ce484222325");
        let fingerprint = Fingerprint::of(&labels);
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
    }

    #[test]
    fn posts_merge() {
        // now, known (starts, ends, updated, timeout), posted, expected (starts, ends)
        let table = [
            ("extends", 20, (10, 60, 10, true), (15, 80, 20, true), (10, 80)),
            ("resolves", 30, (10, 60, 10, true), (15, 29, 30, false), (10, 29)),
            ("a given end beats a guess", 20, (10, 90, 10, false), (15, 80, 20, true), (10, 90)),
            ("a guess does not", 20, (10, 90, 10, true), (15, 80, 20, false), (10, 80)),
            ("does not overlap", 100, (10, 60, 10, true), (99, 200, 100, true), (99, 200)),
            ("both are over, the later end counts", 100, (10, 60, 10, false), (10, 50, 100, false), (10, 60)),
        ];
        for (name, now, known, posted, expected) in table {
            let known = alert(known.0, known.1, known.2, known.3);
            let posted = alert(posted.0, posted.1, posted.2, posted.3);
            let merged = Alert::merged(&known, posted, at(now));
            assert_eq!((merged.starts_at, merged.ends_at), (at(expected.0), at(expected.1)), "{name}");
        }
    }
}
