//! Attachments and raw messages, kept beside the store under the SHA-256 of their bytes.
//!
//! An email's row only names its blobs, so that a large file is written once, whoever sends it, and never passes
//! through a transaction. The order is the promise: a blob is durable before the row that names it commits, and
//! goes only when no row names it any more.

#[cfg(test)]
mod conformance;
mod files;
mod folder_copy;
mod s3;
mod stored;

pub use folder_copy::{CopiedBlobs, copy_folder, measure_folder};

use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::config::S3Settings;
use bytes::Bytes;
use files::FileBlobs;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::Faults;
use posthaste_store::Store;
use s3::S3Blobs;
use std::path::Path;
use stored::StoredBlobs;

/// Where blobs lie. Cheap to clone; clones share the limit of what is in flight.
#[derive(Clone, Debug)]
pub enum Blobs {
    /// Files in a folder of this machine.
    Files(FileBlobs),
    /// Objects in a bucket.
    S3(S3Blobs),
    /// Rows of the store.
    Stored(StoredBlobs),
}

/// Why a blob could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// No blob of this hash.
    #[error("blob {0} is missing")]
    Missing(BlobHash),
    /// The bytes found are not those that were put.
    #[error("blob {0} is damaged: its content has another hash")]
    Corrupt(BlobHash),
    /// The place cannot be written or read now (disk full, permission, I/O error). Nothing was left behind.
    #[error("blobs are unavailable: {0}")]
    Unavailable(String),
}

impl BlobError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Blobs {
    /// Blobs as files under `folder`, which is made if it is missing. Removes what an interrupted life left
    /// half written. Does file I/O: call it at start.
    pub fn files(folder: &Path, faults: Faults) -> Result<Self, BlobError> {
        FileBlobs::open(folder, faults).map(Self::Files)
    }

    /// Blobs as objects of a bucket. Connects when it is first asked.
    pub fn s3(settings: &S3Settings, clock: Clock, chance: Chance) -> Result<Self, BlobError> {
        S3Blobs::open(settings, clock, chance).map(Self::S3)
    }

    /// Blobs in the store itself.
    pub fn stored(store: Store, clock: Clock) -> Self {
        Self::Stored(StoredBlobs::new(store, clock))
    }

    /// Keeps `content` durably and returns its name: when this answers, the bytes survive the loss of power.
    /// Keeping the same bytes again costs no second copy.
    pub async fn put(&self, content: Bytes) -> Result<BlobHash, BlobError> {
        match self {
            Self::Files(files) => files.put(content).await,
            Self::S3(bucket) => bucket.put(content).await,
            Self::Stored(rows) => rows.put(content).await,
        }
    }

    /// The whole content, checked against its name.
    pub async fn get(&self, hash: &BlobHash) -> Result<Bytes, BlobError> {
        match self {
            Self::Files(files) => files.get(*hash).await,
            Self::S3(bucket) => bucket.get(*hash).await,
            Self::Stored(rows) => rows.get(*hash).await,
        }
    }

    /// Whether a blob of this hash is kept.
    pub async fn exists(&self, hash: &BlobHash) -> Result<bool, BlobError> {
        match self {
            Self::Files(files) => files.exists(*hash).await,
            Self::S3(bucket) => bucket.exists(*hash).await,
            Self::Stored(rows) => rows.exists(*hash).await,
        }
    }

    /// Removes a blob that no row names, unless it was put (again) at or after `unused_since`: an email whose
    /// row is still to be committed keeps its files. True when it was removed. The time is the machine's.
    pub async fn remove(&self, hash: &BlobHash, unused_since: Timestamp) -> Result<bool, BlobError> {
        match self {
            Self::Files(files) => files.remove(*hash, unused_since).await,
            Self::S3(bucket) => bucket.remove(*hash, unused_since).await,
            Self::Stored(rows) => rows.remove(*hash, unused_since).await,
        }
    }

    /// Up to `limit` blobs after `after`, in the order of their names, each with the time at which it was last put (the
    /// machine's). What is put or removed meanwhile may or may not be among them. An empty page is the end.
    pub async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, BlobError> {
        match self {
            Self::Files(files) => files.list(after, limit).await,
            Self::S3(bucket) => bucket.list(after, limit).await,
            Self::Stored(rows) => rows.list(after, limit).await,
        }
    }

    /// Writes, syncs and removes a few bytes: whether a `put` would succeed now.
    pub async fn ping(&self) -> Result<(), BlobError> {
        match self {
            Self::Files(files) => files.ping().await,
            Self::S3(bucket) => bucket.ping().await,
            Self::Stored(rows) => rows.ping().await,
        }
    }

    /// [`Self::ping`] for a person: what is wrong, and what helps.
    pub async fn diagnose(&self) -> Result<(), (String, &'static str)> {
        match self {
            Self::S3(bucket) => bucket.diagnose().await,
            Self::Stored(_) => self.ping().await.map_err(|error| (error.to_string(), "see the store")),
            Self::Files(_) => self.ping().await.map_err(|error| {
                (error.to_string(), "look at the disk and at the permissions of the folder")
            }),
        }
    }
}
