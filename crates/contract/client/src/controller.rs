//! Runs a reconciler: wakes it on changes and on a period, backs off per object.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use maru_task::Scope;

/// When to look at an object again although nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// At the next change, or at the resync period.
    Settled,
    /// After this time, or at the next change.
    After(Duration),
}

/// Any error of a reconciler; its chain is logged once, here.
pub type ReconcileError = Box<dyn std::error::Error + Send + Sync>;

/// Even a settled object is looked at again after this time.
const RESYNC: Duration = Duration::from_secs(300);

/// Exponential, capped, jittered delays for each object that fails.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
    first: Duration,
    cap: Duration,
}

impl<K: Eq + Hash> Backoff<K> {
    /// Creates delays that double from `first` up to `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { failures: Mutex::default(), first, cap }
    }

    /// Counts a failure and returns how long to wait, with up to a quarter of jitter on top.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        let delay = self.first.saturating_mul(1 << (*count).min(20)).min(self.cap);
        *count = count.saturating_add(1);
        let mut jitter = [0u8; 1];
        maru_ids::fill_random(&mut jitter);
        delay + delay.mul_f64(f64::from(jitter[0]) / 1024.0)
    }

    /// Forgets the failures of an object.
    pub fn succeeded(&self, key: &K) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Runs `reconcile` for each object of `controller` until the scope is cancelled.
///
/// The function must read the whole observed state itself: it is told which object, never what changed. It may run
/// again at any time; one object is never reconciled twice at once. An error is logged and tried again after 100 ms,
/// doubling to 60 s.
pub async fn run_controller<K, C, F, R>(
    scope: Scope,
    name: &'static str,
    controller: Controller<K>,
    context: Arc<C>,
    reconcile: F,
) where
    K: kube::Resource + Clone + Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
    K::DynamicType: Debug + Eq + Hash + Clone + Default + Unpin + Send + Sync,
    C: Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<C>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Outcome, ReconcileError>> + Send + 'static,
{
    let backoff = Arc::new(Backoff::<ObjectRef<K>>::new(Duration::from_millis(100), Duration::from_secs(60)));
    let succeeded = Arc::clone(&backoff);
    let stream = controller.graceful_shutdown_on(scope.token().cancelled_owned()).run(
        move |object: Arc<K>, context: Arc<C>| {
            let key = ObjectRef::from_obj(object.as_ref());
            let running = reconcile(object, context);
            let succeeded = Arc::clone(&succeeded);
            async move {
                let outcome = running.await.map_err(Failed)?;
                succeeded.succeeded(&key);
                Ok(match outcome {
                    Outcome::Settled => Action::requeue(RESYNC),
                    Outcome::After(delay) => Action::requeue(delay),
                })
            }
        },
        move |object, error: &Failed, _context| {
            let key = ObjectRef::from_obj(object.as_ref());
            let delay = backoff.failed(key.clone());
            tracing::debug!(controller = name, object = %key, error = %chain(&*error.0), ?delay, "reconcile failed");
            Action::requeue(delay)
        },
        context,
    );
    let mut stream = std::pin::pin!(stream);
    while let Some(result) = stream.next().await {
        match result {
            Ok(_) => {}
            Err(kube::runtime::controller::Error::ObjectNotFound(_)) => {}
            // Logged above with its delay.
            Err(kube::runtime::controller::Error::ReconcilerFailed(..)) => {}
            Err(error) => tracing::warn!(controller = name, error = %chain(&error), "watch failed; trying again"),
        }
    }
}

#[derive(Debug)]
struct Failed(ReconcileError);

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Writes an error with all its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
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
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_over() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<u128> = (0..6).map(|_| backoff.failed("a").as_millis()).collect();
        for (delay, base) in delays.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            assert!(*delay >= base && *delay <= base + base / 4, "{delays:?}");
        }
        backoff.succeeded(&"a");
        assert!(backoff.failed("a").as_millis() <= 125);
    }
}
