//! Which parts are used: chosen by their URLs, embedded when there is none.

use super::Resolver;
use crate::config::settings::{
    BlobSettings, CacheSettings, DataSettings, QueueSettings, RedisSettings, S3Settings, StoreSettings,
};
use posthaste_model::Secret;

/// The embedded store's file in the data directory.
const STORE_FILE: &str = "posthaste.db";

/// Bytes of `queue.prefix`: a name on the broker has 255.
const PREFIX_MAX: usize = 100;

impl Resolver<'_> {
    /// The one place beside the store itself that knows the names of the engines.
    pub(super) fn store(&mut self, data: &DataSettings) -> StoreSettings {
        let embedded = StoreSettings::Sqlite(data.dir.join(STORE_FILE));
        let Some(url) = self.written::<Secret>("store.url") else { return embedded };
        let text = url.expose();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return StoreSettings::Postgres(url);
        }
        let file = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
        match file.map(|file| file.split('?').next().unwrap_or_default()) {
            Some(file) if !file.is_empty() && !file.starts_with(':') => {
                StoreSettings::Sqlite(self.directory.join(file))
            }
            _ => {
                self.fault(
                    "store.url",
                    "is not a database; write sqlite://PATH or postgres://USER@HOST/NAME",
                );
                embedded
            }
        }
    }

    pub(super) fn queue(&mut self) -> QueueSettings {
        let prefix: String = self.value("queue.prefix");
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = (1..=PREFIX_MAX).contains(&prefix.len()) && prefix.chars().all(is_name);
        self.ensure(fits, "queue.prefix", "is not 1 to 100 letters, digits, dots, hyphens and underscores");
        match self.server_url("queue.url", &["amqp", "amqps"]) {
            Some(url) => QueueSettings::RabbitMq { url, prefix },
            None => QueueSettings::Embedded,
        }
    }

    pub(super) fn cache(&mut self) -> CacheSettings {
        let prefix: String = self.value("cache.prefix");
        let is_plain =
            !prefix.is_empty() && prefix.len() <= 64 && prefix.bytes().all(|byte| byte.is_ascii_graphic());
        self.ensure(is_plain, "cache.prefix", "is not up to 64 visible ASCII characters");
        self.server_url("cache.url", &["redis", "rediss", "valkey", "valkeys"])
            .map_or(CacheSettings::InProcess, |url| CacheSettings::Redis(RedisSettings { url, prefix }))
    }

    fn server_url(&mut self, path: &str, schemes: &[&str]) -> Option<Secret> {
        let url: Secret = self.written(path)?;
        let fits = url
            .expose()
            .split_once("://")
            .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.trim_matches('/').is_empty());
        self.ensure(fits, path, &format!("is not a URL that starts with {}://", schemes.join(":// or ")));
        fits.then_some(url)
    }

    pub(super) fn blobs(&mut self, data: &DataSettings, store: &StoreSettings) -> BlobSettings {
        let directory = self.path("blobs.dir");
        // A region alone, which may be left over in an old `.env`, chooses nothing.
        let s3 = self
            .raw
            .under("s3.")
            .filter(|(name, entry)| *name != "region" || !entry.origin.is_plain_variable())
            .map(|(name, _)| format!("s3.{name}"))
            .next();
        match (directory, s3, store) {
            (Some(directory), Some(written), _) => {
                self.fault(&written, "contradicts blobs.dir (BLOBS_DIR); attachments are kept in one place");
                BlobSettings::Files(directory)
            }
            (Some(directory), None, _) => BlobSettings::Files(directory),
            (None, Some(_), _) => self.s3().map_or(BlobSettings::Store, BlobSettings::S3),
            (None, None, StoreSettings::Postgres(_)) => BlobSettings::Store,
            (None, None, StoreSettings::Sqlite(_)) => BlobSettings::Files(data.dir.join("blobs")),
        }
    }

    fn s3(&mut self) -> Option<S3Settings> {
        let bucket = self.required("s3.bucket");
        let access_key_id = self.required("s3.access_key_id");
        let secret_access_key = self.required("s3.secret_access_key");
        let region: String = self.value("s3.region");
        let endpoint =
            self.url("s3.endpoint").unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        Some(S3Settings {
            endpoint,
            bucket: bucket?,
            region,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
        })
    }
}
