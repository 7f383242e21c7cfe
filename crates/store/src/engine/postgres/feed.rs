//! The events of a client in the order of their numbers, behind a cursor.
//!
//! Numbers are given before the commit, so a reader may see 105 while 103 is still to come. `events_horizon()` says up
//! to which number nothing can come any more; a page ends there, and what lies above is on the next one.

use super::Postgres;
use super::columns::small_at;
use super::rows::{email_at, span, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::feed::{ClientEvent, ClientEvents};
use crate::record::{event_of, status_of};
use posthaste_model::email::Email;
use posthaste_model::event::{Event, NewEvent};
use posthaste_model::{ClientId, Status, Timestamp};
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn last_event_id(&self) -> Result<i64, StoreError> {
        self.read(|db| async move { Ok(db.one("SELECT events_horizon()", &[]).await?.try_get(0)?) }).await
    }

    pub(crate) async fn events_after(
        &self,
        client_id: ClientId,
        after: i64,
        limit: usize,
    ) -> Result<ClientEvents, StoreError> {
        let client = uuid_of!(client_id);
        self.read(|db| async move { events_after(&db, client, after, limit).await }).await
    }
}

async fn events_after(db: &Session, client: Uuid, after: i64, limit: usize) -> Result<ClientEvents, Trouble> {
    let sql = "SELECT events_horizon(), (SELECT max(day) FROM event_days WHERE last_id <= $1)";
    let bounds = db.one(sql, &[&after]).await?;
    let horizon: i64 = bounds.try_get(0)?;
    // Days are only left out, never needed.
    let first_day: i32 = bounds.try_get::<_, Option<i32>>(1)?.unwrap_or(i32::MIN);
    let mut found = ClientEvents { events: Vec::new(), after: horizon.max(after) };
    if horizon <= after {
        return Ok(found);
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db
        .rows(
            "SELECT email_id, id, seq, kind, at, recipient, attempt, detail FROM events
             WHERE client_id = $1 AND id > $2 AND id <= $3 AND day >= $4 ORDER BY id LIMIT $5",
            &[&client, &after, &horizon, &first_day, &limit],
        )
        .await?;
    if rows.len() as i64 == limit
        && let Some(last) = rows.last()
    {
        // The page is full: what lies behind it has not been looked at.
        found.after = last.try_get(1)?;
    }
    let emails = emails_of(db, client, &rows).await?;
    for row in &rows {
        // Without its email an event tells nothing: retention has just taken it.
        if let Some(present) = emails.get(&row.try_get::<_, Uuid>(0)?) {
            found.events.push(one(row, present)?);
        }
    }
    Ok(found)
}

/// An email that events belong to, without its content, its status now and the attempts at it so far.
type Present = (Email, Status, u32);

async fn emails_of(db: &Session, client: Uuid, events: &[Row]) -> Result<HashMap<Uuid, Present>, Trouble> {
    let mut ids = events.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    let Some((low, high)) = span(ids.iter()) else { return Ok(HashMap::new()) };
    let rows = db
        .rows(
            "SELECT e.id, e.client_id, e.priority, e.requested_at, h.head, NULL::bytea, e.status, e.attempts
             FROM emails e JOIN heads h ON h.client_id = e.client_id AND h.id = e.id AND h.id BETWEEN $1 AND $2
             WHERE e.client_id = $3 AND e.id = ANY($4) AND e.id BETWEEN $1 AND $2",
            &[&low, &high, &client, &ids],
        )
        .await?;
    let email = |row: &Row| {
        let status = status_of(i64::from(row.try_get::<_, i16>(6)?))?;
        Ok((row.try_get(0)?, (email_at(row)?.0, status, small_at(row, 7)?)))
    };
    rows.iter().map(email).collect()
}

fn one(row: &Row, (email, status, attempts): &Present) -> Result<ClientEvent, Trouble> {
    let recipient = row.try_get::<_, Option<i32>>(5)?.map(|index| index as usize);
    let address = recipient.and_then(|index| email.recipients.get(index));
    Ok(ClientEvent {
        status: *status,
        attempts: *attempts,
        recipient: address.map(|to| to.mailbox.address.as_str().to_owned()),
        event: Event {
            id: row.try_get(1)?,
            email_id: email.id,
            seq: row.try_get::<_, i32>(2)? as u32,
            event: NewEvent {
                kind: event_of(i64::from(row.try_get::<_, i16>(3)?))?,
                at: Timestamp::from_millis(row.try_get(4)?),
                recipient,
                attempt: row.try_get::<_, i32>(6)? as u32,
                detail: row.try_get(7)?,
            },
        },
        message_id: email.message_id.clone(),
        tags: email.tags.clone(),
        metadata: email.metadata.clone(),
    })
}
