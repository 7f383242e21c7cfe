//! What is told to webhooks: made behind a cursor, leased, settled.

use super::Postgres;
use super::audit::changed;
use super::columns::{at, code_at, count_at, instant_at, small_at};
use super::rows::{id_at, time_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use super::webhooks::several;
use crate::StoreError;
use crate::webhooks::{
    DeliveryEnd, NewWebhookDelivery, Webhook, WebhookBacklog, WebhookDelivery, WebhookSettlement,
    attempts_of, state_of, system,
};
use posthaste_model::{ClientId, EmailId, Timestamp, WebhookDeliveryId, WebhookId};
use tokio_postgres::Row;
use uuid::Uuid;

const COLUMNS: &str =
    "d.n, d.id, d.event, d.email_id, d.seq, d.kind, d.body, d.state, d.due_at, d.fence, d.tries,
    d.started_at, d.attempts, d.attempt_count, d.created_at";

/// Of one email only the oldest waiting delivery can be called.
const CALLABLE: &str = "d.state = 0 AND d.due_at <= $1 AND NOT EXISTS (SELECT FROM webhook_deliveries p
    WHERE p.webhook_id = d.webhook_id AND p.email_id = d.email_id AND p.n < d.n AND p.state = 0)";

fn delivery_at(row: &Row) -> Result<WebhookDelivery, Trouble> {
    Ok(WebhookDelivery {
        number: at(row, 0)?,
        id: id_at!(row, 1, WebhookDeliveryId),
        event: at(row, 2)?,
        email_id: at::<Option<Uuid>>(row, 3)?.map(|id| EmailId::from_bytes(id.into_bytes())),
        seq: small_at(row, 4)?,
        kind: at(row, 5)?,
        body: at(row, 6)?,
        state: state_of(code_at(row, 7)?)?,
        due_at: time_at(row, 8)?,
        fence: at(row, 9)?,
        tries: small_at(row, 10)?,
        started_at: instant_at(row, 11)?,
        attempts: attempts_of(row.try_get(12)?)?,
        attempt_count: small_at(row, 13)?,
        created_at: instant_at(row, 14)?,
    })
}

/// The deliveries that a condition names.
async fn listed(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Vec<WebhookDelivery>, Trouble> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE {which}"
    );
    db.rows(&sql, of).await?.iter().map(delivery_at).collect()
}

async fn named(
    db: &Session,
    (client, webhook, delivery): (ClientId, WebhookId, WebhookDeliveryId),
) -> Result<Option<WebhookDelivery>, Trouble> {
    let of: &[Value<'_>] = &[&uuid_of!(client), &uuid_of!(webhook), &uuid_of!(delivery)];
    Ok(listed(db, "w.client_id = $1 AND w.id = $2 AND d.id = $3", of).await?.pop())
}

async fn insert(db: &Session, webhook: WebhookId, new: &NewWebhookDelivery) -> Result<(), Trouble> {
    let (webhook, email) = (uuid_of!(webhook), new.email_id.map(|id| uuid_of!(id)));
    if new.once {
        let sql =
            "SELECT FROM webhook_deliveries WHERE email_id = $1 AND webhook_id = $2 AND kind = $3 LIMIT 1";
        if db.maybe(sql, &[&email, &webhook, &new.kind]).await?.is_some() {
            return Ok(());
        }
    }
    db.run(
        "INSERT INTO webhook_deliveries (id, webhook_id, event, email_id, seq, kind, body, state, due_at, fence,
            tries, started_at, attempts, attempt_count, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, 0, $8, '[]', 0, $8)",
        &[
            &uuid_of!(new.id),
            &webhook,
            &new.event,
            &email,
            &i32::try_from(new.seq).unwrap_or(i32::MAX),
            &new.kind,
            &new.body,
            &new.at.millis(),
        ],
    )
    .await?;
    Ok(())
}

async fn settle(db: &Session, settlement: &WebhookSettlement) -> Result<bool, Trouble> {
    let id = uuid_of!(settlement.delivery_id);
    let sql = "SELECT attempts FROM webhook_deliveries WHERE id = $1 AND fence = $2 AND state = 0 FOR UPDATE";
    let Some(row) = db.maybe(sql, &[&id, &settlement.fence]).await? else { return Ok(false) };
    let settled = settlement.settled(row.try_get(0)?)?;
    db.run(
        "UPDATE webhook_deliveries SET state = $2, due_at = $3, attempts = $4, tries = tries + 1,
                started_at = CASE WHEN tries = 0 THEN $6 ELSE started_at END,
            attempt_count = attempt_count + 1, ended_at = $5 WHERE id = $1",
        &[
            &id,
            &(settled.state as i16),
            &settled.due_at,
            &settled.attempts,
            &settled.ended_at,
            &settlement.attempt.at.millis(),
        ],
    )
    .await?;
    let webhook = uuid_of!(settlement.webhook_id);
    if settlement.end == DeliveryEnd::Delivered {
        let sql = "UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL";
        db.run(sql, &[&webhook]).await?;
    } else {
        let sql = "UPDATE webhooks SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL";
        db.run(sql, &[&webhook, &settlement.at.millis()]).await?;
    }
    Ok(true)
}

impl Postgres {
    pub(crate) async fn fan_out(
        &self,
        id: WebhookId,
        from: i64,
        to: i64,
        deliveries: Vec<NewWebhookDelivery>,
    ) -> Result<bool, StoreError> {
        let deliveries = &deliveries;
        self.write(1 + deliveries.len(), |db| async move {
            let sql = "UPDATE webhooks SET cursor = $3 WHERE id = $1 AND cursor = $2 AND is_active";
            if db.run(sql, &[&uuid_of!(id), &from, &to]).await? == 0 {
                return Ok(false);
            }
            for delivery in deliveries {
                insert(&db, id, delivery).await?;
            }
            Ok(true)
        })
        .await
    }

    pub(crate) async fn add_webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: NewWebhookDelivery,
    ) -> Result<(), StoreError> {
        let delivery = &delivery;
        self.write(1, |db| async move {
            let sql = "SELECT FROM webhooks WHERE id = $1 AND client_id = $2 FOR SHARE";
            let found = db.maybe(sql, &[&uuid_of!(id), &uuid_of!(client_id)]).await?;
            found.ok_or(StoreError::NotFound)?;
            insert(&db, id, delivery).await
        })
        .await
    }

    pub(crate) async fn due_webhooks(&self, now: Timestamp) -> Result<Vec<Webhook>, StoreError> {
        let which = &format!(
            "w.is_active AND w.id IN (SELECT d.webhook_id FROM webhook_deliveries d WHERE {CALLABLE}) ORDER BY w.n"
        );
        self.read(|db| async move { several(&db, which, &[&now.millis()]).await }).await
    }

    pub(crate) async fn claim_webhook_deliveries(
        &self,
        id: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let sql = &format!(
            "UPDATE webhook_deliveries d SET due_at = $3, fence = fence + 1 WHERE n IN (
                SELECT d.n FROM webhook_deliveries d WHERE d.webhook_id = $2 AND {CALLABLE}
                ORDER BY d.due_at, d.n LIMIT $4 FOR UPDATE SKIP LOCKED)
             RETURNING {COLUMNS}"
        );
        let limit = limit as i64;
        let mut claimed = self
            .write(1, |db| async move {
                let rows = db.rows(sql, &[&now.millis(), &uuid_of!(id), &until.millis(), &limit]).await?;
                rows.iter().map(delivery_at).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        claimed.sort_unstable_by_key(|delivery| delivery.number);
        Ok(claimed)
    }

    pub(crate) async fn settle_webhook(&self, settlement: WebhookSettlement) -> Result<bool, StoreError> {
        let settlement = &settlement;
        self.write(1, |db| async move {
            if !settle(&db, settlement).await? {
                return Ok(false);
            }
            if let Some(reason) = &settlement.disable {
                let sql =
                    "UPDATE webhooks SET is_active = false, disabled_reason = $2 WHERE id = $1 AND is_active";
                if db.run(sql, &[&uuid_of!(settlement.webhook_id), reason]).await? > 0 {
                    let id = settlement.webhook_id.to_string();
                    changed(&db, &system(), "webhook.disable", &id, Some(reason)).await?;
                }
            }
            Ok(true)
        })
        .await
    }

    pub(crate) async fn webhook_deliveries(
        &self,
        client_id: ClientId,
        id: WebhookId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let (before, limit) = (before.unwrap_or(i64::MAX), limit as i64);
        let which = "w.client_id = $1 AND w.id = $2 AND d.n < $3 ORDER BY d.n DESC LIMIT $4";
        self.read(|db| async move {
            listed(&db, which, &[&uuid_of!(client_id), &uuid_of!(id), &before, &limit]).await
        })
        .await
    }

    pub(crate) async fn webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        self.read(|db| async move { named(&db, (client_id, id, delivery)).await }).await
    }

    pub(crate) async fn replay_webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
        now: Timestamp,
    ) -> Result<WebhookDelivery, StoreError> {
        let place = (client_id, id, delivery);
        self.write(1, |db| async move {
            let found = named(&db, place).await?.ok_or(StoreError::NotFound)?;
            let replayed = db
                .run(
                    "UPDATE webhook_deliveries SET state = 0, due_at = $2, tries = 0, started_at = $2,
                        ended_at = NULL WHERE n = $1 AND state <> 0",
                    &[&found.number, &now.millis()],
                )
                .await?;
            if replayed == 0 {
                return Err(StoreError::Conflict("the delivery").into());
            }
            Ok(named(&db, place).await?.ok_or(StoreError::NotFound)?)
        })
        .await
    }

    pub(crate) async fn drop_webhook_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let limit = limit as i64;
        self.write(1, |db| async move {
            let sql = "DELETE FROM webhook_deliveries WHERE n IN
                (SELECT n FROM webhook_deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
            db.run(sql, &[&before.millis(), &limit]).await
        })
        .await
    }

    pub(crate) async fn webhook_backlog(&self) -> Result<WebhookBacklog, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT count(*), min(d.created_at) FROM webhook_deliveries d
                JOIN webhooks w ON w.id = d.webhook_id WHERE d.state = 0 AND w.is_active";
            let row = db.one(sql, &[]).await?;
            Ok(WebhookBacklog { waiting: count_at(&row, 0)?, oldest: time_at(&row, 1)? })
        })
        .await
    }
}
