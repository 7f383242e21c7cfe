//! Organizers' events.

use super::Postgres;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use posthaste_model::eo::EoEvent;
use posthaste_model::{ClientId, UserId};

async fn some(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Vec<EoEvent>, Trouble> {
    let sql = format!("SELECT id, client_id, owner_id, name, created_at FROM eo_events {which}");
    let rows = db.rows(&sql, of).await?;
    let events = rows.iter().map(|row| {
        Ok(EoEvent {
            id: at(row, 0)?,
            client_id: id_at!(row, 1, ClientId),
            owner_id: id_at!(row, 2, UserId),
            name: at(row, 3)?,
            created_at: instant_at(row, 4)?,
        })
    });
    events.collect()
}

impl Postgres {
    pub(crate) async fn create_eo_event(&self, event: EoEvent, actor: Actor) -> Result<i64, StoreError> {
        let (event, actor) = (&event, &actor);
        self.write(1, |db| async move {
            must_stand(&db, event.client_id).await?;
            let owner = uuid_of!(event.owner_id);
            let found = db.maybe("SELECT 1 FROM users WHERE id = $1", &[&owner]).await?;
            found.ok_or(StoreError::NotFound)?;
            let row = db
                .one(
                    "INSERT INTO eo_events (client_id, owner_id, name, created_at) VALUES ($1, $2, $3, $4)
                     RETURNING id",
                    &[&uuid_of!(event.client_id), &owner, &event.name, &event.created_at.millis()],
                )
                .await?;
            let id: i64 = at(&row, 0)?;
            changed(&db, actor, "eo_event.create", &id.to_string(), Some(&event.name)).await?;
            Ok(id)
        })
        .await
    }

    pub(crate) async fn remove_eo_event(&self, id: i64, actor: Actor) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            let told = "SELECT 1 FROM eo_deliveries WHERE event_id = $1 LIMIT 1";
            if db.maybe(told, &[&id]).await?.is_some() {
                return Err(StoreError::Conflict("a report of the event").into());
            }
            if db.run("DELETE FROM eo_events WHERE id = $1", &[&id]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "eo_event.remove", &id.to_string(), None).await
        })
        .await
    }

    pub(crate) async fn eo_event(&self, id: i64) -> Result<Option<EoEvent>, StoreError> {
        self.read(|db| async move { Ok(some(&db, "WHERE id = $1", &[&id]).await?.pop()) }).await
    }

    pub(crate) async fn eo_events(&self, owner_id: Option<UserId>) -> Result<Vec<EoEvent>, StoreError> {
        let owner = owner_id.map(|id| uuid_of!(id));
        self.read(|db| async move {
            some(&db, "WHERE $1::uuid IS NULL OR owner_id = $1 ORDER BY id", &[&owner]).await
        })
        .await
    }
}
