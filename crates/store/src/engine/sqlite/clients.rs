//! Clients.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::configuration::{Actor, retention_in_words, switch_of};
use posthaste_model::client::{Client, Retention};
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::time::Duration;

/// The columns of a client, with alias `c`.
pub(super) const CLIENT: &str =
    "c.id, c.name, c.department, c.is_active, c.created_at, c.retain_bodies, c.retain_records";

/// The client whose columns begin at `first`.
pub(super) fn client_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Client> {
    Ok(Client {
        id: id_at!(row, first, ClientId),
        name: row.get(first + 1)?,
        department: row.get(first + 2)?,
        is_active: row.get(first + 3)?,
        created_at: Timestamp::from_millis(row.get(first + 4)?),
        retention: Retention { bodies: duration_at(row, first + 5)?, records: duration_at(row, first + 6)? },
    })
}

fn duration_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Duration>> {
    Ok(row.get::<_, Option<u64>>(column)?.map(Duration::from_millis))
}

fn millis(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

impl Sqlite {
    pub(crate) async fn create_client(&self, client: Client, actor: Actor) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            tx.connection.execute(
                "INSERT INTO clients (id, name, department, is_active, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    client.id.as_bytes(),
                    client.name,
                    client.department,
                    client.is_active,
                    client.created_at.millis()
                ],
            )?;
            if client.retention != Retention::default() {
                write_retention(tx, tx.connection.last_insert_rowid(), client.retention)?;
            }
            tx.changed(&actor, "client.create", &client.id.to_string(), Some(&client.name))
        })
        .await
    }

    pub(crate) async fn set_client_retention(
        &self,
        id: ClientId,
        retention: Retention,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let n = tx.client(id)?;
            write_retention(tx, n, retention)?;
            tx.changed(&actor, "client.retention", &id.to_string(), Some(&retention_in_words(retention)))
        })
        .await
    }

    pub(crate) async fn set_client_active(
        &self,
        id: ClientId,
        is_active: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let n = tx.client(id)?;
            let sql = "UPDATE clients SET is_active = ?2 WHERE n = ?1";
            tx.connection.execute(sql, params![n, is_active])?;
            tx.changed(&actor, switch_of(is_active), &id.to_string(), None)
        })
        .await
    }

    pub(crate) async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.readers.read(move |connection| one(connection, "WHERE c.id = ?1", [id.as_bytes()])).await
    }

    pub(crate) async fn client_by_name(&self, name: &str) -> Result<Option<Client>, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |connection| one(connection, "WHERE c.name = ?1", [name])).await
    }

    pub(crate) async fn default_client(&self) -> Result<Option<Client>, StoreError> {
        self.readers.read(move |connection| one(connection, "ORDER BY c.n LIMIT 1", [])).await
    }

    pub(crate) async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = format!("SELECT {CLIENT} FROM clients c ORDER BY c.n");
                let mut statement = connection.prepare_cached(&sql)?;
                let rows = statement.query_map([], |row| client_at(row, 0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}

/// A client that ever had times of its own goes its own way through its emails from then on.
fn write_retention(tx: &Tx<'_>, client: i64, retention: Retention) -> Result<(), Trouble> {
    tx.connection.execute(
        "UPDATE clients SET retain_bodies = ?2, retain_records = ?3,
            bodies_dropped_up_to = coalesce(bodies_dropped_up_to, 0) WHERE n = ?1",
        params![client, millis(retention.bodies), millis(retention.records)],
    )?;
    Ok(())
}

fn one(connection: &Connection, which: &str, of: impl Params) -> Result<Option<Client>, Trouble> {
    let sql = format!("SELECT {CLIENT} FROM clients c {which}");
    Ok(connection.prepare_cached(&sql)?.query_row(of, |row| client_at(row, 0)).optional()?)
}
