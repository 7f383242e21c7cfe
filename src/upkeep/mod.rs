//! What time does: drops the content of old email, then its records, in small steps, so that delivery never waits
//! behind it; and sweeps away the files that nothing names.

mod orphans;

use crate::admin::Admin;
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::blobs::Blobs;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_store::{Store, StoreError};
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rows of one step: one short transaction.
const STEP: usize = 500;
/// Between two steps of one round.
const BREATH: Duration = Duration::from_millis(50);
/// Between two rounds, unless email is kept for less.
const ROUND: Duration = Duration::from_secs(600);
/// Between two rounds, for however short a time email is kept.
const SOONEST: Duration = Duration::from_secs(5);
/// Between two sweeps of the files.
const SWEEP: Duration = Duration::from_secs(3600);
/// After a round that the store ended.
const AGAIN: Duration = Duration::from_secs(30);
/// A login that was not used for so long has ended (`auth` says so too, by the minute).
const SESSION_IDLE: Duration = Duration::from_hours(12);
/// A file that was put this recently may belong to a request that has not committed yet: no request lives as long as
/// this, also when the clock is set by an hour meanwhile.
const IN_USE: Duration = Duration::from_secs(3 * 3600);

/// What upkeep works with.
#[derive(Clone)]
pub struct UpkeepParts {
    /// Where email is kept.
    pub store: Store,
    /// Where files are kept.
    pub blobs: Blobs,
    /// The time.
    pub clock: Clock,
    /// How long content is kept, unless its client says otherwise.
    pub bodies: Duration,
    /// How long records are kept, unless their client says otherwise.
    pub records: Duration,
    /// Switches to new signing keys.
    pub admin: Admin,
    /// Between two looks for these in DNS.
    pub dns_every: Duration,
    /// Crash points.
    pub faults: Faults,
}

/// Starts upkeep; it ends with the tasks.
pub fn start(parts: UpkeepParts, tasks: &Tasks) {
    let (stop, retained) = (tasks.token(), parts.clone());
    let between = between_rounds(parts.bodies, parts.records);
    tasks.supervise("upkeep.retention", move || {
        let (parts, stop) = (retained.clone(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                let round = parts.round(&stop).await;
                rest(&stop, told(round, "old email could not be removed, it is tried again"), between).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    let (stop, signing) = (tasks.token(), parts.clone());
    tasks.supervise("upkeep.signing_keys", move || {
        let (parts, stop) = (signing.clone(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                let switched = parts.admin.switch_to_published_keys().await;
                if let Err(refusal) = switched {
                    tracing::warn!(?refusal, "signing keys could not be looked after, it is tried again");
                }
                rest(&stop, true, parts.dns_every).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    let stop = tasks.token();
    tasks.supervise("upkeep.orphans", move || {
        let (parts, stop) = (parts.clone(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                let sweep = orphans::sweep(&parts, &stop).await;
                rest(&stop, told(sweep, "the files could not be swept, it is tried again"), SWEEP).await;
            }
            Ok::<(), Infallible>(())
        }
    });
}

/// The pause between two rounds: email that is kept for minutes does not stay for ten more.
fn between_rounds(bodies: Duration, records: Duration) -> Duration {
    bodies.min(records).clamp(SOONEST, ROUND)
}

/// Whether it went well; what went wrong is logged.
fn told<E: std::fmt::Display>(outcome: Result<(), E>, message: &'static str) -> bool {
    outcome.inspect_err(|error| tracing::warn!(%error, "{message}")).is_ok()
}

async fn rest(stop: &CancellationToken, went_well: bool, usual: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(if went_well { usual } else { AGAIN }) => {}
    }
}

impl UpkeepParts {
    /// Removes all that is old by now.
    async fn round(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let (mut bodies, mut records) = (0, 0);
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let removed =
                self.store.drop_old(now.minus(self.bodies), now.minus(self.records), now, STEP).await?;
            self.faults.crash_at(FaultPoint::RetentionStep);
            bodies += removed.bodies;
            records += removed.records;
            let is_done = removed.is_nothing();
            self.remove_blobs(removed.blobs, now.minus(IN_USE)).await?;
            if is_done {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        let now = self.clock.now();
        self.store.drop_sessions(now.minus(SESSION_IDLE)).await?;
        self.store.drop_eo_deliveries(now.minus(self.records)).await?;
        if bodies + records > 0 {
            tracing::info!(bodies, records, "old email was removed");
        }
        Ok(())
    }

    /// Removes the files that nothing refers to any more. What is left over, because it was just put or cannot go now,
    /// is the sweep's.
    async fn remove_blobs(&self, blobs: Vec<BlobHash>, unused_since: Timestamp) -> Result<(), StoreError> {
        if blobs.is_empty() {
            return Ok(());
        }
        for hash in self.store.unreferenced_blobs(blobs).await? {
            if let Err(error) = self.blobs.remove(&hash, unused_since).await {
                tracing::warn!(%error, "a file could not be removed, the next sweep tries again");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_briefly_is_looked_at_often() {
        let day = Duration::from_hours(24);
        assert_eq!(between_rounds(30 * day, 400 * day), ROUND);
        assert_eq!(between_rounds(Duration::from_secs(60), day), Duration::from_secs(60));
        assert_eq!(between_rounds(day, Duration::from_secs(1)), SOONEST);
    }
}
