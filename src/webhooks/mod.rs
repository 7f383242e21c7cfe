//! Telling clients what became of their mail: reads the events behind each webhook's cursor, and calls.
//!
//! `fan_out` turns events into deliveries in the store, one each; `deliver` leases what is due and calls. Calls of one
//! email keep its events' order, a webhook that fails holds one call at a time, and nothing here waits for mail or
//! keeps it waiting. A process that dies between a call and its commit calls once more: receivers know a delivery by
//! its `webhook-id`.

mod deliver;
mod fan_out;
pub mod message;
pub mod sign;

use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use crate::outbound::{Outbound, OutboundError, Reach};
use posthaste_model::fault::Faults;
use posthaste_model::{ClientId, Secret, WebhookId};
use posthaste_store::{Store, StoreError, Webhook};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Between two looks for new events and due deliveries.
const LOOK: Duration = Duration::from_millis(250);
/// After a fault of the store.
const AGAIN: Duration = Duration::from_secs(2);
/// Between two rounds that remove old deliveries.
const TIDY: Duration = Duration::from_secs(600);
/// Between two counts of what waits.
const COUNT: Duration = Duration::from_secs(5);
/// Deliveries removed in one transaction.
const STEP: usize = 500;

/// Durations and bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookRules {
    /// Whether clients' webhooks may reach private addresses.
    pub allow_private: bool,
    /// For one call.
    pub timeout: Duration,
    /// Waits before the next calls; the last one repeats.
    pub retry_schedule: Vec<Duration>,
    /// How long one delivery is tried.
    pub give_up_after: Duration,
    /// A webhook of which no call succeeded for so long is switched off.
    pub disable_after: Duration,
    /// How long deliveries that ended are kept.
    pub keep: Duration,
}

/// What the calls work with.
pub struct WebhookParts {
    /// Where everything is kept.
    pub store: Store,
    /// Opens secrets.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Ids and jitter.
    pub chance: Chance,
    /// What is counted.
    pub metrics: Metrics,
    /// Durations and bounds.
    pub rules: WebhookRules,
    /// Crash points.
    pub faults: Faults,
}

/// The webhook that the configuration sets.
#[derive(Clone, Debug)]
pub struct ConfiguredWebhook {
    /// Where calls go.
    pub url: String,
    /// What signs them.
    pub secret: Option<Secret>,
}

/// The running calls of one process.
struct Caller {
    parts: WebhookParts,
    /// For webhooks of clients.
    clients: Outbound,
    /// For the one the operator has set.
    own: Outbound,
    seats: deliver::Seats,
    /// Rung when a call has succeeded and others wait for its seat.
    seat_is_free: Notify,
    /// The event up to which every webhook's deliveries were made.
    fanned_out: AtomicI64,
    tasks: Tasks,
}

/// The calls of one process, as its owner sees them.
pub struct Calls(Arc<Caller>);

impl Calls {
    /// Whether everything that happened was told, or waits for its next try.
    pub async fn are_done(&self) -> Result<bool, StoreError> {
        let Caller { parts, seats, fanned_out, .. } = self.0.as_ref();
        let newest = parts.store.last_event_id().await?;
        let is_fanned_out = fanned_out.load(Ordering::Acquire) >= newest;
        Ok(is_fanned_out && seats.are_free() && parts.store.due_webhooks(parts.clock.now()).await?.is_empty())
    }
}

/// Where the secrets of a webhook are sealed for.
pub fn place(id: WebhookId) -> String {
    format!("webhooks/{id}/secret")
}

/// Writes the webhook of the configuration into the store, or switches it off where there is none any more.
pub async fn configure(
    parts: &WebhookParts,
    client: ClientId,
    configured: Option<ConfiguredWebhook>,
) -> Result<(), StoreError> {
    let Some(configured) = configured else { return parts.store.set_configured_webhook(client, None).await };
    let standing = parts.store.webhooks(client).await?.into_iter().find(|webhook| webhook.is_configured);
    let now = parts.clock.now();
    let id = standing.map_or_else(|| WebhookId::new(now, parts.chance.bytes()), |webhook| webhook.id);
    let secret = configured.secret.as_ref();
    let webhook = Webhook {
        id,
        client_id: client,
        is_configured: true,
        url: configured.url,
        events: message::AEGIS_EVENTS.into(),
        is_active: true,
        sealed_secret: secret.map(|secret| parts.vault.seal_secret(&place(id), secret)).unwrap_or_default(),
        previous: None,
        cursor: parts.store.last_event_id().await?,
        failing_since: None,
        disabled_reason: None,
        created_at: now,
    };
    parts.store.set_configured_webhook(client, Some(webhook)).await
}

/// Starts the calls; they end with the tasks, those in flight within their timeout.
pub fn start(parts: WebhookParts, tasks: &Tasks) -> Result<Calls, OutboundError> {
    let reach = if parts.rules.allow_private { Reach::Private } else { Reach::Public };
    let caller = Arc::new(Caller {
        clients: Outbound::new(reach)?,
        own: Outbound::new(Reach::Private)?,
        seats: deliver::Seats::default(),
        seat_is_free: Notify::new(),
        fanned_out: AtomicI64::new(-1),
        tasks: tasks.clone(),
        parts,
    });
    let caller_of = Arc::<Caller>::clone;
    let kept = caller_of(&caller);
    tasks.supervise("webhooks.fan_out", move || {
        let caller = caller_of(&kept);
        async move {
            let mut seen = fan_out::Seen::default();
            while !caller.is_stopping() {
                let done = fan_out::look(&caller, &mut seen).await;
                caller.rest(done, LOOK).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    let kept = caller_of(&caller);
    tasks.supervise("webhooks.deliver", move || {
        let caller = caller_of(&kept);
        async move {
            while !caller.is_stopping() {
                let done = deliver::look(&caller).await;
                caller.rest_or_go_on(done).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    let kept = caller_of(&caller);
    tasks.supervise("webhooks.count", move || {
        let caller = caller_of(&kept);
        async move {
            while !caller.is_stopping() {
                let done = caller.count().await;
                caller.rest(done, COUNT).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    let kept = caller_of(&caller);
    tasks.supervise("webhooks.tidy", move || {
        let caller = caller_of(&kept);
        async move {
            while !caller.is_stopping() {
                let done = caller.tidy().await;
                caller.rest(done, TIDY).await;
            }
            Ok::<(), Infallible>(())
        }
    });
    Ok(Calls(caller))
}

impl Caller {
    fn is_stopping(&self) -> bool {
        self.tasks.token().is_cancelled()
    }

    /// Waits until the next look; longer after a fault of the store.
    async fn rest(&self, done: Result<(), StoreError>, pause: Duration) {
        let pause = match done {
            Ok(()) => pause,
            Err(error) => {
                tracing::warn!(%error, "webhooks wait for the store");
                pause.max(AGAIN)
            }
        };
        let stop = self.tasks.token();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Waits until the next look, or until there is a seat for what waits.
    async fn rest_or_go_on(&self, done: Result<(), StoreError>) {
        let is_well = done.is_ok();
        tokio::select! {
            () = self.rest(done, LOOK) => {}
            () = self.seat_is_free.notified(), if is_well => {}
        }
    }

    async fn count(&self) -> Result<(), StoreError> {
        let backlog = self.parts.store.webhook_backlog().await?;
        let oldest = backlog.oldest.map_or(0.0, |oldest| self.parts.clock.now().since(oldest).as_secs_f64());
        self.parts.metrics.webhooks_waiting(backlog.waiting, oldest);
        Ok(())
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let before = self.parts.clock.now().minus(self.parts.rules.keep);
        while !self.is_stopping() {
            if self.parts.store.drop_webhook_deliveries(before, STEP).await? < STEP as u64 {
                break;
            }
        }
        Ok(())
    }
}
