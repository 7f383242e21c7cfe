//! One email and its timeline.

use super::Sqlite;
use super::rows::{EMAIL_COLUMN_COUNT, EMAIL_COLUMNS, email_at, time_at};
use super::trouble::Trouble;
use super::tx::client_number;
use crate::StoreError;
use crate::emails::EmailRecord;
use crate::record::{event_of, failure_of, states_of, status_of};
use posthaste_model::event::{Event, NewEvent};
use posthaste_model::{ClientId, EmailId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::Arc;

impl Sqlite {
    pub(crate) async fn email(
        &self,
        client_id: ClientId,
        id: EmailId,
    ) -> Result<Option<EmailRecord>, StoreError> {
        self.readers.read(move |connection| email(connection, client_id, id)).await
    }

    pub(crate) async fn events(&self, client_id: ClientId, id: EmailId) -> Result<Vec<Event>, StoreError> {
        self.readers.read(move |connection| events(connection, client_id, id)).await
    }
}

fn email(connection: &Connection, client_id: ClientId, id: EmailId) -> Result<Option<EmailRecord>, Trouble> {
    let Some(client) = client_number(connection, client_id)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {EMAIL_COLUMNS}, e.status, e.attempts, e.due_at, e.lease_owner IS NOT NULL, e.sent_at,
            e.failure_code, e.failure_message, e.error, e.provider, e.provider_message_id,
            e.recipient_count, e.recipients, e.updated_at
         FROM emails e JOIN bodies b ON b.n = e.n JOIN clients c ON c.n = e.client
         WHERE e.client = ?1 AND e.id = ?2"
    ))?;
    let mut rows = statement.query(params![client, id.as_bytes()])?;
    match rows.next()? {
        Some(row) => Ok(Some(record(row)?)),
        None => Ok(None),
    }
}

fn record(row: &Row<'_>) -> Result<EmailRecord, Trouble> {
    let (email, content_dropped) = email_at(row)?;
    let at = |offset: usize| EMAIL_COLUMN_COUNT + offset;
    let failure = match row.get::<_, Option<i64>>(at(5))? {
        Some(code) => Some((failure_of(code)?, row.get::<_, Option<String>>(at(6))?.unwrap_or_default())),
        None => None,
    };
    let is_leased: bool = row.get(at(3))?;
    let states: Option<String> = row.get(at(11))?;
    Ok(EmailRecord {
        status: status_of(row.get(at(0))?)?,
        attempts: row.get(at(1))?,
        next_attempt_at: time_at(row, at(2))?.filter(|_| !is_leased),
        sent_at: time_at(row, at(4))?,
        failure,
        error: row.get(at(7))?,
        provider: row.get(at(8))?,
        provider_message_id: row.get(at(9))?,
        recipients: states_of(states.as_deref(), row.get(at(10))?, email.requested_at.millis())?,
        updated_at: Timestamp::from_millis(row.get(at(12))?),
        content_dropped,
        email: Arc::new(email),
    })
}

fn events(connection: &Connection, client_id: ClientId, id: EmailId) -> Result<Vec<Event>, Trouble> {
    let Some(client) = client_number(connection, client_id)? else { return Ok(Vec::new()) };
    let last: Option<i64> = connection
        .prepare_cached("SELECT last_event FROM emails WHERE client = ?1 AND id = ?2")?
        .query_row(params![client, id.as_bytes()], |row| row.get(0))
        .optional()?;
    let mut events = Vec::new();
    walk(connection, last, |event, row| {
        events.push(Event {
            id: event,
            email_id: id,
            seq: row.get(1)?,
            event: NewEvent {
                kind: event_of(row.get(2)?)?,
                at: Timestamp::from_millis(row.get(3)?),
                recipient: row.get::<_, Option<u32>>(4)?.map(|index| index as usize),
                attempt: row.get(5)?,
                detail: row.get(6)?,
            },
        });
        Ok(())
    })?;
    events.reverse();
    Ok(events)
}

/// Visits an email's events from the last one back to the first.
pub(super) fn walk(
    connection: &Connection,
    last: Option<i64>,
    mut visit: impl FnMut(i64, &Row<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT previous, seq, kind, at, recipient, attempt, detail FROM events WHERE id = ?1",
    )?;
    let mut next = last;
    while let Some(id) = next {
        let mut rows = statement.query([id])?;
        let row = rows.next()?.ok_or(StoreError::Corrupt(format!("event {id} is missing")))?;
        visit(id, row)?;
        next = row.get(0)?;
    }
    Ok(())
}
