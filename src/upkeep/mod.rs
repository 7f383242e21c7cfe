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
/// After a round that the store ended.
const AGAIN: Duration = Duration::from_secs(30);
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
            // Blobs that could not go yet because somebody had just asked for them, or the store could not be asked.
            let mut later = Vec::new();
            while !stop.is_cancelled() {
                let pause = match parts.round(&mut later, &stop).await {
                    Ok(()) => ROUND,
                    Err(error) => {
                        tracing::warn!(%error, "old email could not be removed, it is tried again");
                        AGAIN
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Ok::<(), std::convert::Infallible>(())
        }
    });
}

impl UpkeepParts {
    /// Removes all that is old by now; the blobs to look at again stay in `blobs`, also when the store fails.
    async fn round(
        &self,
        blobs: &mut Vec<BlobHash>,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<(), StoreError> {
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

    /// Removes the blobs that nothing refers to; those in use anew are left alone, those just asked for stay in `blobs`.
    async fn remove_blobs(
        &self,
        blobs: &mut Vec<BlobHash>,
        unused_since: Timestamp,
    ) -> Result<(), StoreError> {
        let mut looked_at = std::mem::take(blobs).into_iter();
        while let Some(hash) = looked_at.next() {
            match self.is_dealt_with(&hash, unused_since).await {
                Ok(true) => {}
                Ok(false) => blobs.push(hash),
                Err(error) => {
                    blobs.push(hash);
                    blobs.extend(looked_at);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether a blob needs no further look: it is in use anew, was removed now, or is gone already.
    async fn is_dealt_with(&self, hash: &BlobHash, unused_since: Timestamp) -> Result<bool, StoreError> {
        if self.store.blob_references(hash).await? > 0 {
            return Ok(true);
        }
        let is_gone = match self.blobs.remove(hash, unused_since).await {
            Ok(false) => self.blobs.exists(hash).await.map(|is_there| !is_there),
            done => done,
        };
        Ok(is_gone.unwrap_or_else(|error| {
            tracing::warn!(%error, "a blob could not be removed");
            false
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use posthaste_store::StoreSettings;

    #[tokio::test]
    async fn only_what_is_there_and_was_just_put_is_looked_at_again() {
        let home = tempfile::tempdir().unwrap();
        let parts = UpkeepParts {
            store: Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap(),
            blobs: Blobs::files(&home.path().join("blobs"), Faults::none()).unwrap(),
            clock: Clock::system(),
            bodies: Duration::from_secs(1),
            records: Duration::from_secs(1),
            faults: Faults::none(),
        };
        let young = parts.blobs.put(Bytes::from_static(b"young")).await.unwrap();
        let mut blobs = vec![BlobHash::of(b"gone already"), young];
        parts.remove_blobs(&mut blobs, Timestamp::from_millis(0)).await.unwrap();
        assert_eq!(blobs, [young]);
        parts.remove_blobs(&mut blobs, Timestamp::from_millis(i64::MAX)).await.unwrap();
        assert_eq!((blobs, parts.blobs.exists(&young).await), (vec![], Ok(false)));

        // A store that does not answer costs nothing but time.
        let mut blobs = vec![young, BlobHash::of(b"other")];
        parts.store.close().await;
        assert!(parts.remove_blobs(&mut blobs, Timestamp::from_millis(0)).await.is_err());
        assert_eq!(blobs.len(), 2);
    }
}
