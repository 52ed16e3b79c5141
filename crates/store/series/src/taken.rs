//! What the store takes in, told to those who pass it on, such as senders to other servers.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use maru_prom::{Exemplar, Histogram};

use crate::ingest::SeriesRef;

/// Hears of every batch that is taken in, before it is acknowledged.
pub trait Follower: std::fmt::Debug + Send + Sync {
    /// Takes what a batch brought. A writer waits for this: it has to be short.
    fn follow(&self, taken: &Arc<Taken>);
}

/// What one batch brought that was not there yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Taken {
    /// Floats in the order in which they were taken.
    pub floats: Vec<TakenSample<f64>>,
    /// Native histograms likewise.
    pub histograms: Vec<TakenSample<Arc<Histogram>>>,
    /// Exemplars, each with its series.
    pub exemplars: Vec<(SeriesRef, Exemplar)>,
}

/// A sample that was taken in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TakenSample<T> {
    /// The series.
    pub series: SeriesRef,
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value.
    pub value: T,
    /// When the counter behind it started, in milliseconds since 1970; 0: nobody knows.
    pub start_ms: i64,
    /// Whether its series had a newer sample already.
    pub is_late: bool,
}

impl Taken {
    /// Returns how many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Tells whether the batch brought nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.exemplars.is_empty()
    }

    /// Goes over series and times of all samples.
    pub fn times(&self) -> impl Iterator<Item = (SeriesRef, i64)> {
        let floats = self.floats.iter().map(|sample| (sample.series, sample.timestamp_ms));
        floats.chain(self.histograms.iter().map(|sample| (sample.series, sample.timestamp_ms)))
    }
}

/// Those who follow a store.
#[derive(Debug, Default)]
pub(crate) struct Followers(RwLock<Vec<Weak<dyn Follower>>>);

impl Followers {
    pub(crate) fn add(&self, follower: &Arc<dyn Follower>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(follower));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().all(|one| one.strong_count() == 0)
    }

    pub(crate) fn tell(&self, taken: Taken) {
        let taken = Arc::new(taken);
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).for_each(|one| one.follow(&taken));
    }
}
