//! Outcomes: what an attempt or a client's cancel changes, in one commit, by whoever holds the newest claim.

use crate::{Store, StoreError, on_engine};
use posthaste_model::attempt::Settlement;
use posthaste_model::{ClientId, EmailId, Status, Timestamp};
use std::sync::Arc;

/// What became of one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// It is durable.
    Recorded,
    /// Another claim is newer, or the email is under no claim: nothing was changed.
    Fenced,
}

/// What became of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelResult {
    /// It will not go out.
    Cancelled,
    /// Too late: its status.
    NotCancellable(Status),
    /// No such email of this client.
    NotFound,
}

impl Store {
    /// Records outcomes, each with its events; one result per settlement, in order.
    pub async fn settle(
        &self,
        settlements: impl Into<Arc<[Settlement]>>,
    ) -> Result<Vec<SettleResult>, StoreError> {
        on_engine!(self, engine => engine.settle(settlements.into()).await)
    }

    /// Takes an email back while it is scheduled or queued. A claim at the same instant: exactly one wins.
    pub async fn cancel(
        &self,
        client_id: ClientId,
        email_id: EmailId,
        now: Timestamp,
    ) -> Result<CancelResult, StoreError> {
        on_engine!(self, engine => engine.cancel(client_id, email_id, now).await)
    }
}
