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

    /// How such a store is opened.
    pub fn to_open(&self) -> posthaste_store::StoreSettings {
        match self {
            Self::Sqlite(file) => posthaste_store::StoreSettings::new(file),
            Self::Postgres(url) => posthaste_store::StoreSettings::postgres(url.clone()),
        }
    }

    /// The store that a URL names: `sqlite://PATH` or `postgres://...`; `None` of any other.
    pub fn of_url(url: &str) -> Option<Self> {
        if ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Some(Self::Postgres(Secret::new(url)));
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
        let path = path.split('?').next().filter(|path| !path.is_empty())?;
        Some(Self::Sqlite(PathBuf::from(path)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_store() {
        let file = |path: &str| Some(StoreSettings::Sqlite(path.into()));
        assert_eq!(StoreSettings::of_url("sqlite:///var/lib/p.db"), file("/var/lib/p.db"));
        assert_eq!(StoreSettings::of_url("sqlite://data/p.db?mode=ro"), file("data/p.db"));
        let server = StoreSettings::of_url("postgres://u@h/d").unwrap();
        assert_eq!(server.embedded_file(), None);
        for bad in ["mysql://h/d", "sqlite://", "p.db", ""] {
            assert_eq!(StoreSettings::of_url(bad), None, "{bad}");
        }
    }
}
