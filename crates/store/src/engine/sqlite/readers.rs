//! Connections that only read, each on a thread of its own. Every read has a limit on its time, waiting included; one
//! that runs over is interrupted, so that a few large questions cannot take all readers for long.

use super::file;
use super::trouble::Trouble;
use crate::StoreError;
use rusqlite::{Connection, InterruptHandle};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a read may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Reads that may wait before further ones are refused.
const QUEUE: usize = 4096;

type Work = Box<dyn FnOnce(&Connection) + Send>;

struct Job {
    ticket: Arc<()>,
    work: Work,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// What one reader works on, and how to stop it.
struct Reader {
    running: Mutex<Option<Arc<()>>>,
    interrupt: InterruptHandle,
}

struct Shared {
    queue: Mutex<Queue>,
    bell: Condvar,
    readers: Vec<Reader>,
}

/// The readers.
#[derive(Clone)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    path: PathBuf,
    /// Ends the threads when the last clone goes.
    _end: Arc<End>,
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.0.queue).is_closed = true;
        self.0.bell.notify_all();
    }
}

impl Readers {
    /// Opens `count` connections.
    pub(super) fn start(path: &Path, count: usize) -> Result<Self, Trouble> {
        let connections: Result<Vec<Connection>, Trouble> =
            (0..count.max(1)).map(|_| file::open_reader(path)).collect();
        let connections = connections?;
        let reader =
            |c: &Connection| Reader { running: Mutex::new(None), interrupt: c.get_interrupt_handle() };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            bell: Condvar::new(),
            readers: connections.iter().map(reader).collect(),
        });
        for (index, connection) in connections.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("store-reader".into());
            let started = thread.spawn(move || work_off(&shared, index, &connection));
            started.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        let end = Arc::new(End(Arc::clone(&shared)));
        Ok(Self { shared, path: path.to_owned(), _end: end })
    }

    /// Where the database lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on one consistent state of the database.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        self.read_within(LIMIT, work).await
    }

    /// The same with another limit, for questions about the whole store.
    pub(super) async fn read_within<T, F>(&self, limit: Duration, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let ticket = Arc::new(());
        let work: Work = Box::new(move |connection| {
            if !sender.is_closed() {
                // The caller may have given up meanwhile.
                let _ = sender.send(in_transaction(connection, work));
            }
        });
        self.push(Job { ticket: Arc::clone(&ticket), work })?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(outcome)) => outcome.map_err(StoreError::from),
            Ok(Err(_)) => Err(StoreError::Unavailable("a reader stopped".into())),
            Err(_) => {
                self.interrupt(&ticket);
                Err(StoreError::Unavailable(format!("no answer within {} s", limit.as_secs())))
            }
        }
    }

    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut queue = lock(&self.shared.queue);
        if queue.is_closed {
            return Err(StoreError::Closed);
        }
        if queue.jobs.len() >= QUEUE {
            return Err(StoreError::Busy);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.bell.notify_one();
        Ok(())
    }

    fn interrupt(&self, ticket: &Arc<()>) {
        for reader in &self.shared.readers {
            // While this is held the reader cannot go on to another job.
            let running = lock(&reader.running);
            if running.as_ref().is_some_and(|other| Arc::ptr_eq(other, ticket)) {
                reader.interrupt.interrupt();
            }
        }
    }

    /// How many reads wait, and how many readers there are.
    pub(super) fn load(&self) -> (usize, usize) {
        (lock(&self.shared.queue).jobs.len(), self.shared.readers.len())
    }

    /// Refuses further reads; those under way end by themselves.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).is_closed = true;
        self.shared.bell.notify_all();
    }
}

fn work_off(shared: &Shared, index: usize, connection: &Connection) {
    while let Some(job) = next(shared) {
        *lock(&shared.readers[index].running) = Some(job.ticket);
        let work = job.work;
        // A reader outlives a question that panics; its sender is dropped, which the caller sees.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(connection)));
        if outcome.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        *lock(&shared.readers[index].running) = None;
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut queue = lock(&shared.queue);
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            return Some(job);
        }
        if queue.is_closed {
            return None;
        }
        queue = shared.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let outcome = work(connection);
    // Nothing was written: how the transaction ends makes no difference, only that it does.
    if connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).is_err() {
        connection.execute_batch("ROLLBACK")?;
    }
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can leave a half-made change behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
