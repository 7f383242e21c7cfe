//! Claims: due emails under a lease, renewed while an attempt runs, given back when it does not begin.

use crate::{Store, StoreError, on_engine};
use posthaste_model::attempt::Claim;
use posthaste_model::{EmailId, Timestamp, WorkerId};

/// Bodies that one claim answers with at most, in bytes: it ends behind the email that reaches this, so that it holds at
/// least one and few large ones. The others stay due.
pub const CLAIM_BYTES: usize = 16 * 1024 * 1024;

impl Store {
    /// Leases up to `limit` due emails to `worker`: higher priority first, and of every lower priority with due mail
    /// a share of a sixteenth, at least one (so at most four more than `limit`). Fewer where [`CLAIM_BYTES`] are
    /// reached.
    pub async fn claim_due(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        on_engine!(self, engine => engine.claim_due(worker, now, lease_until, limit).await)
    }

    /// Leases those of `emails` that are due to `worker`, for a bell that names them; the others (not due, in other
    /// hands, gone) are left out, as are those behind [`CLAIM_BYTES`].
    pub async fn claim_these(
        &self,
        worker: WorkerId,
        emails: &[EmailId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        on_engine!(self, engine => engine.claim_these(worker, emails, now, lease_until).await)
    }

    /// Prolongs leases; answers with the emails whose lease `worker` has lost.
    pub async fn renew_leases(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<EmailId>, StoreError> {
        on_engine!(self, engine => engine.renew_leases(worker, held, until).await)
    }

    /// Gives back emails whose attempt did not begin: due again at once, the attempt not counted.
    pub async fn hand_back(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.hand_back(worker, held, now).await)
    }
}
