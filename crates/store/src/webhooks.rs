//! Webhooks, and what is told to them.
//!
//! Each webhook has a cursor of its own behind which it has seen its client's events. Deliveries are made and the
//! cursor is moved in one commit, which only happens when nobody else has moved it: one delivery an event, whatever
//! dies and however many nodes there are. A delivery is called under a lease with a fence, as email is; of one email
//! only the oldest waiting delivery of a webhook can be leased, so that calls keep the order of the events.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::{ClientId, EmailId, Timestamp, WebhookDeliveryId, WebhookId};
use serde::{Deserialize, Serialize};

/// Calls of one delivery that are remembered one by one.
const ATTEMPTS_KEPT: usize = 20;

/// A webhook; its secrets are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub client_id: ClientId,
    /// Set by the configuration; its client cannot change it.
    pub is_configured: bool,
    /// Where calls go.
    pub url: String,
    /// Names of events with commas between them, or `*`.
    pub events: String,
    /// Whether it is called.
    pub is_active: bool,
    /// What signs its calls, sealed by the vault for this webhook; empty: nothing does.
    pub sealed_secret: Vec<u8>,
    /// The secret before, and until when it signs too.
    pub previous: Option<(Vec<u8>, Timestamp)>,
    /// The event up to which deliveries were made.
    pub cursor: i64,
    /// Since when no call has succeeded although some were made.
    pub failing_since: Option<Timestamp>,
    /// Why it was switched off, unless its client did it.
    pub disabled_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What changes of a webhook; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where calls go.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<String>,
    /// On or off. Switched on it forgets its failures and what happened meanwhile.
    pub is_active: Option<bool>,
    /// A new secret; the one before signs too until the instant.
    pub rotate: Option<(Vec<u8>, Timestamp)>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be called, perhaps again.
    Waiting,
    /// A call was answered with 2xx.
    Delivered,
    /// Given up.
    Failed,
}

/// One call as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// When it began.
    pub at: Timestamp,
    /// The answer's status; `None`: no answer.
    pub status: Option<u16>,
    /// Why there was no answer, as a word.
    pub fault: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// Something to tell a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhookDelivery {
    /// Its id, which receivers know it by.
    pub id: WebhookDeliveryId,
    /// The number of the event; `None`: a test.
    pub event: Option<i64>,
    /// The email it is about.
    pub email_id: Option<EmailId>,
    /// The event's place in the email's timeline.
    pub seq: u32,
    /// The event's public name.
    pub kind: String,
    /// The exact bytes of every call.
    pub body: Vec<u8>,
    /// Whether an email has only one delivery of this kind.
    pub once: bool,
    /// When it was made, and is due.
    pub at: Timestamp,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Its place in the log: rises.
    pub number: i64,
    /// Its id.
    pub id: WebhookDeliveryId,
    /// The number of the event; `None`: a test.
    pub event: Option<i64>,
    /// The email it is about.
    pub email_id: Option<EmailId>,
    /// The event's place in the email's timeline.
    pub seq: u32,
    /// The event's public name.
    pub kind: String,
    /// The exact bytes of every call.
    pub body: Vec<u8>,
    /// How it stands.
    pub state: DeliveryState,
    /// When it is called next; under a lease its end.
    pub due_at: Option<Timestamp>,
    /// Rises with each lease.
    pub fence: i32,
    /// Calls since `started_at`.
    pub tries: u32,
    /// When it was called first since it was made or replayed; until then, when that was.
    pub started_at: Timestamp,
    /// The last calls, oldest first.
    pub attempts: Vec<WebhookAttempt>,
    /// All calls.
    pub attempt_count: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What becomes of a delivery after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// It was answered with 2xx.
    Delivered,
    /// It is called again then.
    Retry(Timestamp),
    /// It is given up.
    Failed,
}

/// The outcome of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettlement {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The delivery.
    pub delivery_id: WebhookDeliveryId,
    /// The lease's.
    pub fence: i32,
    /// The call.
    pub attempt: WebhookAttempt,
    /// What follows.
    pub end: DeliveryEnd,
    /// When the call ended.
    pub at: Timestamp,
    /// Switch the webhook off, for this reason.
    pub disable: Option<String>,
}

/// What a settlement writes into its delivery.
pub(crate) struct Settled {
    pub state: i64,
    pub due_at: Option<i64>,
    pub attempts: String,
    pub ended_at: Option<i64>,
}

impl WebhookSettlement {
    /// What is written into the delivery, whose calls so far are the column `attempts`.
    pub(crate) fn settled(&self, attempts: &str) -> Result<Settled, StoreError> {
        let mut attempts = attempts_of(attempts)?;
        attempts.push(self.attempt.clone());
        let (state, due_at) = match self.end {
            DeliveryEnd::Delivered => (DeliveryState::Delivered, None),
            DeliveryEnd::Failed => (DeliveryState::Failed, None),
            DeliveryEnd::Retry(at) => (DeliveryState::Waiting, Some(at.millis())),
        };
        Ok(Settled {
            state: state_code(state),
            due_at,
            attempts: attempts_json(&attempts)?,
            ended_at: due_at.is_none().then_some(self.at.millis()),
        })
    }
}

/// How much is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookBacklog {
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct AttemptRow(i64, Option<u16>, Option<String>, u32);

/// Calls as a column.
fn attempts_json(attempts: &[WebhookAttempt]) -> Result<String, StoreError> {
    let kept = attempts.len().saturating_sub(ATTEMPTS_KEPT);
    let rows: Vec<AttemptRow> = attempts[kept..]
        .iter()
        .map(|one| AttemptRow(one.at.millis(), one.status, one.fault.clone(), one.took_ms))
        .collect();
    serde_json::to_string(&rows).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Calls from a column.
pub(crate) fn attempts_of(column: &str) -> Result<Vec<WebhookAttempt>, StoreError> {
    let rows: Vec<AttemptRow> =
        serde_json::from_str(column).map_err(|_| StoreError::Corrupt("calls of a webhook".into()))?;
    let one = |AttemptRow(at, status, fault, took_ms)| WebhookAttempt {
        at: Timestamp::from_millis(at),
        status,
        fault,
        took_ms,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// The number of a state.
const fn state_code(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Waiting => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Failed => 2,
    }
}

/// The state of a number.
pub(crate) fn state_of(code: i64) -> Result<DeliveryState, StoreError> {
    match code {
        0 => Ok(DeliveryState::Waiting),
        1 => Ok(DeliveryState::Delivered),
        2 => Ok(DeliveryState::Failed),
        _ => Err(StoreError::Corrupt("state of a webhook's delivery".into())),
    }
}

/// Who switches webhooks off by itself.
pub(crate) fn system() -> Actor {
    Actor { kind: "system".into(), id: None, address: None }
}

impl Store {
    /// Adds a webhook; `NotFound` without its client.
    pub async fn create_webhook(&self, webhook: Webhook, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_webhook(webhook, actor.clone()).await)
    }

    /// Writes the webhook that the configuration sets for a client, or switches it off. One that stands keeps its id
    /// and its cursor, unless it was off.
    pub async fn set_configured_webhook(
        &self,
        client_id: ClientId,
        webhook: Option<Webhook>,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.set_configured_webhook(client_id, webhook).await)
    }

    /// A webhook of a client.
    pub async fn webhook(&self, client_id: ClientId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        on_engine!(self, engine => engine.webhook(client_id, id).await)
    }

    /// A client's webhooks, oldest first.
    pub async fn webhooks(&self, client_id: ClientId) -> Result<Vec<Webhook>, StoreError> {
        on_engine!(self, engine => engine.webhooks(client_id).await)
    }

    /// All webhooks that are called.
    pub async fn active_webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        on_engine!(self, engine => engine.active_webhooks().await)
    }

    /// Changes a client's webhook; the webhook as it stands then, `NotFound` without it.
    pub async fn update_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        change: WebhookChange,
        actor: &Actor,
    ) -> Result<Webhook, StoreError> {
        on_engine!(self, engine => engine.update_webhook(client_id, id, change, actor.clone()).await)
    }

    /// Removes a client's webhook with its log; `NotFound` without it.
    pub async fn delete_webhook(
        &self,
        client_id: ClientId,
        id: WebhookId,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.delete_webhook(client_id, id, actor.clone()).await)
    }

    /// Makes deliveries of the events behind `from`, up to `to`, unless the webhook's cursor does not stand at `from`
    /// any more: then nothing happens and the answer is `false`.
    pub async fn fan_out(
        &self,
        id: WebhookId,
        from: i64,
        to: i64,
        deliveries: Vec<NewWebhookDelivery>,
    ) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.fan_out(id, from, to, deliveries).await)
    }

    /// Adds one delivery that no event made: a test. `NotFound` without the webhook.
    pub async fn add_webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: NewWebhookDelivery,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.add_webhook_delivery(client_id, id, delivery).await)
    }

    /// The active webhooks of which a delivery could be called now.
    pub async fn due_webhooks(&self, now: Timestamp) -> Result<Vec<Webhook>, StoreError> {
        on_engine!(self, engine => engine.due_webhooks(now).await)
    }

    /// Leases up to `limit` due deliveries of a webhook until `until`.
    pub async fn claim_webhook_deliveries(
        &self,
        id: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        on_engine!(self, engine => engine.claim_webhook_deliveries(id, now, until, limit).await)
    }

    /// Writes down a call; `false` when the lease was lost meanwhile, and nothing is written.
    pub async fn settle_webhook(&self, settlement: WebhookSettlement) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.settle_webhook(settlement).await)
    }

    /// Up to `limit` deliveries of a webhook, newest first, older than number `before`; the answer of an unknown
    /// webhook is empty.
    pub async fn webhook_deliveries(
        &self,
        client_id: ClientId,
        id: WebhookId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        on_engine!(self, engine => engine.webhook_deliveries(client_id, id, before, limit).await)
    }

    /// One delivery of a client's webhook.
    pub async fn webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        on_engine!(self, engine => engine.webhook_delivery(client_id, id, delivery).await)
    }

    /// Makes a delivery that has ended due again, with its whole schedule before it; `NotFound` without it,
    /// `Conflict` while it waits.
    pub async fn replay_webhook_delivery(
        &self,
        client_id: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
        now: Timestamp,
    ) -> Result<WebhookDelivery, StoreError> {
        on_engine!(self, engine => engine.replay_webhook_delivery(client_id, id, delivery, now).await)
    }

    /// Removes up to `limit` deliveries that ended before an instant; how many.
    pub async fn drop_webhook_deliveries(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.drop_webhook_deliveries(before, limit).await)
    }

    /// How much is to be told to webhooks that are called.
    pub async fn webhook_backlog(&self) -> Result<WebhookBacklog, StoreError> {
        on_engine!(self, engine => engine.webhook_backlog().await)
    }
}
