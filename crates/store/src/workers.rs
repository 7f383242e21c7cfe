//! Workers: who is alive, so that the leases of the dead are taken at once.

use crate::{Store, StoreError, on_engine};
use posthaste_model::{Timestamp, WorkerId};
use std::time::Duration;

/// Workers silent for longer are not listed any more.
pub(crate) const LISTED_FOR: Duration = Duration::from_hours(24);
/// Workers silent for longer are forgotten.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_hours(7 * 24);

/// One process in one life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its id, new with each start.
    pub id: WorkerId,
    /// The node it runs on: the same over restarts.
    pub node: String,
    /// Process id.
    pub pid: u32,
    /// The roles it was started with.
    pub roles: String,
    /// Host name.
    pub host: String,
    /// When it started.
    pub started_at: Timestamp,
}

impl Store {
    /// Says that a worker is alive.
    pub async fn heartbeat(&self, worker: WorkerRecord, now: Timestamp) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.heartbeat(worker, now).await)
    }

    /// Takes the leases of earlier lives of `node` (all its workers but `except`); how many. For the start.
    pub async fn take_back(&self, node: &str, except: WorkerId, now: Timestamp) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.take_back(node, except, now).await)
    }

    /// Workers that hold their leases still, with the time each was last heard of. `now` leaves out those silent for
    /// more than a day.
    pub async fn workers(&self, now: Timestamp) -> Result<Vec<(WorkerRecord, Timestamp)>, StoreError> {
        on_engine!(self, engine => engine.workers(now).await)
    }

    /// Strikes a worker off at its orderly end; leases it still has run out.
    pub async fn remove_worker(&self, id: WorkerId) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.remove_worker(id).await)
    }
}
