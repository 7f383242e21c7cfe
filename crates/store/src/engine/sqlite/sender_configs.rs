//! Sender configs.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::sender_configs::{SenderConfig, SenderConfigChange};
use posthaste_model::{ClientId, SenderConfigId, Timestamp};
use rusqlite::{Connection, Params, Row, params};

const SELECT: &str = "SELECT s.id, c.id, s.sender_email, s.sender_key, s.ms_tenant_id, s.ms_client_id,
    s.sealed_secret, s.is_active, s.created_at FROM sender_configs s JOIN clients c ON c.n = s.client";

fn config_at(row: &Row<'_>) -> Result<SenderConfig, Trouble> {
    Ok(SenderConfig {
        id: id_at!(row, 0, SenderConfigId),
        client_id: id_at!(row, 1, ClientId),
        sender_email: row.get(2)?,
        sender_key: row.get(3)?,
        ms_tenant_id: row.get(4)?,
        ms_client_id: row.get(5)?,
        sealed_secret: row.get(6)?,
        is_active: row.get(7)?,
        created_at: Timestamp::from_millis(row.get(8)?),
    })
}

fn one(connection: &Connection, which: &str, of: impl Params) -> Result<Option<SenderConfig>, Trouble> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE {which}"))?;
    let mut rows = statement.query(of)?;
    rows.next()?.map(config_at).transpose()
}

fn by_id(
    connection: &Connection,
    client: ClientId,
    id: SenderConfigId,
) -> Result<Option<SenderConfig>, Trouble> {
    one(connection, "c.id = ?1 AND s.id = ?2", params![client.as_bytes(), id.as_bytes()])
}

impl Sqlite {
    pub(crate) async fn create_sender_config(
        &self,
        config: SenderConfig,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(config.client_id)?;
            tx.connection.execute(
                "INSERT INTO sender_configs (id, client, sender_email, sender_key, ms_tenant_id, ms_client_id,
                    sealed_secret, is_active, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    config.id.as_bytes(),
                    client,
                    config.sender_email,
                    config.sender_key,
                    config.ms_tenant_id,
                    config.ms_client_id,
                    config.sealed_secret,
                    config.is_active,
                    config.created_at.millis(),
                ],
            )?;
            tx.changed(&actor, "sender_config.create", &config.id.to_string(), Some(&config.sender_email))
        })
        .await
    }

    pub(crate) async fn sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
    ) -> Result<Option<SenderConfig>, StoreError> {
        self.readers.read(move |connection| by_id(connection, client_id, id)).await
    }

    pub(crate) async fn sender_config_of(
        &self,
        client_id: ClientId,
        sender_key: String,
    ) -> Result<Option<SenderConfig>, StoreError> {
        self.readers
            .read(move |connection| {
                one(connection, "c.id = ?1 AND s.sender_key = ?2", params![client_id.as_bytes(), sender_key])
            })
            .await
    }

    pub(crate) async fn sender_configs(&self, client_id: ClientId) -> Result<Vec<SenderConfig>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached(&format!("{SELECT} WHERE c.id = ?1 ORDER BY s.n"))?;
                let mut rows = statement.query([client_id.as_bytes()])?;
                let mut configs = Vec::new();
                while let Some(row) = rows.next()? {
                    configs.push(config_at(row)?);
                }
                Ok(configs)
            })
            .await
    }

    pub(crate) async fn update_sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
        change: SenderConfigChange,
        actor: Actor,
    ) -> Result<SenderConfig, StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            tx.connection.execute(
                "UPDATE sender_configs SET ms_tenant_id = coalesce(?3, ms_tenant_id),
                    ms_client_id = coalesce(?4, ms_client_id), sealed_secret = coalesce(?5, sealed_secret),
                    is_active = coalesce(?6, is_active)
                 WHERE client = ?1 AND id = ?2",
                params![
                    client,
                    id.as_bytes(),
                    change.ms_tenant_id,
                    change.ms_client_id,
                    change.sealed_secret,
                    change.is_active
                ],
            )?;
            let config = by_id(tx.connection, client_id, id)?.ok_or(StoreError::NotFound)?;
            tx.changed(&actor, "sender_config.update", &id.to_string(), None)?;
            Ok(config)
        })
        .await
    }

    pub(crate) async fn delete_sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            let sql = "DELETE FROM sender_configs WHERE client = ?1 AND id = ?2";
            if tx.connection.execute(sql, params![client, id.as_bytes()])? == 0 {
                return Err(StoreError::NotFound.into());
            }
            tx.changed(&actor, "sender_config.delete", &id.to_string(), None)
        })
        .await
    }
}
