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
        let last = self.0.last_ms.load(Ordering::Acquire);
        let was_away = at.saturating_sub(last) >= millis(self.0.good_for);
        if was_away {
            // Before the sign of life: who sees that one sees this too.
            self.0.returned_ms.store(at, Ordering::Release);
        }
        self.0.last_ms.fetch_max(at, Ordering::AcqRel);
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

    /// Whether the store heard of this process again, after a time without, no longer ago than `length`: another may have
    /// taken what was leased before.
    pub fn has_returned_within(&self, length: Duration, now: Instant) -> bool {
        self.0.returned_ms.load(Ordering::Acquire) != 0 && self.steady_for(now) < length
    }

    /// The same since an instant.
    fn has_returned_since(&self, instant: Instant) -> bool {
        let returned = Duration::from_millis(self.0.returned_ms.load(Ordering::Acquire));
        !returned.is_zero() && instant < self.0.begun + returned
    }

    fn is_alive_at(&self, now: Instant) -> bool {
        let last = Duration::from_millis(self.0.last_ms.load(Ordering::Acquire));
        now.saturating_duration_since(self.0.begun).saturating_sub(last) < self.0.good_for
    }
}

/// One claim's lease, counted on the monotonic clock: setting the machine's clock neither ends nor prolongs it, and a
/// process that was stopped for longer finds it over at the first question, and so it stays when the process is heard of
/// again, until the store was asked whether the lease is still its own. Clones speak of the same lease.
#[derive(Clone, Debug)]
pub struct LeaseGuard(Arc<Lease>);

#[derive(Debug)]
struct Lease {
    pulse: Pulse,
    begun: Instant,
    /// End, in milliseconds after `begun`.
    ends_ms: AtomicU64,
    /// When the store last said that it is ours, in nanoseconds after `begun`.
    confirmed_ns: AtomicU64,
    state: AtomicU8,
}

impl LeaseGuard {
    /// A lease of the process with this `pulse` that began no later than `begun` and lasts for `length`.
    pub fn new(pulse: &Pulse, begun: Instant, length: Duration) -> Self {
        Self(Arc::new(Lease {
            pulse: pulse.clone(),
            begun,
            ends_ms: AtomicU64::new(millis(length)),
            confirmed_ns: AtomicU64::new(0),
            state: AtomicU8::new(HELD),
        }))
    }

    /// Whether this process may still speak for the email. Asked right before MAIL and right before the content.
    pub fn still_held(&self) -> bool {
        self.still_held_at(Instant::now())
    }

    fn still_held_at(&self, now: Instant) -> bool {
        let ends = Duration::from_millis(self.0.ends_ms.load(Ordering::Acquire));
        let confirmed = Duration::from_nanos(self.0.confirmed_ns.load(Ordering::Acquire));
        self.0.state.load(Ordering::Acquire) == HELD
            && now.saturating_duration_since(self.0.begun) < ends
            && self.0.pulse.is_alive_at(now)
            && !self.0.pulse.has_returned_since(self.0.begun + confirmed)
    }

    /// The store renewed the lease: it now lasts for `length` from `asked`, the moment before the store was asked.
    pub fn renew(&self, asked: Instant, length: Duration) {
        let asked = asked.saturating_duration_since(self.0.begun);
        self.0.ends_ms.fetch_max(millis(asked + length), Ordering::AcqRel);
        let confirmed = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
        self.0.confirmed_ns.fetch_max(confirmed, Ordering::AcqRel);
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
    fn a_return_makes_no_lease_good_again_of_which_the_store_was_not_asked() {
        let pulse = Pulse::new(Duration::from_secs(12));
        let at = |seconds| pulse.0.begun + Duration::from_secs(seconds);
        let lease = |begun| LeaseGuard::new(&pulse, begun, Duration::from_secs(600));
        let (old, renewed) = (lease(at(1)), lease(at(1)));
        pulse.beat(at(5));
        assert!(old.still_held_at(at(6)) && !pulse.has_returned_within(Duration::from_secs(60), at(6)));
        assert!(pulse.beat(at(40)), "35 seconds without, in which others took what was held");
        assert!(!old.still_held_at(at(40)) && !renewed.still_held_at(at(40)));
        renewed.renew(at(41), Duration::from_secs(600));
        assert!(renewed.still_held_at(at(42)) && !old.still_held_at(at(42)));
        assert!(lease(at(41)).still_held_at(at(42)), "claimed since");
        assert!(pulse.has_returned_within(Duration::from_secs(60), at(99)));
        assert!(!pulse.has_returned_within(Duration::from_secs(60), at(100)));
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
