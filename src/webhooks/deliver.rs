//! Due deliveries become calls: leased, signed, made, written down.

use super::sign::sign;
use super::{Caller, WebhookRules, place};
use crate::outbound::{Answer, Call, CallFault, Target};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use posthaste_model::fault::FaultPoint;
use posthaste_model::{Secret, Timestamp, WebhookId};
use posthaste_store::{DeliveryEnd, StoreError, Webhook, WebhookAttempt, WebhookDelivery, WebhookSettlement};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Calls in flight to one webhook of which the last one succeeded.
const SEATS: usize = 8;
/// Calls in flight in one process.
const SEATS_OVERALL: usize = 256;
/// What a lease lasts beyond the call's own timeout.
const LEASE_MORE: Duration = Duration::from_secs(5);
/// Tries to write a call down; then its lease ends and it is made again.
const SETTLE_TRIES: u32 = 5;
/// Bytes of an answer that are read; nothing of them is kept.
const ANSWER_MAX: usize = 4 * 1024;
/// How far waits vary, so that what failed together is not tried together.
const JITTER: f64 = 0.1;

/// What Aegis called itself, and still does.
const AEGIS_AGENT: HeaderValue = HeaderValue::from_static("Aegis-Mailer/1.0.0 (Posthaste)");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Posthaste/", env!("CARGO_PKG_VERSION")));

/// Calls in flight by webhook.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<WebhookId, usize>>);

impl Seats {
    /// Free seats: a webhook that fails has one, so that it holds up nobody.
    fn free(&self, webhook: &Webhook) -> usize {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if webhook.failing_since.is_some() { 1 } else { SEATS };
        let overall = SEATS_OVERALL.saturating_sub(taken.values().sum());
        most.saturating_sub(taken.get(&webhook.id).copied().unwrap_or(0)).min(overall)
    }

    /// Whether no call is in flight.
    pub(super) fn are_free(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self, id: WebhookId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
    }

    fn leave(&self, id: WebhookId) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&id);
            }
        }
    }
}

/// Gives its seat back, also when the call panics.
struct Seat {
    caller: Arc<Caller>,
    id: WebhookId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.caller.seats.leave(self.id);
    }
}

/// Leases what is due, as far as there are seats, and begins the calls.
pub(super) async fn look(caller: &Arc<Caller>) -> Result<(), StoreError> {
    let now = caller.parts.clock.now();
    for webhook in caller.parts.store.due_webhooks(now).await? {
        let free = caller.seats.free(&webhook);
        if free == 0 {
            continue;
        }
        let until = now.plus(caller.parts.rules.timeout + LEASE_MORE);
        let claimed = caller.parts.store.claim_webhook_deliveries(webhook.id, now, until, free).await?;
        let webhook = Arc::new(webhook);
        // With every seat taken there may be more; one that fails is not hurried.
        let may_be_more = claimed.len() == free;
        for delivery in claimed {
            caller.seats.take(webhook.id);
            let seat = Seat { caller: Arc::clone(caller), id: webhook.id };
            let (caller, webhook) = (Arc::clone(caller), Arc::clone(&webhook));
            let tasks = caller.tasks.clone();
            tasks.spawn("webhooks.call", async move {
                let end = caller.deliver(&webhook, delivery).await;
                drop(seat);
                if may_be_more && end == DeliveryEnd::Delivered {
                    caller.seat_is_free.notify_one();
                }
            });
        }
    }
    Ok(())
}

/// Why a call did not succeed, as a word that is shown: what an address inside answers is nobody's business.
fn word(fault: &CallFault) -> &'static str {
    match fault {
        CallFault::Forbidden(_) => "address_not_allowed",
        CallFault::NoConnection(_) => "no_connection",
        CallFault::TimedOut(_) => "timeout",
        CallFault::Lost(_) => "connection_lost",
    }
}

/// What follows on a call. `tries` counts it.
fn end(
    rules: &WebhookRules,
    delivery: &WebhookDelivery,
    called: Result<u16, &'static str>,
    now: Timestamp,
    chance: f64,
) -> DeliveryEnd {
    match called {
        Ok(200..=299) => return DeliveryEnd::Delivered,
        // The receiver says that it is gone for good; a test is made once.
        Ok(410) => return DeliveryEnd::Failed,
        Ok(_) | Err(_) if delivery.event.is_none() => return DeliveryEnd::Failed,
        Ok(_) | Err(_) => {}
    }
    let place = (delivery.tries as usize).min(rules.retry_schedule.len().saturating_sub(1));
    let wait = rules.retry_schedule.get(place).copied().unwrap_or(rules.give_up_after);
    let next = now.plus(wait.mul_f64(1.0 + JITTER * (2.0 * chance - 1.0)));
    // What waited behind another one has its whole time before it.
    let started = if delivery.tries == 0 { now } else { delivery.started_at };
    if next > started.plus(rules.give_up_after) {
        return DeliveryEnd::Failed;
    }
    DeliveryEnd::Retry(next)
}

impl Caller {
    async fn deliver(&self, webhook: &Webhook, delivery: WebhookDelivery) -> DeliveryEnd {
        let began = self.parts.clock.now();
        let called = self.call(webhook, &delivery, began).await;
        self.parts.faults.crash_at(FaultPoint::WebhookSent);
        let ended = self.parts.clock.now();
        let took = ended.since(began);
        let answered = called.as_ref().map(|answer| answer.status).map_err(|fault| *fault);
        let end = end(&self.parts.rules, &delivery, answered, ended, self.parts.chance.f64());
        let result = match end {
            DeliveryEnd::Delivered => "ok",
            DeliveryEnd::Retry(_) => "retry",
            DeliveryEnd::Failed => "gave_up",
        };
        self.parts.metrics.webhook_delivery(result, took.as_secs_f64());
        let settlement = WebhookSettlement {
            webhook_id: webhook.id,
            delivery_id: delivery.id,
            fence: delivery.fence,
            attempt: WebhookAttempt {
                at: began,
                status: answered.ok(),
                fault: answered.err().map(str::to_owned),
                took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            },
            end,
            at: ended,
            disable: self.given_up(webhook, end, ended),
        };
        if let Some(reason) = &settlement.disable {
            tracing::error!(webhook = %webhook.id, client = %webhook.client_id, reason, "a webhook was switched off");
        }
        tracing::info!(
            webhook = %webhook.id,
            delivery = %delivery.id,
            event = delivery.kind,
            result,
            status = answered.ok(),
            fault = answered.err(),
            took_ms = settlement.attempt.took_ms,
            "a webhook was called"
        );
        self.settle(settlement).await;
        end
    }

    /// Why the webhook is to be switched off. The operator's own never is.
    fn given_up(&self, webhook: &Webhook, end: DeliveryEnd, now: Timestamp) -> Option<String> {
        let since =
            webhook.failing_since.filter(|_| end != DeliveryEnd::Delivered && !webhook.is_configured)?;
        let is_over = now.since(since) >= self.parts.rules.disable_after;
        is_over.then(|| format!("no call has succeeded since {since}"))
    }

    async fn call(
        &self,
        webhook: &Webhook,
        delivery: &WebhookDelivery,
        now: Timestamp,
    ) -> Result<Answer, &'static str> {
        let outbound = if webhook.is_configured { &self.own } else { &self.clients };
        let target = if webhook.is_configured {
            Target::own(&webhook.url)
        } else {
            // Judged anew: it may have been saved while private addresses were allowed.
            Target::given(&webhook.url, outbound.reach())
        };
        let target = target.map_err(|_| "address_not_allowed")?;
        let secrets = self.secrets(webhook, now)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, if webhook.is_configured { AEGIS_AGENT } else { AGENT });
        sign(&mut headers, &secrets, &delivery.id.to_string(), now, &delivery.body);
        let call = Call {
            headers,
            body: Bytes::copy_from_slice(&delivery.body),
            timeout: self.parts.rules.timeout,
            answer_max: ANSWER_MAX,
            ..Call::post(target)
        };
        outbound.tell(call).await.map_err(|fault| {
            tracing::debug!(webhook = %webhook.id, %fault, "a call was not answered");
            word(&fault)
        })
    }

    /// The secrets in force, the newest first.
    fn secrets(&self, webhook: &Webhook, now: Timestamp) -> Result<Vec<Secret>, &'static str> {
        let open = |sealed: &[u8]| {
            self.parts.vault.open_secret(&place(webhook.id), sealed).map_err(|error| {
                tracing::error!(webhook = %webhook.id, %error, "the secret of a webhook");
                "secret_unreadable"
            })
        };
        let mut secrets = Vec::new();
        if !webhook.sealed_secret.is_empty() {
            secrets.push(open(&webhook.sealed_secret)?);
        }
        if let Some((previous, until)) = &webhook.previous
            && *until > now
        {
            secrets.push(open(previous)?);
        }
        Ok(secrets)
    }

    /// Writes a call down. What cannot be written is called again when the lease has ended.
    async fn settle(&self, settlement: WebhookSettlement) {
        for tried in 1..=SETTLE_TRIES {
            match self.parts.store.settle_webhook(settlement.clone()).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::debug!(delivery = %settlement.delivery_id, "the lease of a call had ended");
                    return;
                }
                Err(error) if tried < SETTLE_TRIES && error.is_transient() => {
                    tokio::time::sleep(Duration::from_millis(200) * tried).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a call could not be written down, it is made again");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::WebhookDeliveryId;
    use posthaste_store::DeliveryState;

    fn rules() -> WebhookRules {
        let seconds = |list: &[u64]| list.iter().map(|s| Duration::from_secs(*s)).collect();
        WebhookRules {
            allow_private: false,
            timeout: Duration::from_secs(10),
            retry_schedule: seconds(&[5, 30, 120, 600, 3_600, 14_400]),
            give_up_after: Duration::from_secs(86_400),
            disable_after: Duration::from_secs(5 * 86_400),
            keep: Duration::from_secs(30 * 86_400),
        }
    }

    fn delivery(tries: u32) -> WebhookDelivery {
        let start = Timestamp::from_millis(0);
        WebhookDelivery {
            number: 1,
            id: WebhookDeliveryId::new(start, [1; 10]),
            event: Some(1),
            email_id: None,
            seq: 1,
            kind: "email.sent".into(),
            body: Vec::new(),
            state: DeliveryState::Waiting,
            due_at: None,
            fence: 1,
            tries,
            started_at: start,
            attempts: Vec::new(),
            attempt_count: tries,
            created_at: start,
        }
    }

    #[test]
    fn calls_are_repeated_for_a_day() {
        let (mut now, mut waits) = (Timestamp::from_millis(0), Vec::new());
        for tries in 0.. {
            match end(&rules(), &delivery(tries), Ok(503), now, 0.5) {
                DeliveryEnd::Retry(next) => {
                    waits.push(next.since(now).as_secs());
                    now = next;
                }
                DeliveryEnd::Failed => break,
                DeliveryEnd::Delivered => panic!("a 503"),
            }
        }
        assert_eq!(waits, [5, 30, 120, 600, 3_600, 14_400, 14_400, 14_400, 14_400, 14_400]);
    }

    #[test]
    fn what_waited_long_for_its_first_call_is_called_again_too() {
        let late = Timestamp::from_millis(200_000_000);
        assert!(matches!(end(&rules(), &delivery(0), Ok(500), late, 0.5), DeliveryEnd::Retry(_)));
        assert_eq!(end(&rules(), &delivery(1), Ok(500), late, 0.5), DeliveryEnd::Failed);
    }

    #[test]
    fn every_answer_has_its_end() {
        let now = Timestamp::from_millis(0);
        let judge = |called| end(&rules(), &delivery(0), called, now, 0.5);
        for status in [200, 201, 204, 299] {
            assert_eq!(judge(Ok(status)), DeliveryEnd::Delivered);
        }
        assert_eq!(judge(Ok(410)), DeliveryEnd::Failed);
        for called in [Ok(301), Ok(302), Ok(400), Ok(404), Ok(429), Ok(500), Err("timeout")] {
            assert_eq!(judge(called), DeliveryEnd::Retry(Timestamp::from_millis(5_000)), "{called:?}");
        }
        let test = WebhookDelivery { event: None, ..delivery(0) };
        assert_eq!(end(&rules(), &test, Err("timeout"), now, 0.5), DeliveryEnd::Failed);
    }
}
