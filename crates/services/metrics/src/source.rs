//! The store as the engine sees it.

use maru_prom::Labels;
use maru_promql::{Samples, Selection, Series, Source, SourceError};
use maru_series::{SelectError, SelectHints, SelectedSeries, SeriesStore, TimeRange};

/// The store with the limits of one query.
#[derive(Debug)]
pub(crate) struct StoreSource<'s> {
    pub(crate) store: &'s SeriesStore,
    pub(crate) series_max: usize,
}

/// One series of the store.
pub(crate) struct StoreSeries(SelectedSeries);

impl StoreSource<'_> {
    /// Returns the series of a selection.
    pub(crate) fn found(&self, selection: &Selection) -> Result<Vec<StoreSeries>, SourceError> {
        let hints = SelectHints {
            step_ms: selection.step_ms,
            function: selection.function.clone(),
            window_ms: selection.window_ms,
            series_max: Some(self.series_max),
            allows_downsampled: true,
        };
        let range = TimeRange { start_ms: selection.range.start_ms, end_ms: selection.range.end_ms };
        let found = self.store.select(&selection.matchers, range, &hints).map_err(source_error)?;
        Ok(found.into_iter().map(StoreSeries).collect())
    }
}

impl Source for StoreSource<'_> {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        let found = self.found(selection)?;
        Ok(found.into_iter().map(|series| Box::new(series) as Box<dyn Series + 'a>).collect())
    }
}

impl Series for StoreSeries {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), SourceError> {
        let Samples { timestamps, values, histograms, start_timestamps, histogram_starts } = into;
        self.0
            .read_with_starts(timestamps, values, histograms, start_timestamps, histogram_starts)
            .map_err(source_error)
    }
}

fn source_error(error: SelectError) -> SourceError {
    match error {
        SelectError::TooManySeries { .. } | SelectError::Downsampled { .. } => SourceError::Limit(error.to_string()),
        other => SourceError::Read(other.to_string()),
    }
}
