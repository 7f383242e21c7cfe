//! What time and operators ask of the store as a whole: retention, erasure, backup, checks.

use crate::engine::Engine;
use crate::{Store, StoreError, on_engine};
use posthaste_model::email::BlobHash;
use posthaste_model::{ClientId, Timestamp};
use std::path::Path;

/// What one step of retention removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Contents of emails dropped, their records kept.
    pub bodies: u64,
    /// Emails removed with their events.
    pub records: u64,
    /// Emails whose bodies' turn came: dropped, gone before, or left until they have ended.
    pub passed: u64,
    /// Idempotency keys past their time.
    pub idempotency_keys: u64,
    /// Blobs that nothing refers to any more. Ask `blob_references` again before removing one: it may be in use anew.
    pub blobs: Vec<BlobHash>,
}

impl Removed {
    /// Whether the step found nothing more to do.
    pub const fn is_nothing(&self) -> bool {
        self.bodies == 0 && self.passed == 0 && self.records == 0 && self.idempotency_keys == 0
    }
}

/// What an erasure removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasureReport {
    /// Emails in which the address was replaced.
    pub emails: u64,
    /// Contents removed with it.
    pub bodies: u64,
    /// Recipients that were still to be tried and now never will be.
    pub cancelled: u64,
    /// Events whose text was removed.
    pub events: u64,
    /// Messages removed from the inbox.
    pub inbox_messages: u64,
    /// Blobs that nothing refers to any more; see `Removed::blobs`.
    pub blobs: Vec<BlobHash>,
    /// The same of whole messages, of which no two are alike: nobody else is just putting them.
    pub messages: Vec<BlobHash>,
}

impl ErasureReport {
    /// Tells the message that an email was handed in as from files that others may be handing in, too.
    pub(crate) fn set_message_apart(&mut self, message: Option<BlobHash>) {
        let Some(message) = message else { return };
        if let Some(at) = self.blobs.iter().position(|blob| *blob == message) {
            self.messages.push(self.blobs.swap_remove(at));
        }
    }

    /// Names each blob once.
    pub(crate) fn name_once(&mut self) {
        for blobs in [&mut self.blobs, &mut self.messages] {
            blobs.sort_unstable();
            blobs.dedup();
        }
    }

    /// Adds what one step removed; whether there may be more.
    pub(crate) fn add(&mut self, step: Self) -> bool {
        let found = step.emails > 0 || step.inbox_messages > 0;
        self.emails += step.emails;
        self.bodies += step.bodies;
        self.cancelled += step.cancelled;
        self.events += step.events;
        self.inbox_messages += step.inbox_messages;
        self.blobs.extend(step.blobs);
        self.messages.extend(step.messages);
        found
    }
}

impl Store {
    /// One step of retention over all clients: drops contents of settled emails requested before `bodies_before`, and
    /// whole records before `records_before`; at most `limit` of each. A client with times of its own goes by these,
    /// counted back from `now`. Idempotency keys go by `now`.
    pub async fn drop_old(
        &self,
        bodies_before: Timestamp,
        records_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Removed, StoreError> {
        on_engine!(self, engine => engine.drop_old(bodies_before, records_before, now, limit).await)
    }

    /// How many emails and inbox messages refer to a blob.
    pub async fn blob_references(&self, hash: &BlobHash) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.blob_references(*hash).await)
    }

    /// Those of `hashes` to which no email and no inbox message refers, in the order given.
    pub async fn unreferenced_blobs(&self, hashes: Vec<BlobHash>) -> Result<Vec<BlobHash>, StoreError> {
        on_engine!(self, engine => engine.unreferenced_blobs(hashes).await)
    }

    /// Erases a recipient (canonical address) from the emails of one client, or of all.
    pub async fn erase_recipient(
        &self,
        client_id: Option<ClientId>,
        address: &str,
        now: Timestamp,
    ) -> Result<ErasureReport, StoreError> {
        on_engine!(self, engine => engine.erase_recipient(client_id, address, now).await)
    }

    /// Writes a consistent copy to `path`, which must not exist, while the store runs: a file (0600), or of a store that
    /// a server keeps a directory (0700).
    pub async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.backup(path).await)
    }

    /// Fills this store, which a server keeps and which must be empty, from a directory that `backup` wrote.
    pub async fn restore(&self, path: &Path) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Postgres(engine) => engine.restore(path).await,
            Engine::Sqlite(_) => {
                Err(StoreError::Unavailable("an embedded store is restored as a file".into()))
            }
        }
    }

    /// Brings the index behind the lists up to date. It happens by itself when the store has nothing else to do, and
    /// lists are right without; after an import it makes the first ones quick.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.catch_up().await)
    }

    /// Reads the whole store and checks that it is whole; `Corrupt` when it is not.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.check_integrity().await)
    }

    /// A read and a durable write that changes nothing, within two seconds.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.ping().await)
    }
}
