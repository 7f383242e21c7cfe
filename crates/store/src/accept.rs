//! Accept: the one commit that makes mail ours. Emails, first events, idempotency key and, where a local worker has
//! room, the lease, in one transaction.

use crate::{Store, StoreError, on_engine};
use posthaste_model::attempt::Claim;
use posthaste_model::email::Email;
use posthaste_model::{ClientId, Status, Timestamp, WorkerId};
use std::sync::Arc;

/// What is to be accepted, all or nothing.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The emails, checked.
    pub emails: Vec<Arc<Email>>,
    /// The idempotency key the request came with.
    pub idempotency: Option<IdempotencyClaim>,
    /// The worker that takes over at once what is due.
    pub lease: Option<Lease>,
    /// The revision of the installation by which the checks were made.
    pub revision: u64,
    /// The time.
    pub now: Timestamp,
}

/// A worker's hold on emails until a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The holder.
    pub worker: WorkerId,
    /// When it ends.
    pub until: Timestamp,
}

/// An idempotency key with the answer that a repetition gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// The client the key belongs to.
    pub client_id: ClientId,
    /// The endpoint the key belongs to.
    pub endpoint: &'static str,
    /// The key.
    pub key: String,
    /// Digest of the request.
    pub fingerprint: [u8; 32],
    /// The answer to replay; opaque.
    pub answer: Vec<u8>,
    /// When the key may be used anew.
    pub keep_until: Timestamp,
}

/// What came of an acceptance.
#[derive(Clone, Debug)]
pub enum AcceptResult {
    /// Stored, durably.
    Accepted {
        /// The emails leased to `Acceptance::lease` in the same commit: due now, not scheduled, not wholly suppressed.
        claims: Vec<Claim>,
    },
    /// The same request was accepted before; the answer it got. Nothing was stored.
    Replayed(Vec<u8>),
    /// The key was used with another request. Nothing was stored.
    KeyReused,
    /// The installation has another revision than the checks were made by. Nothing was stored: check again.
    StaleRevision,
}

/// What is known of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayFound {
    /// The same request was accepted; its answer.
    Answer(Vec<u8>),
    /// Another request used the key.
    Reused,
}

/// The status an email begins with when it is accepted at `now` and nobody takes it over at once.
pub fn initial_status(email: &Email, now: Timestamp) -> Status {
    if email.recipients.iter().all(|recipient| recipient.suppressed.is_some()) {
        Status::Failed
    } else if email.send_at.is_some_and(|at| at > now) {
        Status::Scheduled
    } else {
        Status::Queued
    }
}

impl Store {
    /// Accepts emails; answers when the commit is durable.
    pub async fn accept(&self, acceptance: Acceptance) -> Result<AcceptResult, StoreError> {
        on_engine!(self, engine => engine.accept(acceptance).await)
    }

    /// Looks an idempotency key up before any check, so that a replay does not depend on them.
    pub async fn replay(
        &self,
        client_id: ClientId,
        endpoint: &'static str,
        key: &str,
        fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<ReplayFound>, StoreError> {
        on_engine!(self, engine => engine.replay(client_id, endpoint, key, fingerprint, now).await)
    }
}
