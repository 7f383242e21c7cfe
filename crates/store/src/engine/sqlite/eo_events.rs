//! Organizers' events.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use posthaste_model::eo::EoEvent;
use posthaste_model::{ClientId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Params, params};

fn some(connection: &Connection, which: &str, of: impl Params) -> Result<Vec<EoEvent>, Trouble> {
    let sql = format!("SELECT id, client_id, owner_id, name, created_at FROM eo_events {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(of)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(EoEvent {
            id: row.get(0)?,
            client_id: id_at!(row, 1, ClientId),
            owner_id: id_at!(row, 2, UserId),
            name: row.get(3)?,
            created_at: Timestamp::from_millis(row.get(4)?),
        });
    }
    Ok(events)
}

impl Sqlite {
    pub(crate) async fn create_eo_event(&self, event: EoEvent, actor: Actor) -> Result<i64, StoreError> {
        self.write_alone(move |tx| {
            tx.client(event.client_id)?;
            let owner = [event.owner_id.as_bytes()];
            let owner = tx.connection.query_row("SELECT 1 FROM users WHERE id = ?1", owner, |_| Ok(()));
            owner.optional()?.ok_or(StoreError::NotFound)?;
            tx.connection.execute(
                "INSERT INTO eo_events (client_id, owner_id, name, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![
                    event.client_id.as_bytes(),
                    event.owner_id.as_bytes(),
                    event.name,
                    event.created_at.millis()
                ],
            )?;
            let id = tx.connection.last_insert_rowid();
            tx.changed(&actor, "eo_event.create", &id.to_string(), Some(&event.name))?;
            Ok(id)
        })
        .await
    }

    pub(crate) async fn remove_eo_event(&self, id: i64, actor: Actor) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let told = "SELECT 1 FROM eo_deliveries WHERE event_id = ?1 LIMIT 1";
            if tx.connection.query_row(told, [id], |_| Ok(())).optional()?.is_some() {
                return Err(StoreError::Conflict("a report of the event").into());
            }
            if tx.connection.execute("DELETE FROM eo_events WHERE id = ?1", [id])? == 0 {
                return Err(StoreError::NotFound.into());
            }
            tx.changed(&actor, "eo_event.remove", &id.to_string(), None)
        })
        .await
    }

    pub(crate) async fn eo_event(&self, id: i64) -> Result<Option<EoEvent>, StoreError> {
        self.readers.read(move |connection| Ok(some(connection, "WHERE id = ?1", [id])?.pop())).await
    }

    pub(crate) async fn eo_events(&self, owner_id: Option<UserId>) -> Result<Vec<EoEvent>, StoreError> {
        self.readers
            .read(move |connection| {
                let owner = owner_id.map(|id| id.as_bytes().to_vec());
                some(connection, "WHERE ?1 IS NULL OR owner_id = ?1 ORDER BY id", [owner])
            })
            .await
    }
}
