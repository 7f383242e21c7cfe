//! Emails as they are read back. Every finder takes the client first.

use crate::{Store, StoreError, on_engine};
use posthaste_model::email::{Email, RecipientState};
use posthaste_model::event::Event;
use posthaste_model::{ClientId, EmailId, FailureCode, Status, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// No page is longer.
pub(crate) const MAX_PAGE: usize = 1000;

/// An email with what became of it.
#[derive(Clone, Debug)]
pub struct EmailRecord {
    /// The email as accepted.
    pub email: Arc<Email>,
    /// Its status.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// When it is due (again); `None` while a worker holds it or when it is done.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was first accepted by a transport.
    pub sent_at: Option<Timestamp>,
    /// Code and message of a final failure.
    pub failure: Option<(FailureCode, String)>,
    /// The last thing that went wrong.
    pub error: Option<String>,
    /// The transport that took it or refused it last.
    pub provider: Option<String>,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// What became of each recipient, in the email's order.
    pub recipients: Vec<RecipientState>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The content was dropped by retention or erased: `email.content` is empty.
    pub content_dropped: bool,
}

/// Which emails to list; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmailFilter {
    /// One of these; empty: any.
    pub statuses: Vec<Status>,
    /// Requested at or after.
    pub date_from: Option<Timestamp>,
    /// Requested before.
    pub date_to: Option<Timestamp>,
    /// Has this recipient, in canonical form.
    pub recipient: Option<String>,
    /// From this sending domain.
    pub domain: Option<String>,
    /// Has this tag.
    pub tag: Option<String>,
    /// Made from this template.
    pub template_code: Option<String>,
    /// Belongs to this EO event.
    pub event_id: Option<i64>,
    /// All these words stand in the subject, in any order and case.
    pub q: Option<String>,
}

impl EmailFilter {
    /// Whether only conditions are set by which counts are kept.
    pub(crate) fn is_counted(&self) -> bool {
        let counted = Self {
            statuses: self.statuses.clone(),
            date_from: self.date_from,
            date_to: self.date_to,
            domain: self.domain.clone(),
            ..Self::default()
        };
        *self == counted
    }
}

/// An email in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSummary {
    /// Its id.
    pub id: EmailId,
    /// Sender in RFC 5322 form.
    pub from: String,
    /// Recipients named in `To`, in RFC 5322 form.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Its status.
    pub status: Status,
    /// When it was accepted.
    pub requested_at: Timestamp,
    /// When it was first accepted by a transport.
    pub sent_at: Option<Timestamp>,
    /// The message of its final failure, else the last thing that went wrong.
    pub error: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub rows: Vec<EmailSummary>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// A place in a list, stable while new mail arrives. Opaque outside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) u128);

/// Text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{:x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = text.strip_prefix('e').ok_or(CursorError)?;
        if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(CursorError);
        }
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| CursorError)
    }
}

/// Milliseconds of the hour by which emails are counted.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// The whole hours from `from` to `to`, as a range that may be empty, and the begun ones beside it.
pub(crate) fn hours(from: i64, to: i64) -> ((i64, i64), [(i64, i64); 2]) {
    let first = if from == i64::MIN {
        i64::MIN / HOUR_MS
    } else {
        from.saturating_add(HOUR_MS - 1).div_euclid(HOUR_MS)
    };
    let last = to.div_euclid(HOUR_MS);
    if first >= last {
        return ((0, 0), [(from, to), (0, 0)]);
    }
    let before = if from == i64::MIN { (0, 0) } else { (from, first * HOUR_MS) };
    let after = if to == i64::MAX { (0, 0) } else { (last * HOUR_MS, to) };
    ((first, last), [before, after])
}

/// By what emails are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsBy {
    /// Status word.
    Status,
    /// Sending domain.
    Domain,
    /// Tag; an email counts once under each of its tags.
    Tag,
    /// Hour of the request, as `2026-11-20T11:00:00Z`.
    Hour,
    /// Day of the request, as `2026-11-20`.
    Day,
}

/// So many emails of a client and an hour have a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCount {
    /// The client.
    pub client_id: ClientId,
    /// When the hour of the requests began.
    pub hour: Timestamp,
    /// Their status now.
    pub status: Status,
    /// How many, at least 1.
    pub amount: u64,
}

impl Store {
    /// An email of a client.
    pub async fn email(&self, client_id: ClientId, id: EmailId) -> Result<Option<EmailRecord>, StoreError> {
        on_engine!(self, engine => engine.email(client_id, id).await)
    }

    /// An email's timeline, oldest first; empty when the client has no such email.
    pub async fn events(&self, client_id: ClientId, id: EmailId) -> Result<Vec<Event>, StoreError> {
        on_engine!(self, engine => engine.events(client_id, id).await)
    }

    /// A page of a client's emails, newest first; `limit` is 1 to 1000.
    pub async fn list(
        &self,
        client_id: ClientId,
        filter: &EmailFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        on_engine!(self, engine => engine.list(client_id, filter.clone(), cursor, limit).await)
    }

    /// How many emails of a client the filter finds.
    pub async fn count(&self, client_id: ClientId, filter: &EmailFilter) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.count(client_id, filter.clone()).await)
    }

    /// Numbers of a client's emails requested from `from` until before `to`, by key, keys ascending.
    pub async fn stats(
        &self,
        client_id: ClientId,
        from: Timestamp,
        to: Timestamp,
        by: StatsBy,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        on_engine!(self, engine => engine.stats(client_id, from, to, by).await)
    }

    /// Numbers of all clients' emails by hour of the request and status, of every hour that has any part between `from`
    /// and `to`, in no order. They are kept and not counted, so that this costs the same however much mail there is.
    pub async fn hour_counts(&self, from: Timestamp, to: Timestamp) -> Result<Vec<HourCount>, StoreError> {
        let first = from.millis().div_euclid(HOUR_MS);
        let last = to.millis().saturating_add(HOUR_MS - 1).div_euclid(HOUR_MS);
        on_engine!(self, engine => engine.hour_counts(first, last).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_others_are_refused() {
        for n in [0, 1, 20, u128::MAX] {
            assert_eq!(Cursor(n).to_string().parse(), Ok(Cursor(n)));
        }
        for bad in ["", "20", "e", "e-1", "e+1", "eFF", "e1ffffffffffffffffffffffffffffffff", "x1"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }

    #[test]
    fn whole_hours_and_what_is_left_at_both_ends() {
        let h = HOUR_MS;
        assert_eq!(hours(0, 2 * h), ((0, 2), [(0, 0), (2 * h, 2 * h)]));
        assert_eq!(hours(1, 2 * h + 5), ((1, 2), [(1, h), (2 * h, 2 * h + 5)]));
        assert_eq!(hours(5, 9), ((0, 0), [(5, 9), (0, 0)]));
        assert_eq!(hours(h + 5, 2 * h + 9), ((0, 0), [(h + 5, 2 * h + 9), (0, 0)]));
        let ((first, last), edges) = hours(i64::MIN, i64::MAX);
        assert!(first < 0 && last > 0 && edges.iter().all(|(from, to)| from >= to));
    }
}
