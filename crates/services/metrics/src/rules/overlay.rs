//! What rules of a rehearsal read: recorded samples, and what the rules before them made of these.

use std::collections::BTreeSet;
use std::sync::Arc;

use maru_prom::{METRIC_NAME, Matcher, MatcherOperator};
use maru_promql::{MemorySource, Selection, Series, Source, SourceError};

/// Recorded samples with the results of rehearsed rules in the place of those that the running system recorded.
pub(crate) struct Overlay {
    pub(crate) base: Arc<dyn Source>,
    pub(crate) recorded: MemorySource,
    pub(crate) names: BTreeSet<String>,
}

impl Source for Overlay {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        let is_name =
            |matcher: &&Matcher| matcher.name() == METRIC_NAME && matcher.operator() == MatcherOperator::Equal;
        match selection.matchers.iter().find(is_name) {
            Some(name) if self.names.contains(name.value()) => return self.recorded.select(selection),
            Some(_) => return self.base.select(selection),
            None => {}
        }
        let mut found = self.base.select(selection)?;
        found.retain(|series| !self.names.contains(series.labels().metric_name()));
        found.extend(self.recorded.select(selection)?);
        found.sort_by(|left, right| left.labels().cmp(right.labels()));
        Ok(found)
    }
}
