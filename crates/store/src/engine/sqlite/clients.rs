//! Clients.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use posthaste_model::client::Client;
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// The columns of a client, with alias `c`.
pub(super) const CLIENT: &str = "c.id, c.name, c.department, c.is_active, c.created_at";

/// The client whose columns begin at `first`.
pub(super) fn client_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Client> {
    Ok(Client {
        id: id_at!(row, first, ClientId),
        name: row.get(first + 1)?,
        department: row.get(first + 2)?,
        is_active: row.get(first + 3)?,
        created_at: Timestamp::from_millis(row.get(first + 4)?),
    })
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
            tx.changed(&actor, "client.create", &client.id.to_string(), Some(&client.name))
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

fn one(connection: &Connection, which: &str, of: impl Params) -> Result<Option<Client>, Trouble> {
    let sql = format!("SELECT {CLIENT} FROM clients c {which}");
    Ok(connection.prepare_cached(&sql)?.query_row(of, |row| client_at(row, 0)).optional()?)
}
