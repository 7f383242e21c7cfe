//! An email as it is first written: its columns made ready before the transaction, its first events, its first claim.

use super::{blobs_of, content_json, head_json, initial_states, states_json};
use crate::StoreError;
use crate::accept::{Lease, initial_status};
use posthaste_model::attempt::Claim;
use posthaste_model::email::{BlobHash, Email};
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{RecipientStatus, Status, Timestamp};
use std::sync::Arc;

/// What an email that is wholly suppressed fails with.
pub(crate) const ALL_SUPPRESSED: &str = "every recipient is on the suppression list";

/// An email with its columns made ready, so that the transaction only writes.
pub(crate) struct Fresh {
    pub email: Arc<Email>,
    pub head: Vec<u8>,
    pub content: Vec<u8>,
    /// `None` when every recipient is to be tried.
    pub states: Option<String>,
    pub blobs: Vec<BlobHash>,
    /// Its status when nobody takes it over at once.
    pub status: Status,
}

impl Fresh {
    /// Makes the columns of an email accepted at `now`.
    pub(crate) fn prepare(email: Arc<Email>, now: Timestamp) -> Result<Self, StoreError> {
        let states = if email.recipients.iter().any(|recipient| recipient.suppressed.is_some()) {
            Some(states_json(&initial_states(&email, now))?)
        } else {
            None
        };
        Ok(Self {
            head: head_json(&email)?,
            content: content_json(&email)?,
            states,
            blobs: blobs_of(&email),
            status: initial_status(&email, now),
            email,
        })
    }

    /// When somebody must act: under a lease its end.
    pub(crate) fn due_at(&self, lease: Option<Lease>, now: Timestamp) -> Option<Timestamp> {
        match self.status {
            Status::Queued => Some(lease.map_or(now, |lease| lease.until)),
            Status::Scheduled => self.email.send_at,
            _ => None,
        }
    }

    /// What its timeline begins with.
    pub(crate) fn first_events(&self, leased: bool, now: Timestamp) -> Vec<NewEvent> {
        let event = |kind, recipient, attempt, detail| NewEvent { kind, at: now, recipient, attempt, detail };
        if self.status == Status::Failed {
            return vec![event(EventKind::Failed, None, 0, Some(ALL_SUPPRESSED.to_owned()))];
        }
        let kind = if self.status == Status::Scheduled { EventKind::Scheduled } else { EventKind::Queued };
        let mut events = vec![event(kind, None, 0, None)];
        for (index, recipient) in self.email.recipients.iter().enumerate() {
            if let Some(reason) = &recipient.suppressed {
                events.push(event(EventKind::Failed, Some(index), 0, Some(reason.clone())));
            }
        }
        if leased {
            events.push(event(EventKind::Processing, None, 1, None));
        }
        events
    }

    /// The claim as a worker would have got it from the table.
    pub(crate) fn first_claim(&self, lease: Lease, now: Timestamp) -> Claim {
        let recipients = initial_states(&self.email, now);
        debug_assert!(recipients.iter().any(|state| state.status == RecipientStatus::Queued));
        Claim {
            email: Arc::clone(&self.email),
            status: Status::Queued,
            recipients,
            attempt: 1,
            fence: 1,
            uncertain_ends: 0,
            lease_until: lease.until,
            sent_at: None,
            last_error: None,
        }
    }
}
