//! Blobs in the store itself: for an installation on PostgreSQL that has neither S3 nor a shared folder. Durable and
//! seen by every node like everything else there; its transactions order a put against a removal.

use super::BlobError;
use crate::base::clock::Clock;
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_store::{Store, StoreError};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Calls at work at once; the rest wait. Bounds memory, and leaves connections for what is small.
const IN_FLIGHT_MAX: usize = 4;

/// Blobs as rows.
#[derive(Clone)]
pub struct StoredBlobs {
    store: Store,
    clock: Clock,
    in_flight: Arc<Semaphore>,
}

impl std::fmt::Debug for StoredBlobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredBlobs")
    }
}

impl StoredBlobs {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) }
    }

    pub(super) async fn put(&self, content: Bytes) -> Result<BlobHash, BlobError> {
        let hash = BlobHash::of(&content);
        self.bounded(self.store.blob_put(hash, content, self.clock.now())).await?;
        Ok(hash)
    }

    pub(super) async fn get(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let content = self.bounded(self.store.blob_get(hash)).await?.ok_or(BlobError::Missing(hash))?;
        if BlobHash::of(&content) == hash { Ok(content) } else { Err(BlobError::Corrupt(hash)) }
    }

    pub(super) async fn exists(&self, hash: BlobHash) -> Result<bool, BlobError> {
        self.bounded(self.store.blob_exists(hash)).await
    }

    pub(super) async fn remove(&self, hash: BlobHash, unused_since: Timestamp) -> Result<bool, BlobError> {
        self.bounded(self.store.blob_remove(hash, unused_since)).await
    }

    pub(super) async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, BlobError> {
        self.bounded(self.store.blob_list(after, limit)).await
    }

    pub(super) async fn ping(&self) -> Result<(), BlobError> {
        self.store.ping().await.map_err(unavailable)
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, BlobError> {
        // Never closed; a place more would be no harm.
        let _place = self.in_flight.acquire().await;
        work.await.map_err(unavailable)
    }
}

fn unavailable(error: StoreError) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::base::clock::Clock;
    use crate::blobs::{Blobs, conformance};
    use posthaste_store::{Store, StoreSettings};

    #[tokio::test]
    async fn rows_conform() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap();
        conformance::conforms(&Blobs::stored(store, Clock::system())).await;
    }
}
