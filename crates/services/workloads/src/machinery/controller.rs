//! The loop that runs a reconciler over its queue.
//!
//! `maru_client::run_controller` opens watches of its own for each controller. Here a dozen controllers read pods, and
//! a wake-up must never arrive before the cache that the reconciler reads: so one cache a kind feeds all queues.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use maru_client::{Backoff, ReconcileError};
use maru_task::Scope;
use maru_telemetry::{Counter, Family, Gauge, Histogram, Registry};
use tokio::time::Instant;

use super::{Key, WorkQueue};

/// How a look at an object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Look again at the next change, or at the resync period.
    Settled,
    /// Look again after this time, or at the next change.
    After(Duration),
    /// There is no such object: look again when there is.
    Gone,
}

impl Done {
    /// Settled, or after the time when there is one.
    pub(crate) fn after(delay: Option<Duration>) -> Self {
        delay.map_or(Self::Settled, Self::After)
    }
}

/// Brings one object nearer to what is desired.
pub(crate) trait Reconcile: Send + Sync + 'static {
    /// Named in logs and metrics.
    const NAME: &'static str;

    /// Looks at the whole observed state of one object and acts. Runs never twice at once for one key.
    fn reconcile(&self, key: &Key) -> impl Future<Output = Result<Done, ReconcileError>> + Send;
}

/// Even a settled object is looked at again after this time.
const RESYNC: Duration = Duration::from_secs(300);
/// Objects of one controller that are worked on at a time.
const CONCURRENT_MAX: usize = 8;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// The metrics of all controllers; label `name` is the controller's.
#[derive(Debug, Clone)]
pub(crate) struct ControllerMetrics {
    depth: Arc<Family<Gauge>>,
    seconds: Arc<Family<Histogram>>,
    errors: Arc<Family<Counter>>,
}

impl ControllerMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            depth: registry.family("workqueue_depth", "Objects that wait for their controller.", &["name"]),
            seconds: registry.family("workqueue_work_duration_seconds", "Time of one look at an object.", &["name"]),
            errors: registry.family("workqueue_retries_total", "Looks that failed and are tried again.", &["name"]),
        }
    }
}

/// Runs a reconciler over its queue until the scope is cancelled; what was begun is finished.
pub(crate) async fn drive<R: Reconcile>(
    scope: Scope,
    queue: Arc<WorkQueue>,
    reconciler: Arc<R>,
    metrics: ControllerMetrics,
) {
    let backoff = Backoff::<Key>::new(BACKOFF_FIRST, BACKOFF_CAP);
    let (depth, seconds, errors) =
        (metrics.depth.with(&[R::NAME]), metrics.seconds.with(&[R::NAME]), metrics.errors.with(&[R::NAME]));
    let mut running = FuturesUnordered::new();
    loop {
        let free = running.len() < CONCURRENT_MAX;
        tokio::select! {
            biased;
            () = scope.cancelled() => break,
            Some((key, result)) = running.next(), if !running.is_empty() => {
                settle(R::NAME, &queue, &backoff, &errors, &key, result);
            }
            // Cancel safe.
            key = queue.next(), if free => {
                depth.set(i64::try_from(queue.depth()).unwrap_or(i64::MAX));
                let (reconciler, seconds) = (Arc::clone(&reconciler), Arc::clone(&seconds));
                running.push(async move {
                    let start = Instant::now();
                    let result = reconciler.reconcile(&key).await;
                    seconds.observe(start.elapsed());
                    (key, result)
                });
            }
        }
    }
    while running.next().await.is_some() {}
}

fn settle(
    name: &str,
    queue: &WorkQueue,
    backoff: &Backoff<Key>,
    errors: &Counter,
    key: &Key,
    result: Result<Done, ReconcileError>,
) {
    match result {
        Ok(done) => {
            backoff.succeeded(key);
            match done {
                Done::Settled => queue.add_after(key.clone(), RESYNC),
                Done::After(delay) => queue.add_after(key.clone(), delay.min(RESYNC)),
                Done::Gone => {}
            }
        }
        Err(error) => {
            errors.inc();
            let delay = backoff.failed(key.clone());
            tracing::debug!(controller = name, object = %key, error = %chain(&*error), ?delay, "reconcile failed");
            queue.add_after(key.clone(), delay);
        }
    }
    queue.finished(key);
}

/// Writes an error with all its sources on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct FailsTwice(Mutex<Vec<Duration>>);

    impl Reconcile for FailsTwice {
        const NAME: &'static str = "test";

        async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
            let mut seen = self.0.lock().unwrap();
            seen.push(Instant::now().duration_since(*START.get_or_init(Instant::now)));
            if seen.len() <= 2 { Err(format!("{key} failed").into()) } else { Ok(Done::Gone) }
        }
    }

    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

    #[tokio::test(start_paused = true)]
    async fn a_failed_object_is_tried_again_with_growing_delay() {
        let scope = Scope::root("test");
        let queue = Arc::new(WorkQueue::default());
        let reconciler = Arc::new(FailsTwice::default());
        let metrics = ControllerMetrics::new(&Registry::default());
        queue.add(Key::new("shop", "a"));
        drop(scope.spawn("drive", drive(scope.clone(), Arc::clone(&queue), Arc::clone(&reconciler), metrics)));
        tokio::time::sleep(Duration::from_secs(10)).await;
        scope.shutdown(Duration::from_secs(1)).await.unwrap();
        let seen = reconciler.0.lock().unwrap();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen[2] >= Duration::from_millis(300), "{seen:?}");
    }
}
