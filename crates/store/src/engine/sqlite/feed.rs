//! The events of a client in the order they were written, behind a cursor.

use super::Sqlite;
use super::rows::{EMAIL_COLUMN_COUNT, EMAIL_COLUMNS, email_at};
use super::trouble::Trouble;
use super::tx::client_number;
use crate::StoreError;
use crate::feed::{ClientEvent, ClientEvents};
use crate::record::{event_of, status_of};
use posthaste_model::event::{Event, NewEvent};
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, Row, params};

/// Events looked at for one page, of whichever client: what one read may cost when other clients are busier. The
/// cursor moves on over those that are not the client's, so the next page goes on behind them.
const LOOKED_AT: i64 = 5_000;

impl Sqlite {
    pub(crate) async fn last_event_id(&self) -> Result<i64, StoreError> {
        self.readers.read(last_event_id).await
    }

    pub(crate) async fn events_after(
        &self,
        client_id: ClientId,
        after: i64,
        limit: usize,
    ) -> Result<ClientEvents, StoreError> {
        self.readers.read(move |connection| events_after(connection, client_id, after, limit)).await
    }
}

fn last_event_id(connection: &Connection) -> Result<i64, Trouble> {
    let mut statement = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM events")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn events_after(
    connection: &Connection,
    client_id: ClientId,
    after: i64,
    limit: usize,
) -> Result<ClientEvents, Trouble> {
    let last = last_event_id(connection)?;
    let end = last.min(after.saturating_add(LOOKED_AT));
    let mut found = ClientEvents { events: Vec::new(), after: end.max(after) };
    let Some(client) = client_number(connection, client_id)? else { return Ok(found) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {EMAIL_COLUMNS}, e.status, v.id, v.seq, v.kind, v.at, v.recipient, v.attempt, v.detail, e.attempts
         FROM events v JOIN emails e ON e.n = v.n JOIN bodies b ON b.n = v.n JOIN clients c ON c.n = e.client
         WHERE v.id > ?1 AND v.id <= ?2 AND e.client = ?3 ORDER BY v.id LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![after, end, client, limit])?;
    while let Some(row) = rows.next()? {
        found.events.push(one(row)?);
    }
    if found.events.len() as i64 == limit {
        // The page is full: what lies behind it has not been looked at.
        found.after = found.events.last().map_or(found.after, |event| event.event.id);
    }
    Ok(found)
}

fn one(row: &Row<'_>) -> Result<ClientEvent, Trouble> {
    let (email, _) = email_at(row)?;
    let at = |offset: usize| EMAIL_COLUMN_COUNT + offset;
    let recipient = row.get::<_, Option<u32>>(at(5))?.map(|index| index as usize);
    let address = recipient.and_then(|index| email.recipients.get(index));
    Ok(ClientEvent {
        status: status_of(row.get(at(0))?)?,
        attempts: row.get(at(8))?,
        recipient: address.map(|to| to.mailbox.address.as_str().to_owned()),
        event: Event {
            id: row.get(at(1))?,
            email_id: email.id,
            seq: row.get(at(2))?,
            event: NewEvent {
                kind: event_of(row.get(at(3))?)?,
                at: Timestamp::from_millis(row.get(at(4))?),
                recipient,
                attempt: row.get(at(6))?,
                detail: row.get(at(7))?,
            },
        },
        message_id: email.message_id,
        tags: email.tags,
        metadata: email.metadata,
    })
}
