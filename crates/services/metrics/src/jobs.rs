//! Work on blocking threads: so many at a time, so many waiting, given up when the client leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use maru_http::Body;
use maru_promql::Cancel;
use maru_task::Scope;
use maru_telemetry::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::{self, Sink, answering};
use crate::fault::Fault;

/// One kind of work with its bound.
#[derive(Debug)]
pub(crate) struct Jobs {
    name: &'static str,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    scope: Scope,
    running_gauge: Arc<Gauge>,
    waiting_gauge: Arc<Gauge>,
}

/// Ends the work when the request that wanted it is dropped before its answer began.
#[derive(Default)]
struct CancelOnDrop {
    cancel: Cancel,
    has_answered: bool,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.has_answered {
            self.cancel.cancel();
        }
    }
}

/// A turn; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    running: Arc<Gauge>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.add(-1);
    }
}

struct Waiting<'a>(&'a Jobs);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.waiting_gauge.add(-1);
    }
}

impl Jobs {
    pub(crate) fn new(
        scope: Scope,
        name: &'static str,
        running_max: usize,
        waiting_max: usize,
        gauges: (Arc<Gauge>, Arc<Gauge>),
    ) -> Self {
        Self {
            name,
            permits: Arc::new(Semaphore::new(running_max.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max,
            scope,
            running_gauge: gauges.0,
            waiting_gauge: gauges.1,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When too many wait already, or none comes in time.
    ///
    /// # Cancel safety
    /// Leaves the queue when dropped.
    pub(crate) async fn turn(&self, patience: Duration) -> Result<Turn, Fault> {
        let turn = |permit| {
            self.running_gauge.add(1);
            Turn { _permit: permit, running: Arc::clone(&self.running_gauge) }
        };
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(turn(permit));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::Unavailable {
                message: format!("too many {} wait already ({}); try again later", self.name, self.waiting_max),
                retry_after_seconds: 1,
            });
        }
        self.waiting_gauge.add(1);
        let _waiting = Waiting(self);
        match tokio::time::timeout(patience, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(permit) => Ok(turn(permit.expect("the semaphore is never closed"))),
            Err(_) => Err(Fault::Timeout(format!("timed out while it waited behind other {}", self.name))),
        }
    }

    /// Runs `work` on a blocking thread and returns its result. The work should end soon after it is cancelled.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&Cancel) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let turn = self.turn(patience).await?;
        let guard = CancelOnDrop::default();
        let cancel = guard.cancel.clone();
        let job = self.scope.spawn_blocking(move || {
            let _turn = turn;
            work(&cancel)
        });
        job.await.unwrap_or_else(|_| Err(crashed()))
    }

    /// Runs `work`, which writes its answer, on a blocking thread.
    pub(crate) async fn answer(
        &self,
        patience: Duration,
        compress: bool,
        work: impl FnOnce(&mut Sink, &Cancel) -> Result<(), Fault> + Send + 'static,
    ) -> Response<Body> {
        let turn = match self.turn(patience).await {
            Ok(turn) => turn,
            Err(fault) => return answer::error(&fault),
        };
        let mut guard = CancelOnDrop::default();
        let cancel = guard.cancel.clone();
        let (mut sink, answer) = answering(compress);
        drop(self.scope.spawn_blocking(move || {
            let _turn = turn;
            let result = work(&mut sink, &cancel);
            sink.finish(result);
        }));
        let response = answer.await;
        // From here on the work notices by itself when nobody takes the body.
        guard.has_answered = true;
        response.unwrap_or_else(|_| answer::error(&crashed()))
    }
}

fn crashed() -> Fault {
    Fault::Internal("the request met a fault of ours; see the server's log".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(running: usize, waiting: usize) -> Arc<Jobs> {
        Arc::new(Jobs::new(Scope::root("jobs"), "queries", running, waiting, Default::default()))
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_and_those_that_wait_too_long_time_out() {
        let jobs = jobs(1, 1);
        let turn = jobs.turn(Duration::from_secs(60)).await.unwrap();
        let waiting = Arc::clone(&jobs);
        let second = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(waiting.turn(Duration::from_secs(60)))
        });
        maru_testkit::wait_until(Duration::from_secs(60), "one waits", async || {
            jobs.waiting.load(Ordering::Relaxed) == 1
        })
        .await;
        let refused = jobs.turn(Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(refused, Fault::Unavailable { .. }), "{refused:?}");
        drop(turn);
        let _second = second.await.unwrap().unwrap();
        let late = jobs.turn(Duration::from_millis(1)).await.unwrap_err();
        assert!(matches!(late, Fault::Timeout(_)), "{late:?}");
        assert_eq!(jobs.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn work_is_cancelled_when_its_request_is_dropped() {
        let jobs = jobs(1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let request = jobs.run(Duration::from_secs(60), move |cancel| {
            started.send(()).unwrap();
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
            Ok(())
        });
        tokio::select! {
            _ = request => panic!("it ends only when cancelled"),
            _ = has_started => {}
        }
        has_ended.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let response = jobs(1, 1).answer(Duration::from_secs(60), false, |_, _| panic!("announced by the test")).await;
        assert_eq!(response.status(), 500);
    }
}
