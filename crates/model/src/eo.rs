//! Events of organizers, and the reports that are sent of them.

use crate::user::Language;
use crate::{ClientId, EmailId, FailureCode, Status, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// An organizer's happening: emails name it, reports tell how they fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EoEvent {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The client whose mail may name it.
    pub client_id: ClientId,
    /// Its organizer.
    pub owner_id: UserId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which of an event's emails a report tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFilter {
    /// From this day on, `2026-12-01`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_from: Option<String>,
    /// Up to this day, included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_to: Option<String>,
    /// Of this status, in the words of the reports.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
}

/// The idempotency key under which a report was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportKey {
    /// The key, with who gave it and where.
    pub key: String,
    /// SHA-256 of the request in canonical form.
    pub fingerprint: [u8; 32],
}

/// A report that was asked for. What became of it is what became of its email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EoDelivery {
    /// Its number; 0 until the store gave it one.
    pub id: i64,
    /// The event it tells of.
    pub event_id: i64,
    /// The event's client, whose email it is.
    pub client_id: ClientId,
    /// Who asked for it.
    pub user_id: UserId,
    /// Its email: known before the email itself is written.
    pub email_id: EmailId,
    /// Where it goes.
    pub to_email: String,
    /// Its subject.
    pub subject: String,
    /// What it tells of.
    pub filter: ReportFilter,
    /// The language it is written in.
    pub language: Language,
    /// The delivery that it repeats.
    pub resent_from: Option<i64>,
    /// The idempotency key it was asked for under.
    pub key: Option<ReportKey>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its organizer was told that it needs attention.
    pub noticed_at: Option<Timestamp>,
    /// When the organizer put the notice away.
    pub seen_at: Option<Timestamp>,
}

/// What became of a delivery's email so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EoOutcome {
    /// The email's status.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// When a transport took it.
    pub sent_at: Option<Timestamp>,
    /// Code and message of a final failure.
    pub failure: Option<(FailureCode, String)>,
    /// The last thing that went wrong.
    pub error: Option<String>,
}
