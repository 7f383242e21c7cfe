//! What time does: drops the content of old email, then its records, in small steps, so that delivery never waits
//! behind it.

use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::blobs::Blobs;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_store::{Store, StoreError};
use std::time::Duration;

/// Rows of one step: one short transaction.
const STEP: usize = 500;
/// Between two steps of one round.
const BREATH: Duration = Duration::from_millis(50);
/// Between two rounds.
const ROUND: Duration = Duration::from_secs(600);
/// A blob that was asked for this recently may belong to a request that has not committed yet: no request lives as
/// long as this.
const IN_USE: Duration = Duration::from_secs(3600);

/// What upkeep works with.
#[derive(Clone)]
pub struct UpkeepParts {
    /// Where email is kept.
    pub store: Store,
    /// Where files are kept.
    pub blobs: Blobs,
    /// The time.
    pub clock: Clock,
    /// How long content is kept.
    pub bodies: Duration,
    /// How long records are kept.
    pub records: Duration,
    /// Crash points.
    pub faults: Faults,
}

/// Starts upkeep; it ends with the tasks.
pub fn start(parts: UpkeepParts, tasks: &Tasks) {
    let stop = tasks.token();
    tasks.supervise("upkeep", move || {
        let (parts, stop) = (parts.clone(), stop.clone());
        async move {
            // Blobs that could not go yet because somebody had just asked for them.
            let mut later = Vec::new();
            while !stop.is_cancelled() {
                later = parts.round(later, &stop).await?;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(ROUND) => {}
                }
            }
            Ok::<(), StoreError>(())
        }
    });
}

impl UpkeepParts {
    /// Removes all that is old by now; the blobs to look at again.
    async fn round(
        &self,
        mut blobs: Vec<BlobHash>,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<Vec<BlobHash>, StoreError> {
        let (mut bodies, mut records) = (0, 0);
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let removed =
                self.store.drop_old(now.minus(self.bodies), now.minus(self.records), now, STEP).await?;
            self.faults.crash_at(FaultPoint::RetentionStep);
            bodies += removed.bodies;
            records += removed.records;
            let is_done = removed.is_nothing();
            blobs.extend(removed.blobs);
            if is_done {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        if bodies + records > 0 {
            tracing::info!(bodies, records, "old email was removed");
        }
        self.remove_blobs(blobs, self.clock.now().minus(IN_USE)).await
    }

    /// Removes the blobs that nothing refers to; those in use anew are left alone, those just asked for come back.
    async fn remove_blobs(
        &self,
        blobs: Vec<BlobHash>,
        unused_since: Timestamp,
    ) -> Result<Vec<BlobHash>, StoreError> {
        let mut later = Vec::new();
        for hash in blobs {
            if self.store.blob_references(&hash).await? > 0 {
                continue;
            }
            match self.blobs.remove(&hash, unused_since).await {
                Ok(true) => {}
                Ok(false) => later.push(hash),
                Err(error) => {
                    tracing::warn!(error = %error, "a blob could not be removed");
                    later.push(hash);
                }
            }
        }
        Ok(later)
    }
}
