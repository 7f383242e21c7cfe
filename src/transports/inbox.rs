//! Mail kept on the machine instead of sent: what a fresh installation does with all mail, and every installation with
//! the mail of test keys. The source lies in the blob store, the row names it.

use super::health::LastHealth;
use super::{Health, LeaseGuard, Outgoing};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::blobs::Blobs;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use posthaste_model::{FailureCode, InboxId};
use posthaste_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the inbox says to a message it keeps.
const KEPT: &str = "250 kept in the inbox";

/// Rings when a message came into the inbox, for pages and calls that wait for one.
#[derive(Clone, Debug)]
pub struct InboxBell(Arc<watch::Sender<u64>>);

impl InboxBell {
    /// A bell that has not rung.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// The end to wait on: subscribe first, look at the inbox, then wait for a change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Says that a message came in; a ring may be lost or doubled.
    pub fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Default for InboxBell {
    fn default() -> Self {
        Self::new()
    }
}

/// The inbox.
#[derive(Debug)]
pub struct InboxTransport {
    name: Arc<str>,
    store: Store,
    blobs: Blobs,
    bell: InboxBell,
    clock: Clock,
    chance: Chance,
    health: LastHealth,
}

impl InboxTransport {
    /// An inbox called `name`, that rings `bell` for each message.
    pub fn new(
        name: &str,
        store: Store,
        blobs: Blobs,
        bell: InboxBell,
        clock: Clock,
        chance: Chance,
    ) -> Self {
        Self { name: name.into(), store, blobs, bell, clock, chance, health: LastHealth::default() }
    }

    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Outcome {
        let sha256 = match self.blobs.put(outgoing.message.clone()).await {
            Ok(hash) => hash,
            Err(error) => return all(outgoing, RecipientOutcome::Later(out_of_order(error.to_string()))),
        };
        if !lease.still_held() {
            return Outcome::LeaseLost;
        }
        let now = self.clock.now();
        let email = &outgoing.claim.email;
        let message = InboxMessage {
            id: InboxId::new(now, self.chance.bytes()),
            client_id: email.client_id,
            email_id: email.id,
            mail_from: email.from.address.as_str().to_owned(),
            recipients: outgoing.addresses().into_iter().map(str::to_owned).collect(),
            subject: email.subject.clone(),
            from: email.from.to_string(),
            size: outgoing.message.len() as u64,
            sha256,
            received_at: now,
        };
        let outcome = match self.store.inbox_add(message).await {
            Ok(()) => {
                self.bell.ring();
                RecipientOutcome::Accepted(KEPT.to_owned())
            }
            Err(error @ StoreError::Uncertain(_)) => {
                RecipientOutcome::Uncertain(out_of_order(error.to_string()))
            }
            Err(error) => RecipientOutcome::Later(out_of_order(error.to_string())),
        };
        all(outgoing, outcome)
    }

    pub(super) async fn ping(&self, limit: Duration) -> Health {
        let ask = async { self.blobs.ping().await.map_err(|error| error.to_string()) };
        self.health.get(limit, ask).await
    }
}

/// The same end for every recipient.
fn all(outgoing: &Outgoing<'_>, outcome: RecipientOutcome) -> Outcome {
    Outcome::Tried {
        provider_message_id: None,
        recipients: outgoing.due.iter().map(|index| (*index, outcome.clone())).collect(),
    }
}

fn out_of_order(message: String) -> Failure {
    Failure { transport_down: true, ..Failure::new(FailureCode::ServerError, message) }
}
