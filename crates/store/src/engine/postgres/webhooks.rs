//! Webhooks.

use super::Postgres;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, time_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::webhooks::{Webhook, WebhookChange, system};
use posthaste_model::{ClientId, WebhookId};
use tokio_postgres::Row;

const COLUMNS: &str = "w.id, w.client_id, w.is_configured, w.url, w.events, w.is_active, w.sealed_secret,
    w.sealed_previous, w.previous_until, w.cursor, w.failing_since, w.disabled_reason, w.created_at";

fn webhook_at(row: &Row) -> Result<Webhook, Trouble> {
    Ok(Webhook {
        id: id_at!(row, 0, WebhookId),
        client_id: id_at!(row, 1, ClientId),
        is_configured: at(row, 2)?,
        url: at(row, 3)?,
        events: at(row, 4)?,
        is_active: at(row, 5)?,
        sealed_secret: at(row, 6)?,
        previous: at::<Option<Vec<u8>>>(row, 7)?.zip(time_at(row, 8)?),
        cursor: at(row, 9)?,
        failing_since: time_at(row, 10)?,
        disabled_reason: at(row, 11)?,
        created_at: instant_at(row, 12)?,
    })
}

/// The webhooks that a condition names.
pub(super) async fn several(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Vec<Webhook>, Trouble> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks w WHERE {which}");
    db.rows(&sql, of).await?.iter().map(webhook_at).collect()
}

async fn one(db: &Session, client: ClientId, id: WebhookId) -> Result<Webhook, Trouble> {
    let of: &[Value<'_>] = &[&uuid_of!(client), &uuid_of!(id)];
    let found = several(db, "w.client_id = $1 AND w.id = $2", of).await?.pop();
    Ok(found.ok_or(StoreError::NotFound)?)
}

/// Whether it was not there before.
async fn insert(db: &Session, webhook: &Webhook) -> Result<bool, Trouble> {
    let made = db
        .run(
            "INSERT INTO webhooks (id, client_id, is_configured, url, events, is_active, sealed_secret, cursor,
                created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            &[
                &uuid_of!(webhook.id),
                &uuid_of!(webhook.client_id),
                &webhook.is_configured,
                &webhook.url,
                &webhook.events,
                &webhook.is_active,
                &webhook.sealed_secret,
                &webhook.cursor,
                &webhook.created_at.millis(),
            ],
        )
        .await?;
    Ok(made > 0)
}

async fn change_one(
    db: &Session,
    id: WebhookId,
    change: &WebhookChange,
    was_active: bool,
) -> Result<(), Trouble> {
    let id = uuid_of!(id);
    let sql = "UPDATE webhooks SET url = coalesce($2, url), events = coalesce($3, events) WHERE id = $1";
    db.run(sql, &[&id, &change.url, &change.events]).await?;
    match change.is_active {
        Some(true) if !was_active => {
            db.run(
                "UPDATE webhooks SET is_active = true, failing_since = NULL, disabled_reason = NULL,
                    cursor = events_horizon() WHERE id = $1",
                &[&id],
            )
            .await?;
        }
        Some(false) => {
            db.run("UPDATE webhooks SET is_active = false WHERE id = $1", &[&id]).await?;
        }
        Some(true) | None => {}
    }
    if let Some((secret, until)) = &change.rotate {
        db.run(
            "UPDATE webhooks SET sealed_previous = sealed_secret, previous_until = $3, sealed_secret = $2
             WHERE id = $1",
            &[&id, secret, &until.millis()],
        )
        .await?;
    }
    Ok(())
}

impl Postgres {
    pub(crate) async fn create_webhook(&self, webhook: Webhook, actor: Actor) -> Result<(), StoreError> {
        let (webhook, actor) = (&webhook, &actor);
        self.write(1, |db| async move {
            must_stand(&db, webhook.client_id).await?;
            insert(&db, webhook).await?;
            changed(&db, actor, "webhook.create", &webhook.id.to_string(), Some(&webhook.url)).await
        })
        .await
    }

    pub(crate) async fn set_configured_webhook(
        &self,
        client_id: ClientId,
        webhook: Option<Webhook>,
    ) -> Result<(), StoreError> {
        let webhook = &webhook;
        self.write(1, |db| async move {
            must_stand(&db, client_id).await?;
            let client = uuid_of!(client_id);
            let Some(webhook) = webhook else {
                let sql = "UPDATE webhooks SET is_active = false WHERE client_id = $1 AND is_configured";
                db.run(sql, &[&client]).await?;
                return Ok(());
            };
            let standing = db
                .run(
                    "UPDATE webhooks SET url = $2, events = $3, sealed_secret = $4, disabled_reason = NULL,
                        cursor = CASE WHEN is_active THEN cursor ELSE $5 END, is_active = true
                     WHERE client_id = $1 AND is_configured",
                    &[&client, &webhook.url, &webhook.events, &webhook.sealed_secret, &webhook.cursor],
                )
                .await?;
            // Nodes that start at once: the first one makes it.
            if standing == 0 && insert(&db, webhook).await? {
                let id = webhook.id.to_string();
                changed(&db, &system(), "webhook.create", &id, Some(&webhook.url)).await?;
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
        let which = "w.client_id = $1 AND w.id = $2";
        self.read(
            |db| async move { Ok(several(&db, which, &[&uuid_of!(client_id), &uuid_of!(id)]).await?.pop()) },
        )
        .await
    }

    pub(crate) async fn webhooks(&self, client_id: ClientId) -> Result<Vec<Webhook>, StoreError> {
        let which = "w.client_id = $1 ORDER BY w.n";
        self.read(|db| async move { several(&db, which, &[&uuid_of!(client_id)]).await }).await
    }

    pub(crate) async fn active_webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        self.read(|db| async move { several(&db, "w.is_active ORDER BY w.n", &[]).await }).await
    }

    pub(crate) async fn update_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        change: WebhookChange,
        actor: Actor,
    ) -> Result<Webhook, StoreError> {
        let (change, actor) = (&change, &actor);
        self.write(1, |db| async move {
            let sql = "SELECT FROM webhooks WHERE client_id = $1 AND id = $2 FOR UPDATE";
            db.maybe(sql, &[&uuid_of!(client_id), &uuid_of!(id)]).await?;
            let before = one(&db, client_id, id).await?;
            change_one(&db, id, change, before.is_active).await?;
            let action = if change.rotate.is_some() { "webhook.rotate" } else { "webhook.update" };
            changed(&db, actor, action, &id.to_string(), None).await?;
            one(&db, client_id, id).await
        })
        .await
    }

    pub(crate) async fn delete_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            let sql = "DELETE FROM webhooks WHERE client_id = $1 AND id = $2";
            if db.run(sql, &[&uuid_of!(client_id), &uuid_of!(id)]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            db.run("DELETE FROM webhook_deliveries WHERE webhook_id = $1", &[&uuid_of!(id)]).await?;
            changed(&db, actor, "webhook.delete", &id.to_string(), None).await
        })
        .await
    }
}
