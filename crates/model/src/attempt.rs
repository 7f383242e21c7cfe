//! A claim: one email, under a lease, for one attempt; and the record of what came of it.

use crate::email::{Email, RecipientState};
use crate::event::NewEvent;
use crate::{EmailId, FailureCode, RecipientStatus, Status, Timestamp};
use std::sync::Arc;

/// An email under lease. Whoever holds the claim with the newest `fence` may record an outcome; others lose politely.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The email.
    pub email: Arc<Email>,
    /// Status the email had when claimed; `Sent` while recipients are left over.
    pub status: Status,
    /// What became of each recipient so far, in the email's order.
    pub recipients: Vec<RecipientState>,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// The claim's number; rises with each claim, so that a worker that woke too late is fenced off.
    pub fence: u32,
    /// Attempts that ended uncertain so far.
    pub uncertain_ends: u32,
    /// The lease's end.
    pub lease_until: Timestamp,
    /// When the email was first accepted by a transport.
    pub sent_at: Option<Timestamp>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

impl Claim {
    /// Indexes of the recipients still to be tried.
    pub fn due_recipients(&self) -> impl Iterator<Item = usize> + '_ {
        self.recipients
            .iter()
            .enumerate()
            .filter(|(_, r)| r.status == RecipientStatus::Queued)
            .map(|(index, _)| index)
    }
}

/// A recipient's new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientChange {
    /// Which recipient.
    pub index: usize,
    /// Its new status.
    pub status: RecipientStatus,
    /// What the peer said.
    pub last_reply: Option<String>,
    /// Why it failed.
    pub failure_code: Option<FailureCode>,
}

/// What one attempt changes, decided by `retry::settle` and written by the store in one transaction, provided that
/// `fence` is still the email's newest claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The email.
    pub email_id: EmailId,
    /// The claim that speaks.
    pub fence: u32,
    /// Attempts so far (an attempt that was not tried is taken off again).
    pub attempts: u32,
    /// New status of the email.
    pub status: Status,
    /// When it is due again; `None`: never by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was first accepted.
    pub sent_at: Option<Timestamp>,
    /// Code and message of a final failure.
    pub failure: Option<(FailureCode, String)>,
    /// The last thing that went wrong, shown while it is retried.
    pub error: Option<String>,
    /// Attempts that ended uncertain so far.
    pub uncertain_ends: u32,
    /// The transport that took it or refused it.
    pub provider: Option<String>,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// Recipients whose state changed.
    pub recipients: Vec<RecipientChange>,
    /// Events to append.
    pub events: Vec<NewEvent>,
    /// When it was decided.
    pub at: Timestamp,
}
