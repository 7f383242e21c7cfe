//! What is told to webhooks: made behind a cursor, leased, settled.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::webhooks::several;
use crate::StoreError;
use crate::webhooks::{
    DeliveryEnd, DeliveryState, NewWebhookDelivery, Webhook, WebhookBacklog, WebhookDelivery,
    WebhookSettlement, attempts_of, state_of, system,
};
use posthaste_model::{ClientId, EmailId, Timestamp, WebhookDeliveryId, WebhookId};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

const COLUMNS: &str =
    "d.n, d.id, d.event, d.email_id, d.seq, d.kind, d.body, d.state, d.due_at, d.fence, d.tries,
    d.started_at, d.attempts, d.attempt_count, d.created_at";

/// Of one email only the oldest waiting delivery can be called.
const CALLABLE: &str = "d.state = 0 AND d.due_at <= ?1 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries p
    WHERE p.webhook = d.webhook AND p.email_id = d.email_id AND p.n < d.n AND p.state = 0)";

fn delivery_at(row: &Row<'_>) -> Result<WebhookDelivery, Trouble> {
    let email: Option<Vec<u8>> = row.get(3)?;
    let attempts: String = row.get(12)?;
    Ok(WebhookDelivery {
        number: row.get(0)?,
        id: id_at!(row, 1, WebhookDeliveryId),
        event: row.get(2)?,
        email_id: email.and_then(|bytes| EmailId::from_slice(&bytes)),
        seq: row.get(4)?,
        kind: row.get(5)?,
        body: row.get(6)?,
        state: state_of(row.get(7)?)?,
        due_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
        fence: row.get(9)?,
        tries: row.get(10)?,
        started_at: Timestamp::from_millis(row.get(11)?),
        attempts: attempts_of(&attempts)?,
        attempt_count: row.get(13)?,
        created_at: Timestamp::from_millis(row.get(14)?),
    })
}

/// The deliveries that a condition names.
fn listed(connection: &Connection, which: &str, of: impl Params) -> Result<Vec<WebhookDelivery>, Trouble> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_deliveries d JOIN webhooks w ON w.n = d.webhook
         JOIN clients c ON c.n = w.client WHERE {which}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(of)?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        deliveries.push(delivery_at(row)?);
    }
    Ok(deliveries)
}

fn named(
    connection: &Connection,
    (client, webhook, delivery): (ClientId, WebhookId, WebhookDeliveryId),
) -> Result<Option<WebhookDelivery>, Trouble> {
    let of = params![client.as_bytes(), webhook.as_bytes(), delivery.as_bytes()];
    Ok(listed(connection, "c.id = ?1 AND w.id = ?2 AND d.id = ?3", of)?.pop())
}

fn insert(connection: &Connection, webhook: i64, new: &NewWebhookDelivery) -> Result<(), Trouble> {
    let email = new.email_id.map(|id| id.as_bytes().to_vec());
    if new.once {
        let sql = "SELECT 1 FROM webhook_deliveries WHERE email_id = ?1 AND webhook = ?2 AND kind = ?3";
        let mut told = connection.prepare_cached(sql)?;
        if told.query_row(params![email, webhook, new.kind], |_| Ok(())).optional()?.is_some() {
            return Ok(());
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO webhook_deliveries (id, webhook, event, email_id, seq, kind, body, state, due_at, fence,
                tries, started_at, attempts, attempt_count, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, 0, 0, ?8, '[]', 0, ?8)",
        )?
        .execute(params![
            new.id.as_bytes(),
            webhook,
            new.event,
            email,
            new.seq,
            new.kind,
            new.body,
            new.at.millis(),
        ])?;
    Ok(())
}

fn number_of(connection: &Connection, id: WebhookId) -> Result<Option<i64>, Trouble> {
    let mut statement = connection.prepare_cached("SELECT n FROM webhooks WHERE id = ?1")?;
    Ok(statement.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
}

fn settle(connection: &Connection, settlement: &WebhookSettlement) -> Result<bool, Trouble> {
    let mut leased = connection.prepare_cached(
        "SELECT attempts FROM webhook_deliveries WHERE id = ?1 AND fence = ?2 AND state = 0",
    )?;
    let of = params![settlement.delivery_id.as_bytes(), settlement.fence];
    let Some(column) = leased.query_row(of, |row| row.get::<_, String>(0)).optional()? else {
        return Ok(false);
    };
    let settled = settlement.settled(&column)?;
    connection
        .prepare_cached(
            "UPDATE webhook_deliveries SET state = ?2, due_at = ?3, attempts = ?4, tries = tries + 1,
                started_at = CASE WHEN tries = 0 THEN ?6 ELSE started_at END,
                attempt_count = attempt_count + 1, ended_at = ?5 WHERE id = ?1",
        )?
        .execute(params![
            settlement.delivery_id.as_bytes(),
            settled.state,
            settled.due_at,
            settled.attempts,
            settled.ended_at,
            settlement.attempt.at.millis(),
        ])?;
    let health = if settlement.end == DeliveryEnd::Delivered {
        "UPDATE webhooks SET failing_since = NULL WHERE id = ?1 AND ?2 IS NOT NULL AND failing_since IS NOT NULL"
    } else {
        "UPDATE webhooks SET failing_since = ?2 WHERE id = ?1 AND failing_since IS NULL"
    };
    let of = params![settlement.webhook_id.as_bytes(), settlement.at.millis()];
    connection.prepare_cached(health)?.execute(of)?;
    Ok(true)
}

impl Sqlite {
    pub(crate) async fn fan_out(
        &self,
        id: WebhookId,
        from: i64,
        to: i64,
        deliveries: Vec<NewWebhookDelivery>,
    ) -> Result<bool, StoreError> {
        self.write(1 + deliveries.len(), move |tx| {
            let sql = "UPDATE webhooks SET cursor = ?3 WHERE id = ?1 AND cursor = ?2 AND is_active = 1";
            if tx.connection.prepare_cached(sql)?.execute(params![id.as_bytes(), from, to])? == 0 {
                return Ok(false);
            }
            let webhook = number_of(tx.connection, id)?.ok_or(StoreError::NotFound)?;
            for delivery in &deliveries {
                insert(tx.connection, webhook, delivery)?;
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
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            let sql = "SELECT n FROM webhooks WHERE id = ?1 AND client = ?2";
            let found = tx.connection.query_row(sql, params![id.as_bytes(), client], |row| row.get(0));
            insert(tx.connection, found.optional()?.ok_or(StoreError::NotFound)?, &delivery)
        })
        .await
    }

    pub(crate) async fn due_webhooks(&self, now: Timestamp) -> Result<Vec<Webhook>, StoreError> {
        let which = format!(
            "w.is_active = 1 AND w.n IN (SELECT d.webhook FROM webhook_deliveries d WHERE {CALLABLE}) ORDER BY w.n"
        );
        self.readers.read(move |connection| several(connection, &which, [now.millis()])).await
    }

    pub(crate) async fn claim_webhook_deliveries(
        &self,
        id: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        self.write(limit, move |tx| {
            let Some(webhook) = number_of(tx.connection, id)? else { return Ok(Vec::new()) };
            let sql = format!(
                "SELECT d.n FROM webhook_deliveries d WHERE d.webhook = ?2 AND {CALLABLE}
                 ORDER BY d.due_at, d.n LIMIT ?3"
            );
            let mut due = tx.connection.prepare_cached(&sql)?;
            let numbers: Vec<i64> = due
                .query_map(params![now.millis(), webhook, limit as i64], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut claimed = Vec::with_capacity(numbers.len());
            for n in numbers {
                tx.connection
                    .prepare_cached(
                        "UPDATE webhook_deliveries SET due_at = ?2, fence = fence + 1 WHERE n = ?1",
                    )?
                    .execute(params![n, until.millis()])?;
                claimed.extend(listed(tx.connection, "d.n = ?1", [n])?);
            }
            Ok(claimed)
        })
        .await
    }

    pub(crate) async fn settle_webhook(&self, settlement: WebhookSettlement) -> Result<bool, StoreError> {
        if settlement.disable.is_none() {
            // Shares its commit with others: mail must not wait for the log of calls.
            return self.write(2, move |tx| settle(tx.connection, &settlement)).await;
        }
        self.write_alone(move |tx| {
            if !settle(tx.connection, &settlement)? {
                return Ok(false);
            }
            if let Some(reason) = &settlement.disable {
                let sql =
                    "UPDATE webhooks SET is_active = 0, disabled_reason = ?2 WHERE id = ?1 AND is_active = 1";
                let of = params![settlement.webhook_id.as_bytes(), reason];
                if tx.connection.execute(sql, of)? > 0 {
                    let id = settlement.webhook_id.to_string();
                    tx.changed(&system(), "webhook.disable", &id, Some(reason))?;
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
        let which = "c.id = ?1 AND w.id = ?2 AND d.n < ?3 ORDER BY d.n DESC LIMIT ?4";
        self.readers
            .read(move |connection| {
                let before = before.unwrap_or(i64::MAX);
                let of = params![client_id.as_bytes(), id.as_bytes(), before, limit as i64];
                listed(connection, which, of)
            })
            .await
    }

    pub(crate) async fn webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        self.readers.read(move |connection| named(connection, (client_id, id, delivery))).await
    }

    pub(crate) async fn replay_webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
        now: Timestamp,
    ) -> Result<WebhookDelivery, StoreError> {
        self.write_alone(move |tx| {
            let place = (client_id, id, delivery);
            let found = named(tx.connection, place)?.ok_or(StoreError::NotFound)?;
            if found.state == DeliveryState::Waiting {
                return Err(StoreError::Conflict("the delivery").into());
            }
            tx.connection.execute(
                "UPDATE webhook_deliveries SET state = 0, due_at = ?2, tries = 0, started_at = ?2, ended_at = NULL
                 WHERE n = ?1",
                params![found.number, now.millis()],
            )?;
            Ok(named(tx.connection, place)?.ok_or(StoreError::NotFound)?)
        })
        .await
    }

    pub(crate) async fn drop_webhook_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.write_alone(move |tx| {
            let sql = "DELETE FROM webhook_deliveries WHERE n IN
                (SELECT n FROM webhook_deliveries WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
            Ok(tx.connection.execute(sql, params![before.millis(), limit as i64])? as u64)
        })
        .await
    }

    pub(crate) async fn webhook_backlog(&self) -> Result<WebhookBacklog, StoreError> {
        self.readers
            .read(|connection| {
                let sql = "SELECT count(*), min(d.created_at) FROM webhook_deliveries d
                    JOIN webhooks w ON w.n = d.webhook WHERE d.state = 0 AND w.is_active = 1";
                Ok(connection.prepare_cached(sql)?.query_row([], |row| {
                    let oldest = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
                    Ok(WebhookBacklog { waiting: row.get(0)?, oldest })
                })?)
            })
            .await
    }
}
