//! Files kept in the store itself, for an installation of several nodes that share no other place.

use crate::{Store, StoreError, on_engine};
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;

impl Store {
    /// Keeps a file under its digest, durably; keeping it again makes it young and writes no second copy.
    pub async fn blob_put(&self, hash: BlobHash, content: Bytes, now: Timestamp) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.blob_put(hash, content, now).await)
    }

    /// A file as it was kept; the caller checks it against its digest.
    pub async fn blob_get(&self, hash: BlobHash) -> Result<Option<Bytes>, StoreError> {
        on_engine!(self, engine => engine.blob_get(hash).await)
    }

    /// Whether a file is kept.
    pub async fn blob_exists(&self, hash: BlobHash) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.blob_exists(hash).await)
    }

    /// Removes a file that was not put at or after `unused_since`. True when it was removed.
    pub async fn blob_remove(&self, hash: BlobHash, unused_since: Timestamp) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.blob_remove(hash, unused_since).await)
    }

    /// Up to `limit` files behind `after`, in the order of their digests, with the time each was put last.
    pub async fn blob_list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, StoreError> {
        on_engine!(self, engine => engine.blob_list(after, limit).await)
    }
}
