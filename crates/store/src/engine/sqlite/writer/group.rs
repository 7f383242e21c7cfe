//! One transaction for a group of operations, and what follows when it fails.

use super::queue::Waiting;
use crate::engine::sqlite::trouble::Trouble;
use crate::engine::sqlite::tx::{Memory, Tx};
use crate::engine::sqlite::{file, finders};
use crate::{StoreError, StoreSettings};
use posthaste_model::fault::FaultPoint;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

/// Up to this size the whole database is looked through before it is written to again.
const LOOK_MAX_BYTES: u64 = 256 << 20;

/// What a failed transaction means.
enum Failed {
    /// One of its operations could not be done; nothing was stored.
    Operation(Trouble),
    /// The store could not take it; nothing was stored.
    Store(Trouble),
    /// The disk failed during the commit: it may be stored.
    Commit(Trouble),
    /// An operation panicked; nothing was stored.
    Panic,
}

/// The connection that writes, and how its transactions run.
pub(super) struct Group {
    /// `None`: given up after an error of the disk.
    connection: Option<Connection>,
    memory: Memory,
    path: PathBuf,
    settings: StoreSettings,
    /// Emails accepted since the last look at how far the index is behind.
    rows_since_index: usize,
}

impl Group {
    pub(super) fn new(connection: Connection, path: PathBuf, settings: StoreSettings) -> Self {
        Self { connection: Some(connection), memory: Memory::default(), path, settings, rows_since_index: 0 }
    }

    /// Whether there is a connection to write on.
    pub(super) const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Runs the operations in one transaction. When one of them cannot be done they run one by one, so that it alone
    /// gets the error.
    pub(super) fn run(&mut self, ops: &mut [Box<dyn Waiting>]) {
        let failed = match self.attempt(ops) {
            Ok(()) => return,
            Err(failed) => failed,
        };
        let is_of_one = matches!(failed, Failed::Operation(_) | Failed::Panic);
        if is_of_one && ops.len() > 1 {
            for op in ops {
                self.run(std::slice::from_mut(op));
            }
            return;
        }
        let error = self.conclude(failed);
        for op in ops {
            op.fail(error.clone());
        }
    }

    /// Runs something of the writer's own in a transaction.
    pub(super) fn alone<T>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        self.transaction(0, |tx| work(tx)).map_err(|failed| self.conclude(failed))
    }

    fn attempt(&mut self, ops: &mut [Box<dyn Waiting>]) -> Result<(), Failed> {
        let rows = ops.iter().map(|op| op.rows()).sum();
        self.rows_since_index += rows;
        let index_too = self.rows_since_index >= finders::FORCED_EVERY;
        if index_too {
            self.rows_since_index = 0;
        }
        self.transaction(rows, |tx| {
            for op in ops.iter_mut() {
                op.run(tx)?;
            }
            // Under load nobody is idle: the index is kept near in the same commit.
            if index_too {
                finders::index_when_far_behind(tx)?;
            }
            Ok(())
        })
    }

    /// Runs `work` and commits; after a failure nothing of it is left in the transaction or in the memory.
    fn transaction<T>(
        &mut self,
        rows: usize,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Failed> {
        let outcome = self.write_and_commit(rows, work);
        if outcome.is_err() {
            self.memory.forget();
            let rolled_back = match &self.connection {
                Some(connection) if !connection.is_autocommit() => connection.execute_batch("ROLLBACK"),
                _ => Ok(()),
            };
            if let Err(error) = rolled_back {
                self.give_up(&Trouble::from(error).into());
            }
        }
        outcome
    }

    fn write_and_commit<T>(
        &mut self,
        rows: usize,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Failed> {
        let Some(connection) = &self.connection else {
            let error = StoreError::Unavailable("the disk failed; the database is being opened anew".into());
            return Err(Failed::Store(error.into()));
        };
        let begun = Instant::now();
        self.memory.begin();
        let memory = &mut self.memory;
        let written = catch_unwind(AssertUnwindSafe(|| {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut tx = Tx { connection, memory };
            let value = work(&mut tx)?;
            tx.flush_counts()?;
            Ok::<T, Trouble>(value)
        }));
        let value = match written {
            Ok(Ok(value)) => value,
            Ok(Err(trouble)) if trouble.is_of_operation() => return Err(Failed::Operation(trouble)),
            Ok(Err(trouble)) => return Err(Failed::Store(trouble)),
            Err(_) => return Err(Failed::Panic),
        };
        self.settings.faults.crash_at(FaultPoint::RowWritten);
        if self.settings.faults.is_due(FaultPoint::CommitIoError) {
            let injected = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            return Err(Failed::Commit(rusqlite::Error::SqliteFailure(injected, None).into()));
        }
        let committed = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        committed.map_err(|error| Failed::Commit(error.into()))?;
        self.settings.faults.crash_at(FaultPoint::CommitFsynced);
        if rows > 0 {
            (self.settings.observer)(rows, begun.elapsed());
        }
        Ok(value)
    }

    /// Cleans up after a failure and says what the callers may conclude.
    fn conclude(&mut self, failed: Failed) -> StoreError {
        match failed {
            Failed::Operation(trouble) => trouble.into(),
            Failed::Panic => StoreError::Unavailable("an operation failed unexpectedly".into()),
            Failed::Store(trouble) => {
                if trouble.is_io_error() {
                    self.give_up(&StoreError::from(trouble));
                    return StoreError::Unavailable("the disk failed".into());
                }
                trouble.into()
            }
            // A full disk is found before the log's sync: the commit did not happen.
            Failed::Commit(trouble) if !trouble.is_io_error() => trouble.into(),
            Failed::Commit(trouble) => {
                let error = StoreError::from(trouble);
                self.give_up(&error);
                StoreError::Uncertain(error.to_string())
            }
        }
    }

    /// Closes a connection that cannot be trusted: after a failed sync the next one may lie.
    fn give_up(&mut self, error: &StoreError) {
        tracing::error!(%error, "the disk failed; writing stops until the database is opened anew");
        self.connection = None;
    }

    /// Opens the database anew, looks whether it is whole, and writes again if it is.
    pub(super) fn reopen(&mut self) {
        match self.open_and_look() {
            Ok(connection) => {
                tracing::info!("the database was opened anew");
                self.memory.forget();
                self.connection = Some(connection);
            }
            Err(trouble) => {
                let error = StoreError::from(trouble);
                tracing::error!(%error, "the database could not be opened anew");
            }
        }
    }

    fn open_and_look(&self) -> Result<Connection, Trouble> {
        let connection = file::open(&self.path)?;
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if size <= LOOK_MAX_BYTES {
            let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(StoreError::Corrupt(found).into());
            }
        }
        // The disk must take a commit before anybody relies on it again.
        connection.execute_batch("UPDATE installation SET pings = pings + 1")?;
        Ok(connection)
    }

    /// Moves the log into the database; the connection closes with the value.
    pub(super) fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            let moved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = moved {
                // The log stays beside the database and is read at the next start.
                tracing::warn!(%error, "the log was not moved into the database");
            }
        }
    }
}
