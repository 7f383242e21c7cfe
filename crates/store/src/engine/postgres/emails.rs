//! One email and its timeline.

use super::Postgres;
use super::columns::{at, code_at, instant_at, small_at};
use super::rows::{EMAIL_COLUMN_COUNT, EMAIL_COLUMNS, EMAIL_TABLES, email_at, time_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::emails::EmailRecord;
use crate::record::{event_of, failure_of, states_of, status_of};
use posthaste_model::event::{Event, NewEvent};
use posthaste_model::{ClientId, EmailId};
use std::sync::Arc;
use tokio_postgres::Row;

impl Postgres {
    pub(crate) async fn email(
        &self,
        client_id: ClientId,
        id: EmailId,
    ) -> Result<Option<EmailRecord>, StoreError> {
        self.read(|db| async move {
            let sql = format!(
                "SELECT {EMAIL_COLUMNS}, e.status, e.attempts, e.due_at, e.lease_owner IS NOT NULL, e.sent_at,
                    e.failure_code, e.failure_message, e.error, e.provider, e.provider_message_id,
                    e.recipient_count, e.recipients, e.updated_at
                 FROM {EMAIL_TABLES}
                 WHERE e.id BETWEEN $1 AND $2 AND e.client_id = $3"
            );
            let id = uuid_of!(id);
            let row = db.maybe(&sql, &[&id, &id, &uuid_of!(client_id)]).await?;
            row.map(|row| record(&row)).transpose()
        })
        .await
    }

    pub(crate) async fn events(&self, client_id: ClientId, id: EmailId) -> Result<Vec<Event>, StoreError> {
        self.read(|db| async move { events(&db, client_id, id).await }).await
    }
}

fn record(row: &Row) -> Result<EmailRecord, Trouble> {
    let (email, content_dropped) = email_at(row)?;
    let place = |offset: usize| EMAIL_COLUMN_COUNT + offset;
    let failure = match at::<Option<i16>>(row, place(5))? {
        Some(code) => {
            let message: Option<String> = at(row, place(6))?;
            Some((failure_of(i64::from(code))?, message.unwrap_or_default()))
        }
        None => None,
    };
    let is_leased: bool = at(row, place(3))?;
    let states: Option<&str> = row.try_get(place(11))?;
    let count = i64::from(at::<i32>(row, place(10))?);
    Ok(EmailRecord {
        status: status_of(code_at(row, place(0))?)?,
        attempts: small_at(row, place(1))?,
        next_attempt_at: time_at(row, place(2))?.filter(|_| !is_leased),
        sent_at: time_at(row, place(4))?,
        failure,
        error: at(row, place(7))?,
        provider: at(row, place(8))?,
        provider_message_id: at(row, place(9))?,
        recipients: states_of(states, count, email.requested_at.millis())?,
        updated_at: instant_at(row, place(12))?,
        content_dropped,
        email: Arc::new(email),
    })
}

async fn events(db: &Session, client_id: ClientId, id: EmailId) -> Result<Vec<Event>, Trouble> {
    let (client, email) = (uuid_of!(client_id), uuid_of!(id));
    // First the days, as values: only then the planner leaves out all others.
    let days = "SELECT first_day, last_day FROM emails WHERE client_id = $1 AND id = $2";
    let Some(row) = db.maybe(days, &[&client, &email]).await? else { return Ok(Vec::new()) };
    let (first, last): (i32, i32) = (at(&row, 0)?, at(&row, 1)?);
    let sql = "SELECT id, seq, kind, at, recipient, attempt, detail FROM events
        WHERE client_id = $1 AND email_id = $2 AND day BETWEEN $3 AND $4 ORDER BY seq";
    let rows = db.rows(sql, &[&client, &email, &first, &last]).await?;
    rows.iter()
        .map(|row| {
            let recipient: Option<i32> = at(row, 4)?;
            Ok(Event {
                id: at(row, 0)?,
                email_id: id,
                seq: small_at(row, 1)?,
                event: NewEvent {
                    kind: event_of(code_at(row, 2)?)?,
                    at: instant_at(row, 3)?,
                    recipient: recipient.and_then(|index| usize::try_from(index).ok()),
                    attempt: small_at(row, 5)?,
                    detail: at(row, 6)?,
                },
            })
        })
        .collect()
}
