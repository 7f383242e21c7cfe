//! The one thread that writes. Whatever queued while the last commit was syncing goes into the next one: the groups
//! form by themselves, one fsync serves all, and everybody is answered after it.

mod group;
mod queue;

use super::finders;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::{StoreError, StoreSettings};
use group::Group;
use queue::{Gather, Op, Queue, Taken};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// With nothing to do for this long the writer catches up on the index behind the lists.
const IDLE: Duration = Duration::from_millis(50);
/// From so many operations in one commit on, the next commit waits for as many again, [`GATHERED_FOR`] at most: under
/// load twice as many share a sync. With fewer callers than that waiting would only cost them time.
const GATHERED_FROM: usize = 8;
/// How long a commit waits for company at most.
const GATHERED_FOR: Duration = Duration::from_millis(1);
/// How often a connection that was given up is opened anew.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// The way to the writer.
#[derive(Clone)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Lets the thread end when the last clone goes.
    _end: Arc<End>,
}

struct End(Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Writer {
    /// Starts the thread on a migrated connection.
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        settings: StoreSettings,
    ) -> Result<Self, Trouble> {
        let queue = Arc::new(Queue::new(settings.queue));
        let shared = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("store-writer".into());
        let started = thread.spawn(move || Loop::new(shared, connection, path, settings).run());
        let thread = started.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let end = Arc::new(End(Arc::clone(&queue)));
        Ok(Self { queue, thread: Arc::new(Mutex::new(Some(thread))), _end: end })
    }

    /// Runs `work` in a transaction, alone in it or not, and answers when it is durable. `work` may run a second
    /// time, after a roll-back, when another operation of its group failed.
    pub(super) async fn write<T, F>(&self, rows: usize, alone: bool, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Trouble> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(Op::new(rows, alone, work, answer)))?;
        // The thread answers every operation it takes; a dropped one means that it died with it.
        answered.await.unwrap_or_else(|_| Err(StoreError::Uncertain("the writer stopped".into())))
    }

    /// How many operations wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Works off what waits and ends the thread.
    pub(super) fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been answered by dropping the senders.
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Loop {
    queue: Arc<Queue>,
    group: Group,
    group_max: usize,
    /// When it was last tried to open the database anew.
    tried: Instant,
    /// Whether the index behind the lists may be behind.
    may_be_behind: bool,
}

impl Loop {
    fn new(queue: Arc<Queue>, connection: Connection, path: PathBuf, settings: StoreSettings) -> Self {
        let group_max = settings.group_max.max(1);
        let group = Group::new(connection, path, settings);
        Self { queue, group, group_max, tried: Instant::now(), may_be_behind: true }
    }

    fn run(mut self) {
        // What the commit before held: under load as much comes again within a moment.
        let mut last = 0;
        loop {
            let wanted = if last < GATHERED_FROM { 1 } else { last };
            let gather = Gather { wanted, moment: GATHERED_FOR };
            match self.queue.take(self.group_max, self.patience(), gather) {
                Taken::Ops(mut ops) => {
                    last = ops.len();
                    self.reopen_when_due();
                    self.group.run(&mut ops);
                    for op in ops {
                        op.answer();
                    }
                    self.may_be_behind = true;
                }
                Taken::Nothing => {
                    self.reopen_when_due();
                    self.catch_up();
                }
                Taken::Closed => break,
            }
        }
        self.group.end();
    }

    /// How long to wait for work before using the time.
    fn patience(&self) -> Option<Duration> {
        if !self.group.is_open() {
            Some(REOPEN_EVERY)
        } else if self.may_be_behind {
            Some(IDLE)
        } else {
            None
        }
    }

    fn reopen_when_due(&mut self) {
        if !self.group.is_open() && self.tried.elapsed() >= REOPEN_EVERY {
            self.tried = Instant::now();
            self.group.reopen();
        }
    }

    /// Indexes in steps until nothing is left or somebody has work.
    fn catch_up(&mut self) {
        while self.group.is_open() && self.may_be_behind && self.queue.is_empty() {
            match self.group.alone(|tx| finders::index_step(tx)) {
                Ok(indexed) => self.may_be_behind = indexed == finders::STEP,
                Err(error) => {
                    tracing::warn!(%error, "the index of emails could not be brought up to date");
                    self.may_be_behind = false;
                }
            }
        }
    }
}
