//! What all tasks of one worker share.

use super::held::{HeldClaim, Holdings};
use super::lane::{Job, Lanes};
use super::record::Finished;
use super::settings::DispatchSettings;
use super::wall::WallWatch;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::trace::Traces;
use crate::live::Live;
use crate::queue::Hopper;
use crate::render::Renderer;
use crate::routing::Routes;
use crate::transports::Pulse;
use posthaste_model::fault::Faults;
use posthaste_model::{ClientId, Timestamp, WorkerId};
use posthaste_store::Store;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Due times remembered at most; the store knows the rest.
const DUE_TIMES_MAX: usize = 4096;

/// One worker: a process in one life.
pub(super) struct Worker {
    /// Batches of outcomes that wait for a store that cannot be written.
    pub behind: AtomicUsize,
    /// One for each email on its way, from before the send until its outcome is durable.
    pub permits: Arc<Semaphore>,
    pub id: WorkerId,
    /// Its node's name.
    pub node: String,
    pub settings: DispatchSettings,
    pub store: Store,
    pub live: Live,
    pub renderer: Renderer,
    pub routes: Routes,
    pub lanes: Lanes,
    pub holdings: Holdings,
    pub hopper: Hopper,
    pub clock: Clock,
    pub chance: Chance,
    pub metrics: Metrics,
    pub faults: Faults,
    pub traces: Traces,
    /// Cancelled when the drain begins.
    pub stopping: CancellationToken,
    /// Rung when this worker itself knows that there may be something to claim.
    pub look_again: Notify,
    /// Held by whoever claims from the store: what is taken at once must fit what there is room for.
    pub claiming: tokio::sync::Mutex<()>,
    /// Rings looked into since the due index was last looked at.
    pub rung_for: AtomicUsize,
    /// To the recorder. Holds no more than is held: every entry carries its claim.
    pub finished: mpsc::UnboundedSender<Finished>,
    pub names: ClientNames,
    /// This process's signs of life.
    pub pulse: Pulse,
    pub wall: WallWatch,
    pub due_times: DueTimes,
}

impl Worker {
    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Has it written down what came of a claim. After the drain's end nobody writes any more, and the claim is left to
    /// the end of its lease.
    pub fn finish(&self, finished: Finished) {
        if self.finished.send(finished).is_err() {
            tracing::warn!("an attempt ended after the drain, its email waits for the end of its lease");
        }
    }

    /// Sends a claim on its way.
    pub async fn admit(&self, held: HeldClaim) {
        let email = &held.claim.email;
        let name = if self.routes.ask_client_name() {
            self.names.get(&self.store, email.client_id).await
        } else {
            None
        };
        let route = self.routes.choose(email, name.as_deref());
        self.assign(Job { held, route, instead_of: None });
    }

    /// Remembers when something of ours falls due, so that the claim is made on time.
    pub fn note_due(&self, at: Timestamp) {
        if self.due_times.note(at) {
            self.look_again.notify_one();
        }
    }
}

/// Names of clients, for the rules that ask for them. A client keeps its name.
#[derive(Debug, Default)]
pub(super) struct ClientNames(Mutex<HashMap<ClientId, Arc<str>>>);

impl ClientNames {
    async fn get(&self, store: &Store, id: ClientId) -> Option<Arc<str>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if known.is_some() {
            return known;
        }
        let name: Arc<str> = match store.client(id).await {
            Ok(client) => client?.name.into(),
            Err(error) => {
                tracing::warn!(%error, client.id = %id, "client's name is unknown, routes that ask for it do not match");
                return None;
            }
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&name));
        Some(name)
    }
}

/// When something falls due, as far as this worker knows: the earliest times only.
#[derive(Debug, Default)]
pub(super) struct DueTimes(Mutex<BTreeSet<Timestamp>>);

impl DueTimes {
    /// Remembers `at`; true when it is the earliest.
    fn note(&self, at: Timestamp) -> bool {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() >= DUE_TIMES_MAX && times.last().is_some_and(|last| *last > at) {
            times.pop_last();
        }
        if times.len() < DUE_TIMES_MAX {
            times.insert(at);
        }
        times.first() == Some(&at)
    }

    /// The earliest time after `now`; what has come is forgotten, as the caller is about to look.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while times.first().is_some_and(|first| *first <= now) {
            times.pop_first();
        }
        times.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_due_time_comes_first_and_the_latest_are_forgotten() {
        let times = DueTimes::default();
        let at = Timestamp::from_millis;
        assert!(times.note(at(50)));
        assert!(times.note(at(20)));
        assert!(!times.note(at(90)));
        assert_eq!(times.next_after(at(20)), Some(at(50)));
        for ms in 100..100 + 2 * DUE_TIMES_MAX as i64 {
            times.note(at(ms));
        }
        times.note(at(60));
        assert_eq!(times.next_after(at(50)), Some(at(60)), "an early time finds room");
    }
}
