//! The embedded engine: one thread that writes, a few connections that read, one file.

mod accept;
mod audit;
mod backup;
mod blobs;
mod claim;
mod clients;
mod count;
mod credentials;
mod domains;
mod emails;
mod eo_deliveries;
mod eo_events;
mod erase;
mod feed;
mod file;
mod finders;
mod inbox;
mod list;
mod migrate;
mod news;
mod outcome;
#[cfg(test)]
mod plans;
mod readers;
mod retention;
mod rows;
mod sender_configs;
mod sessions;
mod stats;
mod suppressions;
mod sweep;
mod templates;
mod tokens;
pub(crate) mod transfer;
mod trouble;
mod tx;
mod users;
mod webhook_deliveries;
mod webhooks;
mod workers;
mod writer;

use crate::{Bell, Load, StoreError, StoreSettings};
use posthaste_model::fault::Faults;
use readers::Readers;
use std::path::PathBuf;
use std::time::Duration;
use trouble::Trouble;
use tx::Tx;
use writer::Writer;

/// The store on SQLite.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    faults: Faults,
}

/// How long a ping may take: `/readyz` asks often and must not hang.
const PING_LIMIT: Duration = Duration::from_secs(2);

impl Sqlite {
    /// Opens, makes and migrates the database.
    pub(crate) async fn open(
        path: PathBuf,
        readers: usize,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        // Migrations and the first look at the file may take long: not on the threads that serve.
        let opened = tokio::task::spawn_blocking(move || {
            let connection = file::open(&path)?;
            migrate::run(&connection, settings.migrate)?;
            let readers = Readers::start(&path, readers)?;
            let faults = settings.faults.clone();
            Ok(Self { writer: Writer::start(connection, path, settings)?, readers, faults })
        });
        let opened: Result<Self, Trouble> =
            opened.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        opened.map_err(StoreError::from)
    }

    /// Its name.
    #[expect(clippy::unused_self, reason = "another engine knows only when it is connected")]
    pub(crate) fn name(&self) -> &'static str {
        "sqlite"
    }

    /// Its version.
    #[expect(clippy::unused_self, reason = "another engine knows only when it is connected")]
    pub(crate) fn version(&self) -> &'static str {
        rusqlite::version()
    }

    /// What waits for the writer and the readers; each of them is a connection.
    pub(crate) fn load(&self) -> Load {
        let (waiting, readers) = self.readers.load();
        Load { waiting: waiting + self.writer.waiting(), connections: readers + 1 }
    }

    /// One process rings for itself.
    #[expect(clippy::unused_self, reason = "another engine has one")]
    pub(crate) fn bell(&self) -> Option<Bell> {
        None
    }

    /// Drains the writer, moves the log into the database, ends the threads.
    pub(crate) async fn close(&self) {
        let (writer, readers) = (self.writer.clone(), self.readers.clone());
        // A thread that panicked has ended all the same.
        let _ = tokio::task::spawn_blocking(move || {
            readers.close();
            writer.close();
        })
        .await;
    }

    /// A write that may share its transaction with others: it must check before it writes, since one that fails
    /// makes the whole group run again one by one.
    async fn write<T, F>(&self, rows: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Trouble> + Send + 'static,
    {
        self.writer.write(rows, false, work).await
    }

    /// A write in a transaction of its own.
    async fn write_alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Trouble> + Send + 'static,
    {
        self.writer.write(1, true, work).await
    }

    /// A read and a durable write that changes nothing.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let both = async {
            self.readers.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
            self.write(1, |tx| {
                tx.connection.prepare_cached("UPDATE installation SET pings = pings + 1")?.execute([])?;
                Ok(())
            })
            .await
        };
        let late = |_| StoreError::Unavailable("no answer within two seconds".into());
        tokio::time::timeout(PING_LIMIT, both).await.map_err(late)?
    }
}
