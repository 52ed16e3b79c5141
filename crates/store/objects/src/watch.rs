//! A reader of one resource's changes.

use crate::errors::WatchError;
use crate::types::{Event, Revision};

/// Delivers the changes of one resource in the order of their revisions, without gaps.
#[derive(Debug)]
pub struct Watcher {}

impl Watcher {
    /// Waits for the next change. The history window is the buffer: a watcher that falls behind it is told so.
    ///
    /// # Errors
    /// When events that were not yet delivered have left the history window, or when the store closes.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call loses no event.
    pub async fn next(&mut self) -> Result<Event, WatchError> {
        todo!()
    }

    /// Returns the revision up to which everything was delivered: what a bookmark may say.
    #[must_use]
    pub fn progress(&self) -> Revision {
        todo!()
    }
}
