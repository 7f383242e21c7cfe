//! Wake-up and hand-over inside one process.

use super::rabbitmq::Rings;
use posthaste_model::attempt::Claim;
use posthaste_model::{Timestamp, WorkerId};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Bytes of email that may wait in a local worker's memory; what is over stays in the store.
const ROOM_BYTES: usize = 64 * 1024 * 1024;

/// The embedded queue.
#[derive(Clone, Debug)]
pub struct InProcess(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    desk: RwLock<Option<Arc<Desk>>>,
    bell: Notify,
}

/// The place where a worker takes over what was just accepted.
#[derive(Debug)]
struct Desk {
    worker: WorkerId,
    lease: Duration,
    room: AtomicUsize,
    room_bytes: AtomicUsize,
    waiting: Mutex<VecDeque<Claim>>,
    arrived: Notify,
    closed: AtomicBool,
    /// Cancelled with `closed`, for those that bring rings.
    closing: CancellationToken,
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Claim>> {
        // A panic elsewhere cannot leave a deque half changed: its content stays good.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, count: usize, bytes: usize) {
        if count > 0 {
            self.room.fetch_add(count, Ordering::AcqRel);
            self.room_bytes.fetch_add(bytes, Ordering::AcqRel);
        }
    }
}

impl InProcess {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared { capacity, desk: RwLock::new(None), bell: Notify::new() }))
    }

    pub(super) fn reserve(&self, count: usize, bytes: usize) -> Option<Reservation> {
        let desk = self.0.desk.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let take = |room: &AtomicUsize, amount: usize| {
            room.try_update(Ordering::AcqRel, Ordering::Acquire, |room| room.checked_sub(amount)).is_ok()
        };
        if !take(&desk.room, count) {
            return None;
        }
        if !take(&desk.room_bytes, bytes) {
            desk.room.fetch_add(count, Ordering::AcqRel);
            return None;
        }
        Some(Reservation { desk, count, bytes })
    }

    pub(super) fn ring(&self) {
        self.0.bell.notify_one();
    }

    pub(super) fn attach(&self, worker: WorkerId, lease: Duration) -> Hopper {
        let desk = Arc::new(Desk {
            worker,
            lease,
            room: AtomicUsize::new(self.0.capacity),
            room_bytes: AtomicUsize::new(ROOM_BYTES),
            waiting: Mutex::new(VecDeque::new()),
            arrived: Notify::new(),
            closed: AtomicBool::new(false),
            closing: CancellationToken::new(),
        });
        *self.0.desk.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&desk));
        Hopper { desk, shared: Arc::clone(&self.0), rings: None }
    }
}

/// Room kept in a local worker's memory; given back when dropped unused.
#[derive(Debug)]
pub struct Reservation {
    desk: Arc<Desk>,
    count: usize,
    bytes: usize,
}

impl Reservation {
    /// The worker that will hold the lease.
    pub fn worker(&self) -> WorkerId {
        self.desk.worker
    }

    /// The end of a lease that begins at `now`.
    pub fn lease_until(&self, now: Timestamp) -> Timestamp {
        now.plus(self.desk.lease)
    }

    /// Hands over claims that the commit has leased to [`Reservation::worker`]. A worker that closed meanwhile leaves
    /// them to the end of their lease.
    pub fn hand_over(mut self, claims: Vec<Claim>) {
        let used = claims.len().min(self.count);
        if used == 0 || self.desk.closed.load(Ordering::Acquire) {
            return;
        }
        self.count -= used;
        self.bytes = self.bytes.saturating_sub(weight(&claims));
        self.desk.waiting().extend(claims);
        self.desk.arrived.notify_one();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.desk.room.fetch_add(self.count, Ordering::AcqRel);
        self.desk.room_bytes.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

/// Bytes of the emails of some claims.
fn weight(claims: &[Claim]) -> usize {
    claims.iter().map(|claim| claim.email.body_bytes()).sum()
}

/// The worker's end: what was handed over, and the bell.
#[derive(Debug, Clone)]
pub struct Hopper {
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    /// Rings that name emails, where a broker brings them.
    rings: Option<Arc<tokio::sync::Mutex<mpsc::Receiver<Rings>>>>,
}

impl Hopper {
    /// Up to `max` handed-over claims, oldest first; waits until there is one. Empty only after [`Hopper::close`].
    /// Any number of tasks may wait; each claim goes to one of them. Cancel-safe.
    pub async fn next_batch(&self, max: usize) -> Vec<Claim> {
        loop {
            let batch = self.take(max);
            if !batch.is_empty() || self.desk.closed.load(Ordering::Acquire) {
                return batch;
            }
            self.desk.arrived.notified().await;
        }
    }

    /// Up to `max` handed-over claims that are there already.
    pub fn take(&self, max: usize) -> Vec<Claim> {
        let (batch, more): (Vec<Claim>, bool) = {
            let mut waiting = self.desk.waiting();
            let count = waiting.len().min(max);
            (waiting.drain(..count).collect(), !waiting.is_empty())
        };
        self.desk.give_back(batch.len(), weight(&batch));
        if more {
            // One ring may have stood for several hand-overs: pass it on.
            self.desk.arrived.notify_one();
        }
        batch
    }

    /// How many claims wait in memory.
    pub fn waiting(&self) -> usize {
        self.desk.waiting().len()
    }

    /// (id, fence) of the claims that wait, so that their leases can be renewed.
    pub fn held(&self) -> Vec<(posthaste_model::EmailId, u32)> {
        self.desk.waiting().iter().map(|claim| (claim.email.id, claim.fence)).collect()
    }

    /// Cancelled when the hopper closes.
    pub(super) fn closing(&self) -> &CancellationToken {
        &self.desk.closing
    }

    /// The same hopper, with rings from elsewhere.
    pub(super) fn hearing(self, rings: mpsc::Receiver<Rings>) -> Self {
        Self { rings: Some(Arc::new(tokio::sync::Mutex::new(rings))), ..self }
    }

    /// Whether rings that name emails can come.
    pub fn hears(&self) -> bool {
        self.rings.is_some()
    }

    /// Rings that name emails; waits for ever where none can come. Cancel-safe.
    pub async fn rings(&self) -> Rings {
        if let Some(rings) = &self.rings
            && let Some(heard) = rings.lock().await.recv().await
        {
            return heard;
        }
        std::future::pending().await
    }

    /// Resolves when the bell was rung.
    pub async fn rung(&self) {
        self.shared.bell.notified().await;
    }

    /// Takes no more; what waited comes back, to be handed back to the store.
    pub fn close(&self) -> Vec<Claim> {
        self.desk.closed.store(true, Ordering::Release);
        self.desk.closing.cancel();
        let mut desk = self.shared.desk.write().unwrap_or_else(PoisonError::into_inner);
        if desk.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.desk)) {
            *desk = None;
        }
        drop(desk);
        self.desk.arrived.notify_waiters();
        self.desk.arrived.notify_one();
        self.desk.waiting().drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker() -> WorkerId {
        WorkerId::new(Timestamp::from_millis(1), [7; 10])
    }

    #[test]
    fn no_worker_no_room() {
        let queue = InProcess::new(2);
        assert!(queue.reserve(1, 10).is_none());
        let hopper = queue.attach(worker(), Duration::from_secs(60));
        let first = queue.reserve(2, 10);
        assert!(first.is_some());
        assert!(queue.reserve(1, 10).is_none(), "full");
        drop(first);
        assert!(queue.reserve(2, 10).is_some(), "an unused reservation gives its room back");
        assert!(queue.reserve(1, ROOM_BYTES + 1).is_none(), "too large for the memory");
        assert!(queue.reserve(2, ROOM_BYTES).is_some(), "a refusal keeps no room");
        hopper.close();
        assert!(queue.reserve(1, 10).is_none(), "closed");
    }

    #[test]
    fn a_lease_is_counted_from_the_acceptance() {
        let queue = InProcess::new(1);
        let _hopper = queue.attach(worker(), Duration::from_secs(60));
        let lease = queue.reserve(1, 10).map(|r| r.lease_until(Timestamp::from_millis(1000)));
        assert_eq!(lease, Some(Timestamp::from_millis(61_000)));
    }

    #[tokio::test]
    async fn a_ring_before_the_wait_is_not_lost() {
        let queue = InProcess::new(1);
        let hopper = queue.attach(worker(), Duration::from_secs(60));
        queue.ring();
        hopper.rung().await;
        hopper.close();
        assert!(hopper.next_batch(1).await.is_empty(), "closed: does not wait");
    }
}
