//! Clients.

use super::Postgres;
use super::audit::changed;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::{Actor, retention_in_words, switch_of};
use posthaste_model::ClientId;
use posthaste_model::client::{Client, Retention};
use std::time::Duration;
use tokio_postgres::Row;

/// The columns of a client, with alias `c`.
pub(super) const CLIENT: &str =
    "c.id, c.name, c.department, c.is_active, c.created_at, c.retain_bodies, c.retain_records";

/// The client whose columns begin at `first`.
pub(super) fn client_at(row: &Row, first: usize) -> Result<Client, Trouble> {
    Ok(Client {
        id: id_at!(row, first, ClientId),
        name: at(row, first + 1)?,
        department: at(row, first + 2)?,
        is_active: at(row, first + 3)?,
        created_at: instant_at(row, first + 4)?,
        retention: Retention { bodies: duration_at(row, first + 5)?, records: duration_at(row, first + 6)? },
    })
}

fn duration_at(row: &Row, column: usize) -> Result<Option<Duration>, Trouble> {
    let millis: Option<i64> = at(row, column)?;
    Ok(millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

fn millis(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// `NotFound` when there is no such client.
pub(super) async fn must_stand(db: &Session, id: ClientId) -> Result<(), Trouble> {
    let found = db.maybe("SELECT 1 FROM clients WHERE id = $1", &[&uuid_of!(id)]).await?;
    if found.is_none() { Err(StoreError::NotFound.into()) } else { Ok(()) }
}

impl Postgres {
    pub(crate) async fn create_client(&self, client: Client, actor: Actor) -> Result<(), StoreError> {
        let (client, actor) = (&client, &actor);
        self.write(1, |db| async move {
            db.run(
                "INSERT INTO clients (id, name, department, is_active, created_at, retain_bodies, retain_records)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    &uuid_of!(client.id),
                    &client.name,
                    &client.department,
                    &client.is_active,
                    &client.created_at.millis(),
                    &millis(client.retention.bodies),
                    &millis(client.retention.records),
                ],
            )
            .await?;
            changed(&db, actor, "client.create", &client.id.to_string(), Some(&client.name)).await
        })
        .await
    }

    pub(crate) async fn set_client_retention(
        &self,
        id: ClientId,
        retention: Retention,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            let sql = "UPDATE clients SET retain_bodies = $2, retain_records = $3 WHERE id = $1";
            let values: [Value<'_>; 3] =
                [&uuid_of!(id), &millis(retention.bodies), &millis(retention.records)];
            if db.run(sql, &values).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "client.retention", &id.to_string(), Some(&retention_in_words(retention)))
                .await
        })
        .await
    }

    pub(crate) async fn set_client_active(
        &self,
        id: ClientId,
        is_active: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            let sql = "UPDATE clients SET is_active = $2 WHERE id = $1";
            if db.run(sql, &[&uuid_of!(id), &is_active]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, switch_of(is_active), &id.to_string(), None).await
        })
        .await
    }

    pub(crate) async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.read(|db| async move { one(&db, "WHERE c.id = $1", &[&uuid_of!(id)]).await }).await
    }

    pub(crate) async fn client_by_name(&self, name: &str) -> Result<Option<Client>, StoreError> {
        self.read(|db| async move { one(&db, "WHERE c.name = $1", &[&name]).await }).await
    }

    pub(crate) async fn default_client(&self) -> Result<Option<Client>, StoreError> {
        self.read(|db| async move { one(&db, "ORDER BY c.n LIMIT 1", &[]).await }).await
    }

    pub(crate) async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.read(|db| async move {
            let rows = db.rows(&format!("SELECT {CLIENT} FROM clients c ORDER BY c.n"), &[]).await?;
            rows.iter().map(|row| client_at(row, 0)).collect()
        })
        .await
    }
}

async fn one(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Option<Client>, Trouble> {
    let row = db.maybe(&format!("SELECT {CLIENT} FROM clients c {which}"), of).await?;
    row.map(|row| client_at(&row, 0)).transpose()
}
