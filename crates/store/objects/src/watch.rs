//! A reader of one resource's changes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::errors::{Expired, WatchError};
use crate::shared::Shared;
use crate::types::{Event, Revision};

/// How many events are taken from the window at a time.
const BUFFER_EVENTS: usize = 128;

/// Delivers the changes of one resource in the order of their revisions, without gaps.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    resource: Arc<str>,
    namespace: Option<Arc<str>>,
    /// Everything up to here is delivered or in `buffer`.
    position: Revision,
    buffer: VecDeque<Event>,
    changed: tokio::sync::watch::Receiver<Revision>,
}

impl Watcher {
    pub(crate) fn start(
        shared: &Arc<Shared>,
        resource: &str,
        namespace: Option<&str>,
        after: Revision,
    ) -> Result<Self, Expired> {
        let resource: Arc<str> = resource.into();
        let changed = shared.write_memory().subscribe(&resource, after)?;
        Ok(Self {
            shared: Arc::clone(shared),
            resource,
            namespace: namespace.map(Into::into),
            position: after,
            buffer: VecDeque::new(),
            changed,
        })
    }

    /// Waits for the next change. The history window is the buffer: a watcher that falls behind it is told so.
    ///
    /// # Errors
    /// When events that were not yet delivered have left the history window, or when the store closes.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call loses no event.
    pub async fn next(&mut self) -> Result<Event, WatchError> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                return Ok(event);
            }
            self.changed.mark_unchanged();
            let closed = self.fill()?;
            if self.buffer.is_empty() && (closed || self.changed.changed().await.is_err()) {
                return Err(WatchError::Closed);
            }
        }
    }

    /// Returns the next change if there is one already.
    ///
    /// # Errors
    /// As `next`.
    pub fn try_next(&mut self) -> Result<Option<Event>, WatchError> {
        if self.buffer.is_empty() && self.fill()? && self.buffer.is_empty() {
            return Err(WatchError::Closed);
        }
        Ok(self.buffer.pop_front())
    }

    fn fill(&mut self) -> Result<bool, Expired> {
        let memory = self.shared.read_memory();
        let (events, position) =
            memory.events_after(&self.resource, self.namespace.as_deref(), self.position, BUFFER_EVENTS)?;
        self.buffer = events;
        self.position = position;
        Ok(memory.is_closed())
    }

    /// Returns the revision up to which everything was delivered: what a bookmark may say.
    #[must_use]
    pub fn progress(&self) -> Revision {
        match self.buffer.front() {
            Some(event) => Revision(event.revision.0 - 1),
            None => self.shared.read_memory().quiet_through(&self.resource, self.position),
        }
    }
}
