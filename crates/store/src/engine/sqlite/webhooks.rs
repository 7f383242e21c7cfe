//! Webhooks.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::webhooks::{Webhook, WebhookChange, system};
use posthaste_model::{ClientId, Timestamp, WebhookId};
use rusqlite::{Connection, Params, Row, params};

const SELECT: &str = "SELECT w.id, c.id, w.is_configured, w.url, w.events, w.is_active, w.sealed_secret,
    w.sealed_previous, w.previous_until, w.cursor, w.failing_since, w.disabled_reason, w.created_at
    FROM webhooks w JOIN clients c ON c.n = w.client";

fn webhook_at(row: &Row<'_>) -> Result<Webhook, Trouble> {
    let time = |column| Ok::<_, Trouble>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis));
    Ok(Webhook {
        id: id_at!(row, 0, WebhookId),
        client_id: id_at!(row, 1, ClientId),
        is_configured: row.get(2)?,
        url: row.get(3)?,
        events: row.get(4)?,
        is_active: row.get(5)?,
        sealed_secret: row.get(6)?,
        previous: row.get::<_, Option<Vec<u8>>>(7)?.zip(time(8)?),
        cursor: row.get(9)?,
        failing_since: time(10)?,
        disabled_reason: row.get(11)?,
        created_at: Timestamp::from_millis(row.get(12)?),
    })
}

/// The webhooks that a condition names.
pub(super) fn several(
    connection: &Connection,
    which: &str,
    of: impl Params,
) -> Result<Vec<Webhook>, Trouble> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE {which}"))?;
    let mut rows = statement.query(of)?;
    let mut webhooks = Vec::new();
    while let Some(row) = rows.next()? {
        webhooks.push(webhook_at(row)?);
    }
    Ok(webhooks)
}

fn one(connection: &Connection, client: ClientId, id: WebhookId) -> Result<Option<Webhook>, Trouble> {
    let of = params![client.as_bytes(), id.as_bytes()];
    Ok(several(connection, "c.id = ?1 AND w.id = ?2", of)?.pop())
}

fn insert(connection: &Connection, client: i64, webhook: &Webhook) -> Result<(), Trouble> {
    connection.execute(
        "INSERT INTO webhooks (id, client, is_configured, url, events, is_active, sealed_secret, cursor, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            webhook.id.as_bytes(),
            client,
            webhook.is_configured,
            webhook.url,
            webhook.events,
            webhook.is_active,
            webhook.sealed_secret,
            webhook.cursor,
            webhook.created_at.millis(),
        ],
    )?;
    Ok(())
}

impl Sqlite {
    pub(crate) async fn create_webhook(&self, webhook: Webhook, actor: Actor) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(webhook.client_id)?;
            insert(tx.connection, client, &webhook)?;
            tx.changed(&actor, "webhook.create", &webhook.id.to_string(), Some(&webhook.url))
        })
        .await
    }

    pub(crate) async fn set_configured_webhook(
        &self,
        client_id: ClientId,
        webhook: Option<Webhook>,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            let Some(webhook) = &webhook else {
                let sql = "UPDATE webhooks SET is_active = 0 WHERE client = ?1 AND is_configured = 1";
                tx.connection.execute(sql, [client])?;
                return Ok(());
            };
            let standing = tx.connection.execute(
                "UPDATE webhooks SET url = ?2, events = ?3, sealed_secret = ?4, disabled_reason = NULL,
                    cursor = CASE WHEN is_active THEN cursor ELSE ?5 END, is_active = 1
                 WHERE client = ?1 AND is_configured = 1",
                params![client, webhook.url, webhook.events, webhook.sealed_secret, webhook.cursor],
            )?;
            if standing == 0 {
                insert(tx.connection, client, webhook)?;
                let id = webhook.id.to_string();
                tx.changed(&system(), "webhook.create", &id, Some(&webhook.url))?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        self.readers.read(move |connection| one(connection, client_id, id)).await
    }

    pub(crate) async fn webhooks(&self, client_id: ClientId) -> Result<Vec<Webhook>, StoreError> {
        let which = "c.id = ?1 ORDER BY w.n";
        self.readers.read(move |connection| several(connection, which, [client_id.as_bytes()])).await
    }

    pub(crate) async fn active_webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        self.readers.read(|connection| several(connection, "w.is_active = 1 ORDER BY w.n", [])).await
    }

    pub(crate) async fn update_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        change: WebhookChange,
        actor: Actor,
    ) -> Result<Webhook, StoreError> {
        self.write_alone(move |tx| {
            let before = one(tx.connection, client_id, id)?.ok_or(StoreError::NotFound)?;
            tx.connection.execute(
                "UPDATE webhooks SET url = coalesce(?2, url), events = coalesce(?3, events) WHERE id = ?1",
                params![id.as_bytes(), change.url, change.events],
            )?;
            match change.is_active {
                Some(true) if !before.is_active => {
                    tx.connection.execute(
                        "UPDATE webhooks SET is_active = 1, failing_since = NULL, disabled_reason = NULL,
                            cursor = (SELECT coalesce(max(id), 0) FROM events) WHERE id = ?1",
                        [id.as_bytes()],
                    )?;
                }
                Some(false) => {
                    let sql = "UPDATE webhooks SET is_active = 0 WHERE id = ?1";
                    tx.connection.execute(sql, [id.as_bytes()])?;
                }
                Some(true) | None => {}
            }
            if let Some((secret, until)) = &change.rotate {
                tx.connection.execute(
                    "UPDATE webhooks SET sealed_previous = sealed_secret, previous_until = ?3, sealed_secret = ?2
                     WHERE id = ?1",
                    params![id.as_bytes(), secret, until.millis()],
                )?;
            }
            let action = if change.rotate.is_some() { "webhook.rotate" } else { "webhook.update" };
            tx.changed(&actor, action, &id.to_string(), None)?;
            Ok(one(tx.connection, client_id, id)?.ok_or(StoreError::NotFound)?)
        })
        .await
    }

    pub(crate) async fn delete_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            one(tx.connection, client_id, id)?.ok_or(StoreError::NotFound)?;
            tx.connection.execute(
                "DELETE FROM webhook_deliveries WHERE webhook = (SELECT n FROM webhooks WHERE id = ?1)",
                [id.as_bytes()],
            )?;
            tx.connection.execute("DELETE FROM webhooks WHERE id = ?1", [id.as_bytes()])?;
            tx.changed(&actor, "webhook.delete", &id.to_string(), None)
        })
        .await
    }
}
