//! How much mail a transport may take in a time: the operator's `rate` and `daily_quota`. Mail over it waits, and is
//! never dropped. Counted in this process; pure, the time is an argument.

use posthaste_model::Rate;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A window is counted in this many slots; what went out in a slot leaves the count when the whole slot is past.
const SLOTS: usize = 64;

/// The limits of one transport.
#[derive(Debug)]
pub(super) struct Throttle(Vec<Mutex<Window>>);

impl Throttle {
    /// At most each of `rates`.
    pub fn new(rates: impl IntoIterator<Item = Rate>) -> Self {
        Self(rates.into_iter().map(|rate| Mutex::new(Window::new(rate))).collect())
    }

    /// Takes one message's place, or says how long until there may be one.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        // All limits are locked in the same order, and nothing waits here.
        let mut windows: Vec<_> = self.0.iter().map(lock).collect();
        let wait = windows.iter_mut().filter_map(|window| window.wait(now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for window in &mut windows {
            window.count(now);
        }
        Ok(())
    }

    /// How long until there may be room; zero: now.
    pub fn wait(&self, now: Instant) -> Duration {
        self.0.iter().filter_map(|window| lock(window).wait(now)).max().unwrap_or_default()
    }

    /// Gives back a place that was not used.
    pub fn give_back(&self, now: Instant) {
        self.0.iter().for_each(|window| lock(window).uncount(now));
    }
}

fn lock(window: &Mutex<Window>) -> MutexGuard<'_, Window> {
    // Counters stay good whoever panicked.
    window.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Window {
    rate: Rate,
    slot: Duration,
    begun: Instant,
    /// The slot that is being counted, from `begun`.
    current: u64,
    counts: [u32; SLOTS],
    total: u64,
}

impl Window {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            slot: (rate.window / SLOTS as u32).max(Duration::from_millis(1)),
            begun: Instant::now(),
            current: 0,
            counts: [0; SLOTS],
            total: 0,
        }
    }

    /// `None`: there is room.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.advance(now);
        if self.total < u64::from(self.rate.count) {
            return None;
        }
        // The oldest slots leave first, each a whole window after its end.
        let mut left = self.total;
        for age in (0..SLOTS as u64).rev() {
            let Some(number) = self.current.checked_sub(age) else { continue };
            left -= u64::from(self.counts[index(number)]);
            if left < u64::from(self.rate.count) {
                let leaves = self.slot.as_secs_f64() * (number + SLOTS as u64) as f64;
                let at = self.begun + Duration::from_secs_f64(leaves);
                return Some(at.saturating_duration_since(now).max(Duration::from_millis(1)));
            }
        }
        Some(self.slot)
    }

    fn count(&mut self, now: Instant) {
        self.advance(now);
        self.counts[index(self.current)] += 1;
        self.total += 1;
    }

    fn uncount(&mut self, now: Instant) {
        self.advance(now);
        let slot = &mut self.counts[index(self.current)];
        // A place taken in an earlier slot runs out by itself.
        if *slot > 0 {
            *slot -= 1;
            self.total -= 1;
        }
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.begun);
        let number = u64::try_from(elapsed.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX);
        let steps = number.saturating_sub(self.current).min(SLOTS as u64);
        for step in 1..=steps {
            let slot = &mut self.counts[index(self.current.wrapping_add(step))];
            self.total -= u64::from(std::mem::take(slot));
        }
        if steps == SLOTS as u64 {
            self.counts = [0; SLOTS];
            self.total = 0;
        }
        self.current = self.current.max(number);
    }
}

fn index(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_until_the_oldest_leaves() {
        let throttle = Throttle::new([Rate::per_seconds(2, 64)]);
        let now = Instant::now();
        assert_eq!((throttle.admit(now), throttle.admit(now)), (Ok(()), Ok(())));
        let wait = throttle.admit(now).unwrap_err();
        assert!(wait <= Duration::from_secs(65) && wait >= Duration::from_secs(62), "{wait:?}");
        assert_eq!(throttle.admit(now + wait), Ok(()));
    }

    #[test]
    fn the_tightest_limit_counts_and_a_refusal_takes_no_place() {
        let throttle = Throttle::new([Rate::per_seconds(1, 1), Rate::per_seconds(2, 86_400)]);
        let mut now = Instant::now();
        assert_eq!(throttle.admit(now), Ok(()));
        for _ in 0..100 {
            assert!(throttle.admit(now).is_err());
        }
        now += Duration::from_secs(2);
        assert_eq!(throttle.admit(now), Ok(()));
        now += Duration::from_secs(2);
        assert!(throttle.wait(now) > Duration::from_secs(80_000), "the quota of the day is used up");
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let throttle = Throttle::new([Rate::per_seconds(1, 60)]);
        let now = Instant::now();
        assert_eq!(throttle.admit(now), Ok(()));
        throttle.give_back(now);
        assert_eq!(throttle.admit(now), Ok(()));
        assert_eq!(Throttle::new([]).admit(now), Ok(()), "no limit");
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_in_any_window(
            count in 1_u32..20,
            pauses in proptest::collection::vec(0_u64..3_000, 1..300),
        ) {
            let window = Duration::from_secs(10);
            let throttle = Throttle::new([Rate { count, window }]);
            let mut now = Instant::now();
            let mut sent: Vec<Instant> = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                if let Err(wait) = throttle.admit(now) {
                    prop_assert!(wait <= window + window / SLOTS as u32 + Duration::from_millis(1));
                } else {
                    sent.push(now);
                    let within = sent.iter().filter(|at| now.duration_since(**at) < window.mul_f64(1.0 - 1.0 / SLOTS as f64));
                    prop_assert!(within.count() <= count as usize);
                }
            }
        }
    }
}
