//! A PostgreSQL database of the measurement's own, and what the server says that it cost.

use tokio_postgres::{Client, NoTls};

use crate::Fault;

/// Names the server; `tests/services/run` sets it.
const SERVER: &str = "POSTHASTE_TEST_POSTGRES_URL";

/// A database that goes when the measurement is over.
pub struct Database {
    server: String,
    name: String,
}

/// Counters of the server at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Transactions committed in this database.
    pub commits: f64,
    /// Syncs of the write-ahead log, of the whole server.
    pub syncs: f64,
    /// Bytes of the write-ahead log, of the whole server.
    pub wal_bytes: f64,
}

impl Database {
    /// Makes one.
    pub async fn make(name: &str) -> Result<Self, Fault> {
        let server = variable(SERVER)?;
        let name = format!("bench_{name}_{}", std::process::id());
        connect(&server).await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self { server, name })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let place = self.server.rsplit_once('/').map_or(self.server.as_str(), |(place, _)| place);
        format!("{place}/{}", self.name)
    }

    /// A connection to it.
    pub async fn connect(&self) -> Result<Client, Fault> {
        connect(&self.url()).await
    }

    /// What the server counted so far. Its processes tell at most once a second: wait before.
    pub async fn counters(&self) -> Result<Counters, Fault> {
        let sql = "SELECT d.xact_commit::float8, w.wal_sync::float8, w.wal_bytes::float8
            FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()";
        let row = self.connect().await?.query_one(sql, &[]).await?;
        Ok(Counters { commits: row.try_get(0)?, syncs: row.try_get(1)?, wal_bytes: row.try_get(2)? })
    }

    /// Bytes on the server's disk.
    pub async fn bytes(&self) -> Result<u64, Fault> {
        let sql = "SELECT pg_database_size(current_database())";
        let bytes: i64 = self.connect().await?.query_one(sql, &[]).await?.try_get(0)?;
        Ok(u64::try_from(bytes)?)
    }

    /// Drops it.
    pub async fn remove(self) -> Result<(), Fault> {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        Ok(connect(&self.server).await?.batch_execute(&sql).await?)
    }
}

/// A variable of `tests/services/run`.
#[expect(
    clippy::disallowed_methods,
    reason = "the measurement's own surroundings, no setting of the program"
)]
pub fn variable(name: &str) -> Result<String, Fault> {
    std::env::var(name).map_err(|_| format!("{name} is not set: measure by bench/run").into())
}

async fn connect(url: &str) -> Result<Client, Fault> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    spawn(connection);
    Ok(client)
}

#[expect(clippy::disallowed_methods, reason = "no product: nothing here is drained or supervised")]
fn spawn(connection: tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>) {
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            eprintln!("the measurement's connection: {fault}");
        }
    });
}
