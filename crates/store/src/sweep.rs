//! The sweep finds what no bell announced: due mail, and the leases of workers that fell silent.

use crate::{Store, StoreError, on_engine};
use posthaste_model::Timestamp;

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Leases taken from workers not heard of any more.
    pub released: u64,
    /// Emails due now that nobody holds.
    pub due: u64,
    /// Since when the longest waiting of them is due.
    pub oldest_due_at: Option<Timestamp>,
}

/// How much mail waits, over all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Queued, held ones included.
    pub pending: u64,
    /// Under a lease.
    pub processing: u64,
    /// Waiting for their `send_at`.
    pub scheduled: u64,
    /// Could be attempted now, and nobody holds them.
    pub due: u64,
    /// Seconds since the longest waiting due email became due; 0 when none is.
    pub oldest_due_seconds: u64,
}

impl Store {
    /// Takes the leases of workers not heard of since `dead_before` and says what is due.
    pub async fn sweep(&self, now: Timestamp, dead_before: Timestamp) -> Result<SweepReport, StoreError> {
        on_engine!(self, engine => engine.sweep(now, dead_before).await)
    }

    /// Counts waiting mail.
    pub async fn queue_counts(&self, now: Timestamp) -> Result<QueueCounts, StoreError> {
        on_engine!(self, engine => engine.queue_counts(now).await)
    }

    /// The size of waiting mail as it is stored, in bytes, attachments left out: they may be shared.
    pub async fn queue_bytes(&self) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.queue_bytes().await)
    }
}
