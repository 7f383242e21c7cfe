//! Which parts are used, embedded or scaled out.

use posthaste_model::Secret;
use std::path::{Path, PathBuf};

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(Secret),
}

impl StoreSettings {
    /// The file of an embedded store; nothing when a server keeps it.
    pub fn embedded_file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

/// The queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueSettings {
    /// The store's own index.
    Embedded,
    /// RabbitMQ.
    RabbitMq {
        /// Where it is.
        url: Secret,
        /// What the names of exchange and queues begin with.
        prefix: String,
    },
}

/// Limits, status cache and live events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheSettings {
    /// In this process.
    InProcess,
    /// Redis, KeyDB or Valkey.
    Redis(RedisSettings),
}

/// A cache that nodes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where it is.
    pub url: Secret,
    /// What its keys and channels begin with.
    pub prefix: String,
}

/// Attachments and raw mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobSettings {
    /// Files in a directory.
    Files(PathBuf),
    /// In the store: PostgreSQL without a shared place for files.
    Store,
    /// An S3 bucket.
    S3(S3Settings),
}

/// An S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// Without a slash at its end.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
}
