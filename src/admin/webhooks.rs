//! Webhooks: where a client is told what became of its mail. The secret is shown when it is made and never again.

use super::{Admin, fault, invalid, refused};
use crate::outbound::{Reach, Target};
use crate::webhooks::message::{ALL_EVENTS, EVENTS, TEST, test_body};
use crate::webhooks::place;
use crate::webhooks::sign::new_secret;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{ClientId, Secret, WebhookDeliveryId, WebhookId};
use posthaste_store::{Actor, NewWebhookDelivery, StoreError, Webhook, WebhookChange, WebhookDelivery};
use std::time::Duration;

/// Webhooks of one client.
const MOST: usize = 100;
/// The longest overlap of a rotation.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Where calls go.
    pub url: String,
    /// Which events.
    pub events: Vec<String>,
    /// Whether it is called from the start.
    pub is_active: bool,
}

/// What is to change; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct WebhookPatch {
    /// Where calls go.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<String>>,
    /// Whether it is called.
    pub is_active: Option<bool>,
}

/// The URL in one spelling, as far as calls reach.
fn url(given: &str, reach: Reach, faults: &mut Vec<Fault>) -> String {
    match Target::given(given, reach) {
        Ok(target) => target.as_str().to_owned(),
        Err(error) => {
            faults.push(fault("url", FaultCode::InvalidValue, format!("the URL {error}")));
            String::new()
        }
    }
}

impl Admin {
    /// Makes a webhook; it is told what happens from now on. The secret is in this answer alone.
    pub async fn create_webhook(
        &self,
        client: ClientId,
        new: NewWebhook,
        reach: Reach,
        actor: &Actor,
    ) -> Result<(Webhook, Secret), Refusal> {
        let mut faults = Vec::new();
        let url = url(&new.url, reach, &mut faults);
        let events = events(&new.events, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        if self.store.webhooks(client).await.map_err(refused)?.len() >= MOST {
            return Err(Refusal::Conflict(format!("a client may have {MOST} webhooks")));
        }
        let now = self.clock.now();
        let id = WebhookId::new(now, self.chance.bytes());
        let secret = new_secret(self.chance.bytes());
        let webhook = Webhook {
            id,
            client_id: client,
            is_configured: false,
            url,
            events,
            is_active: new.is_active,
            sealed_secret: self.vault.seal_secret(&place(id), &secret),
            previous: None,
            cursor: self.store.last_event_id().await.map_err(refused)?,
            failing_since: None,
            disabled_reason: None,
            created_at: now,
        };
        self.store.create_webhook(webhook.clone(), actor).await.map_err(refused)?;
        Ok((webhook, secret))
    }

    /// A client's webhooks, oldest first.
    pub async fn webhooks(&self, client: ClientId) -> Result<Vec<Webhook>, Refusal> {
        self.store.webhooks(client).await.map_err(refused)
    }

    /// A client's webhook.
    pub async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, Refusal> {
        self.store.webhook(client, id).await.map_err(refused)?.ok_or(Refusal::NotFound)
    }

    /// Changes a client's webhook.
    pub async fn update_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        patch: WebhookPatch,
        reach: Reach,
        actor: &Actor,
    ) -> Result<Webhook, Refusal> {
        self.own_webhook(client, id).await?;
        let mut faults = Vec::new();
        let change = WebhookChange {
            url: patch.url.map(|given| url(&given, reach, &mut faults)),
            events: patch.events.map(|given| events(&given, &mut faults)),
            is_active: patch.is_active,
            rotate: None,
        };
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        self.store.update_webhook(client, id, change, actor).await.map_err(refused)
    }

    /// Gives a webhook a new secret; the one before signs too for `overlap`.
    pub async fn rotate_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<(Webhook, Secret), Refusal> {
        if overlap > OVERLAP_MAX {
            return Err(invalid("overlap", FaultCode::OutOfRange, "overlap may be 30 days at most"));
        }
        self.own_webhook(client, id).await?;
        let secret = new_secret(self.chance.bytes());
        let sealed = self.vault.seal_secret(&place(id), &secret);
        let change = WebhookChange {
            rotate: Some((sealed, self.clock.now().plus(overlap))),
            ..WebhookChange::default()
        };
        let webhook = self.store.update_webhook(client, id, change, actor).await.map_err(refused)?;
        Ok((webhook, secret))
    }

    /// Removes a client's webhook with the log of its calls.
    pub async fn delete_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        self.own_webhook(client, id).await?;
        self.store.delete_webhook(client, id, actor).await.map_err(refused)
    }

    /// A webhook that its client may change.
    async fn own_webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, Refusal> {
        let webhook = self.webhook(client, id).await?;
        if webhook.is_configured {
            let message = "this webhook is set by the configuration (WEBHOOK_URL) and changed there";
            return Err(Refusal::Conflict(message.into()));
        }
        Ok(webhook)
    }

    /// Has a webhook called once with a test; the delivery shows what came of it.
    pub async fn test_webhook(&self, client: ClientId, id: WebhookId) -> Result<WebhookDelivery, Refusal> {
        if !self.webhook(client, id).await?.is_active {
            return Err(Refusal::Conflict("the webhook is switched off".into()));
        }
        let now = self.clock.now();
        let delivery = NewWebhookDelivery {
            id: WebhookDeliveryId::new(now, self.chance.bytes()),
            event: None,
            email_id: None,
            seq: 0,
            kind: TEST.to_owned(),
            body: test_body(now).to_string().into_bytes(),
            once: false,
            at: now,
        };
        let made = delivery.id;
        self.store.add_webhook_delivery(client, id, delivery).await.map_err(refused)?;
        self.webhook_delivery(client, id, made).await
    }

    /// What a webhook was told, newest first, and whether more follows.
    pub async fn webhook_deliveries(
        &self,
        client: ClientId,
        id: WebhookId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<WebhookDelivery>, bool), Refusal> {
        self.webhook(client, id).await?;
        // One more than asked for tells whether there is a next page.
        let found = self.store.webhook_deliveries(client, id, before, limit + 1).await;
        let mut deliveries = found.map_err(refused)?;
        let has_more = deliveries.len() > limit;
        deliveries.truncate(limit);
        Ok((deliveries, has_more))
    }

    async fn webhook_delivery(
        &self,
        client: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
    ) -> Result<WebhookDelivery, Refusal> {
        let found = self.store.webhook_delivery(client, id, delivery).await;
        found.map_err(refused)?.ok_or(Refusal::NotFound)
    }

    /// Has a delivery that has ended made again, with its whole schedule before it.
    pub async fn replay_webhook_delivery(
        &self,
        client: ClientId,
        id: WebhookId,
        delivery: WebhookDeliveryId,
    ) -> Result<WebhookDelivery, Refusal> {
        let replayed = self.store.replay_webhook_delivery(client, id, delivery, self.clock.now()).await;
        replayed.map_err(|error| match error {
            StoreError::Conflict(_) => Refusal::Conflict("the delivery still waits for its next call".into()),
            error => refused(error),
        })
    }
}

/// The names asked for, in the order of the manual, each once.
fn events(given: &[String], faults: &mut Vec<Fault>) -> String {
    if given.is_empty() {
        let message = "must name at least one event, or \"*\"";
        faults.push(fault("events", FaultCode::Required, message));
    }
    for (index, name) in given.iter().enumerate() {
        if name != ALL_EVENTS && !EVENTS.contains(&name.as_str()) {
            let message = format!("is no event; there are {} and \"*\"", EVENTS.join(", "));
            faults.push(fault(&format!("/events/{index}"), FaultCode::InvalidValue, message));
        }
    }
    if given.iter().any(|name| name == ALL_EVENTS) {
        return ALL_EVENTS.to_owned();
    }
    let wanted: Vec<&str> =
        EVENTS.iter().copied().filter(|name| given.iter().any(|one| one == name)).collect();
    wanted.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_named_once_and_in_order() {
        let judge = |names: &[&str]| {
            let mut faults = Vec::new();
            let given: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            (events(&given, &mut faults), faults.len())
        };
        assert_eq!(
            judge(&["email.sent", "email.queued", "email.sent"]),
            ("email.queued,email.sent".into(), 0)
        );
        assert_eq!(judge(&["*", "email.sent"]), ("*".into(), 0));
        assert_eq!(judge(&[]).1, 1);
        assert_eq!(judge(&["sent", "email.sent", "x"]).1, 2);
    }
}
