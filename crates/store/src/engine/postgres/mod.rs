//! The engine that several nodes share: a PostgreSQL server, 14 or newer, reached through a pool of connections.

mod accept;
mod append;
mod audit;
mod backup;
mod blobs;
mod claim;
mod clients;
mod columns;
mod connect;
mod count;
mod counts;
mod credentials;
mod days;
mod domains;
mod emails;
mod eo_deliveries;
mod eo_events;
mod erase;
mod feed;
mod inbox;
mod integrity;
mod link;
mod list;
mod listener;
mod migrate;
mod news;
mod outcome;
mod retention;
mod rows;
mod sender_configs;
mod session;
mod sessions;
mod state;
mod stats;
mod suppressions;
mod sweep;
mod templates;
mod tls;
mod tokens;
mod transfer;
mod trouble;
mod users;
mod webhook_deliveries;
mod webhooks;
mod workers;

use crate::settings::PostgresSettings;
use crate::{Bell, Load, StoreError, StoreSettings};
use accept::Acceptor;
use connect::Target;
use link::Link;
use listener::Listener;
use posthaste_model::fault::Faults;
use session::Session;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::time::Duration;
use trouble::Trouble;

/// How long a ping may take: `/readyz` asks often and must not hang.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// The store on PostgreSQL.
pub(crate) struct Postgres {
    link: Link,
    acceptor: Acceptor,
    listener: Arc<Listener>,
    version: String,
    /// Turns of claims, for fairness among priorities when few are asked for.
    turns: AtomicUsize,
    /// The day whose partitions were made last, and the oldest one that has any.
    days_made: AtomicI32,
    oldest_day: AtomicI32,
}

impl Postgres {
    /// Connects, and migrates the database.
    pub(crate) async fn open(server: PostgresSettings, settings: StoreSettings) -> Result<Self, StoreError> {
        let target = Target::read(&server)?;
        let pool = target.pool(&server)?;
        let opened = async {
            let session = Session::new(pool.get().await?);
            let version = connect::version(&session).await?;
            migrate::run(&session, settings.migrate).await?;
            session.settled();
            Ok::<_, Trouble>(version)
        };
        let version = opened.await.map_err(StoreError::from)?;
        let link = Link::new(pool.clone(), &settings, server.statement);
        let listener = Arc::new(Listener::start(target, pool));
        let acceptor = Acceptor::start(&link, &listener, &server, &settings);
        let turns = AtomicUsize::new(0);
        let (days_made, oldest_day) = (AtomicI32::new(i32::MIN), AtomicI32::new(i32::MIN));
        let store = Self { link, acceptor, listener, version, turns, days_made, oldest_day };
        if let Err(error) = store.keep_days().await {
            tracing::warn!(%error, "the partitions of the days to come were not made; retention tries again");
        }
        Ok(store)
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

    /// How the pool stands.
    pub(crate) fn load(&self) -> Load {
        let pool = self.link.pool.status();
        Load { waiting: pool.waiting, connections: pool.size }
    }

    /// Rings when any node made mail due.
    #[expect(clippy::unnecessary_wraps, reason = "another engine has none")]
    pub(crate) fn bell(&self) -> Option<Bell> {
        Some(self.listener.bell())
    }

    /// Works off what waits to be accepted, ends what listens and closes the connections.
    pub(crate) async fn close(&self) {
        self.acceptor.close().await;
        self.listener.close();
        self.link.pool.close();
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

    fn faults(&self) -> &Faults {
        self.link.faults()
    }

    /// Runs reads on a connection, each statement on the newest state; see `Link::read`.
    async fn read<T, W, F>(&self, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        self.link.read(work).await
    }

    /// Runs `work` as one transaction and answers when it is durable; see `Link::write`.
    async fn write<T, W, F>(&self, rows: usize, work: W) -> Result<T, StoreError>
    where
        W: Fn(Session) -> F,
        F: Future<Output = Result<T, Trouble>>,
    {
        self.link.write(rows, work).await
    }
}
