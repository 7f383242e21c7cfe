//! Sender configs.

use super::Postgres;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::sender_configs::{SenderConfig, SenderConfigChange};
use posthaste_model::{ClientId, SenderConfigId};
use tokio_postgres::Row;

const COLUMNS: &str = "s.id, s.client_id, s.sender_email, s.sender_key, s.ms_tenant_id, s.ms_client_id,
    s.sealed_secret, s.is_active, s.created_at";

fn config_at(row: &Row) -> Result<SenderConfig, Trouble> {
    Ok(SenderConfig {
        id: id_at!(row, 0, SenderConfigId),
        client_id: id_at!(row, 1, ClientId),
        sender_email: at(row, 2)?,
        sender_key: at(row, 3)?,
        ms_tenant_id: at(row, 4)?,
        ms_client_id: at(row, 5)?,
        sealed_secret: at(row, 6)?,
        is_active: at(row, 7)?,
        created_at: instant_at(row, 8)?,
    })
}

async fn one(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Option<SenderConfig>, Trouble> {
    let row = db.maybe(&format!("SELECT {COLUMNS} FROM sender_configs s WHERE {which}"), of).await?;
    row.map(|row| config_at(&row)).transpose()
}

impl Postgres {
    pub(crate) async fn create_sender_config(
        &self,
        config: SenderConfig,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (config, actor) = (&config, &actor);
        self.write(1, |db| async move {
            must_stand(&db, config.client_id).await?;
            db.run(
                "INSERT INTO sender_configs (id, client_id, sender_email, sender_key, ms_tenant_id, ms_client_id,
                    sealed_secret, is_active, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    &uuid_of!(config.id),
                    &uuid_of!(config.client_id),
                    &config.sender_email,
                    &config.sender_key,
                    &config.ms_tenant_id,
                    &config.ms_client_id,
                    &config.sealed_secret,
                    &config.is_active,
                    &config.created_at.millis(),
                ],
            )
            .await?;
            changed(&db, actor, "sender_config.create", &config.id.to_string(), Some(&config.sender_email))
                .await
        })
        .await
    }

    pub(crate) async fn sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
    ) -> Result<Option<SenderConfig>, StoreError> {
        self.read(|db| async move {
            one(&db, "s.client_id = $1 AND s.id = $2", &[&uuid_of!(client_id), &uuid_of!(id)]).await
        })
        .await
    }

    pub(crate) async fn sender_config_of(
        &self,
        client_id: ClientId,
        sender_key: String,
    ) -> Result<Option<SenderConfig>, StoreError> {
        let sender_key = &sender_key;
        self.read(|db| async move {
            one(&db, "s.client_id = $1 AND s.sender_key = $2", &[&uuid_of!(client_id), sender_key]).await
        })
        .await
    }

    pub(crate) async fn sender_configs(&self, client_id: ClientId) -> Result<Vec<SenderConfig>, StoreError> {
        self.read(|db| async move {
            let sql = format!("SELECT {COLUMNS} FROM sender_configs s WHERE s.client_id = $1 ORDER BY s.n");
            db.rows(&sql, &[&uuid_of!(client_id)]).await?.iter().map(config_at).collect()
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
        let (change, actor) = (&change, &actor);
        self.write(1, |db| async move {
            db.run(
                "UPDATE sender_configs SET ms_tenant_id = coalesce($3, ms_tenant_id),
                    ms_client_id = coalesce($4, ms_client_id), sealed_secret = coalesce($5, sealed_secret),
                    is_active = coalesce($6, is_active)
                 WHERE client_id = $1 AND id = $2",
                &[
                    &uuid_of!(client_id),
                    &uuid_of!(id),
                    &change.ms_tenant_id,
                    &change.ms_client_id,
                    &change.sealed_secret,
                    &change.is_active,
                ],
            )
            .await?;
            let found =
                one(&db, "s.client_id = $1 AND s.id = $2", &[&uuid_of!(client_id), &uuid_of!(id)]).await?;
            let config = found.ok_or(StoreError::NotFound)?;
            changed(&db, actor, "sender_config.update", &id.to_string(), None).await?;
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
        let actor = &actor;
        self.write(1, |db| async move {
            let sql = "DELETE FROM sender_configs WHERE client_id = $1 AND id = $2";
            if db.run(sql, &[&uuid_of!(client_id), &uuid_of!(id)]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "sender_config.delete", &id.to_string(), None).await
        })
        .await
    }
}
