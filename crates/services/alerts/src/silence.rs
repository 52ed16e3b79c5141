//! Silences: who asked for quiet about what, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use maru_prom::{Labels, Matcher};
use maru_time::Timestamp;

use crate::plan::matches_all;

/// Most silences that are kept.
pub(crate) const SILENCES_MAX: usize = 100_000;
/// Most matchers of one.
const MATCHERS_MAX: usize = 100;
/// Most bytes of the texts of one.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Quiet about the alerts that fulfil all matchers.
#[derive(Debug, Clone)]
pub struct Silence {
    /// Its identity.
    pub id: String,
    /// What an alert must fulfil.
    pub matchers: Vec<Matcher>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// What else is said about it.
    pub annotations: BTreeMap<String, String>,
}

/// Whether a silence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It does.
    Active,
    /// It will.
    Pending,
    /// It did.
    Expired,
}

impl SilenceState {
    /// Returns the word of the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Tells whether it holds.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now > self.ends_at || self.ends_at == now {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }

    fn same_matchers(&self, other: &Self) -> bool {
        let key =
            |matcher: &Matcher| (matcher.name().to_owned(), matcher.operator().to_string(), matcher.value().to_owned());
        self.matchers.iter().map(key).eq(other.matchers.iter().map(key))
    }
}

/// Why a silence was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// There is none of that identity.
    #[error("silence {0} not found")]
    NotFound(String),
    /// It says something that cannot be.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// It is over already.
    #[error("silence {0} already expired")]
    Expired(String),
}

/// All silences.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    by_id: BTreeMap<String, Silence>,
}

impl Silences {
    pub(crate) fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values()
    }

    /// Takes one as it was written down.
    pub(crate) fn restore(&mut self, silence: Silence) {
        self.by_id.insert(silence.id.clone(), silence);
    }

    /// Takes a new one, or a change of one. What may not be changed in place is expired, and a new one begins. Returns its
    /// identity and all that changed.
    pub(crate) fn set(
        &mut self,
        mut silence: Silence,
        new_id: impl FnOnce() -> String,
        now: Timestamp,
    ) -> Result<(String, Vec<Silence>), SilenceError> {
        validate(&silence)?;
        silence.updated_at = now;
        let mut changed = Vec::new();
        if !silence.id.is_empty() {
            let Some(known) = self.by_id.get(&silence.id) else { return Err(SilenceError::NotFound(silence.id)) };
            if can_update(known, &silence, now) {
                self.restore(silence.clone());
                return Ok((silence.id.clone(), vec![silence]));
            }
            if known.state(now) != SilenceState::Expired {
                changed.extend(self.expire(&silence.id.clone(), now));
            }
        }
        if self.by_id.len() >= SILENCES_MAX {
            return Err(SilenceError::Invalid(format!("exceeded maximum number of silences: {SILENCES_MAX}")));
        }
        silence.id = new_id();
        silence.starts_at = silence.starts_at.max(now);
        self.restore(silence.clone());
        let id = silence.id.clone();
        changed.push(silence);
        Ok((id, changed))
    }

    /// Ends one now.
    pub(crate) fn expire(&mut self, id: &str, now: Timestamp) -> Result<Silence, SilenceError> {
        let silence = self.by_id.get_mut(id).ok_or_else(|| SilenceError::NotFound(id.to_owned()))?;
        match silence.state(now) {
            SilenceState::Expired => return Err(SilenceError::Expired(id.to_owned())),
            SilenceState::Active => silence.ends_at = now,
            SilenceState::Pending => {
                silence.starts_at = now;
                silence.ends_at = now;
            }
        }
        silence.updated_at = now;
        Ok(silence.clone())
    }

    /// Returns the identities of those that hold for the labels.
    pub(crate) fn matching(&self, labels: &Labels, now: Timestamp) -> Vec<&str> {
        self.by_id
            .values()
            .filter(|silence| silence.state(now) == SilenceState::Active && matches_all(&silence.matchers, labels))
            .map(|silence| silence.id.as_str())
            .collect()
    }

    /// Forgets those that are over for long.
    pub(crate) fn collect(&mut self, retention: Duration, now: Timestamp) {
        self.by_id.retain(|_, silence| silence.ends_at.checked_add(retention).map_or(true, |end| end > now));
    }
}

fn validate(silence: &Silence) -> Result<(), SilenceError> {
    let wrong = |text: &str| Err(SilenceError::Invalid(text.to_owned()));
    if silence.matchers.is_empty() {
        return wrong("at least one matcher required");
    }
    if silence.matchers.len() > MATCHERS_MAX {
        return Err(SilenceError::Invalid(format!("more than {MATCHERS_MAX} matchers")));
    }
    if silence.matchers.iter().all(Matcher::matches_empty) {
        return wrong("at least one matcher must not match the empty string");
    }
    if silence.ends_at < silence.starts_at {
        return wrong("end time must not be before start time");
    }
    if silence.comment.len() + silence.created_by.len() > TEXT_BYTES_MAX {
        return Err(SilenceError::Invalid(format!("its texts have more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Tells whether a change keeps the identity.
fn can_update(known: &Silence, wanted: &Silence, now: Timestamp) -> bool {
    known.same_matchers(wanted)
        && match known.state(now) {
            SilenceState::Active => {
                wanted.starts_at.as_second() == known.starts_at.as_second() && wanted.ends_at >= now
            }
            SilenceState::Pending => wanted.starts_at >= now,
            SilenceState::Expired => false,
        }
}
