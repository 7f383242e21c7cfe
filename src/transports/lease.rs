//! The right to speak for an email, as the process that holds it can know it without asking the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const HELD: u8 = 0;
const LOST: u8 = 1;
const RECALLED: u8 = 2;

/// The signs of life that this process has given. Whoever sees none for long takes its leases before their time, so no
/// lease is good without them. Clones share them.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    begun: Instant,
    /// The last one that the store took, in milliseconds after `begun`.
    last_ms: AtomicU64,
    /// The first one after the last time without, in milliseconds after `begun`; 0: there was none.
    returned_ms: AtomicU64,
    good_for: Duration,
}

impl Pulse {
    /// A process that has just given a sign of life, each of which is good for `good_for`.
    pub fn new(good_for: Duration) -> Self {
        let (last_ms, returned_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Beats { begun: Instant::now(), last_ms, returned_ms, good_for }))
    }

    /// The store took a sign of life; `asked` is the moment before it was asked. True when the one before was not good
    /// any more: the store was away, or this process stood still.
    pub fn beat(&self, asked: Instant) -> bool {
        let at = millis(asked.saturating_duration_since(self.0.begun));
        let last = self.0.last_ms.fetch_max(at, Ordering::AcqRel);
        let was_away = at.saturating_sub(last) >= millis(self.0.good_for);
        if was_away {
            self.0.returned_ms.store(at, Ordering::Release);
        }
        was_away
    }

    /// Whether the store heard of this process lately, and not for the first time again within `pause`: so long others,
    /// for whom the store was away too, are given to renew their leases before anybody claims what ran out.
    pub fn is_steady(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let returned = self.0.returned_ms.load(Ordering::Acquire);
        self.is_alive_at(now) && (returned == 0 || self.steady_for(now) >= pause)
    }

    /// For how long the store has heard of this process without a gap. Only for so long others could have been heard of
    /// too.
    pub fn steady_for(&self, now: Instant) -> Duration {
        let returned = Duration::from_millis(self.0.returned_ms.load(Ordering::Acquire));
        now.saturating_duration_since(self.0.begun).saturating_sub(returned)
    }

    fn is_alive_at(&self, now: Instant) -> bool {
        let last = Duration::from_millis(self.0.last_ms.load(Ordering::Acquire));
        now.saturating_duration_since(self.0.begun).saturating_sub(last) < self.0.good_for
    }
}

/// One claim's lease, counted on the monotonic clock: setting the machine's clock neither ends nor prolongs it, and a
/// process that was stopped for longer finds it over at the first question. Clones speak of the same lease.
#[derive(Clone, Debug)]
pub struct LeaseGuard(Arc<Lease>);

#[derive(Debug)]
struct Lease {
    pulse: Pulse,
    begun: Instant,
    /// End, in milliseconds after `begun`.
    ends_ms: AtomicU64,
    state: AtomicU8,
}

impl LeaseGuard {
    /// A lease of the process with this `pulse` that began no later than `begun` and lasts for `length`.
    pub fn new(pulse: &Pulse, begun: Instant, length: Duration) -> Self {
        let ends_ms = AtomicU64::new(millis(length));
        Self(Arc::new(Lease { pulse: pulse.clone(), begun, ends_ms, state: AtomicU8::new(HELD) }))
    }

    /// Whether this process may still speak for the email. Asked right before MAIL and right before the content.
    pub fn still_held(&self) -> bool {
        self.still_held_at(Instant::now())
    }

    fn still_held_at(&self, now: Instant) -> bool {
        let ends = Duration::from_millis(self.0.ends_ms.load(Ordering::Acquire));
        self.0.state.load(Ordering::Acquire) == HELD
            && now.saturating_duration_since(self.0.begun) < ends
            && self.0.pulse.is_alive_at(now)
    }

    /// The store renewed the lease: it now lasts for `length` from `asked`, the moment before the store was asked.
    pub fn renew(&self, asked: Instant, length: Duration) {
        let ends = millis(asked.saturating_duration_since(self.0.begun) + length);
        self.0.ends_ms.fetch_max(ends, Ordering::AcqRel);
    }

    /// The store gave the email to another claim. Nothing brings it back.
    pub fn lose(&self) {
        self.0.state.store(LOST, Ordering::Release);
    }

    /// Asks for the email back, at shutdown: what has not named its message to the peer yet shall not begin.
    pub fn recall(&self) {
        let _ = self.0.state.compare_exchange(HELD, RECALLED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether it was asked back, and nobody else has it.
    pub fn is_recalled(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == RECALLED
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(begun: Instant) -> LeaseGuard {
        LeaseGuard::new(&Pulse::new(Duration::from_hours(1)), begun, Duration::from_secs(60))
    }

    #[test]
    fn is_over_when_the_process_gave_no_sign_of_life() {
        let pulse = Pulse::new(Duration::from_secs(12));
        let begun = Instant::now();
        let lease = LeaseGuard::new(&pulse, begun, Duration::from_secs(60));
        assert!(lease.still_held_at(begun + Duration::from_secs(11)));
        assert!(!lease.still_held_at(begun + Duration::from_secs(13)), "a sweep may have taken it");
        pulse.beat(begun + Duration::from_secs(10));
        assert!(lease.still_held_at(begun + Duration::from_secs(21)));
    }

    #[test]
    fn a_pulse_that_returns_is_not_steady_at_once() {
        let pulse = Pulse::new(Duration::from_secs(12));
        let at = |seconds| pulse.0.begun + Duration::from_secs(seconds);
        assert!(!pulse.beat(at(2)) && !pulse.beat(at(13)), "no gap");
        assert_eq!(pulse.steady_for(at(14)), Duration::from_secs(14));
        assert!(pulse.beat(at(40)), "27 seconds without");
        assert_eq!(pulse.steady_for(at(43)), Duration::from_secs(3));
        assert!(!pulse.beat(at(42)));
        assert_eq!(pulse.steady_for(at(43)), Duration::from_secs(3));
        let fresh = Pulse::new(Duration::from_secs(12));
        assert!(fresh.is_steady(Duration::from_secs(3)), "a start is no return");
    }

    #[test]
    fn ends_by_itself_unless_renewed() {
        let begun = Instant::now();
        let lease = lease(begun);
        assert!(lease.still_held_at(begun + Duration::from_millis(59_999)));
        assert!(!lease.still_held_at(begun + Duration::from_secs(60)));
        lease.renew(begun + Duration::from_secs(20), Duration::from_secs(60));
        assert!(lease.still_held_at(begun + Duration::from_secs(79)));
        assert!(!lease.still_held_at(begun + Duration::from_secs(80)));
        lease.renew(begun + Duration::from_secs(10), Duration::from_secs(60));
        assert!(lease.still_held_at(begun + Duration::from_secs(79)), "a late answer shortens nothing");
    }

    #[test]
    fn a_lost_lease_stays_lost() {
        let lease = lease(Instant::now());
        let same = lease.clone();
        same.lose();
        lease.renew(Instant::now(), Duration::from_secs(600));
        lease.recall();
        assert!(!lease.still_held() && !lease.is_recalled());
    }

    #[test]
    fn a_recalled_lease_may_not_be_used_but_is_still_ours() {
        let lease = lease(Instant::now());
        lease.recall();
        assert!(!lease.still_held() && lease.is_recalled());
        lease.lose();
        assert!(!lease.is_recalled());
    }
}
