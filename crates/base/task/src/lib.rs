//! Task scopes: named, cancellable, joined; and shutdown.
//!
//! Owns: every spawned task of the process.
//! Never: detaches a task; retries; knows what a task does.
//!
//! A scope's children are cancelled with it. `Scope::shutdown` cancels, then waits for all tasks of the scope and of its
//! children, at most for the grace period.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

/// A group of tasks that stop together.
#[derive(Debug, Clone)]
pub struct Scope {
    name: String,
    token: CancellationToken,
    tracker: TaskTracker,
    /// Those of the scopes above, which wait for this one's tasks too.
    above: Vec<TaskTracker>,
    /// Where tasks run; the current runtime without.
    runtime: Option<tokio::runtime::Handle>,
}

/// Some tasks of a scope were still running when the grace period ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillRunning {
    /// How many.
    pub tasks: usize,
}

impl Scope {
    /// Creates a scope without a parent.
    #[must_use]
    pub fn root(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            token: CancellationToken::new(),
            tracker: TaskTracker::new(),
            above: Vec::new(),
            runtime: None,
        }
    }

    /// Creates a scope that is cancelled with this one, or alone. Its tasks are waited for by both.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self {
            name: format!("{}/{name}", self.name),
            token: self.token.child_token(),
            tracker: TaskTracker::new(),
            above: self.above.iter().chain([&self.tracker]).cloned().collect(),
            runtime: self.runtime.clone(),
        }
    }

    /// Creates a child whose tasks run on one thread of their own, until it is cancelled and they have ended. For thousands of small tasks
    /// that wait for sockets and clocks: among the threads of a shared runtime each of their turns wakes another thread, which costs more
    /// than the turn.
    ///
    /// # Errors
    /// When the system gives no thread or no timer.
    pub fn child_on_own_thread(&self, name: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let scope = Self { runtime: Some(runtime.handle().clone()), ..self.child(name) };
        let (own, held) = (scope.clone(), self.hold());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                own.token.cancelled().await;
                own.tracker.close();
                own.tracker.wait().await;
            });
            runtime.shutdown_background();
            drop(held);
        })?;
        Ok(scope)
    }

    /// Counts something in this scope and in those above until it is dropped.
    fn hold(&self) -> Vec<TaskTrackerToken> {
        self.above.iter().chain([&self.tracker]).map(TaskTracker::token).collect()
    }

    /// Returns the scope's name with those of its parents.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a future as a task of this scope, on the current runtime unless the scope has a thread of its own. The task should end soon after `cancelled`.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: &'static str, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let span = tracing::debug_span!("task", scope = %self.name, task);
        let held = self.hold();
        let counted = async move {
            let output = future.await;
            drop(held);
            output
        };
        // One way to spawn, as each would have room for the whole future on the stack.
        let runtime = self.runtime.clone().unwrap_or_else(tokio::runtime::Handle::current);
        runtime.spawn(counted.instrument(span))
    }

    /// Runs a future that is dropped at its next await point when the scope is cancelled.
    pub fn spawn_until_cancelled<F>(&self, task: &'static str, future: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = self.token.clone();
        self.spawn(task, async move { token.run_until_cancelled(future).await })
    }

    /// Runs blocking work on the runtime's blocking threads; the scope waits for it.
    pub fn spawn_blocking<F, R>(&self, work: F) -> tokio::task::JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let held = self.hold();
        tokio::task::spawn_blocking(move || {
            let output = work();
            drop(held);
            output
        })
    }

    /// Waits until the scope is cancelled. Cancel safe.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Tells whether the scope was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns the token, for libraries that want one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks all tasks of this scope and of its children to stop; does not wait.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Cancels, then waits for the tasks.
    ///
    /// # Errors
    /// When tasks are still running after `grace`; they go on until the runtime is dropped.
    pub async fn shutdown(&self, grace: Duration) -> Result<(), StillRunning> {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.map_err(|_| StillRunning { tasks: self.tracker.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_the_tasks_of_children() {
        let root = Scope::root("root");
        let child = root.child("child");
        let inner = child.clone();
        let task = child.spawn("waits", async move {
            inner.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            7
        });
        root.shutdown(Duration::from_secs(5)).await.unwrap();
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_names_how_many_tasks_ignore_it() {
        let root = Scope::root("root");
        drop(root.spawn("deaf", std::future::pending::<()>()));
        assert_eq!(root.shutdown(Duration::from_secs(1)).await, Err(StillRunning { tasks: 1 }));
    }

    #[tokio::test]
    async fn a_child_waits_for_its_own_tasks_only() {
        let root = Scope::root("root");
        drop(root.spawn("stays", std::future::pending::<()>()));
        let child = root.child("child");
        let inner = child.clone();
        drop(child.spawn("ends", async move { inner.cancelled().await }));
        child.shutdown(Duration::from_secs(60)).await.unwrap();
    }

    #[tokio::test]
    async fn tasks_on_their_own_thread_are_waited_for_and_the_thread_ends() {
        let root = Scope::root("root");
        let lane = root.child_on_own_thread("lane").unwrap();
        let inner = lane.clone();
        let task = lane.spawn("waits", async move {
            inner.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            std::thread::current().name().map(str::to_owned)
        });
        let blocking = lane.child("inner").spawn("names", async { std::thread::current().name().map(str::to_owned) });
        assert_eq!(blocking.await.unwrap().as_deref(), Some("lane"));
        root.shutdown(Duration::from_secs(60)).await.unwrap();
        assert_eq!(task.await.unwrap().as_deref(), Some("lane"));
    }

    #[tokio::test]
    async fn a_cancelled_child_leaves_its_parent_running() {
        let root = Scope::root("root");
        let child = root.child("child");
        child.cancel();
        assert!(child.is_cancelled() && !root.is_cancelled());
    }
}
