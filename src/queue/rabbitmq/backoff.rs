//! The pause before a lost broker is tried again: for ever, soon at first, and not all nodes at one moment.

use crate::base::chance::Chance;
use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a broker that came back is noticed within it.
const LONGEST: Duration = Duration::from_secs(5);

/// Grows with each failure until something worked.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    chance: Chance,
}

impl Backoff {
    pub fn new(chance: &Chance) -> Self {
        Self { next: FIRST, chance: chance.clone() }
    }

    /// It worked: the next failure is the first one again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The pause after one more failure: between half and all of what it has grown to.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + 0.5 * self.chance.f64());
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(&Chance::new());
        assert!(backoff.pause() <= FIRST);
        let last = (0..20).map(|_| backoff.pause()).last().unwrap();
        assert!(last > LONGEST / 3 && last <= LONGEST, "{last:?}");
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
