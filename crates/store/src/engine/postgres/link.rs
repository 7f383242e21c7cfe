//! The way to the server as operations use it: reads, and whole transactions, which end durable, undone, or uncertain
//! when the connection was lost after the commit was asked for.

use super::session::Session;
use super::trouble::Trouble;
use crate::settings::CommitObserver;
use crate::{StoreError, StoreSettings};
use deadpool_postgres::Pool;
use posthaste_model::fault::{FaultPoint, Faults};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How often a transaction that lost against another one is run again.
pub(super) const TRIES: u32 = 5;
/// How long a read may take, waiting for a connection included.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long a roll-back may take before the connection is given up.
const ROLL_BACK_LIMIT: Duration = Duration::from_secs(2);
/// What is granted to an operation beyond the server's own limit on a statement, before its connection is given up:
/// a network that swallows everything must not hold it for ever.
const GRACE: Duration = Duration::from_secs(5);

/// How a transaction begins that joins a group of rows with tables of any size: always by their indexes, whatever the
/// planner believes of a queue that was empty when it last looked.
pub(super) const BEGIN: &str = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// Connections, and what every transaction tells.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) pool: Pool,
    faults: Faults,
    observer: CommitObserver,
    /// How long a whole transaction may take.
    write_limit: Duration,
}

/// How the work of a transaction ended.
pub(super) enum End<T> {
    /// It is to be kept.
    Commit(T),
    /// Nothing of it is to be kept.
    RollBack(T),
}

impl Link {
    pub(super) fn new(pool: Pool, settings: &StoreSettings, statement: Duration) -> Self {
        Self {
            pool,
            faults: settings.faults.clone(),
            observer: settings.observer.clone(),
            write_limit: statement + GRACE,
        }
    }

    /// The same, for upkeep of the engine's own: nobody counts it, and it passes no fault point.
    pub(super) fn unnoticed(&self) -> Self {
        Self { faults: Faults::none(), observer: std::sync::Arc::new(|_, _| ()), ..self.clone() }
    }

    /// Named places to fail at, for tests.
    pub(super) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Runs reads on a connection, each statement on the newest state. `work` may run again when the connection was
    /// found to be lost.
    pub(super) async fn read<T, W, F>(&self, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        self.read_within(READ_LIMIT, work).await
    }

    /// The same with another limit, for questions about the whole store.
    pub(super) async fn read_within<T, W, F>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        let tries = async {
            let mut lost = 0;
            loop {
                let session = Session::new(self.pool.get().await?);
                let outcome = Box::pin(work(session.clone())).await;
                match outcome {
                    // One that was closed while it lay in the pool says nothing of the server.
                    Err(trouble) if trouble.is_lost() && lost == 0 => lost += 1,
                    outcome => {
                        if !matches!(&outcome, Err(trouble) if trouble.is_lost()) {
                            session.settled();
                        }
                        return outcome;
                    }
                }
            }
        };
        match tokio::time::timeout(limit, tries).await {
            Ok(outcome) => outcome.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// Runs `work` as one transaction and answers when it is durable. `work` runs again, from the start, when the
    /// transaction lost against another one or its connection was lost before the commit was asked for.
    pub(super) async fn write<T, W, F>(&self, rows: usize, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        let commit = |db: Session| {
            let worked = work(db);
            async { worked.await.map(End::Commit) }
        };
        self.write_or_not(rows, commit).await
    }

    /// The same for work that may find that there is nothing to keep.
    pub(super) async fn write_or_not<T, W, F>(&self, rows: usize, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<End<T>, Trouble>>,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.transaction(rows, &work).await {
                Ok(value) => return Ok(value),
                Err(Failed::Before(trouble)) if tried < TRIES && trouble.is_conflict() => trouble,
                Err(Failed::Before(trouble)) if tried == 1 && trouble.is_lost() => trouble,
                Err(failed) => return Err(failed.into()),
            };
            tracing::debug!(error = %StoreError::from(error), tried, "a transaction is run again");
            tokio::time::sleep(pause(tried)).await;
        }
    }

    /// The same with another limit, for work on the whole store.
    pub(super) async fn write_within<T, W, F>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        Self { write_limit: limit, ..self.clone() }.write(0, work).await
    }

    /// One transaction, once. Its beginning is sent together with the first statement of `work`.
    pub(super) async fn transaction<T, W, F>(&self, rows: usize, work: W) -> Result<T, Failed>
    where
        W: FnOnce(Session) -> F,
        F: Future<Output = Result<End<T>, Trouble>>,
    {
        let session = Session::new(self.pool.get().await.map_err(|error| Failed::Before(error.into()))?);
        let begun = Instant::now();
        let before = async {
            // On the heap: what work holds while it waits must not weigh on every caller's future.
            let work = Box::pin(work(session.clone()));
            let (begun, worked) = futures_util::future::join(session.batch_execute(BEGIN), work).await;
            begun?;
            worked
        };
        let value = match tokio::time::timeout(self.write_limit, before).await {
            Ok(Ok(End::Commit(value))) => value,
            Ok(Ok(End::RollBack(value))) => {
                roll_back(&session).await;
                return Ok(value);
            }
            Ok(Err(trouble)) => {
                if !trouble.is_lost() {
                    roll_back(&session).await;
                }
                return Err(Failed::Before(trouble));
            }
            Err(_) => return Err(Failed::Before(StoreError::Unavailable(SILENT.into()).into())),
        };
        self.commit(&session).await?;
        if rows > 0 {
            (self.observer)(rows, begun.elapsed());
        }
        Ok(value)
    }

    async fn commit(&self, session: &Session) -> Result<(), Failed> {
        self.faults.crash_at(FaultPoint::RowWritten);
        if self.faults.is_due(FaultPoint::CommitIoError) {
            return Err(Failed::Commit("the commit failed (injected)".into()));
        }
        match tokio::time::timeout(self.write_limit, session.batch_execute("COMMIT")).await {
            Ok(Ok(())) => session.settled(),
            Ok(Err(error)) => {
                let trouble = Trouble::from(error);
                if trouble.is_uncertain() {
                    return Err(Failed::Commit(StoreError::from(trouble).to_string()));
                }
                session.settled();
                return Err(Failed::Before(trouble));
            }
            Err(_) => return Err(Failed::Commit(SILENT.into())),
        }
        self.faults.crash_at(FaultPoint::CommitFsynced);
        Ok(())
    }
}

/// What is said of a server that does not answer.
const SILENT: &str = "PostgreSQL does not answer";

/// Why a transaction came to nothing, or to something unknown.
pub(super) enum Failed {
    /// Nothing was stored.
    Before(Trouble),
    /// The connection was lost after the commit was asked for: it may be stored.
    Commit(String),
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Before(trouble) => trouble.into(),
            Failed::Commit(why) => Self::Uncertain(why),
        }
    }
}

/// Makes the connection usable again; one that does not answer is given up with the session.
async fn roll_back(session: &Session) {
    let rolled_back = tokio::time::timeout(ROLL_BACK_LIMIT, session.batch_execute("ROLLBACK")).await;
    if matches!(rolled_back, Ok(Ok(()))) {
        session.settled();
    }
}

/// How long to wait before the next try: longer each time, and never two nodes in step.
pub(super) fn pause(tried: u32) -> Duration {
    let longest = 5_u64 << tried.min(6);
    Duration::from_millis(1 + RandomState::new().hash_one(tried) % longest)
}
