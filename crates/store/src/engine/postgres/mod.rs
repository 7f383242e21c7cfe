//! The engine that several nodes share: a PostgreSQL server, 14 or newer, reached through a pool of connections.

mod connect;
mod listener;
mod session;
mod tls;
mod trouble;

use crate::settings::PostgresSettings;
use crate::{Bell, StoreError, StoreSettings};
use connect::Target;
use deadpool_postgres::Pool;
use listener::Listener;
use posthaste_model::fault::FaultPoint;
use session::Session;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use trouble::Trouble;

/// How often a transaction that lost against another one, or its connection, is run again.
const TRIES: u32 = 5;
/// How long a read may take, waiting for a connection included.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long a ping may take: `/readyz` asks often and must not hang.
const PING_LIMIT: Duration = Duration::from_secs(2);
/// What is granted to an operation beyond the server's own limit on a statement, before its connection is given up:
/// a network that swallows everything must not hold it for ever.
const GRACE: Duration = Duration::from_secs(5);

/// The store on PostgreSQL.
pub(crate) struct Postgres {
    pool: Pool,
    listener: Listener,
    settings: StoreSettings,
    version: String,
    /// How long a whole transaction may take.
    write_limit: Duration,
}

impl Postgres {
    /// Connects, and migrates the database.
    pub(crate) async fn open(server: PostgresSettings, settings: StoreSettings) -> Result<Self, StoreError> {
        let target = Target::read(&server)?;
        let pool = target.pool(&server)?;
        let opened = async {
            let client = pool.get().await?;
            connect::version(&client).await
        };
        let version = opened.await.map_err(StoreError::from)?;
        let listener = Listener::start(target, pool.clone());
        Ok(Self { pool, listener, settings, version, write_limit: server.statement + GRACE })
    }

    /// Its name.
    #[expect(clippy::unused_self, reason = "all engines have the same methods")]
    pub(crate) fn name(&self) -> &'static str {
        "postgresql"
    }

    /// The server's version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Rings when any node made mail due.
    #[expect(clippy::unnecessary_wraps, reason = "another engine has none")]
    pub(crate) fn bell(&self) -> Option<Bell> {
        Some(self.listener.bell())
    }

    /// Ends what listens and closes the connections as they come back.
    pub(crate) async fn close(&self) {
        self.listener.close();
        self.pool.close();
    }

    /// A read and a durable write that changes nothing.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let ping = self.write(1, |db| async move {
            db.run("UPDATE installation SET pings = pings + 1", &[]).await?;
            Ok(())
        });
        let late = |_| StoreError::Unavailable("no answer within two seconds".into());
        tokio::time::timeout(PING_LIMIT, ping).await.map_err(late)?
    }

    /// Runs reads on a connection, each statement on the newest state. `work` may run again when the connection was
    /// found to be lost.
    async fn read<T, W, F>(&self, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        self.read_within(READ_LIMIT, work).await
    }

    /// The same with another limit, for questions about the whole store.
    async fn read_within<T, W, F>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        let tries = async {
            let mut lost = 0;
            loop {
                let session = Session::new(self.pool.get().await?);
                let outcome = work(session.clone()).await;
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
    async fn write<T, W, F>(&self, rows: usize, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.transaction(BEGIN, rows, &work).await {
                Ok(value) => return Ok(value),
                Err(Failed::Before(trouble)) if tried < TRIES && trouble.is_conflict() => trouble,
                Err(Failed::Before(trouble)) if tried == 1 && trouble.is_lost() => trouble,
                Err(failed) => return Err(failed.into()),
            };
            tracing::debug!(error = %StoreError::from(error), tried, "a transaction is run again");
            tokio::time::sleep(pause(tried)).await;
        }
    }

    /// One transaction, once. `begin` is sent together with the first statement of `work`.
    async fn transaction<T, W, F>(&self, begin: &str, rows: usize, work: &W) -> Result<T, Failed>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        let session = Session::new(self.pool.get().await.map_err(|error| Failed::Before(error.into()))?);
        let begun = Instant::now();
        let before = async {
            let (begun, worked) =
                futures_util::future::join(session.batch_execute(begin), work(session.clone())).await;
            begun?;
            worked
        };
        let late = || StoreError::Unavailable("PostgreSQL does not answer".into());
        let value = match tokio::time::timeout(self.write_limit, before).await {
            Ok(Ok(value)) => value,
            Ok(Err(trouble)) => {
                roll_back(&session, &trouble).await;
                return Err(Failed::Before(trouble));
            }
            Err(_) => return Err(Failed::Before(late().into())),
        };
        self.settings.faults.crash_at(FaultPoint::RowWritten);
        if self.settings.faults.is_due(FaultPoint::CommitIoError) {
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
            Err(_) => return Err(Failed::Commit(late().to_string())),
        }
        self.settings.faults.crash_at(FaultPoint::CommitFsynced);
        if rows > 0 {
            (self.settings.observer)(rows, begun.elapsed());
        }
        Ok(value)
    }
}

/// How a transaction begins.
const BEGIN: &str = "BEGIN";

/// Why a transaction came to nothing, or to something unknown.
enum Failed {
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
async fn roll_back(session: &Session, trouble: &Trouble) {
    if trouble.is_lost() {
        return;
    }
    let rolled_back = tokio::time::timeout(PING_LIMIT, session.batch_execute("ROLLBACK")).await;
    if matches!(rolled_back, Ok(Ok(()))) {
        session.settled();
    }
}

/// How long to wait before the next try: longer each time, and never two nodes in step.
fn pause(tried: u32) -> Duration {
    let longest = 5_u64 << tried.min(6);
    Duration::from_millis(1 + RandomState::new().hash_one(tried) % longest)
}
