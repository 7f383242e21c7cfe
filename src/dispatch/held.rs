//! Every claim this process holds, waiting or in flight: what must be renewed, and how much room is left.

use crate::transports::{LeaseGuard, Pulse};
use posthaste_model::EmailId;
use posthaste_model::attempt::Claim;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bytes of bodies held after which no more are taken; one claim of the store's for each feed may come on top.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The claims held. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Holdings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    leases: Mutex<HashMap<EmailId, (u32, LeaseGuard)>>,
    capacity: usize,
    /// Of the bodies of all claims held.
    bytes: AtomicUsize,
    pulse: Pulse,
    /// Rung when there is a good deal of room again: claiming in small pieces costs more.
    room: Notify,
}

/// A claim with its lease. Leaves the holdings when dropped, whatever became of it.
#[derive(Debug)]
pub(super) struct HeldClaim {
    pub claim: Claim,
    pub lease: LeaseGuard,
    holdings: Holdings,
}

impl Holdings {
    pub fn new(capacity: usize, pulse: Pulse) -> Self {
        Self(Arc::new(Shared {
            leases: Mutex::default(),
            capacity,
            bytes: AtomicUsize::new(0),
            pulse,
            room: Notify::new(),
        }))
    }

    /// Takes a claim whose lease began no later than `begun` and lasts for `length`.
    pub fn take(&self, claim: Claim, begun: Instant, length: Duration) -> HeldClaim {
        let lease = LeaseGuard::new(&self.0.pulse, begun, length);
        self.0.bytes.fetch_add(claim.email.body_bytes(), Ordering::AcqRel);
        let former = self.leases().insert(claim.email.id, (claim.fence, lease.clone()));
        if let Some((_, former)) = former {
            // The store gave the email to us anew, so the older claim's lease is over.
            former.lose();
        }
        HeldClaim { claim, lease, holdings: self.clone() }
    }

    /// How many more may be taken.
    pub fn room(&self) -> usize {
        self.0.capacity.saturating_sub(self.len())
    }

    /// How many one of the two feeds may take now: both may ask at the same time, and what they take together must fit
    /// the lane of the one way out, or it would be moved about.
    pub fn share(&self) -> usize {
        (self.room().saturating_sub(self.0.capacity / 16) / 2).max(1)
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.leases().len()
    }

    /// Waits until a good part of the room is free.
    pub async fn wait_for_room(&self) {
        loop {
            let freed = self.0.room.notified();
            if self.room() > self.0.capacity / 4 && self.0.bytes.load(Ordering::Acquire) < BYTES_MAX {
                return;
            }
            freed.await;
        }
    }

    /// All that is held, to be renewed.
    pub fn all(&self) -> Vec<(EmailId, u32, LeaseGuard)> {
        self.leases().iter().map(|(id, (fence, lease))| (*id, *fence, lease.clone())).collect()
    }

    fn release(&self, id: EmailId, fence: u32, bytes: usize) {
        let before = self.0.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let has_bytes_again = before >= BYTES_MAX && before - bytes < BYTES_MAX;
        let mut leases = self.leases();
        if leases.get(&id).is_some_and(|(newest, _)| *newest == fence) {
            leases.remove(&id);
        }
        let held = leases.len();
        drop(leases);
        let has_room_again = held < self.0.capacity && self.0.capacity - held == self.0.capacity / 4 + 1;
        if has_room_again || has_bytes_again {
            self.0.room.notify_waiters();
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<EmailId, (u32, LeaseGuard)>> {
        // One entry at a time: a panic elsewhere leaves the map whole.
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldClaim {
    /// What names the claim to the store.
    pub fn key(&self) -> (EmailId, u32) {
        (self.claim.email.id, self.claim.fence)
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        self.holdings.release(self.claim.email.id, self.claim.fence, self.claim.email.body_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, email};
    use posthaste_model::email::{Content, Parts};

    #[tokio::test]
    async fn a_newer_claim_of_the_same_email_ends_the_older_lease() {
        let holdings = Holdings::new(8, Pulse::new(Duration::from_hours(1)));
        let mail = Arc::new(email("a@a.example", &["b@b.example"]));
        let lease = Duration::from_secs(60);
        let old = holdings.take(claim(&mail, 1), Instant::now(), lease);
        let new = holdings.take(claim(&mail, 2), Instant::now(), lease);
        assert!(!old.lease.still_held() && new.lease.still_held());
        drop(old);
        assert_eq!(holdings.len(), 1, "the older one's end does not release the newer");
        drop(new);
        assert_eq!((holdings.len(), holdings.room()), (0, 8));
    }

    #[test]
    fn what_both_feeds_take_at_once_fits_the_lane_of_the_one_way_out() {
        for capacity in [16, 64, 4096] {
            let holdings = Holdings::new(capacity, Pulse::new(Duration::from_hours(1)));
            assert!(2 * holdings.share() <= capacity - capacity / 16, "{capacity}");
            assert!(holdings.share() > 1);
        }
    }

    #[tokio::test]
    async fn large_bodies_use_the_room_up_before_their_number_does() {
        let holdings = Holdings::new(4096, Pulse::new(Duration::from_hours(1)));
        let lease = Duration::from_secs(60);
        let large = |number: u8| {
            let mut mail = email("a@a.example", &["b@b.example"]);
            mail.id = EmailId::from_bytes([number; 16]);
            let parts = Parts { text: Some("x".repeat(BYTES_MAX / 4)), ..Parts::default() };
            mail.content = Content::Parts(parts);
            holdings.take(claim(&Arc::new(mail), 1), Instant::now(), lease)
        };
        let mut held: Vec<_> = (0..4_u8).map(large).collect();
        let mut waiting = std::pin::pin!(holdings.wait_for_room());
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "full");
        held.pop();
        waiting.await;
        drop(held);
        assert_eq!(holdings.0.bytes.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn room_is_announced_when_a_quarter_is_free() {
        let holdings = Holdings::new(4, Pulse::new(Duration::from_hours(1)));
        let lease = Duration::from_secs(60);
        let mut held: Vec<_> = (0..4_u8)
            .map(|number| {
                let mut mail = email("a@a.example", &["b@b.example"]);
                mail.id = EmailId::from_bytes([number; 16]);
                holdings.take(claim(&Arc::new(mail), 1), Instant::now(), lease)
            })
            .collect();
        let mut waiting = std::pin::pin!(holdings.wait_for_room());
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "full");
        held.pop();
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "one is not worth a claim");
        held.pop();
        waiting.await;
    }
}
