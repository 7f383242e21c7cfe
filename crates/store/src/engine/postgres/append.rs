//! Events of one transaction, collected and written by one statement in their order.

use super::session::Session;
use super::trouble::Trouble;
use crate::record::event_code;
use posthaste_model::event::NewEvent;
use std::borrow::Cow;
use uuid::Uuid;

/// Events to append, as columns.
#[derive(Default)]
pub(super) struct NewEvents {
    client_ids: Vec<Uuid>,
    email_ids: Vec<Uuid>,
    seqs: Vec<i32>,
    kinds: Vec<i16>,
    ats: Vec<i64>,
    recipients: Vec<Option<i32>>,
    attempts: Vec<i32>,
    details: Vec<Option<String>>,
}

impl NewEvents {
    /// Adds an event as number `seq` of an email's timeline.
    pub(super) fn push(&mut self, client_id: Uuid, email_id: Uuid, seq: i32, event: &NewEvent) {
        self.client_ids.push(client_id);
        self.email_ids.push(email_id);
        self.seqs.push(seq);
        self.kinds.push(event_code(event.kind) as i16);
        self.ats.push(event.at.millis());
        self.recipients.push(event.recipient.map(|index| index as i32));
        self.attempts.push(event.attempt as i32);
        self.details.push(event.detail.as_deref().map(|text| storable(text).into_owned()));
    }

    /// Writes them. Whoever does must have set the emails' `events` and `last_day` in the same transaction.
    pub(super) async fn insert(&self, db: &Session) -> Result<(), Trouble> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        db.run(
            "INSERT INTO events (client_id, email_id, seq, kind, at, recipient, attempt, detail)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int4[], $4::int2[], $5::int8[], $6::int4[],
                $7::int4[], $8::text[])",
            &[
                &self.client_ids,
                &self.email_ids,
                &self.seqs,
                &self.kinds,
                &self.ats,
                &self.recipients,
                &self.attempts,
                &self.details,
            ],
        )
        .await?;
        Ok(())
    }
}

/// Text as PostgreSQL can keep it: everything but NUL, which a peer's reply may hold.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn nul_is_all_that_is_replaced() {
        assert_eq!(storable("550 no\0such\u{1F600}"), "550 no\u{FFFD}such\u{1F600}");
        assert!(matches!(storable("250 ok"), std::borrow::Cow::Borrowed("250 ok")));
    }
}
