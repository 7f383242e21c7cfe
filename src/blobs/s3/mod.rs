//! Blobs as objects of an S3 bucket: `blobs/HASH`. An object appears whole or not at all.
//!
//! A bucket has no locks. What closes the race between a node that is being given a blob again and another one whose
//! retention removes it, are notes beside the objects, which the stores' strong consistency puts in order: who puts
//! writes `touched/HASH` and then looks for `removing/HASH/…`; who removes writes `removing/HASH/…` and then looks for
//! `touched/HASH`. At least one of them sees the other.

mod fault;
#[cfg(test)]
mod tests;
mod upload;

use super::BlobError;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::config::S3Settings;
use bytes::Bytes;
use fault::{Reason, S3Fault};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload, RetryConfig,
};
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use upload::{Leftovers, PART};

/// Names of one answer of the bucket's list (S3's own limit).
const PAGE: usize = 1000;
/// Calls at work at once; the rest wait. Bounds the memory held by objects being read.
const IN_FLIGHT_MAX: usize = 16;
/// The same for a call with its retries: a body of 40 MB on a slow line.
const CALL: Duration = Duration::from_secs(60);
/// A request is asked again for this long after a fault of the server or the line.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// How long a probe may take: a dead object store is noticed within two seconds.
const PROBE: Duration = Duration::from_millis(1_200);
/// A blob put again within this time of its upload counts as put at its upload. Retention leaves alone what is much
/// older still, so that no note is needed for what is sent all the time.
const YOUNG: Duration = Duration::from_secs(15 * 60);
/// A removal takes no longer; the note of one that was killed is passed over after this.
const REMOVAL: Duration = Duration::from_secs(5 * 60);
/// How often, and with what pause, a put waits for a removal under way.
const WAITS: (usize, Duration) = (50, Duration::from_millis(100));

/// Blobs in one bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3Blobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bucket: AmazonS3,
    /// The same bucket for probes: no second try, little time.
    probe: AmazonS3,
    clock: Clock,
    chance: Chance,
    in_flight: Semaphore,
    leftovers: Leftovers,
}

impl S3Blobs {
    /// A client of the bucket; asks it nothing yet.
    pub(super) fn open(settings: &S3Settings, clock: Clock, chance: Chance) -> Result<Self, BlobError> {
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 3,
            retry_timeout: RETRY_FOR,
        };
        let once = RetryConfig { max_retries: 0, ..retry.clone() };
        let open = |timeout, retry| {
            let options = ClientOptions::new()
                .with_timeout(timeout)
                .with_connect_timeout(PROBE)
                .with_allow_http(settings.endpoint.starts_with("http://"));
            AmazonS3Builder::new()
                .with_endpoint(&settings.endpoint)
                .with_bucket_name(&settings.bucket)
                .with_region(&settings.region)
                .with_access_key_id(&settings.access_key_id)
                .with_secret_access_key(settings.secret_access_key.expose())
                // Not every compatible store knows the call that deletes many.
                .with_disable_bulk_delete(true)
                .with_client_options(options)
                .with_retry(retry)
                .build()
                .map_err(|error| BlobError::Unavailable(format!("s3: {error}")))
        };
        Ok(Self(Arc::new(Shared {
            bucket: open(CALL / 2, retry)?,
            probe: open(PROBE, once)?,
            clock,
            chance,
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            leftovers: Leftovers::default(),
        })))
    }

    pub(super) async fn put(&self, content: Bytes) -> Result<BlobHash, BlobError> {
        let hash = BlobHash::of(&content);
        self.bounded(self.0.put(hash, &content)).await.map_err(unavailable)?;
        Ok(hash)
    }

    pub(super) async fn get(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let read = async { Ok(self.0.bucket.get(&blob(hash)).await?.bytes().await?) };
        let content = self.bounded(read).await.map_err(|fault| match fault.reason {
            Reason::NoObject => BlobError::Missing(hash),
            _ => unavailable(fault),
        })?;
        if BlobHash::of(&content) == hash { Ok(content) } else { Err(BlobError::Corrupt(hash)) }
    }

    pub(super) async fn exists(&self, hash: BlobHash) -> Result<bool, BlobError> {
        let found = self.bounded(self.0.head(&blob(hash))).await.map_err(unavailable)?;
        Ok(found.is_some())
    }

    pub(super) async fn remove(&self, hash: BlobHash, unused_since: Timestamp) -> Result<bool, BlobError> {
        self.bounded(self.0.remove(hash, unused_since)).await.map_err(unavailable)
    }

    /// Pages of the bucket's own list: up to 1,000 names a request.
    pub(super) async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, BlobError> {
        self.bounded(self.0.list(after, limit)).await.map_err(unavailable)
    }

    pub(super) async fn ping(&self) -> Result<(), BlobError> {
        self.probe().await.map_err(unavailable)
    }

    /// [`Self::ping`] for a person: what is wrong and what helps.
    pub(super) async fn diagnose(&self) -> Result<(), (String, &'static str)> {
        self.probe().await.map_err(|fault| (fault.to_string(), fault.remedy()))
    }

    async fn probe(&self) -> Result<(), S3Fault> {
        let path = Path::from("probe");
        let write = async { Ok(self.0.probe.put(&path, PutPayload::from_static(b"posthaste")).await?) };
        tokio::time::timeout(PROBE, write).await.unwrap_or_else(|_| Err(S3Fault::timeout()))?;
        Ok(())
    }

    /// Waits for a free place, and for the work, not for ever.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, S3Fault>>) -> Result<T, S3Fault> {
        let worked = async {
            // Never closed; a place more would be no harm.
            let _place = self.0.in_flight.acquire().await;
            work.await
        };
        tokio::time::timeout(CALL, worked).await.unwrap_or_else(|_| Err(S3Fault::timeout()))
    }
}

impl Shared {
    async fn put(&self, hash: BlobHash, content: &Bytes) -> Result<(), S3Fault> {
        let path = blob(hash);
        self.leftovers.abort(&self.bucket).await;
        for _ in 0..WAITS.0 {
            match self.head(&path).await? {
                // Another length: damaged, or the bytes of somebody else.
                Some(found) if found.size == content.len() as u64 => {
                    if self.clock.now().since(last_modified(&found)) < YOUNG {
                        return Ok(());
                    }
                    self.bucket.put(&touched(hash), PutPayload::new()).await?;
                }
                _ if content.len() > PART => {
                    upload::in_parts(&self.bucket, &self.leftovers, &path, content).await?;
                }
                _ => drop(self.bucket.put(&path, PutPayload::from(content.clone())).await?),
            }
            // No note: a removal that did not see ours has ended. It may have taken the object.
            if !self.is_being_removed(hash).await? && self.head(&path).await?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(WAITS.1).await;
        }
        Err(S3Fault::timeout())
    }

    async fn remove(&self, hash: BlobHash, unused_since: Timestamp) -> Result<bool, S3Fault> {
        let is_old = |found: &ObjectMeta| last_modified(found) < unused_since.minus(YOUNG);
        if !self.head(&blob(hash)).await?.is_some_and(|found| is_old(&found)) {
            return Ok(false);
        }
        let note = removing(hash).join(format!("{:016x}", self.chance.u64()));
        self.bucket.put(&note, PutPayload::new()).await?;
        let removed = self.remove_noted(hash, is_old).await;
        // A note that stays is passed over in time.
        let unnoted = self.bucket.delete(&note).await;
        let removed = removed?;
        unnoted?;
        Ok(removed)
    }

    /// The part of a removal that others can see coming. Looks again: somebody may have been faster.
    async fn remove_noted(
        &self,
        hash: BlobHash,
        is_old: impl Fn(&ObjectMeta) -> bool,
    ) -> Result<bool, S3Fault> {
        let touched = self.head(&touched(hash)).await?;
        let found = self.head(&blob(hash)).await?;
        if touched.as_ref().is_some_and(|note| !is_old(note)) || !found.as_ref().is_some_and(&is_old) {
            return Ok(false);
        }
        self.bucket.delete(&blob(hash)).await?;
        if let Some(note) = touched {
            self.bucket.delete(&note.location).await?;
        }
        Ok(true)
    }

    /// Whether a removal of this blob is under way.
    async fn is_being_removed(&self, hash: BlobHash) -> Result<bool, S3Fault> {
        let found = self.bucket.list_with_delimiter(Some(&removing(hash))).await?;
        let now = self.clock.now();
        Ok(found.objects.iter().any(|note| now.since(last_modified(note)) < REMOVAL))
    }

    async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, S3Fault> {
        let mut found = Vec::new();
        let mut offset = after.map(|hash| blob(hash).to_string());
        while found.len() < limit {
            let max_keys = Some((limit - found.len()).min(PAGE));
            let asked = PaginatedListOptions { offset, max_keys, ..PaginatedListOptions::default() };
            let page = self.bucket.list_paginated(Some("blobs/"), asked).await?.result.objects;
            let Some(last) = page.last() else { break };
            offset = Some(last.location.to_string());
            let named = page.iter().filter_map(|object| {
                Some((BlobHash::parse(object.location.filename()?)?, last_modified(object)))
            });
            found.extend(named);
        }
        Ok(found)
    }

    async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, S3Fault> {
        match self.bucket.head(path).await.map_err(S3Fault::from) {
            Ok(found) => Ok(Some(found)),
            Err(fault) if fault.reason == Reason::NoObject => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

fn blob(hash: BlobHash) -> Path {
    Path::from(format!("blobs/{hash}"))
}

fn touched(hash: BlobHash) -> Path {
    Path::from(format!("touched/{hash}"))
}

fn removing(hash: BlobHash) -> Path {
    Path::from(format!("removing/{hash}"))
}

fn last_modified(found: &ObjectMeta) -> Timestamp {
    Timestamp::from_millis(found.last_modified.timestamp_millis())
}

fn unavailable(fault: S3Fault) -> BlobError {
    BlobError::Unavailable(fault.to_string())
}
