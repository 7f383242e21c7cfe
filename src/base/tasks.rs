//! Everything that runs beside its caller is started here: counted, named, cancelled by one token, survived when it
//! panics, and waited for at shutdown. A bare `tokio::spawn` is none of these.

use super::metrics::Metrics;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The first wait before a failed loop is started again; doubles up to `RESTART_MAX`.
const RESTART_FIRST: Duration = Duration::from_millis(100);
/// The longest wait before a failed loop is started again.
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A loop that ran this long before it failed starts again after `RESTART_FIRST`.
const RESTART_FORGIVES_AFTER: Duration = Duration::from_mins(1);

/// The tasks of one server. Clones share the same set.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
    token: CancellationToken,
}

struct Shared {
    tracker: TaskTracker,
    running: Mutex<BTreeMap<&'static str, usize>>,
    metrics: Metrics,
}

impl Tasks {
    /// An empty set that counts into metrics of its own.
    pub fn new() -> Self {
        Self::observed_by(&Metrics::new())
    }

    /// An empty set that counts panics and restarts into `metrics`.
    pub fn observed_by(metrics: &Metrics) -> Self {
        let shared = Shared {
            tracker: TaskTracker::new(),
            running: Mutex::new(BTreeMap::new()),
            metrics: metrics.clone(),
        };
        Self { shared: Arc::new(shared), token: CancellationToken::new() }
    }

    /// Starts `future` under `name`. A panic in it is counted and logged, and ends only this task; dropping the
    /// handle leaves the task running. It should watch `token()` and end soon after it is cancelled.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let present = Present::enter(&self.shared, name);
        self.shared.tracker.spawn(async move {
            let _present = present;
            future.await
        })
    }

    /// Runs `work` on a thread that may block (files, long computation), under `name`.
    pub fn spawn_blocking<W, T>(&self, name: &'static str, work: W) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let present = Present::enter(&self.shared, name);
        self.shared.tracker.spawn_blocking(move || {
            let _present = present;
            work()
        })
    }

    /// Keeps a loop alive: runs what `make` gives until it returns `Ok`, and starts it again, after a growing wait,
    /// when it returns an error or panics. Ends at shutdown.
    pub fn supervise<M, F, E>(&self, name: &'static str, mut make: M) -> JoinHandle<()>
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let tasks = self.clone();
        self.shared.tracker.spawn(async move {
            let mut wait = RESTART_FIRST;
            loop {
                let started = Instant::now();
                match tasks.spawn(name, make()).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => tracing::error!(task = name, %error, "task failed"),
                    Err(_panicked) => {} // counted and logged where it happened
                }
                if tasks.is_shutting_down() {
                    return;
                }
                if started.elapsed() >= RESTART_FORGIVES_AFTER {
                    wait = RESTART_FIRST;
                }
                tokio::select! {
                    () = tasks.token.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                tasks.shared.metrics.task_restarted(name);
                tracing::warn!(task = name, waited_ms = wait.as_millis() as u64, "task starts again");
                wait = (wait * 2).min(RESTART_MAX);
            }
        })
    }

    /// The token that is cancelled when the shutdown begins.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A token that is cancelled with the shutdown, or earlier by its owner.
    pub fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Has the shutdown begun?
    pub fn is_shutting_down(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The tasks that run now: name and how many.
    pub fn running(&self) -> Vec<(&'static str, usize)> {
        self.shared.running().iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// Cancels the token and waits until every task has ended, at most `deadline`. False when some were still
    /// running then; the log names them.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.token.cancel();
        self.shared.tracker.close();
        if tokio::time::timeout(deadline, self.shared.tracker.wait()).await.is_ok() {
            return true;
        }
        let names: Vec<String> = self.running().iter().map(|(name, n)| format!("{name} ({n})")).collect();
        tracing::warn!(tasks = names.join(", "), "tasks still run at the end of the shutdown");
        false
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's line in the list of those running; removes itself however the task ends, and knows a panic when its
/// task's stack unwinds through it.
struct Present {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Present {
    fn enter(shared: &Arc<Shared>, name: &'static str) -> Self {
        *shared.running().entry(name).or_insert(0) += 1;
        Self { shared: shared.clone(), name }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
        drop(running);
        if std::thread::panicking() {
            self.shared.metrics.task_panicked(self.name);
            tracing::error!(task = self.name, "task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_panic_is_counted_and_survived() {
        let metrics = Metrics::new();
        let tasks = Tasks::observed_by(&metrics);
        let panicked = tasks.spawn("poison", async { panic!("on purpose") }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(tasks.spawn("well", async { 7 }).await.unwrap(), 7);
        let blocking = tasks.spawn_blocking("poison_blocking", || panic!("on purpose")).await;
        assert!(blocking.unwrap_err().is_panic());
        let text = metrics.encode();
        assert!(text.contains("posthaste_task_panics_total{task=\"poison\"} 1"), "{text}");
        assert!(text.contains("posthaste_task_panics_total{task=\"poison_blocking\"} 1"), "{text}");
        assert!(!text.contains("task=\"well\""), "{text}");
        assert!(tasks.running().is_empty());
    }

    #[tokio::test]
    async fn a_supervised_loop_starts_again_after_an_error_and_a_panic() {
        let metrics = Metrics::new();
        let tasks = Tasks::observed_by(&metrics);
        let runs = Arc::new(AtomicUsize::new(0));
        let seen = runs.clone();
        let supervised = tasks.supervise("loop", move || {
            let run = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                match run {
                    0 => Err("relay is away"),
                    1 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        });
        supervised.await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert!(metrics.encode().contains("posthaste_task_restarts_total{task=\"loop\"} 2"));
    }

    #[tokio::test]
    async fn shutdown_waits_for_tasks_and_ends_supervision() {
        let tasks = Tasks::new();
        let done = Arc::new(AtomicUsize::new(0));
        let (token, counted) = (tasks.child_token(), done.clone());
        tasks.spawn("drains", async move {
            token.cancelled().await;
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let failing = tasks.supervise("fails", || async { Err::<(), _>("always") });
        assert!(!tasks.is_shutting_down());
        assert!(tasks.shutdown(Duration::from_secs(20)).await);
        assert!(tasks.is_shutting_down());
        assert_eq!(done.load(Ordering::SeqCst), 1);
        failing.await.unwrap();
    }

    #[tokio::test]
    async fn shutdown_names_what_does_not_end() {
        let tasks = Tasks::new();
        let stuck = tasks.spawn("stuck", std::future::pending::<()>());
        assert!(!tasks.shutdown(Duration::from_millis(1)).await);
        assert_eq!(tasks.running(), [("stuck", 1)]);
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        assert!(tasks.running().is_empty());
    }
}
