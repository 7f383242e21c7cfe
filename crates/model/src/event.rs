//! The timeline: every change of an email's state is one event, appended in the transaction that makes the change.

use crate::status::words;
use crate::{EmailId, Timestamp};

words!(
    /// What happened.
    EventKind {
        /// Accepted with a later `send_at`.
        Scheduled = "scheduled",
        /// Accepted, or waiting again.
        Queued = "queued",
        /// An attempt began.
        Processing = "processing",
        /// A transport accepted it for the recipient(s).
        Sent = "sent",
        /// Refused for now; a later attempt is due.
        Deferred = "deferred",
        /// An attempt ended without an answer: the peer may have it.
        PossibleDuplicate = "possible_duplicate",
        /// Held for a person after an uncertain end.
        Held = "held",
        /// A worker's lease ran out or was taken back; the attempt's end is unknown.
        LeaseExpired = "lease_expired",
        /// Not tried: the circuit was open or a rate was reached.
        Postponed = "postponed",
        /// It arrived.
        Delivered = "delivered",
        /// It came back.
        Bounced = "bounced",
        /// The recipient complained.
        Complained = "complained",
        /// It failed for good.
        Failed = "failed",
        /// Taken back.
        Cancelled = "cancelled",
        /// Opened by the recipient, as the provider says.
        Opened = "opened",
        /// A link was followed, as the provider says.
        Clicked = "clicked",
        /// The recipient unsubscribed.
        Unsubscribed = "unsubscribed",
        /// A copy was sent as a new email.
        Resent = "resent",
    }
);

/// An event to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Whom it concerns: a recipient's index; `None`: all of them.
    pub recipient: Option<usize>,
    /// The attempt it belongs to; 0: none.
    pub attempt: u32,
    /// Reply, transport, reason: text for people.
    pub detail: Option<String>,
}

/// An event as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number in the installation: rises, never used twice.
    pub id: i64,
    /// The email.
    pub email_id: EmailId,
    /// Its place in the email's timeline, from 1.
    pub seq: u32,
    /// What happened.
    pub event: NewEvent,
}
